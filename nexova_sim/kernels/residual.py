"""Readings against the machine's own twin: what load, ambient and habit explain is taken away, the rest is gathered.

Temperature follows the one-node thermal recursion driven by measured power and ambient (MODEL 1); vibration is
proportional to load; power follows the hour of the week. What a machine does on its own (rise, vibration of its
bearings, level of load) is learnt while it runs, from its past only. Sums are kept per machine from reading to reading,
so any cut of the stream gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel_nan

# Statistics, rows of ``out_stat``. Gathered residuals first, then what is wrong with the readings themselves.
(Q_TEMP_FAST, Q_TEMP_SLOW, Q_VIB_FAST, Q_VIB_SLOW, Q_POWER_FAST, Q_POWER_SLOW, Q_SURGE, Q_STUCK, Q_DROPOUT, Q_SPIKE,
 Q_GAP) = (0, 1, 2, 3, 4, 5, 6, 7, 10, 13, 16)  # fmt: skip
N_STATS = 17
# Rows of ``out_residual``: temperature, vibration, power (relative), expected temperature, degC.
N_RESIDUALS = 4

# Parameters of a machine, columns of ``params`` (machines, N_TWIN).
(A_REF_KW, A_TAU_H, A_RISE_K, A_VIB_GAIN, A_VIB_BASE, A_LEVEL, A_SIGMA_TEMP, A_SIGMA_VIB, A_SIGMA_POWER, A_LEARNT_H,
 A_LOAD_FRAC, A_STEP_H) = range(12)  # fmt: skip
N_TWIN = 12

# Settings, the same for all machines.
(G_FAST_H, G_SLOW_H, G_SURGE_H, G_LEARN_H, G_UP_H, G_DOWN_H, G_HOLD_H, G_GAP_H, G_HEAT_GAIN, G_HEAT_KNEE_C) = range(10)
N_SETTINGS = 10

# State of a machine, columns of ``state`` (machines, N_WATCH).
(W_TIME_MS, W_LOAD, W_PHI, W_AMBIENT, W_RISE, W_VIB, W_LEVEL, W_RISE_H, W_VIB_H, W_LEVEL_H, W_POWER_AGE_H, W_WAS,
 W_TEMP_FAST, W_TEMP_SLOW, W_VIB_FAST, W_VIB_SLOW, W_POWER_FAST, W_POWER_SLOW, W_QUICK, W_CEILING, W_SURGE, W_ON_H,
 W_OFFSET, W_SEEN_H) = range(24)  # fmt: skip
W_LAST, W_RUN, W_NAN_H, W_SPIKES = 24, 27, 30, 33  # three each: power, temperature, vibration
N_WATCH = 36

_HOUR_MS = 3_600_000.0
HOLD_STEPS = 3.0  # what was measured holds for at least so many of the machine's usual steps
_SLOW_STEP_H = 2.0 / 60.0  # steps above it are as long as a gap worth telling: there the usual step is taken away
_QUICK_H = 3.0 / 60.0
_STUCK_RUN = 5.0
_CEILING, _CEILING_PER_H, _CEILING_MARGIN = 0.98, 0.05, 0.03  # share below it, pace of learning it
_SPIKE_SIGMAS = 4.5
_SPIKE_H = 6.0
_SETTLE_H = 2.0
_TEMP_LIMIT, _VIB_LIMIT, _POWER_LIMIT = 0.4, 0.6, 0.12  # the first two in sigmas of a reading
_FREEZE = 0.1  # a baseline goes on at this share of its pace while what it would learn looks like a fault


@kernel_nan
def begin_watch(params: np.ndarray, out_state: np.ndarray) -> None:
    """State before the first reading: nothing seen, baselines as fitted; (machines, N_WATCH) float64."""
    for m in range(out_state.shape[0]):
        out_state[m, :] = 0.0
        out_state[m, W_TIME_MS] = np.nan
        out_state[m, W_AMBIENT] = np.nan
        out_state[m, W_RISE] = params[m, A_RISE_K]
        out_state[m, W_VIB] = params[m, A_VIB_BASE]
        out_state[m, W_LEVEL] = params[m, A_LEVEL]
        out_state[m, W_CEILING] = 2.0 * params[m, A_SIGMA_POWER]
        for at in (W_RISE_H, W_VIB_H, W_LEVEL_H):
            out_state[m, at] = params[m, A_LEARNT_H]
        for c in range(3):
            out_state[m, W_LAST + c] = np.nan


@kernel_nan
def learn(base: float, miss: float, seen_h: float, dt_h: float, trend: np.ndarray, settings: np.ndarray) -> float:
    """The next value of a baseline: a mean while it is new, then slow upward and quicker downward.

    ``trend`` (4,): gathered misses of an hour and of many, which say where to go (a single miss is noise), and the
    limits above and below which the slow one looks like a fault, so that the baseline barely follows.
    """
    if seen_h < settings[G_LEARN_H]:
        return base + miss * dt_h / max(seen_h + dt_h, 1e-9)
    is_up = trend[0] > 0.0
    hours = settings[G_UP_H] if is_up else settings[G_DOWN_H]
    if (is_up and trend[1] > trend[2]) or (not is_up and trend[1] < trend[3]):
        hours /= _FREEZE
    return base + miss * min(1.0, dt_h / hours)


@kernel_nan
def gather_ewma(value: float, new: float, dt_h: float, hours: float) -> float:
    """Exponentially weighted mean over ``hours``, exact for any distance between readings."""
    return value + (new - value) * (1.0 - math.exp(-dt_h / hours))


@kernel_nan
def count_runs(values: np.ndarray, on: bool, dt_h: float, s: np.ndarray, out_stat: np.ndarray) -> None:
    """Stuck and silent sensors of one reading, ``values`` (3,).

    A run counts readings that repeat exactly while running. A stuck channel becomes NaN in ``values``, so that nothing
    is learnt from it.
    """
    for c in range(3):
        v = values[c]
        if math.isnan(v):
            s[W_NAN_H + c] += dt_h
            s[W_RUN + c] = 0.0
        else:
            s[W_NAN_H + c] = 0.0
            s[W_RUN + c] = s[W_RUN + c] + 1.0 if v == s[W_LAST + c] and on else 0.0
            s[W_LAST + c] = v
        out_stat[Q_STUCK + c] = s[W_RUN + c]
        out_stat[Q_DROPOUT + c] = s[W_NAN_H + c]
        if s[W_RUN + c] >= _STUCK_RUN:
            values[c] = np.nan


@kernel_nan
def count_spikes(residual: np.ndarray, dt_h: float, s: np.ndarray, out_stat: np.ndarray) -> None:
    """Single wild readings: ``residual`` (3,) in sigmas from the neighbours' mean; the count fades over hours."""
    for c in range(3):
        over = abs(residual[c]) - _SPIKE_SIGMAS
        hit = 0.0 if math.isnan(over) else min(1.0, max(0.0, over))
        s[W_SPIKES + c] = s[W_SPIKES + c] * math.exp(-dt_h / _SPIKE_H) + hit
        out_stat[Q_SPIKE + c] = s[W_SPIKES + c]


@kernel_nan
def watch_power(x: float, usual: float, dt_h: float, p: np.ndarray, g: np.ndarray, s: np.ndarray) -> float:
    """Power of one loaded reading against the hour's usual one; returns the residual as a share of the usual."""
    trend = np.empty(4)
    miss = x / math.exp(usual + s[W_LEVEL]) - 1.0
    clipped = min(miss, 1.5)
    trend[0], trend[1], trend[2], trend[3] = s[W_POWER_FAST], s[W_POWER_SLOW], _POWER_LIMIT, -_POWER_LIMIT
    s[W_LEVEL] = learn(s[W_LEVEL], clipped, s[W_LEVEL_H], dt_h, trend, g)
    s[W_LEVEL_H] += dt_h
    s[W_POWER_FAST] = gather_ewma(s[W_POWER_FAST], clipped, dt_h, g[G_FAST_H])
    s[W_POWER_SLOW] = gather_ewma(s[W_POWER_SLOW], clipped, dt_h, g[G_SLOW_H])
    s[W_QUICK] = gather_ewma(s[W_QUICK], clipped, dt_h, _QUICK_H)
    over = min(max(0.0, s[W_QUICK] - s[W_CEILING] - _CEILING_MARGIN), 0.5)
    pace = _CEILING_PER_H * (5.0 if s[W_SEEN_H] < g[G_LEARN_H] else 1.0) * dt_h
    s[W_CEILING] += pace * (_CEILING if s[W_QUICK] > s[W_CEILING] else _CEILING - 1.0)
    s[W_SURGE] = gather_ewma(s[W_SURGE], over, dt_h, g[G_SURGE_H])
    return miss


@kernel_nan
def watch_reading(values: np.ndarray, dt_h: float, usual: float, ambient_c: float, on: bool, p: np.ndarray,
                  g: np.ndarray, s: np.ndarray) -> tuple[float, float, float, float]:  # fmt: skip
    """Residuals of one reading (temperature K, vibration mm/s, power relative) and the expected temperature, degC.

    Thermal recursion: phi' = phi + (1 - e^(-dt/tau)) (x - phi), T = ambient + rise phi (MODEL 1 with c = 1).
    """
    trend = np.empty(4)
    power = values[0]
    if math.isnan(power):
        s[W_POWER_AGE_H] += dt_h
    else:
        s[W_POWER_AGE_H] = 0.0
        s[W_LOAD] = power / p[A_REF_KW]
    x = s[W_LOAD] if on else 0.0
    known = s[W_POWER_AGE_H] < 0.5
    has_ambient = not math.isnan(ambient_c)
    if math.isnan(s[W_AMBIENT]):
        s[W_AMBIENT] = ambient_c if has_ambient else 0.0
        s[W_PHI] = x
    part = 1.0 - math.exp(-dt_h / p[A_TAU_H])
    s[W_PHI] += part * (x - s[W_PHI])
    if has_ambient:
        s[W_AMBIENT] += part * (ambient_c - s[W_AMBIENT])
    expected = s[W_AMBIENT] + s[W_RISE] * s[W_PHI] + s[W_OFFSET]
    r_temp = values[1] - expected
    hot = g[G_HEAT_GAIN] * max(0.0, expected - g[G_HEAT_KNEE_C])
    r_vib = values[2] - p[A_VIB_GAIN] * x - hot - s[W_VIB]
    r_power = np.nan
    if not on:
        return r_temp, np.nan, np.nan, expected
    s[W_ON_H] += dt_h
    s[W_SEEN_H] += dt_h
    if not math.isnan(r_temp) and known and s[W_ON_H] > 2.0 * p[A_TAU_H]:
        t = min(max(r_temp, -5.0 * p[A_SIGMA_TEMP]), 5.0 * p[A_SIGMA_TEMP])
        s[W_TEMP_FAST] = gather_ewma(s[W_TEMP_FAST], t, dt_h, g[G_FAST_H])
        s[W_TEMP_SLOW] = gather_ewma(s[W_TEMP_SLOW], t, dt_h, g[G_SLOW_H])
        if s[W_PHI] > 0.2:
            limit = _TEMP_LIMIT * p[A_SIGMA_TEMP]
            trend[0], trend[1], trend[2], trend[3] = s[W_TEMP_FAST], s[W_TEMP_SLOW], limit, -limit
            if has_ambient:
                s[W_RISE] = learn(s[W_RISE], t / max(s[W_PHI], 0.3), s[W_RISE_H], dt_h, trend, g)
            else:
                s[W_OFFSET] = learn(s[W_OFFSET], t, s[W_RISE_H], dt_h, trend, g)
            s[W_RISE_H] += dt_h
    if not math.isnan(r_vib) and known:
        v = min(max(r_vib, -5.0 * p[A_SIGMA_VIB]), 15.0 * p[A_SIGMA_VIB])
        s[W_VIB_FAST] = gather_ewma(s[W_VIB_FAST], v, dt_h, g[G_FAST_H])
        s[W_VIB_SLOW] = gather_ewma(s[W_VIB_SLOW], v, dt_h, g[G_SLOW_H])
        # No limit below: a bearing does not heal, so a lower level is the truth after a fault.
        trend[0], trend[1], trend[2], trend[3] = s[W_VIB_FAST], s[W_VIB_SLOW], _VIB_LIMIT * p[A_SIGMA_VIB], -1e9
        s[W_VIB] = learn(s[W_VIB], v, s[W_VIB_H], dt_h, trend, g)
        s[W_VIB_H] += dt_h
    if not math.isnan(power) and x > p[A_LOAD_FRAC]:
        r_power = watch_power(x, usual, dt_h, p, g, s)
    return r_temp, r_vib, r_power, expected


@kernel_nan
def missing_h(dt_h: float, step_h: float) -> float:
    """Hours for which rows are missing: the wait since the last reading, beyond the usual step where that is slow."""
    return max(0.0, dt_h - step_h) if step_h > _SLOW_STEP_H else dt_h


@kernel_nan
def restart(s: np.ndarray) -> None:
    """After maintenance the bearings may be new: what was gathered is dropped, vibration is learnt anew."""
    for at in (W_TEMP_FAST, W_TEMP_SLOW, W_VIB_FAST, W_VIB_SLOW, W_POWER_FAST, W_POWER_SLOW, W_SURGE, W_VIB_H):
        s[at] = 0.0


@kernel_nan
def watch(machine: np.ndarray, time_ms: np.ndarray, values: np.ndarray, status: np.ndarray, context: np.ndarray,
          params: np.ndarray, settings: np.ndarray,
          out: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:  # fmt: skip
    """Take n readings in order through the state of their machines.

    ``machine`` (n,) int32, ``time_ms`` (n,) int64, ``values`` (3, n) float32 power, temperature, vibration, ``status``
    (n,) int8, ``context`` (2, n) float64: the hour's usual log load and the ambient (NaN = not known), ``params``
    (machines, N_TWIN), ``settings`` (N_SETTINGS,). ``out``: state (machines, N_WATCH), advanced in place; statistics
    (N_STATS, n) float32; residuals (N_RESIDUALS, n) float32.
    """
    out_state, out_stat, out_residual = out
    z = np.empty(N_STATS)
    v = np.empty(3)
    r = np.empty(3)
    for i in range(machine.shape[0]):
        m = machine[i]
        s = out_state[m]
        p = params[m]
        first = math.isnan(s[W_TIME_MS])
        dt_h = 0.0 if first else max(0.0, (time_ms[i] - s[W_TIME_MS]) / _HOUR_MS)
        gap_h = missing_h(dt_h, p[A_STEP_H])
        s[W_TIME_MS] = time_ms[i]
        on = status[i] == 0
        if on and s[W_WAS] == 2.0:
            restart(s)
        if on and s[W_WAS] != 0.0:
            s[W_ON_H] = 0.0
        # The highest since it last ran: a machine may stand idle between its maintenance and its next start.
        s[W_WAS] = 0.0 if on else max(s[W_WAS], float(status[i]))
        for c in range(3):
            v[c] = values[c, i]
        dt_h = min(dt_h, max(settings[G_HOLD_H], HOLD_STEPS * p[A_STEP_H]))
        count_runs(v, on, dt_h, s, z)
        r_temp, r_vib, r_power, expected = watch_reading(v, dt_h, context[0, i], context[1, i], on, p, settings, s)
        r[0] = (r_power - s[W_QUICK]) / p[A_SIGMA_POWER]
        r[1] = (r_temp - s[W_TEMP_FAST]) / p[A_SIGMA_TEMP]
        r[2] = (r_vib - s[W_VIB_FAST]) / p[A_SIGMA_VIB]
        if not on or s[W_SEEN_H] < _SETTLE_H:
            r[:] = np.nan
        if s[W_ON_H] < 4.0 * p[A_TAU_H]:
            r[1] = np.nan
        count_spikes(r, dt_h, s, z)
        learning = s[W_RISE_H] < settings[G_LEARN_H] or not on
        z[Q_TEMP_FAST] = 0.0 if learning else s[W_TEMP_FAST]
        z[Q_TEMP_SLOW] = 0.0 if learning else s[W_TEMP_SLOW]
        learning = s[W_VIB_H] < settings[G_LEARN_H] or not on
        z[Q_VIB_FAST] = 0.0 if learning else s[W_VIB_FAST]
        z[Q_VIB_SLOW] = 0.0 if learning else s[W_VIB_SLOW]
        learning = s[W_LEVEL_H] < settings[G_LEARN_H] or not on
        z[Q_POWER_FAST] = 0.0 if learning else s[W_POWER_FAST]
        z[Q_POWER_SLOW] = 0.0 if learning else s[W_POWER_SLOW]
        z[Q_SURGE] = 0.0 if learning or s[W_SEEN_H] < settings[G_LEARN_H] else s[W_SURGE]
        z[Q_GAP] = gap_h
        for q in range(N_STATS):
            out_stat[q, i] = z[q]
        out_residual[0, i] = r_temp
        out_residual[1, i] = r_vib
        out_residual[2, i] = r_power
        out_residual[3, i] = expected
