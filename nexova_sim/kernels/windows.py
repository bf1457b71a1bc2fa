"""Rolling features of many machines at once: mean, deviation and rate of change over each machine's last readings.

Everything a window needs is in its state, so a stream may be cut anywhere, down to single readings, with the same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel_nan


class WindowState(NamedTuple):
    """Windows of m machines, c channels, w readings.

    ``ring`` (m, c, w) float32; ``total`` (m, c, 3) float64: count, sum, sum of squares; ``place`` (m, 2) int64:
    readings seen, time of the last one.
    """

    ring: np.ndarray
    total: np.ndarray
    place: np.ndarray


class PastState(NamedTuple):
    """The past that m machines follow on c channels, each (m, c).

    ``level`` float64 and its ``trend`` per reading float64; ``seen`` int64: readings.
    """

    level: np.ndarray
    trend: np.ndarray
    seen: np.ndarray


@kernel_nan
def clear_window(m: int, out_ring: np.ndarray, out_total: np.ndarray, out_place: np.ndarray) -> None:
    """Forget what machine ``m`` has in its windows."""
    out_ring[m] = np.nan
    out_total[m] = 0.0
    out_place[m, 0] = 0


@kernel_nan
def roll(machine: np.ndarray, time_ms: np.ndarray, values: np.ndarray, gap_ms: int, state: WindowState,
         out: np.ndarray) -> None:  # fmt: skip
    """Roll n readings through the windows of their machines, advancing ``state`` in place.

    ``values`` (c, n) float32, NaN = missing, left out of the window. ``out`` (3 c, n) float32: for each channel mean,
    deviation (n in the denominator) and rate of change per reading (this value against the oldest of the window);
    NaN where the window holds no value. A gap longer than ``gap_ms`` starts the machine's windows anew.
    """
    n_channels, size = state.ring.shape[1], state.ring.shape[2]
    for i in range(machine.shape[0]):
        m = machine[i]
        place = state.place[m]
        if place[0] > 0 and time_ms[i] - place[1] > gap_ms:
            clear_window(m, state.ring, state.total, state.place)
        place[1] = time_ms[i]
        slot = place[0] % size
        for c in range(n_channels):
            ring = state.ring[m, c]
            total = state.total[m, c]
            old = np.float64(ring[slot])
            new = np.float64(values[c, i])
            if not math.isnan(old):
                total[0] -= 1.0
                total[1] -= old
                total[2] -= old * old
            if not math.isnan(new):
                total[0] += 1.0
                total[1] += new
                total[2] += new * new
            ring[slot] = new
            oldest = ring[(slot + 1) % size] if place[0] + 1 >= size else ring[0]
            if total[0] > 0.5:
                mean = total[1] / total[0]
                out[3 * c, i] = mean
                out[3 * c + 1, i] = math.sqrt(max(0.0, total[2] / total[0] - mean * mean))
            else:
                # Nothing is left, so rounding of what went in and out may go too.
                total[1] = 0.0
                total[2] = 0.0
                out[3 * c, i] = np.nan
                out[3 * c + 1, i] = np.nan
            steps = min(place[0], size - 1)
            out[3 * c + 2, i] = (new - oldest) / steps if steps > 0 else np.nan
        place[0] += 1


@kernel_nan
def gather_rows(machine: np.ndarray, values: np.ndarray, share: float, out_state: np.ndarray, out: np.ndarray) -> None:
    """Exponentially weighted means: e' = e + share (x - e), per machine; ``values`` and ``out`` (c, n) float32.

    ``out_state`` (machines, c) float64 is advanced in place; NaN leaves the mean as it is.
    """
    for i in range(machine.shape[0]):
        state = out_state[machine[i]]
        for c in range(values.shape[0]):
            x = values[c, i]
            if not math.isnan(x):
                state[c] += share * (x - state[c])
            out[c, i] = state[c]


@kernel_nan
def leave_past(machine: np.ndarray, values: np.ndarray, limit: np.ndarray, pace: np.ndarray, state: PastState,
               out: np.ndarray) -> None:  # fmt: skip
    """Distance of n readings from where their machine's recent past goes, advancing ``state`` in place.

    Level and trend follow as in Holt's linear smoothing (C. C. Holt, ONR memorandum 52, 1957): ``pace`` (3,) is the
    share of a distance that moves the level (a plain mean while it is new), the share of that which moves the trend,
    and the share of both that is left on a channel that is farther away than its ``limit`` (m, c): else a fault would
    soon be normal, and with none a new normal never. ``values`` and ``out`` (c, n) float32; NaN changes nothing.
    """
    for i in range(machine.shape[0]):
        m = machine[i]
        for c in range(values.shape[0]):
            x = np.float64(values[c, i])
            if math.isnan(x):
                out[c, i] = np.nan
                continue
            seen = state.seen[m, c]
            if seen == 0:
                state.level[m, c] = x
            expected = state.level[m, c] + state.trend[m, c]
            away = x - expected
            out[c, i] = away
            share = max(pace[0], 1.0 / (seen + 1.0))
            if abs(away) <= limit[m, c]:
                state.trend[m, c] += pace[1] * share * away
            else:
                share *= pace[2]
                state.trend[m, c] *= 1.0 - share
            state.level[m, c] = expected + share * away
            state.seen[m, c] = seen + 1
