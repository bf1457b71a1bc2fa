"""Ambient temperature and factory demand: yearly and daily cosines plus AR(1) noise, slot by slot."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import cos_turn
from nexova_sim.kernels.random import key_high, key_low, normal, random_bits

HOURS_PER_YEAR = 8765.8128  # tropical year, 365.2422 d


@kernel
def fill_wave(start_h: float, slot_h: float, first_slot: int, wave: np.ndarray, out_value: np.ndarray) -> None:
    """Mean + annual cosine + daily cosine for slots first_slot, first_slot+1, ...

    ``start_h`` is the hour since 1 January, local solar time, at which slot 0 starts: the sum is formed the same way
    wherever a period begins, so that no bit depends on the partition.
    ``wave`` (5,): mean, annual amplitude, hour of the year of the annual peak, daily amplitude, hour of the daily peak.
    The value of a slot is taken at its middle. ``out_value`` (n_slots,) float64.
    """
    for s in range(out_value.shape[0]):
        h = start_h + (first_slot + s + 0.5) * slot_h
        annual = wave[1] * cos_turn((h - wave[2]) / HOURS_PER_YEAR)
        daily = wave[3] * cos_turn((h - wave[4]) / 24.0)
        out_value[s] = wave[0] + annual + daily


@kernel
def add_ar1(
    key: np.uint64, first_slot: int, memory: float, deviation: float, start: float, out_value: np.ndarray
) -> float:
    """Add a stationary AR(1) process (coefficient ``memory`` per slot) to ``out_value``; returns its last value.

    ``start`` is the process just before ``first_slot``.
    """
    k0 = key_low(key)
    k1 = key_high(key)
    kick = deviation * math.sqrt(1.0 - memory * memory)
    state = start
    for s in range(out_value.shape[0]):
        state = memory * state + kick * np.float64(normal(random_bits(k0, k1, np.uint32(first_slot + s))))
        out_value[s] += state
    return state
