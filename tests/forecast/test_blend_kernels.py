"""The blend's kernels against slow twins, with gaps; and its parts put together again by hand."""

from __future__ import annotations

import numpy as np
import pytest
from naive_blend import naive_errors, naive_factors, naive_residuals, naive_scales, naive_states, pair
from tolerances import REORDER

from nexova_sim.forecast.blend import BURN_IN_H, CANDIDATES, NAMES
from nexova_sim.forecast.panel import same_hours
from nexova_sim.kernels import blend as kb
from nexova_sim.kernels.profiles import pair_of

N_DAYS, N_HOURS = 9, BURN_IN_H + 24 * 15


@pytest.fixture(params=[0.0, 0.2, 1.0])
def case(request):
    """Series, what is there (a share missing, with a whole day), hour of week, paths and weights."""
    rng = np.random.default_rng(4)
    y = 1.0 + 0.4 * np.sin(np.arange(N_HOURS) / 24 * 2 * np.pi) + 0.1 * rng.standard_normal(N_HOURS)
    there = (rng.random(N_HOURS) >= request.param).astype(np.uint8)
    if request.param:
        there[-48:-24] = 0
    path = (y.mean() + 0.3 * rng.standard_normal((4, N_DAYS + 7, 168))).astype(np.float32)
    weight = rng.dirichlet(np.ones(4), 7).T.copy()
    cell = (np.arange(N_HOURS + 168) + 30) % 168
    return y, there, cell, path, weight


def test_errors_by_day(case):
    y, there, _, path, _ = case
    out = np.empty((4, 7, N_DAYS))
    kb.day_errors(y, there, path, out)
    np.testing.assert_allclose(out, naive_errors(y, there, path, N_DAYS), rtol=1e-6)


def test_residuals_of_the_mixture(case):
    y, _, _, path, weight = case
    out = np.empty((7, N_DAYS, 24))
    kb.residuals(y, path, weight, out)
    np.testing.assert_allclose(out, naive_residuals(y, path, weight, N_DAYS), rtol=1e-6, atol=1e-9)


def test_scales_and_bands(case):
    y, there, cell, path, weight = case
    residual = naive_residuals(y, path, weight, N_DAYS)
    state, scale, factor = np.empty(48, np.uint8), np.empty(48), np.empty((2, 7))
    kb.load_states(y, there, cell, N_DAYS, state)
    np.testing.assert_array_equal(state, naive_states(y, there, cell, N_DAYS))
    state[::2] = 0  # the series is never low; low hours as well as high ones
    kb.cell_scales(residual, there, cell, state, 0.25, scale)
    np.testing.assert_allclose(scale, naive_scales(residual, there, cell, state, 0.25), **REORDER)
    settings = np.array([8.0, 3.0, 1.1, 0.25, 0.015, float(N_DAYS)])
    kb.band_factors(residual, there, cell, scale, settings, factor)
    np.testing.assert_allclose(factor, naive_factors(residual, there, cell, scale, 1.1, 0.015), **REORDER)


def test_pairs_are_hours_apart_for_weekends():
    assert [pair_of(c) for c in range(168)] == [pair(c) for c in range(168)]


def test_a_series_is_its_weighted_paths_with_a_band_around(case):
    y, there, cell, _, _ = case
    rules = np.array([(BURN_IN_H, *rule) for _, rule in CANDIDATES])
    settings = np.array([8.0, 3.0, 1.1, 0.25, 0.015, float(N_DAYS)])
    weight, band = np.empty((len(NAMES), 7)), np.empty((3, 168))
    back = same_hours(cell)
    kb.blend_series(y, there, cell, back, rules, settings, weight, band)
    np.testing.assert_allclose(weight.sum(axis=0), 1.0)
    assert (band[1] <= band[0]).all()
    assert (band[2] >= band[0]).all()
    fleet, bands = np.empty((2, len(NAMES), 7)), np.empty((2, 3, 168))
    kb.blend_fleet(np.stack([y, 3.0 * y]), np.stack([there, there]), cell, back, rules, settings, fleet, bands)
    np.testing.assert_allclose(bands[1], 3.0 * bands[0], rtol=1e-6)
    np.testing.assert_allclose(fleet[0], fleet[1], rtol=1e-6)


def test_the_mean_of_the_candidates_without_parameters_by_hand():
    """A series that repeats its week exactly: median and yesterday are known, and so is the mixture's place."""
    cell = np.arange(N_HOURS + 168) % 168
    week = 1.0 + 0.5 * np.sin(np.arange(168) / 168 * 2 * np.pi)
    y = week[cell[:N_HOURS]]
    median, day = np.empty((N_DAYS + 7, 168), np.float32), np.empty((N_DAYS + 7, 168), np.float32)
    kb.repeat_paths(y, same_hours(cell), median, day)
    np.testing.assert_allclose(median[-1], week[cell[N_HOURS:]], rtol=1e-6)
    np.testing.assert_allclose(day[-1], np.tile(y[-24:], 7), rtol=1e-6)
    rules = np.array([(BURN_IN_H, *rule) for _, rule in CANDIDATES])
    weight, band = np.empty((len(NAMES), 7)), np.empty((3, 168))
    settings = np.array([8.0, 3.0, 1.1, 0.25, 0.015, float(N_DAYS)])
    kb.blend_series(y, np.ones(N_HOURS, np.uint8), cell, same_hours(cell), rules, settings, weight, band)
    # A week ahead yesterday is the same hour of the week too.
    assert (weight[NAMES.index("median of 4 weeks"), :6] > 0.99).all()
    np.testing.assert_allclose(band[0], week[cell[N_HOURS:]], atol=0.01)
