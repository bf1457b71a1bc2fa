"""VUS-PR against its definition written out, and what must always hold."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_evaluation import vus_pr as slow
from sklearn.metrics import average_precision_score
from tolerances import PHYSICS, REORDER

from nexova_sim.detect.vus import joined, margin, ranks, spans, surface, vus_pr


def test_pieces_by_hand():
    label = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0], bool)
    assert spans(label) == [(1, 3), (5, 6)]
    assert spans(np.array([True, True])) == [(0, 2)]
    cells, weight = margin(spans(label), 10, 4)  # half = 2: the two cells between get both margins
    assert cells.tolist() == [0, 3, 4, 6, 7]
    near, far = math.sqrt(0.75), math.sqrt(0.5)
    np.testing.assert_allclose(weight, [near, 1.0, 1.0, near, far], **REORDER)
    assert margin(spans(label), 10, 1)[0].size == 0
    assert joined(spans(label), 10, 0) == [(1, 3), (5, 6)]
    assert joined(spans(label), 10, 2) == [(0, 4), (4, 7)]  # they touch, they do not overlap
    assert joined(spans(label), 10, 4) == [(0, 8)]
    assert ranks(np.array([3.0, 1.0, 2.0, 2.0]), 4).tolist() == [0, 3, 1, 1]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_its_definition(data):
    sizes = data.draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    starts = np.cumsum([0, *sizes])
    n = int(starts[-1])
    label = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    score = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n)), float)
    widths = tuple(range(data.draw(st.integers(0, 9)) + 1))
    got = vus_pr(surface(label, score, starts, widths, 7))
    if not label.any():
        assert math.isnan(got)
    else:
        np.testing.assert_allclose(got, slow(label, score, starts, widths, 7), **PHYSICS)


def test_without_margin_and_with_one_fault_it_is_average_precision():
    rng = np.random.default_rng(5)
    label = np.zeros(200, bool)
    label[60:90] = True
    score = rng.random(200) + 0.5 * label
    got = vus_pr(surface(label, score, np.array([0, 200]), (0,), 200))
    np.testing.assert_allclose(got, average_precision_score(label, score), **REORDER)


def test_perfect_and_constant_scores():
    label = np.zeros(100, bool)
    label[40:60] = True
    starts = np.array([0, 50, 100])
    assert vus_pr(surface(label, label.astype(float), starts, (0,), 100)) == 1.0
    assert vus_pr(surface(label, np.ones(100), starts, (0,), 100)) == 0.2


def test_machines_count_as_often_as_they_weigh():
    rng = np.random.default_rng(9)
    label = rng.random(90) < 0.2
    score = np.round(rng.random(90) + label, 1)
    starts = np.array([0, 30, 60, 90])
    twice = np.r_[0:30, 0:30, 60:90]
    by_weight = vus_pr(surface(label, score, starts, (0, 3), 250), np.array([2.0, 0.0, 1.0]))
    # Thresholds are those of all machines, so both see every distinct score when there are more of them than scores.
    by_copy = vus_pr(surface(label[twice], score[twice], starts, (0, 3), 250))
    np.testing.assert_allclose(by_weight, by_copy, **PHYSICS)


def test_no_margin_reaches_another_machine():
    label = np.r_[np.zeros(20, bool), np.ones(5, bool), np.zeros(15, bool)]
    score = np.r_[np.zeros(19), 1.0, np.zeros(20)]  # the last cell of the first machine, beside the fault of the second
    apart = surface(label, score, np.array([0, 20, 40]), (6,), 40)
    together = surface(label, score, np.array([0, 40]), (6,), 40)
    assert apart.soft[0].max() == 0.0 and together.soft[0].max() > 0.0
    assert vus_pr(apart) < vus_pr(together)
