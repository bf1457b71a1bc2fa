"""From flags to alarms: persistence, one alarm per episode, clearing with a margin, suppression by machine state."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel_nan

# State of a machine and lane, last axis of ``state`` (machines, lanes, N_EPISODE) float64. Times in ms; a clock runs
# only while the machine is not suppressed.
E_STANDS, E_OVER_MS, E_UNDER_MS, E_RAISED_MS, E_PEAK, E_WHICH, E_LAST_MS, E_START_MS = range(8)
N_EPISODE = 8
# Rules: row of ``rules`` (N_RULES,) float64.
R_HOLD_MS, R_CLEAR_MS, R_CLEAR_RATIO, R_START_UP_MS = range(4)
N_RULES = 4
# Columns of an alarm: machine, lane, raised and cleared (ms; cleared NaN = stands), peak ratio, component at the peak.
N_ALARM = 6


@kernel_nan
def put_alarm(m: int, lane: int, cleared_ms: float, e: np.ndarray, row: int, out_alarm: np.ndarray) -> None:
    """Write the standing alarm of a machine and lane as row ``row``."""
    out_alarm[row, 0] = m
    out_alarm[row, 1] = lane
    out_alarm[row, 2] = e[E_RAISED_MS]
    out_alarm[row, 3] = cleared_ms
    out_alarm[row, 4] = e[E_PEAK]
    out_alarm[row, 5] = e[E_WHICH]


@kernel_nan
def follow(machine: np.ndarray, time_ms: np.ndarray, ratio: np.ndarray, which: np.ndarray, quiet: np.ndarray,
           rules: np.ndarray, out_state: np.ndarray, out_alarm: np.ndarray) -> int:  # fmt: skip
    """Follow n readings of each lane; returns how many alarms were cleared into ``out_alarm`` (lanes * n, N_ALARM).

    ``ratio`` (lanes, n): statistic over its threshold, 1 or more is a flag; ``which`` (lanes, n) int32: component that
    drives it; ``quiet`` (lanes, n) bool: readings in a suppressed state. An alarm is raised after ``hold`` of flags,
    and cleared after ``clear`` below the clearing ratio. In a suppressed state clocks stand still and nothing changes.
    """
    n = 0
    for i in range(machine.shape[0]):
        m = machine[i]
        for lane in range(ratio.shape[0]):
            e = out_state[m, lane]
            step_ms = 0.0 if e[E_LAST_MS] == 0.0 else time_ms[i] - e[E_LAST_MS]
            e[E_LAST_MS] = time_ms[i]
            if quiet[lane, i]:
                e[E_START_MS] = 0.0
                e[E_OVER_MS] = 0.0
                continue
            e[E_START_MS] += step_ms
            r = ratio[lane, i]
            if r >= 1.0:
                e[E_UNDER_MS] = 0.0
                if e[E_STANDS] == 0.0 and e[E_START_MS] >= rules[R_START_UP_MS]:
                    e[E_OVER_MS] = e[E_OVER_MS] + step_ms if e[E_OVER_MS] > 0.0 else 1.0
                    if e[E_OVER_MS] >= rules[R_HOLD_MS]:
                        e[E_STANDS] = 1.0
                        e[E_RAISED_MS] = time_ms[i]
                        e[E_PEAK] = 0.0
            else:
                e[E_OVER_MS] = 0.0
            if e[E_STANDS] == 1.0:
                if r > e[E_PEAK]:
                    e[E_PEAK] = r
                    e[E_WHICH] = which[lane, i]
                e[E_UNDER_MS] = e[E_UNDER_MS] + step_ms if r < rules[R_CLEAR_RATIO] else 0.0
                if e[E_UNDER_MS] >= max(rules[R_CLEAR_MS], 1.0):
                    put_alarm(m, lane, time_ms[i], e, n, out_alarm)
                    n += 1
                    e[E_STANDS] = 0.0
                    e[E_UNDER_MS] = 0.0
    return n
