"""Trends: least squares over the trailing window, from the past only."""

from __future__ import annotations

import numpy as np
import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset.enrich import enrich, trend
from nexova_sim.dataset.read import open_dataset

HOUR_MS = 3_600_000


def slow_trend(time_ms, values, window_s, min_points):
    """The definition, row by row."""
    out = np.full(len(time_ms), np.nan)
    for i, now in enumerate(time_ms):
        inside = (time_ms > now - window_s * 1000) & (time_ms <= now) & np.isfinite(values)
        if inside.sum() >= min_points:
            t, y = time_ms[inside] / HOUR_MS, values[inside]
            t = t - t.mean()
            if (t * t).sum() > 0:
                out[i] = (t * (y - y.mean())).sum() / (t * t).sum()
    return out


@pytest.mark.parametrize(
    ("step_ms", "window_s"), [(1000, 60), (60_000, 3600), (900_000, 3600), (60_000, 90), (7_200_000, 3600)]
)
def test_trend_equals_its_definition(step_ms, window_s):
    rng = np.random.default_rng(5)
    time_ms = 1_767_225_600_000 + np.cumsum(rng.integers(1, 2 * step_ms, 400))
    values = 70 + rng.normal(0, 3, 400)
    values[rng.random(400) < 0.1] = np.nan
    for min_points in (2, 3, 5):
        assert trend(time_ms, values, window_s, min_points) == pytest.approx(
            slow_trend(time_ms, values, window_s, min_points), rel=1e-6, abs=1e-6, nan_ok=True
        )


def test_a_straight_line_has_its_slope_after_a_year():
    time_ms = np.arange(365 * 24 * 12, dtype=np.int64) * 300_000
    slope = trend(time_ms, 20.0 + 0.25 * time_ms / HOUR_MS, 3600.0)
    assert np.isnan(slope[:2]).all()
    assert slope[2:] == pytest.approx(0.25, rel=1e-6)


def test_trend_sees_no_later_row():
    rng = np.random.default_rng(1)
    time_ms = np.cumsum(rng.integers(1, 120_000, 200))
    values = rng.normal(size=200)
    whole = trend(time_ms, values, 1800.0)
    for cut in (3, 50, 120):
        changed = values.copy()
        changed[cut:] = 1e9
        # Sums of the bin before may round differently, but nothing of the future shows.
        assert trend(time_ms, changed, 1800.0)[:cut] == pytest.approx(whole[:cut], rel=1e-9, nan_ok=True)
        assert trend(time_ms[:cut], values[:cut], 1800.0) == pytest.approx(whole[:cut], rel=1e-9, nan_ok=True)


def test_trend_of_nothing_and_of_one():
    assert len(trend(np.empty(0, np.int64), np.empty(0), 60.0)) == 0
    assert np.isnan(trend(np.array([5]), np.array([1.0]), 60.0)).all()
    assert np.isnan(trend(np.array([5, 6]), np.array([np.nan, np.nan]), 60.0, 2)).all()


def test_bad_arguments():
    with pytest.raises(ConfigError, match="window_s"):
        trend(np.array([1]), np.array([1.0]), float("nan"))
    with pytest.raises(ConfigError, match="min_points"):
        trend(np.array([1]), np.array([1.0]), 60.0, 1)
    with pytest.raises(DataError, match="ascend"):
        trend(np.array([2, 2]), np.array([1.0, 2.0]), 60.0)


def test_enrich_works_machine_by_machine(tiny_dataset):
    readings = open_dataset(tiny_dataset).read()
    got = enrich(readings, 1800.0)
    assert got.column_names[: len(readings.column_names)] == readings.column_names
    assert got.schema.field("temperature_trend_k_per_h").metadata[b"unit"] == b"K/h"
    machine = np.array(readings.column("machine_id").to_pylist())
    one = machine == machine[-1]
    time_ms = readings.column("timestamp").cast("int64").to_numpy()[one]
    for source, name in (("power_kw", "power_trend_kw_per_h"), ("temperature_c", "temperature_trend_k_per_h")):
        alone = trend(time_ms, readings.column(source).to_numpy()[one], 1800.0)
        assert got.column(name).to_numpy()[one] == pytest.approx(alone, nan_ok=True)
    with pytest.raises(DataError, match="stand together"):
        enrich(readings.take(np.r_[np.flatnonzero(one)[:2], np.flatnonzero(~one)[:2], np.flatnonzero(one)[2:4]]))
