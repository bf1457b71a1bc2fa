"""The check of an estimated saving: the same fleet is simulated again with the measure applied to that machine.

Random numbers depend on the machine's name only, so the two futures differ by the measure and nothing else. The true
saving is what the energy bill and the failures of the span come to, scaled to a year.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.analyse.opportunities import HOURS_PER_YEAR, KINDS
from nexova_sim.base.errors import ConfigError, DataError, NexovaError
from nexova_sim.config.kinds import KindConfig
from nexova_sim.config.load import build, read_yaml
from nexova_sim.config.opportunity import OpportunityConfig
from nexova_sim.config.types import Factory, ResolvedFleet
from nexova_sim.dataset.read import Dataset
from nexova_sim.kernels.rows import EV_FAILURE, T_ENERGY
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.calendar import local_time
from nexova_sim.simulate.machines import Machine
from nexova_sim.simulate.plan import FleetPlan, plan_block, plan_fleet

OVERSIZING, THERMAL_STRESS, PEAK_SHIFTING = KINDS


class Measure(NamedTuple):
    """A measure on one machine; ``hours`` are the local hours to shift load from."""

    machine_id: str
    type: str
    hours: tuple[int, ...]


class Outcome(NamedTuple):
    """What a machine did over the span: its energy bill, and failures with their repair and lost production."""

    energy_usd: float
    failure_usd: float


def load_resolved(dataset: Dataset) -> ResolvedFleet:
    """The configuration a simulated dataset was made from; ConfigError for any other dataset."""
    path = dataset.folder / "config.resolved.yaml"
    if dataset.manifest.source != "simulate" or not path.is_file():
        raise ConfigError(
            f"--verify: {dataset.folder} was not written by 'nexova simulate', so nothing can be simulated again; "
            "leave --verify out"
        )
    try:
        return build(ResolvedFleet, read_yaml(path), str(path))
    except NexovaError as error:
        raise DataError(f"{path}: damaged ({error.message}); write the dataset again") from error


def measured_kind(kind: KindConfig, measure: Measure, site: Factory, config: OpportunityConfig) -> KindConfig:
    """The kind of a machine after the measure (a better-cooled machine keeps its kind: its build changes)."""
    if measure.type == OVERSIZING:
        return _smaller(kind, 1.0 - config.oversizing.downsize_frac)
    if measure.type == PEAK_SHIFTING:
        return _shifted(kind, measure.hours, site, config.peak_shifting.shift_frac)
    return kind


def _smaller(kind: KindConfig, size: float) -> KindConfig:
    """The kind with its rating times ``size`` doing the same work: every load fraction grows by 1/size."""
    duty = kind.duty
    cycle = duty.cycle and duty.cycle.model_copy(
        update={"loaded_frac": duty.cycle.loaded_frac / size, "unloaded_frac": duty.cycle.unloaded_frac / size}
    )
    idle = duty.idle and duty.idle.model_copy(update={"load_frac": duty.idle.load_frac / size})
    return kind.model_copy(update={
        "rated_kw": kind.rated_kw * size,
        "nominal_load_frac": kind.nominal_load_frac / size,
        "duty": duty.model_copy(update={"cycle": cycle, "idle": idle}),
    })  # fmt: skip


def _shifted(kind: KindConfig, peaks: tuple[int, ...], site: Factory, share: float) -> KindConfig:
    """The kind with ``share`` of its load in the hours ``peaks`` moved to off-peak hours; its daily work stays."""
    profile = np.array(kind.duty.hour_frac or [1.0] * 24)
    running = np.ones(24, bool) if kind.duty.follows == "demand" else _hours_on(site, kind.duty.shifts)
    others = [h for h in range(24) if running[h] and h not in peaks]
    targets = [h for h in others if h in site.tariff.off_peak_hours] or others
    if targets:
        taken = profile[list(peaks)] * share
        profile[list(peaks)] -= taken
        profile[targets] += taken.sum() / len(targets)
    return kind.model_copy(update={"duty": kind.duty.model_copy(update={"hour_frac": profile.tolist()})})


def _hours_on(site: Factory, names: list[str]) -> np.ndarray:
    """Mask (24,) of the hours in which one of the shifts ``names`` runs on some day."""
    mask = np.zeros(24, bool)
    for shift in site.calendar.shifts:
        if shift.name in names:
            begin, end = int(shift.start[:2]), int(shift.end[:2])
            mask[[h % 24 for h in range(begin, end if end > begin else end + 24)]] = True
    return mask


def _apply(plan: FleetPlan, measures: dict[str, Measure], config: OpportunityConfig) -> FleetPlan:
    """The plan of the same fleet with the measures taken; names, and with them all random numbers, stay."""
    kinds = dict(plan.resolved.kinds)
    machines: list[Machine] = []
    for machine in plan.machines:
        measure = measures.get(machine.id)
        if measure is None:
            machines.append(machine)
            continue
        site = plan.resolved.fleet.factories[machine.factory]
        name = f"{machine.kind}/{machine.id}"
        kinds[name] = measured_kind(plan.resolved.kinds[machine.kind], measure, site, config)
        cut = config.thermal_stress.rise_cut_frac if measure.type == THERMAL_STRESS else 0.0
        rise_k = machine.build["rise_k"] * (1.0 - cut)
        machines.append(machine._replace(kind=name, build={**machine.build, "rise_k": rise_k}))
    return plan._replace(resolved=plan.resolved.model_copy(update={"kinds": kinds}), machines=machines)


def prices(site: Factory, plan: FleetPlan, n_samples: int, config: OpportunityConfig) -> np.ndarray:
    """Price of the hour that ends at each truth sample of a factory, (n_samples,) USD/kWh."""
    every_s = plan.resolved.fleet.truth_interval_s
    local = local_time(site.timezone, plan.start_s - every_s, every_s, n_samples)
    hour = local.second // 3600
    price: np.ndarray = np.full(n_samples, config.price_usd_per_kwh)
    price[np.isin(hour, site.tariff.peak_hours)] *= config.peak_factor
    price[np.isin(hour, site.tariff.off_peak_hours)] *= config.off_peak_factor
    return price


def _outcomes(plan: FleetPlan, blocks: list[int], config: OpportunityConfig) -> dict[str, Outcome]:
    """What every machine of ``blocks`` costs over the span."""
    found = {}
    for number in blocks:
        block = plan_block(plan, number)
        energy, failures = [], np.zeros(len(block.machines), np.int64)
        for chunk in run_block_periods(plan, block, frozenset()):
            energy.append(chunk.truth[:, :, T_ENERGY])
            lanes = _failed_lanes(chunk.event_code)
            failures += np.bincount(lanes, minlength=len(block.machines))[: len(block.machines)]
        kwh = np.concatenate(energy, axis=1)
        for j, machine in enumerate(block.machines):
            site = plan.resolved.fleet.factories[machine.factory]
            costs = plan.resolved.kinds[machine.kind].costs
            bill = float(kwh[j] @ prices(site, plan, kwh.shape[1], config))
            each = costs.failure_usd + costs.failure_h * costs.lost_production_usd_per_h
            found[machine.id] = Outcome(bill, float(failures[j]) * each)
    return found


def _failed_lanes(events: np.ndarray) -> np.ndarray:
    lanes: np.ndarray = events[events[:, 1] == EV_FAILURE, 0]
    return lanes


def true_savings(resolved: ResolvedFleet, measures: list[Measure],
                 config: OpportunityConfig) -> dict[tuple[str, str], dict[str, Any]]:  # fmt: skip
    """True saving of every measure in USD a year, by (machine, type): energy bill, failures, and their sum."""
    plan = plan_fleet(resolved)
    place = {m.id: n for n, m in enumerate(plan.machines)}
    scale = HOURS_PER_YEAR / (resolved.fleet.n_slots * plan.clock.slot_h)
    found = {}
    before: dict[str, Outcome] = {}
    for kind in KINDS:
        chosen = {m.machine_id: m for m in measures if m.type == kind}
        blocks = sorted({b for b, (first, size) in enumerate(plan.blocks) for name in chosen
                         if first <= place[name] < first + size})  # fmt: skip
        before |= _outcomes(plan, [b for b in blocks if plan.machines[plan.blocks[b][0]].id not in before], config)
        after = _outcomes(_apply(plan, chosen, config), blocks, config)
        for name in chosen:
            energy = scale * (before[name].energy_usd - after[name].energy_usd)
            failures = scale * (before[name].failure_usd - after[name].failure_usd)
            found[name, kind] = {
                "true_energy_usd_per_year": energy,
                "true_failure_usd_per_year": failures,
                "true_saving_usd_per_year": energy + failures,
            }
    return found
