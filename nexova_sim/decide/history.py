"""The last days of a machine in four numbers: means over windows before an alert, from hourly means of its readings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.dataset.grid import TimeGrid

# Hours before the alert: the last six, and the three days before those.
WINDOWS = ((0, 6), (6, 30), (30, 54), (54, 78))


class Span(NamedTuple):
    """Means of a machine over the hours it ran between ``from_h`` and ``to_h`` before the alert; NaN where none."""

    from_h: int
    to_h: int
    running_h: float
    power_kw: float
    temperature_c: float
    vibration_mm_s: float


def spans(grid: TimeGrid, machine: int, time_ms: int, windows: Sequence[tuple[int, int]] = WINDOWS) -> tuple[Span, ...]:
    """The spans of machine number ``machine`` of an hourly grid before ``time_ms``; only whole hours that were over."""
    now = (time_ms - grid.start_ms) // grid.step_ms
    found = []
    for newest, oldest in windows:
        part = slice(max(0, now - oldest), max(0, now - newest))
        online = np.nan_to_num(grid.online_frac[machine, part])
        ran = online > 0.9
        means = [_mean(grid.mean[grid.channels.index(name), machine, part][ran])
                 for name in ("power_kw", "temperature_c", "vibration_mm_s")]  # fmt: skip
        found.append(Span(newest, oldest, float(online.sum()), *means))
    return tuple(found)


def _mean(values: np.ndarray) -> float:
    good = values[np.isfinite(values)]
    return float(good.mean()) if len(good) else float("nan")
