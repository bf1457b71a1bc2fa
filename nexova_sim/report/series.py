"""Readings of a whole fleet folded into time bins in one pass: lowest, highest and mean value, energy, status.

A bin keeps its lowest and highest reading, so that a spike of one sample is still seen in a year.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.schema.channels import STATUSES

CHANNELS = ("power_kw", "temperature_c", "vibration_mm_s")
COLUMNS = ("machine_id", "timestamp", *CHANNELS, "status")
HOUR_MS = 3_600_000
_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)


class Grid(NamedTuple):
    """Equal time bins over the span of a dataset; milliseconds since 1970."""

    start_ms: int
    end_ms: int
    width_ms: int
    n_bins: int

    def edges_ms(self) -> np.ndarray:
        """Edges of the bins, shape (n_bins + 1,), int64; the last bin may reach past the end."""
        return self.start_ms + self.width_ms * np.arange(self.n_bins + 1, dtype=np.int64)


class Series(NamedTuple):
    """What ``add_batch`` collects: m machines, b bins, channels as in ``CHANNELS``; NaN where nothing was read."""

    grid: Grid
    dt_ms: float
    low: np.ndarray  # (3, m, b) float32
    high: np.ndarray  # (3, m, b) float32
    total: np.ndarray  # (3, m, b) float64, sum of the readings that are numbers
    n_valid: np.ndarray  # (3, m, b) int32, number of them
    status: np.ndarray  # (3, m, b) int32, readings by status
    energy_kwh: np.ndarray  # (m, b) float64
    last_ms: np.ndarray  # (m,) int64, -1 = no reading
    last_status: np.ndarray  # (m,) int8, -1 = unknown

    def mean(self, channel: int) -> np.ndarray:
        """Mean reading per bin, shape (m, b); NaN where the bin is empty."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean: np.ndarray = self.total[channel] / self.n_valid[channel]
        return mean


def make_grid(start_ms: int, end_ms: int, most_bins: int, dt_s: float = 0.0) -> Grid:
    """The finest grid of round bin widths, none below ``dt_s``, with at most ``most_bins`` bins over [start, end)."""
    span_ms = max(1, end_ms - start_ms)
    days = (86_400 * d for d in range(1, 40_000))
    for width_s in (*_WIDTHS_S, *days):
        n_bins = -(-span_ms // (width_s * 1000))
        if n_bins <= most_bins and width_s >= dt_s:
            return Grid(start_ms, end_ms, width_s * 1000, n_bins)
    return Grid(start_ms, end_ms, -(-span_ms // most_bins), most_bins)


def empty_series(grid: Grid, n_machines: int, dt_s: float) -> Series:
    """A series into which no reading went yet; ``dt_s`` is the expected time between two readings."""
    shape = (n_machines, grid.n_bins)
    return Series(
        grid,
        dt_s * 1000.0,
        np.full((3, *shape), np.nan, np.float32),
        np.full((3, *shape), np.nan, np.float32),
        np.zeros((3, *shape)),
        np.zeros((3, *shape), np.int32),
        np.zeros((3, *shape), np.int32),
        np.zeros(shape),
        np.full(n_machines, -1, np.int64),
        np.full(n_machines, -1, np.int8),
    )


def codes_of(column: Any, names: Sequence[str]) -> np.ndarray:  # noqa: ANN401
    """Position in ``names`` of every value of a text or dictionary column, int64; -1 for null or a name not listed."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    place = {name: i for i, name in enumerate(names)}
    table = np.array([place.get(v, -1) for v in column.dictionary.to_pylist()] + [-1], np.int64)
    codes: np.ndarray = table[np.asarray(column.indices.cast(pa.int64()).fill_null(len(table) - 1))]
    return codes


def milliseconds(column: Any) -> np.ndarray:  # noqa: ANN401
    """Milliseconds since 1970 of a timestamp column, int64; -1 for null."""
    ms = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
    return np.asarray(ms.fill_null(-1))


def add_batch(series: Series, batch: pa.RecordBatch, machine_ids: Sequence[str]) -> None:
    """Fold a batch of readings (columns ``COLUMNS``, by machine, then time) into the arrays of ``series``."""
    machine = codes_of(batch.column("machine_id"), machine_ids)
    ms = milliseconds(batch.column("timestamp"))
    grid = series.grid
    keep = (machine >= 0) & (ms >= grid.start_ms) & (ms < grid.end_ms)
    if not keep.any():
        return
    machine, ms = machine[keep], ms[keep]
    cell = machine * grid.n_bins + (ms - grid.start_ms) // grid.width_ms
    starts = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
    cells = cell[starts]
    for number, name in enumerate(CHANNELS):
        # An Arrow null (nothing sent) and a NaN (an invalid value) are the same to a reader of the page: no number.
        values = batch.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False)[keep]
        is_number = np.isfinite(values)
        values = np.where(is_number, values, np.nan)
        np.fmin.at(series.low[number].reshape(-1), cells, np.fmin.reduceat(values, starts).astype(np.float32))
        np.fmax.at(series.high[number].reshape(-1), cells, np.fmax.reduceat(values, starts).astype(np.float32))
        sums = np.add.reduceat(np.where(is_number, values, 0.0), starts)
        np.add.at(series.total[number].reshape(-1), cells, sums)
        np.add.at(series.n_valid[number].reshape(-1), cells, np.add.reduceat(is_number.astype(np.int32), starts))
        if number == 0:
            kwh = np.where(is_number, values, 0.0) * _steps_ms(series, machine, ms) / HOUR_MS
            np.add.at(series.energy_kwh.reshape(-1), cells, np.add.reduceat(kwh, starts))
    status = codes_of(batch.column("status"), STATUSES)[keep]
    for number in range(len(STATUSES)):
        rows = np.add.reduceat((status == number).astype(np.int32), starts)
        np.add.at(series.status[number].reshape(-1), cells, rows)
    _keep_last(series, machine, ms, status)


def _steps_ms(series: Series, machine: np.ndarray, ms: np.ndarray) -> np.ndarray:
    """How long each reading stands for: until the next one of its machine, at most the usual step."""
    step = np.full(len(ms), series.dt_ms)
    same = machine[1:] == machine[:-1]
    step[:-1][same] = np.clip((ms[1:] - ms[:-1])[same], 0, series.dt_ms)
    return step


def _keep_last(series: Series, machine: np.ndarray, ms: np.ndarray, status: np.ndarray) -> None:
    ends = np.flatnonzero(np.r_[machine[1:] != machine[:-1], True])
    for i in ends:
        who = machine[i]
        if ms[i] >= series.last_ms[who]:
            series.last_ms[who], series.last_status[who] = ms[i], status[i]


def add_health(out_percent: np.ndarray, grid: Grid, batch: pa.RecordBatch, machine_ids: Sequence[str]) -> None:
    """Write the last ``health_percent`` of each bin from a batch of the truth table into ``out_percent`` (m, b)."""
    machine = codes_of(batch.column("machine_id"), machine_ids)
    ms = milliseconds(batch.column("timestamp"))
    percent = batch.column("health_percent").to_numpy(zero_copy_only=False)
    keep = (machine >= 0) & (ms >= grid.start_ms) & (ms < grid.end_ms) & np.isfinite(percent)
    out_percent[machine[keep], (ms[keep] - grid.start_ms) // grid.width_ms] = percent[keep]


def carry_forward(values: np.ndarray) -> np.ndarray:
    """Copy of (m, b) values where NaN takes the last number to its left; NaN stays where there is none."""
    place = np.where(np.isfinite(values), np.arange(values.shape[1]), -1)
    place = np.maximum.accumulate(place, axis=1)
    taken = np.take_along_axis(values, np.maximum(place, 0), axis=1)
    return np.where(place >= 0, taken, np.nan)
