"""What a sequence of readings tells besides the readings: counted running hours, status events, fault intervals.

The state is carried from part to part, so that the answer does not depend on how the dataset is cut.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.schema.channels import STATUSES
from nexova_sim.schema.tables import table_of, time_array

_HOUR_MS = 3_600_000.0


class Last(NamedTuple):
    """The latest row of a machine: time, status code, running time so far, open label intervals (onset ms or -1)."""

    ms: int
    status: int
    running_ms: int
    onsets: tuple[int, ...]


@dataclass(frozen=True)
class History:
    """Everything collected so far: the latest row per machine rank, status events, closed label intervals.

    Events are (rank, ms, status, is first); intervals are (rank, label, onset ms, end ms, is end of data).
    """

    n_labels: int
    start_ms: int
    max_gap_ms: int
    dt_ms: int
    last: dict[int, Last] = field(default_factory=dict)
    events: list[tuple[int, int, int, bool]] = field(default_factory=list)
    intervals: list[tuple[int, int, int, int, bool]] = field(default_factory=list)


def advance(history: History, rank: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray:
    """Add rows, sorted by machine then time, later than all added before; returns running hours per row (n,)."""
    running = np.empty(len(rank))
    starts = np.flatnonzero(np.r_[True, rank[1:] != rank[:-1]]) if len(rank) else np.array([], np.int64)
    for begin, end in zip(starts, [*starts[1:], len(rank)], strict=True):
        one = {n: columns[n][begin:end] for n in ("ts", "status", *(f"label{k}" for k in range(history.n_labels)))}
        running[begin:end] = _advance_one(history, int(rank[begin]), one) / _HOUR_MS
    return running


def _advance_one(history: History, rank: int, rows: dict[str, np.ndarray]) -> np.ndarray:
    ts, status = rows["ts"], rows["status"].astype(np.int64)
    before = history.last.get(rank)
    if before is None:
        history.events.append((rank, int(ts[0]), int(status[0]), True))
        before = Last(int(ts[0]), int(status[0]), history.start_ms, (-1,) * history.n_labels)
    earlier = np.concatenate([[before.ms], ts[:-1]])
    former = np.concatenate([[before.status], status[:-1]])
    gap = ts - earlier
    counted = np.where((former == STATUSES.index("ONLINE")) & (gap <= history.max_gap_ms), gap, 0)
    running = before.running_ms + np.cumsum(counted)
    for i in np.flatnonzero(status != former):
        history.events.append((rank, int(ts[i]), int(status[i]), False))
    onsets = tuple(
        _intervals(history, rank, number, rows[f"label{number}"], ts, (before.onsets[number], before.ms))
        for number in range(history.n_labels)
    )
    history.last[rank] = Last(int(ts[-1]), int(status[-1]), int(running[-1]), onsets)
    return running


def _intervals(
    history: History, rank: int, label: int, active: np.ndarray, ts: np.ndarray, state: tuple[int, int]
) -> int:
    """Close the intervals that end in these rows; returns the onset of the one still open, or -1."""
    onset, earlier = state
    for i in np.flatnonzero(_edges(active, ts, onset >= 0, earlier, history.max_gap_ms)):
        now, before = int(ts[i]), int(ts[i - 1]) if i else earlier
        if onset >= 0:
            has_gap = now - before > history.max_gap_ms
            history.intervals.append((rank, label, onset, before + history.dt_ms if has_gap else now, False))
            onset = -1
        if active[i]:
            onset = now
    return onset


def _edges(active: np.ndarray, ts: np.ndarray, is_open: bool, earlier: int, max_gap_ms: int) -> np.ndarray:
    """Rows where an interval begins or ends, or is broken by a gap in the data."""
    former = np.r_[is_open, active[:-1] != 0]
    gap = np.diff(ts, prepend=earlier)
    return np.asarray(((active != 0) != former) | (former & (gap > max_gap_ms)))


def finish(history: History) -> None:
    """Close the label intervals that are still open: they end with the data."""
    for rank, last in sorted(history.last.items()):
        for label, onset in enumerate(last.onsets):
            if onset >= 0:
                history.intervals.append((rank, label, onset, last.ms + history.dt_ms, True))


def _ids(ranks: list[int], ids: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(ranks, pa.int16()), pa.array(ids, pa.string()))


def events_table(history: History, ids: list[str]) -> pa.Table:
    """Status events, by machine then time; the reason of a change is not known."""
    rows = sorted(history.events)
    nothing = [None] * len(rows)
    return table_of(
        "events",
        {
            "machine_id": _ids([r[0] for r in rows], ids),
            "timestamp": time_array(np.array([r[1] for r in rows], np.int64)),
            "event": ["status"] * len(rows),
            "status": [STATUSES[r[2]] for r in rows],
            "reason": ["start" if r[3] else None for r in rows],
            "restored": nothing,
            "value": pa.nulls(len(rows), pa.float64()),
        },
    )


def labels_table(history: History, ids: list[str], faults: list[str]) -> pa.Table:
    """Labelled intervals, by machine, onset, fault; severity and why one ended are not known."""
    rows = sorted(history.intervals, key=lambda r: (r[0], r[2], r[1]))
    return table_of(
        "labels",
        {
            "machine_id": _ids([r[0] for r in rows], ids),
            "fault": [faults[r[1]] for r in rows],
            "channel": [None] * len(rows),
            "onset": time_array(np.array([r[2] for r in rows], np.int64)),
            "end": time_array(np.array([r[3] for r in rows], np.int64)),
            "severity": pa.nulls(len(rows), pa.float32()),
            "is_sensor_fault": [False] * len(rows),
            "ended_by": ["end_of_data" if r[4] else None for r in rows],
        },
    )
