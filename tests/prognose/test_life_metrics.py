"""Metrics of remaining life against hand numbers and direct integration."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.prognose.life_metrics import (
    LEVELS,
    Rules,
    brier,
    central,
    crps,
    inside_frac,
    p_within,
    per_cut,
    phm08,
    prognostic_horizon,
    reliability,
    summarise,
)

RULES = Rules(0.2, 0.5, 0.9, 1.0, 200)


def test_phm08_by_hand():
    """exp(-d/13) - 1 when early, exp(d/10) - 1 when late (Saxena et al. 2008)."""
    np.testing.assert_allclose(phm08(np.array([-13.0, 0.0, 10.0])), [np.e - 1, 0.0, np.e - 1])
    np.testing.assert_allclose(phm08(np.array([240.0]), 24.0), [np.e - 1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.0, 300.0))
def test_crps_against_the_integral(seed, truth):
    """The integral of (F(x) - 1{x >= truth})^2 for a distribution of equally likely points."""
    points = np.sort(np.random.default_rng(seed).gamma(2.0, 50.0, len(LEVELS)))
    x = np.linspace(-50.0, points[-1] + 400.0, 400_001)
    f = np.searchsorted(points, x, side="right") / len(points)
    integral = np.trapezoid((f - (x >= truth)) ** 2, x)
    np.testing.assert_allclose(crps(points[None], np.array([truth]))[0], integral, rtol=2e-2, atol=0.1)


def test_crps_of_a_point_is_the_absolute_error():
    np.testing.assert_allclose(crps(np.full((1, len(LEVELS)), 30.0), np.array([42.0])), [12.0])


def test_central_interval_of_a_uniform_distribution():
    low, high = central(np.linspace(0.005, 0.995, len(LEVELS))[None] * 100, 0.9)
    np.testing.assert_allclose([low[0], high[0]], [5.0, 95.0], atol=0.6)


def test_coverage_and_alpha_lambda_by_hand():
    q = np.tile(np.linspace(80.0, 120.0, len(LEVELS)), (2, 1))
    got = per_cut(np.array([100.0, 100.0]), q, np.array([100.0, 200.0]), RULES)
    assert got["coverage_frac"].tolist() == [1.0, 0.0]
    assert got["alpha_lambda_frac"].tolist() == [1.0, 0.0]
    assert got["rmse_h"].tolist() == [0.0, 10_000.0]
    assert got["bias_h"].tolist() == [0.0, -100.0]
    assert inside_frac(q, np.array([0.0, 300.0]), np.array([1e9, 400.0])).tolist() == [1.0, 0.0]


def test_the_bootstrap_draws_machines():
    """Two machines, one perfect and one wrong: every resample is 0, in between, or 1."""
    found = summarise({"mae_h": np.array([0.0, 0.0, 1.0, 1.0])}, np.array([0, 0, 1, 1]), np.ones(4), RULES)["mae_h"]
    assert found.value == 0.5
    assert found.low == 0.0
    assert found.high == 1.0
    nothing = summarise({"mae_h": np.empty(0)}, np.empty(0), np.empty(0), RULES)["mae_h"]
    assert np.isnan(nothing.value)


def test_the_prognostic_horizon_by_hand():
    true = np.array([40.0, 30.0, 20.0, 10.0])
    q = np.repeat(np.array([90.0, 31.0, 20.0, 10.0])[:, None], len(LEVELS), axis=1)
    lives, horizon = prognostic_horizon(q, true, np.zeros(4, int), np.full(4, 100.0), RULES)
    assert lives.tolist() == [0]
    assert horizon.tolist() == [30.0]
    q[3] = 99.0
    assert prognostic_horizon(q, true, np.zeros(4, int), np.full(4, 100.0), RULES)[1].tolist() == [0.0]


def test_chance_of_failing_within_a_horizon():
    q = np.tile(np.linspace(1.0, 100.0, len(LEVELS)), (3, 1))
    np.testing.assert_allclose(p_within(q, 50.0), 0.5, atol=0.02)
    assert p_within(q, 0.0).tolist() == [0.0] * 3
    assert p_within(q, 1e6).tolist() == [1.0] * 3


def test_reliability_and_brier_by_hand():
    p, failed = np.array([0.05, 0.05, 0.95, 0.95]), np.array([0.0, 0.0, 1.0, 0.0])
    found = reliability(p, failed, np.ones(4))
    np.testing.assert_allclose(found.forecast, [0.05, 0.95])
    np.testing.assert_allclose(found.observed, [0.0, 0.5])
    assert found.n_cuts.tolist() == [2, 2]
    np.testing.assert_allclose(brier(p, failed), [0.0025, 0.0025, 0.0025, 0.9025])


def test_calibrated_probabilities_lie_on_the_line():
    random = np.random.default_rng(0)
    p = random.random(50_000)
    found = reliability(p, (random.random(50_000) < p).astype(float), np.ones(50_000))
    assert np.abs(found.forecast - found.observed).max() < 0.03
    wrong = reliability(p, np.zeros(50_000), np.ones(50_000))
    assert np.abs(wrong.forecast - wrong.observed).max() > 0.9
