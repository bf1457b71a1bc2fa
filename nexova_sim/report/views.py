"""What the figures draw, taken out of the bins of a fleet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexova_sim.report.figures import Envelope, MachineView
from nexova_sim.report.layout import FaultSpan
from nexova_sim.report.series import Series
from nexova_sim.report.states import coarse, runs_of
from nexova_sim.report.tables import FactoryRow, MachineRow


def _starts(n_bins: int, factor: int) -> np.ndarray:
    return np.arange(0, n_bins, factor)


def merge_edges(series: Series, factor: int) -> np.ndarray:
    """Edges of bins ``factor`` times as wide, milliseconds since 1970; the last bin may be narrower."""
    edges = series.grid.edges_ms()
    return np.append(edges[:-1][_starts(series.grid.n_bins, factor)], edges[-1])


def envelope(series: Series, channel: int, machine: int, factor: int) -> Envelope:
    """Lowest, highest and mean reading of a machine in bins ``factor`` times as wide."""
    starts = _starts(series.grid.n_bins, factor)
    count = np.add.reduceat(series.n_valid[channel, machine], starts)
    total = np.add.reduceat(series.total[channel, machine], starts)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
    low = np.fmin.reduceat(series.low[channel, machine], starts)
    return Envelope(low, np.fmax.reduceat(series.high[channel, machine], starts), mean)


def machine_view(series: Series, states: np.ndarray, machine: int, row: MachineRow, factor: int) -> MachineView:
    """The view of one machine; ``states`` are its codes per bin, shape (b,)."""
    edges = merge_edges(series, factor)
    faults = [
        FaultSpan(f.onset_ms, f.end_ms, f"{f.fault} ({f.channel})" if f.channel else f.fault, f.is_sensor)
        for f in row.faults
        if f.onset_ms < edges[-1] and f.end_ms > edges[0]
    ]
    return MachineView(
        edges,
        envelope(series, 0, machine, factor),
        envelope(series, 1, machine, factor),
        envelope(series, 2, machine, factor),
        runs_of(coarse(states, len(edges) - 1)),
        faults,
        [stop.start_ms for stop in row.stops if stop.is_failure],
        row.baseline_kw,
    )


def power_lines(factories: Sequence[FactoryRow], factor: int) -> list[tuple[str, np.ndarray]]:
    """Mean power of every factory in bins ``factor`` times as wide."""
    lines = []
    for row in factories:
        starts = _starts(len(row.power_kw), factor)
        known = np.isfinite(row.power_kw)
        total = np.add.reduceat(np.where(known, row.power_kw, 0.0), starts)
        with np.errstate(invalid="ignore", divide="ignore"):
            lines.append((row.name, total / np.add.reduceat(known.astype(np.int64), starts)))
    return lines
