"""True remaining useful life: from every point of a simulated life, the time to failure if nothing more is done."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.climate import fill_wave
from nexova_sim.kernels.load import LANES
from nexova_sim.kernels.rollout import run_to_failure
from nexova_sim.kernels.rows import (
    AVAILABLE,
    B_AGE,
    B_EFFECT,
    B_ELECTRICAL,
    B_FATIGUE,
    B_LANE,
    B_LIMIT,
    B_RUNTIME,
    B_SLOT,
    B_TEMP,
    B_WEAR,
    DOWN,
    E_COOLING,
    E_LOAD,
    EV_FAILURE,
    I_MODE,
    N_BRANCH,
    N_EFFECTS,
    S_AGE,
    S_ELECTRICAL,
    S_FATIGUE,
    S_LIMIT,
    S_RUNTIME,
    S_TEMP,
    S_WEAR,
    T_RUNTIME,
    T_STATUS,
    State,
)
from nexova_sim.simulate.calendar import local_time, on_shift
from nexova_sim.simulate.plan import BlockPlan, FleetPlan
from nexova_sim.simulate.weather import climate_wave, year_hour

MAX_HOURS = 30 * 8766
_HOURS_PER_YEAR = 8766
_HOURS_PER_WEEK = 168
_BEFORE_H = 1e-6


class Life(NamedTuple):
    """Points at which a life ends or is changed from outside, (n,) each, sorted by lane and time."""

    lane: np.ndarray
    time_h: np.ndarray
    runtime_h: np.ndarray
    rest_h: np.ndarray  # calendar hours to failure from there, 0 at a failure
    rest_running_h: np.ndarray
    event: np.ndarray  # failure event, -1 = none within 30 years
    holds_until_h: np.ndarray  # last instant that belongs to this life: a failure's own, but not a change's


def end_branches(plan: FleetPlan, block: BlockPlan, state: State, cleared: np.ndarray) -> np.ndarray:
    """Branches (n, N_BRANCH) of the machines that are available when the data end."""
    rows = []
    f = block.block.faults
    last = plan.resolved.fleet.n_slots
    for j in range(len(block.machines)):
        if state.flag[I_MODE, j] != AVAILABLE:
            continue
        row = np.zeros(N_BRANCH)
        row[[B_LANE, B_SLOT]] = j, last
        source = (S_TEMP, S_WEAR, S_FATIGUE, S_ELECTRICAL, S_RUNTIME, S_AGE, S_LIMIT)
        target = (B_TEMP, B_WEAR, B_FATIGUE, B_ELECTRICAL, B_RUNTIME, B_AGE, B_LIMIT)
        row[list(target)] = state.real[list(source), j]
        effect = np.zeros(N_EFFECTS)
        effect[[E_COOLING, E_LOAD]] = 1.0
        for i in range(f.lane.shape[0]):
            if f.lane[i] == j and cleared[i] < 0 and f.onset_slot[i] < last <= f.end_slot[i]:
                factors = [E_COOLING, E_LOAD]
                product = effect[factors] * f.effect[i][factors]
                effect += f.effect[i]
                effect[factors] = product
        row[B_EFFECT:] = effect
        rows.append(row)
    return np.array(rows).reshape(-1, N_BRANCH)


def week_loads(plan: FleetPlan, block: BlockPlan) -> np.ndarray:
    """Planned mean load of every lane by UTC hour of the week, (LANES, 168); holidays and demand left out."""
    out = np.zeros((LANES, _HOURS_PER_WEEK))
    monday_s = plan.start_s - (plan.start_s + 3 * 86_400) % (7 * 86_400)
    for row, (factory, kind_name) in enumerate(block.profiles):
        site = plan.resolved.fleet.factories[factory]
        duty = plan.resolved.kinds[kind_name].duty
        local = local_time(site.timezone, monday_s, 3600, _HOURS_PER_WEEK)
        load = np.full(_HOURS_PER_WEEK, plan.resolved.kinds[kind_name].nominal_load_frac)
        if duty.hour_frac is not None:
            load *= np.array(duty.hour_frac)[local.second // 3600]
        load *= np.where(local.weekday >= 5, duty.weekend_frac, 1.0)
        if duty.follows == "shifts":
            no_holidays = site.model_copy(update={"calendar": site.calendar.model_copy(update={"holidays": []})})
            load *= on_shift(no_holidays, list(duty.shifts), local)
        for j in range(LANES):
            if block.duty.profile[j] == row:
                idle = block.duty.idle_share[j]
                base = load * block.duty.scale[j]
                out[j] = np.where(base > 0, base * (1.0 - idle) + block.duty.idle_frac[j] * idle, 0.0)
    return out


def climate_years(plan: FleetPlan, block: BlockPlan) -> np.ndarray:
    """Mean ambient of every lane by hour from the start of the run, one year, (LANES, 8766)."""
    out = np.empty((LANES, _HOURS_PER_YEAR))
    sites = {}
    for factory in np.unique(block.factories):
        site = plan.resolved.fleet.factories[int(factory)]
        wave = np.array(climate_wave(site.climate, site.latitude_deg))
        values = np.empty(_HOURS_PER_YEAR)
        fill_wave(year_hour(plan.start_s, site.longitude_deg), 1.0, 0, wave, values)
        sites[int(factory)] = values
    for j in range(LANES):
        out[j] = sites[int(block.factories[j])]
    return out


def trace_life(
    plan: FleetPlan, block: BlockPlan, branch: np.ndarray, event_code: np.ndarray, event_value: np.ndarray
) -> Life:
    """Run every branch to failure and merge with the failures that happened."""
    slot_h = plan.clock.slot_h
    hours = branch[:, B_SLOT] * slot_h
    monday_h = (plan.start_s + 3 * 86_400) % (7 * 86_400) // 3600
    start = np.stack([(hours + monday_h) % _HOURS_PER_WEEK, hours % _HOURS_PER_YEAR], axis=1).astype(np.int64)
    life = np.empty((len(branch), 3))
    run_to_failure(
        block.block.params, branch, week_loads(plan, block), climate_years(plan, block), start, MAX_HOURS, life
    )
    is_failure = event_code[:, 1] == EV_FAILURE
    failed, values = event_code[is_failure], event_value[is_failure]
    zero = np.zeros(len(failed))
    merged = Life(
        np.concatenate([branch[:, B_LANE], failed[:, 0]]).astype(np.int64),
        np.concatenate([hours, values[:, 0]]),
        np.concatenate([branch[:, B_RUNTIME], values[:, 1]]),
        np.concatenate([life[:, 0], zero]),
        np.concatenate([life[:, 1], zero]),
        np.concatenate([life[:, 2], failed[:, 2]]).astype(np.int64),
        np.concatenate([hours - _BEFORE_H, values[:, 0]]),
    )
    order = np.lexsort((merged.holds_until_h, merged.lane))
    return Life(*(column[order] for column in merged))


def remaining(
    life: Life, lane: int, time_h: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Remaining calendar hours, running hours and failure event at the samples of one machine; NaN and -1 while down.

    ``time_h`` (n,) hours since the start, ``truth`` (n, N_TRUTH) of the same samples.
    """
    own = life.lane == lane
    at = np.searchsorted(life.holds_until_h[own], time_h, side="left")
    known = (at < own.sum()) & (truth[:, T_STATUS] < DOWN)
    pick = np.minimum(at, max(int(own.sum()) - 1, 0))
    calendar = np.full(len(time_h), np.nan)
    running = np.full(len(time_h), np.nan)
    event = np.full(len(time_h), -1)
    if own.any():
        point = Life(*(column[own][pick] for column in life))
        event[known] = point.event[known]
        ends = known & (event >= 0)
        calendar[ends] = (point.time_h - time_h + point.rest_h)[ends]
        running[ends] = (point.runtime_h - truth[:, T_RUNTIME] + point.rest_running_h)[ends]
    return calendar, np.maximum(running, 0.0), event
