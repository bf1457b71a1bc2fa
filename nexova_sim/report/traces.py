"""Readings of every machine packed for the page: it draws any machine's figure itself and tells values at a point."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from nexova_sim.report.layout import FaultSpan
from nexova_sim.report.series import Series
from nexova_sim.report.states import STATE_KEYS, STATE_NAMES, coarse
from nexova_sim.report.tables import MachineRow
from nexova_sim.report.views import envelope, machine_view, merge_edges

NOTHING = 65_535  # the code of a bin without a number
_CHANNELS = (("Power", "kW", "power", 2), ("Temperature", "°C", "temp", 1), ("Vibration", "mm/s", "vib", 2))
_FEWEST_BINS, _BINS_IN_ALL = 96, 150_000


def bins_of(n_bins: int, n_machines: int) -> int:
    """How many bins to merge into one, so that the page stays small however many machines there are."""
    wanted = max(_FEWEST_BINS, _BINS_IN_ALL // max(1, n_machines))
    return max(1, -(-n_bins // wanted))


def packed(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values (b,) between ``low`` and ``high`` as 16-bit codes; ``NOTHING`` where there is no number."""
    known = np.isfinite(values)
    scaled = (np.where(known, values, low) - low) / (high - low) if high > low else np.zeros(len(values))
    codes = np.round(np.clip(scaled, 0.0, 1.0) * (NOTHING - 1)).astype("<u2")
    result: np.ndarray = np.where(known, codes, NOTHING).astype("<u2")
    return result


def trace(series: Series, states: np.ndarray, machine: int, row: MachineRow, factor: int) -> dict[str, Any]:
    """One machine: ranges of the channels; their mean, low, high and the state per bin as base64 of 16-bit codes."""
    rows: list[np.ndarray] = []
    ranges: list[list[float] | None] = []
    for channel in range(len(_CHANNELS)):
        found = envelope(series, channel, machine, factor)
        if not np.isfinite(found.mean).any():
            ranges.append(None)
            continue
        low, high = float(np.nanmin(found.low)), float(np.nanmax(found.high))
        low, high = round(low, 4), round(high, 4)
        ranges.append([low, high])
        rows += [packed(v.astype(np.float64), low, high) for v in (found.mean, found.low, found.high)]
    bins = len(merge_edges(series, factor)) - 1
    rows.append(coarse(states, bins).astype("<u2"))
    spans: Sequence[FaultSpan] = machine_view(series, states, machine, row, factor).faults
    return {
        "ranges": ranges,
        "bins": base64.b64encode(np.concatenate(rows).tobytes()).decode(),
        "faults": [[s.onset_ms, s.end_ms, s.name, s.is_sensor] for s in spans],
        "failures": [s.start_ms for s in row.stops if s.is_failure],
    }


def traces(series: Series, states: np.ndarray, machines: Sequence[MachineRow]) -> dict[str, Any]:
    """What the page's script draws from, machines in the order of ``machines``; ``states`` is (m, b)."""
    factor = bins_of(series.grid.n_bins, len(machines))
    return {
        "edges": merge_edges(series, factor).tolist(),
        "channels": [{"name": n, "unit": u, "role": r, "digits": d} for n, u, r, d in _CHANNELS],
        "states": [[key, name] for key, name in zip(STATE_KEYS, STATE_NAMES, strict=True)],
        "machines": [trace(series, states[i], i, row, factor) for i, row in enumerate(machines)],
    }
