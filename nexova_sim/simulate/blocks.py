"""Run one block of machines through its periods: inputs, time loop, sensors. State goes in, state comes out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.fleet import run_block
from nexova_sim.kernels.load import fill_load
from nexova_sim.kernels.random import POWER_NOISE, SENSOR_FAULT, TEMPERATURE_NOISE, VIBRATION_NOISE, mix64
from nexova_sim.kernels.rows import (
    I_STATUS,
    LANES,
    N_BRANCH,
    N_TRUTH,
    S_TEMP,
    S_VARIATION,
    STATUS_UNKNOWN,
    Inputs,
    MachineParams,
    Output,
    State,
)
from nexova_sim.kernels.sensor import MISSING, fault_channel, read_channel, read_meter
from nexova_sim.simulate.faults import SENSOR_CODES
from nexova_sim.simulate.machines import start_state
from nexova_sim.simulate.plan import BlockPlan, FleetPlan, Period, ambient_of, profile_of

_FAULT_SIZE = {
    "temperature_c": 15.0,
    "vibration_mm_s": 2.0,
}  # error of a sensor fault of severity 1; power: half the rating
_POWER_FAULT_FRAC = 0.5
_MAX_EVENTS_PER_SLOT = 4


class Chunk(NamedTuple):
    """What a block did in a period. Readings are (n_lanes, n_rows); ``keep`` is None when no row is missing."""

    period: Period
    power_kw: np.ndarray
    temperature_c: np.ndarray
    vibration_mm_s: np.ndarray
    runtime_h: np.ndarray
    status: np.ndarray
    keep: np.ndarray | None
    truth: np.ndarray
    event_code: np.ndarray
    event_value: np.ndarray
    branch: np.ndarray
    state: State


def site_inputs(plan: FleetPlan, block: BlockPlan, period: Period) -> tuple[np.ndarray, np.ndarray]:
    """Profile table (n_profiles, n_slots) and ambient temperature (n_slots, LANES) of a block in a period."""
    profiles = np.array([profile_of(plan, f, k, period) for f, k in block.profiles])
    sites = {int(f): ambient_of(plan, int(f), period) for f in np.unique(block.factories)}
    ambient = np.empty((period.n_slots, LANES))
    for j, factory in enumerate(block.factories):
        ambient[:, j] = sites[int(factory)]
    return profiles, ambient


def make_inputs(
    plan: FleetPlan, block: BlockPlan, period: Period, variation: np.ndarray, site: tuple[np.ndarray, np.ndarray]
) -> tuple[Inputs, np.ndarray]:
    """Load, planned load and ambient of a block in a period, and the AR(1) state after it."""
    profiles, ambient = site
    load = np.empty((period.n_slots, LANES))
    planned = np.empty((period.n_slots, LANES))
    after = np.empty(LANES)
    fill_load(block.duty, profiles, period.first_slot, plan.clock.slot_h, variation, after, load, planned)
    return Inputs(load, planned, ambient, period.first_slot), after


Pool = dict[str, np.ndarray]


def _array(pool: Pool | None, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """An uninitialised array, from ``pool`` when there is one: fresh memory costs as much as filling it does."""
    if pool is None:
        return np.empty(shape, dtype)
    size = math.prod(shape)
    if name not in pool or pool[name].size < size:
        pool[name] = np.empty(size, dtype)
    return pool[name][:size].reshape(shape)


def new_output(plan: FleetPlan, block: BlockPlan, period: Period, wants_rows: bool, pool: Pool | None = None) -> Output:
    """Output arrays of a chunk, sized for the worst case; with ``pool`` they are valid until the next call with it."""
    n = len(block.machines)
    rows = period.n_slots * plan.clock.n_steps if wants_rows else 0
    samples = period.n_slots // plan.clock.truth_slots + 1
    events = LANES * (period.n_slots * _MAX_EVENTS_PER_SLOT + 4)
    branches = 2 * len(block.faults) + int(block.block.actions.slot.shape[1]) * LANES + LANES
    return Output(
        _array(pool, "power_kw", (n, rows), np.float32),
        _array(pool, "temp_c", (n, rows), np.float32),
        _array(pool, "vibration_mm_s", (n, rows), np.float32),
        _array(pool, "runtime_h", (n, rows), np.float32),
        _array(pool, "status", (n, rows), np.int8),
        np.empty((LANES, samples, N_TRUTH)),
        _array(pool, "event_code", (events, 4), np.int64),
        _array(pool, "event_value", (events, 2), np.float64),
        np.empty((branches, N_BRANCH)),
        np.zeros(3, np.int64),
    )


def first_state(plan: FleetPlan, block: BlockPlan) -> State:
    """State of a block before its first slot, at the first ambient temperature."""
    state = start_state(block.machines, MachineParams(*block.block.params), block.duty, len(block.faults))
    ambient = {int(f): ambient_of(plan, int(f), plan.periods[0])[0] for f in np.unique(block.factories)}
    state.real[S_TEMP] = [ambient[int(f)] for f in block.factories]
    assert state.flag[I_STATUS, 0] == STATUS_UNKNOWN
    return state


def noise_of(plan: FleetPlan, kind_name: str, channel: str) -> np.ndarray:
    """Noise array of a sensor as ``kernels.sensor.read_channel`` wants it, (3,) float32."""
    sensor = getattr(plan.resolved.kinds[kind_name].sensors, channel)
    return np.array([sensor.noise, sensor.noise_frac, round(1.0 / sensor.resolution)], np.float32)


def sense(plan: FleetPlan, block: BlockPlan, period: Period, out: Output) -> None:
    """Turn true values into readings in place: noise and resolution, then the runtime meter."""
    first = period.first_slot * plan.clock.n_steps
    for j, m in enumerate(block.machines):
        for stream, channel, values in (
            (POWER_NOISE, "power_kw", out.power_kw),
            (TEMPERATURE_NOISE, "temperature_c", out.temp_c),
            (VIBRATION_NOISE, "vibration_mm_s", out.vibration_mm_s),
        ):
            read_channel(m.keys[stream], first, noise_of(plan, m.kind, channel), values[j])
        read_meter(noise_of(plan, m.kind, "runtime_h")[2], out.runtime_h[j])


def falsify(
    plan: FleetPlan, block: BlockPlan, period: Period, held: dict[int, float], out: Output
) -> np.ndarray | None:
    """Apply sensor faults to the readings of a period; returns the mask of rows that arrive, or None when all do.

    ``held`` keeps, by fault number, the value a stuck sensor repeats from one period to the next.
    """
    step_h = plan.clock.slot_h / plan.clock.n_steps
    first = period.first_slot * plan.clock.n_steps
    n_rows = period.n_slots * plan.clock.n_steps
    channels = {"power_kw": out.power_kw, "temperature_c": out.temp_c, "vibration_mm_s": out.vibration_mm_s}
    keep: np.ndarray | None = None
    for number, fault in enumerate(block.sensor_faults):
        begin = int(fault.onset_h / step_h)
        end = max(begin + 1, round(fault.end_h / step_h))
        if end <= first or begin >= first + n_rows:
            continue
        j = fault.machine - plan.blocks[block.number][0]
        machine = block.machines[j]
        code = SENSOR_CODES[str(plan.resolved.fault_kinds[fault.fault].sensor)]
        if code == MISSING:
            keep = np.ones((len(block.machines), n_rows), bool) if keep is None else keep
            keep[j, max(begin - first, 0) : end - first] = False
            continue
        channel = str(fault.channel)
        rated = plan.resolved.kinds[machine.kind].rated_kw
        size = _FAULT_SIZE.get(channel, _POWER_FAULT_FRAC * rated)
        held[number] = fault_channel(
            code,
            np.array([begin, end, max(1, round(fault.hours / step_h))], np.int64),
            np.uint64(mix64(machine.keys[SENSOR_FAULT] + np.uint64(list(channels).index(channel)))),
            first,
            fault.severity * size,
            noise_of(plan, machine.kind, channel)[2],
            held.get(number, np.nan),
            channels[channel][j],
        )
    return keep


def run_period(
    plan: FleetPlan,
    block: BlockPlan,
    period: Period,
    state: State,
    wants_rows: bool = True,
    pool: Pool | None = None,
) -> tuple[Output, State]:
    """Advance a block through one period; the output still holds true values, not readings."""
    site = site_inputs(plan, block, period)
    inputs, variation = make_inputs(plan, block, period, state.real[S_VARIATION], site)
    out = new_output(plan, block, period, wants_rows, pool)
    after = State(np.empty_like(state.real), np.empty_like(state.flag), np.empty_like(state.cleared))
    run_block(block.block, plan.clock, inputs, state, after, out)
    after.real[S_VARIATION] = variation
    return out, after


def run_block_periods(
    plan: FleetPlan, block: BlockPlan, wanted: frozenset[int] | None = None, pool: Pool | None = None
) -> Iterator[Chunk]:
    """Yield a block's chunks in time order. Only periods in ``wanted`` (all when None) carry readings.

    A stuck sensor repeats the reading at its onset, so a period with readings is always computed with its sensor faults
    from the period in which they began. With ``pool``, a dict that is kept from call to call, the readings of a chunk
    are valid only until the next chunk: memory is reused.
    """
    state = first_state(plan, block)
    held: dict[int, float] = {}
    for period in plan.periods:
        wants = wanted is None or period.number in wanted or _starts_stuck(plan, block, period)
        out, state = run_period(plan, block, period, state, wants, pool)
        keep = None
        if wants:
            sense(plan, block, period, out)
            keep = falsify(plan, block, period, held, out)
        n_events, n_branches, n_samples = (int(n) for n in out.n_written)
        yield Chunk(
            period,
            out.power_kw,
            out.temp_c,
            out.vibration_mm_s,
            out.runtime_h,
            out.status,
            keep,
            out.truth[: len(block.machines), :n_samples].copy(),
            out.event_code[:n_events].copy(),
            out.event_value[:n_events].copy(),
            out.branch[:n_branches].copy(),
            state,
        )


def _starts_stuck(plan: FleetPlan, block: BlockPlan, period: Period) -> bool:
    begin_h = period.first_slot * plan.clock.slot_h
    end_h = begin_h + period.n_slots * plan.clock.slot_h
    return any(
        plan.resolved.fault_kinds[f.fault].sensor == "stuck" and begin_h <= f.onset_h < end_h
        for f in block.sensor_faults
    )
