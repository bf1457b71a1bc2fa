"""What a particle filter may think of a machine: how it begins, what maintenance renews, what else may be."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.particles import (
    Q_AGE,
    Q_COOLING,
    Q_ELECTRICAL,
    Q_EXTRA,
    Q_FATIGUE,
    Q_RATE,
    Q_RISE,
    Q_RUNTIME,
    Q_SHIFT,
    Q_TEMP,
    Q_VIB,
    Q_WEAR,
)
from nexova_sim.kernels.random import key_high, key_low, normal, random_bits, uniform
from nexova_sim.kernels.rows import (
    C_BEARING,
    C_ELECTRICAL,
    C_LIFE,
    C_RANDOM,
    C_THERMAL,
    M_ELECTRICAL_PER_H,
    M_HEAT_FIXED,
    M_HEAT_LINEAR,
    M_HEAT_SQUARE,
    M_RISE_K,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
    M_WEAR_PER_MM_S_H,
)
from nexova_sim.kernels.thermal import heat_frac

# Columns of an hour of input. A variance of 0 means that there is no reading to compare with.
(I_LOAD, I_RUN, I_AMBIENT, I_TEMP, I_TEMP_VAR, I_VIB, I_VIB_VAR, I_RESTORE) = range(8)
N_INPUTS = 8


# Cooling that counts as lost is at most this share of what was built; less could not be told from the build.
LEAST_LOSS = 0.9


class FilterSettings(NamedTuple):
    """How the filter thinks of machines and readings; see config/track.py for the meaning of each."""

    spread_frac: float
    known_frac: float
    tail: float
    roughen: float
    wear_noise_per_sqrt_h: float
    switch_per_h: float
    end_per_h: float
    most_extra_per_h: float
    fatigue_per_lost_cooling_h: float
    surprise: float
    ess_frac: float
    temp_noise_k: float
    trial_h: float
    widen: float
    n_particles: float


@kernel
def begin_particles(params: np.ndarray, load_frac: float, age_h: float, settings: FilterSettings, key: np.uint64,
                    out_p: np.ndarray) -> None:  # fmt: skip
    """Particles (N_PARTICLE, n) of a machine of ``age_h`` running hours at usual load ``load_frac``, builds spread.

    Wear is what that age gives, except in a share of particles of which nothing is assumed: their bearing may have been
    changed before.
    """
    k0, k1 = key_low(key), key_high(key)
    gain = params[M_VIB_WEAR_GAIN]
    n = out_p.shape[1]
    for i in range(n):
        first = np.uint32(8 * i)
        rise = 1.0 + settings.spread_frac * (2.0 * uniform(random_bits(k0, k1, first)) - 1.0)
        vib = 1.0 + settings.spread_frac * (2.0 * uniform(random_bits(k0, k1, first + np.uint32(1))) - 1.0)
        rate = 1.0 + settings.spread_frac * (2.0 * uniform(random_bits(k0, k1, first + np.uint32(2))) - 1.0)
        load = 1.0 + settings.spread_frac * (2.0 * uniform(random_bits(k0, k1, first + np.uint32(3))) - 1.0)
        x = load_frac * load
        out_p[Q_TEMP, i] = 25.0
        out_p[Q_RISE, i] = params[M_RISE_K] * rise
        out_p[Q_VIB, i] = params[M_VIB_RATED_MM_S] * vib
        out_p[Q_RATE, i] = params[M_WEAR_PER_MM_S_H] * rate
        grown = exp64(min(30.0, out_p[Q_RATE, i] * gain * age_h)) - 1.0
        out_p[Q_WEAR, i] = min(0.999, out_p[Q_VIB, i] * x / gain * grown)
        if uniform(random_bits(k0, k1, first + np.uint32(4))) > settings.known_frac:
            out_p[Q_WEAR, i] = uniform(random_bits(k0, k1, first + np.uint32(5)))
        out_p[Q_FATIGUE, i] = 0.0
        out_p[Q_ELECTRICAL, i] = min(0.999, params[M_ELECTRICAL_PER_H] * x * x * age_h)
        out_p[Q_RUNTIME, i] = age_h
        out_p[Q_AGE, i] = age_h
        out_p[Q_COOLING, i] = 1.0
        out_p[Q_EXTRA, i] = 0.0
        out_p[Q_SHIFT, i] = 0.0


@kernel
def renew(restored: int, out_p: np.ndarray) -> None:
    """What maintenance renewed (component bits) is new in every particle, and its faults are gone."""
    for i in range(out_p.shape[1]):
        if restored & C_BEARING:
            out_p[Q_WEAR, i] = 0.0
            out_p[Q_EXTRA, i] = 0.0
            out_p[Q_SHIFT, i] = 0.0
        if restored & C_THERMAL:
            out_p[Q_FATIGUE, i] = 0.0
            out_p[Q_COOLING, i] = 1.0
        if restored & C_ELECTRICAL:
            out_p[Q_ELECTRICAL, i] = 0.0
        if restored & C_LIFE:
            out_p[Q_RUNTIME, i] = 0.0
        if restored & C_RANDOM:
            out_p[Q_AGE, i] = 0.0


@kernel
def switch(key: np.uint64, hour: int, settings: FilterSettings, out_p: np.ndarray) -> None:
    """Rare changes from outside: a bearing begins or ends to grind itself down, imbalance and lost cooling end."""
    k0, k1 = key_low(key), key_high(key)
    n = out_p.shape[1]
    begins, ends = settings.switch_per_h, settings.end_per_h
    for i in range(n):
        u = uniform(random_bits(k0, k1, np.uint32(2 * (hour * n + i))))
        if out_p[Q_EXTRA, i] > 0.0:
            if u < ends:
                out_p[Q_EXTRA, i] = 0.0
        elif u < begins:
            out_p[Q_EXTRA, i] = settings.most_extra_per_h * (0.1 + 0.9 * u / begins)
        if u > 1.0 - ends:
            out_p[Q_SHIFT, i] = 0.0
            out_p[Q_COOLING, i] = 1.0


@kernel
def propose(params: np.ndarray, given: np.ndarray, settings: FilterSettings, key: np.uint64, hour: int,
            is_new: bool, out_p: np.ndarray) -> None:  # fmt: skip
    """Let a quarter of the particles explain a surprising vibration: by imbalance, by its end, by a bearing that wears.

    ``is_new`` is true while the wear the filter started from is still on trial: then wear itself may be another.
    """
    k0, k1 = key_low(key), key_high(key)
    n = out_p.shape[1]
    x, gain = given[I_LOAD], params[M_VIB_WEAR_GAIN]
    for i in range(n):
        u = uniform(random_bits(k0, k1, np.uint32(2 * (hour * n + i))))
        if u > 0.25:
            continue
        z = np.float64(normal(random_bits(k0, k1, np.uint32(2 * (hour * n + i) + 1))))
        heat = params[M_VIB_HEAT_GAIN] * max(0.0, out_p[Q_TEMP, i] - params[M_VIB_KNEE_C])
        rest = given[I_VIB] + math.sqrt(given[I_VIB_VAR]) * z - out_p[Q_VIB, i] * x - heat
        explained = min(0.999, max(0.0, (rest - out_p[Q_SHIFT, i]) / gain))
        choice = 4.0 * u
        if choice < (0.5 if is_new else 0.02):
            out_p[Q_WEAR, i] = explained
        elif choice < 0.7:
            out_p[Q_SHIFT, i] = max(0.0, rest - gain * out_p[Q_WEAR, i]) if out_p[Q_SHIFT, i] == 0.0 else 0.0
        elif explained > out_p[Q_WEAR, i]:
            out_p[Q_WEAR, i] = explained
            out_p[Q_EXTRA, i] = settings.most_extra_per_h * (0.1 + 0.9 * (choice - 0.7) / 0.3)


@kernel
def propose_cooling(params: np.ndarray, given: np.ndarray, key: np.uint64, hour: int, out_p: np.ndarray) -> None:
    """Let a quarter of the particles explain a surprising temperature by lost cooling, or by its return."""
    k0, k1 = key_low(key), key_high(key)
    n = out_p.shape[1]
    heat = given[I_RUN] * heat_frac(given[I_LOAD], params[M_HEAT_FIXED], params[M_HEAT_LINEAR], params[M_HEAT_SQUARE])
    for i in range(n):
        u = uniform(random_bits(k0, k1, np.uint32(hour * n + i) ^ np.uint32(0x80000000)))
        if u > 0.25 or heat <= 0.0:
            continue
        above = max(1.0, given[I_TEMP] - given[I_AMBIENT])
        steady = out_p[Q_RISE, i] * heat / above
        if out_p[Q_COOLING, i] == 1.0:
            # Between what the hour's mean says and what a temperature still rising will say.
            out_p[Q_COOLING, i] = min(LEAST_LOSS, max(0.1, steady * (0.6 + 2.0 * u)))
        else:
            out_p[Q_COOLING, i] = 1.0 if u < 0.125 else min(LEAST_LOSS, max(0.1, steady * (0.9 + 1.6 * (u - 0.125))))
