"""Exponential smoothing of hour-of-week profiles, robust and with a damped level, for one series at a time.

State: a profile of 48 (hour of day on weekdays and at weekends), 168 deviations from it (hour of week), a level that
acts in proportion to the profile, so that a series that is off at night stays off, and one residual scale each for
high and low load. The recursion is the error-correction form of exponential smoothing (Holt 1957, Winters 1960) with
clipped errors (Gelper, Fried and Croux 2010) and a damped level (Gardner and McKenzie 1985).
"""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel

HOURS, WEEK, PAIRS, DAYS = 24, 168, 48, 7
_LEAST_SCALE = 0.002
HIGH = 0.35  # share of the profile's peak from which an hour counts as high load
_SCALE_GAIN = 0.01


@kernel
def pair_of(cell: int) -> int:
    """Place of an hour of the week (0 = Monday midnight) among 24 hours of weekdays and 24 of the weekend."""
    return cell % 24 + (24 if cell >= 120 else 0)


@kernel
def start_profile(y: np.ndarray, there: np.ndarray, cell: np.ndarray, burn_h: int, out_state: np.ndarray) -> None:
    """Profile of the first ``burn_h`` hours: a mean per pair, shrunk deviations per hour of week; counts beside them.

    ``y`` (t,) values, ``there`` (t,) 1 where one was measured, ``cell`` (>= t,) hours of the week. ``out_state``
    (2, 216): values and counts, first 168 deviations, then 48 pairs.
    """
    out_state[:] = 0.0
    for t in range(burn_h):
        if there[t]:
            k = WEEK + pair_of(cell[t])
            out_state[0, k] += y[t]
            out_state[1, k] += 1.0
    for k in range(WEEK, WEEK + PAIRS):
        out_state[0, k] /= max(out_state[1, k], 1.0)
    for t in range(burn_h):
        if there[t]:
            c = cell[t]
            out_state[0, c] += y[t] - out_state[0, WEEK + pair_of(c)]
            out_state[1, c] += 1.0
    for c in range(WEEK):
        out_state[0, c] /= out_state[1, c] + 0.3


@kernel
def start_scales(
    y: np.ndarray, there: np.ndarray, cell: np.ndarray, burn_h: int, state: np.ndarray, out_scale: np.ndarray
) -> None:
    """Residual scales after the start: ``out_scale`` (4,) = low load, high load, RMS of profile, limit of low load."""
    square = 0.0
    peak = 0.0
    for c in range(WEEK):
        p = abs(state[0, WEEK + pair_of(c)] + state[0, c])
        square += p * p
        peak = max(peak, p)
    limit = HIGH * peak
    total_low = 0.0
    total_high = 0.0
    n_low = 1e-9
    n_high = 1e-9
    for t in range(burn_h):
        if there[t]:
            p = state[0, WEEK + pair_of(cell[t])] + state[0, cell[t]]
            if abs(p) > limit:
                total_high += abs(y[t] - p)
                n_high += 1.0
            else:
                total_low += abs(y[t] - p)
                n_low += 1.0
    out_scale[0] = 1.625 * total_low / n_low + 0.004
    out_scale[1] = 1.625 * total_high / n_high + 0.004
    out_scale[2] = np.sqrt(square / WEEK) + 1e-9
    out_scale[3] = limit


@kernel
def smooth_paths(
    y: np.ndarray,
    there: np.ndarray,
    cell: np.ndarray,
    rule: np.ndarray,
    start: np.ndarray,
    scale: np.ndarray,
    out_path: np.ndarray,
) -> None:
    """One candidate: smooth ``y`` (t,) and leave its path from each daily origin in ``out_path`` (origins, 168).

    The last origin is the end of ``y``. ``rule`` (5,): gain of pairs, gain of deviations, gain of the level, damping of
    the level per day, clip in residual scales. ``start``, ``scale`` as made above; ``scale[4]`` is the first hour that
    updates. An hour that is not there changes nothing but the age of the level.
    """
    n_origins = out_path.shape[0]
    n_hours = y.shape[0]
    first = n_hours - (n_origins - 1) * HOURS
    state = start.copy()
    low, high, limit = scale[0], scale[1], scale[3]
    per_rms = 1.0 / scale[2]
    damp = rule[3] ** (1.0 / HOURS) if rule[3] > 0.0 else 0.0
    level = 0.0
    for t in range(int(scale[4]), n_hours + 1):
        if t >= first and (n_hours - t) % HOURS == 0:
            _draw_path(state, cell, level, damp, per_rms, out_path[(t - first) // HOURS], t)
        if t == n_hours:
            break
        level *= damp
        if not there[t]:
            continue
        c = cell[t]
        k = WEEK + pair_of(c)
        p = state[0, k] + state[0, c]
        u = abs(p) * per_rms
        error = y[t] - p - level * u
        is_high = abs(p) > limit
        s = high if is_high else low
        clipped = min(max(error, -rule[4] * s), rule[4] * s)
        level += rule[2] * clipped * u
        state[1, k] += 1.0
        state[1, c] += 1.0
        state[0, k] += 0.5 * max(rule[0], 1.0 / (state[1, k] + 1.0)) * clipped
        state[0, c] += 0.8 * max(rule[1], 1.0 / (state[1, c] + 2.0)) * clipped
        s = max(s + _SCALE_GAIN * (1.25 * min(abs(error), 4.0 * s) - s), _LEAST_SCALE)
        if is_high:
            high = s
        else:
            low = s


@kernel
def _draw_path(
    state: np.ndarray, cell: np.ndarray, level: float, damp: float, per_rms: float, out_row: np.ndarray, t: int
) -> None:
    """The forecast of the next 168 hours from hour ``t``."""
    for h in range(WEEK):
        c = cell[t + h]
        p = state[0, WEEK + pair_of(c)] + state[0, c]
        level *= damp
        out_row[h] = p + level * abs(p) * per_rms
