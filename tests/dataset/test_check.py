"""Verify finds every damage: a flipped bit anywhere, files too many or too few, rows that break the schema."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_file
from nexova_sim.dataset import check as check_module
from nexova_sim.dataset.check import check
from nexova_sim.dataset.inspect import ORDERS, inspect_file
from nexova_sim.dataset.write import WriteOptions, parquet_settings
from nexova_sim.schema.channels import TABLES
from nexova_sim.schema.manifest import FileEntry, Manifest, dump_manifest, load_manifest

READINGS = "readings/month=2026-01/part-00000.parquet"
N_FLIPS = 40  # per file, besides its first and last bytes


@pytest.fixture
def copy(tiny_dataset: Path, tmp_path: Path) -> Path:
    """A dataset that may be damaged."""
    folder = tmp_path / "d"
    shutil.copytree(tiny_dataset, folder)
    return folder


def edit_manifest(folder: Path, change: Callable[[Manifest], dict]) -> None:
    """Replace fields of the manifest, with a self-hash that fits."""
    manifest = load_manifest(folder)
    changed = manifest.model_copy(update=change(manifest))
    (folder / "manifest.json").write_text(dump_manifest(changed), encoding="utf-8")


def put_table(folder: Path, path: str, table: pa.Table) -> None:
    """Write ``table`` as a file of the dataset that the manifest lists as it is: only its content can be wrong."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    settings = parquet_settings(table.schema, WriteOptions())
    pq.write_table(table, target, **settings)
    entry = FileEntry(
        path=path,
        table=path.split("/", maxsplit=1)[0],
        rows=table.num_rows,
        bytes=target.stat().st_size,
        sha256=hash_file(target),
    )

    def listed(manifest: Manifest) -> dict:
        files = sorted([*(e for e in manifest.files if e.path != path), entry], key=lambda e: e.path)
        rows: dict[str, int] = {}
        for e in files:
            if e.path.endswith(".parquet"):
                rows[e.table] = rows.get(e.table, 0) + e.rows
        return {"files": files, "rows": rows}

    edit_manifest(folder, listed)


def edit_table(folder: Path, path: str, change: Callable[[pa.Table], pa.Table]) -> None:
    put_table(folder, path, change(pq.ParquetFile(folder / path).read()))


def set_cell(table: pa.Table, name: str, row: int, value) -> pa.Table:
    at = table.schema.get_field_index(name)
    values = table.column(name).to_pylist()
    values[row] = value
    return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))


def problems(folder: Path, **options) -> dict[str, str]:
    return {f.path: f.problem for f in check(folder, **options).findings}


def test_a_whole_dataset_has_no_findings(tiny_dataset):
    for jobs in (1, 2):
        done = check(tiny_dataset, jobs=jobs)
        assert done.findings == ()
        assert done.n_files == len(load_manifest(tiny_dataset).files) + 1
        assert done.rows == load_manifest(tiny_dataset).rows
    assert check(tiny_dataset, is_quick=True).findings == ()


def test_progress_is_told(tiny_dataset):
    seen: list[tuple[int, int]] = []
    check(tiny_dataset, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]
    assert len(seen) == len(load_manifest(tiny_dataset).files)


def flips(n_bytes: int, seed: str) -> list[tuple[int, int]]:
    chance = random.Random(seed)
    fixed = [0, 1, 3, 4, n_bytes // 2, n_bytes - 9, n_bytes - 5, n_bytes - 1]
    places = {p for p in fixed if 0 <= p < n_bytes} | {chance.randrange(n_bytes) for _ in range(N_FLIPS)}
    return [(place, chance.randrange(8)) for place in sorted(places)]


def test_one_flipped_bit_anywhere_is_found_and_the_file_named(copy):
    n_tried = 0
    for path in sorted(p for p in copy.rglob("*") if p.is_file()):
        name = path.relative_to(copy).as_posix()
        whole = path.read_bytes()
        for place, bit in flips(len(whole), name):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(broken)
            assert list(problems(copy, is_quick=True)) == [name], (name, place, bit)
            n_tried += 1
        path.write_bytes(whole)
    assert n_tried > 300
    assert problems(copy) == {}


def test_every_bit_of_the_start_of_the_manifest_counts(copy):
    path = copy / "manifest.json"
    whole = path.read_bytes()
    for place in range(0, 120, 4):
        for bit in range(8):
            broken = bytearray(whole)
            broken[place] ^= 1 << bit
            path.write_bytes(broken)
            assert "manifest.json" in problems(copy, is_quick=True), (place, bit)


def test_without_hashes_the_page_checksums_find_a_flipped_bit(copy, monkeypatch):
    path = copy / READINGS
    meta = pq.read_metadata(path).row_group(0)
    whole = path.read_bytes()
    recorded = {e.path: e.sha256 for e in load_manifest(copy).files}
    monkeypatch.setattr(check_module, "hash_file", lambda p: recorded[p.relative_to(copy).as_posix()])
    for column in range(meta.num_columns):
        chunk = meta.column(column)
        broken = bytearray(whole)
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        broken[start + chunk.total_compressed_size - 1] ^= 16
        path.write_bytes(broken)
        assert "cannot be read" in problems(copy)[READINGS], chunk.path_in_schema
        assert problems(copy, is_quick=True) == {}  # quick never looks inside


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_file_of_another_size_is_found(copy, cut):
    path = copy / "config.resolved.yaml"
    path.write_bytes(path.read_bytes()[:cut])
    assert "bytes, the manifest says" in problems(copy, is_quick=True)["config.resolved.yaml"]


def test_missing_and_unlisted_files_are_found(copy):
    (copy / "labels/part-00000.parquet").unlink()
    (copy / "notes.txt").write_text("hello", encoding="utf-8")
    (copy / "readings/month=2026-01/part-00001.parquet").write_bytes(b"PAR1")
    found = problems(copy)
    assert "missing" in found.pop("labels/part-00000.parquet")
    assert all("not listed" in text for text in found.values())
    assert set(found) == {"notes.txt", "readings/month=2026-01/part-00001.parquet"}


def test_symbolic_links_are_refused_wherever_they_point(copy, tmp_path):
    path = copy / "events/part-00000.parquet"
    elsewhere = tmp_path / "events.parquet"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    (copy / "weather").rename(tmp_path / "weather")
    (copy / "weather").symlink_to(tmp_path / "weather")
    found = problems(copy)
    assert "symbolic link" in found["events/part-00000.parquet"]
    assert "symbolic link" in found["weather"]


@pytest.mark.parametrize(
    "bad", ["../outside.parquet", "/etc/hostname", "events/../events/part-00000.parquet", "manifest.json"]
)
def test_path_tricks_in_the_manifest_are_refused(copy, tmp_path, bad):
    (tmp_path / "outside.parquet").write_bytes(b"PAR1")
    edit_manifest(copy, lambda m: {"files": [m.files[0].model_copy(update={"path": bad}), *m.files[1:]]})
    assert any(f.path == bad and "refused" in f.problem for f in check(copy).findings)


def test_the_manifest_must_agree_with_itself(copy):
    edit_manifest(copy, lambda m: {"rows": {**m.rows, "events": 1}, "n_machines": 3, "schema_version": "0"})
    texts = " ".join(f.problem for f in check(copy).findings)
    assert "do not add up" in texts
    assert "n_machines is 3" in texts
    assert "schema version '0'" in texts
    edit_manifest(copy, lambda m: {"files": [*m.files, m.files[0]]})
    assert any("twice" in f.problem for f in check(copy).findings)
    edit_manifest(copy, lambda m: {"files": [e for e in m.files if e.table != "machines"], "rows": {}})
    assert any("no file of table 'machines'" in f.problem for f in check(copy).findings)
    entry = load_manifest(copy).files[0]
    edit_manifest(copy, lambda m: {"files": [entry.model_copy(update={"table": "secrets"}), *m.files[1:]]})
    assert any("'secrets'" in f.problem for f in check(copy).findings)


def test_row_counts_are_compared_with_the_files(copy):
    edit_manifest(copy, lambda m: {
        "files": [e.model_copy(update={"rows": e.rows + 1}) if e.table == "truth" else e for e in m.files],
        "rows": {**m.rows, "truth": m.rows["truth"] + 1},
    })  # fmt: skip
    assert "rows, the manifest says" in problems(copy)["truth/month=2026-01/part-00000.parquet"]


@pytest.mark.parametrize(
    ("path", "name", "value", "words"),
    [
        (READINGS, "power_kw", -0.5, "row 5: power_kw is -0.5, valid is 0 to 100000 kW"),
        (READINGS, "temperature_c", 1e4, "temperature_c"),
        (READINGS, "vibration_mm_s", math.inf, "vibration_mm_s is inf"),
        (READINGS, "status", "BROKEN", "status ['BROKEN'] is none of"),
        (READINGS, "status", None, "status ['None']"),
        (READINGS, "machine_id", None, "without machine_id"),
        (READINGS, "machine_id", "lyon-pump-999", "not in the machines table"),
        ("truth/month=2026-01/part-00000.parquet", "wear_frac", 1.5, "wear_frac is 1.5, valid is 0 to 1"),
        ("truth/month=2026-01/part-00000.parquet", "temp_c", math.nan, "temp_c is nan"),
        ("machines/part-00000.parquet", "rated_kw", -1.0, "rated_kw"),
        ("machines/part-00000.parquet", "machine_id", "lyon-pump-001", "comes twice"),
        ("factories/part-00000.parquet", "latitude_deg", 91.0, "latitude_deg"),
        ("labels/part-00000.parquet", "severity", 2.0, "severity"),
    ],
)
def test_values_that_the_schema_forbids_are_found(copy, path, name, value, words):
    edit_table(copy, path, lambda t: set_cell(t, name, 5 if t.num_rows > 5 else 0, value))
    assert words in " ".join(f.problem for f in check(copy).findings)


def test_a_silent_sensor_is_no_damage(copy):
    edit_table(copy, READINGS, lambda t: set_cell(t, "power_kw", 5, math.nan))
    assert problems(copy) == {}


def take(order: np.ndarray) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.take(pa.array(order))


def test_rows_out_of_order_and_doubled_are_found(copy):
    n = 23040
    swapped = np.arange(n)
    swapped[[7, 8]] = [8, 7]
    edit_table(copy, READINGS, take(swapped))
    assert "row 8: lyon-pump-001 is earlier than the row before" in problems(copy)[READINGS]
    edit_table(copy, READINGS, take(np.argsort(swapped)))
    assert problems(copy) == {}
    edit_table(copy, READINGS, take(np.insert(np.arange(n), 9, 8)))
    assert "row 9: lyon-pump-001 doubles the row before" in problems(copy)[READINGS]


def test_order_is_followed_from_one_batch_to_the_next(copy, monkeypatch):
    monkeypatch.setattr("nexova_sim.dataset.inspect.BATCH_ROWS", 100)
    assert problems(copy) == {}
    edit_table(copy, READINGS, take(np.insert(np.arange(23040), 100, 99)))
    assert "row 100" in problems(copy)[READINGS]


def test_rows_of_a_machine_stand_together(copy):
    edit_table(copy, READINGS, take(np.r_[10:2880, 2880:23040, 0:10]))
    assert "lyon-pump-001 comes twice" in problems(copy)[READINGS]


def test_rows_doubled_between_files_are_found(copy):
    rows = pq.ParquetFile(copy / READINGS).read()
    put_table(copy, READINGS.replace("00000", "00001"), rows.slice(100, 5))
    assert "double or overlap" in problems(copy)[READINGS.replace("00000", "00001")]


def test_times_must_fit_the_span_and_the_partition(copy):
    rows = pq.ParquetFile(copy / READINGS).read()
    put_table(copy, "readings/month=2026-02/part-00000.parquet", rows)
    (copy / READINGS).unlink()
    edit_manifest(
        copy, lambda m: {"files": [e for e in m.files if e.path != READINGS], "rows": {**m.rows, "readings": 23040}}
    )
    assert "do not belong under month=2026-02" in problems(copy)["readings/month=2026-02/part-00000.parquet"]
    rows = rows.slice(0, 1440)
    put_table(copy, "readings/date=2026-01-05/part-00000.parquet", rows)
    put_table(copy, "readings/date=2026-01-06/part-00000.parquet", rows)
    found = problems(copy)
    assert "readings/date=2026-01-05/part-00000.parquet" not in found
    assert "do not belong under date=2026-01-06" in " ".join(f.problem for f in check(copy).findings)
    edit_manifest(copy, lambda _: {"end": "2026-01-06T00:00:00Z"})
    assert "leave the dataset's span" in " ".join(f.problem for f in check(copy).findings)


def test_columns_types_and_units_must_be_those_of_the_schema(copy):
    def less(table: pa.Table) -> pa.Table:
        return table.drop_columns(["status"])

    def wide(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("power_kw")
        return table.set_column(
            at, table.schema.field(at).with_type(pa.float64()), pc.cast(table["power_kw"], pa.float64())
        )

    def horsepower(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index("power_kw")
        return table.set_column(at, table.schema.field(at).with_metadata({"unit": "hp"}), table["power_kw"])

    def nameless(table: pa.Table) -> pa.Table:
        return table.replace_schema_metadata({})

    rows = pq.ParquetFile(copy / READINGS).read()
    for change, words in (
        (less, "columns are"),
        (wide, "power_kw"),
        (horsepower, "power_kw"),
        (nameless, "schema metadata"),
    ):
        put_table(copy, READINGS, change(rows))
        assert words in problems(copy)[READINGS], change.__name__


def test_extra_channels_are_those_that_the_manifest_names(copy):
    rows = pq.ParquetFile(copy / READINGS).read()
    flow = pa.field("flow_m3_h", pa.float32(), metadata={"unit": "m3/h", "low": "0.0", "high": "50.0"})
    values = np.full(rows.num_rows, 20.0, np.float32)
    put_table(copy, READINGS, rows.append_column(flow, pa.array(values)))
    assert "columns are" in problems(copy)[READINGS]
    edit_manifest(copy, lambda _: {"extra_channels": ["flow_m3_h"]})
    assert problems(copy) == {}
    values[3] = 51.0
    put_table(copy, READINGS, rows.append_column(flow, pa.array(values)))
    assert "row 3: flow_m3_h is 51, valid is 0 to 50 m3/h" in problems(copy)[READINGS]


def test_a_file_that_is_no_parquet_is_found_even_when_its_hash_fits(copy):
    path = copy / "events/part-00000.parquet"
    path.write_bytes(b"PAR1" + b"\0" * 200 + b"PAR1")

    def listed(manifest: Manifest) -> dict:
        new = {"bytes": path.stat().st_size, "sha256": hash_file(path)}
        return {"files": [e.model_copy(update=new) if e.table == "events" else e for e in manifest.files]}

    edit_manifest(copy, listed)
    assert "cannot be read" in problems(copy)["events/part-00000.parquet"]
    entry = next(e for e in load_manifest(copy).files if e.table == "events")
    report = inspect_file(path, entry, load_manifest(copy))
    assert [f.path for f in report.findings] == ["events/part-00000.parquet"]


def test_every_table_has_an_order():
    assert set(ORDERS) == set(TABLES)
    for table, order in ORDERS.items():
        assert {order.key, order.time or order.key} <= {c.name for c in TABLES[table]}


def test_a_folder_that_is_no_dataset_is_an_error_and_a_damaged_manifest_a_finding(copy, tmp_path):
    with pytest.raises(DataError, match="no such dataset"):
        check(tmp_path / "nowhere")
    (copy / "manifest.json").write_text("{", encoding="utf-8")
    assert list(problems(copy)) == ["manifest.json"]
    (copy / "manifest.json").unlink()
    with pytest.raises(DataError, match="not a dataset"):
        check(copy)
