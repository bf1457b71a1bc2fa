"""Alerts that ended: taken apart into columns, and counted for the KPIs in one pass, in the order they ended."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels import alert_state as c
from nexova_sim.kernels._jit import kernel_nan

SLOT_MS = 600_000
DAY_MS = 86_400_000
# Rows of the columns an alert is taken apart into: times (6, n), values (3, n), codes (8, n).
ONSET, RAISED, ANNOUNCED, REANNOUNCED, ESCALATED, RESOLVED = range(6)
MACHINE, RULE, SEVERITY, HIGHEST, MUTED, RESOLVED_WHY, FLAPPING, N_HELD = range(8)
_TIMES = (c.ONSET, c.RAISED, c.ANNOUNCED, c.REANNOUNCED, c.ESCALATED, c.OUT_RESOLVED)
_VALUES = (c.VALUE_RAISED, c.EXTREME, c.OUT_LIMIT)
_CODES = (c.OUT_MACHINE, c.OUT_RULE, c.OUT_SEVERITY, c.OUT_HIGHEST, c.MUTED, c.OUT_RESOLVED_BY, c.FLAPPING, c.N_HELD)
NONE = int(c.NONE)


class Tally(NamedTuple):
    """What ``tally_alerts`` counts: o operators, m machines, r rules; ``slots`` (o, slots of 10 min) announcements.

    ``tags`` (m, r) announcements; ``recent`` (m, r, k) the last ones, ms, oldest first; ``chatter`` (m, r) how often
    they came too close; ``severity`` (o, 3); ``stale`` (o, days + 1) changes from day to day; ``ends`` (o, 4) alerts by
    how they ended; ``muted`` (o, 4). All int64.
    """

    slots: np.ndarray
    tags: np.ndarray
    recent: np.ndarray
    chatter: np.ndarray
    severity: np.ndarray
    stale: np.ndarray
    ends: np.ndarray
    muted: np.ndarray


class Bounds(NamedTuple):
    """Times in ms that alerts are counted by: the data's start and end, too close together, standing for too long."""

    start_ms: int
    end_ms: int
    window_ms: int
    stale_ms: int


@kernel_nan
def split_alerts(rows: np.ndarray, out_time: np.ndarray, out_value: np.ndarray, out_code: np.ndarray) -> None:
    """Take n alerts (n, 18) apart into columns: times (6, n) int64, values (3, n) float64, codes (8, n) int64."""
    for i in range(rows.shape[0]):
        for k in range(6):
            out_time[k, i] = np.int64(rows[i, _TIMES[k]])
        for k in range(3):
            out_value[k, i] = rows[i, _VALUES[k]]
        for k in range(8):
            out_code[k, i] = np.int64(rows[i, _CODES[k]])


@kernel_nan
def _bin(at_ms: int, start_ms: int, width_ms: int, n: int) -> np.uint64:
    """Which of ``n`` bins a time lies in; what lies outside counts in the nearest."""
    at = at_ms - start_ms
    return np.uint64(0) if at < 0 else min(np.uint64(at) // np.uint64(width_ms), np.uint64(n - 1))


@kernel_nan
def tally_alerts(time: np.ndarray, code: np.ndarray, operator: np.ndarray, bounds: Bounds, out_tally: Tally) -> None:
    """Count n alerts, columns ``time`` (6, n), ``code`` (8, n); ``operator`` (m,) int64: who is told of a machine.

    Those of one machine and rule must come in order of time.
    """
    # In one loop, because calls with arrays cost more than the counting.
    slots, tags, recent, chatter, told, stale, ends, muted = out_tally
    n_recent = recent.shape[2]
    for i in range(np.uint64(time.shape[1])):
        m, r = np.uint64(code[MACHINE, i]), np.uint64(code[RULE, i])
        o = np.uint64(operator[m])
        ends[o, np.uint64(code[RESOLVED_WHY, i])] += 1
        muted[o, np.uint64(code[MUTED, i])] += 1
        first_ms, graver_ms = time[ANNOUNCED, i], time[ESCALATED, i]
        for column in range(np.uint64(ANNOUNCED), np.uint64(REANNOUNCED + 1)):
            at_ms = time[column, i]
            if at_ms == NONE:
                continue
            # An alert that grew graver before it was announced at all is announced with what it has become.
            is_graver = column == REANNOUNCED or (graver_ms != NONE and graver_ms <= first_ms)
            slots[o, _bin(at_ms, bounds.start_ms, SLOT_MS, slots.shape[1])] += 1
            told[o, np.uint64(code[HIGHEST if is_graver else SEVERITY, i])] += 1
            tags[m, r] += 1
            if recent[m, r, 0] != NONE and at_ms - recent[m, r, 0] <= bounds.window_ms:
                chatter[m, r] += 1
            for k in range(np.uint64(n_recent - 1)):
                recent[m, r, k] = recent[m, r, k + np.uint64(1)]
            recent[m, r, n_recent - 1] = at_ms
        end_ms = bounds.end_ms if time[RESOLVED, i] == NONE else time[RESOLVED, i]
        if first_ms != NONE and end_ms > first_ms + bounds.stale_ms:
            n_days = stale.shape[1] - 1
            stale[o, _bin(first_ms + bounds.stale_ms, bounds.start_ms, DAY_MS, n_days)] += 1
            stale[o, _bin(end_ms - 1, bounds.start_ms, DAY_MS, n_days) + np.uint64(1)] -= 1
