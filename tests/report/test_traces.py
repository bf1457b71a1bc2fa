"""Packed readings, the latest rows, findings in words: what the page's script and its overview are made of."""

from __future__ import annotations

import base64
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.report import tables
from nexova_sim.report.briefs import BRIEFS, brief
from nexova_sim.report.chapters import CHAPTERS
from nexova_sim.report.html import shown_state
from nexova_sim.report.latest import latest, latest_rows
from nexova_sim.report.traces import NOTHING, bins_of, packed, trace, traces
from tests.report_fleet import END, START, fleet


def rows_of(data, truth=True):
    faults = tables.fault_rows(data.labels)
    return tables.machine_rows(data, faults, tables.stop_rows(data.events, END)), tables.fleet_states(data)


def test_codes_hold_values_and_gaps():
    values = np.array([2.0, np.nan, 4.0, 3.0])
    codes = packed(values, 2.0, 4.0)
    assert codes.tolist() == [0, NOTHING, NOTHING - 1, (NOTHING - 1) // 2]
    assert packed(np.array([5.0, np.nan]), 5.0, 5.0).tolist() == [0, NOTHING]


def test_bins_shrink_with_the_fleet():
    assert bins_of(480, 10) == 1
    assert bins_of(480, 1000) == 4
    assert bins_of(480, 100_000) == 5
    assert bins_of(30, 1) == 1


def test_a_trace_gives_back_the_readings():
    data = fleet()
    machines, states = rows_of(data)
    one = trace(data.series, states[1], 1, machines[1], 2)
    codes = np.frombuffer(base64.b64decode(one["bins"]), "<u2").reshape(10, 48)
    low, high = one["ranges"][0]
    mean = codes[0] / (NOTHING - 1) * (high - low) + low
    assert np.abs(mean[codes[0] != NOTHING] - 10.0).max() < 1e-3
    assert (codes[0] == NOTHING).sum() == 10
    assert one["faults"][0][2] == "cooling_loss"
    found = traces(data.series, states, machines)
    assert found["machines"][0]["failures"] == [START + 15 * 3_600_000]
    assert found["edges"][0] == START
    json.dumps(found, allow_nan=False)
    data.series.total[2], data.series.n_valid[2] = 0.0, 0
    assert trace(data.series, states[0], 0, machines[0], 1)["ranges"][2] is None


def test_state_is_health_or_without_truth_the_status():
    machines, _ = rows_of(fleet())
    assert [shown_state(m, True) for m in machines] == [
        ("healthy", "HEALTHY"), ("critical", "CRITICAL"), ("offline", "OFFLINE")]  # fmt: skip
    machines, _ = rows_of(fleet(truth=False))
    assert [shown_state(m, False)[1] for m in machines] == ["ONLINE", "ONLINE", "MAINTENANCE"]


def test_latest_gives_every_machine_its_share():
    machine = np.array([0] * 50 + [1, 2])
    at = np.r_[np.arange(50) + 100, 1, 2]
    found = latest(machine, at, 3, 6)
    assert found[:3].tolist() == [49, 48, 47]
    assert sorted(found[3:].tolist()) == [46, 50, 51]
    assert (np.diff(at[found]) < 0).all()
    assert latest(machine[:0], at[:0]).tolist() == []
    assert len(latest(machine, at, 100, 2000)) == 52


def test_latest_rows_come_whole_and_in_order(tmp_path):
    n = 5000
    when = np.random.default_rng(1).permutation(n) * 60_000 + START
    table = pa.table({"machine_id": [f"m{k % 7}" for k in range(n)], "n": np.arange(n),
                      "raised": pa.array(when).cast(pa.timestamp("ms", tz="UTC"))})  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=512)
    rows = latest_rows(tmp_path / "t.parquet", "raised", ("n",), 10)
    assert len(rows) == 2000
    assert [r["n"] for r in rows[:10]] == np.argsort(-when)[:10].tolist()
    assert rows[0]["raised"] == "2026-01-08 11:19"


def test_every_chapter_has_its_finding_and_damage_is_named(tmp_path):
    assert set(BRIEFS) == set(CHAPTERS)
    assert brief("no such", tmp_path) == ""
    for name in BRIEFS:
        with pytest.raises(DataError, match="damaged"):
            brief(name, tmp_path)
    (tmp_path / "summary.json").write_text('{"machines": []}', encoding="utf-8")
    assert brief("twin", tmp_path) == "No machine could be followed."
