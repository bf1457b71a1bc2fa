"""The rule engine: readings in, alerts out, all state in arrays, so that any chunking gives the same alerts.

One (machine, rule) holds at most one open alert. Order at every reading of a machine: each rule judges it, then what
is waiting is announced, gravest first. Signals are multiplied by the rule's sign, so that beyond is always above.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels import alert_state as c
from nexova_sim.kernels._jit import kernel_nan
from nexova_sim.kernels.alert_signal import derived, forget, learn, low_pass
from nexova_sim.kernels.alert_state import AlertRules, AlertState


@kernel_nan
def _emit(table: np.ndarray, m: int, r: int, resolved_ms: float, how: int, out_state: np.ndarray,
         out_alerts: np.ndarray) -> None:  # fmt: skip
    """Write the open alert of (m, r) as the next row and close it."""
    n = int(out_alerts[-1, 0])
    out_alerts[-1, 0] = n + 1
    for k in range(c.N_HELD + 1):
        out_alerts[n, k] = out_state[m, r, k]
    out_alerts[n, c.VALUE_RAISED] *= table[m, r, c.SIGN]
    out_alerts[n, c.EXTREME] *= table[m, r, c.SIGN]
    first, highest = int(out_state[m, r, c.FIRST_LEVEL]), int(out_state[m, r, c.LEVEL])
    out_alerts[n, c.OUT_SEVERITY] = table[m, r, c.SEVERITY + first]
    out_alerts[n, c.OUT_HIGHEST] = table[m, r, c.SEVERITY + highest]
    out_alerts[n, c.OUT_MACHINE] = m
    out_alerts[n, c.OUT_RULE] = r
    out_alerts[n, c.OUT_RESOLVED] = resolved_ms
    out_alerts[n, c.OUT_RESOLVED_BY] = how
    out_alerts[n, c.OUT_LIMIT] = table[m, r, c.SIGN] * table[m, r, c.LIMIT + first]
    out_state[m, -1, c.N_PENDING] -= out_state[m, r, c.PENDING]
    if table[m, r, c.SEVERITY + highest] == c.CRITICAL:
        out_state[m, -1, c.N_CRITICAL] -= 1.0
    out_state[m, r, c.ACTIVE] = 0.0
    out_state[m, r, c.PENDING] = 0.0
    out_state[m, r, c.CLEAR_SINCE] = c.NONE


@kernel_nan
def _open_alert(table: np.ndarray, m: int, r: int, t: float, level: int, y: float, out_state: np.ndarray) -> None:
    """Open an alert of (m, r) at ``level`` with the signed value ``y``."""
    out_state[m, r, c.ONSET] = out_state[m, r, c.SINCE + level]
    out_state[m, r, c.RAISED] = t
    out_state[m, r, c.ANNOUNCED] = c.NONE
    out_state[m, r, c.REANNOUNCED] = c.NONE
    out_state[m, r, c.ESCALATED] = c.NONE
    out_state[m, r, c.CLEAR_SINCE] = c.NONE
    out_state[m, r, c.VALUE_RAISED] = y
    out_state[m, r, c.EXTREME] = y
    out_state[m, r, c.MUTED] = -1.0
    out_state[m, r, c.FLAPPING] = 0.0
    out_state[m, r, c.N_HELD] = 1.0
    out_state[m, r, c.FIRST_LEVEL] = level
    out_state[m, r, c.LEVEL] = level
    out_state[m, r, c.ACTIVE] = 1.0
    out_state[m, r, c.PENDING] = 1.0
    raises = int(table[m, r, c.FLAP_RAISES])
    if raises > 0:
        at = int(out_state[m, r, c.RING_AT])
        out_state[m, r, c.RING + at] = t
        at = (at + 1) % raises
        out_state[m, r, c.RING_AT] = at
        # One place further stands the oldest of the last ``raises``, NONE while there are fewer.
        if t - out_state[m, r, c.RING + at] <= table[m, r, c.FLAP_WINDOW]:
            out_state[m, r, c.FLAPPING] = 1.0
    out_state[m, -1, c.N_PENDING] += 1.0
    if table[m, r, c.SEVERITY + level] == c.CRITICAL:
        out_state[m, -1, c.N_CRITICAL] += 1.0


@kernel_nan
def _ripe_level(table: np.ndarray, m: int, r: int, t: float, y: float, out_state: np.ndarray) -> int:
    """Highest level whose limit has been passed for its on-delay, -1 for none; starts and resets their timers."""
    ripe = -1
    for k in range(int(table[m, r, c.N_LEVELS])):
        if y > table[m, r, c.LIMIT + k]:
            if out_state[m, r, c.SINCE + k] == c.NONE:
                out_state[m, r, c.SINCE + k] = t
            if t - out_state[m, r, c.SINCE + k] >= table[m, r, c.ON_DELAY + k]:
                ripe = k
        else:
            out_state[m, r, c.SINCE + k] = c.NONE
    return ripe


@kernel_nan
def _hold(table: np.ndarray, m: int, r: int, t: float, y: float, ripe: int, out_state: np.ndarray,
         out_alerts: np.ndarray) -> None:  # fmt: skip
    """An open alert meets a reading: it grows graver, lasts, or is resolved."""
    out_state[m, r, c.N_HELD] += 1.0
    out_state[m, r, c.EXTREME] = max(out_state[m, r, c.EXTREME], y)
    level = int(out_state[m, r, c.LEVEL])
    if ripe > level:
        if table[m, r, c.SEVERITY + ripe] == c.CRITICAL:
            out_state[m, -1, c.N_CRITICAL] += 1.0
        out_state[m, -1, c.N_PENDING] += 1.0 - out_state[m, r, c.PENDING]
        out_state[m, r, c.PENDING] = 1.0
        out_state[m, r, c.LEVEL] = ripe
        out_state[m, r, c.ESCALATED] = t
    if y <= table[m, r, c.CLEAR]:
        if out_state[m, r, c.CLEAR_SINCE] == c.NONE:
            out_state[m, r, c.CLEAR_SINCE] = t
        calm_ms = table[m, r, c.OFF_DELAY]
        if out_state[m, r, c.FLAPPING] > 0.0:
            calm_ms = max(calm_ms, table[m, r, c.FLAP_QUIET])
        if t - out_state[m, r, c.CLEAR_SINCE] >= calm_ms:
            _emit(table, m, r, t, c.BY_CLEAR, out_state, out_alerts)
    else:
        out_state[m, r, c.CLEAR_SINCE] = c.NONE


@kernel_nan
def is_shelved(shelf: np.ndarray, m: int, r: int, t: float) -> bool:
    """Whether an operator has put (m, r) aside at ``t``."""
    for k in range(shelf.shape[0]):
        if shelf[k, c.SHELF_FROM] <= t < shelf[k, c.SHELF_UNTIL]:
            of_machine = shelf[k, c.SHELF_MACHINE] < 0.0 or shelf[k, c.SHELF_MACHINE] == m
            of_rule = shelf[k, c.SHELF_RULE] < 0.0 or shelf[k, c.SHELF_RULE] == r
            if of_machine and of_rule:
                return True
    return False


@kernel_nan
def _announce(table: np.ndarray, shelf: np.ndarray, m: int, t: float, out_state: np.ndarray) -> None:
    """Show the operator what is waiting on machine ``m``, gravest first, unless something mutes it."""
    for back in range(3):
        severity = c.CRITICAL - back
        for r in range(np.uint64(table.shape[1])):
            if out_state[m, r, c.PENDING] == 0.0 or table[m, r, c.SEVERITY + int(out_state[m, r, c.LEVEL])] != severity:
                continue
            why = c.ANNOUNCED_AT_ONCE
            if is_shelved(shelf, m, r, t):
                why = c.SHELVED
            elif table[m, r, c.MUTES] > 0.0 and severity < c.CRITICAL and out_state[m, -1, c.N_CRITICAL] > 0.0:
                why = c.INHIBITED
            elif t < out_state[m, -1, c.GROUP_UNTIL] and severity <= out_state[m, -1, c.GROUP_SEVERITY]:
                why = c.GROUPED
            if why <= c.GROUPED:
                out_state[m, r, c.PENDING] = 0.0
                out_state[m, -1, c.N_PENDING] -= 1.0
            if why == c.ANNOUNCED_AT_ONCE:
                out_state[m, r, c.ANNOUNCED if out_state[m, r, c.ANNOUNCED] == c.NONE else c.REANNOUNCED] = t
                out_state[m, -1, c.GROUP_UNTIL] = t + table[m, r, c.GROUP]
                out_state[m, -1, c.GROUP_SEVERITY] = severity
            if out_state[m, r, c.MUTED] < 0.0:
                out_state[m, r, c.MUTED] = why


@kernel_nan
def _fall_silent(table: np.ndarray, m: int, r: int, t: float, out_state: np.ndarray, out_alerts: np.ndarray) -> None:
    """Resolve the open alert of (m, r) when at ``t`` no reading has come for too long; it ended when that was so."""
    silent_ms = out_state[m, r, c.LAST] + table[m, r, c.RESOLVE_AFTER]
    if t >= silent_ms:
        _emit(table, m, r, silent_ms, c.BY_SILENCE, out_state, out_alerts)


@kernel_nan
def _rest(table: np.ndarray, m: int, r: int, t: float, is_out: bool, out_state: np.ndarray,
         out_alerts: np.ndarray) -> None:  # fmt: skip
    """A reading that rule ``r`` does not judge: its alert is held, or ends when the machine changed its state."""
    if is_out and table[m, r, c.HOLDS] == 0.0:
        _emit(table, m, r, t, c.BY_STATE, out_state, out_alerts)
    forget(m, r, t, out_state)


@kernel_nan
def _judge(table: np.ndarray, m: int, r: int, t: float, y: float, out_state: np.ndarray,
          out_alerts: np.ndarray) -> None:  # fmt: skip
    """Rule ``r`` meets the signal ``y`` beyond its first limit, or holds an alert."""
    ripe = _ripe_level(table, m, r, t, y, out_state)
    if math.isnan(y):
        return
    if out_state[m, r, c.ACTIVE] > 0.0:
        if table[m, r, c.REPEATS] == 0.0:
            _hold(table, m, r, t, y, ripe, out_state, out_alerts)
            return
        _emit(table, m, r, t, c.BY_CLEAR, out_state, out_alerts)
    if ripe >= 0:
        if table[m, r, c.REPEATS] > 0.0:
            out_state[m, r, c.SINCE + ripe] = t
        _open_alert(table, m, r, t, ripe, y, out_state)


@kernel_nan
def run_rules(rules: AlertRules, machine: np.ndarray, time_ms: np.ndarray, values: np.ndarray, status: np.ndarray,
              out_state: AlertState, out_alerts: np.ndarray) -> None:  # fmt: skip
    """Put n readings through all rules; alerts that end are added to ``out_alerts``, whose last row counts them.

    ``machine`` (n,) int32, ``time_ms`` (n,) int64 never running backward within a machine, ``values`` (channels, n)
    float32 with power first (NaN: no reading, which neither raises nor clears), ``status`` (n,) int8. ``out_alerts``
    (rows, 17) must have room for one alert per reading and rule, and the count.
    """
    # Calls with arrays cost more than the arithmetic, so a reading that changes nothing is dealt with in this loop.
    table, shelf, own, week = rules.table, rules.shelf, out_state.rule, out_state.week
    learns = week.shape[0] > 0
    for i in range(machine.shape[0]):
        m, t, s = np.uint64(machine[i]), np.float64(time_ms[i]), np.uint64(status[i])
        startup_ms = table[m, 0, c.STARTUP]
        if s == c.ONLINE and own[m, -1, c.STATUS] != c.ONLINE:
            # Before the first reading nothing is known: the machine counts as having run for long.
            own[m, -1, c.RUNNING_SINCE] = t if own[m, -1, c.STATUS] >= 0.0 else t - startup_ms
        own[m, -1, c.STATUS] = s
        in_startup = s == c.ONLINE and t - own[m, -1, c.RUNNING_SINCE] < startup_ms
        for r in range(np.uint64(table.shape[1])):
            if table[m, r, c.APPLIES] == 0.0:
                continue
            if own[m, r, c.ACTIVE] > 0.0 and t - own[m, r, c.LAST] >= table[m, r, c.RESOLVE_AFTER]:
                _fall_silent(table, m, r, t, own, out_alerts)
            is_active = own[m, r, c.ACTIVE] > 0.0
            is_out = table[m, r, np.uint64(c.ONLINE_TOO) + s] == 0.0
            if is_out or in_startup:
                if is_active:
                    _rest(table, m, r, t, is_out, own, out_alerts)
                else:
                    own[m, r, c.LAST] = c.NONE
                continue
            y: float = np.float64(values[np.uint64(table[m, r, c.CHANNEL]), i])
            if not math.isfinite(y):
                continue
            if t - own[m, r, c.LAST] > table[m, r, c.MAX_GAP]:
                forget(m, r, t, own)
            dt_ms = t - own[m, r, c.LAST]
            own[m, r, c.LAST] = t
            if table[m, r, c.SIGNAL] == c.PERCENT and table[m, r, c.BASELINE] == c.NOMINAL:
                # As ``derived`` does it, whose call would take longer than all the rest.
                kw = table[m, r, c.BASELINE_KW]
                y = 100.0 * y / kw if kw > 0.0 else math.nan
            elif table[m, r, c.SIGNAL] != c.VALUE:
                y = derived(table, week, m, r, t, dt_ms, y, own)
            y *= table[m, r, c.SIGN]
            if table[m, r, c.FILTER] > 0.0 and not math.isnan(y):
                y = low_pass(m, r, dt_ms, table[m, r, c.FILTER], y, own)
            own[m, r, c.N_SEEN] += 0.0 if math.isnan(y) else 1.0
            if is_active or y > table[m, r, c.LIMIT]:
                _judge(table, m, r, t, y, own, out_alerts)
            else:
                for k in range(3):
                    own[m, r, c.SINCE + k] = c.NONE
        if own[m, -1, c.N_PENDING] > 0.0:
            _announce(table, shelf, m, t, own)
        if learns and s == c.ONLINE and math.isfinite(values[0, i]):
            learn(m, t, np.float64(values[0, i]), own, week)


@kernel_nan
def close_rules(table: np.ndarray, end_ms: float, out_state: np.ndarray, out_alerts: np.ndarray) -> None:
    """The data end at ``end_ms``: write every alert that is open, resolved where the machine fell silent before."""
    for m in range(np.uint64(table.shape[0])):
        for r in range(np.uint64(table.shape[1])):
            if out_state[m, r, c.ACTIVE] > 0.0:
                _fall_silent(table, m, r, end_ms, out_state, out_alerts)
            if out_state[m, r, c.ACTIVE] > 0.0:
                _emit(table, m, r, c.NONE, c.STILL_OPEN, out_state, out_alerts)
