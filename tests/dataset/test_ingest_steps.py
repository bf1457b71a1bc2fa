"""The steps from plant files to a dataset one by one: blocks of a file, numbers and times, spill, history, tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plant_files import mapped, put

from nexova_sim.base.errors import DataError
from nexova_sim.config.ingest import TimestampMap
from nexova_sim.dataset import parse
from nexova_sim.dataset.convert import (
    check_columns,
    machine_of_file,
    required_columns,
    understand,
    wanted_columns,
)
from nexova_sim.dataset.foreign import blocks, csv_blocks, open_all, parquet_blocks, raw_texts
from nexova_sim.dataset.history import History, advance, finish
from nexova_sim.dataset.ingest import (
    count_late,
    factories_table,
    machines_table,
    new_history,
    readings_parts,
    survey,
    take_in,
)
from nexova_sim.dataset.spill import load_part, plan_parts, write_spill
from nexova_sim.run.ingest import describe, ingest_hash, no_progress


def test_rooms_below_agree(tmp_path):
    """The steps of the pipeline one by one, with the counts that pass from one to the next."""
    path = put(tmp_path, "t,kw,x\n2026-01-05 01:00,1,5\n2026-01-05 00:00,2,6\n2026-01-05 00:00,3,7\nbad,4,8\n")
    rule = mapped()
    files = open_all([path], rule)
    assert required_columns(rule) == {"t": "timestamp.column", "kw": "channels.power_kw"}
    check_columns(files[0], rule)
    layout = understand(files, rule)
    assert wanted_columns(files[0], rule, layout) == ["t", "kw", "x"]
    assert machine_of_file(files[0], rule) == "m1"
    (block,) = list(blocks(files[0], rule, ["kw"]))
    assert block.columns["kw"].to_pylist() == ["1", "2", "3", "4"] and block.line.tolist() == [2, 3, 4, 5]
    assert list(raw_texts(files[0], rule, block.line[-1:], block.offset[-1:])) == ["bad,4,8"]
    assert next(csv_blocks(files[0], rule, ["x"])).columns["x"].to_pylist() == ["5", "6", "7", "8"]
    intake = take_in([path], rule, tmp_path, no_progress)
    assert plan_parts(intake.spill, intake.rank, "day")[0].label == "date=2026-01-05"
    assert load_part(intake.spill, intake.parts[0], intake.rank).is_double.tolist() == [False, True, False]
    found = survey(intake, 0.5)
    assert (found.n_rows, found.dt_s, intake.tallies[0].n_late) == (2, 3600.0, 2)
    history = new_history(rule, found)
    ((_, table, rank),) = readings_parts(intake, rule, history)
    assert table.column("power_kw").to_pylist() == [2.0, 1.0] and rank.tolist() == [0, 0]
    assert describe(intake, found, rule)["rejected"] == 2
    assert machines_table(["m1"], rule, {"m1": 3.0}).column("runtime_start_h").to_pylist() == [3.0]
    assert factories_table(rule).column("timezone").to_pylist() == ["UTC"]
    assert ingest_hash(files, rule) != ingest_hash(files, mapped(name="other"))


def test_parquet_blocks_count_rows(tmp_path):
    pq.write_table(pa.table({"t": ["2026-01-05"] * 3, "kw": [1, 2, 3]}), tmp_path / "a.parquet")
    (file,) = open_all([tmp_path / "a.parquet"], mapped())
    (block,) = list(parquet_blocks(file, ["kw"]))
    assert block.line.tolist() == [1, 2, 3]


def test_history_does_not_depend_on_cuts():
    ts = np.arange(10, dtype=np.int64) * 1000
    columns = {
        "ts": ts,
        "status": np.array([0, 0, 1, 1, 0, 0, 0, 2, 0, 0], np.int8),
        "label0": np.array([0, 1, 1, 0, 1, 1, 1, 0, 0, 1], np.int8),
    }
    answers = []
    for cuts in ([0, 10], [0, 3, 10], list(range(11))):
        history = History(1, 0, 5000, 1000)
        pieces = [
            advance(history, np.zeros(b - a, np.int64), {n: v[a:b] for n, v in columns.items()})
            for a, b in pairwise(cuts)
        ]
        finish(history)
        answers.append((np.concatenate(pieces).tolist(), history.events, history.intervals))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0][-1] == pytest.approx(6 / 3600)
    assert answers[0][2] == [(0, 0, 1000, 3000, False), (0, 0, 4000, 7000, False), (0, 0, 9000, 10_000, True)]


def test_count_late():
    latest = np.array([-1, -1], np.int64)
    assert count_late(np.array([0, 1, 0, 0]), np.array([5, 1, 4, 6]), latest) == 1
    assert count_late(np.array([0, 1]), np.array([5, 2]), latest) == 1
    assert latest.tolist() == [6, 2]


def test_spill_refuses_nothing_but_nothing(tmp_path):
    with pytest.raises(DataError, match="no row"):
        write_spill(tmp_path / "s", [{"ts": np.empty(0, np.int64), "code": np.empty(0, np.int16)}])


def test_numbers_and_texts():
    cells = pa.array([" 1 ", "+2", "1e3", ".5", "nan", "", None, "inf", "1e999", "1_0", "0x1", "1 2", "12kW", "\u0661"])
    found = parse.numbers(cells, ".", ["", "nan"])
    assert found.values[:4].tolist() == [1.0, 2.0, 1000.0, 0.5]
    assert (
        found.verdict.tolist() == [parse.OK] * 4 + [parse.MISSING] * 3 + [parse.NOT_FINITE] * 2 + [parse.UNREADABLE] * 5
    )
    assert np.isnan(found.values[4:]).all()
    assert parse.as_text(cells.slice(4, 2), [""]).to_pylist() == ["nan", None]
    assert parse.is_text(pa.string()) and not parse.is_text(pa.int8())
    assert parse.is_number(pa.decimal128(5, 2)) and not parse.is_number(pa.timestamp("s"))


def test_times_of_typed_columns():
    zoned = pa.array([0, 3_600_000], pa.timestamp("ms", tz="Asia/Tokyo"))
    rule = TimestampMap(column="t", timezone="Europe/Paris")
    assert parse.times([zoned], rule, [], "f").ms.tolist() == [0, 3_600_000]
    assert parse.times([pa.array([1.5])], TimestampMap(column="t", format="unix_s"), [], "f").ms.tolist() == [1500]
    with pytest.raises(DataError, match="unix_s"):
        parse.times([pa.array([1])], rule, [], "f")
