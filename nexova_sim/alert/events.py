"""The event stream: server events of a dataset in order of event time, by filters, at any speed, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nexova_sim.alert.lines import (
    Lines,
    in_order,
    join_lines,
    no_lines,
    part_of,
    sensor_lines,
    stamps,
    status_lines,
    to_bytes,
)
from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.dataset.read import Dataset, parse_time, time_ms
from nexova_sim.dataset.rows import Rows, channel_names, read_rows
from nexova_sim.schema.channels import STATUSES

TYPES = ("machine_status", "sensor_update", "machine_alert", "approval_status", "forecast_ready", "ai_decision")
BATCH = "batch_update"
TOPICS = {"status": "machine_status", "sensors": "sensor_update", "alerts": "machine_alert",
          "approvals": "approval_status", "forecasts": "forecast_ready", "decisions": "ai_decision"}  # fmt: skip
WINDOW_MS = 2000
_SLAB_ROWS = 1_000_000
_PIECE = 65_536


class Clock(Protocol):
    """What tells the time and waits; a test gives one of its own."""

    def now_s(self) -> float:
        """Seconds since any fixed moment."""
        ...

    def wait_s(self, seconds: float) -> None:
        """Wait so long."""
        ...


class WallClock(NamedTuple):
    """The real clock."""

    started_s: float = 0.0

    def now_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic() - self.started_s

    def wait_s(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


class Chosen(NamedTuple):
    """What a consumer subscribed to: event ``types``; ``machines`` of which all of them; ``topics`` of all machines.

    Both None: everything. ``is_batched``: bundled in ``batch_update`` over 2 s.
    """

    types: tuple[str, ...]
    machines: tuple[str, ...] | None
    topics: tuple[str, ...] | None
    is_batched: bool

    def wants(self, kind: str, machine: str) -> bool:
        """Whether an event of ``kind`` about ``machine`` is sent."""
        if kind not in self.types:
            return False
        return self.machines is None or machine in self.machines or kind in (self.topics or ())


def choose(dataset: Dataset, types: Sequence[str] = (), channels: Sequence[str] = ()) -> Chosen:
    """The subscription of ``types`` (none: all single events) and ``channels`` (machine ids and topics; none: all)."""
    for name in types:
        if name not in (*TYPES, BATCH):
            raise ConfigError(f"--types {name!r}: no such event; {suggest(name, (*TYPES, BATCH))}", got=name)
    ids = set(dataset.machine_ids())
    for name in channels:
        if name not in ids and name not in TOPICS:
            raise ConfigError(
                f"--channels {name!r}: no machine and no topic; {suggest(name, {*TOPICS, *ids})}", got=name
            )
    single = tuple(t for t in types if t != BATCH) or TYPES
    machines = tuple(n for n in channels if n in ids and n not in TOPICS) if channels else None
    topics = tuple(TOPICS[n] for n in channels if n in TOPICS) if channels else None
    return Chosen(single, machines, topics, BATCH in types)


def _machines_read(chosen: Chosen, kind: str) -> tuple[str, ...] | None:
    """Machines whose ``kind`` of events are wanted; None = all."""
    return None if chosen.machines is None or kind in (chosen.topics or ()) else chosen.machines


def slabs(dataset: Dataset, start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Stretches of time of about a million readings each."""
    n = max(1, dataset.manifest.rows.get("readings", 0))
    span = max(1, parse_time(dataset.manifest.end, "end") - parse_time(dataset.manifest.start, "start"))
    step = max(1000, int(span * min(1.0, _SLAB_ROWS / n)) // 1000 * 1000)
    for low in range(start_ms, end_ms, step):
        yield low, min(low + step, end_ms)


def _moment(ms: int) -> str:
    return str(np.datetime64(ms, "ms")) + "+00:00"


def event_statuses(dataset: Dataset, chosen: Chosen) -> Lines:
    """Status changes from the dataset's own events; none when it keeps none."""
    if "machine_status" not in chosen.types or not dataset.files("events"):
        return no_lines()
    wanted = _machines_read(chosen, "machine_status")
    if wanted is not None and not wanted:
        return no_lines()
    table = dataset.read("events", machines=wanted, columns=["machine_id", "timestamp", "event", "status"])
    place = {name: m for m, name in enumerate(dataset.machine_ids())}
    rows = [k for k, what in enumerate(table["event"].to_pylist()) if what == "status"]
    names, states = table["machine_id"].to_pylist(), table["status"].to_pylist()
    at = np.concatenate([np.empty(0, np.int64), *(time_ms(part) for part in table["timestamp"].chunks)])
    machine = np.array([place[names[k]] for k in rows], np.int64)
    status = np.array([STATUSES.index(states[k]) for k in rows], np.int64)
    return in_order(status_lines(machine, at[rows], status, dataset.machine_ids(), TYPES.index("machine_status")))


def _changes(rows: Rows, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Readings (sorted by machine, then time) whose status is another than before, and the last status after them."""
    before = np.empty_like(rows.status)
    before[1:] = rows.status[:-1]
    first = np.flatnonzero(np.r_[True, rows.machine[1:] != rows.machine[:-1]])
    before[first] = last[rows.machine[first]]
    after = last.copy()
    after[rows.machine] = rows.status
    return np.flatnonzero(rows.status != before), after


def stream_lines(dataset: Dataset, chosen: Chosen, others: Lines, start_ms: int, end_ms: int) -> Iterator[Lines]:
    """Events in order of time, slab by slab; ``others`` (in order) are those that do not come from readings."""
    ids = dataset.machine_ids()
    has_events = bool(dataset.files("events"))
    wants_sensors = "sensor_update" in chosen.types
    derives = "machine_status" in chosen.types and not has_events
    kinds = [k for k, on in (("sensor_update", wants_sensors), ("machine_status", derives)) if on]
    needed = [_machines_read(chosen, kind) for kind in kinds]
    wanted = None if any(n is None for n in needed) else tuple(dict.fromkeys(m for n in needed for m in n or ()))
    channels = (*channel_names(dataset), "runtime_h")
    last = np.full(len(ids), -1, np.int8)
    for low, high in slabs(dataset, start_ms, end_ms):
        parts = [part_of(others, low, high)]
        if kinds and (wanted is None or wanted):
            rows = read_rows(dataset, channels, machines=wanted, start=_moment(low), end=_moment(high))
            if derives and len(rows.machine):
                at, last = _changes(rows, last)
                parts.append(status_lines(rows.machine[at], rows.time_ms[at], rows.status[at], ids, 0))
            if wants_sensors and len(rows.machine):
                parts.append(sensor_lines(rows, channels, ids, TYPES.index("sensor_update")))
        lines = in_order(join_lines(parts))
        if len(lines.time_ms):
            yield lines


def batch_lines(parts: Iterable[Lines]) -> Iterator[Lines]:
    """The same events bundled: the first one opens a window of 2 s, at whose end all of it is one ``batch_update``."""
    kept = no_lines()
    for part in parts:
        lines = join_lines([kept, part])
        whole, kept = _bundle(lines, False)
        if len(whole.time_ms):
            yield whole
    last, _ = _bundle(kept, True)
    if len(last.time_ms):
        yield last


def _bundle(lines: Lines, is_last: bool) -> tuple[Lines, Lines]:
    """Complete windows as bundles, and the events of the last window, which may go on."""
    starts, at, n = [], 0, len(lines.time_ms)
    while at < n:
        starts.append(at)
        at = int(np.searchsorted(lines.time_ms, lines.time_ms[at] + WINDOW_MS))
    if not starts:
        return no_lines(), lines
    cuts = np.array([*starts, n] if is_last else starts, np.int64)
    lists = pa.LargeListArray.from_arrays(pa.array(cuts), lines.text)
    when = lines.time_ms[cuts[:-1]] + WINDOW_MS
    wide = pa.large_string()
    inner = pc.binary_join(lists, pa.scalar(",", wide))
    text = pc.binary_join_element_wise(
        pa.scalar('{"type":"batch_update","messages":[', wide), inner, pa.scalar('],"timestamp":', wide), stamps(when),
        pa.scalar("}", wide), pa.scalar("", wide),
    )  # fmt: skip
    rest = n if is_last else starts[-1]
    return Lines(when, np.zeros(len(when), np.int8), text), part_of_rows(lines, rest)


def part_of_rows(lines: Lines, first: int) -> Lines:
    """The events from number ``first`` on."""
    return Lines(lines.time_ms[first:], lines.rank[first:], lines.text.slice(first))


def paced(parts: Iterable[Lines], speed: float | None, clock: Clock) -> Iterator[bytes]:
    """NDJSON when it is due: ``speed`` event seconds pass in a second of ``clock``, or all at once (None)."""
    begin_s, first_ms = clock.now_s(), None
    for lines in parts:
        if speed is None:
            for low in range(0, len(lines.time_ms), _PIECE):
                yield to_bytes(Lines(*(x[low : low + _PIECE] for x in lines)))
            continue
        moments, at = np.unique(lines.time_ms, return_index=True)
        first_ms = int(moments[0]) if first_ms is None else first_ms
        for k, (moment, low) in enumerate(zip(moments, at, strict=True)):
            due_s = begin_s + (int(moment) - first_ms) / 1000.0 / speed
            if (late := due_s - clock.now_s()) > 0.0:
                clock.wait_s(late)
            high = at[k + 1] if k + 1 < len(at) else len(lines.time_ms)
            yield to_bytes(Lines(*(x[low:high] for x in lines)))
