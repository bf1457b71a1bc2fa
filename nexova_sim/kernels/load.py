"""Load fraction of a block of machines, slot by slot: duty profile, AR(1) variation, load/unload cycling, idling.

A slot is the time (300 s by default) over which the inputs of a machine are held constant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.random import key_high, key_low, normal, random_bits, uniform

LANES = 16
IDLE_HOLD_H = 0.25
MAX_LOAD_FRAC = 1.8


class DutyParams(NamedTuple):
    """How a block of machines is loaded; every array is (LANES,) and float64 unless said otherwise."""

    profile: np.ndarray  # int64, row of the profile table
    scale: np.ndarray  # build spread of the load, about 1
    variation: np.ndarray  # standard deviation of the AR(1) factor
    memory: np.ndarray  # AR(1) coefficient per slot
    cycle_slots: np.ndarray  # period of load/unload cycling in slots; 0 = none
    cycle_phase: np.ndarray  # 0..1
    loaded_frac: np.ndarray  # load while loaded
    unloaded_frac: np.ndarray  # load while unloaded
    idle_share: np.ndarray  # share of quarter hours spent idling while on
    idle_frac: np.ndarray  # load while idling
    key_variation: np.ndarray  # uint64
    key_idle: np.ndarray  # uint64


@kernel
def loaded_share(u: float, duty: float) -> float:
    """Integral from 0 to u (in cycles) of a square wave that is 1 for the first ``duty`` of each cycle."""
    whole = math.floor(u)
    return whole * duty + min(u - whole, duty)


@kernel
def cycle_mean(slot: float, cycle_slots: float, phase: float, duty: float) -> float:
    """Share of slot ``slot`` that a load/unload cycle spends loaded: exact, so the mean does not depend on the slot."""
    u0 = slot / cycle_slots + phase
    u1 = (slot + 1.0) / cycle_slots + phase
    return (loaded_share(u1, duty) - loaded_share(u0, duty)) / (u1 - u0)  # type: ignore[no-any-return]


@kernel
def lane_load(duty: DutyParams, lane: int, base: float, slot: int, slot_h: float, variation: float) -> float:
    """Load fraction of one lane in one slot from its planned load ``base`` (> 0) and the AR(1) value."""
    x = base * max(0.1, 1.0 + variation)
    if duty.cycle_slots[lane] > 0.0:
        span = duty.loaded_frac[lane] - duty.unloaded_frac[lane]
        share = min(1.0, max(0.0, (x - duty.unloaded_frac[lane]) / span))
        on = cycle_mean(float(slot), duty.cycle_slots[lane], duty.cycle_phase[lane], share)
        x = duty.unloaded_frac[lane] + span * on
    if duty.idle_share[lane] > 0.0:
        quarter = np.uint32(math.floor(slot * slot_h / IDLE_HOLD_H))
        key = duty.key_idle[lane]
        if uniform(random_bits(key_low(key), key_high(key), quarter)) < duty.idle_share[lane]:
            x = duty.idle_frac[lane]
    return min(MAX_LOAD_FRAC, x)


@kernel
def fill_load(duty: DutyParams, profiles: np.ndarray, first_slot: int, slot_h: float, variation: np.ndarray,
              out_variation: np.ndarray, out_load: np.ndarray, out_plan: np.ndarray) -> None:  # fmt: skip
    """Fill load and planned load for slots first_slot, first_slot+1, ...

    ``profiles`` (n_profiles, n_slots): planned load fraction of each profile, 0 = off. ``variation`` and ``out_variation``
    (LANES,) are the AR(1) state before and after. ``out_load`` (n_slots, LANES) gets the load, 0 = off by plan;
    ``out_plan`` the generator's own mean of it. The AR(1) state advances in every slot, also while the machine is off.
    """
    n_slots = out_load.shape[0]
    kick = np.empty(LANES)
    z = np.empty(LANES)
    key0 = np.empty(LANES, np.uint32)
    key1 = np.empty(LANES, np.uint32)
    state = np.empty(LANES)
    for j in range(LANES):
        kick[j] = math.sqrt(1.0 - duty.memory[j] * duty.memory[j]) * duty.variation[j]
        key0[j] = key_low(duty.key_variation[j])
        key1[j] = key_high(duty.key_variation[j])
        state[j] = variation[j]
    for s in range(n_slots):
        counter = np.uint32(first_slot + s)
        for j in range(LANES):
            z[j] = normal(random_bits(key0[j], key1[j], counter))
        for j in range(LANES):
            state[j] = duty.memory[j] * state[j] + kick[j] * z[j]
            base = profiles[duty.profile[j], s] * duty.scale[j]
            if base > 0.0:
                out_load[s, j] = lane_load(duty, j, base, first_slot + s, slot_h, state[j])
                idle = duty.idle_share[j]
                out_plan[s, j] = base * (1.0 - idle) + duty.idle_frac[j] * idle
            else:
                out_load[s, j] = 0.0
                out_plan[s, j] = 0.0
    for j in range(LANES):
        out_variation[j] = state[j]
