"""Metrics against hand numbers; backtests that cannot see the future."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.forecast import ForecastConfig, ForecastStage, Tariff, load_forecast, load_forecast_part
from nexova_sim.forecast.backtest import LEAST_ORIGINS, NAIVES, origins_of, prices, run_backtest, summarise
from nexova_sim.forecast.forecasters import Options
from nexova_sim.forecast.hours import assemble
from nexova_sim.forecast.metrics import METRICS, crps_of, judge, paired, scales_of
from nexova_sim.forecast.panel import Forecast

MONDAY = 1_767_571_200_000
FAST = {"levels": ("machine",), "backtest": {"origins": 3, "models": ("median4", "seasonal_naive_168")}}


def series_of(values, **changes):
    n = len(values)
    config = ForecastConfig(levels=("machine",), **changes)
    return assemble(MONDAY, [f"m{i}" for i in range(n)], ["f"] * n, values, config, {"f": "UTC"})


def weekly(n_weeks, n=2, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    profile = 10.0 + 5.0 * np.sin(np.arange(168) / 168 * 14 * np.pi)
    y = np.tile(profile, (n, n_weeks)) * np.arange(1, n + 1)[:, None]
    return y + random.normal(0.0, noise, y.shape)


def test_metrics_by_hand():
    history = np.tile(np.arange(168.0), (1, 2)) + np.repeat([0.0, 2.0], 168)[None]
    scales = scales_of(history, 0.05)
    assert scales.week_kwh.tolist() == [2.0]
    assert scales.week_rms_kwh.tolist() == [2.0]
    actual = np.array([[10.0, 20.0, np.nan, 0.0]])
    found = Forecast(
        np.array([[11.0, 16.0, 9.0, 1.0]]), np.array([[10.0, 15.0, 8.0, 0.5]]), np.array([[12.0, 19.0, 10.0, 2.0]])
    )
    got = judge(found, actual, scales._replace(running_kwh=np.array([5.0])), np.full((1, 4), 0.1))
    assert set(got) == set(METRICS)
    np.testing.assert_allclose(got["mase"], [(1 + 4 + 1) / 3 / 2])
    np.testing.assert_allclose(got["rmsse"], [np.sqrt((1 + 16 + 1) / 3) / 2])
    np.testing.assert_allclose(got["wape"], [6 / 30])
    np.testing.assert_allclose(got["mape_running"], [(1 / 10 + 4 / 20) / 2])
    np.testing.assert_allclose(got["week_kwh_frac"], [2 / 30])
    np.testing.assert_allclose(got["week_cost_frac"], [2 / 30])
    np.testing.assert_allclose(got["coverage_frac"], [1 / 3])
    np.testing.assert_allclose(got["msis"], [((2 + 4 + 1.5) + 40 * (1 + 0.5)) / 3 / 2])
    np.testing.assert_allclose(got["width_frac"], [(2 + 4 + 1.5) / 3 / 10])


def test_metrics_of_a_series_that_never_changes_or_never_runs_break_nothing():
    scales = scales_of(np.zeros((1, 400)), 0.05)
    got = judge(Forecast(*(np.zeros((1, 168)),) * 3), np.zeros((1, 168)), scales, np.ones((1, 168)))
    assert np.isnan(got["mase"][0])
    assert np.isnan(got["wape"][0])
    assert got["coverage_frac"][0] == 1.0


@settings(max_examples=25, deadline=None)
@given(st.floats(-3.0, 3.0))
def test_crps_against_the_integral(actual):
    """The distribution whose quantile function is linear between low (2.5 %), mean and high (97.5 %)."""
    found = Forecast(np.zeros((1, 1)), np.full((1, 1), -1.0), np.full((1, 1), 2.0))
    levels = (np.arange(20_000) + 0.5) / 20_000
    share = (levels - 0.5) / 0.475
    points = np.where(share < 0, share, 2.0 * share)
    pinball = np.where(actual >= points, levels * (actual - points), (1 - levels) * (points - actual))
    np.testing.assert_allclose(crps_of(found, np.array([[actual]]))[0, 0], 2 * pinball.mean(), rtol=0.02, atol=0.002)


def test_paired_differences():
    one = np.array([[1.0, 2.0], [3.0, np.nan]])
    gap = paired(one, one - np.array([[0.5], [1.5]]))
    assert gap.mean == 1.0
    np.testing.assert_allclose(gap.se, 0.5)
    assert gap.n_origins == 2
    assert np.isnan(paired(one[:1], one[:1]).se)


def test_origins_end_a_week_before_the_data_does():
    config = ForecastConfig(backtest={"origins": 5})
    assert origins_of(168 * 10, config) == (840, 1008, 1176, 1344, 1512)
    assert origins_of(168 * 4, config) == (336, 504)
    with pytest.raises(DataError, match="a backtest needs at least 504"):
        origins_of(503, config)


def test_prices_follow_the_local_clock():
    series = series_of(weekly(3))
    tariff = Tariff(price_usd_per_kwh=0.1, peak_price_usd_per_kwh=0.3, peak_hours=(9, 10))
    price = prices(series, tariff, 0)
    assert price.shape == (2, 168)
    assert np.flatnonzero(price[0] == 0.3).tolist() == [d * 24 + h for d in range(7) for h in (9, 10)]


def test_a_weekly_profile_is_forecast_without_error():
    config = ForecastConfig(**FAST)
    done = run_backtest(series_of(weekly(9, noise=1e-6)), config, Options())
    assert done.models == ("median4", "seasonal_naive_168", "seasonal_naive_24")
    assert np.nanmax(done.values["median4"]["wape"]) < 1e-5
    found = summarise(done, series_of(weekly(9, noise=1e-6)), config.model_copy(update={"model": "median4"}))
    assert found["gate_met_machines"] == found["gate_judged_machines"] == 2
    assert found["against"]["median4"]["verdict"] == "same"
    assert all(found["against"][name]["verdict"].startswith("not told") for name in NAIVES)


def test_with_twelve_origins_a_model_may_be_called_better():
    config = ForecastConfig(
        model="median4", levels=("machine",), backtest={"origins": LEAST_ORIGINS, "models": ("median4",)}
    )
    values = weekly(18, n=3, noise=1.0)
    found = summarise(run_backtest(series_of(values), config, Options()), series_of(values), config)
    assert found["origins"] == 12
    assert [found["against"][name]["verdict"] for name in NAIVES] == ["better", "better"]


def test_nothing_after_an_origin_is_used():
    config = ForecastConfig(**FAST)
    values = weekly(9, noise=1.0)
    before = run_backtest(series_of(values), config, Options())
    changed = values.copy()
    changed[:, before.origins[1] + 168 :] = 777.0
    after = run_backtest(series_of(changed), config, Options())
    for model in before.models:
        for key in METRICS:
            np.testing.assert_array_equal(before.values[model][key][:2], after.values[model][key][:2])


def test_configuration_files(tmp_path):
    assert load_forecast("configs/forecast/default.yaml", ["model=median4"], seed=5).seed == 5
    assert load_forecast_part(ForecastStage(overrides=["train_h=700"]), tmp_path).train_h == 700
    with pytest.raises(ConfigError, match="model"):
        load_forecast("configs/forecast/default.yaml", ["model=oracle"])
