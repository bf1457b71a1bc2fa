"""The oracle floor of a backtest on simulated data: the generator's own mean of every hour.

The same machines, with the build they have, live the span again under other random numbers and without faults; their
mean energy in an hour is what a forecaster that knew the generator, but not its dice, would say.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.base.errors import NexovaError
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.dataset.read import Dataset
from nexova_sim.forecast.hours import HOUR_MS, Series
from nexova_sim.kernels.rows import T_ENERGY
from nexova_sim.run.opportunities_verify import load_resolved
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.plan import FleetPlan, plan_block, plan_fleet

_SEED_STEP = 1_000_003
_HOUR_S = 3600


def floor_energy(dataset: Dataset, series: Series, n_replicas: int) -> np.ndarray | None:
    """Mean energy (n, t) of every hour of ``series`` over ``n_replicas`` lives, kWh; None when it cannot be had.

    It cannot for data that were not simulated here, nor when the truth is sampled less than once an hour. A factory's
    is the sum of its machines'.
    """
    if n_replicas == 0 or dataset.manifest.source != "simulate":
        return None
    try:
        resolved = load_resolved(dataset)
    except NexovaError:
        return None
    every_s = resolved.fleet.truth_interval_s
    if every_s > _HOUR_S or _HOUR_S % every_s:
        return None
    plan = plan_fleet(resolved)
    total = sum((_hours(_replica(plan, resolved, k + 1)) for k in range(n_replicas)), np.zeros(1)) / n_replicas
    shift = round((series.start_ms - plan.start_s * 1000) / HOUR_MS)
    row = {machine.id: i for i, machine in enumerate(plan.machines)}
    members: dict[str, list[int]] = {}
    for i, machine in enumerate(plan.machines):
        members.setdefault(resolved.fleet.factories[machine.factory].id, []).append(i)
    out = np.full(series.energy_kwh.shape, np.nan)
    n = min(series.n_hours, total.shape[1] - shift)
    for i, (name, level) in enumerate(zip(series.ids, series.levels, strict=True)):
        rows = members.get(name, []) if level == "factory" else [row[name]] if name in row else []
        if rows and shift >= 0 and n > 0:
            out[i, :n] = total[rows, shift : shift + n].sum(axis=0)
    return out


def _replica(plan: FleetPlan, resolved: ResolvedFleet, number: int) -> FleetPlan:
    """The same machines and services under other random numbers, without faults."""
    fleet = resolved.fleet.model_copy(update={"seed": (resolved.fleet.seed + number * _SEED_STEP) % 2**31})
    other = plan_fleet(resolved.model_copy(update={"fleet": fleet}))
    machines = [there._replace(build=here.build, runtime_start_h=here.runtime_start_h)
                for here, there in zip(plan.machines, other.machines, strict=True)]  # fmt: skip
    return other._replace(machines=machines, faults=[], actions=plan.actions)


def _hours(plan: FleetPlan) -> np.ndarray:
    """Energy (m, hours) of every machine; truth sample k stands for the interval that ends at it."""
    per_hour = _HOUR_S // plan.resolved.fleet.truth_interval_s
    parts = []
    for number in range(len(plan.blocks)):
        block = plan_block(plan, number)
        chunks = [chunk.truth[:, :, T_ENERGY] for chunk in run_block_periods(plan, block, frozenset())]
        kwh = np.concatenate(chunks, axis=1)[:, 1:]
        n = kwh.shape[1] // per_hour
        parts.append(kwh[:, : n * per_hour].reshape(len(kwh), n, per_hour).sum(axis=2))
    return np.concatenate(parts)
