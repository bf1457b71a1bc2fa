"""One machine through a scenario, by the same kernel that runs the fleets; and on to its end, for its remaining life.

Lane 0 of the block is the machine. Lanes 1 to 5 are the same machine in which only one failure event can happen, so
that the time of every event is known, also of those that the first one prevents. All lanes share their random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.scenario import MAX_HOURS, ResolvedTwin
from nexova_sim.config.types import Factory, FleetConfig, Maintenance, ResolvedFleet
from nexova_sim.kernels.fleet import run_block
from nexova_sim.kernels.rows import (
    E_FATIGUE_PER_H,
    E_WEAR_PER_H,
    EV_FAILURE,
    F_BEARING,
    F_ELECTRICAL,
    F_END_OF_LIFE,
    F_RANDOM,
    F_THERMAL,
    LANES,
    N_BRANCH,
    N_EFFECTS,
    N_FAILURES,
    N_TRUTH,
    S_AGE,
    S_ELECTRICAL,
    S_FATIGUE,
    S_LIMIT,
    S_RUNTIME,
    S_TEMP,
    S_WEAR,
    T_TEMP,
    Block,
    Clock,
    FaultPlan,
    MachineParams,
    Output,
    State,
)
from nexova_sim.kernels.wear import NO_LIMIT_H
from nexova_sim.simulate.machines import duty_params, machine_params, make_machines, start_state
from nexova_sim.simulate.maintenance import action_arrays, failure_restore
from nexova_sim.simulate.scenarios import (
    CHUNK_SLOTS,
    Stretch,
    Timeline,
    clock_of,
    coarsened,
    constant_effect,
    phase_at,
    stretches,
    timeline,
)

Progress = Callable[[int, int], None]
MACHINE_LANE = 0
N_LANES = 1 + N_FAILURES
_NO_SAMPLE = 2**40
_SENSIBLE = 1e6
_NO_RATE = 1e-30  # the kernel divides by the wear rate


class TwinRun(NamedTuple):
    """A trajectory and how the life of the machine ends."""

    time_h: np.ndarray  # (n_rows,) hours since the start, the last one is the end of the run
    phase: np.ndarray  # (n_rows,) int64, number of the phase in force
    truth: np.ndarray  # (n_rows, N_TRUTH), columns T_* of kernels.rows
    event_h: np.ndarray  # (N_FAILURES,) time of every event if no other stopped the machine, NaN = not within 30 years
    first_event: int  # the event that ends the machine's life, -1 = none within 30 years
    end_h: float  # its time, NaN when none


def nominal_fleet(resolved: ResolvedTwin) -> ResolvedFleet:
    """A fleet of one machine just as its kind says: no spread, no age, no services, left alone after a failure."""
    name = resolved.kind_name
    fleet = FleetConfig(
        name="twin",
        seed=resolved.seed,
        start=datetime(2026, 1, 5, tzinfo=UTC),
        days=1.0,
        physics=resolved.physics,
        build_spread_frac=0.0,
        start_age_frac=(0.0, 0.0),
        factories=[Factory(id="twin", latitude_deg=0.0, longitude_deg=0.0, machines={name: 1})],
        maintenance=Maintenance(planned_interval_days=None, on_failure="leave"),
    )
    return ResolvedFleet(fleet=fleet, kinds={name: resolved.kind}, fault_kinds={})


def only_event(params: MachineParams, event: int, lane: int) -> MachineParams:
    """Copy of ``params`` in which the machine of ``lane`` can fail by ``event`` alone, whose course stays the same."""
    silent = {
        F_BEARING: {"wear_per_mm_s_h": _NO_RATE, "wear_noise_per_sqrt_h": 0.0},
        F_THERMAL: {"fatigue_per_k_h": 0.0, "montsinger_per_h": 0.0},
        F_ELECTRICAL: {"electrical_per_h": 0.0},
        F_END_OF_LIFE: {"life_h": NO_LIMIT_H},
    }
    arrays = {}
    for name, value in (item for other, changes in silent.items() if other != event for item in changes.items()):
        arrays[name] = getattr(params, name).copy()
        arrays[name][lane] = value
    return params._replace(**arrays)


def _block(resolved: ResolvedTwin) -> tuple[Block, State]:
    fleet = nominal_fleet(resolved)
    machines = make_machines(fleet)
    params = machine_params(machines, fleet)
    state = start_state(machines, params, duty_params(machines, fleet, [0]), LANES)
    scenario = resolved.scenario
    first = scenario.phases[0].ambient_c
    ambient = scenario.ambient_c if first is None else first
    real, start = state.real, scenario.start
    real[S_TEMP] = ambient if start.temp_c is None else start.temp_c
    real[S_WEAR], real[S_FATIGUE], real[S_ELECTRICAL] = start.wear_frac, start.fatigue_frac, start.electrical_frac
    real[S_RUNTIME] = real[S_AGE] = start.runtime_h
    limit_h = real[S_LIMIT, MACHINE_LANE] if scenario.random_failures else NO_LIMIT_H
    real[S_LIMIT] = NO_LIMIT_H
    real[S_LIMIT, MACHINE_LANE] = limit_h
    for event in range(N_FAILURES):
        lane = 1 + event
        params = only_event(params, event, lane)
        if event == F_RANDOM:
            real[S_LIMIT, lane] = limit_h
    keys = np.ascontiguousarray(np.repeat(machines[0].keys[:, None], LANES, axis=1))
    restored = np.repeat(failure_restore(machines, fleet)[:, :1], LANES, axis=1)
    return Block(
        np.stack(params), constant_effect(np.zeros(N_EFFECTS)), action_arrays([[]]), restored, keys, N_LANES
    ), state


def _faults(effect: np.ndarray) -> FaultPlan:
    """The effects of a phase on every lane, without added damage where that damage is not the question."""
    plan = constant_effect(effect)
    for column, event in ((E_FATIGUE_PER_H, F_THERMAL), (E_WEAR_PER_H, F_BEARING)):
        plan.effect[[1 + other for other in range(N_FAILURES) if other != event], column] = 0.0
    return plan


def _new_output(n_slots: int, sample_slots: int) -> Output:
    power, temp, vibration, runtime = (np.empty((N_LANES, 0), np.float32) for _ in range(4))
    events = N_LANES * (3 * n_slots + 4)
    return Output(
        power,
        temp,
        vibration,
        runtime,
        np.empty((N_LANES, 0), np.int8),
        np.empty((LANES, n_slots // sample_slots + 2, N_TRUTH)),
        np.empty((events, 4), np.int64),
        np.empty((events, 2)),
        np.empty((LANES, N_BRANCH)),
        np.zeros(3, np.int64),
    )


def _advance(block: Block, clock: Clock, stretch: Stretch, state: State) -> tuple[State, Output]:
    out = _new_output(len(stretch.inputs.load), clock.truth_slots)
    after = State(np.empty_like(state.real), np.empty_like(state.flag), np.empty_like(state.cleared))
    run_block(block._replace(faults=_faults(stretch.effect)), clock, stretch.inputs, state, after, out)
    return after, out


class _Events(NamedTuple):
    """Failure event of every lane (-1 = none yet) and its time; filled in as they happen."""

    event: np.ndarray
    time_h: np.ndarray

    def note(self, out: Output) -> None:
        n = out.n_written[0]
        for code, value in zip(out.event_code[:n], out.event_value[:n], strict=True):
            if code[1] == EV_FAILURE:
                self.event[code[0]] = code[2]
                self.time_h[code[0]] = value[0]


def _is_over(line: Timeline, slot: int) -> bool:
    """Whether the machine never runs again."""
    loads = line.load if line.repeat else line.load[phase_at(line, np.array([slot]))[0] :]
    return not loads.any()


def _run_on(
    block: Block, line: Timeline, at: int, state: State, events: _Events, lanes: list[int]
) -> tuple[int, State]:
    """Run on from slot ``at`` until every one of ``lanes`` has failed, none can or 30 years are over."""
    last_slot = round(MAX_HOURS / line.slot_h)
    while at < last_slot and (events.event[lanes] < 0).any() and not _is_over(line, at):
        n_slots = min(CHUNK_SLOTS, last_slot - at)
        for stretch in stretches(line, at, n_slots):
            state, out = _advance(block, clock_of(line, 1, _NO_SAMPLE), stretch, state)
            events.note(out)
        at += n_slots
    return at, state


def _run_to_the_end(block: Block, line: Timeline, state: State, events: _Events, has_random: bool) -> None:
    """Find the events that the trajectory did not reach: the machine's own on its grid, the others in longer slots.

    Wear noise draws a number per slot, so a lane that has it stays on the grid too.
    """
    noise = MachineParams(*block.params).wear_noise_per_sqrt_h
    on_grid = [MACHINE_LANE, *(lane for lane in range(1, N_LANES) if noise[lane] > 0.0)]
    at, state = _run_on(block, line, line.n_slots, state, events, on_grid)
    coarse, factor = coarsened(line)
    for stretch in stretches(line, at, -at % factor):
        state, out = _advance(block, clock_of(line, 1, _NO_SAMPLE), stretch, state)
        events.note(out)
    others = list(range(1, N_LANES if has_random else N_LANES - 1))
    _run_on(block, coarse, -(-at // factor), state, events, others)


def _check_range(truth: np.ndarray) -> None:
    """ConfigError when parameters are so extreme that the numbers mean nothing any more."""
    if not (np.abs(truth) < _SENSIBLE).all():
        raise ConfigError(
            "the parameters of this kind and scenario lead to numbers beyond any machine (temperatures up to "
            f"{np.nanmax(truth[:, T_TEMP]):.3g} degC); check thermal, vibration and damage of the kind"
        )


def run_twin(resolved: ResolvedTwin, progress: Progress = lambda _done, _total: None) -> TwinRun:
    """Take the machine of ``resolved`` through its scenario, sample its state, then run on until every event is known.

    The run stops for the machine at its first failure; it stands still from then on and cools. ``progress`` is called
    with slots done and slots of the trajectory.
    """
    block, state = _block(resolved)
    line = timeline(resolved)
    clock = clock_of(line, line.n_steps, line.sample_slots)
    events = _Events(np.full(N_LANES, -1), np.full(N_LANES, np.nan))
    samples = []
    for stretch in stretches(line, 0, line.n_slots):
        state, out = _advance(block, clock, stretch, state)
        events.note(out)
        samples.append(out.truth[MACHINE_LANE, : out.n_written[2]].copy())
        progress(stretch.inputs.first_slot + len(stretch.inputs.load), line.n_slots)
    # One slot more, kept from the future, only to sample the state at the end.
    end = next(stretches(line, line.n_slots, 1))
    samples.append(_advance(block, clock_of(line, 1, 1), end, state)[1].truth[MACHINE_LANE, :1])
    _run_to_the_end(block, line, state, events, resolved.scenario.random_failures)
    truth = np.concatenate(samples)
    _check_range(truth)
    row_slots = np.unique(np.append(np.arange(0, line.n_slots, line.sample_slots), line.n_slots))
    return TwinRun(
        row_slots * line.slot_h,
        phase_at(line, row_slots),
        truth,
        events.time_h[1:].copy(),
        int(events.event[MACHINE_LANE]),
        float(events.time_h[MACHINE_LANE]),
    )
