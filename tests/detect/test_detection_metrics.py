"""Measures over cells: against scikit-learn, against numbers worked out by hand, and what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from tolerances import PHYSICS, REORDER

from nexova_sim.detect.detection_metrics import (
    Counts,
    count,
    f1,
    false_alarm_rate,
    mcc,
    missed_alarm_rate,
    precision_recall,
    ratio,
    thin,
    wilson,
)


def test_wilson_by_hand():
    # 9 of 12 is the textbook's example of a small sample: centre (0.75 + z2/24)/(1 + z2/12), z2 = 3.8415.
    got = wilson(9, 12)
    np.testing.assert_allclose([got.value, got.low, got.high], [0.75, 0.467695, 0.911058], **PHYSICS)
    # The lower bound for n of n is n/(n + z2): 35 alarms without a false one are the fewest that promise 0.9.
    np.testing.assert_allclose(wilson(35, 35).low, 35 / (35 + 1.959963984540054**2), **REORDER)
    assert wilson(35, 35).low >= 0.90 > wilson(34, 34).low
    assert wilson(0, 7).low == 0.0 and wilson(7, 7).high == 1.0
    assert all(math.isnan(v) for v in wilson(0, 0)[2:])


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 4), (1, 0)])
def test_wilson_refuses_what_is_no_share(k, n):
    with pytest.raises(ValueError, match="no share"):
        wilson(k, n)


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_holds_the_share_and_stays_inside(k, n):
    k = min(k, n)
    got = wilson(k, n)
    assert 0.0 <= got.low <= got.value <= got.high <= 1.0
    mirror = wilson(n - k, n)
    np.testing.assert_allclose([mirror.low, mirror.high], [1.0 - got.high, 1.0 - got.low], **PHYSICS)


def test_counts_by_hand():
    label = np.array([1, 1, 1, 0, 0, 0, 0, 1], bool)
    flag = np.array([1, 0, 1, 1, 0, 0, 0, 0], bool)
    counts = count(label, flag)
    assert counts == Counts(2.0, 1.0, 2.0, 3.0)
    assert false_alarm_rate(counts) == 0.25
    assert missed_alarm_rate(counts) == 0.5
    np.testing.assert_allclose(f1(counts), 4 / 7, **REORDER)
    np.testing.assert_allclose(mcc(counts), (2 * 3 - 1 * 2) / math.sqrt(3 * 4 * 4 * 5), **REORDER)
    assert mcc(Counts(5.0, 3.0, 0.0, 0.0)) == 0.0  # always
    assert math.isnan(ratio(0.0, 0.0))


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(3)
    for share in (0.02, 0.3, 0.7):
        label = rng.random(800) < share
        score = np.round(rng.random(800) + 0.4 * label, 2)  # with ties
        flag = score > 0.8
        counts = count(label, flag)
        np.testing.assert_allclose(f1(counts), metrics.f1_score(label, flag), **REORDER)
        np.testing.assert_allclose(mcc(counts), metrics.matthews_corrcoef(label, flag), **REORDER)
        got = precision_recall(label, score)
        np.testing.assert_allclose(got.ap, metrics.average_precision_score(label, score), **REORDER)
        precision, recall, threshold = metrics.precision_recall_curve(label, score)
        np.testing.assert_allclose(got.precision[::-1], precision[:-1], **REORDER)
        np.testing.assert_allclose(got.recall[::-1], recall[:-1], **REORDER)
        np.testing.assert_allclose(got.threshold[::-1], threshold, **REORDER)


def test_average_precision_at_the_ends():
    label = np.array([0, 0, 1, 0], bool)
    assert precision_recall(label, np.array([0.1, 0.2, 0.9, 0.3])).ap == 1.0
    assert precision_recall(label, np.ones(4)).ap == 0.25  # a score that says nothing has the prevalence
    assert math.isnan(precision_recall(np.zeros(4, bool), np.ones(4)).ap)


@given(st.lists(st.tuples(st.booleans(), st.floats(-5, 5)), min_size=1, max_size=60))
def test_average_precision_depends_on_the_order_only(rows):
    label = np.array([r[0] for r in rows])
    score = np.array([r[1] for r in rows])
    first = precision_recall(label, score)
    # Ranks are a monotone map that keeps ties: exp() could merge distinct numbers.
    again = precision_recall(label, np.unique(score, return_inverse=True)[1].astype(float))
    np.testing.assert_allclose(first.ap, again.ap, **REORDER)
    if label.any():
        assert first.prevalence * 0.0 <= first.ap <= 1.0 + 1e-12
        assert (np.diff(first.recall) >= 0.0).all()


def test_thin_keeps_ends_and_area():
    rng = np.random.default_rng(1)
    label = rng.random(5000) < 0.2
    curve = precision_recall(label, rng.random(5000) + label)
    less = thin(curve, 50)
    assert len(less.recall) <= 52 and less.ap == curve.ap
    assert less.recall[0] == curve.recall[0] and less.recall[-1] == curve.recall[-1] == 1.0
    assert thin(less, 50 + 50) is less
