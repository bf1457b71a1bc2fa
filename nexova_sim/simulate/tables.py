"""Arrow tables from what a block did: readings, truth, labels, events; and the tables that describe the fleet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from nexova_sim.kernels.health import health_of
from nexova_sim.kernels.rows import (
    DOWN,
    EV_FAILURE,
    EV_MAINTENANCE_START,
    EV_STATUS,
    T_AMBIENT,
    T_COOLING,
    T_ELECTRICAL,
    T_ENERGY,
    T_FATIGUE,
    T_LOAD,
    T_PLAN,
    T_RUNTIME,
    T_STATUS,
    T_TEMP,
    T_VIBRATION,
    T_WEAR,
)
from nexova_sim.schema.channels import COMPONENTS, FAILURE_EVENTS, REASONS, STATUSES
from nexova_sim.schema.tables import id_array, number_array, status_array, table_of, table_schema, time_array
from nexova_sim.simulate.blocks import Chunk
from nexova_sim.simulate.life import Life, remaining
from nexova_sim.simulate.plan import BlockPlan, FleetPlan, ambient_of

_EVENT_NAMES = ("status", "failure", "maintenance_start", "maintenance_end")


def _ids(block: BlockPlan, codes: np.ndarray) -> pa.DictionaryArray:
    return id_array(codes, [m.id for m in block.machines])


def _hours_to_ms(plan: FleetPlan, hours: np.ndarray) -> np.ndarray:
    return plan.start_s * 1000 + np.floor(hours * 3_600_000.0 + 0.5).astype(np.int64)


def readings_table(plan: FleetPlan, block: BlockPlan, chunk: Chunk) -> pa.Table:
    """Readings of a block in a period, sorted by machine then time; rows lost on the way are left out."""
    n, rows = chunk.power_kw.shape
    step_ms = plan.resolved.fleet.dt_s * 1000
    first_ms = plan.start_s * 1000 + chunk.period.first_slot * plan.resolved.fleet.slot_s * 1000
    ms = np.tile(first_ms + step_ms * np.arange(rows, dtype=np.int64), n)
    code = np.repeat(np.arange(n, dtype=np.int16), rows)
    columns = [ms, chunk.power_kw.ravel(), chunk.temperature_c.ravel(), chunk.vibration_mm_s.ravel(),
               chunk.runtime_h.ravel(), chunk.status.ravel()]  # fmt: skip
    if chunk.keep is not None:
        keep = chunk.keep.ravel()
        code = code[keep]
        columns = [c[keep] for c in columns]
    arrays = [
        _ids(block, code),
        time_array(columns[0]),
        *(number_array(c, pa.float32()) for c in columns[1:5]),
        status_array(columns[5]),
    ]
    return pa.Table.from_arrays(arrays, schema=table_schema("readings"))


def _fault_text(plan: FleetPlan, block: BlockPlan, cleared: np.ndarray, lane: int, time_h: np.ndarray) -> list[str]:
    text = [""] * len(time_h)
    first = plan.blocks[block.number][0]
    for fault, _, _, begin, end, _ in fault_intervals(plan, block, cleared):
        if fault.machine - first == lane:
            for i in range(*np.searchsorted(time_h, [begin, end])):
                text[i] = f"{text[i]}+{fault.fault}" if text[i] else fault.fault
    return text


def fault_intervals(
    plan: FleetPlan, block: BlockPlan, cleared: np.ndarray
) -> list[tuple[Any, str | None, bool, float, float, str]]:
    """Every fault of a block as it really ran: (fault, channel, is sensor fault, begin h, end h, ended by)."""
    slot_h = plan.clock.slot_h
    step_h = slot_h / plan.clock.n_steps
    span_h = plan.resolved.fleet.n_slots * slot_h
    rows: list[tuple[Any, str | None, bool, float, float, str]] = []
    f = block.block.faults
    for i, fault in enumerate(block.faults):
        begin, end = f.onset_slot[i] * slot_h, f.end_slot[i] * slot_h
        by = "schedule" if end < span_h else "end_of_data"
        if cleared[i] >= 0:
            end, by = float(cleared[i]) * slot_h, "maintenance"
        rows.append((fault, None, False, float(begin), float(min(end, span_h)), by))
    for fault in block.sensor_faults:
        first = int(fault.onset_h / step_h)
        last = max(first + 1, round(fault.end_h / step_h))
        by = "schedule" if fault.end_h < span_h else "end_of_data"
        rows.append((fault, fault.channel, True, first * step_h, last * step_h, by))
    return sorted(rows, key=lambda row: (row[0].machine, row[3], row[0].fault))


def truth_table(plan: FleetPlan, block: BlockPlan, chunk: Chunk, life: Life, cleared: np.ndarray) -> pa.Table:
    """Hidden state of a block in a period at the truth cadence, with the true remaining life."""
    n, samples, _ = chunk.truth.shape
    every = plan.clock.truth_slots
    first = -(-chunk.period.first_slot // every) * every
    hours = (first + every * np.arange(samples)) * plan.clock.slot_h
    life_h = np.array([plan.resolved.kinds[m.kind].damage.rated_life_h for m in block.machines])
    health = np.empty((n, samples))
    rest = np.empty((3, n, samples))
    faults: list[str] = []
    for j in range(n):
        t = chunk.truth[j]
        health_of(t[:, T_FATIGUE].copy(), t[:, T_WEAR].copy(), t[:, T_ELECTRICAL].copy(), t[:, T_RUNTIME].copy(),
                  np.full(samples, life_h[j]), health[j])  # fmt: skip
        rest[0, j], rest[1, j], rest[2, j] = remaining(life, j, hours, t)
        faults += _fault_text(plan, block, cleared, j, hours)
    flat = chunk.truth.reshape(n * samples, chunk.truth.shape[2])
    events = [*FAILURE_EVENTS, None]
    unknown = np.isnan(rest[:2].reshape(2, -1))
    return table_of(
        "truth",
        {
            "machine_id": _ids(block, np.repeat(np.arange(n, dtype=np.int16), samples)),
            "timestamp": time_array(_hours_to_ms(plan, np.tile(hours, n))),
            "load_frac": flat[:, T_LOAD],
            "temp_c": flat[:, T_TEMP],
            "vibration_true_mm_s": flat[:, T_VIBRATION],
            "ambient_c": flat[:, T_AMBIENT],
            "cooling_frac": flat[:, T_COOLING],
            "wear_frac": flat[:, T_WEAR],
            "fatigue_frac": flat[:, T_FATIGUE],
            "electrical_frac": flat[:, T_ELECTRICAL],
            "runtime_true_h": flat[:, T_RUNTIME],
            "health_percent": health.ravel(),
            "rul_h": number_array(rest[0].ravel(), pa.float32(), unknown[0]),
            "rul_running_h": number_array(rest[1].ravel(), pa.float32(), unknown[1]),
            "failure_event": [events[int(e)] for e in rest[2].ravel()],
            "fault": faults,
            "energy_kwh": flat[:, T_ENERGY],
            "planned_energy_kwh": flat[:, T_PLAN],
            "status": status_array((flat[:, T_STATUS] % DOWN).astype(np.int8)),
        },
    )


def labels_table(plan: FleetPlan, block: BlockPlan, cleared: np.ndarray) -> pa.Table:
    """Fault intervals of a block."""
    rows = fault_intervals(plan, block, cleared)
    first = plan.blocks[block.number][0]
    bounds = np.array([[r[3], r[4]] for r in rows]).reshape(-1, 2)
    return table_of(
        "labels",
        {
            "machine_id": _ids(block, np.array([r[0].machine - first for r in rows], np.int16)),
            "fault": [r[0].fault for r in rows],
            "channel": [r[1] for r in rows],
            "onset": time_array(_hours_to_ms(plan, bounds[:, 0])),
            "end": time_array(_hours_to_ms(plan, bounds[:, 1])),
            "severity": np.array([r[0].severity for r in rows], np.float32),
            "is_sensor_fault": [r[2] for r in rows],
            "ended_by": [r[5] for r in rows],
        },
    )


def _mask_text(mask: int) -> str:
    return "+".join(name for bit, name in enumerate(COMPONENTS) if mask & (1 << bit))


def events_table(plan: FleetPlan, block: BlockPlan, code: np.ndarray, value: np.ndarray) -> pa.Table:
    """Status changes, failures and maintenance of a block, sorted by machine then time."""
    order = np.lexsort((np.arange(len(code)), value[:, 0], code[:, 0]))
    code, value = code[order], value[order]
    kind = code[:, 1]
    is_status = kind == EV_STATUS
    is_failure = kind == EV_FAILURE
    reason = np.where(is_status, code[:, 3], code[:, 2])
    return table_of(
        "events",
        {
            "machine_id": _ids(block, code[:, 0].astype(np.int16)),
            "timestamp": time_array(_hours_to_ms(plan, value[:, 0])),
            "event": [_EVENT_NAMES[k] for k in kind],
            "status": [STATUSES[c] if s else None for c, s in zip(code[:, 2], is_status, strict=True)],
            "reason": [FAILURE_EVENTS[r] if f else REASONS[r] for r, f in zip(reason, is_failure, strict=True)],
            "restored": [None if s else _mask_text(int(m)) for m, s in zip(code[:, 3], is_status, strict=True)],
            "value": number_array(value[:, 1], pa.float64(), ~(is_failure | (kind == EV_MAINTENANCE_START))),
        },
    )


def machines_table(plan: FleetPlan) -> pa.Table:
    """Name-plate data of the fleet."""
    kinds = [plan.resolved.kinds[m.kind] for m in plan.machines]
    return table_of(
        "machines",
        {
            "machine_id": [m.id for m in plan.machines],
            "name": [m.name for m in plan.machines],
            "kind": [m.kind.upper() for m in plan.machines],
            "factory_id": [plan.resolved.fleet.factories[m.factory].id for m in plan.machines],
            "rated_kw": [k.rated_kw for k in kinds],
            "nominal_load_frac": [k.nominal_load_frac for k in kinds],
            "baseline_kw": [k.rated_kw * k.nominal_load_frac for k in kinds],
            "runtime_start_h": [m.runtime_start_h for m in plan.machines],
            "rated_life_h": [k.damage.rated_life_h for k in kinds],
            "lost_production_usd_per_h": [k.costs.lost_production_usd_per_h for k in kinds],
            "planned_service_usd": [k.costs.planned_usd for k in kinds],
            "planned_service_h": [k.costs.planned_h for k in kinds],
            "failure_usd": [k.costs.failure_usd for k in kinds],
            "failure_h": [k.costs.failure_h for k in kinds],
        },
    )


def build_table(plan: FleetPlan) -> pa.Table:
    """Hidden build parameters of the fleet."""
    columns: dict[str, Any] = {"machine_id": [m.id for m in plan.machines]}
    columns |= {key: [m.build[key] for m in plan.machines] for key in plan.machines[0].build}
    return table_of("build", columns)


def factories_table(plan: FleetPlan) -> pa.Table:
    """Sites of the fleet."""
    sites = plan.resolved.fleet.factories
    return table_of(
        "factories",
        {
            "factory_id": [f.id for f in sites],
            "name": [f.name or f.id for f in sites],
            "latitude_deg": [f.latitude_deg for f in sites],
            "longitude_deg": [f.longitude_deg for f in sites],
            "timezone": [f.timezone for f in sites],
        },
    )


def weather_table(plan: FleetPlan) -> pa.Table:
    """Ambient temperature of every factory, hourly (or per slot when a slot is longer than an hour)."""
    per_hour = max(1, 3600 // plan.resolved.fleet.slot_s)
    names: list[str] = []
    times, values = [], []
    for number, site in enumerate(plan.resolved.fleet.factories):
        slots = np.concatenate([ambient_of(plan, number, period) for period in plan.periods])
        whole = slots[: len(slots) // per_hour * per_hour].reshape(-1, per_hour)
        mean = whole.sum(axis=1) / per_hour
        times.append(np.arange(len(mean)) * per_hour * plan.clock.slot_h)
        values.append(np.floor(mean * 10.0 + 0.5) / 10.0)
        names += [site.id] * len(mean)
    return table_of(
        "weather",
        {
            "factory_id": names,
            "timestamp": time_array(_hours_to_ms(plan, np.concatenate(times))),
            "ambient_c": np.concatenate(values),
        },
    )
