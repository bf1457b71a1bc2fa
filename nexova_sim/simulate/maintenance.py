"""Planned services and decided interventions as action lists for the kernels."""

from __future__ import annotations

import numpy as np

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.kernels.random import SERVICE
from nexova_sim.kernels.rows import (
    IN_MAINTENANCE,
    LANES,
    N_FAILURES,
    NEVER,
    OFF_DECIDED,
    R_DECISION,
    R_SERVICE,
    ActionPlan,
)
from nexova_sim.schema.channels import FAILURE_EVENTS
from nexova_sim.simulate.faults import components
from nexova_sim.simulate.machines import Machine, draw

_SERVICE_HOUR_UTC = 8
_Action = tuple[int, int, int, int, int]


def _slots(hours: float, slot_s: int) -> int:
    return max(1, round(hours * 3600.0 / slot_s))


def _services(machine: Machine, resolved: ResolvedFleet) -> list[_Action]:
    fleet = resolved.fleet
    interval = fleet.maintenance.planned_interval_days
    if interval is None:
        return []
    kind = resolved.kinds[machine.kind]
    phase = float(draw(machine.keys[SERVICE], 0, 1)[0])
    per_day = 86_400 // fleet.slot_s
    first_s = (_SERVICE_HOUR_UTC * 3600 - int(fleet.start.timestamp())) % 86_400
    actions = []
    day = phase * interval
    while day < fleet.days:
        slot = int(day) * per_day + first_s // fleet.slot_s
        mask = components(list(kind.service.planned_restores))
        if slot < fleet.n_slots:
            actions.append((slot, IN_MAINTENANCE, _slots(kind.costs.planned_h, fleet.slot_s), mask, R_SERVICE))
        day += interval
    return actions


def plan_actions(resolved: ResolvedFleet, machines: list[Machine]) -> list[list[_Action]]:
    """Actions of every machine, sorted by slot: (slot, mode, slots, restored components, reason)."""
    fleet = resolved.fleet
    places = {m.id: n for n, m in enumerate(machines)}
    plans = [_services(m, resolved) for m in machines]
    for n, item in enumerate(fleet.maintenance.interventions):
        if item.machine not in places:
            raise ConfigError(
                f"maintenance.interventions.{n}: unknown machine {item.machine!r}; {suggest(item.machine, places)}"
            )
        span_h = fleet.n_slots * fleet.slot_s / 3600.0
        if item.at_h >= span_h:
            raise ConfigError(
                f"maintenance.interventions.{n}: at_h {item.at_h:g} lies beyond the end of the run ({span_h:g} h)"
            )
        mode = IN_MAINTENANCE if item.action == "MAINTENANCE" else OFF_DECIDED
        slot = int(item.at_h * 3600.0 / fleet.slot_s)
        mask = components(list(item.restores)) if mode == IN_MAINTENANCE else 0
        plans[places[item.machine]].append((slot, mode, _slots(item.hours, fleet.slot_s), mask, R_DECISION))
    return [sorted(plan) for plan in plans]


def action_arrays(plans: list[list[_Action]]) -> ActionPlan:
    """Kernel arrays of the actions of at most LANES machines, padded with NEVER."""
    width = max(len(plan) for plan in plans) + 1
    arrays = [np.full((LANES, width), NEVER, np.int64)] + [np.zeros((LANES, width), np.int64) for _ in range(4)]
    for j, plan in enumerate(plans):
        for n, action in enumerate(plan):
            for array, value in zip(arrays, action, strict=True):
                array[j, n] = value
    return ActionPlan(*arrays)


def failure_restore(machines: list[Machine], resolved: ResolvedFleet) -> np.ndarray:
    """Components restored by the repair after each failure event, (N_FAILURES, LANES) int64 bit masks."""
    out = np.zeros((N_FAILURES, LANES), np.int64)
    for j, machine in enumerate(machines):
        repairs = resolved.kinds[machine.kind].service.repairs
        for n, event in enumerate(FAILURE_EVENTS):
            out[n, j] = components(list(repairs.get(event, [])))  # type: ignore[call-overload]
    return out
