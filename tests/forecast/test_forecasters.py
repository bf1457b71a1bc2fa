"""Every forecaster of the registry through one list of checks; calendars; kernels against plain sums."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.forecast import ForecastConfig, PlannedCalendar, PlannedStop, ProphetSettings
from nexova_sim.dataset.read import open_dataset
from nexova_sim.forecast.blend import CANDIDATES, LEAST_H, NAMES, blend, blend_with_weights
from nexova_sim.forecast.forecast import forecast_at
from nexova_sim.forecast.forecasters import MODELS, Options, find_model
from nexova_sim.forecast.fourier import fourier_columns, fourier_ridge
from nexova_sim.forecast.hour_of_week import hour_of_week
from nexova_sim.forecast.hours import HOUR_MS, assemble, place_hours, read_series
from nexova_sim.forecast.naive import hour_of_day, median4, seasonal_naive_24, seasonal_naive_168
from nexova_sim.forecast.panel import Panel, fill_gaps, load_bands, make_calendar, same_hours, wall_clock, zone_of
from nexova_sim.forecast.prophet_fit import default_cache, fit_all, job_hash, make_jobs, prophet
from nexova_sim.forecast.prophet_map import extrapolate, fit_map, log_posterior, make_design, prophet_map
from nexova_sim.forecast.prophet_worker import fit_one, start_worker
from nexova_sim.forecast.trees import features, hist_gradient_boosting
from nexova_sim.kernels import blend as kb
from nexova_sim.kernels.laplace import factor_lanes, solve_fleet, solve_lanes
from nexova_sim.kernels.profiles import pair_of, smooth_paths, start_profile, start_scales

ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Detroit"]
MONDAY = 1_767_571_200_000
FAST = [name for name in MODELS if name != "prophet"]


def weekly(n_hours, n=3, noise=0.0, seed=0):
    random = np.random.default_rng(seed)
    t = np.arange(n_hours)
    profile = 10.0 + 6.0 * ((t % 24 > 6) & (t % 24 < 18)) + 3.0 * (t // 24 % 7 < 5)
    return profile * np.arange(1, n + 1)[:, None] * np.exp(random.normal(0.0, noise, (n, n_hours)))


def panel_of(y, zone="UTC"):
    return Panel(tuple(f"m{i}" for i in range(len(y))), y, make_calendar(zone, MONDAY, y.shape[1]))


@pytest.mark.parametrize("name", FAST)
def test_what_every_forecaster_must_do(name):
    y = weekly(24 * 60, noise=0.1)
    y[0, 200:230] = np.nan
    panel = panel_of(y)
    before = y.copy()
    found = MODELS[name].run(panel, Options())
    np.testing.assert_array_equal(panel.energy_kwh, before)
    for values in found:
        assert values.shape == (3, 168)
        assert np.isfinite(values).all()
    assert (found.low <= found.mean + 1e-9).all()
    assert (found.mean <= found.high + 1e-9).all()
    again = MODELS[name].run(panel, Options())
    for a, b in zip(found, again, strict=True):
        assert a.tobytes() == b.tobytes()
    if name != "hist_gradient_boosting":  # one model for all series on purpose
        alone = MODELS[name].run(Panel(("m1",), y[1:2], panel.calendar), Options())
        np.testing.assert_allclose(alone.mean[0], found.mean[1], rtol=1e-6)
    inside = np.abs(found.mean[1] - weekly(168, 3)[1]).mean() / 20.0
    assert inside < 0.5


@pytest.mark.parametrize("run", [median4, seasonal_naive_168, seasonal_naive_24, hour_of_day])
def test_a_pure_profile_is_repeated_exactly(run):
    y = weekly(24 * 28) if run is not seasonal_naive_24 else np.tile(np.arange(24.0), (2, 28))
    truth = weekly(168) if run is not seasonal_naive_24 else np.tile(np.arange(24.0), (2, 7))
    if run is hour_of_day:
        y, truth = np.tile(np.arange(24.0), (2, 28)), np.tile(np.arange(24.0), (2, 7))
    np.testing.assert_allclose(run(panel_of(y)).mean, truth, atol=1e-9)


@pytest.mark.parametrize("run", [blend, hour_of_week, fourier_ridge, hist_gradient_boosting])
def test_a_pure_profile_is_nearly_repeated(run):
    found = run(panel_of(weekly(24 * 56, noise=0.01)))
    error = np.abs(found.mean - weekly(168)).mean() / weekly(168).mean()
    assert error < (0.1 if run is fourier_ridge else 0.02)


def test_weights_of_the_blend_are_shares():
    found = blend_with_weights(panel_of(weekly(24 * 60, noise=0.1)))
    assert found.weight.shape == (3, len(NAMES), 7)
    np.testing.assert_allclose(found.weight.sum(axis=1), 1.0, rtol=1e-9)
    assert (found.weight >= 0.0).all()
    assert len(NAMES) == len(CANDIDATES) + 2
    assert LEAST_H < 24 * 30


def test_unknown_models_and_zones():
    with pytest.raises(ConfigError, match="did you mean 'blend'"):
        find_model("blent")
    with pytest.raises(ConfigError, match="did you mean"):
        zone_of("Europe/Berlim")
    assert zone_of("UTC").key == "UTC"


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Detroit"]),
    st.integers(0, 8760),
    st.integers(1, 900),
)
def test_the_wall_clock_is_that_of_the_zone(zone, begin, n):
    start = MONDAY + begin * HOUR_MS
    wall = wall_clock(zone, start, n)
    for k in (0, n // 2, n - 1):
        local = datetime.fromtimestamp(start / 1000 + 3600 * k, UTC).astimezone(ZoneInfo(zone))
        assert datetime.fromtimestamp(int(wall[k]), UTC).replace(tzinfo=None) == local.replace(tzinfo=None)


@settings(max_examples=20, deadline=None)
@given(st.integers(336, 900), st.sampled_from(["UTC", "Europe/Berlin"]), st.integers(0, 4000))
def test_same_hours_are_a_week_old_at_least(n, zone, begin):
    calendar = make_calendar(zone, MONDAY + begin * HOUR_MS, n, (date(2026, 1, 14),))
    back = same_hours(calendar.cell)
    late = np.arange(len(calendar.cell)) >= 168
    assert (back[late] <= np.arange(len(back))[late][:, None] - 168).all()
    assert (back >= 0).all()


def test_gaps_are_filled_from_the_weeks_around():
    y = weekly(24 * 28)
    holes = y.copy()
    holes[0, [5, 200, 400]] = np.nan
    np.testing.assert_allclose(fill_gaps(panel_of(holes)), y)
    empty = np.full((1, 400), np.nan)
    assert (fill_gaps(panel_of(empty)) == 0.0).all()


def test_bands_hold_what_they_say():
    random = np.random.default_rng(0)
    residual = random.normal(0.0, 1.0, (1, 5000))
    level = np.repeat([[10.0, 1.0]], 2500, axis=1).reshape(1, -1)
    low, high = load_bands(residual, level, np.array([[10.0] * 84 + [1.0] * 84]))
    assert np.abs(high - np.array([10.0] * 84 + [1.0] * 84) - 2.0).max() < 0.25
    assert (low < high).all()


def series_of(y, **changes):
    n = len(y)
    config = ForecastConfig(levels=("machine",), **changes)
    return assemble(MONDAY, [f"m{i}" for i in range(n)], ["f"] * n, y, config, {"f": "Europe/Berlin"})


def test_each_series_gets_what_it_allows():
    y = weekly(24 * 40, n=6, noise=0.05)
    y[0] = np.nan
    y[1, :-10] = np.nan
    y[2, : 24 * 32] = np.nan
    y[3, : 24 * 24] = np.nan
    y[4] = 0.0
    made = forecast_at(series_of(y), 24 * 40, "blend", 1440, Options())
    assert made.made_by == ("", "", "hour_of_day", "median4", "blend", "blend")
    assert "no valid hour" in made.why[0]
    assert "at least 24" in made.why[1]
    assert "shorter than two weeks" in made.why[2]
    assert "needs" in made.why[3]
    assert (made.mean[4] == 0.0).all()
    assert np.isnan(made.mean[:2]).all()
    assert np.isfinite(made.mean[2:]).all()


def test_a_model_that_fails_falls_back(monkeypatch):
    import nexova_sim.forecast.forecast as module
    from nexova_sim.forecast.forecasters import Model

    def fail(_panel, _options):
        raise np.linalg.LinAlgError("singular")

    monkeypatch.setattr(module, "MODELS", {**MODELS, "blend": Model("x", 336, fail)})
    made = forecast_at(series_of(weekly(24 * 40, n=1)), 24 * 40, "blend", 1440, Options())
    assert made.made_by == ("median4",)
    assert made.why == ("blend failed: LinAlgError",)


def test_planned_stops_are_known_and_outages_are_not():
    start = datetime.fromtimestamp(MONDAY / 1000 + 3600 * 24 * 41, UTC)
    stop = PlannedStop(machine="m0", start=start, end=start.replace(hour=12))
    series = series_of(weekly(24 * 40, n=2), calendar=PlannedCalendar(stops=(stop,)))
    made = forecast_at(series, 24 * 40, "median4", 1440, Options())
    assert made.mean[0, 24:36].max() < made.mean[0, 12]
    np.testing.assert_allclose(made.mean[1], weekly(168, 2)[1], rtol=0.3)


def test_a_clock_change_moves_the_profile_with_the_local_hour():
    start = round(datetime(2026, 2, 28, 23, tzinfo=UTC).timestamp() * 1000)
    hours = np.arange(24 * 28 + 168)
    local = wall_clock("Europe/Berlin", start, len(hours)) // 3600 % 24
    y = (local == 9).astype(float)[None]
    panel = Panel(("m",), y[:, : 24 * 28], make_calendar("Europe/Berlin", start, 24 * 28))
    np.testing.assert_array_equal(median4(panel).mean[0] > 0.5, local[24 * 28 :] == 9)


def test_hours_in_any_order_and_twice():
    time = MONDAY + HOUR_MS * np.array([2, 0, 0, 5])
    first, y = place_hours(time, np.array([3.0, 1.0, 2.0, 6.0]))
    assert first == MONDAY
    np.testing.assert_array_equal(y, [1.5, np.nan, 3.0, np.nan, np.nan, 6.0])
    with pytest.raises(DataError, match="not on the hour"):
        place_hours(time + 1, np.ones(4))
    with pytest.raises(DataError, match="no rows"):
        place_hours(np.empty(0, np.int64), np.empty(0))


def test_series_of_a_dataset(tiny_dataset):
    series = read_series(open_dataset(tiny_dataset), ForecastConfig())
    assert len(series.ids) == 9
    assert series.levels[-1] == "factory"
    machines = series.energy_kwh[:-1]
    both = np.isfinite(machines).all(axis=0) & np.isfinite(series.energy_kwh[-1])
    np.testing.assert_allclose(series.energy_kwh[-1][both], machines[:, both].sum(axis=0))


def test_our_solution_is_at_least_as_good_as_the_library_s(tmp_path):
    panel = panel_of(weekly(24 * 28, n=2, noise=0.1))
    options = ProphetSettings(uncertainty_samples=100, n_changepoints=10)
    jobs = make_jobs(panel, options, 0)
    found = fit_all(jobs, 2, tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 2
    again = fit_all(jobs, 1, tmp_path)
    np.testing.assert_array_equal(again[0].mean, found[0].mean)
    assert again[0].cpu_s == 0.0
    assert job_hash(jobs[0]) != job_hash(jobs[1])
    seen = np.arange(24 * 28)
    design = make_design(panel.calendar.wall_s, len(seen), seen, 10)
    fit = fit_map(design, panel.energy_kwh, seen, options.changepoint_prior_scale)
    ours = extrapolate(design, fit, len(seen))
    np.testing.assert_array_equal(ours.mean, prophet_map(panel, 10, 0.05).mean)
    for i, theirs in enumerate(found):
        p = theirs.parameters
        theta = np.concatenate([p["k"], p["m"], p["delta"], p["beta"]])
        y = panel.energy_kwh[i] / theirs.scale
        other = log_posterior(design, seen, y, theta, float(p["sigma_obs"][0]), 0.05)
        assert log_posterior(design, seen, y, fit.theta[i], float(fit.sigma[i]), 0.05) >= other - 1e-3
        assert np.abs(ours.mean[i] - theirs.mean).max() <= 0.015 * np.abs(theirs.mean).max()
    whole = prophet(panel, options, 0, 1, tmp_path)
    np.testing.assert_array_equal(whole.mean[1], found[1].mean)
    assert default_cache().name == "prophet"
    assert callable(fit_one)
    assert callable(start_worker)


def test_pieces():
    columns = fourier_columns(np.array([0.0, 0.25]), 1.0, 2)
    np.testing.assert_allclose(columns, [[0, 1, 0, 1], [1, 0, 0, -1]], atol=1e-12)
    panel = panel_of(weekly(24 * 35))
    rows = features(panel.energy_kwh, panel, np.arange(700, 705))
    assert rows.shape == (3, 5, 9)
    np.testing.assert_allclose(rows[:, :, 0], panel.energy_kwh[:, 532:537])


def test_lanes_solve_their_own_systems():
    random = np.random.default_rng(0)
    a = random.normal(0, 1, (5, 5, 8))
    matrix = np.einsum("ikl,jkl->ijl", a, a) + 5.0 * np.eye(5)[:, :, None]
    side = random.normal(0, 1, (5, 8))
    whole, factor, solved = matrix.copy(), matrix.copy(), side.copy()
    factor_lanes(factor)
    solve_lanes(factor, solved)
    for lane in range(8):
        np.testing.assert_allclose(whole[:, :, lane] @ solved[:, lane], side[:, lane], rtol=1e-8)


def test_without_a_laplace_prior_the_fleet_is_ridge_regression():
    random = np.random.default_rng(0)
    x, y = random.normal(0, 1, (200, 4)), random.normal(0, 1, (11, 200))
    prior = np.zeros((2, 4))
    prior[0] = 0.5
    theta, square, rounds = np.empty((11, 4)), np.empty(11), np.empty(11, np.int64)
    solve_fleet(x.T @ x, y @ x, (y**2).sum(axis=1), prior, np.array([200, 0.5, 60, 1e-10]), theta, square, rounds)
    assert (rounds < 0).all()
    for i in range(11):
        ridge = np.linalg.solve(x.T @ x + 0.5 * square[i] * np.eye(4), x.T @ y[i])
        np.testing.assert_allclose(theta[i], ridge, rtol=1e-5, atol=1e-7)


def test_profiles_of_a_series_without_noise():
    y = weekly(24 * 35, n=1)[0]
    cell = np.arange(len(y) + 168) % 168
    assert pair_of(5) == 5
    assert pair_of(120 + 5) == 29
    there = np.ones(len(y), np.uint8)
    state, scale = np.zeros((2, 216)), np.empty(5)
    start_profile(y, there, cell, 336, state)
    pairs = np.array([pair_of(c) for c in range(168)])
    counts = state[1, :168]
    means = np.array([y[:336][pairs[cell[:336]] == k].mean() for k in range(48)])
    np.testing.assert_allclose(state[0, 168:], means, rtol=1e-9)
    away = np.array([(y[:336][cell[:336] == c] - means[pairs[c]]).sum() / (counts[c] + 0.3) for c in range(168)])
    np.testing.assert_allclose(state[0, :168], away, atol=1e-9)
    start_scales(y, there, cell, 336, state, scale)
    assert np.isfinite(scale[:4]).all()
    scale[4] = 336
    path = np.empty((8, 168), np.float32)
    smooth_paths(y, there, cell, np.array([0.2, 0.2, 0.0, 0.0, 2.0]), state, scale, path)
    np.testing.assert_allclose(path[-1], weekly(168, n=1)[0], rtol=0.02)


def test_pieces_of_the_blend_by_hand():
    y = np.arange(24.0 * 28)
    back = same_hours(np.arange(24 * 28 + 168) % 168)
    median, day = np.empty((1, 168)), np.empty((1, 168))
    kb.repeat_paths(y, back, median, day)
    np.testing.assert_allclose(median[0], np.median(y[back[24 * 28 :]], axis=1))
    np.testing.assert_allclose(day[0], y[-24:][np.arange(168) % 24])
    error = np.full((2, 7, 4), 1.0)
    error[1] = 3.0
    weight = np.empty((2, 7))
    kb.weigh(error, np.array([8.0, 3.0, 1.1, 0.25, 0.015, 4.0]), weight)
    np.testing.assert_allclose(weight.sum(axis=0), 1.0)
    assert (weight[0] > weight[1]).all()
