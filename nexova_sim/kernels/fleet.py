"""The fleet's time loop: blocks of 16 machines abreast, slot by slot, step by step.

Inputs are constant within a slot, so the inner loops hold no branch on faults or status and LLVM vectorises them across
machines. What changes from outside (fault edges, services, repairs, decisions) is handled between slots.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.lanes import change_lanes, fail_lanes, put_status
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.random import POWER_SPIKE, WEAR_NOISE, key_high, key_low, normal, random_bits, uniform
from nexova_sim.kernels.rows import (
    AVAILABLE,
    E_COOLING,
    E_FATIGUE_PER_H,
    E_LOAD,
    E_SPIKE,
    E_VIBRATION,
    E_WEAR_PER_H,
    I_MODE,
    IN_MAINTENANCE,
    LANES,
    MAINTENANCE,
    N_EFFECTS,
    OFFLINE,
    DOWN,
    ONLINE,
    S_AGE,
    S_ELECTRICAL,
    S_ENERGY,
    S_FATIGUE,
    S_LIMIT,
    S_PLAN,
    S_RUNTIME,
    S_TEMP,
    S_WEAR,
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
    Block,
    Clock,
    Inputs,
    Output,
    State,
)
from nexova_sim.kernels.thermal import heat_frac, mean_above_k, temp_limit_c, temp_mean_c, temp_next_c
from nexova_sim.kernels.vibration import vibration_mm_s
from nexova_sim.kernels.wear import montsinger_per_h, wear_next, wear_rate_per_mm_s_h

SPIKE_SHARE = 0.15  # share of slots in which a power-spike fault shows


@kernel
def spike_factor(keys: np.ndarray, lane: int, slot: int, size: float) -> float:
    """Load factor of a power-spike fault of relative size ``size``: 1 + size in a random 15 % of slots, else 1."""
    key = keys[POWER_SPIKE, lane]
    u = uniform(random_bits(key_low(key), key_high(key), np.uint32(slot)))
    return 1.0 + size if u < SPIKE_SHARE else 1.0


@kernel
def write_rows(out: Output, n_lanes: int, row: int, tile_temp: np.ndarray, tile_vib: np.ndarray, per_slot: np.ndarray,
               status: np.ndarray, step_h: float) -> None:  # fmt: skip
    """Turn one slot's tiles (n_steps, LANES) into rows of each machine; ``per_slot`` (3, LANES): power, runtime, running."""
    n_steps = tile_temp.shape[0]
    for j in range(n_lanes):
        power = np.float32(per_slot[0, j])
        start_h = per_slot[1, j]
        rate = per_slot[2, j] * step_h
        for k in range(n_steps):
            out.power_kw[j, row + k] = power
            out.temp_c[j, row + k] = tile_temp[k, j]
            out.vibration_mm_s[j, row + k] = tile_vib[k, j]
            out.runtime_h[j, row + k] = np.float32(start_h + k * rate)
            out.status[j, row + k] = status[j]


@kernel
def run_block(block: Block, clock: Clock, inputs: Inputs, state: State, out_state: State, out: Output) -> None:
    """Advance a block by ``inputs.load.shape[0]`` slots.

    Reads ``state``, writes ``out_state`` (same shapes) and ``out``. Readings k of a slot are the state at the start of
    step k; wear, fatigue and temperature are advanced exactly (see ``thermal``, ``wear``), so they do not depend on the step.
    """
    p = block.params
    out_state.real[:] = state.real
    out_state.flag[:] = state.flag
    out_state.cleared[:] = state.cleared
    real = out_state.real
    flag = out_state.flag
    n_slots = inputs.load.shape[0]
    n_steps = clock.n_steps
    step_h = clock.slot_h / n_steps
    keep_rows = out.power_kw.shape[1] > 0

    temp = np.empty(LANES)
    wear = np.empty(LANES)
    fatigue = np.empty(LANES)
    limit = np.empty(LANES)
    base_vib = np.empty(LANES)
    drive = np.empty(LANES)
    running = np.empty(LANES)
    growth = np.empty(LANES)
    growth_on = np.empty(LANES)
    decay = np.empty(LANES)
    tau_steps = np.empty(LANES)
    load = np.empty(LANES)
    above_vib = np.empty(LANES)
    above_fat = np.empty(LANES)
    fatigue_add = np.empty(LANES)
    vib_knee = p.vib_knee_c.copy()
    fat_knee = p.fatigue_knee_c.copy()
    heat_gain = p.vib_heat_gain.copy()
    wear_gain = p.vib_wear_gain.copy()
    fat_gain = p.fatigue_per_k_h * step_h
    before = np.empty((3, LANES))
    per_slot = np.empty((3, LANES))
    status = np.empty(LANES, np.int64)
    tile_temp = np.empty((n_steps, LANES), np.float32)
    tile_vib = np.empty((n_steps, LANES), np.float32)
    effect = np.empty((N_EFFECTS, LANES))
    any_exponent = False
    any_ageing = False
    any_noise = False
    for j in range(LANES):
        any_exponent |= p.bearing_exponent[j] != 1.0
        any_ageing |= p.montsinger_per_h[j] > 0.0
        any_noise |= p.wear_noise_per_sqrt_h[j] > 0.0
        growth_on[j] = exp64(p.wear_per_mm_s_h[j] * wear_gain[j] * step_h)
        temp[j] = real[S_TEMP, j]
        wear[j] = real[S_WEAR, j]
        fatigue[j] = real[S_FATIGUE, j]
    next_change = inputs.first_slot
    fresh = True
    for s in range(n_slots):
        slot = inputs.first_slot + s
        if slot >= next_change:
            for j in range(LANES):
                real[S_TEMP, j] = temp[j]
                real[S_WEAR, j] = wear[j]
                real[S_FATIGUE, j] = fatigue[j]
            next_change = change_lanes(block, clock, slot, fresh, out_state, effect, out)
            fresh = False
            for j in range(LANES):
                wear[j] = real[S_WEAR, j]
                fatigue[j] = real[S_FATIGUE, j]
                decay[j] = exp64(-step_h * effect[E_COOLING, j] / p.tau_h[j])
                tau_steps[j] = p.tau_h[j] / (effect[E_COOLING, j] * step_h)
        for j in range(LANES):
            is_running = flag[I_MODE, j] == AVAILABLE and inputs.load[s, j] > 0.0
            running[j] = 1.0 if is_running else 0.0
            code = ONLINE if is_running else OFFLINE
            status[j] = MAINTENANCE if flag[I_MODE, j] == IN_MAINTENANCE else code
            put_status(block, slot * clock.slot_h, j, status[j], out_state, out)
            x = inputs.load[s, j] * effect[E_LOAD, j] * running[j]
            if effect[E_SPIKE, j] > 0.0:
                x *= spike_factor(block.keys, j, slot, effect[E_SPIKE, j])
            load[j] = x
            rate = p.wear_per_mm_s_h[j]
            if any_exponent:
                rate = wear_rate_per_mm_s_h(rate, x, p.bearing_exponent[j], p.bearing_ref_frac[j])
                growth_on[j] = exp64(rate * wear_gain[j] * step_h)
            heat = heat_frac(x, p.heat_fixed[j], p.heat_linear[j], p.heat_square[j]) if is_running else 0.0
            limit[j] = temp_limit_c(inputs.ambient_c[s, j], p.rise_k[j], heat, effect[E_COOLING, j])
            growth[j] = growth_on[j] if is_running and rate > 0.0 else 1.0
            base_vib[j] = (p.vib_rated_mm_s[j] * x + effect[E_VIBRATION, j]) * running[j]
            drive[j] = base_vib[j] + (effect[E_WEAR_PER_H, j] / rate if rate > 0.0 else 0.0)
            fatigue_add[j] = effect[E_FATIGUE_PER_H, j] * step_h
            power = x * p.rated_kw[j] if is_running else (0.0 if status[j] == MAINTENANCE else p.standby_kw[j])
            per_slot[0, j] = power
            per_slot[1, j] = real[S_RUNTIME, j]
            per_slot[2, j] = running[j]
            before[0, j] = wear[j]
            before[1, j] = fatigue[j]
            before[2, j] = real[S_ELECTRICAL, j]
        if slot % clock.truth_slots == 0:
            n = out.count[2]
            for j in range(LANES):
                t = out.truth[j, n]
                t[T_LOAD] = load[j]
                t[T_AMBIENT] = inputs.ambient_c[s, j]
                t[T_TEMP] = temp[j]
                t[T_COOLING] = effect[E_COOLING, j]
                t[T_WEAR] = wear[j]
                t[T_FATIGUE] = fatigue[j]
                t[T_ELECTRICAL] = real[S_ELECTRICAL, j]
                t[T_RUNTIME] = real[S_RUNTIME, j]
                t[T_STATUS] = status[j] + (0 if flag[I_MODE, j] == AVAILABLE else DOWN)
                t[T_ENERGY] = real[S_ENERGY, j]
                t[T_PLAN] = real[S_PLAN, j]
                hot = max(0.0, temp[j] - vib_knee[j])
                t[T_VIBRATION] = running[j] * vibration_mm_s(base_vib[j], hot, heat_gain[j], wear[j], wear_gain[j])
                real[S_ENERGY, j] = 0.0
                real[S_PLAN, j] = 0.0
            out.count[2] = n + 1
        for k in range(n_steps):
            nearest = 1.0
            for j in range(LANES):
                t0 = temp[j]
                t1 = temp_next_c(t0, limit[j], decay[j])
                mean = temp_mean_c(t0, t1, limit[j], tau_steps[j])
                above_vib[j] = max(0.0, mean - vib_knee[j])
                above_fat[j] = max(0.0, mean - fat_knee[j])
                nearest = min(nearest, min((t0 - vib_knee[j]) * (t1 - vib_knee[j]), (t0 - fat_knee[j]) * (t1 - fat_knee[j])))
            if nearest < 0.0:
                for j in range(LANES):
                    t1 = temp_next_c(temp[j], limit[j], decay[j])
                    above_vib[j] = mean_above_k(temp[j], t1, limit[j], tau_steps[j], vib_knee[j])
                    above_fat[j] = mean_above_k(temp[j], t1, limit[j], tau_steps[j], fat_knee[j])
            if any_ageing:
                for j in range(LANES):
                    t1 = temp_next_c(temp[j], limit[j], decay[j])
                    mean = temp_mean_c(temp[j], t1, limit[j], tau_steps[j])
                    fatigue[j] += running[j] * step_h * montsinger_per_h(
                        mean, p.montsinger_per_h[j], p.montsinger_ref_c[j], p.montsinger_halving_k[j]
                    )
            for j in range(LANES):
                t0 = temp[j]
                hot = max(0.0, t0 - vib_knee[j])
                tile_temp[k, j] = np.float32(t0)
                tile_vib[k, j] = np.float32(
                    running[j] * vibration_mm_s(base_vib[j], hot, heat_gain[j], wear[j], wear_gain[j])
                )
                wear[j] = wear_next(wear[j], drive[j] + heat_gain[j] * above_vib[j], growth[j], wear_gain[j])
                fatigue[j] += running[j] * (fat_gain[j] * above_fat[j] + fatigue_add[j])
                temp[j] = temp_next_c(t0, limit[j], decay[j])
        if keep_rows:
            write_rows(out, block.n_lanes, s * n_steps, tile_temp, tile_vib, per_slot, status, step_h)
        worst = -1.0
        for j in range(LANES):
            hours = running[j] * clock.slot_h
            real[S_ELECTRICAL, j] += p.electrical_per_h[j] * load[j] * load[j] * hours
            real[S_RUNTIME, j] += hours
            real[S_AGE, j] += hours
            real[S_ENERGY, j] += per_slot[0, j] * clock.slot_h
            planned = inputs.plan[s, j] * p.rated_kw[j] if inputs.plan[s, j] > 0.0 else p.standby_kw[j]
            real[S_PLAN, j] += planned * clock.slot_h
            if any_noise:
                key = block.keys[WEAR_NOISE, j]
                z = normal(random_bits(key_low(key), key_high(key), np.uint32(slot)))
                wear[j] = max(0.0, wear[j] + running[j] * p.wear_noise_per_sqrt_h[j] * math.sqrt(clock.slot_h) * z)
            damage = max(max(wear[j], fatigue[j]), real[S_ELECTRICAL, j])
            spent = max(real[S_RUNTIME, j] - p.life_h[j], real[S_AGE, j] - real[S_LIMIT, j])
            worst = max(worst, max((damage - 1.0) * running[j], spent if running[j] > 0.0 else -1.0))
        if worst >= 0.0:
            next_change = fail_lanes(block, clock, slot, running, before, wear, fatigue, out_state, out)
    for j in range(LANES):
        real[S_TEMP, j] = temp[j]
        real[S_WEAR, j] = wear[j]
        real[S_FATIGUE, j] = fatigue[j]
