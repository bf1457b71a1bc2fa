"""Alarm performance per operator, beside the published targets of ISA-18.2, IEC 62682 and EEMUA 191.

What counts is what the operator is told: first announcements, and again when an alert grows graver.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.alert.engine import NONE, Alerts
from nexova_sim.alert.rules import Machines
from nexova_sim.config.alert import SEVERITIES, AlertPolicy, Operators, Targets
from nexova_sim.kernels.alert_tally import DAY_MS, SLOT_MS, Bounds, Tally, tally_alerts
from nexova_sim.schema.alerts import MUTED_BY

HOUR_MS = 3_600_000
_TOP = 10


class Console(NamedTuple):
    """The operators: their ``names``, and of each machine (m,) which operator is told."""

    names: tuple[str, ...]
    of_machine: np.ndarray


class Span(NamedTuple):
    """The time the readings cover, [start, end), and the usual distance between two readings of a machine."""

    start_ms: int
    end_ms: int
    reading_ms: int


def make_console(operators: Operators, machines: Machines) -> Console:
    """Who is told about which machine: machines of a factory (or all) are dealt evenly to its operators."""
    sites = machines.factories if operators.per == "factory" else ("plant",) * len(machines.ids)
    known = sorted(set(sites))
    names = [site if operators.count == 1 else f"{site}-{k + 1}" for site in known for k in range(operators.count)]
    dealt = dict.fromkeys(known, 0)
    place = np.empty(len(sites), np.int64)
    for m, site in enumerate(sites):
        place[m] = known.index(site) * operators.count + dealt[site] % operators.count
        dealt[site] += 1
    return Console(tuple(names), place)


def new_tally(console: Console, span: Span, n_rules: int, targets: Targets) -> Tally:
    """A tally of nothing."""
    n_o, n_m = len(console.names), len(console.of_machine)
    n_slots = max(1, -(-(span.end_ms - span.start_ms) // SLOT_MS))
    n_days = max(1, -(-(span.end_ms - span.start_ms) // DAY_MS))
    return Tally(
        np.zeros((n_o, n_slots), np.int64),
        np.zeros((n_m, n_rules), np.int64),
        np.full((n_m, n_rules, targets.chatter_raises - 1), NONE, np.int64),
        np.zeros((n_m, n_rules), np.int64),
        np.zeros((n_o, 3), np.int64),
        np.zeros((n_o, n_days + 1), np.int64),
        np.zeros((n_o, 4), np.int64),
        np.zeros((n_o, 4), np.int64),
    )


def chatter_window_ms(targets: Targets, span: Span) -> int:
    """Time within which too many announcements are chattering; long enough that the readings could show them."""
    return max(round(targets.chatter_window_s * 1000.0), (targets.chatter_raises + 1) * span.reading_ms)


def add_alerts(tally: Tally, alerts: Alerts, console: Console, span: Span, targets: Targets) -> None:
    """Count ``alerts``; those of one machine and rule must come in order of time."""
    stale_ms = round(targets.stale_hours * HOUR_MS)
    bounds = Bounds(span.start_ms, span.end_ms, chatter_window_ms(targets, span), stale_ms)
    # Without a copy for what the engine gives, so that the kernel is compiled for one layout only.
    time, code = (np.ascontiguousarray(part.T) for part in (alerts.time, alerts.code))
    tally_alerts(time, code, console.of_machine, bounds, tally)


def flood_slots(slots: np.ndarray, starts: int, ends: int) -> np.ndarray:
    """Slots (n,) in a flood: from one with ``starts`` announcements to before one under ``ends``."""
    mask = np.zeros(len(slots), np.bool_)
    in_flood = False
    for k in np.flatnonzero(slots >= ends):
        in_flood = (in_flood and k > 0 and bool(mask[k - 1])) or slots[k] >= starts
        mask[k] = in_flood
    return mask


def _measures(tally: Tally, o: int, console: Console, targets: Targets) -> dict[str, Any]:
    slots = tally.slots[o]
    n_hours = len(slots) / 6.0
    hours = np.add.reduceat(slots, np.arange(0, len(slots), 6))
    tags = tally.tags[console.of_machine == o].reshape(-1)
    n, top = int(slots.sum()), int(np.sort(tags)[-_TOP:].sum())
    own = tally.severity[o]
    return {
        "average_per_h": n / n_hours,
        "peak_10_min": int(slots.max(initial=0)),
        "slots_above_10_frac": float((slots > 10).mean()),
        "hours_above_30_frac": float((hours > 30).mean()),
        "flood_frac": float(flood_slots(slots, targets.flood_starts, targets.flood_ends).mean()),
        "chattering": int((tally.chatter[console.of_machine == o] > 0).sum()),
        "stale_per_day": int(np.cumsum(tally.stale[o])[:-1].max(initial=0)),
        "top_10_frac": top / n if n else 0.0,
        "priority_frac": [float(v) for v in own / max(1, own.sum())],
    }


def _targets(targets: Targets) -> dict[str, tuple[Any, str, str]]:
    """KPI -> target, unit, where it is published."""
    return {
        "average_per_h": (targets.average_per_h, "1/h", "ISA-18.2, IEC 62682: about 6 an hour very likely acceptable"),
        "peak_10_min": (targets.peak_10_min, "1/10 min", "ISA-18.2, EEMUA 191: at most 10 in 10 minutes"),
        "slots_above_10_frac": (targets.slots_above_10_frac, "1", "ISA-18.2: below 1 % of 10-minute slots"),
        "hours_above_30_frac": (targets.hours_above_30_frac, "1", "ISA-18.2: below 1 % of hours"),
        "flood_frac": (targets.flood_frac, "1", "ISA-18.2, IEC 62682: below 1 % of the time"),
        "chattering": (0, "tags", "ISA-18.2: none; 3 in a minute (here also in 4 readings)"),
        "stale_per_day": (targets.stale_per_day, "alerts", "ISA-18.2: fewer than 5 on any day"),
        "top_10_frac": (targets.top_10_frac, "1", "ISA-18.2: below 1 % to 5 %"),
        "priority_frac": (targets.priority_frac, "1", "ISA-18.2, EEMUA 191: about 80/15/5 low, medium, high"),
    }


def _is_met(name: str, value: Any, target: Any, tolerance: float) -> bool:  # noqa: ANN401
    if name == "priority_frac":
        return all(abs(v - t) <= tolerance for v, t in zip(value, target, strict=True))
    if name in {"average_per_h", "peak_10_min", "chattering"}:
        return bool(value <= target)
    return bool(value < target)


def summarise(tally: Tally, console: Console, span: Span, policy: AlertPolicy, names: Machines) -> dict[str, Any]:
    """KPIs of every operator and of the plant (per operator on average, the worst for peaks), with their targets."""
    wanted = _targets(policy.targets)
    rows = []
    for o, name in enumerate(console.names):
        values = _measures(tally, o, console, policy.targets)
        told = tally.severity[o]
        met = {k: _is_met(k, v, wanted[k][0], policy.targets.priority_tolerance_frac) for k, v in values.items()}
        rows.append({
            "operator": name, "machines": int((console.of_machine == o).sum()), "announced": int(told.sum()),
            "alerts": int(tally.ends[o].sum()), "open": int(tally.ends[o, 0]),
            "muted": {w: int(n) for w, n in zip(MUTED_BY, tally.muted[o], strict=True)},
            "by_severity": {w: int(n) for w, n in zip(SEVERITIES, told, strict=True)},
            "kpi": values, "is_met": met,
        })  # fmt: skip
    n_hours = tally.slots.shape[1] / 6.0
    n = int(tally.slots.sum())
    return {
        "policy": policy.name,
        "hours": n_hours,
        "operators": rows,
        "announced": n,
        "alerts": int(tally.ends.sum()),
        "open": int(tally.ends[:, 0].sum()),
        "per_operator_hour": n / n_hours / max(1, len(console.names)),
        "chattering": int((tally.chatter > 0).sum()),
        "chatter_window_s": chatter_window_ms(policy.targets, span) / 1000.0,
        "targets": {k: {"target": t, "unit": u, "source": s} for k, (t, u, s) in wanted.items()},
        "worst_tags": _worst(tally, names, policy),
    }


def _worst(tally: Tally, names: Machines, policy: AlertPolicy) -> list[dict[str, Any]]:
    flat = tally.tags.reshape(-1)
    order = np.lexsort((np.arange(len(flat)), -flat))[:_TOP]
    n_rules = tally.tags.shape[1]
    return [
        {"machine_id": names.ids[k // n_rules], "rule": policy.rules[k % n_rules].name, "announced": int(flat[k]),
         "is_chattering": bool(tally.chatter.reshape(-1)[k])}
        for k in order if flat[k]
    ]  # fmt: skip
