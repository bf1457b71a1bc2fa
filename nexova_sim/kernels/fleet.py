"""The fleet's time loop: blocks of 16 machines abreast, slot by slot, step by step.

Inputs are constant within a slot, so the inner loops hold no branch on faults or status and LLVM vectorises them across
machines. What changes from outside (fault edges, services, repairs, decisions) is handled between slots.

All working values live in the rows of one local array of constant shape: with seventeen separate arrays the compiler
cannot prove that they do not overlap and falls back to scalar code, ten times slower.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.flush import flush_codes, flush_slots, flush_steps
from nexova_sim.kernels.lanes import change_lanes, fail_lanes, put_status
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.random import POWER_SPIKE, WEAR_NOISE, key_high, key_low, normal, random_bits, uniform
from nexova_sim.kernels.rows import (
    AVAILABLE,
    DOWN,
    E_COOLING,
    E_FATIGUE_PER_H,
    E_LOAD,
    E_SPIKE,
    E_VIBRATION,
    E_WEAR_PER_H,
    I_MODE,
    I_STATUS,
    IN_MAINTENANCE,
    LANES,
    M_BEARING_EXPONENT,
    M_BEARING_REF_FRAC,
    M_ELECTRICAL_PER_H,
    M_FATIGUE_KNEE_C,
    M_FATIGUE_PER_K_H,
    M_HEAT_FIXED,
    M_HEAT_LINEAR,
    M_HEAT_SQUARE,
    M_LIFE_H,
    M_MONTSINGER_HALVING_K,
    M_MONTSINGER_PER_H,
    M_MONTSINGER_REF_C,
    M_RATED_KW,
    M_RISE_K,
    M_STANDBY_KW,
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
    M_WEAR_NOISE_PER_SQRT_H,
    M_WEAR_PER_MM_S_H,
    MAINTENANCE,
    N_EFFECTS,
    N_PARAMS,
    N_STATE,
    OFFLINE,
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
from nexova_sim.kernels.thermal import (
    growing_above_k,
    heat_frac,
    mean_above_k,
    temp_limit_c,
    temp_mean_c,
    temp_next_c,
    weight_steps,
)
from nexova_sim.kernels.vibration import vibration_mm_s
from nexova_sim.kernels.wear import montsinger_mean_per_h, wear_next, wear_rate_per_mm_s_h

SPIKE_SHARE = 0.15  # share of slots in which a power-spike fault shows
TILE = 240  # steps kept in the cache before they are turned into rows of each machine

# Rows of the working array after the N_STATE rows of the state.
(W_LIMIT, W_BASE, W_DRIVE, W_RUNNING, W_GROWTH, W_KICK, W_DECAY, W_TAU, W_NEXT, W_ABOVE_VIB, W_ABOVE_FAT, W_CROSS,
 W_LOAD, W_POWER, W_STATUS, W_AVAILABLE, W_STOPPED, W_LAST, W_COOLING, W_FACTOR, W_SPIKE, W_VIB_ADD, W_WEAR_ADD,
 W_FAT_ADD, W_FAT_GAIN, W_TAU_WEAR, W_GROWTH_LOG, W_EXTRA, W_GROWTH_ON, W_KICK_ON, W_RISE, W_ASKED, W_PLANNED,
 W_AMBIENT, W_WEAR0, W_FATIGUE0,
 W_ELECTRICAL0) = range(N_STATE, N_STATE + 37)  # fmt: skip
# Then the parameters.
W_PARAMS = N_STATE + 37
N_WORK = W_PARAMS + N_PARAMS
P_VIB_KNEE = W_PARAMS + M_VIB_KNEE_C
P_FAT_KNEE = W_PARAMS + M_FATIGUE_KNEE_C
P_HEAT_GAIN = W_PARAMS + M_VIB_HEAT_GAIN
P_WEAR_GAIN = W_PARAMS + M_VIB_WEAR_GAIN
P_FIXED = W_PARAMS + M_HEAT_FIXED
P_LINEAR = W_PARAMS + M_HEAT_LINEAR
P_SQUARE = W_PARAMS + M_HEAT_SQUARE
P_VIB = W_PARAMS + M_VIB_RATED_MM_S
P_RATED = W_PARAMS + M_RATED_KW
P_STANDBY = W_PARAMS + M_STANDBY_KW
P_ELECTRICAL = W_PARAMS + M_ELECTRICAL_PER_H
P_LIFE = W_PARAMS + M_LIFE_H


@kernel
def spike_factor(keys: np.ndarray, lane: int, slot: int, size: float) -> float:
    """Load factor of a power-spike fault of relative size ``size``: 1 + size in a random 15 % of slots, else 1."""
    key = keys[POWER_SPIKE, lane]
    u = uniform(random_bits(key_low(key), key_high(key), np.uint32(slot)))
    return 1.0 + size if u < SPIKE_SHARE else 1.0


@kernel
def copy_rows(source: np.ndarray, out_target: np.ndarray) -> None:
    """Copy the N_STATE rows of the state between the state and the working array (loops compile faster than slices)."""
    for i in range(N_STATE):
        for j in range(LANES):
            out_target[i, j] = source[i, j]


@kernel
def begin_state(state: State, out_state: State, out_work: np.ndarray) -> None:
    """Copy the state before into the state after and the working array."""
    copy_rows(state.real, out_state.real)
    copy_rows(state.real, out_work)
    for i in range(state.flag.shape[0]):
        for j in range(LANES):
            out_state.flag[i, j] = state.flag[i, j]
    for i in range(state.cleared.shape[0]):
        out_state.cleared[i] = state.cleared[i]


@kernel
def settle(p: np.ndarray, step_h: float, effect: np.ndarray, flag: np.ndarray, out_work: np.ndarray) -> bool:
    """Refresh the working rows that only change from outside: modes, fault effects, and what follows from them.

    ``p`` (N_PARAMS, LANES) are the parameters. Returns whether a power-spike fault is active.
    """
    any_spike = False
    for j in range(LANES):
        out_work[W_AVAILABLE, j] = 1.0 if flag[I_MODE, j] == AVAILABLE else 0.0
        out_work[W_STOPPED, j] = MAINTENANCE if flag[I_MODE, j] == IN_MAINTENANCE else OFFLINE
        out_work[W_LAST, j] = flag[I_STATUS, j]
        out_work[W_COOLING, j] = effect[E_COOLING, j]
        out_work[W_FACTOR, j] = effect[E_LOAD, j]
        out_work[W_SPIKE, j] = effect[E_SPIKE, j]
        out_work[W_VIB_ADD, j] = effect[E_VIBRATION, j]
        out_work[W_WEAR_ADD, j] = effect[E_WEAR_PER_H, j]
        out_work[W_EXTRA, j] = effect[E_WEAR_PER_H, j] / p[M_WEAR_PER_MM_S_H, j]
        out_work[W_RISE, j] = p[M_RISE_K, j] / effect[E_COOLING, j]
        out_work[W_FAT_ADD, j] = effect[E_FATIGUE_PER_H, j] * step_h
        out_work[W_DECAY, j] = exp64(-step_h * effect[E_COOLING, j] / p[M_TAU_H, j])
        out_work[W_TAU, j] = p[M_TAU_H, j] / (effect[E_COOLING, j] * step_h)
        out_work[W_TAU_WEAR, j] = weight_steps(out_work[W_GROWTH_LOG, j], out_work[W_TAU, j], out_work[W_DECAY, j])
        any_spike |= effect[E_SPIKE, j] > 0.0
    return any_spike


@kernel
def load_params(params: np.ndarray, step_h: float, out_work: np.ndarray) -> None:
    """Copy the parameters into the working rows, with what follows from them and the step."""
    for i in range(N_PARAMS):
        for j in range(LANES):
            out_work[W_PARAMS + i, j] = params[i, j]
    for j in range(LANES):
        gain = params[M_VIB_WEAR_GAIN, j]
        out_work[W_GROWTH_LOG, j] = params[M_WEAR_PER_MM_S_H, j] * gain * step_h
        growth = exp64(out_work[W_GROWTH_LOG, j])
        out_work[W_GROWTH_ON, j] = growth
        out_work[W_KICK_ON, j] = (growth - 1.0) / gain
        out_work[W_FAT_GAIN, j] = params[M_FATIGUE_PER_K_H, j] * step_h


@kernel
def sample_truth(work: np.ndarray, n: int, out_work: np.ndarray, out_truth: np.ndarray) -> None:
    """Record the hidden state as sample ``n`` of ``out_truth`` (LANES, n_samples, N_TRUTH); restart the counts."""
    for j in range(LANES):
        t = out_truth[j, n]
        hot = max(0.0, work[S_TEMP, j] - work[P_VIB_KNEE, j])
        t[T_LOAD] = work[W_LOAD, j]
        t[T_AMBIENT] = work[W_AMBIENT, j]
        t[T_TEMP] = work[S_TEMP, j]
        t[T_COOLING] = work[W_COOLING, j]
        t[T_WEAR] = work[S_WEAR, j]
        t[T_FATIGUE] = work[S_FATIGUE, j]
        t[T_ELECTRICAL] = work[S_ELECTRICAL, j]
        t[T_RUNTIME] = work[S_RUNTIME, j]
        t[T_STATUS] = work[W_STATUS, j] + (0.0 if work[W_AVAILABLE, j] > 0.0 else DOWN)
        t[T_ENERGY] = work[S_ENERGY, j]
        t[T_PLAN] = work[S_PLAN, j]
        t[T_VIBRATION] = work[W_RUNNING, j] * vibration_mm_s(
            work[W_BASE, j], hot, work[P_HEAT_GAIN, j], work[S_WEAR, j], work[P_WEAR_GAIN, j]
        )
        out_work[S_ENERGY, j] = 0.0
        out_work[S_PLAN, j] = 0.0


@kernel
def run_block(block: Block, clock: Clock, inputs: Inputs, state: State, out_state: State, out: Output) -> None:
    """Advance a block by ``inputs.load.shape[0]`` slots.

    Reads ``state``, writes ``out_state`` (same shapes) and ``out``. Reading k of a slot is the state at the start of
    step k; wear, fatigue and temperature are advanced exactly (see ``thermal``, ``wear``), whatever the step.
    """
    p = block.params
    real = out_state.real
    flag = out_state.flag
    n_steps = clock.n_steps
    step_h = clock.slot_h / n_steps
    keep_rows = out.power_kw.shape[1] > 0
    tile_slots = max(1, TILE // n_steps)
    tile_temp = np.empty((tile_slots * n_steps, LANES), np.float32)
    tile_vib = np.empty((tile_slots * n_steps, LANES), np.float32)
    slot_power = np.empty((tile_slots, LANES))
    slot_runtime = np.empty((tile_slots, LANES))
    slot_running = np.empty((tile_slots, LANES))
    slot_status = np.empty((tile_slots, LANES), np.int8)
    no_rate = np.zeros((tile_slots, LANES))
    filled = np.int64(0)
    row = np.int64(0)
    effect = np.empty((N_EFFECTS, LANES))
    w = np.empty((N_WORK, LANES))
    load_params(p, step_h, w)
    begin_state(state, out_state, w)
    any_exponent = False
    any_ageing = False
    any_noise = False
    for j in range(LANES):
        any_exponent |= p[M_BEARING_EXPONENT, j] != 1.0
        any_ageing |= p[M_MONTSINGER_PER_H, j] > 0.0
        any_noise |= p[M_WEAR_NOISE_PER_SQRT_H, j] > 0.0
    any_spike = False
    next_change = inputs.first_slot
    for s in range(inputs.load.shape[0]):
        slot = inputs.first_slot + s
        if slot >= next_change:
            copy_rows(w, real)
            next_change = change_lanes(block, clock, slot, s == 0, out_state, effect, out)
            copy_rows(real, w)
            any_spike = settle(p, step_h, effect, flag, w)
        for j in range(LANES):
            w[W_ASKED, j] = inputs.load[s, j]
            w[W_PLANNED, j] = inputs.plan[s, j]
            w[W_AMBIENT, j] = inputs.ambient_c[s, j]
        for j in range(LANES):
            running = w[W_AVAILABLE, j] if w[W_ASKED, j] > 0.0 else 0.0
            w[W_RUNNING, j] = running
            w[W_STATUS, j] = ONLINE if running > 0.0 else w[W_STOPPED, j]
            w[W_LOAD, j] = w[W_ASKED, j] * w[W_FACTOR, j] * running
        if any_spike:
            for j in range(LANES):
                if w[W_SPIKE, j] > 0.0:
                    w[W_LOAD, j] *= spike_factor(block.keys, j, slot, w[W_SPIKE, j])
        if any_exponent:
            for j in range(LANES):
                if w[W_LOAD, j] > 0.0:
                    rate = wear_rate_per_mm_s_h(
                        p[M_WEAR_PER_MM_S_H, j], w[W_LOAD, j], p[M_BEARING_EXPONENT, j], p[M_BEARING_REF_FRAC, j]
                    )
                    w[W_EXTRA, j] = w[W_WEAR_ADD, j] / rate
                    w[W_GROWTH_LOG, j] = rate * w[P_WEAR_GAIN, j] * step_h
                    w[W_GROWTH_ON, j] = exp64(w[W_GROWTH_LOG, j])
                    w[W_TAU_WEAR, j] = weight_steps(w[W_GROWTH_LOG, j], w[W_TAU, j], w[W_DECAY, j])
                    w[W_KICK_ON, j] = (w[W_GROWTH_ON, j] - 1.0) / w[P_WEAR_GAIN, j]
        for j in range(LANES):
            x = w[W_LOAD, j]
            running = w[W_RUNNING, j]
            heat = running * heat_frac(x, w[P_FIXED, j], w[P_LINEAR, j], w[P_SQUARE, j])
            w[W_LIMIT, j] = temp_limit_c(w[W_AMBIENT, j], w[W_RISE, j], heat)
            w[W_GROWTH, j] = w[W_GROWTH_ON, j] if running > 0.0 else 1.0
            w[W_KICK, j] = w[W_KICK_ON, j] * running
            w[W_BASE, j] = (w[P_VIB, j] * x + w[W_VIB_ADD, j]) * running
            w[W_DRIVE, j] = w[W_BASE, j] + w[W_EXTRA, j]
            idle_kw = w[P_STANDBY, j] if w[W_STATUS, j] == OFFLINE else 0.0
            w[W_POWER, j] = x * w[P_RATED, j] if running > 0.0 else idle_kw
            w[W_CROSS, j] = abs(w[W_STATUS, j] - w[W_LAST, j])
            w[W_WEAR0, j] = w[S_WEAR, j]
            w[W_FATIGUE0, j] = w[S_FATIGUE, j]
            w[W_ELECTRICAL0, j] = w[S_ELECTRICAL, j]
        differs = 0.0
        for j in range(LANES):
            differs = max(differs, w[W_CROSS, j])
        if differs > 0.0:
            for j in range(LANES):
                if w[W_STATUS, j] != w[W_LAST, j]:
                    w[W_LAST, j] = w[W_STATUS, j]
                    put_status(block, slot * clock.slot_h, j, int(w[W_STATUS, j]), out_state, out)
        if slot % clock.truth_slots == 0:
            sample_truth(w, out.n_written[2], w, out.truth)
            out.n_written[2] += 1
        for k in range(n_steps):
            for j in range(LANES):
                t0 = w[S_TEMP, j]
                t1 = temp_next_c(t0, w[W_LIMIT, j], w[W_DECAY, j])
                mean = temp_mean_c(t0, t1, w[W_LIMIT, j], w[W_TAU, j])
                w[W_NEXT, j] = t1
                felt = temp_mean_c(t0, t1, w[W_LIMIT, j], w[W_TAU_WEAR, j])
                w[W_ABOVE_VIB, j] = max(0.0, felt - w[P_VIB_KNEE, j])
                w[W_ABOVE_FAT, j] = max(0.0, mean - w[P_FAT_KNEE, j])
                w[W_CROSS, j] = min(
                    (t0 - w[P_VIB_KNEE, j]) * (t1 - w[P_VIB_KNEE, j]), (t0 - w[P_FAT_KNEE, j]) * (t1 - w[P_FAT_KNEE, j])
                )
            nearest = 1.0
            for j in range(LANES):
                nearest = min(nearest, w[W_CROSS, j])
            if nearest < 0.0:
                for j in range(LANES):
                    t0, t1, limit, tau = w[S_TEMP, j], w[W_NEXT, j], w[W_LIMIT, j], w[W_TAU, j]
                    w[W_ABOVE_VIB, j] = growing_above_k(t0, t1, limit, tau, w[P_VIB_KNEE, j], w[W_GROWTH_LOG, j])
                    w[W_ABOVE_FAT, j] = mean_above_k(t0, t1, limit, tau, w[P_FAT_KNEE, j])
            if any_ageing:
                for j in range(LANES):
                    if p[M_MONTSINGER_PER_H, j] > 0.0 and w[W_RUNNING, j] > 0.0:
                        rate = montsinger_mean_per_h(
                            w[S_TEMP, j], w[W_LIMIT, j], w[W_TAU, j], p[M_MONTSINGER_PER_H, j],
                            p[M_MONTSINGER_REF_C, j], p[M_MONTSINGER_HALVING_K, j],
                        )  # fmt: skip
                        w[S_FATIGUE, j] += step_h * rate
            at = filled * n_steps + k
            for j in range(LANES):
                t0 = w[S_TEMP, j]
                wear = w[S_WEAR, j]
                hot = max(0.0, t0 - w[P_VIB_KNEE, j])
                vib = vibration_mm_s(w[W_BASE, j], hot, w[P_HEAT_GAIN, j], wear, w[P_WEAR_GAIN, j])
                tile_temp[at, j] = np.float32(t0)
                tile_vib[at, j] = np.float32(w[W_RUNNING, j] * vib)
                drive = w[W_DRIVE, j] + w[P_HEAT_GAIN, j] * w[W_ABOVE_VIB, j]
                w[S_WEAR, j] = wear_next(wear, drive, w[W_GROWTH, j], w[W_KICK, j])
                fatigue = w[W_FAT_GAIN, j] * w[W_ABOVE_FAT, j] + w[W_FAT_ADD, j]
                w[S_FATIGUE, j] += w[W_RUNNING, j] * fatigue
                w[S_TEMP, j] = w[W_NEXT, j]
        for j in range(LANES):
            slot_power[filled, j] = w[W_POWER, j]
            slot_runtime[filled, j] = w[S_RUNTIME, j]
            slot_running[filled, j] = w[W_RUNNING, j] * step_h
            slot_status[filled, j] = np.int8(w[W_STATUS, j])
        filled += 1
        if filled == tile_slots or s == inputs.load.shape[0] - 1:
            if keep_rows:
                flush_slots(slot_power, no_rate, filled, n_steps, row, out.power_kw)
                flush_steps(tile_temp, filled * n_steps, row, out.temp_c)
                flush_steps(tile_vib, filled * n_steps, row, out.vibration_mm_s)
                flush_slots(slot_runtime, slot_running, filled, n_steps, row, out.runtime_h)
                flush_codes(slot_status, filled, n_steps, row, out.status)
            row += filled * n_steps
            filled = np.int64(0)
        if any_noise:
            for j in range(LANES):
                key = block.keys[WEAR_NOISE, j]
                z = normal(random_bits(key_low(key), key_high(key), np.uint32(slot)))
                noise = w[W_RUNNING, j] * p[M_WEAR_NOISE_PER_SQRT_H, j] * math.sqrt(clock.slot_h) * z
                w[S_WEAR, j] = max(0.0, w[S_WEAR, j] + noise)
        for j in range(LANES):
            hours = w[W_RUNNING, j] * clock.slot_h
            w[S_ELECTRICAL, j] += w[P_ELECTRICAL, j] * w[W_LOAD, j] * w[W_LOAD, j] * hours
            w[S_RUNTIME, j] += hours
            w[S_AGE, j] += hours
            w[S_ENERGY, j] += w[W_POWER, j] * clock.slot_h
            planned = w[W_PLANNED, j] * w[P_RATED, j] if w[W_PLANNED, j] > 0.0 else w[P_STANDBY, j]
            w[S_PLAN, j] += planned * clock.slot_h
            damage = max(w[S_WEAR, j], w[S_FATIGUE, j], w[S_ELECTRICAL, j]) - 1.0
            spent = max(w[S_RUNTIME, j] - w[P_LIFE, j], w[S_AGE, j] - w[S_LIMIT, j])
            w[W_CROSS, j] = max(damage, spent) if w[W_RUNNING, j] > 0.0 else -1.0
        worst = -1.0
        for j in range(LANES):
            worst = max(worst, w[W_CROSS, j])
        if worst >= 0.0:
            copy_rows(w, real)
            next_change = fail_lanes(block, clock, slot, w[W_RUNNING], w[W_WEAR0:], out_state, out)
            copy_rows(real, w)
    copy_rows(w, real)
