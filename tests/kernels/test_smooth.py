"""Jumps and the level behind noise: against a dense normal solution, and what the smoother is for."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import PHYSICS

from nexova_sim.kernels.smooth import VAGUE, find_jumps, smooth_level


def dense_level(x, noise_var, step_var):
    """Mean of a random walk given readings of it, by solving for all of its values at once."""
    n = len(x)
    seen = np.isfinite(x)
    precision = np.diag(np.where(seen, 1.0 / noise_var, 0.0))
    precision[0, 0] += 1.0 / VAGUE
    for k in range(n - 1):
        precision[k : k + 2, k : k + 2] += np.array([[1.0, -1.0], [-1.0, 1.0]]) / step_var
    return np.linalg.solve(precision, np.where(seen, x / noise_var, 0.0))


def test_the_smoother_is_the_dense_solution_between_jumps():
    rng = np.random.default_rng(2)
    x = np.cumsum(0.02 * rng.normal(size=60)) + 0.7 + 0.07 * rng.normal(size=60)
    x[30:] += 5.0
    x[[5, 6, 40]] = np.nan
    noise, jump = rng.uniform(0.002, 0.01, 60), np.zeros(60, np.bool_)
    jump[[0, 30]] = True
    level = np.empty(60)
    smooth_level(x, noise, 4e-4, jump, level)
    np.testing.assert_allclose(level[:30], dense_level(x[:30], noise[:30], 4e-4), **PHYSICS)
    np.testing.assert_allclose(level[30:], dense_level(x[30:], noise[30:], 4e-4), **PHYSICS)


def test_jumps_are_found_where_they_are_and_noise_is_none():
    rng = np.random.default_rng(3)
    level = np.where(np.arange(600) // 50 % 2 == 0, 1.0, 0.3)
    x = level * (1.0 + 0.1 * rng.normal(size=600))
    on, jump = np.ones(600, np.bool_), np.zeros(600, np.bool_)
    find_jumps(x, on, 0.1, 4, 5.0, jump)
    assert np.abs(np.flatnonzero(jump) - 50 * np.arange(12)).max() <= 1
    steady = 0.7 * (1.0 + 0.1 * rng.normal(size=600))
    find_jumps(steady, on, 0.1, 4, 5.0, jump)
    assert jump.sum() == 1
    on[100:200] = False
    find_jumps(np.where(on, steady, np.nan), on, 0.1, 4, 5.0, jump)
    assert np.flatnonzero(jump).tolist() == [0, 100, 200]


def test_the_error_of_the_smoothed_level_does_not_depend_on_it():
    """What makes regression on the smoothed load unbiased: cov(level, level - truth) = 0, unlike for the readings."""
    rng = np.random.default_rng(4)
    truth = np.cumsum(0.01 * rng.normal(size=20_000))
    truth -= np.linspace(0.0, truth[-1], 20_000)
    x = truth + 0.1 * rng.normal(size=20_000)
    level = np.empty(20_000)
    smooth_level(x, np.full(20_000, 0.01), 1e-4, np.zeros(20_000, np.bool_), level)
    slope = np.polyfit(level, truth, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.02)
    assert np.std(level - truth) < 0.4 * 0.1
