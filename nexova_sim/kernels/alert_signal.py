"""Signals of the rule engine: a channel as it is, power against its baseline, a trend; then a low-pass."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels import alert_state as c
from nexova_sim.kernels._jit import kernel_nan
from nexova_sim.kernels.numbers import exp64

HOUR_MS = 3_600_000.0


@kernel_nan
def _hour_of_week(hour: int) -> int:
    """Hour of the week, 0 = Monday 00:00 UTC, of an hour counted since 1970 (which began on a Thursday)."""
    return (hour + 72) % c.N_WEEK


@kernel_nan
def forget(m: int, r: int, t: float, out_state: np.ndarray) -> None:
    """What was seen before ``t`` is no evidence for what comes: timers, filter and trend start anew."""
    for k in range(3):
        out_state[m, r, c.SINCE + k] = c.NONE
    out_state[m, r, c.CLEAR_SINCE] = c.NONE
    out_state[m, r, c.BEGIN] = c.NONE
    out_state[m, r, c.LAST] = t
    out_state[m, r, c.N_FILTERED] = 0.0


@kernel_nan
def slope(m: int, r: int, x: float, dt_h: float, window_h: float, out_state: np.ndarray) -> float:
    """Slope per hour of the exponentially weighted least-squares line through the readings so far; NaN for one.

    A reading that lies one window back weighs 1/e. Sums are kept with times counted back from the newest reading.
    """
    if out_state[m, r, c.BEGIN] == c.NONE:
        out_state[m, r, c.S0] = 1.0
        out_state[m, r, c.S1] = 0.0
        out_state[m, r, c.S2] = 0.0
        out_state[m, r, c.SX] = x
        out_state[m, r, c.SXU] = 0.0
        return math.nan
    keep = exp64(-dt_h / window_h)
    s0, s1, s2, sx, sxu = (
        out_state[m, r, c.S0],
        out_state[m, r, c.S1],
        out_state[m, r, c.S2],
        out_state[m, r, c.SX],
        out_state[m, r, c.SXU],
    )
    s2 = keep * (s2 - 2.0 * dt_h * s1 + dt_h * dt_h * s0)
    sxu = keep * (sxu - dt_h * sx)
    s1 = keep * (s1 - dt_h * s0)
    s0 = keep * s0 + 1.0
    sx = keep * sx + x
    out_state[m, r, c.S0] = s0
    out_state[m, r, c.S1] = s1
    out_state[m, r, c.S2] = s2
    out_state[m, r, c.SX] = sx
    out_state[m, r, c.SXU] = sxu
    spread = s0 * s2 - s1 * s1
    return (s0 * sxu - s1 * sx) / spread if spread > 0.0 else math.nan


@kernel_nan
def _baseline_kw(table: np.ndarray, week: np.ndarray, m: int, r: int, t: float) -> float:
    """Baseline power (kW) of machine ``m`` for rule ``r`` at ``t``; NaN when none is known."""
    which = int(table[m, r, c.BASELINE])
    if which != c.NOMINAL:
        hour = _hour_of_week(np.int64(t) // np.int64(HOUR_MS))
        if week[m, hour, 1] > 0.0:
            return week[m, hour, 0]
        if which == c.WEEK:
            return math.nan
    return table[m, r, c.BASELINE_KW]


@kernel_nan
def learn(m: int, t: float, kw: float, out_state: np.ndarray, out_week: np.ndarray) -> None:
    """Take a power reading into the running hour; a finished hour goes into the mean of its hour of the week."""
    hour = np.int64(t) // np.int64(HOUR_MS)
    if out_state[m, -1, c.HOUR] != hour:
        if out_state[m, -1, c.HOUR_COUNT] > 0.0:
            slot = _hour_of_week(int(out_state[m, -1, c.HOUR]))
            out_week[m, slot, 1] += 1.0
            out_week[m, slot, 0] += (
                out_state[m, -1, c.HOUR_SUM] / out_state[m, -1, c.HOUR_COUNT] - out_week[m, slot, 0]
            ) / out_week[m, slot, 1]
        out_state[m, -1, c.HOUR] = hour
        out_state[m, -1, c.HOUR_SUM] = 0.0
        out_state[m, -1, c.HOUR_COUNT] = 0.0
    out_state[m, -1, c.HOUR_SUM] += kw
    out_state[m, -1, c.HOUR_COUNT] += 1.0


@kernel_nan
def derived(table: np.ndarray, week: np.ndarray, m: int, r: int, t: float, dt_ms: float, x: float,
            out_state: np.ndarray) -> float:  # fmt: skip
    """What rule ``r`` makes of the reading ``x``: percent of the baseline or trend; NaN while it cannot be told."""
    if table[m, r, c.SIGNAL] == c.PERCENT:
        kw = _baseline_kw(table, week, m, r, t)
        return 100.0 * x / kw if kw > 0.0 else math.nan
    y = slope(m, r, x, dt_ms / HOUR_MS, table[m, r, c.WINDOW] / HOUR_MS, out_state)
    if out_state[m, r, c.BEGIN] == c.NONE:
        out_state[m, r, c.BEGIN] = t
    return y if t - out_state[m, r, c.BEGIN] >= table[m, r, c.WINDOW] else math.nan


@kernel_nan
def low_pass(m: int, r: int, dt_ms: float, filter_ms: float, y: float, out_state: np.ndarray) -> float:
    """First-order low-pass; the mean of the first readings, so that one wild reading after a start does not linger."""
    if out_state[m, r, c.GAIN_DT] != dt_ms:
        out_state[m, r, c.GAIN_DT] = dt_ms
        out_state[m, r, c.GAIN] = 1.0 - exp64(-dt_ms / filter_ms)
    n = out_state[m, r, c.N_FILTERED] + 1.0
    out_state[m, r, c.N_FILTERED] = n
    if n > 1.0:
        y = out_state[m, r, c.FILTERED] + max(out_state[m, r, c.GAIN], 1.0 / n) * (y - out_state[m, r, c.FILTERED])
    out_state[m, r, c.FILTERED] = y
    return y
