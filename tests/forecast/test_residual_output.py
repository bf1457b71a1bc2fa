"""Day-ahead residuals know nothing of the day they judge; a finished forecast is read back as arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.forecast.forecasters import Options
from nexova_sim.forecast.hours import assemble
from nexova_sim.forecast.output import FORECAST_NAME, expected_kw, read_forecast
from nexova_sim.forecast.residual import DAY_H, SLOW, day_ahead

HOURS = 24 * 30


def made(energy):
    return assemble(1_767_571_200_000, ["a", "b"], ["f", "f"], energy, ForecastConfig(), {"f": "UTC"})


def usual():
    rng = np.random.default_rng(3)
    shape = 10.0 + 4.0 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi)
    return shape * np.array([[1.0], [2.0]]) + 0.3 * rng.standard_normal((2, HOURS))


def test_residuals_are_small_when_all_is_usual_and_show_a_jump_the_day_it_happens():
    energy = usual()
    found = day_ahead(made(energy), "median4", 1440, Options(), 5)
    assert found.z.shape == (3, 5 * DAY_H)
    assert found.start_ms == 1_767_571_200_000 + (HOURS - 5 * 24) * 3_600_000
    assert np.median(np.abs(found.z)) < 1.5
    energy[0, -24:] += 6.0
    jumped = day_ahead(made(energy), "median4", 1440, Options(), 5)
    assert (jumped.z[0, -24:] > 4.0).all()
    np.testing.assert_array_equal(jumped.z[0, :-24], found.z[0, :-24])
    np.testing.assert_array_equal(jumped.mean_kwh[0], found.mean_kwh[0])


def test_days_without_history_and_slow_models():
    assert day_ahead(made(usual()[:, :350]), "median4", 1440, Options(), 14).z.shape == (3, 0)
    assert day_ahead(made(usual()), SLOW[0], 1440, Options(), 1).model == "blend"
    energy = usual()
    energy[0, -5:] = np.nan
    found = day_ahead(made(energy), "median4", 1440, Options(), 1)
    assert np.isnan(found.z[0, -5:]).all()
    assert np.isfinite(found.z[1]).all()


def write(path, n=3, rows=None):
    hours = pa.array(np.tile(1000 * 3600 * np.arange(4), n)[:rows], pa.int64()).cast(pa.timestamp("ms", tz="UTC"))
    values = np.arange(4.0 * n)[:rows]
    names = pa.array([f"m{i}" for i in range(n) for _ in range(4)][:rows], pa.string())
    levels = pa.array(["machine"] * len(names), pa.string())
    pq.write_table(pa.table({"series": names, "level": levels, "timestamp": hours, "mean_kwh": values,
                             "low_kwh": values - 1, "high_kwh": values + 1}), path)  # fmt: skip


def test_a_forecast_is_read_back(tmp_path):
    (tmp_path / "predict").mkdir()
    write(tmp_path / "predict" / FORECAST_NAME)
    week = read_forecast(tmp_path)
    assert week.ids == ("m0", "m1", "m2")
    np.testing.assert_array_equal(week.mean[1], [4.0, 5.0, 6.0, 7.0])
    np.testing.assert_array_equal(expected_kw(week, ("m0", "m2")), [8.0, 10.0, 12.0, 14.0])
    with pytest.raises(DataError, match="no series 'x'"):
        expected_kw(week, ("m0", "x"))
    with pytest.raises(DataError, match="forecast predict"):
        read_forecast(tmp_path / "nothing")
    write(tmp_path / FORECAST_NAME, rows=7)
    with pytest.raises(DataError, match="damaged"):
        read_forecast(tmp_path)
    write(tmp_path / FORECAST_NAME, n=0)
    with pytest.raises(DataError, match="no series could be forecast"):
        read_forecast(tmp_path)
