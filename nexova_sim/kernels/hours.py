"""Readings gathered by hour: sums, squares and counts per machine, channel and hour, in one pass over the rows."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel_nan
from nexova_sim.kernels.rows import ONLINE


@kernel_nan
def add_hours(machine: np.ndarray, hour: np.ndarray, values: np.ndarray, status: np.ndarray, always: np.ndarray,
              out_moments: np.ndarray, out_count: np.ndarray, out_rows: np.ndarray) -> None:  # fmt: skip
    """Add n readings: ``machine`` and ``hour`` (n,) are places, ``values`` (c, n), ``status`` (n,).

    A channel counts while the machine is ONLINE, or always where ``always`` (c,) says so; NaN counts never.
    ``out_moments`` (2, c, m, h) float64: sum and sum of squares; ``out_count`` (c, m, h) int32; ``out_rows``
    (2, m, h) int32: all rows, and those ONLINE.
    """
    for i in range(machine.shape[0]):
        m, h = machine[i], hour[i]
        if h < 0 or h >= out_rows.shape[2]:
            continue
        is_on = status[i] == ONLINE
        out_rows[0, m, h] += 1
        out_rows[1, m, h] += 1 if is_on else 0
        for c in range(values.shape[0]):
            v = np.float64(values[c, i])
            if not math.isnan(v) and (is_on or always[c]):
                out_moments[0, c, m, h] += v
                out_moments[1, c, m, h] += v * v
                out_count[c, m, h] += 1
