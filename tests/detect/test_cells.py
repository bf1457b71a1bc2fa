"""Readings and scores folded into cells: by hand, in any order of batches, and against a slow fold."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nexova_sim.detect.cells import (
    Batch,
    channel_rows,
    covered,
    fold,
    fold_scores,
    machine_spans,
    raised,
    select,
)
from nexova_sim.detect.episodes import spans_of

NAN = np.nan


def batch(rows):
    """Rows (machine, time_ms, is_online, value)."""
    machine, time_ms, online, value = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Batch(np.array(machine, np.int32), np.array(time_ms, np.int64), np.array(online, bool),
                 np.array([value], np.float32).reshape(1, -1))  # fmt: skip


def test_fold_by_hand():
    cells = fold([batch([(0, 5, True, 2.0), (0, 9, False, NAN), (2, 25, True, NAN)]), batch([(0, 7, True, 4.0)])],
                 10, 3, 1)  # fmt: skip
    assert cells.machine.tolist() == [0, 2] and cells.start_ms.tolist() == [0, 20]
    assert cells.starts.tolist() == [0, 1, 1, 2]
    np.testing.assert_array_equal(cells.mean, [[3.0, NAN]])
    np.testing.assert_array_equal(cells.online_frac, [2 / 3, 1.0])
    assert [m for m, _ in machine_spans(cells)] == [0, 2]
    assert [name for name, _ in channel_rows(cells, ["power_kw"])] == ["power_kw"]
    assert select(cells, np.array([False, True])).starts.tolist() == [0, 0, 0, 1]
    assert fold([], 10, 2, 1).machine.shape == (0,)


readings = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 99), st.booleans(), st.sampled_from([1.0, 2.0, 7.5, NAN])), max_size=40
)


@given(readings, st.integers(0, 40), st.integers(1, 30))
def test_fold_does_not_depend_on_the_batches(rows, cut, bin_ms):
    cells = fold([batch(rows[:cut]), batch(rows[cut:])], bin_ms, 4, 1)
    slow = {}
    for machine, at, online, value in rows:
        slow.setdefault((machine, at // bin_ms * bin_ms), []).append((online, value))
    assert list(zip(cells.machine.tolist(), cells.start_ms.tolist(), strict=True)) == sorted(slow)
    for number, key in enumerate(sorted(slow)):
        known = [v for _, v in slow[key] if v == v]
        np.testing.assert_array_equal(cells.mean[0, number], np.mean(known) if known else NAN)
        assert cells.online_frac[number] == sum(o for o, _ in slow[key]) / len(slow[key])


def test_scores_take_the_highest_and_a_missing_one_counts_as_nothing():
    cells = fold([batch([(0, 0, True, 1.0), (0, 10, True, 1.0), (1, 0, True, 1.0)])], 10, 2, 1)
    scores = [
        (np.array([0, 0, 0]), np.array([0, 3, 10]), np.array([0.2, 0.9, NAN]), np.array([False, True, True])),
        (np.array([1, 1]), np.array([90, 0]), np.array([1.0, 0.4]), np.array([True, False])),  # 90: no such cell
    ]
    score, flag, n_missing = fold_scores(scores, cells)
    assert score.tolist() == [0.9, 0.0, 0.4] and flag.tolist() == [True, False, False] and n_missing == 1
    assert fold_scores(scores, fold([], 10, 2, 1))[2] == 0


spans = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-5, 60), st.integers(1, 30)).map(lambda t: (t[0], t[1], t[1] + t[2])),
    max_size=5,
)


@given(readings, spans, st.integers(1, 12))
def test_covered_cells_are_those_a_span_touches(rows, given_spans, bin_ms):
    cells = fold([batch(rows)], bin_ms, 4, 1)
    got = covered(cells, spans_of(given_spans))
    for number, (m, t) in enumerate(zip(cells.machine.tolist(), cells.start_ms.tolist(), strict=True)):
        assert got[number] == any(who == m and low < t + bin_ms and high > t for who, low, high in given_spans)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_raised_alarms_are_the_runs_of_flags(rows):
    rows = sorted(rows, key=lambda r: r[0])
    cells = fold([batch([(m, 10 * i, True, 1.0) for i, (m, _) in enumerate(rows)])], 10, 3, 1)
    flag = np.array([f for _, f in rows], bool)
    alarms = raised(cells, flag)
    assert (covered(cells, alarms) == flag).all()
    runs = sum(f and (i == 0 or not rows[i - 1][1] or rows[i - 1][0] != m) for i, (m, f) in enumerate(rows))
    assert len(alarms.machine) == runs
