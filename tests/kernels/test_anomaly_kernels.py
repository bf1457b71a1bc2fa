"""Kernels behind anomaly detection against their naive twins, and cut anywhere with the same bits."""

import naive_anomaly as naive
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest
from tolerances import REORDER

from nexova_sim.detect.forest_reference import match_forest
from nexova_sim.detect.trees import expected_path, forest_scores, plain_forest, random_cuts, round_down
from nexova_sim.kernels import residual as r
from nexova_sim.kernels.episode import N_ALARM, N_EPISODE, follow, put_alarm
from nexova_sim.kernels.forest import sum_paths
from nexova_sim.kernels.halfspace import HalfSpace, HalfSpaceMass, score_mass
from nexova_sim.kernels.windows import PastState, WindowState, clear_window, gather_rows, leave_past, roll

MINUTE = 60_000


def windows(machines, channels, size):
    return WindowState(np.full((machines, channels, size), np.nan, np.float32), np.zeros((machines, channels, 3)),
                       np.zeros((machines, 2), np.int64))  # fmt: skip


def stream(seed, n=300, machines=3, channels=2):
    random = np.random.default_rng(seed)
    machine = random.integers(0, machines, n).astype(np.int32)
    time_ms = np.cumsum(random.choice([MINUTE, 2 * MINUTE, 300 * MINUTE], n, p=[0.8, 0.17, 0.03])).astype(np.int64)
    values = random.standard_normal((channels, n)).astype(np.float32)
    values[random.random(values.shape) < 0.1] = np.nan
    return machine, time_ms, values


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9))
def test_rolling_features_against_lists(seed, size):
    machine, time_ms, values = stream(seed)
    out = np.empty((6, len(machine)), np.float32)
    roll(machine, time_ms, values, 60 * MINUTE, windows(3, 2, size), out)
    wanted = naive.roll(machine, time_ms, values, 60 * MINUTE, size)
    np.testing.assert_array_equal(np.isnan(out), np.isnan(wanted))
    # Sums of squares in float64 against float32 output: a deviation of zero may come out as rounding of the mean.
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_rolling_features_do_not_depend_on_cuts(seed, cuts):
    machine, time_ms, values = stream(seed)
    whole = np.empty((6, len(machine)), np.float32)
    roll(machine, time_ms, values, 60 * MINUTE, windows(3, 2, 5), whole)
    state, parts, at = windows(3, 2, 5), [], 0
    for step in [*cuts, len(machine)]:
        stop = min(len(machine), at + step)
        part = np.empty((6, stop - at), np.float32)
        roll(machine[at:stop], time_ms[at:stop], np.ascontiguousarray(values[:, at:stop]), 60 * MINUTE, state, part)
        parts.append(part)
        at = stop
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()


def test_clear_window_forgets_one_machine():
    state = windows(2, 1, 3)
    out = np.empty((3, 2), np.float32)
    roll(np.array([0, 1], np.int32), np.array([0, 0]), np.ones((1, 2), np.float32), MINUTE, state, out)
    clear_window(0, state.ring, state.total, state.place)
    assert np.isnan(state.ring[0]).all()
    assert state.ring[1, 0, 0] == 1.0
    assert state.place[:, 0].tolist() == [0, 1]


def test_exponential_means_by_hand():
    state, out = np.zeros((2, 1)), np.empty((1, 4), np.float32)
    values = np.array([[1.0, 2.0, np.nan, 3.0]], np.float32)
    gather_rows(np.array([0, 1, 0, 0], np.int32), values, 0.5, state, out)
    np.testing.assert_allclose(out[0], [0.5, 1.0, 0.5, 1.75], **REORDER)


def fitted(rows, seed=0, **settings_):
    return IsolationForest(n_estimators=20, contamination=0.05, random_state=seed, **settings_).fit(rows)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([2, 7, 64, 256]))
def test_forest_scores_are_those_of_scikit_learn(seed, columns, samples):
    random = np.random.default_rng(seed)
    rows = random.standard_normal((1500, columns)).astype(np.float32)
    rows[::3] = np.round(rows[::3], 1)  # ties, also with thresholds
    model = fitted(rows[:400], seed, max_samples=samples)
    forest = plain_forest(model)
    out = forest_scores(forest, rows)
    theirs = model.score_samples(rows)
    assert (-out == theirs).all()
    assert ((-out < model.offset_) == (theirs < model.offset_)).all()
    path = np.empty(3)
    sum_paths(forest, rows[:3], path)
    np.testing.assert_allclose(2.0 ** (-path / forest.normal_path[0]), out[:3], **REORDER)


def test_match_forest_measures_both():
    rows = np.random.default_rng(1).standard_normal((3000, 3)).astype(np.float32)
    found = match_forest(rows, 1000, 20, 7, repeats=1)
    assert found.n_flags_differ == 0
    assert found.max_difference <= 1e-6
    assert found.own_s > 0 < found.reference_s


def test_path_lengths_and_rounding():
    np.testing.assert_allclose(expected_path(np.array([0, 1, 2, 256])), [0.0, 0.0, 1.0, 10.244770], rtol=1e-6)
    values = np.random.default_rng(0).standard_normal(10_000)
    down = round_down(values)
    assert (down.astype(np.float64) <= values).all()
    assert (np.nextafter(down, np.float32(np.inf)).astype(np.float64) > values).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(10, 60))
def test_half_space_masses_against_dictionaries(seed, depth, window):
    random = np.random.default_rng(seed)
    column = random.integers(0, 3, (4, 2**depth - 1)).astype(np.int32)
    cut = random_cuts(column, depth, 3, random)
    rows = random.standard_normal((200, 3)).astype(np.float32)
    shape = (4, 2 ** (depth + 1) - 1)
    state = HalfSpaceMass(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(1, np.int64))
    out = np.empty(200)
    score_mass(HalfSpace(column, cut), rows[:77], window, 5, state, out[:77])
    score_mass(HalfSpace(column, cut), rows[77:], window, 5, state, out[77:])
    np.testing.assert_allclose(out, naive.masses(column, cut, rows, window, 5), **REORDER)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.0, 2.0, 5.0]),
    st.sampled_from([0.0, 3.0, 10.0]),
    st.sampled_from([0.0, 4.0]),
)
def test_alarms_against_the_rules_in_words(seed, hold, clear, start_up):
    random = np.random.default_rng(seed)
    n = 200
    time_ms = (np.cumsum(random.integers(1, 3, n)) * MINUTE).astype(np.int64)
    level = np.repeat(random.choice([0.2, 0.9, 1.5], n // 10), 10)
    ratio = (level * random.uniform(0.8, 1.2, n)).astype(np.float32)
    quiet = np.repeat(random.random(n // 20) < 0.2, 20)
    rules = np.array([hold * MINUTE, clear * MINUTE, 0.7, start_up * MINUTE])
    state, out = np.zeros((1, 1, N_EPISODE)), np.empty((n, N_ALARM))
    count = follow(
        np.zeros(n, np.int32), time_ms, ratio[None], np.zeros((1, n), np.int32), quiet[None], rules, state, out
    )
    wanted = naive.alarms(time_ms, ratio, quiet, hold * MINUTE, clear * MINUTE, 0.7, start_up * MINUTE)
    closed = [w for w in wanted if w[1] is not None]
    assert [(a[2], a[3], a[4]) for a in out[:count]] == [(float(s), float(e), p) for s, e, p in closed]
    assert bool(state[0, 0, 0]) == (len(closed) < len(wanted))


def test_put_alarm_writes_a_row():
    out = np.empty((1, N_ALARM))
    put_alarm(3, 2, 9.0, np.array([1.0, 0.0, 0.0, 5.0, 7.5, 11.0, 0.0, 0.0]), 0, out)
    assert out[0].tolist() == [3.0, 2.0, 5.0, 9.0, 7.5, 11.0]


def twin_params(n=1):
    p = np.zeros((n, r.N_TWIN))
    p[:, r.A_REF_KW], p[:, r.A_TAU_H], p[:, r.A_RISE_K] = 100.0, 0.5, 30.0
    p[:, r.A_VIB_GAIN], p[:, r.A_VIB_BASE] = 0.5, 1.0
    p[:, r.A_SIGMA_TEMP], p[:, r.A_SIGMA_VIB], p[:, r.A_SIGMA_POWER] = 1.0, 0.1, 0.05
    p[:, r.A_LEARNT_H], p[:, r.A_LOAD_FRAC] = 1e4, 0.3
    return p


def twin_settings():
    g = np.zeros(r.N_SETTINGS)
    g[r.G_FAST_H], g[r.G_SLOW_H], g[r.G_SURGE_H], g[r.G_LEARN_H] = 1.0, 8.0, 3.0, 24.0
    g[r.G_UP_H], g[r.G_DOWN_H], g[r.G_HOLD_H] = 72.0, 48.0, 0.2
    g[r.G_HEAT_GAIN], g[r.G_HEAT_KNEE_C] = 0.05, 70.0
    return g


def watched(values, status=None, ambient=20.0, parts=1):
    """Statistics and residuals of one machine's readings, one a minute, taken in ``parts`` pieces."""
    n = values.shape[1]
    status = np.zeros(n, np.int8) if status is None else status
    p, state = twin_params(), np.empty((1, r.N_WATCH))
    r.begin_watch(p, state)
    context = np.stack([np.zeros(n), np.full(n, ambient)])
    stats, residual = np.empty((r.N_STATS, n), np.float32), np.empty((r.N_RESIDUALS, n), np.float32)
    time_ms = np.arange(n, dtype=np.int64) * MINUTE
    for piece in np.array_split(np.arange(n), parts):
        a, b = piece[0], piece[-1] + 1
        own, left = np.empty((r.N_STATS, b - a), np.float32), np.empty((r.N_RESIDUALS, b - a), np.float32)
        r.watch(np.zeros(b - a, np.int32), time_ms[a:b], np.ascontiguousarray(values[:, a:b]), status[a:b],
                np.ascontiguousarray(context[:, a:b]), p, twin_settings(), (state, own, left))  # fmt: skip
        stats[:, a:b], residual[:, a:b] = own, left
    return stats, residual, state


def steady(n, extra_k=0.0):
    """Load 0.8 as the twin has it: 20 + 30 * 0.8 = 44 degC, 0.5 * 0.8 + 1 = 1.4 mm/s; tiny distinct noise."""
    jitter = (np.arange(n) % 7) * 1e-4
    return np.stack([80.0 + jitter, 44.0 + extra_k + jitter, 1.4 + jitter]).astype(np.float32)


def test_the_watch_finds_nothing_where_the_twin_explains_all():
    stats, residual, _ = watched(steady(3000))
    assert np.abs(residual[0, 600:]).max() < 0.01
    assert np.abs(residual[1, 600:]).max() < 0.01
    assert np.abs(residual[3, 600:] - 44.0).max() < 0.01
    assert np.abs(stats[[r.Q_TEMP_FAST, r.Q_VIB_FAST], 600:]).max() < 0.01


def test_the_watch_gathers_what_the_twin_does_not_explain():
    values = steady(3000)
    values[1, 2000:] += 2.0
    stats, _, _ = watched(values)
    after = stats[r.Q_TEMP_FAST, 2000:2240]
    assert (np.diff(after[:180]) > 0).all()
    assert 1.8 < after[239] < 2.0
    assert 0.0 < stats[r.Q_TEMP_SLOW, 2239] < after[239]


def test_the_watch_does_not_depend_on_cuts():
    random = np.random.default_rng(3)
    values = steady(900)
    values += random.normal(0, [[2.0], [0.5], [0.05]], values.shape).astype(np.float32)
    values[:, random.random(900) < 0.05] = np.nan
    status = np.repeat(np.array([0, 0, 1, 0, 2, 0, 0, 0, 0], np.int8), 100)
    whole, parts = watched(values, status), watched(values, status, parts=37)
    for a, b in zip(whole, parts, strict=True):
        assert a.tobytes() == b.tobytes()


def test_stuck_silent_and_missing_are_counted():
    values = steady(400)
    values[1, 300:] = 44.0
    values[2, 350:] = np.nan
    stats, _, _ = watched(values)
    assert stats[r.Q_STUCK + 1, 299] == 0.0
    assert stats[r.Q_STUCK + 1, 399] >= 98.0
    np.testing.assert_allclose(stats[r.Q_DROPOUT + 2, 399], 50 / 60, rtol=1e-5)
    assert stats[r.Q_GAP, 10] == np.float32(1 / 60)


def test_pieces_of_the_watch():
    np.testing.assert_allclose(r.gather_ewma(1.0, 3.0, 1.0, 1.0), 3.0 - 2.0 * np.exp(-1.0), **REORDER)
    g = twin_settings()
    # New: a running mean; later slower, upward slower than downward, slower still while it looks like a fault.
    assert r.learn(0.0, 1.0, 0.0, 1.0, np.array([1.0, 0.0, 9.0, -9.0]), g) == 1.0
    up = r.learn(0.0, 1.0, 100.0, 1.0, np.array([1.0, 0.0, 9.0, -9.0]), g)
    down = r.learn(0.0, 1.0, 100.0, 1.0, np.array([-1.0, 0.0, 9.0, -9.0]), g)
    frozen = r.learn(0.0, 1.0, 100.0, 1.0, np.array([1.0, 10.0, 9.0, -9.0]), g)
    np.testing.assert_allclose([up, down, frozen], [1 / 72, 1 / 48, 1 / 720], **REORDER)
    state, stat = np.zeros(r.N_WATCH), np.zeros(r.N_STATS)
    r.count_spikes(np.array([4.0, 5.0, np.nan]), 0.0, state, stat)
    np.testing.assert_allclose(stat[r.Q_SPIKE : r.Q_SPIKE + 3], [0.0, 0.5, 0.0], **REORDER)
    values = np.array([1.0, np.nan, 2.0])
    state[r.W_LAST], state[r.W_RUN] = 1.0, 7.0
    r.count_runs(values, True, 0.1, state, stat)
    assert stat[r.Q_STUCK] == 8.0
    assert np.isnan(values[0])
    assert stat[r.Q_DROPOUT + 1] == 0.1
    full = np.ones(r.N_WATCH)
    r.restart(full)
    assert full[r.W_VIB_FAST] == full[r.W_VIB_H] == 0.0
    assert full[r.W_RISE] == 1.0


def test_power_is_watched_against_the_hour():
    p, g, s = twin_params()[0], twin_settings(), np.zeros(r.N_WATCH)
    s[r.W_LEVEL_H] = s[r.W_SEEN_H] = 1000.0
    np.testing.assert_allclose(r.watch_power(1.2, 0.0, 1 / 60, p, g, s), 0.2, rtol=1e-12)
    assert s[r.W_POWER_FAST] > s[r.W_POWER_SLOW] > 0.0
    state = np.empty((1, r.N_WATCH))
    r.begin_watch(twin_params(), state)
    first = r.watch_reading(np.array([80.0, 44.0, 1.4]), 0.0, 0.0, 20.0, True, p, g, state[0])
    np.testing.assert_allclose(first, (0.0, 0.0, -0.2, 44.0), atol=1e-9)
    off = r.watch_reading(np.array([0.0, 44.0, 0.0]), 0.1, 0.0, 20.0, False, p, g, state[0])
    assert np.isnan(off[1])
    assert np.isnan(off[2])


def fresh_past(machines=3, channels=2):
    shape = (machines, channels)
    return PastState(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 300), st.floats(0.0, 1.0))
def test_a_level_that_follows_against_dictionaries_and_in_any_cut(seed, cut, held_frac):
    machine, _, values = stream(seed)
    values = (values + (np.arange(len(machine)) > 150) * 3.0).astype(np.float32)
    limit, pace = np.random.default_rng(seed).uniform(0.5, 4.0, (3, 2)), np.array([0.1, 0.05, held_frac])
    whole = np.empty_like(values)
    leave_past(machine, values, limit, pace, fresh_past(), whole)
    wanted = naive.leave_past(machine, values, limit, pace)
    np.testing.assert_array_equal(whole, wanted.astype(np.float32))
    state, parts = fresh_past(), []
    for part in (slice(None, cut), slice(cut, None)):
        out = np.empty_like(values[:, part])
        leave_past(machine[part], np.ascontiguousarray(values[:, part]), limit, pace, state, out)
        parts.append(out)
    assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()
