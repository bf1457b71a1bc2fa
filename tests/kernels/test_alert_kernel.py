"""Parts of the rule engine's kernel by themselves, compiled and as plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive_alerts import naive_tally

from nexova_sim.kernels import alert_state as c
from nexova_sim.kernels import alert_tally as a
from nexova_sim.kernels.alert_signal import derived, forget, learn, low_pass, slope
from nexova_sim.kernels.alert_state import AlertRules, AlertState
from nexova_sim.kernels.alert_tally import Bounds, Tally, split_alerts, tally_alerts
from nexova_sim.kernels.alerts import close_rules, is_shelved, run_rules


def new_state():
    state = np.zeros((1, 2, c.N_RULE_STATE))
    forget(0, 0, 0.0, state)
    state[0, 0, c.RING :] = c.NONE
    state[0, 1, c.HOUR] = c.NONE
    return state


def test_slope_of_a_line_is_its_slope():
    state = new_state()
    for k in range(20):
        found = slope(0, 0, 3.0 + 7.0 * k / 60.0, 1.0 / 60.0, 0.25, state)
        state[0, 0, c.BEGIN] = 0.0
    assert found == pytest.approx(7.0)


def test_low_pass_is_the_mean_first_then_forgets_with_its_time_constant():
    state = new_state()
    assert [low_pass(0, 0, 1000.0, 60_000.0, y, state) for y in (4.0, 8.0, 6.0)] == [4.0, 6.0, 6.0]
    for _ in range(600):
        y = low_pass(0, 0, 1000.0, 60_000.0, 0.0, state)
    assert 0.0 < y < 6.0 * math.exp(-8.0)


def test_the_same_hour_of_last_week_is_the_baseline():
    state, week = new_state(), np.zeros((1, c.N_WEEK, 2))
    table = np.zeros((1, 1, c.N_TABLE))
    table[0, 0, [c.SIGNAL, c.BASELINE]] = c.PERCENT, c.WEEK
    hour = 3_600_000.0
    for kw, t in [(10.0, 0.0), (20.0, 100.0), (99.0, hour)]:
        learn(0, t, kw, state, week)
    assert math.isnan(derived(table, week, 0, 0, 2 * hour, 60.0, 30.0, state))
    assert derived(table, week, 0, 0, 168 * hour, 60.0, 30.0, state) == 200.0


@pytest.mark.parametrize("is_python", [False, True])
def test_a_machine_that_falls_silent(is_python):
    rules = AlertRules(np.zeros((1, 1, c.N_TABLE)), np.empty((0, 4)))
    row = rules.table[0, 0]
    row[[c.SIGN, c.N_LEVELS, c.ONLINE_TOO, c.APPLIES]] = 1.0
    row[[c.LIMIT, c.CLEAR, c.MAX_GAP, c.RESOLVE_AFTER]] = 5.0, 5.0, 1e5, 1e6
    state, out = AlertState(new_state(), np.empty((0, c.N_WEEK, 2))), np.zeros((9, c.N_OUT))
    state.rule[0, 1, c.STATUS] = -1.0
    times = np.array([0, 1000, 2_000_000], np.int64)
    values = np.array([[9.0, 9.0, 9.0]], np.float32)
    run = run_rules.py_func if is_python else run_rules
    run(rules, np.zeros(3, np.int32), times, values, np.zeros(3, np.int8), state, out)
    assert out[-1, 0] == 1 and out[0, c.OUT_RESOLVED] == 1_001_000 and out[0, c.OUT_RESOLVED_BY] == c.BY_SILENCE
    close_rules(rules.table, 2_000_001.0, state.rule, out)
    assert out[-1, 0] == 2 and out[1, c.OUT_RESOLVED_BY] == c.STILL_OPEN


def test_shelves_are_for_all_or_for_one():
    shelf = np.array([[-1.0, 1.0, 10.0, 20.0], [3.0, -1.0, 30.0, 40.0]])
    assert is_shelved(shelf, 7, 1, 10.0) and not is_shelved(shelf, 7, 1, 20.0) and not is_shelved(shelf, 7, 0, 15.0)
    assert is_shelved(shelf, 3, 0, 39.0) and not is_shelved(shelf, 2, 0, 39.0)


def test_alerts_are_taken_apart_into_columns():
    rows = np.arange(2.0 * c.N_OUT).reshape(2, c.N_OUT)
    rows[1, c.REANNOUNCED] = c.NONE
    time, value, code = np.empty((6, 2), np.int64), np.empty((3, 2)), np.empty((8, 2), np.int64)
    split_alerts(rows, time, value, code)
    assert time[[a.RAISED, a.RESOLVED], 0].tolist() == [c.RAISED, c.OUT_RESOLVED]
    assert time[a.REANNOUNCED, 1] == int(c.NONE) and value[:, 0].tolist() == [c.VALUE_RAISED, c.EXTREME, c.OUT_LIMIT]
    assert code[[a.MACHINE, a.RULE, a.HIGHEST, a.N_HELD], 0].tolist() == [
        c.OUT_MACHINE, c.OUT_RULE, c.OUT_HIGHEST, c.N_HELD,
    ]  # fmt: skip


def some_alerts(n, rng):
    """Columns of ``n`` alerts of 3 machines and 2 rules in order of time, some never announced, some grown graver."""
    none, hour = int(c.NONE), 3_600_000
    raised = np.sort(rng.integers(-hour, 100 * hour, n))
    first = np.where(rng.random(n) < 0.2, none, raised + rng.integers(0, 9_000, n))
    graver = np.where(rng.random(n) < 0.5, none, raised + rng.integers(0, 9_000, n))
    again = np.where((graver == none) | (rng.random(n) < 0.5), none, first.clip(0) + 5_000)
    resolved = np.where(rng.random(n) < 0.1, none, raised + rng.integers(0, 60 * hour, n))
    severity = rng.integers(0, 3, n)
    code = [rng.integers(0, 3, n), rng.integers(0, 2, n), severity, np.maximum(severity, rng.integers(0, 3, n))]
    code += [rng.integers(0, 4, n), rng.integers(0, 4, n), rng.integers(0, 2, n), rng.integers(1, 9, n)]
    return np.array([raised, raised, first, again, graver, resolved]), np.array(code)


@pytest.mark.parametrize("n_recent", [1, 2, 7])
@pytest.mark.parametrize("is_python", [False, True])
def test_alerts_are_counted_like_one_at_a_time(is_python, n_recent):
    hour = 3_600_000
    bounds, operator = Bounds(0, 99 * hour, hour, 24 * hour), np.array([1, 0, 1])
    shapes = [(2, 594), (3, 2), (3, 2, n_recent), (3, 2), (2, 3), (2, 6), (2, 4), (2, 4)]
    ours, theirs = (Tally(*(np.zeros(shape, np.int64) for shape in shapes)) for _ in range(2))
    for tally in (ours, theirs):
        tally.recent[:] = int(c.NONE)
    count = tally_alerts.py_func if is_python else tally_alerts
    rng = np.random.default_rng(3)
    time, code = some_alerts(400, rng)
    for part in np.array_split(np.arange(400), 3):
        columns = np.ascontiguousarray(time[:, part]), np.ascontiguousarray(code[:, part])
        count(*columns, operator, bounds, ours)
        naive_tally(*columns, operator, bounds, theirs)
    assert ours.chatter.sum() > 5 and np.cumsum(ours.stale, axis=1).max() > 2
    for name, mine, other in zip(Tally._fields, ours, theirs, strict=True):
        assert (mine == other).all(), name
