"""Survival curves against a textbook example, a known law, and simulated censoring."""

import numpy as np

from nexova_sim.prognose.survival import alive_at, kaplan_meier, known_targets, mean_life_h, residual_quantiles


def test_kaplan_meier_by_hand():
    """Events at 2 and 5, a loss at 3, one alive at 8: 3/4, then 3/4 * 1/2."""
    curve = kaplan_meier(np.zeros(4), np.array([2.0, 3.0, 5.0, 8.0]), np.array([True, False, True, False]))
    assert curve.time_h.tolist() == [2.0, 5.0]
    np.testing.assert_allclose(curve.left_frac, [0.75, 0.375])
    np.testing.assert_allclose(alive_at(curve, np.array([1.9, 2.0, 4.9, 5.0])), [1.0, 0.75, 0.75, 0.375])


def test_late_entry_does_not_bias_an_exponential_law():
    random = np.random.default_rng(0)
    life = random.exponential(100.0, 20_000)
    entry = random.uniform(0.0, 150.0, 20_000)
    seen = life > entry
    exit_h = np.minimum(life, entry + 120.0)
    curve = kaplan_meier(entry[seen], exit_h[seen], (life <= entry + 120.0)[seen])
    at = np.array([50.0, 100.0, 200.0])
    np.testing.assert_allclose(alive_at(curve, at), np.exp(-at / 100.0), rtol=0.1)
    np.testing.assert_allclose(mean_life_h(curve), 100.0, rtol=0.1)
    # Without memory: what is left does not depend on age.
    left = residual_quantiles(curve, np.array([0.0, 80.0]), np.array([0.5]))
    np.testing.assert_allclose(left[:, 0], 100.0 * np.log(2.0), rtol=0.15)


def test_weights_make_up_for_what_censoring_hides():
    random = np.random.default_rng(1)
    rest, followed = random.exponential(300.0, 40_000), random.uniform(0.0, 600.0, 40_000)
    failed = rest <= followed
    target, weight = known_targets(np.where(failed, rest, np.nan), np.minimum(rest, followed), 200.0)
    known = np.isfinite(target)
    assert abs(np.average(target[known], weights=weight[known]) - np.minimum(rest, 200.0).mean()) < 3.0
    assert abs(target[known].mean() - np.minimum(rest, 200.0).mean()) > 3.0
    bare, equal = known_targets(np.array([5.0, np.nan]), np.array([5.0, 9.0]), None)
    assert bare[0] == 5.0
    assert equal.tolist() == [1.0, 0.0]


def test_nobody_failed():
    curve = kaplan_meier(np.zeros(3), np.full(3, 100.0), np.zeros(3, bool))
    assert len(curve.time_h) == 0
    assert 0.0 < alive_at(curve, np.array([1000.0]))[0] < 1.0
