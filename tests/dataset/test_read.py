"""Opening and scanning datasets: windows, pruning, order, memory, broken files, paths that must not be trusted."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_fleets import small_fleet

import nexova_sim as nx
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset import read
from nexova_sim.dataset.read import (
    Window,
    encoded,
    filter_batch,
    is_plain_path,
    make_window,
    naming,
    open_dataset,
    parse_time,
    scan_window,
    time_columns,
    time_ms,
)
from nexova_sim.run.simulate import simulate
from nexova_sim.schema.channels import TABLES
from nexova_sim.schema.manifest import DamagedManifestError, dump_manifest, load_manifest

FROM, TO = "2026-01-05T20:00:00Z", "2026-01-06T03:00:00Z"


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nineteen machines in two blocks, two days in a partition each."""
    folder = tmp_path_factory.mktemp("days") / "dataset"
    fleet = {
        "machines": {"pump": 17, "motor": 2},
        "days": 2,
        "dt_s": 300,
        "output": {"partition": "day", "row_group_rows": 1024},
    }
    simulate(small_fleet(fleet), folder, jobs=1)
    return folder


def whole(folder: Path, table: str) -> pa.Table:
    """A table as plain pyarrow reads it."""
    files = sorted((folder / table).rglob("*.parquet"))
    return pa.concat_tables([pq.ParquetFile(f).read() for f in files]).unify_dictionaries()


def test_the_public_face_opens_a_dataset(days):
    opened = nx.open_dataset(str(days))
    assert opened.manifest.n_machines == 19
    assert opened.tables() == tuple(TABLES)
    assert opened.machine_ids()[:2] == ("f-pump-001", "f-pump-002")
    assert len(opened.files("readings")) == 4


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_scan_without_window_gives_every_row_as_stored(days, table):
    assert open_dataset(days).read(table).equals(whole(days, table))


def test_a_window_gives_the_rows_that_a_filter_of_everything_gives(days):
    machines = ["f-pump-003", "f-motor-002"]
    got = open_dataset(days).read(
        machines=machines, start=FROM, end=TO, columns=["timestamp", "machine_id", "power_kw"]
    )
    rows = whole(days, "readings").select(["timestamp", "machine_id", "power_kw"])
    first, last = (pa.scalar(datetime.fromisoformat(t), pa.timestamp("ms", tz="UTC")) for t in (FROM, TO))
    mask = pc.and_(pc.is_in(rows["machine_id"].cast(pa.string()), pa.array(machines)),
                   pc.and_(pc.greater_equal(rows["timestamp"], first), pc.less(rows["timestamp"], last)))  # fmt: skip
    want = rows.filter(mask)
    assert want.num_rows == 2 * 7 * 12
    assert got.to_pylist() == want.to_pylist()


def test_row_groups_that_cannot_match_are_not_read(days, monkeypatch):
    read_groups = []
    plain = pq.ParquetFile.iter_batches

    def spy(self, batch_size, row_groups, columns):
        read_groups.extend(row_groups)
        return plain(self, batch_size, row_groups, columns)

    monkeypatch.setattr(read.pq.ParquetFile, "iter_batches", spy)
    n_groups = sum(pq.read_metadata(f).num_row_groups for f in (days / "readings").rglob("*.parquet"))
    assert open_dataset(days).read(machines=["f-pump-017"], start="2026-01-06").num_rows == 288
    assert 0 < len(read_groups) <= 2 < n_groups


def test_batches_are_small_and_in_order(days):
    last: dict[str, int] = {}
    n_rows = 0
    for batch in open_dataset(days).scan(batch_rows=100):
        assert batch.num_rows <= 100
        stamps = time_ms(batch.column("timestamp"))
        for name, stamp in zip(batch.column("machine_id").to_pylist(), stamps.tolist(), strict=True):
            assert stamp > last.get(name, -1)
            last[name] = stamp
        n_rows += batch.num_rows
    assert n_rows == load_manifest(days).rows["readings"]


def test_a_label_is_in_the_window_when_its_interval_touches_it(tiny_dataset):
    opened = open_dataset(tiny_dataset)
    label = {"machines": ["lyon-pump-001"], "table": "labels"}  # from the 5th 20:00 to the 6th 06:00
    assert opened.read(**label, start="2026-01-06T05:59:59", end="2026-01-06T06:30").num_rows == 1
    assert opened.read(**label, start="2026-01-06T06:00", end="2026-01-06T07:00").num_rows == 0
    assert opened.read(**label, start="2026-01-05T19:00", end="2026-01-05T20:00").num_rows == 0
    assert opened.read(**label, start="2026-01-05T19:00", end="2026-01-05T20:00:00.001").num_rows == 1


def test_an_empty_answer_keeps_the_schema(tiny_dataset):
    got = open_dataset(tiny_dataset).read(start="2030-01-01", columns=["power_kw", "status"])
    assert got.num_rows == 0
    assert got.schema.names == ["power_kw", "status"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"table": "reading"}, "did you mean 'readings'"),
        ({"machines": ["lyon-pmp-001"]}, "did you mean 'lyon-pump-001'"),
        ({"columns": ["powr_kw"]}, "did you mean 'power_kw'"),
        ({"start": "soon"}, "not a time"),
        ({"start": "2026-01-06", "end": "2026-01-06"}, "must be before"),
        ({"table": "weather", "machines": ["lyon-pump-001"]}, "no machine_id"),
        ({"table": "factories", "start": "2026-01-06"}, "no time column"),
    ],
)
def test_a_question_that_makes_no_sense_is_a_usage_error(tiny_dataset, ask, words):
    with pytest.raises(ConfigError, match=words):
        open_dataset(tiny_dataset).read(**ask)


def test_times_are_utc_unless_they_say_otherwise():
    noon = 1767614400000
    assert parse_time("2026-01-05T12:00:00", "start") == noon
    assert parse_time("2026-01-05T12:00:00Z", "start") == noon
    assert parse_time("2026-01-05T13:00:00+01:00", "start") == noon
    assert parse_time(datetime(2026, 1, 5, 12, tzinfo=UTC), "start") == noon
    for bad in ("", "now", "2026-13-01", "1e9", "2026-01-05T25:00"):
        with pytest.raises(ConfigError, match="not a time"):
            parse_time(bad, "start")


def test_windows_and_time_columns(tiny_dataset):
    assert make_window(open_dataset(tiny_dataset), None, None, None) == Window()
    assert time_columns("labels") == ("onset", "end")
    assert time_columns("truth") == ("timestamp", "timestamp")
    assert time_columns("machines") is None


def test_filtering_a_batch_works_on_text_and_on_dictionary_ids():
    names = pa.array(["a", "b", "a", "c"])
    for column in (names, names.dictionary_encode()):
        batch = pa.RecordBatch.from_arrays([column, pa.array([1, 2, 3, 4])], ["machine_id", "n"])
        assert filter_batch(batch, "machines", Window(("a",))).column("n").to_pylist() == [1, 3]
        assert filter_batch(batch, "machines", Window()) is batch
        assert encoded(column).dictionary.to_pylist() == ["a", "b", "c"]


def test_a_missing_or_broken_file_is_named(tiny_dataset, tmp_path):
    folder = tmp_path / "d"
    shutil.copytree(tiny_dataset, folder)
    path = folder / "events/part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"events/part-00000\.parquet.*verify"):
        open_dataset(folder).read("events")
    path.unlink()
    with pytest.raises(DataError, match=r"events/part-00000\.parquet.*missing"):
        list(scan_window(open_dataset(folder), "events", Window()))


def test_a_flipped_bit_in_a_data_page_is_noticed_while_reading(tiny_dataset, tmp_path):
    folder = tmp_path / "d"
    shutil.copytree(tiny_dataset, folder)
    path = next((folder / "readings").rglob("*.parquet"))
    meta = pq.read_metadata(path).row_group(0).column(2)
    data = bytearray(path.read_bytes())
    data[meta.data_page_offset + meta.total_compressed_size // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match="part-00000"):
        open_dataset(folder).read(columns=["power_kw"])


def test_only_errors_of_the_file_are_renamed():
    with pytest.raises(DataError, match=r"there\.parquet"), naming(Path("there.parquet")):
        raise OSError("gone")
    with pytest.raises(ZeroDivisionError), naming(Path("there.parquet")):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "bad", ["../x", "/etc/passwd", "a/../b", "a//b", "./a", "", "a\\b", "c:x", "a\x00b", "a\nb", "."]
)
def test_paths_that_leave_the_folder_or_fool_the_eye_are_refused(bad, tiny_dataset, tmp_path):
    assert not is_plain_path(bad)
    folder = tmp_path / "d"
    shutil.copytree(tiny_dataset, folder)
    manifest = load_manifest(folder)
    entries = [manifest.files[0].model_copy(update={"path": bad}), *manifest.files[1:]]
    (folder / "manifest.json").write_text(
        dump_manifest(manifest.model_copy(update={"files": entries})), encoding="utf-8"
    )
    with pytest.raises(DataError, match="does not stay below the folder"):
        open_dataset(folder)


def test_plain_paths_pass(tiny_dataset):
    assert all(is_plain_path(entry.path) for entry in load_manifest(tiny_dataset).files)


def test_a_changed_manifest_is_not_believed(tiny_dataset, tmp_path):
    text = (tiny_dataset / "manifest.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    for name, changed in {
        "value": text.replace('"seed": 7', '"seed": 8'),
        "space": text.replace('"seed": 7', '"seed":  7'),
        "key": text.replace('"seed"', '"sead"'),
        "cut": text[: len(text) // 2],
        "no hash": json.dumps({k: v for k, v in raw.items() if k != "manifest_sha256"}, indent=1, sort_keys=True)
        + "\n",
        "latin": "\xff",
    }.items():
        assert changed != text, name
        folder = tmp_path / name
        folder.mkdir()
        (folder / "manifest.json").write_text(changed, encoding="latin-1")
        with pytest.raises(DamagedManifestError, match="damaged"):
            open_dataset(folder)


def test_what_is_no_dataset_is_told_apart_from_a_damaged_one(tmp_path):
    with pytest.raises(DataError, match="no such dataset folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="not a dataset"):
        open_dataset(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "a web page", "icons": []}', encoding="utf-8")
    with pytest.raises(DataError, match="is not a dataset manifest") as caught:
        open_dataset(tmp_path)
    assert not isinstance(caught.value, DamagedManifestError)


def test_another_schema_version_is_refused_with_both_versions(tiny_dataset, tmp_path):
    manifest = load_manifest(tiny_dataset).model_copy(update={"schema_version": "99"})
    (tmp_path / "manifest.json").write_text(dump_manifest(manifest), encoding="utf-8")
    with pytest.raises(DataError, match="99"):
        open_dataset(tmp_path)


def test_scanning_takes_no_more_memory_for_more_rows(days):
    opened = open_dataset(days)
    peaks = []
    for n_batches in (4, 40):
        pa.default_memory_pool().release_unused()
        start = pa.total_allocated_bytes()
        peak = 0
        for _, _batch in zip(range(n_batches), opened.scan(batch_rows=128), strict=False):
            peak = max(peak, pa.total_allocated_bytes() - start)
        peaks.append(peak)
    assert peaks[1] <= 2 * peaks[0] + 100_000
    assert np.isfinite(peaks[0])
