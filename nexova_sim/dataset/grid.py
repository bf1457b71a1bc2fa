"""Readings gathered on a regular grid of time (hours, as a rule): what forecasts, trackers and studies start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError
from nexova_sim.dataset.read import Dataset, parse_time
from nexova_sim.dataset.rows import CHANNELS, Rows, scan_rows

_HOUR_MS = 3_600_000
_MOST_CELLS = 200_000_000


class TimeGrid(NamedTuple):
    """Readings of m machines in b bins of ``step_ms`` that begin at multiples of it (UTC).

    ``mean`` (channels, m, b) float32 over valid readings, NaN where there are none; ``n_valid`` the same shape, int32;
    ``energy_kwh`` (m, b) float64: power times the time each reading stands for, NaN in a bin without a valid power;
    ``covered_frac`` (m, b) float32: share of the bin for which a power reading stands; ``online_frac`` (m, b) float32:
    share of its readings with status ONLINE, NaN without readings.
    """

    start_ms: int
    step_ms: int
    machine_ids: tuple[str, ...]
    channels: tuple[str, ...]
    mean: np.ndarray
    n_valid: np.ndarray
    energy_kwh: np.ndarray
    covered_frac: np.ndarray
    online_frac: np.ndarray


def gather(dataset: Dataset, step_s: float = 3600.0, channels: Sequence[str] = CHANNELS,
           reading_s: float | None = None,
           progress: Callable[[int, int], None] = lambda _done, _total: None) -> TimeGrid:  # fmt: skip
    """Gather all readings of ``dataset`` in bins of ``step_s`` seconds; memory grows with machines times bins.

    A reading stands for the time until the machine's next one, at most ``reading_s`` seconds (default: the dataset's
    step, or the median distance of the first readings where it has none), and never beyond its bin's share of it.
    Raises ConfigError when the step is not positive or the grid would not fit into memory.
    """
    manifest = dataset.manifest
    if not step_s > 0.0:
        raise ConfigError(f"step {step_s} s: must be positive; 3600 gathers hours")
    step_ms = max(1, round(step_s * 1000.0))
    start_ms = parse_time(manifest.start, "start") // step_ms * step_ms
    n_bins = max(1, -(-(parse_time(manifest.end, "end") - start_ms) // step_ms))
    ids = dataset.machine_ids()
    names = (*channels,) if "power_kw" in channels else (*channels, "power_kw")
    if len(names) * len(ids) * n_bins > _MOST_CELLS:
        raise ConfigError(f"{len(ids)} machines times {n_bins} bins of {step_s:g} s do not fit; choose a longer step")
    reading_ms = 1000.0 * (reading_s or manifest.dt_s or _usual_step_s(dataset))
    cells = len(ids) * n_bins
    total, count = np.zeros((len(names), cells)), np.zeros((len(names), cells), np.int32)
    kwh, covered_ms = np.zeros(cells), np.zeros(cells)
    n_rows, n_online = np.zeros(cells, np.int32), np.zeros(cells, np.int32)
    n_all, done = manifest.rows.get("readings", 0), 0
    power = names.index("power_kw")
    for rows in scan_rows(dataset, names):
        cell = rows.machine * np.int64(n_bins) + np.clip((rows.time_ms - start_ms) // step_ms, 0, n_bins - 1)
        starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
        at = cell[starts]
        for c in range(len(names)):
            there = np.isfinite(rows.values[c])
            np.add.at(total[c], at, np.add.reduceat(np.where(there, rows.values[c], 0.0).astype(np.float64), starts))
            np.add.at(count[c], at, np.add.reduceat(there, starts, dtype=np.int32))
        there = np.isfinite(rows.values[power])
        stands_ms = np.where(there, _stands_ms(rows, reading_ms), 0.0)
        worth = np.where(there, rows.values[power], 0.0) * stands_ms / _HOUR_MS
        np.add.at(kwh, at, np.add.reduceat(worth, starts))
        np.add.at(covered_ms, at, np.add.reduceat(stands_ms, starts))
        np.add.at(n_rows, at, np.diff(np.r_[starts, len(cell)]).astype(np.int32))
        np.add.at(n_online, at, np.add.reduceat(rows.status == 0, starts, dtype=np.int32))
        done += len(cell)
        progress(done, n_all)
    shape = (len(ids), n_bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, total / count, np.nan).astype(np.float32)
        online = np.where(n_rows > 0, n_online / n_rows, np.nan).astype(np.float32)
    kept = len(channels)
    return TimeGrid(
        start_ms, step_ms, ids, tuple(channels),
        mean[:kept].reshape(kept, *shape), count[:kept].reshape(kept, *shape),
        np.where(count[power] > 0, kwh, np.nan).reshape(shape),
        np.minimum(covered_ms / step_ms, 1.0).astype(np.float32).reshape(shape), online.reshape(shape),
    )  # fmt: skip


def _stands_ms(rows: Rows, most_ms: float) -> np.ndarray:
    """How long each reading stands for: until the machine's next one in the batch, at most ``most_ms``."""
    stands = np.full(len(rows.time_ms), most_ms)
    same = rows.machine[1:] == rows.machine[:-1]
    stands[:-1][same] = np.clip(np.diff(rows.time_ms)[same], 0, most_ms)
    return stands


def _usual_step_s(dataset: Dataset) -> float:
    """Median distance between readings of one machine in the first batch; a minute when it has too few."""
    for rows in scan_rows(dataset, ("power_kw",), batch_rows=8192):
        same = rows.machine[1:] == rows.machine[:-1]
        steps = np.diff(rows.time_ms)[same]
        if len(steps):
            return float(np.median(steps)) / 1000.0
    return 60.0
