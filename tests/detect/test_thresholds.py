"""Thresholds and scores from held-out data: against the law they assume, and at their ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.detect.blocks import block_length_ms
from nexova_sim.detect.thresholds import (
    DAY_MS,
    fit_knots,
    fit_limits,
    gumbel_limit,
    ratios,
    score_of,
    threshold_score,
)


def test_the_limit_of_gumbel_data_is_exceeded_as_often_as_asked():
    random = np.random.default_rng(0)
    limit = gumbel_limit(random.gumbel(3.0, 0.5, 4000), 0.01)
    assert abs(limit - (3.0 - 0.5 * np.log(-np.log(0.99)))) < 0.1
    fresh = random.gumbel(3.0, 0.5, 100_000)
    assert 0.006 < (fresh > limit).mean() < 0.016
    assert np.isnan(gumbel_limit(np.array([np.nan]), 0.01))


def test_faults_among_the_maxima_hardly_move_the_limit():
    random = np.random.default_rng(1)
    clean = random.gumbel(3.0, 0.5, 2000)
    dirty = np.concatenate([clean, np.full(60, 100.0)])
    assert gumbel_limit(dirty, 0.001) < 1.1 * gumbel_limit(clean, 0.001)


def test_groups_with_few_blocks_take_the_limit_of_all_and_floors_hold():
    random = np.random.default_rng(2)
    maxima = np.stack([random.gumbel(1.0, 0.1, 105), np.full(105, 0.001)])
    group = np.r_[np.zeros(100, int), np.ones(5, int)]
    limit = fit_limits(maxima, group, 2, 0.01, np.array([0.0, 0.5]))
    assert limit.shape == (3, 2)
    assert limit[1, 0] == limit[2, 0] != limit[0, 0]
    assert (limit[:, 1] == 0.5).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 3000))
def test_scores_rise_from_0_to_1_and_meet_the_threshold_exactly(seed, n):
    random = np.random.default_rng(seed)
    knots = fit_knots(random.gamma(2.0, 0.1, n))
    ratio = np.sort(np.r_[0.0, random.gamma(2.0, 0.3, 500), 0.999999, 1.0, 1.0000001, 50.0, 1e3, 1e6])
    score = score_of(ratio, knots)
    assert score.dtype == np.float32
    assert score[0] == 0.0
    assert score[-1] == 1.0
    assert (np.diff(score) >= 0).all()
    assert ((score >= threshold_score(knots)) == (ratio >= 1.0)).all()


def test_the_score_is_the_share_of_normal_readings_below():
    knots = fit_knots(np.r_[np.arange(100) / 100.0, 5.0, np.nan])
    assert len(knots) == 100
    np.testing.assert_allclose(score_of(np.array([0.495]), knots), 50 / 101, rtol=1e-6)
    assert len(fit_knots(np.linspace(0, 0.9, 50_000))) == 10_000


def test_ratios_take_what_is_missing_as_normal():
    over = ratios(np.array([[1.0, np.nan, np.inf, -np.inf]]), np.array([[2.0]]))
    assert over.tolist() == [[0.5, 0.0, 1e6, 0.0]]


@pytest.mark.parametrize(
    ("span", "machines", "length"), [(60 * DAY_MS, 200, DAY_MS), (DAY_MS, 8, DAY_MS / 5), (1000.0, 1, 60_000.0)]
)
def test_blocks_are_days_or_shorter(span, machines, length):
    assert block_length_ms(span, machines) == length
