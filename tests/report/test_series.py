"""Time bins: compared with the obvious way of counting, and whatever the batches are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from nexova_sim.dataset.read import open_dataset
from nexova_sim.report.series import (
    CHANNELS,
    COLUMNS,
    add_batch,
    add_health,
    carry_forward,
    codes_of,
    empty_series,
    make_grid,
    milliseconds,
)
from nexova_sim.report.states import (
    CRITICAL,
    HEALTHY,
    MAINTENANCE,
    NO_DATA,
    OFFLINE,
    RUNNING,
    WARNING,
    coarse,
    health_class,
    runs_of,
    states_of,
)
from nexova_sim.schema.tables import table_of
from tests.tolerances import EXACT, REORDER

DAY_MS = 86_400_000


def readings(machine, minutes, power, status="ONLINE"):
    n = len(minutes)
    columns = {
        "machine_id": pa.array([machine] * n).dictionary_encode().cast(pa.dictionary(pa.int16(), pa.string())),
        "timestamp": pa.array([m * 60_000 for m in minutes], pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
        "power_kw": pa.array(power, pa.float32()),
        "temperature_c": pa.array([40.0] * n, pa.float32()),
        "vibration_mm_s": pa.array([None] * n, pa.float32()),
        "runtime_h": pa.array([1.0] * n, pa.float32()),
        "status": pa.array([status] * n).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
    }
    return table_of("readings", columns).to_batches()[0]


@pytest.mark.parametrize("batch_rows", [997, 524_288])
def test_bins_hold_what_a_plain_count_finds(tiny_dataset, batch_rows):
    dataset = open_dataset(tiny_dataset)
    ids = dataset.machine_ids()
    start = int(np.datetime64("2026-01-05", "ms").astype(np.int64))
    grid = make_grid(start, start + 2 * DAY_MS, 100, 60.0)
    series = empty_series(grid, len(ids), 60.0)
    for batch in dataset.scan("readings", columns=COLUMNS, batch_rows=batch_rows):
        add_batch(series, batch, ids)
    frame = dataset.read("readings").to_pandas()
    stamp = frame["timestamp"].dt.as_unit("ms").astype("int64")
    frame["bin"] = (stamp - start) // grid.width_ms
    for number, name in enumerate(CHANNELS):
        for (machine, b), part in frame.groupby(["machine_id", "bin"], observed=True)[name]:
            i = ids.index(machine)
            known = part.dropna().to_numpy(np.float64)
            assert series.n_valid[number, i, b] == len(known)
            if len(known):
                low, high = series.low[number, i, b], series.high[number, i, b]
                np.testing.assert_allclose([low, high], [known.min(), known.max()], **EXACT)
                np.testing.assert_allclose(series.mean(number)[i, b], known.mean(), **REORDER)
    kwh = frame.groupby("machine_id", observed=True)["power_kw"].apply(lambda p: p.astype("f8").sum() / 60.0)
    np.testing.assert_allclose(series.energy_kwh.sum(axis=1), [kwh[i] for i in ids], **REORDER)
    assert series.status.sum() == len(frame)
    last = frame.groupby("machine_id", observed=True)["status"].last()
    names = ("ONLINE", "OFFLINE", "MAINTENANCE")
    assert [names[c] for c in series.last_status] == [last[i] for i in ids]


def test_a_spike_of_one_reading_survives_the_widest_bins():
    grid = make_grid(0, 365 * DAY_MS, 48)
    series = empty_series(grid, 1, 60.0)
    add_batch(series, readings("m", range(3000), [5.0] * 1234 + [99.0] + [5.0] * 1765), ["m"])
    assert np.nanmax(series.high[0]) == 99.0 and grid.n_bins <= 48


def test_energy_counts_each_reading_until_the_next_at_most_one_step():
    series = empty_series(make_grid(0, DAY_MS, 24), 1, 600.0)
    # 0 to 5 min, 5 to 15 min; then a gap: the last two stand for one step of 10 min each.
    add_batch(series, readings("m", [0, 5, 15, 300], [60.0, 60.0, 60.0, float("nan")]), ["m"])
    np.testing.assert_allclose(series.energy_kwh.sum(), 60.0 * 25 / 60, **REORDER)


def test_rows_outside_the_span_and_of_unknown_machines_are_left_out():
    series = empty_series(make_grid(0, 3_600_000, 48), 1, 60.0)
    add_batch(series, readings("stranger", [1, 2], [1.0, 1.0]), ["m"])
    add_batch(series, readings("m", [-5, 61, 90], [1.0, 1.0, 1.0]), ["m"])
    assert series.n_valid.sum() == 0 and series.last_ms[0] == -1 and series.last_status[0] == -1


@pytest.mark.parametrize(("span_s", "most", "dt_s", "width_s"), [
    (86_400, 480, 60, 300), (86_400, 480, 0, 300), (86_400, 480, 3600, 3600), (9.5 * 86_400, 480, 60, 1800),
    (365 * 86_400, 480, 60, 86_400), (30, 480, 0, 1), (3650 * 86_400, 48, 60, 77 * 86_400), (0.001, 48, 0, 1),
])  # fmt: skip
def test_grid_is_the_finest_round_one(span_s, most, dt_s, width_s):
    grid = make_grid(0, round(span_s * 1000), most, dt_s)
    assert grid.width_ms == width_s * 1000 and 1 <= grid.n_bins <= most
    edges = grid.edges_ms()
    assert edges[0] == 0 and edges[-2] < span_s * 1000 <= edges[-1]


def test_codes_of_text_null_and_unknown():
    names = ["b", "a"]
    plain = pa.array(["a", None, "b", "zz"])
    assert codes_of(plain, names).tolist() == [1, -1, 0, -1]
    assert codes_of(plain.dictionary_encode(), names).tolist() == [1, -1, 0, -1]
    assert milliseconds(pa.array([5, None], pa.timestamp("us", tz="UTC"))).tolist() == [0, -1]


def test_health_takes_the_last_value_of_a_bin_and_is_carried_forward():
    grid = make_grid(0, 4 * 3_600_000, 4)
    batch = pa.record_batch(
        {
            "machine_id": pa.array(["m", "m", "m"]).dictionary_encode(),
            "timestamp": pa.array([0, 60_000, 2 * 3_600_000], pa.timestamp("ms", tz="UTC")),
            "health_percent": pa.array([90.0, 70.0, 50.0], pa.float32()),
        }
    )
    percent = np.full((2, 4), np.nan)
    add_health(percent, grid, batch, ["m", "other"])
    np.testing.assert_array_equal(percent[0], [70.0, np.nan, 50.0, np.nan])
    np.testing.assert_array_equal(carry_forward(percent), [[70.0, 70.0, 50.0, 50.0], [np.nan] * 4])
    np.testing.assert_array_equal(carry_forward(np.array([[np.nan, 1.0]])), [[np.nan, 1.0]])


def test_states_follow_status_then_health():
    assert health_class(np.array([80.1, 80.0, 60.1, 60.0, np.nan])).tolist() == [
        HEALTHY,
        WARNING,
        WARNING,
        CRITICAL,
        RUNNING,
    ]
    series = empty_series(make_grid(0, 5_000, 5), 1, 1.0)
    series.status[:, 0] = [[9, 4, 0, 0, 3], [0, 5, 0, 2, 0], [0, 0, 0, 7, 0]]
    states = states_of(series, np.array([[90.0, 90.0, 90.0, 90.0, np.nan]]))[0]
    assert states.tolist() == [HEALTHY, OFFLINE, NO_DATA, MAINTENANCE, RUNNING]
    assert [tuple(r) for r in runs_of(np.array([0, 0, 3, 3, 1]))] == [(0, 2, 0), (2, 4, 3), (4, 5, 1)]
    assert runs_of(np.empty(0, np.int8)) == []


def test_coarse_keeps_the_most_frequent_and_of_equals_the_graver():
    row = np.array([HEALTHY, CRITICAL, HEALTHY, HEALTHY, OFFLINE, MAINTENANCE], np.int8)
    assert coarse(row, 3).tolist() == [CRITICAL, HEALTHY, MAINTENANCE]
    assert coarse(row, 6) is row
