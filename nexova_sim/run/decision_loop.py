"""The closed loop: the fleet simulated again and again under a policy's own actions, until nothing new is decided.

Random numbers are a function of machine and step, so two policies meet the same weather, load, faults and noise, and
their costs differ by what they did. A wave simulates the fleet with all actions taken so far, raises the alerts anew
and lets every machine take its next action; what lies before that action never changes again.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.config.decision import DecisionConfig, ResolvedDecision
from nexova_sim.config.types import Intervention, ResolvedFleet
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.decide.context import Context, build_contexts
from nexova_sim.decide.decision import ACTIONS
from nexova_sim.decide.gate import pass_gate
from nexova_sim.decide.policy import Verdict
from nexova_sim.run.decision_episodes import find_episodes, stops
from nexova_sim.run.decision_judge import find
from nexova_sim.run.decision_twin import Laboratory, open_laboratory, resolved_of, terms_of
from nexova_sim.run.simulate import simulate

DecideAll = Callable[[Laboratory, list[Context]], list[Verdict]]
_HOUR_MS = 3_600_000


class Ledger(NamedTuple):
    """What a fleet cost over the span of its dataset under one policy."""

    policy: str
    energy_usd: float
    service_usd: float
    failure_usd: float
    lost_production_usd: float
    n_services: int
    n_call_outs: int
    n_failures: int
    n_decisions: int
    n_rejected: int
    n_waves: int
    is_settled: bool

    @property
    def total_usd(self) -> float:
        """The whole bill."""
        return self.energy_usd + self.service_usd + self.failure_usd + self.lost_production_usd


@dataclass(frozen=True)
class Progress:
    """What has been decided so far: actions, and by machine the moment up to which everything is settled."""

    interventions: list[Intervention] = field(default_factory=list)
    settled_ms: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


def run_loop(dataset: Dataset, resolved: ResolvedDecision, policy: str, decide: DecideAll,
             most_waves: int) -> Ledger:  # fmt: skip
    """The ledger of a fleet under a policy; ``is_settled`` False when ``most_waves`` did not suffice."""
    fleet = resolved_of(dataset)
    state, current, wave, is_settled = Progress(), dataset, 0, False
    with tempfile.TemporaryDirectory(prefix="nexova-loop-") as place:
        while wave < most_waves:
            wave += 1
            lab = open_laboratory(current)
            if not _advance(lab, resolved, decide, state):
                is_settled = True
                break
            folder = Path(place) / f"wave{wave % 2}"
            current = open_dataset(simulate(_with(fleet, state.interventions), folder, overwrite=True).folder)
        return account(open_laboratory(current), resolved.decision, policy, state, (wave, is_settled))


def _with(fleet: ResolvedFleet, actions: list[Intervention]) -> ResolvedFleet:
    given = fleet.fleet.maintenance
    maintenance = given.model_copy(update={"interventions": [*given.interventions, *actions]})
    return fleet.model_copy(update={"fleet": fleet.fleet.model_copy(update={"maintenance": maintenance})})


def _advance(lab: Laboratory, resolved: ResolvedDecision, decide: DecideAll, state: Progress) -> bool:
    """Let every machine decide up to and with its next action; whether any acted."""
    config = resolved.decision
    wanted = config.episodes.model_copy(update={"most": 100_000})
    episodes = [e for e in find_episodes(lab.dataset, resolved.alerts, wanted)
                if e.raised_ms >= state.settled_ms.get(e.machine_id, -1)]  # fmt: skip
    contexts = build_contexts(lab.dataset, episodes, terms_of(config))
    verdicts = decide(lab, contexts)
    skilled = config.gate.skill_frac > 0.0 and len(config.gate.autonomous) < 2
    found = find(lab, episodes, config) if skilled and episodes else None
    acted: set[str] = set()
    for n, (context, verdict) in enumerate(zip(contexts, verdicts, strict=True)):
        machine, action = context.episode.machine_id, verdict.decision.action_taken
        if machine in acted:
            continue
        state.counts["decisions"] += 1
        saving = None if found is None else float(found.cost[n, 0] - found.gated[n, ACTIONS.index(action)])
        passage = pass_gate(config.gate, action, context.key, config.seed, saving)
        state.counts["rejected"] += passage.outcome == "rejected"
        state.settled_ms[machine] = context.episode.raised_ms + 1
        if passage.action != ACTIONS[0]:
            at_ms = context.episode.raised_ms + round(passage.latency_h * _HOUR_MS)
            _act(lab, config, machine, passage.action, (at_ms, state))
            acted.add(machine)
    return bool(acted)


def _act(lab: Laboratory, config: DecisionConfig, machine: str, action: str, at: tuple[int, Progress]) -> None:
    """Write an action into the plan of the next wave; one beyond the end of the data is only waited for."""
    at_ms, state = at
    costs, a = lab.plan.resolved.kinds[lab.sites[machine].machine.kind].costs, config.actions
    at_h = (at_ms / 1000.0 - lab.plan.start_s) / 3600.0
    begin_h = at_h + (a.crew_h if action == "MAINTENANCE" else a.look_h)
    span_h = lab.plan.resolved.fleet.n_slots * lab.plan.resolved.fleet.slot_s / 3600.0
    hours = float(np.ceil(max(1.0, costs.planned_h)))
    if action == "OFFLINE" and at_h < span_h and a.look_h > 0:
        state.interventions.append(Intervention(machine=machine, action="OFFLINE", at_h=at_h, hours=float(a.look_h)))
    if begin_h < span_h:
        state.interventions.append(
            Intervention(machine=machine, action="MAINTENANCE", at_h=begin_h, hours=hours, restores=list(a.restores))
        )
        state.counts["call_outs"] += action == "OFFLINE"
    state.settled_ms[machine] = lab.plan.start_s * 1000 + round((begin_h + hours) * _HOUR_MS)


def account(lab: Laboratory, config: DecisionConfig, policy: str, state: Progress,
            done: tuple[int, bool]) -> Ledger:  # fmt: skip
    """The bill of a simulated fleet: energy, services, failures, production lost in every stop that was not planned."""
    dataset = lab.dataset
    energy = dataset.read("truth", columns=("energy_kwh",))["energy_kwh"].to_numpy()
    end_ms = lab.plan.start_s * 1000 + lab.plan.resolved.fleet.n_slots * lab.plan.resolved.fleet.slot_s * 1000
    service = failure = 0.0
    n_services = n_failures = 0
    for row in dataset.read("events", columns=("machine_id", "event", "reason")).to_pylist():
        costs = lab.plan.resolved.kinds[lab.sites[str(row["machine_id"])].machine.kind].costs
        if row["event"] == "failure":
            failure, n_failures = failure + costs.failure_usd * (1.0 + config.money.secondary_frac), n_failures + 1
        elif row["event"] == "maintenance_start" and row["reason"] in ("service", "decision"):
            service, n_services = service + costs.planned_usd, n_services + 1
    service += _call_outs(lab, config, state)
    return Ledger(
        policy, float(np.nansum(energy)) * config.money.price_usd_per_kwh, service, failure,
        _lost(lab, stopped(lab, state, end_ms)), n_services, state.counts["call_outs"], n_failures,
        state.counts["decisions"], state.counts["rejected"], *done,
    )  # fmt: skip


def _call_outs(lab: Laboratory, config: DecisionConfig, state: Progress) -> float:
    """What services after OFFLINE cost beyond a planned one."""
    extra = 0.0
    for before, after in zip(state.interventions, state.interventions[1:], strict=False):
        if before.action == "OFFLINE" and after.action == "MAINTENANCE" and before.machine == after.machine:
            costs = lab.plan.resolved.kinds[lab.sites[before.machine].machine.kind].costs
            extra += (config.actions.call_out_factor - 1.0) * costs.planned_usd
    return extra


def stopped(lab: Laboratory, state: Progress, end_ms: int) -> Mapping[str, list[tuple[int, int]]]:
    """Every stop by failure, service or decision, by machine: (from, until) in ms, cut at the end of the data."""
    found = {machine: list(parts) for machine, parts in stops(lab.dataset, end_ms).items()}
    start_ms = lab.plan.start_s * 1000
    for item in state.interventions:
        if item.action == "OFFLINE":
            begin = start_ms + round(item.at_h * _HOUR_MS)
            found.setdefault(item.machine, []).append((begin, min(end_ms, begin + round(item.hours * _HOUR_MS))))
    return found


def _lost(lab: Laboratory, found: Mapping[str, list[tuple[int, int]]]) -> float:
    """Production lost: the hours of the stops in which the plan wanted the machine."""
    total = 0.0
    for machine, parts in found.items():
        site = lab.sites[machine]
        costs = lab.plan.resolved.kinds[site.machine.kind].costs
        hours: set[int] = set()
        for begin, end in parts:
            hours |= set(range(begin // _HOUR_MS, -(-end // _HOUR_MS)))
        wanted = sum(site.week[(h + 72) % 168] > 0.0 for h in hours)
        total += float(wanted) * costs.lost_production_usd_per_h
    return total


def ledger_row(ledger: Ledger) -> dict[str, Any]:
    """A ledger as data, with its total."""
    return {**ledger._asdict(), "total_usd": ledger.total_usd}
