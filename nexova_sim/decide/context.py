"""What a policy is shown about an alert: nothing that the plant would not know at that moment.

Readings up to the alert, alerts raised before it, maintenance and failures that were over or under way. Never the
hidden truth, never the labels, never a later row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import Dataset, time_ms
from nexova_sim.dataset.rows import CHANNELS, Rows, runs, scan_rows
from nexova_sim.decide.history import Span, spans
from nexova_sim.schema.channels import STATUSES

N_READINGS = 10
N_ALERTS = 5
N_EVENTS = 5
_EVENTS = ("failure", "maintenance_start", "maintenance_end")


class Episode(NamedTuple):
    """An alert that asks for a decision; times in milliseconds since 1970, ``resolved_ms`` None while it is open."""

    machine_id: str
    raised_ms: int
    rule: str
    alert_type: str
    channel: str
    severity: str
    value: float
    limit: float
    unit: str
    resolved_ms: int | None = None


class Reading(NamedTuple):
    """One reading; NaN where the sensor gave no number."""

    time_ms: int
    power_kw: float
    temperature_c: float
    vibration_mm_s: float
    status: str


class Event(NamedTuple):
    """A failure or a maintenance job, as the plant's log has it; ``restored`` names what was renewed."""

    time_ms: int
    event: str
    reason: str
    restored: str


class Terms(NamedTuple):
    """What the actions mean and cost beyond the machine's own figures (``config.decision.Actions``, ``Money``)."""

    horizon_h: int = 168
    crew_h: int = 24
    look_h: int = 4
    call_out_factor: float = 2.0
    secondary_frac: float = 1.0
    price_usd_per_kwh: float = 0.12


class Context(NamedTuple):
    """An alert with what was known when it was raised. ``machine`` is its row in the machines table."""

    episode: Episode
    machine: Mapping[str, Any]
    readings: tuple[Reading, ...]
    alerts: tuple[Episode, ...]
    events: tuple[Event, ...]
    spans: tuple[Span, ...]
    terms: Terms

    @property
    def key(self) -> str:
        """Name of the situation: machine and moment."""
        return f"{self.episode.machine_id}@{moment(self.episode.raised_ms)}/{self.episode.rule}"

    @property
    def last(self) -> Reading | None:
        """The newest reading, None when there is none."""
        return self.readings[-1] if self.readings else None


def moment(ms: int) -> str:
    """UTC time to the second, ISO 8601."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def build_contexts(dataset: Dataset, episodes: Sequence[Episode], terms: Terms) -> list[Context]:
    """The contexts of ``episodes``, in the order given; two passes over the readings, memory grows with episodes only.

    Raises ConfigError for an episode of a machine that the dataset does not have, DataError for damaged files.
    """
    machines = {str(row["machine_id"]): row for row in dataset.read("machines").to_pylist()}
    tails = _tails(dataset, episodes)
    grid = gather(dataset)
    place = {name: n for n, name in enumerate(grid.machine_ids)}
    events = _events(dataset)
    before: dict[str, list[Episode]] = {}
    earlier: list[tuple[Episode, ...]] = [()] * len(episodes)
    for number in sorted(range(len(episodes)), key=lambda i: episodes[i].raised_ms):
        episode = episodes[number]
        past = before.setdefault(episode.machine_id, [])
        # Alerts of the same instant are shown to neither: which came first is not known.
        known = [_as_known(e, episode.raised_ms) for e in past if e.raised_ms < episode.raised_ms]
        earlier[number] = tuple(known[-N_ALERTS:])
        past.append(episode)
    return [
        Context(
            episode,
            machines[episode.machine_id],
            tails[number],
            earlier[number],
            tuple(e for e in events.get(episode.machine_id, ()) if e.time_ms <= episode.raised_ms)[-N_EVENTS:],
            spans(grid, place[episode.machine_id], episode.raised_ms),
            terms,
        )
        for number, episode in enumerate(episodes)
    ]


def _as_known(episode: Episode, now_ms: int) -> Episode:
    """An earlier alert as it looked at ``now_ms``: one that ended later was still open."""
    is_over = episode.resolved_ms is not None and episode.resolved_ms <= now_ms
    return episode if is_over else episode._replace(resolved_ms=None)


def _tails(dataset: Dataset, episodes: Sequence[Episode]) -> list[tuple[Reading, ...]]:
    """The last readings up to the moment of each episode."""
    names = dataset.machine_ids()
    wanted: dict[str, list[tuple[int, int]]] = {}
    for number, episode in enumerate(episodes):
        wanted.setdefault(episode.machine_id, []).append((episode.raised_ms, number))
    if not wanted:
        return []
    waiting = {machine: sorted(items) for machine, items in wanted.items()}
    kept: dict[str, list[Reading]] = {machine: [] for machine in wanted}
    found: list[tuple[Reading, ...]] = [()] * len(episodes)
    last_ms = max(e.raised_ms for e in episodes)
    for rows in scan_rows(dataset, CHANNELS, machines=list(wanted), end=_instant(last_ms + 1)):
        edges = runs(rows)
        for first, after in pairwise(edges):
            machine = names[rows.machine[first]]
            queue = waiting[machine]
            # An episode is settled when a later reading is seen, so that one at the end of a batch is not cut short.
            while queue and queue[0][0] < rows.time_ms[after - 1]:
                at, number = queue.pop(0)
                stop = first + int(np.searchsorted(rows.time_ms[first:after], at, side="right"))
                fresh = _readings(rows, max(first, stop - N_READINGS), stop)
                found[number] = tuple([*kept[machine], *fresh][-N_READINGS:])
            kept[machine] = [*kept[machine], *_readings(rows, max(first, after - N_READINGS), after)][-N_READINGS:]
    for machine, queue in waiting.items():
        for _, number in queue:
            found[number] = tuple(kept[machine])
    return found


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _readings(rows: Rows, first: int, after: int) -> Iterator[Reading]:
    for i in range(first, after):
        power, temp, vibration = (float(v) for v in rows.values[:, i])
        yield Reading(int(rows.time_ms[i]), power, temp, vibration, STATUSES[rows.status[i]])


def _events(dataset: Dataset) -> dict[str, list[Event]]:
    """Failures and maintenance by machine, in order of time."""
    found: dict[str, list[Event]] = {}
    if "events" not in dataset.tables():
        return found
    for batch in dataset.scan("events", columns=("machine_id", "timestamp", "event", "reason", "restored")):
        columns = [batch.column(n).to_pylist() for n in ("machine_id", "event", "reason", "restored")]
        for ms, machine, event, reason, restored in zip(time_ms(batch.column("timestamp")), *columns, strict=True):
            if event in _EVENTS:
                found.setdefault(machine, []).append(Event(int(ms), event, reason or "", restored or ""))
    for items in found.values():
        items.sort()
    return found
