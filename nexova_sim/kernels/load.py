"""Load fraction of a block of machines, slot by slot: duty profile, AR(1) variation, load/unload cycling, idling.

A slot is the time (300 s by default) over which the inputs of a machine are held constant.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.random import key_high, key_low, normals, random_bits, uniform

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
    return (loaded_share(u1, duty) - loaded_share(u0, duty)) / (u1 - u0)


@kernel
def cycled_load(x: float, slot: int, cycle_slots: float, phase: float, loaded: float, unloaded: float) -> float:
    """Load of one slot of a machine that cycles between two loads so that its mean is ``x``."""
    span = loaded - unloaded
    share = min(1.0, max(0.0, (x - unloaded) / span))
    return unloaded + span * cycle_mean(float(slot), cycle_slots, phase, share)


@kernel
def is_idle(key: np.uint64, quarter: int, share: float) -> bool:
    """True in a random ``share`` of the quarter hours."""
    return uniform(random_bits(key_low(key), key_high(key), np.uint32(quarter))) < share


@kernel
def fill_load(duty: DutyParams, profiles: np.ndarray, first_slot: int, slot_h: float, variation: np.ndarray,
              out_variation: np.ndarray, out_load: np.ndarray, out_plan: np.ndarray) -> None:  # fmt: skip
    """Fill load and planned load for slots first_slot, first_slot+1, ...

    ``profiles`` (n_profiles, n_slots): planned load fraction of each profile, 0 = off. ``variation`` and
    ``out_variation`` (LANES,) are the AR(1) state before and after. ``out_load`` (n_slots, LANES) gets the load, 0 =
    off by plan; ``out_plan`` the generator's own mean of it. The AR(1) state advances in every slot, also while the
    machine is off.
    """
    n_slots = out_load.shape[0]
    z = np.empty(n_slots, np.float32)
    for j in range(LANES):
        memory = duty.memory[j]
        kick = math.sqrt(1.0 - memory * memory) * duty.variation[j]
        profile = profiles[duty.profile[j]]
        scale = duty.scale[j]
        share = duty.idle_share[j]
        idle = duty.idle_frac[j]
        normals(duty.key_variation[j], first_slot, z)
        state = variation[j]
        for s in range(n_slots):
            state = memory * state + kick * z[s]
            base = profile[s] * scale
            out_load[s, j] = min(MAX_LOAD_FRAC, base * max(0.1, 1.0 + state))
            out_plan[s, j] = base * (1.0 - share) + idle * share if base > 0.0 else 0.0
        out_variation[j] = state
        if duty.cycle_slots[j] > 0.0:
            for s in range(n_slots):
                if out_load[s, j] > 0.0:
                    out_load[s, j] = cycled_load(
                        out_load[s, j], first_slot + s, duty.cycle_slots[j], duty.cycle_phase[j], duty.loaded_frac[j],
                        duty.unloaded_frac[j],
                    )  # fmt: skip
        if share > 0.0:
            for s in range(n_slots):
                quarter = math.floor((first_slot + s) * slot_h / IDLE_HOLD_H)
                if out_load[s, j] > 0.0 and is_idle(duty.key_idle[j], quarter, share):
                    out_load[s, j] = idle
