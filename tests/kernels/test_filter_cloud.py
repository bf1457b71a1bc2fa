"""Weights, systematic resampling, widened clouds, quantiles: compared with plain NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_filter import pick_systematic, weighted_quantile, weights_of
from tolerances import PHYSICS, REORDER

from nexova_sim.kernels.filter_cloud import (
    N_OUT,
    O_COOLING,
    O_ESS,
    O_EXTRA,
    faults_of,
    gather_roughened,
    keep_cloud,
    normalise,
    quantiles,
    resample,
    surprise_of,
    write_row,
)
from nexova_sim.kernels.particles import N_PARTICLE, Q_COOLING, Q_EXTRA, Q_RUNTIME, Q_VIB, Q_WEAR


def cloud(n, seed=3):
    rng = np.random.default_rng(seed)
    p = np.zeros((N_PARTICLE, n))
    p[Q_COOLING] = 1.0
    p[Q_WEAR] = rng.normal(0.4, 0.03, n)
    p[Q_VIB] = 2.0 - p[Q_WEAR] + rng.normal(0.0, 0.01, n)
    return p


def test_weights_are_those_of_plain_numpy():
    logs = np.random.default_rng(1).normal(-900.0, 4.0, 300)
    expected = weights_of(logs)
    weight = np.empty(300)
    ess = normalise(logs, weight)
    np.testing.assert_allclose(weight, expected, **REORDER)
    assert ess == pytest.approx(1.0 / (expected**2).sum())
    assert logs.max() == 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-6, 1.0), min_size=2, max_size=60), st.floats(0.01, 0.99), st.integers(1, 90))
def test_every_particle_is_picked_floor_or_ceil_of_its_share(raw, u, n):
    weight = np.array(raw) / np.sum(raw)
    pick = np.zeros(n, np.int64)
    resample(weight, u, pick)
    counts = np.bincount(pick, minlength=len(weight))
    assert counts.sum() == n
    assert (counts >= np.floor(n * weight - 1e-9)).all()
    assert (counts <= np.ceil(n * weight + 1e-9)).all()
    assert (np.diff(pick) >= 0).all()


def test_resampling_is_that_of_plain_numpy():
    weight = weights_of(np.random.default_rng(2).normal(0.0, 2.0, 500))
    pick = np.zeros(200, np.int64)
    resample(weight, 0.37, pick)
    np.testing.assert_array_equal(pick, pick_systematic(weight, 0.37, 200))


def test_roughening_keeps_mean_and_covariance_and_widens_on_request():
    n = 4000
    p = cloud(n)
    pick, weight = np.arange(n), np.full(n, 1.0 / n)
    same, wide, out = np.empty_like(p), np.empty_like(p), np.empty_like(p)
    gather_roughened(p, pick, weight, 0.0, 0.0, np.uint64(5), 3, same)
    np.testing.assert_array_equal(same, p)
    gather_roughened(p, pick, weight, 0.0, 0.3, np.uint64(5), 3, out)
    gather_roughened(p, pick, weight, 0.5, 0.3, np.uint64(5), 3, wide)
    rows = [Q_WEAR, Q_VIB]
    assert not np.array_equal(out[Q_WEAR], p[Q_WEAR])
    assert out[Q_WEAR].mean() == pytest.approx(p[Q_WEAR].mean(), abs=4.5 * 0.03 / math.sqrt(n))
    assert np.cov(out[rows]) == pytest.approx(np.cov(p[rows]), rel=0.1)
    assert np.cov(wide[rows]) == pytest.approx(1.5 * np.cov(p[rows]), rel=0.1)


def test_quantiles_of_weighted_values():
    rng = np.random.default_rng(4)
    values, weight = rng.gamma(3.0, 0.1, 5000), weights_of(rng.normal(0.0, 0.5, 5000))
    row = np.empty(4)
    quantiles(values, weight, row)
    assert row[0] == pytest.approx((values * weight).sum())
    for number, level in enumerate((0.05, 0.5, 0.95), start=1):
        assert row[number] == pytest.approx(weighted_quantile(values, weight, level), abs=0.1 * values.std())
    quantiles(np.full(50, 0.25), np.full(50, 0.02), row)
    np.testing.assert_allclose(row, 0.25, **REORDER)


def test_a_row_tells_faults_and_the_kept_cloud_has_equal_weights():
    n = 1000
    p = cloud(n)
    p[Q_EXTRA, :100], p[Q_COOLING, 500:], p[Q_RUNTIME] = 0.01, 0.4, np.arange(n)
    weight = np.full(n, 1.0 / n)
    row, kept = np.empty(N_OUT), np.empty((100, N_PARTICLE))
    write_row(p, weight, 321.0, row)
    np.testing.assert_allclose(row[[O_ESS, O_EXTRA, O_COOLING]], [321.0, 0.1, 0.5], **REORDER)
    keep_cloud(p, weight, kept)
    assert kept[:, Q_RUNTIME].tolist() == pytest.approx(np.arange(5, 1000, 10).tolist(), abs=5)
    weight[:] = 0.0
    weight[7] = 1.0
    keep_cloud(p, weight, kept)
    assert set(kept[:, Q_RUNTIME]) == {7.0}


def test_surprise_is_a_squared_distance_in_expected_variances():
    seen, weight = np.array([1.0, 3.0]), np.array([0.5, 0.5])
    np.testing.assert_allclose(surprise_of(seen, weight, 6.0, 3.0), (6.0 - 2.0) ** 2 / (1.0 + 3.0), **PHYSICS)


def test_faults_keep_their_kind_when_particles_move():
    p = cloud(600)
    p[Q_EXTRA, :200], p[Q_COOLING, 200:400] = np.linspace(0.002, 0.01, 200), np.linspace(0.3, 0.6, 200)
    kinds = [faults_of(p, i) for i in (0, 250, 500)]
    assert kinds == [1, 4, 0]
    out = np.empty_like(p)
    gather_roughened(p, np.arange(600), np.full(600, 1.0 / 600), 0.01, 0.3, np.uint64(5), 3, out)
    assert [faults_of(out, i) for i in range(600)] == [faults_of(p, i) for i in range(600)]
    assert not np.array_equal(out[Q_EXTRA], p[Q_EXTRA])
    assert not np.array_equal(out[Q_COOLING], p[Q_COOLING])
