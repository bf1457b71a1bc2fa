"""From a simulated dataset to the situations of its alerts: the true ones for the judge, name plates for policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError, DataError, NexovaError
from nexova_sim.config.decision import DecisionConfig
from nexova_sim.config.load import build, read_yaml
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.dataset.read import Dataset, time_ms
from nexova_sim.decide.context import Episode, Terms
from nexova_sim.decide.counterfactual import Offer, Truth
from nexova_sim.decide.estimate import Plate
from nexova_sim.kernels.futures import (
    D_DOWN_H,
    D_FAILURE,
    D_LOST,
    D_PRICE,
    G_COOLING,
    G_FATIGUE,
    G_LOAD,
    G_VIBRATION,
    G_WEAR,
    N_D,
    N_G,
    N_X,
    X_AGE,
    X_ELECTRICAL,
    X_FATIGUE,
    X_RUNTIME,
    X_TEMP,
    X_WEAR,
    Situations,
)
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.rows import (
    E_COOLING,
    E_FATIGUE_PER_H,
    E_LOAD,
    E_SPIKE,
    E_VIBRATION,
    E_WEAR_PER_H,
    M_RESPONSE_H,
    MachineParams,
)
from nexova_sim.simulate.faults import Fault, components, fault_arrays
from nexova_sim.simulate.life import climate_years, week_loads
from nexova_sim.simulate.machines import Machine, name_key
from nexova_sim.simulate.plan import FleetPlan, plan_block, plan_fleet

_HOUR_MS = 3_600_000
_WEEK_H, _YEAR_H = 168, 8766
_SPIKE_MEAN = 0.15  # share of the time in which an intermittent surge shows
_STATE = {"temp_c": X_TEMP, "wear_frac": X_WEAR, "fatigue_frac": X_FATIGUE, "electrical_frac": X_ELECTRICAL,
          "runtime_true_h": X_RUNTIME}  # fmt: skip


class Site(NamedTuple):
    """A machine of the laboratory: built ``params`` and nominal ``plate`` (N_PARAMS,), week (168,) and year (8766,)."""

    machine: Machine
    params: np.ndarray
    plate: np.ndarray
    week: np.ndarray
    climate_c: np.ndarray
    faults: tuple[tuple[Fault, np.ndarray, int], ...]


class Laboratory(NamedTuple):
    """A simulated dataset with everything that it was made from."""

    dataset: Dataset
    plan: FleetPlan
    sites: dict[str, Site]


def resolved_of(dataset: Dataset) -> ResolvedFleet:
    """The configuration a simulated dataset was made from; ConfigError for any other dataset."""
    path = dataset.folder / "config.resolved.yaml"
    if dataset.manifest.source != "simulate" or not path.is_file():
        raise ConfigError(
            f"{dataset.folder} was not written by 'nexova simulate': nobody knows what its machines would have done "
            "under other actions; use a simulated dataset, or --no-judge to only collect decisions"
        )
    try:
        return build(ResolvedFleet, read_yaml(path), str(path))
    except NexovaError as error:
        raise DataError(f"{path}: damaged ({error.message}); write the dataset again") from error


def open_laboratory(dataset: Dataset) -> Laboratory:
    """The twin of a simulated dataset; ConfigError for any other."""
    plan = plan_fleet(resolved_of(dataset))
    sites = {}
    for number in range(len(plan.blocks)):
        block = plan_block(plan, number)
        weeks, years = week_loads(plan, block), climate_years(plan, block)
        first = plan.blocks[number][0]
        own = block.faults
        arrays = fault_arrays(own, first, plan.resolved)
        for j, machine in enumerate(block.machines):
            named = nominal_parameters(plan.resolved.kinds[machine.kind], plan.resolved.fleet.physics)
            faults = [(f, arrays.effect[i], int(arrays.component[i])) for i, f in enumerate(own)
                      if f.machine == first + j]  # fmt: skip
            sites[machine.id] = Site(machine, block.block.params[:, j].copy(),
                                     np.array([named[name] for name in MachineParams._fields]), weeks[j], years[j],
                                     tuple(faults))  # fmt: skip
    return Laboratory(dataset, plan, sites)


def _hours(lab: Laboratory, ms: int) -> float:
    return (ms / 1000.0 - lab.plan.start_s) / 3600.0


def _ahead(lab: Laboratory, site: Site, ms: int, horizon_h: int) -> tuple[np.ndarray, np.ndarray]:
    """Planned load and mean ambient of the hours from ``ms`` on; the plan reaches a repair beyond the horizon."""
    monday_h = (ms // 1000 + 3 * 86_400) % (7 * 86_400) // 3600
    reach = horizon_h + 24 * 14
    plan = site.week[(monday_h + np.arange(reach)) % _WEEK_H]
    ambient = site.climate_c[(int(_hours(lab, ms)) + np.arange(horizon_h)) % _YEAR_H]
    return plan, ambient


def _money(lab: Laboratory, site: Site, config: DecisionConfig) -> np.ndarray:
    costs = lab.plan.resolved.kinds[site.machine.kind].costs
    out = np.zeros(N_D)
    out[D_PRICE], out[D_LOST] = config.money.price_usd_per_kwh, costs.lost_production_usd_per_h
    out[D_FAILURE] = costs.failure_usd * (1.0 + config.money.secondary_frac)
    out[D_DOWN_H] = np.ceil(min(site.plate[M_RESPONSE_H], 48.0) + costs.failure_h)
    return out


def _variation(lab: Laboratory, site: Site) -> np.ndarray:
    duty = lab.plan.resolved.kinds[site.machine.kind].duty
    return np.array([duty.variation_frac, exp64(-1.0 / duty.variation_hours)])


def chance_key(episode: Episode) -> np.uint64:
    """The name under which the futures of an episode draw: machine and moment, whatever the dataset or policy."""
    return name_key(f"{episode.machine_id}@{episode.raised_ms}")


def plates(lab: Laboratory, episodes: Sequence[Episode], config: DecisionConfig) -> list[Plate]:
    """Name plate, plan and climate of every episode's machine: nothing that only the laboratory knows."""
    found = []
    for episode in episodes:
        site = lab.sites[episode.machine_id]
        plan, ambient = _ahead(lab, site, episode.raised_ms, config.twin.horizon_h)
        runtime = site.machine.runtime_start_h + _hours(lab, episode.raised_ms) * float((site.week > 0).mean())
        found.append(Plate(site.plate, plan, ambient, _money(lab, site, config), _variation(lab, site),
                           chance_key(episode), runtime))  # fmt: skip
    return found


def offer_of(lab: Laboratory, episodes: Sequence[Episode], config: DecisionConfig,
             latency_h: tuple[int, int, int] = (0, 0, 0)) -> Offer:  # fmt: skip
    """What the actions are for the machine of every episode."""
    costs = [lab.plan.resolved.kinds[lab.sites[e.machine_id].machine.kind].costs for e in episodes]
    a = config.actions
    return Offer(np.array([c.planned_h for c in costs]), np.array([c.planned_usd for c in costs]), a.crew_h, a.look_h,
                 a.call_out_factor, components(list(a.restores)), latency_h)  # fmt: skip


def terms_of(config: DecisionConfig) -> Terms:
    """What the policies are told about the actions."""
    a, m = config.actions, config.money
    return Terms(config.twin.horizon_h, a.crew_h, a.look_h, a.call_out_factor, m.secondary_frac, m.price_usd_per_kwh)


def truths(lab: Laboratory, episodes: Sequence[Episode], config: DecisionConfig) -> Truth:
    """The true situation of every episode: state from the truth table, build, faults under way with their planned end.

    The state is the newest true sample before the alert. Faults that begin later are nobody's business here.
    """
    n, h = len(episodes), config.twin.horizon_h
    state, restores = _states(lab, episodes), components(list(config.actions.restores))
    effect = np.zeros((n, h, N_G))
    effect[:, :, [G_COOLING, G_LOAD]] = 1.0
    after = effect.copy()
    cleared = _cleared(lab)
    rows = []
    for i, episode in enumerate(episodes):
        site = lab.sites[episode.machine_id]
        at_h = _hours(lab, episode.raised_ms)
        for fault, size, component in site.faults:
            end_h = cleared.get((episode.machine_id, fault.fault, round(fault.onset_h)), np.inf)
            if fault.onset_h <= at_h < min(end_h, fault.onset_h + fault.hours):
                last = min(h, int(np.ceil(fault.onset_h + fault.hours - at_h)))
                _add(effect[i, :last], size)
                if not component & restores:
                    _add(after[i, :last], size)
        rows.append((*_ahead(lab, site, episode.raised_ms, h), _money(lab, site, config), _variation(lab, site)))
    plan, ambient, money, variation = (np.array([row[k] for row in rows]) for k in range(4))
    params = np.array([lab.sites[e.machine_id].params for e in episodes]).T.copy()
    keys = np.array([chance_key(e) for e in episodes], np.uint64)
    return Truth(Situations(params, state, plan, ambient, effect, after, money, variation, keys))


def _add(hours: np.ndarray, size: np.ndarray) -> None:
    hours[:, G_COOLING] *= size[E_COOLING]
    hours[:, G_LOAD] *= size[E_LOAD] * (1.0 + _SPIKE_MEAN * size[E_SPIKE])
    hours[:, G_WEAR] += size[E_WEAR_PER_H]
    hours[:, G_FATIGUE] += size[E_FATIGUE_PER_H]
    hours[:, G_VIBRATION] += size[E_VIBRATION]


def _cleared(lab: Laboratory) -> dict[tuple[str, str, int], float]:
    """Hour at which a repair ended a fault, by machine, fault and onset hour."""
    found = {}
    for row in lab.dataset.read("labels", columns=("machine_id", "fault", "onset", "end", "ended_by")).to_pylist():
        if row["ended_by"] == "maintenance":
            onset_h, end_h = (_hours(lab, round(row[k].timestamp() * 1000)) for k in ("onset", "end"))
            found[str(row["machine_id"]), row["fault"], round(onset_h)] = end_h
    return found


def _states(lab: Laboratory, episodes: Sequence[Episode]) -> np.ndarray:
    """True state of every episode's machine, (n, N_X)."""
    out = np.zeros((len(episodes), N_X))
    wanted: dict[str, list[int]] = {}
    for i, episode in enumerate(episodes):
        wanted.setdefault(episode.machine_id, []).append(i)
    if not wanted:
        return out
    table = lab.dataset.read("truth", machines=list(wanted), columns=("machine_id", "timestamp", *_STATE))
    ids = np.array(table["machine_id"].to_pylist(), object)
    times = time_ms(table["timestamp"].combine_chunks())
    values = np.array([table[name].to_numpy() for name in _STATE])
    renewals = _renewals(lab)
    for machine, numbers in wanted.items():
        own = ids == machine
        at, mine = times[own], values[:, own]
        for i in numbers:
            raised = episodes[i].raised_ms
            place = int(np.searchsorted(at, raised, side="right")) - 1
            if place < 0:
                raise DataError(f"{lab.dataset.folder}: the truth of {machine} begins after its first alert")
            out[i, list(_STATE.values())] = mine[:, place]
            since = [t for t in renewals.get(machine, ()) if t <= raised]
            base = 0.0 if not since else float(mine[-1, max(0, int(np.searchsorted(at, since[-1], side="right")) - 1)])
            out[i, X_AGE] = max(0.0, out[i, X_RUNTIME] - base)
    return out


def _renewals(lab: Laboratory) -> dict[str, list[int]]:
    """When the part that fails at random was renewed, by machine, ms."""
    found: dict[str, list[int]] = {}
    for row in lab.dataset.read("events", columns=("machine_id", "timestamp", "event", "restored")).to_pylist():
        if row["event"] == "maintenance_end" and "random" in (row["restored"] or "").split("+"):
            found.setdefault(str(row["machine_id"]), []).append(round(row["timestamp"].timestamp() * 1000))
    return {machine: sorted(times) for machine, times in found.items()}
