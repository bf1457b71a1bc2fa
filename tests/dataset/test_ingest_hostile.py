"""Hostile and broken files: wrong rows become rejects with a reason, wrong files are refused whole."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import plant_files
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plant_files import put

from nexova_sim.base.errors import ConfigError, DataError, LockedError, NexovaError
from nexova_sim.config.ingest import IngestMap
from nexova_sim.dataset import foreign, rejects
from nexova_sim.dataset.check import check
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.rejects import Rejects, safe_cell, summary, write_rejects
from nexova_sim.dataset.stage import staged
from nexova_sim.run.ingest import IngestResult, ingest, preview

GOOD = "".join(f"2026-01-05 {h:02}:00,{h},20\n" for h in range(24))
CHANNELS = {"power_kw": {"column": "kw", "unit": "kW"}, "temperature_c": {"column": "c", "unit": "degC"}}


def mapped(**changes) -> IngestMap:
    return plant_files.mapped(**{"channels": CHANNELS, **changes})


def run(folder: Path, data: str | bytes, frac: float = 0.2, **changes) -> IngestResult:
    done = ingest([put(folder, data)], mapped(**changes), folder / "out", frac)
    assert check(folder / "out").findings == ()
    return done


def refused(folder: Path, data: str | bytes, name: str = "a.csv", frac: float = 0.2, **changes) -> str:
    """The message of the refusal; nothing may have been written beside the input."""
    path = put(folder, data, name)
    before = sorted(folder.iterdir())
    with pytest.raises(DataError) as caught:
        ingest([path], mapped(**changes), folder / "deep" / "out", frac)
    assert sorted(folder.iterdir()) == before
    assert caught.value.exit_code == 3
    return caught.value.message


def rejected(folder: Path) -> list[tuple[str, str]]:
    with (folder / "out/rejects/rejects-00000.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return [(row["line"], row["reason"]) for row in rows]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-01-06 00:00,1", "wrong number of columns"),
        ("2026-01-06 00:00,1,2,3", "wrong number of columns"),
        ('2026-01-06 00:00,"1,2', "malformed line (quotes or a stray line break)"),
        ('2026-01-06 00:00,"1"x,2', "malformed line (quotes or a stray line break)"),
        ("2026-01-06 00:00,1\r,2", "malformed line (quotes or a stray line break)"),
        ("2026-01-06 00:00,abc,20", "power_kw: not a number"),
        ("2026-01-06 00:00,1_000,20", "power_kw: not a number"),
        ('2026-01-06 00:00,"1,000",20', "power_kw: not a number"),
        ("2026-01-06 00:00,inf,20", "power_kw: not finite"),
        ("2026-01-06 00:00,-Infinity,20", "power_kw: not finite"),
        ("2026-01-06 00:00,1e999,20", "power_kw: not finite"),
        ("2026-01-06 00:00,-1,20", "power_kw: outside 0 to 100000 kW"),
        ("2026-01-06 00:00,1,5000", "temperature_c: outside -60 to 400 degC"),
        ("2026-01-06 00:00,1,5000,", "wrong number of columns"),
        (",1,20", "timestamp: missing"),
        ("yesterday,1,20", "timestamp: unreadable"),
        ("2026-02-30,1,20", "timestamp: unreadable"),
        ("2026-01-06 24:00,1,20", "timestamp: unreadable"),
        ("06/01/2026 00:00,1,20", "timestamp: unreadable"),
        ("1767657600,1,20", "timestamp: unreadable"),
        ("1969-12-31 23:59,1,20", "timestamp: outside 1970 to 2200"),
        ("9999-12-31 23:59,1,20", "timestamp: outside 1970 to 2200"),
        ("t,kw,c", "timestamp: unreadable"),
        ("2026-01-05 03:00,7,20", "duplicate: machine and timestamp stand earlier in the file"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_reason(tmp_path, row, reason):
    text = "t,kw,c\n" + GOOD + row + "\n2026-01-07,5,20\n"
    done = run(tmp_path, text)
    assert rejected(tmp_path) == [("26", reason)]
    assert done.report["reasons"] == {reason: 1}
    assert done.manifest.rows["readings"] == 25
    assert "rejects/rejects-00000.csv" in {f.path for f in done.manifest.files}


def test_first_of_doubles_is_kept_and_overlapping_exports_are_no_fault(tmp_path):
    files = [put(tmp_path, "t,kw,c\n" + GOOD, "a.csv"), put(tmp_path, "t,kw,c\n" + GOOD.replace(",20", ",30"), "b.csv")]
    done = ingest(files, mapped(), tmp_path / "out", 0.0)
    assert done.report["reasons"] == {"duplicate: machine and timestamp stand in another file": 24}
    assert set(open_dataset(tmp_path / "out").read().column("temperature_c").to_pylist()) == {20.0}
    assert "duplicate" in refused(tmp_path, "t,kw,c\n" + GOOD + GOOD, "c.csv")


def test_missing_cells_and_blank_lines_are_counted(tmp_path):
    done = run(tmp_path, "t,kw,c\n" + GOOD + "\n   \n2026-01-06,,NaN\n2026-01-07,n/a,-\n\n")
    assert done.report["blank_lines"] == 3 and done.report["rejected"] == 0
    assert done.report["missing"]["power_kw"] == 2 and done.report["missing"]["temperature_c"] == 2


def test_bad_machine_and_status(tmp_path):
    text = "t,kw,c,id,s\n2026-01-05,1,2,m1,on\n2026-01-05,1,2,../../etc,on\n2026-01-05,1,2,,on\n2026-01-05,1,2,m2,?\n"
    run(tmp_path, text, 0.9, machine={"column": "id"}, status={"column": "s", "values": {"on": "ONLINE"}})
    assert [reason.split(" (")[0] for _, reason in rejected(tmp_path)] == [
        "machine: not a valid id",
        "machine: missing",
        "status: text not listed in status.values",
    ]
    assert open_dataset(tmp_path / "out").machine_ids() == ("m1",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"t,kw,c\n", "no rows"),
        (b"\n\n", "header is blank"),
        (b"t,kw,c\n\n\n", "no rows"),
        (b"t,kw\n" + GOOD.encode(), "has no column 'c'"),
        (b"time,kw,c\n1,2,3\n", "has no column 't'"),
        (b"t,KW,c\n1,2,3\n", "did you mean 'KW'"),
        (b"t;kw;c\n1;2;3\n", "separated by ';'"),
        (b"t,kw,c,kw\n1,2,3,4\n", "stands twice"),
        (b't,"kw,c\n1,2,3\n', "header is malformed"),
        (b"t,kw,c\r1,2,3\r", "CR alone"),
        (b"t,kw,c\n2026-01-05,1,\x00\n", "byte offset 20: a NUL"),
        (b"\x00\x01\x02", "NUL"),
        ("t,kw,c\n".encode("utf-16"), "UTF-16"),
        ("t,kw,c\n".encode("utf-16-le"), "NUL"),
        (b"t,kw,c\n2026-01-05,1,2\nz\xe9,1,2\n", "byte offset 23 (line 3): byte 0xE9 is not utf-8"),
        (b"t,kw,c\xb0C\n", "byte offset 6"),
        (b"\x1f\x8b\x08\x00abc", "gzip"),
        (b"PK\x03\x04abcd", "Excel"),
        (b"PAR1garbagePAR1", "not readable Parquet"),
        (b"t,kw,c\nx,1,2\ny,1,2\n", "no row can be kept (timestamp: unreadable: 2)"),
        (b"t,kw,c\n" + b"x,1,2\n" * 7 + GOOD.encode(), "7 of 31 rows"),
        (b"x," * 5000 + b"\n1\n", "5001 columns"),
        (b"x" * 1_200_000, "line 1 is longer"),
        (b"t,kw,c\n" + b"1" * 1_200_000 + b"\n", "longer than"),
        (b"t,kw,c\n" + b"1" * 4_000_000, "a line over"),
    ],
)
def test_a_broken_file_is_refused_and_nothing_is_written(tmp_path, data, says):
    assert says in refused(tmp_path, data)


def test_one_broken_file_refuses_all(tmp_path):
    good, bad = put(tmp_path, "t,kw,c\n" + GOOD), put(tmp_path, "t,kw\n" + GOOD, "b.csv")
    with pytest.raises(DataError, match=r"b\.csv"):
        ingest([good, bad], mapped(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_paths_that_are_no_files(tmp_path):
    good = put(tmp_path, "t,kw,c\n" + GOOD)
    for path, says in (
        (tmp_path, "folder"),
        (tmp_path / "a.cvs", "did you mean 'a.csv'"),
        (Path("/dev/null"), "regular"),
    ):
        with pytest.raises(DataError, match=says):
            ingest([path], mapped(), tmp_path / "out")
    with pytest.raises(ConfigError, match="given twice"):
        ingest([good, tmp_path / "." / "a.csv"], mapped(), tmp_path / "out")
    with pytest.raises(ConfigError, match="no files"):
        ingest([], mapped(), tmp_path / "out")
    with pytest.raises(ConfigError, match="max-reject-frac"):
        ingest([good], mapped(), tmp_path / "out", 1.5)


def test_encodings(tmp_path):
    for number, (encoding, rule) in enumerate(
        (("utf-8-sig", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("latin-1", "latin-1"), ("cp1252", "cp1252"))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        text = ("t,kw,°C\n" + GOOD).encode(encoding)
        channels = {**CHANNELS, "temperature_c": {"column": "°C", "unit": "degC"}}
        assert run(folder, text, encoding=rule, channels=channels).report["readings"] == 24


def test_byte_offsets_of_rejects_survive_bom_and_crlf(tmp_path):
    run(tmp_path, b"\xef\xbb\xbft,kw,c\r\n" + GOOD.replace("\n", "\r\n").encode() + b"bad row,1,2")
    text = (tmp_path / "out/rejects/rejects-00000.csv").read_text()
    assert text.splitlines()[1] == 'a.csv,26,timestamp: unreadable,"bad row,1,2"'


def test_rejects_file_is_safe_to_open(tmp_path):
    evil = "=cmd|' /C calc'!A0,1,2"
    run(tmp_path, "t,kw,c\n" + GOOD + evil + "\n@x,1,2\n" + "y" * 5000 + "\n\x1b[31m,1,2\n")
    with (tmp_path / "out/rejects/rejects-00000.csv").open(newline="", encoding="utf-8") as handle:
        raws = [row["raw"] for row in csv.DictReader(handle)]
    assert raws[0] == "'" + evil and raws[1].startswith("'@")
    assert len(raws[2]) == foreign.RAW_CHARS and raws[3] == "\\x1b[31m,1,2"


def test_safe_cells():
    for start in "=+-@":
        assert safe_cell(f"{start}1+1")[0] == "'"
        assert safe_cell(f" {start}1+1")[0] == "'"
    assert safe_cell("a;=1+1") == "a;'=1+1"
    assert safe_cell("a;-0.5;-1e-3") == "a;-0.5;-1e-3"
    assert safe_cell("a;-1+1") == "a;'-1+1"
    assert safe_cell("a\nb\tc") == "a\\x0ab\\x09c"


def test_too_many_rejects_are_not_collected(monkeypatch, tmp_path):
    monkeypatch.setattr(rejects, "MAX_REJECTS", 3)
    found = Rejects()
    code = found.code("bad")
    one = np.array([1], np.int64)
    for _ in range(3):
        found.add(0, one, one, np.array([code], np.int16))
    with pytest.raises(DataError, match="more than 3"):
        found.add(0, one, one, np.array([code], np.int16))
    assert summary({"a": 1, "b": 2}) == "b: 2, a: 1"
    assert write_rejects(tmp_path, Rejects(), [], mapped()) == 0
    assert (tmp_path / rejects.REJECTS_PATH).read_text() == "file,line,reason,raw\n"


def test_parquet_that_is_broken_or_does_not_fit(tmp_path):
    assert "not Parquet" in refused(tmp_path, "t,kw,c\n" + GOOD, "a.parquet")
    table = pa.table({"t": ["2026-01-05", "2026-01-06"], "kw": [1.0, 2.0], "c": [[1], [2]]})
    pq.write_table(table, tmp_path / "nested.parquet")
    assert "not numbers" in refused(tmp_path, (tmp_path / "nested.parquet").read_bytes(), "b.parquet")
    good = table.set_column(2, "c", pa.array([1.0, 2.0]))
    pq.write_table(good, tmp_path / "good.parquet")
    data = (tmp_path / "good.parquet").read_bytes()
    assert "Parquet" in refused(tmp_path, data[:-20], "c.parquet")
    pq.write_table(good.slice(0, 0), tmp_path / "none.parquet")
    assert "no rows" in refused(tmp_path, (tmp_path / "none.parquet").read_bytes(), "d.parquet")
    raw = pa.array([b"2026-01-05", b"\xff\xfe"]).view(pa.string())
    pq.write_table(good.set_column(0, "t", raw), tmp_path / "utf8.parquet")
    assert "near row 1" in refused(tmp_path, (tmp_path / "utf8.parquet").read_bytes(), "f.parquet")
    # Flipped bits in a data page, which the footer does not show.
    pq.write_table(good, tmp_path / "sum.parquet", write_page_checksum=True, compression="zstd")
    flipped = bytearray((tmp_path / "sum.parquet").read_bytes())
    flipped[40] ^= 0xFF
    assert "damaged near row" in refused(tmp_path, bytes(flipped), "e.parquet")


def test_output_that_is_in_the_way(tmp_path):
    path = put(tmp_path, "t,kw,c\n" + GOOD)
    (tmp_path / "mine").mkdir()
    keep = put(tmp_path / "mine", "mine", "keep.txt")
    with pytest.raises(ConfigError):
        ingest([path], mapped(), tmp_path / "mine", overwrite=True)
    assert keep.read_text() == "mine"
    with staged(tmp_path / "busy", {"other": 1}), pytest.raises(LockedError):
        ingest([path], mapped(), tmp_path / "busy")


def test_an_input_that_changes_while_it_is_read_is_refused(tmp_path):
    path = put(tmp_path, "t,kw,c\n" + GOOD)
    with pytest.raises(DataError, match="changed"):
        ingest(
            [path], mapped(), tmp_path / "out", progress=lambda done, total: path.write_text("t,kw,c\n" + GOOD + GOOD)
        )
    assert not (tmp_path / "out").exists()


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "BLOCK_BYTES", 1 << 16)
    peaks = []
    for n_days in (4, 40):
        lines = [
            f"2026-{1 + d // 28:02}-{1 + d % 28:02} {h:02}:{m:02},{h}.5,20.25\n"
            for d in range(n_days)
            for h in range(24)
            for m in range(60)
        ]
        path = put(tmp_path, "t,kw,c\n" + "".join(lines), f"{n_days}.csv")
        del lines
        tracemalloc.start()
        ingest([path], mapped(partition="day"), tmp_path / f"out{n_days}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300), st.text(alphabet='t,kwc\n\r"0123456789-: .;=\x00é', max_size=300).map(str.encode)
    )
)
def test_any_bytes_give_a_dataset_or_a_named_error(tmp_path, data):
    path = put(tmp_path, b"t,kw,c\n2026-01-05,1,2\n" + data)
    try:
        seen = preview([path], mapped(), 1.0)
    except NexovaError as error:
        assert error.message
    else:
        n_lines = seen["readings"] + seen["rejected"] + seen["blank_lines"]
        assert n_lines == (b"2026-01-05,1,2\n" + data).count(b"\n") + (not data.endswith(b"\n") and bool(data))
