"""The plan of a run: blocks of machines, periods of time, and everything about them that is known before simulating."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from nexova_sim.config.types import ResolvedFleet
from nexova_sim.kernels.load import DutyParams
from nexova_sim.kernels.rows import LANES, Block, Clock
from nexova_sim.simulate.calendar import is_holiday, local_time, on_shift, zone
from nexova_sim.simulate.faults import Fault, fault_arrays, plan_faults
from nexova_sim.simulate.machines import Machine, duty_params, machine_params, make_machines, pad, streams
from nexova_sim.simulate.maintenance import action_arrays, failure_restore, plan_actions
from nexova_sim.simulate.weather import FactoryWeather, ambient, demand, factory_weather, year_hour

_MONTH_ROWS = 3_000_000  # most rows of one block in a period before the partition goes from months to days


class Period(NamedTuple):
    """A stretch of slots that becomes one file per block; ``label`` is its hive partition, e.g. month=2026-01."""

    number: int
    label: str
    first_slot: int
    n_slots: int


class FleetPlan(NamedTuple):
    """A fleet ready to simulate."""

    resolved: ResolvedFleet
    machines: list[Machine]
    faults: list[Fault]
    actions: list[list[tuple[int, int, int, int, int]]]
    weather: list[FactoryWeather]
    periods: list[Period]
    blocks: list[tuple[int, int]]  # first machine, number of machines
    clock: Clock
    start_s: int


class BlockPlan(NamedTuple):
    """A block ready to simulate."""

    number: int
    machines: list[Machine]
    block: Block
    duty: DutyParams
    profiles: list[tuple[int, str]]  # (factory, kind) of each profile row
    factories: np.ndarray  # (LANES,) int64
    faults: list[Fault]  # physical, in the order of the kernel's arrays
    sensor_faults: list[Fault]


def _month_start(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0)


def plan_periods(resolved: ResolvedFleet) -> list[Period]:
    """Split the span at month or day boundaries (UTC) by ``output.partition``; depends on the configuration only."""
    fleet = resolved.fleet
    kind = fleet.output.partition
    if kind == "auto":
        kind = "day" if 31 * 86_400 / fleet.dt_s * LANES > _MONTH_ROWS else "month"
    start_s = int(fleet.start.timestamp())
    end_s = start_s + fleet.n_slots * fleet.slot_s
    periods: list[Period] = []
    at = start_s
    while at < end_s:
        moment = datetime.fromtimestamp(at, UTC)
        day = moment.replace(hour=0, minute=0, second=0)
        if kind == "day":
            following = day + timedelta(days=1)
            label = f"date={day:%Y-%m-%d}"
        else:
            following = _month_start(_month_start(day) + timedelta(days=32))
            label = f"month={day:%Y-%m}"
        end = min(int(following.timestamp()), end_s)
        periods.append(Period(len(periods), label, (at - start_s) // fleet.slot_s, (end - at) // fleet.slot_s))
        at = end
    return periods


def plan_blocks(n_machines: int) -> list[tuple[int, int]]:
    """Consecutive blocks of at most LANES machines, as equal as possible."""
    n_blocks = -(-n_machines // LANES)
    sizes = [n_machines // n_blocks + (1 if b < n_machines % n_blocks else 0) for b in range(n_blocks)]
    firsts = np.cumsum([0, *sizes[:-1]])
    return [(int(f), s) for f, s in zip(firsts, sizes, strict=True)]


def plan_fleet(resolved: ResolvedFleet) -> FleetPlan:
    """Plan a run: machines, faults, services, weather, periods and blocks. Does no simulation."""
    fleet = resolved.fleet
    slot_h = fleet.slot_s / 3600.0
    machines = make_machines(resolved)
    periods = plan_periods(resolved)
    bounds = [p.first_slot for p in periods] + [fleet.n_slots]
    weather = []
    for factory in fleet.factories:
        zone(factory.timezone, f"factory {factory.id!r}: timezone")
        weather.append(factory_weather(factory, streams(fleet.seed, f"factory/{factory.id}"), slot_h, bounds))
    return FleetPlan(
        resolved,
        machines,
        plan_faults(resolved, machines),
        plan_actions(resolved, machines),
        weather,
        periods,
        plan_blocks(len(machines)),
        Clock(slot_h, fleet.slot_s // fleet.dt_s, fleet.truth_interval_s // fleet.slot_s),
        int(fleet.start.timestamp()),
    )


def plan_block(plan: FleetPlan, number: int) -> BlockPlan:
    """Kernel arrays and faults of block ``number``."""
    first, size = plan.blocks[number]
    machines = plan.machines[first : first + size]
    faults = [f for f in plan.faults if first <= f.machine < first + size]
    physical = [f for f in faults if not f.is_sensor]
    profiles = list(dict.fromkeys((m.factory, m.kind) for m in machines))
    params = machine_params(machines, plan.resolved)
    keys = np.ascontiguousarray(np.array([m.keys for m in machines] + [machines[-1].keys] * (LANES - size)).T)
    block = Block(
        np.stack(params),
        fault_arrays(physical, first, plan.resolved),
        action_arrays(plan.actions[first : first + size]),
        failure_restore(machines, plan.resolved),
        keys,
        size,
    )
    duty = duty_params(machines, plan.resolved, [profiles.index((m.factory, m.kind)) for m in machines])
    factories = pad([m.factory for m in machines], np.int64)
    sensor = [f for f in faults if f.is_sensor]
    return BlockPlan(number, machines, block, duty, profiles, factories, physical, sensor)


def ambient_of(plan: FleetPlan, factory: int, period: Period) -> np.ndarray:
    """Ambient temperature of a factory in a period, (n_slots,) float64 degC."""
    fleet = plan.resolved.fleet
    site = fleet.factories[factory]
    given = plan.resolved.weather.get(site.id)
    if given is not None:
        hours = (period.first_slot + np.arange(period.n_slots)) * fleet.slot_s // 3600
        values: np.ndarray = np.array(given)[np.minimum(hours, len(given) - 1)]
        return values
    start_h = year_hour(plan.start_s, site.longitude_deg)
    return ambient(plan.weather[factory], period.number, period.first_slot, start_h, plan.clock.slot_h, period.n_slots)


def profile_of(plan: FleetPlan, factory: int, kind_name: str, period: Period) -> np.ndarray:
    """Planned load fraction of a kind in a factory, (n_slots,) float64; 0 = off by plan."""
    fleet = plan.resolved.fleet
    site = fleet.factories[factory]
    kind = plan.resolved.kinds[kind_name]
    slot_s = fleet.slot_s
    local = local_time(site.timezone, plan.start_s + period.first_slot * slot_s, slot_s, period.n_slots)
    resting = (local.weekday >= 5) | is_holiday(site, local)
    load: np.ndarray = np.full(period.n_slots, kind.nominal_load_frac)
    if kind.duty.hour_frac is not None:
        load *= np.array(kind.duty.hour_frac)[local.second // 3600]
    load *= np.where(resting, kind.duty.weekend_frac, 1.0)
    if kind.duty.follows == "shifts":
        load *= on_shift(site, list(kind.duty.shifts), local)
        return load
    start_h = year_hour(plan.start_s, site.longitude_deg)
    factor = demand(plan.weather[factory], period.number, period.first_slot, start_h, plan.clock.slot_h, period.n_slots)
    load *= factor
    return load
