"""Alerts that ask for a decision: from a dataset and a policy of alert rules to episodes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from nexova_sim.alert.engine import alerts_batch, collect_alerts, stream_alerts
from nexova_sim.alert.rules import compile_policy
from nexova_sim.config.alert import AlertPolicy
from nexova_sim.config.decision import Episodes
from nexova_sim.dataset.read import Dataset, parse_time
from nexova_sim.decide.context import Episode

_HOUR_MS = 3_600_000


def find_episodes(dataset: Dataset, policy: AlertPolicy, wanted: Episodes) -> list[Episode]:
    """The alerts of ``dataset`` under ``policy`` that ask for a decision, by time."""
    compiled = compile_policy(policy, dataset)
    alerts = collect_alerts(stream_alerts(compiled, dataset))
    end_ms = parse_time(dataset.manifest.end, "end")
    batch = alerts_batch(compiled, alerts, end_ms)
    names = ("machine_id", "rule", "alert_type", "channel", "severity", "raised", "announced", "resolved", "value",
             "limit", "unit")  # fmt: skip
    table = pa.Table.from_batches([batch]).select(names)
    return choose_episodes(table.to_pylist(), wanted, end_ms, stops(dataset, end_ms))


def stops(dataset: Dataset, end_ms: int) -> dict[str, list[tuple[int, int]]]:
    """When machines were failed or in maintenance, by machine: (from, until) in ms; nothing is to be decided then."""
    found: dict[str, list[tuple[int, int]]] = {}
    begun: dict[str, int] = {}
    if "events" not in dataset.tables():
        return found
    rows = dataset.read("events", columns=("machine_id", "timestamp", "event")).to_pylist()
    for row in sorted(rows, key=lambda row: row["timestamp"]):
        machine, at = str(row["machine_id"]), _ms(row["timestamp"])
        if row["event"] in ("failure", "maintenance_start"):
            begun.setdefault(machine, at)
        elif row["event"] == "maintenance_end" and machine in begun:
            found.setdefault(machine, []).append((begun.pop(machine), at))
    for machine, at in begun.items():
        found.setdefault(machine, []).append((at, end_ms))
    return found


def choose_episodes(rows: Iterable[Mapping[str, Any]], wanted: Episodes, end_ms: int,
                    down: Mapping[str, Sequence[tuple[int, int]]]) -> list[Episode]:  # fmt: skip
    """Episodes of announced alerts (rows of the alerts table) of the wanted severities, by time, then machine.

    ``down`` holds the stops of each machine (from, until) in ms.
    """
    asked = []
    for row in rows:
        if row["announced"] is not None and row["severity"] in wanted.severities:
            episode = _episode(row)
            asked += [(at, n, episode) for n, at in enumerate(_moments(episode, wanted.review_h, end_ms))]
    found: list[Episode] = []
    last: dict[str, int] = {}
    for at, _, episode in sorted(asked, key=lambda item: (item[0], item[2].machine_id, item[2].rule)):
        if at - last.get(episode.machine_id, -(2**62)) < wanted.quiet_h * _HOUR_MS:
            continue
        if any(begin <= at < end for begin, end in down.get(episode.machine_id, ())):
            continue
        last[episode.machine_id] = at
        found.append(episode._replace(raised_ms=at))
        if len(found) == wanted.most:
            break
    return found


def _moments(episode: Episode, review_h: float | None, end_ms: int) -> range:
    """When an alert asks: raised, and every review while it is open."""
    end = end_ms if episode.resolved_ms is None else episode.resolved_ms
    step = 2**53 if review_h is None else round(review_h * _HOUR_MS)
    return range(episode.raised_ms, max(end, episode.raised_ms + 1), step)


def _episode(row: Mapping[str, Any]) -> Episode:
    value, limit = (v if v is not None and math.isfinite(v) else math.nan for v in (row["value"], row["limit"]))
    resolved = None if row["resolved"] is None else _ms(row["resolved"])
    return Episode(str(row["machine_id"]), _ms(row["raised"]), row["rule"], row["alert_type"], row["channel"],
                   row["severity"], value, limit, row["unit"], resolved)  # fmt: skip


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
