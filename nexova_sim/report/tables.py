"""Rows of the report's tables, from the tables of a dataset and its time bins."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.report.series import CHANNELS, HOUR_MS, Series, carry_forward, milliseconds
from nexova_sim.report.states import CRITICAL, OFFLINE, RUNNING, WARNING, health_class, states_of
from nexova_sim.schema.manifest import Manifest

_SILENT_BELOW = 0.9


class FleetData(NamedTuple):
    """Everything a report is made of. ``health`` is percent per machine and bin, NaN where the truth is not known."""

    manifest: Manifest
    description: Mapping[str, Any]
    machines: pa.Table
    factories: pa.Table
    labels: pa.Table
    events: pa.Table
    series: Series
    health: np.ndarray


class FaultRow(NamedTuple):
    """A labelled fault; times in milliseconds since 1970."""

    machine_id: str
    fault: str
    channel: str
    onset_ms: int
    end_ms: int
    severity: float
    is_sensor: bool
    ended_by: str

    @property
    def hours(self) -> float:
        """Duration in hours."""
        return (self.end_ms - self.onset_ms) / HOUR_MS


class StopRow(NamedTuple):
    """A failure, or a maintenance with its end (None = still open at the end of the data)."""

    machine_id: str
    what: str
    is_failure: bool
    start_ms: int
    end_ms: int | None
    hours: float
    restored: str


class MachineRow(NamedTuple):
    """A machine in one line. Health in percent, NaN when not known; ``state`` is a code of ``states``."""

    machine_id: str
    name: str
    kind: str
    factory_id: str
    baseline_kw: float
    state: int
    status: str
    health_end: float
    health_low: float
    worst: int
    energy_kwh: float
    running_frac: float
    peak_temperature_c: float
    peak_vibration_mm_s: float
    faults: tuple[FaultRow, ...]
    stops: tuple[StopRow, ...]
    there_frac: float

    @property
    def n_failures(self) -> int:
        """Failures in the span."""
        return sum(stop.is_failure for stop in self.stops)


class FactoryRow(NamedTuple):
    """Energy of a factory; ``peak_kw`` is the highest mean of a time bin."""

    factory_id: str
    name: str
    timezone: str
    n_machines: int
    energy_kwh: float
    share_frac: float
    mean_kw: float
    peak_kw: float
    power_kw: np.ndarray


class QualityRow(NamedTuple):
    """Missing data of a machine; NaN shares are of the rows that are there."""

    machine_id: str
    rows: int
    there_frac: float
    n_gaps: int
    longest_s: float
    nan_frac: tuple[float, ...]

    @property
    def is_clean(self) -> bool:
        """True when nothing is missing."""
        return self.n_gaps == 0 and self.there_frac >= 1.0 and not any(share > 0.0 for share in self.nan_frac)


def texts(table: pa.Table, column: str) -> list[str]:
    """A text column as text; what is null reads as nothing."""
    return ["" if v is None else str(v) for v in table.column(column).to_pylist()]


def fault_rows(labels: pa.Table) -> list[FaultRow]:
    """Rows of the labels table by onset."""
    columns = (
        texts(labels, "machine_id"),
        texts(labels, "fault"),
        texts(labels, "channel"),
        milliseconds(labels.column("onset").combine_chunks()).tolist(),
        milliseconds(labels.column("end").combine_chunks()).tolist(),
        [float("nan") if v is None else float(v) for v in labels.column("severity").to_pylist()],
        [bool(v) for v in labels.column("is_sensor_fault").to_pylist()],
        texts(labels, "ended_by"),
    )
    return sorted(
        (FaultRow(*row) for row in zip(*columns, strict=True)), key=lambda r: (r.onset_ms, r.machine_id, r.fault)
    )


def stop_rows(events: pa.Table, end_ms: int) -> list[StopRow]:
    """Failures and maintenance of the events table by time; a maintenance is joined with its end."""
    stamps = milliseconds(events.column("timestamp").combine_chunks()).tolist()
    columns = (
        texts(events, "machine_id"),
        stamps,
        texts(events, "event"),
        texts(events, "reason"),
        texts(events, "restored"),
    )
    rows = []
    ends: dict[str, int] = {}
    # Backwards in time: a start meets the end that follows it.
    for who, at, event, reason, restored in sorted(zip(*columns, strict=True), key=lambda r: r[1], reverse=True):
        if event == "failure":
            rows.append(StopRow(who, f"Failure: {reason}", True, at, None, float("nan"), ""))
        elif event == "maintenance_end":
            ends[who] = at
        elif event == "maintenance_start":
            end = ends.pop(who, None)
            hours = ((end_ms if end is None else end) - at) / HOUR_MS
            rows.append(StopRow(who, f"Maintenance: {reason}", False, at, end, hours, restored))
    return sorted(rows, key=lambda r: (r.start_ms, r.machine_id))


def machine_rows(fleet: FleetData, faults: Sequence[FaultRow], stops: Sequence[StopRow]) -> list[MachineRow]:
    """One row per machine, in the order of the machines table."""
    series = fleet.series
    ids = texts(fleet.machines, "machine_id")
    by_fault, by_stop = _by_machine(faults), _by_machine(stops)
    columns = [texts(fleet.machines, c) for c in ("name", "kind", "factory_id")]
    baseline = fleet.machines.column("baseline_kw").to_pylist()
    known = carry_forward(fleet.health)
    end = known[:, -1]
    low = np.fmin.reduce(fleet.health, axis=1)
    worst = health_class(low)
    now = health_class(end)
    n_status = series.status.sum(axis=2)
    there = {g["machine_id"]: g for g in fleet.description["gaps"]["by_machine"]}
    rows = []
    for i, machine_id in enumerate(ids):
        last = int(series.last_status[i])
        rows.append(
            MachineRow(
                machine_id,
                columns[0][i],
                columns[1][i],
                columns[2][i],
                float(baseline[i] or 0.0),
                int(now[i]) if last in {0, -1} else OFFLINE,
                ("ONLINE", "OFFLINE", "MAINTENANCE", "")[last],
                float(end[i]),
                float(low[i]),
                int(worst[i]),
                float(series.energy_kwh[i].sum()),
                float(n_status[0, i] / max(1, n_status[:, i].sum())),
                float(np.fmax.reduce(series.high[1, i])),
                float(np.fmax.reduce(series.high[2, i])),
                tuple(by_fault.get(machine_id, ())),
                tuple(by_stop.get(machine_id, ())),
                _there_frac(there.get(machine_id)),
            )
        )
    return rows


def _by_machine(rows: Sequence[Any]) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[row.machine_id].append(row)
    return dict(found)


def _there_frac(gaps: Mapping[str, Any] | None) -> float:
    """Share of the expected rows that are there; 0 for a machine without any."""
    if gaps is None or not gaps["rows"]:
        return 0.0
    return float(gaps["rows"] / (gaps["rows"] + gaps["missing_rows"]))


def factory_rows(fleet: FleetData, machines: Sequence[MachineRow]) -> list[FactoryRow]:
    """Energy per factory, in the order of the factories table; a factory that is not listed there comes last."""
    series = fleet.series
    names = dict(zip(texts(fleet.factories, "factory_id"), texts(fleet.factories, "name"), strict=True))
    zones = dict(zip(texts(fleet.factories, "factory_id"), texts(fleet.factories, "timezone"), strict=True))
    edges = np.minimum(series.grid.edges_ms(), series.grid.end_ms)
    hours = np.diff(edges) / HOUR_MS
    total = float(series.energy_kwh.sum())
    where = np.array([m.factory_id for m in machines], object)
    rows = []
    for factory_id in dict.fromkeys([*names, *where.tolist()]):
        mine = where == factory_id
        kwh = series.energy_kwh[mine].sum(axis=0)
        power = np.where(series.n_valid[0][mine].sum(axis=0) > 0, kwh / hours, np.nan)
        energy = float(kwh.sum())
        peak = float(np.fmax.reduce(power)) if len(power) else float("nan")
        share = energy / total if total else float("nan")
        who = (factory_id, names.get(factory_id) or factory_id, zones.get(factory_id, ""), int(mine.sum()))
        rows.append(FactoryRow(*who, energy, share, energy / float(hours.sum()), peak, power))
    return [row for row in rows if row.n_machines]


def quality_rows(fleet: FleetData) -> list[QualityRow]:
    """Missing data per machine, the worst first."""
    ids = texts(fleet.machines, "machine_id")
    place = {name: i for i, name in enumerate(ids)}
    valid = fleet.series.n_valid.sum(axis=2)
    # A channel that no machine of the fleet has is not missing.
    is_there = valid.any(axis=1)
    rows = []
    for gaps in fleet.description["gaps"]["by_machine"]:
        i, n = place[gaps["machine_id"]], max(1, gaps["rows"])
        nan = tuple(
            max(0.0, 1.0 - float(valid[c, i]) / n) if is_there[c] else float("nan") for c in range(len(CHANNELS))
        )
        rows.append(
            QualityRow(gaps["machine_id"], gaps["rows"], _there_frac(gaps), gaps["n_gaps"], gaps["longest_s"], nan)
        )
    return sorted(rows, key=lambda r: (r.there_frac, -np.nansum(r.nan_frac), r.machine_id))


def most_interesting(machines: Sequence[MachineRow], most: int) -> list[int]:
    """Positions of at most ``most`` machines, in turn from two lists.

    Those to which most happened (failures, lowest health class, faults, stops, missing data), and those that are not
    HEALTHY at the end, the worst first.
    """

    def happened(i: int) -> tuple[Any, ...]:
        row = machines[i]
        grave = {CRITICAL: 0, WARNING: 1}.get(row.worst, 2)
        physical = sum(not f.is_sensor for f in row.faults)
        low = row.health_low if np.isfinite(row.health_low) else 101.0
        counts = (-row.n_failures, grave, -physical, -len(row.faults), -len(row.stops))
        return (*counts, row.there_frac, low, row.machine_id)

    eventful = sorted(range(len(machines)), key=happened)
    unwell = [i for i in range(len(machines)) if machines[i].state in {CRITICAL, WARNING}]
    unwell.sort(key=lambda i: (machines[i].health_end, machines[i].machine_id))
    turns = zip_longest(eventful, unwell)
    return list(dict.fromkeys(i for turn in turns for i in turn if i is not None))[:most]


def fleet_states(fleet: FleetData) -> np.ndarray:
    """State code of every machine and bin, shape (m, b), int8."""
    return states_of(fleet.series, carry_forward(fleet.health))


def has_truth(fleet: FleetData) -> bool:
    """True when the health of at least one machine is known, so for simulated data."""
    return bool(np.isfinite(fleet.health).any())


def needs_attention(machines: Sequence[MachineRow], end_ms: int) -> list[tuple[MachineRow, list[str]]]:
    """Machines that are not well at the end of the data, gravest first, each with the reasons."""
    found = []
    for row in machines:
        why = []
        if row.state in {CRITICAL, WARNING}:
            why.append(f"health {row.health_end:.0f} %")
        elif row.worst in {CRITICAL, WARNING} and row.health_end != row.health_low:
            why.append(f"health was down to {row.health_low:.0f} %")
        why += [f"{stop.what[0].lower()}{stop.what[1:]}" for stop in row.stops if stop.is_failure]
        if row.worst in {CRITICAL, WARNING}:
            why += [
                f"{name} before"
                for name in dict.fromkeys(f.fault for f in row.faults if not f.is_sensor and f.end_ms < end_ms)
            ]
        why += [f"{f.fault} until the end" for f in row.faults if f.end_ms >= end_ms]
        if row.status == "MAINTENANCE":
            why.append("in maintenance")
        if row.there_frac < _SILENT_BELOW:
            why.append(f"only {100.0 * row.there_frac:.1f} % of the readings" if row.there_frac else "no readings")
        if why:
            found.append((row, why))
    gravity = {CRITICAL: 0, WARNING: 1, OFFLINE: 2, RUNNING: 3}
    return sorted(found, key=lambda f: (gravity.get(f[0].state, 3), -f[0].n_failures, f[0].health_end, f[0].machine_id))
