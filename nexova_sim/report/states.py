"""The one state a machine shows at a time: its health class while it runs, else why it does not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.report.series import Series

# HEALTHY above 80 %, WARNING above 60 %, else CRITICAL (platform document, section 3.5).
HEALTHY_ABOVE, WARNING_ABOVE = 80.0, 60.0
HEALTHY, WARNING, CRITICAL, OFFLINE, MAINTENANCE, NO_DATA, RUNNING = range(7)
STATE_NAMES = ("HEALTHY", "WARNING", "CRITICAL", "OFFLINE", "MAINTENANCE", "NO DATA", "ONLINE")
STATE_KEYS = ("healthy", "warning", "critical", "offline", "maintenance", "nodata", "running")
_BY_GRAVITY = (CRITICAL, MAINTENANCE, WARNING, OFFLINE, NO_DATA, HEALTHY, RUNNING)


class Run(NamedTuple):
    """A stretch of bins [first, last) in one state."""

    first: int
    last: int
    state: int


def health_class(percent: np.ndarray) -> np.ndarray:
    """State codes of health percentages (any shape), int8; RUNNING where the health is not known (NaN)."""
    known = np.where(percent > HEALTHY_ABOVE, HEALTHY, np.where(percent > WARNING_ABOVE, WARNING, CRITICAL))
    return np.where(np.isfinite(percent), known, RUNNING).astype(np.int8)


def states_of(series: Series, health: np.ndarray) -> np.ndarray:
    """State code per machine and bin (m, b), int8: what most readings of the bin say; ``health`` is (m, b) percent."""
    n = series.status.sum(axis=0)
    most = np.argmax(series.status, axis=0)
    running = health_class(health)
    state = np.where(most == 0, running, np.where(most == 1, OFFLINE, MAINTENANCE))
    return np.where(n > 0, state, NO_DATA).astype(np.int8)


def runs_of(states: np.ndarray) -> list[Run]:
    """Stretches of equal state along a row of codes, shape (b,)."""
    if not len(states):
        return []
    starts = np.flatnonzero(np.r_[True, states[1:] != states[:-1]])
    ends = np.r_[starts[1:], len(states)]
    return [Run(int(a), int(b), int(states[a])) for a, b in zip(starts, ends, strict=True)]


def coarse(states: np.ndarray, n_bins: int) -> np.ndarray:
    """A row of codes in at most ``n_bins`` bins: the most frequent state, of equally frequent ones the graver."""
    if len(states) <= n_bins:
        return states
    result = np.empty(n_bins, np.int8)
    for i, part in enumerate(np.array_split(states, n_bins)):
        times = np.bincount(part, minlength=len(STATE_NAMES))[list(_BY_GRAVITY)]
        result[i] = _BY_GRAVITY[int(np.argmax(times))]
    return result
