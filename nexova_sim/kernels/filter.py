"""Particle filter of one machine: hidden wear, fatigue, electrical stress and temperature from hourly means of readings.

A bootstrap filter (Gordon, Salmond, Smith 1993) with systematic resampling and weights as logarithms. Constants of the
build are part of the particle; after resampling a particle moves by a scaled difference of two others, which keeps mean
and covariance of the cloud when it also shrinks towards its mean (Liu, West 2001, with the kernel drawn as in
differential evolution). What changes from outside - a bearing that grinds itself down, imbalance, lost cooling - enters
as rare switches, and by proposals that explain the reading when the readings have become a surprise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64, log64, pow64
from nexova_sim.kernels.particles import (
    FILTER_PICK,
    FILTER_STEP,
    N_PARTICLE,
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
from nexova_sim.kernels.random import key_high, key_low, normal, random_bits, stream_key, uniform
from nexova_sim.kernels.rows import (
    C_BEARING,
    C_ELECTRICAL,
    C_LIFE,
    C_RANDOM,
    C_THERMAL,
    M_BEARING_EXPONENT,
    M_BEARING_REF_FRAC,
    M_ELECTRICAL_PER_H,
    M_FATIGUE_KNEE_C,
    M_FATIGUE_PER_K_H,
    M_HEAT_FIXED,
    M_HEAT_LINEAR,
    M_HEAT_SQUARE,
    M_MONTSINGER_HALVING_K,
    M_MONTSINGER_PER_H,
    M_MONTSINGER_REF_C,
    M_RISE_K,
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
    M_WEAR_NOISE_PER_SQRT_H,
    M_WEAR_PER_MM_S_H,
)
from nexova_sim.kernels.thermal import heat_frac, temp_mean_c, temp_next_c
from nexova_sim.kernels.wear import montsinger_mean_per_h, wear_next

# Columns of an hour of input. A variance of 0 means that there is no reading to compare with.
(I_LOAD, I_RUN, I_AMBIENT, I_TEMP, I_TEMP_VAR, I_VIB, I_VIB_VAR, I_RESTORE) = range(8)
N_INPUTS = 8

# Columns of a row of output: mean, 5 %, 50 %, 95 % of the four hidden quantities, then the effective sample size and the
# share of particles with a bearing fault, with imbalance and with lost cooling.
OUT_QUANTITIES = (Q_WEAR, Q_FATIGUE, Q_ELECTRICAL, Q_TEMP)
N_QUANTITIES = 4
O_ESS, O_EXTRA, O_SHIFT, O_COOLING = 16, 17, 18, 19
N_OUT = 20
N_BINS = 128
_LEVELS = (0.05, 0.5, 0.95)


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
def advance(params: np.ndarray, given: np.ndarray, settings: FilterSettings, key: np.uint64, hour: int,
            out_p: np.ndarray, out_seen: np.ndarray) -> None:  # fmt: skip
    """An hour of every particle; ``out_seen`` (2, n): mean temperature and vibration that its sensors would read."""
    k0, k1 = key_low(key), key_high(key)
    x, run, ambient_c = given[I_LOAD], given[I_RUN], given[I_AMBIENT]
    n = out_p.shape[1]
    gain, heat_gain = params[M_VIB_WEAR_GAIN], params[M_VIB_HEAT_GAIN]
    heat = run * heat_frac(x, params[M_HEAT_FIXED], params[M_HEAT_LINEAR], params[M_HEAT_SQUARE])
    harder = 1.0
    if params[M_BEARING_EXPONENT] != 1.0 and x > 0.0:
        harder = pow64(x / params[M_BEARING_REF_FRAC], params[M_BEARING_EXPONENT] - 1.0)
    noise = math.sqrt(run) * math.sqrt(settings.wear_noise_per_sqrt_h**2 + params[M_WEAR_NOISE_PER_SQRT_H] ** 2)
    stress = params[M_ELECTRICAL_PER_H] * x * x * run
    temp_noise = settings.temp_noise_k if x * run > 0.0 else 0.0
    usual_decay = exp64(-1.0 / params[M_TAU_H])
    for i in range(n):
        cooling = out_p[Q_COOLING, i]
        tau = params[M_TAU_H] / cooling
        limit = ambient_c + out_p[Q_RISE, i] / cooling * heat
        t0 = out_p[Q_TEMP, i]
        decay = usual_decay if cooling == 1.0 else exp64(-1.0 / tau)
        t1 = temp_next_c(t0, limit, decay)
        mean = temp_mean_c(t0, t1, limit, tau)
        rate = out_p[Q_RATE, i] * harder
        a = rate * gain * run
        # The exponential of a small number; 1e-9 relative up to a damage rate of 5 % an hour.
        growth = 1.0 + a * (1.0 + a * (0.5 + a * (1.0 / 6.0 + a * (1.0 / 24.0))))
        shaking = out_p[Q_VIB, i] * x + out_p[Q_SHIFT, i] + heat_gain * max(0.0, mean - params[M_VIB_KNEE_C])
        wear = out_p[Q_WEAR, i]
        worn = wear_next(wear, shaking + out_p[Q_EXTRA, i] / rate, growth, (growth - 1.0) / gain)
        bits = random_bits(k0, k1, np.uint32(2 * (hour * n + i) + 1))
        worn = max(0.0, worn + noise * np.float64(normal(bits)))
        # Within an hour the load moves, and the temperature at its end with it: another number from the same bits.
        t1 += temp_noise * np.float64(normal(np.uint32(bits * np.uint32(0x9E3779B1))))
        if params[M_MONTSINGER_PER_H] > 0.0 and run > 0.0:
            out_p[Q_FATIGUE, i] += run * montsinger_mean_per_h(
                t0, limit, tau, params[M_MONTSINGER_PER_H], params[M_MONTSINGER_REF_C], params[M_MONTSINGER_HALVING_K]
            )
        hot = params[M_FATIGUE_PER_K_H] * max(0.0, mean - params[M_FATIGUE_KNEE_C])
        out_p[Q_FATIGUE, i] += run * (hot + settings.fatigue_per_lost_cooling_h * (1.0 - cooling))
        out_p[Q_TEMP, i] = t1
        out_p[Q_WEAR, i] = worn
        out_p[Q_ELECTRICAL, i] += stress
        out_p[Q_RUNTIME, i] += run
        out_p[Q_AGE, i] += run
        out_seen[0, i] = mean
        out_seen[1, i] = shaking + gain * 0.5 * (wear + worn)


@kernel
def surprise_of(seen: np.ndarray, weight: np.ndarray, value: float, variance: float) -> float:
    """Squared distance of a reading from what the cloud expected, in units of the expected variance."""
    mean, square = 0.0, 0.0
    for i in range(seen.shape[0]):
        mean += weight[i] * seen[i]
        square += weight[i] * seen[i] * seen[i]
    return (value - mean) * (value - mean) / (max(0.0, square - mean * mean) + variance)


@kernel
def weigh(given: np.ndarray, seen: np.ndarray, p: np.ndarray, tail: float, out_log: np.ndarray) -> None:
    """Add the log likelihood of the hour's readings; tail 0 is normal noise, else Student's t with that many degrees.

    A machine that ran this hour has not failed: particles past their end lose their weight.
    """
    on_temp = 1.0 / given[I_TEMP_VAR] if given[I_TEMP_VAR] > 0.0 else 0.0
    on_vib = 1.0 / given[I_VIB_VAR] if given[I_VIB_VAR] > 0.0 else 0.0
    for i in range(out_log.shape[0]):
        t = given[I_TEMP] - seen[0, i]
        v = given[I_VIB] - seen[1, i]
        t2, v2 = t * t * on_temp, v * v * on_vib
        if tail > 0.0:
            out_log[i] -= 0.5 * (tail + 1.0) * log64((1.0 + t2 / tail) * (1.0 + v2 / tail))
        else:
            out_log[i] -= 0.5 * (t2 + v2)
        if given[I_RUN] > 0.0 and max(p[Q_WEAR, i], p[Q_FATIGUE, i], p[Q_ELECTRICAL, i]) > 1.0:
            out_log[i] -= 20.0


@kernel
def normalise(out_log: np.ndarray, out_weight: np.ndarray) -> float:
    """Weights that sum to 1 from their logarithms, which are shifted to a largest of 0; the effective sample size."""
    top = out_log[0]
    for i in range(out_log.shape[0]):
        top = max(top, out_log[i])
    total = 0.0
    for i in range(out_log.shape[0]):
        out_log[i] -= top
        out_weight[i] = exp64(out_log[i])
        total += out_weight[i]
    square = 0.0
    for i in range(out_log.shape[0]):
        out_weight[i] /= total
        square += out_weight[i] * out_weight[i]
    return 1.0 / square


@kernel
def resample(weight: np.ndarray, u: float, out_pick: np.ndarray) -> None:
    """Systematic resampling: particle i is picked floor or ceil of n times its weight times; ``u`` in (0, 1)."""
    n = weight.shape[0]
    reached, i = weight[0], 0
    for k in range(out_pick.shape[0]):
        level = (k + u) / out_pick.shape[0]
        while reached < level and i < n - 1:
            i += 1
            reached += weight[i]
        out_pick[k] = i


@kernel
def gather_roughened(p: np.ndarray, pick: np.ndarray, weight: np.ndarray, roughen: float, key: np.uint64, hour: int,
                     out_p: np.ndarray) -> None:  # fmt: skip
    """The picked particles, shrunk towards the mean and moved by differences of others (same faults only)."""
    k0, k1 = key_low(key), key_high(key)
    n = pick.shape[0]
    n_before = weight.shape[0]
    keep = math.sqrt(1.0 - roughen * roughen)
    step = roughen * math.sqrt(0.5)
    for row in range(N_PARTICLE):
        for i in range(n):
            out_p[row, i] = p[row, pick[i]]
    if roughen <= 0.0:
        return
    mean = np.zeros(N_PARTICLE)
    for row in range(N_PARTICLE):
        for i in range(n_before):
            mean[row] += weight[i] * p[row, i]
    for i in range(n):
        bits = random_bits(k0, k1, np.uint32(hour * n + i))
        a = pick[np.int64(bits & np.uint32(0xFFFF)) % n]
        b = pick[np.int64(bits >> np.uint32(16)) % n]
        c = pick[i]
        alike = (p[Q_EXTRA, a] > 0.0) == (p[Q_EXTRA, b] > 0.0) and (p[Q_SHIFT, a] > 0.0) == (p[Q_SHIFT, b] > 0.0)
        if alike and p[Q_COOLING, a] == 1.0 and p[Q_COOLING, b] == 1.0:
            plain = p[Q_EXTRA, c] == 0.0 and p[Q_SHIFT, c] == 0.0 and p[Q_COOLING, c] == 1.0
            for row in (Q_TEMP, Q_WEAR, Q_FATIGUE, Q_ELECTRICAL, Q_RISE, Q_VIB, Q_RATE):
                base = mean[row] + keep * (p[row, c] - mean[row]) if plain else p[row, c]
                out_p[row, i] = max(0.0, base + step * (p[row, a] - p[row, b]))


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
        # Between what the hour's mean says and what a temperature still rising will say.
        found = out_p[Q_RISE, i] * heat / above * (0.6 + 2.0 * u)
        out_p[Q_COOLING, i] = min(1.0, max(0.1, found)) if out_p[Q_COOLING, i] == 1.0 else 1.0


@kernel
def quantiles(values: np.ndarray, weight: np.ndarray, out_row: np.ndarray) -> None:
    """Weighted mean, 5 %, 50 % and 95 % into ``out_row`` (4,), from a histogram of 128 bins over mean +- 5 sd."""
    n = values.shape[0]
    mean, square = 0.0, 0.0
    low, high = values[0], values[0]
    for i in range(n):
        mean += weight[i] * values[i]
        square += weight[i] * values[i] * values[i]
        low, high = min(low, values[i]), max(high, values[i])
    sd = math.sqrt(max(0.0, square - mean * mean))
    low, high = max(low, mean - 5.0 * sd), min(high, mean + 5.0 * sd)
    out_row[0] = mean
    if high - low <= 1e-12 * max(1.0, abs(mean)):
        out_row[1], out_row[2], out_row[3] = mean, mean, mean
        return
    bins = np.zeros(N_BINS)
    per_unit = N_BINS / (high - low)
    for i in range(n):
        b = int((values[i] - low) * per_unit)
        bins[min(N_BINS - 1, max(0, b))] += weight[i]
    reached, b = 0.0, 0
    for q in range(3):
        level = _LEVELS[q]
        while b < N_BINS - 1 and reached + bins[b] < level:
            reached += bins[b]
            b += 1
        within = (level - reached) / bins[b] if bins[b] > 0.0 else 0.0
        out_row[1 + q] = low + (b + min(1.0, max(0.0, within))) / per_unit


@kernel
def write_row(p: np.ndarray, weight: np.ndarray, ess: float, out_row: np.ndarray) -> None:
    """A row of output (N_OUT,) of the cloud."""
    for q in range(N_QUANTITIES):
        quantiles(p[OUT_QUANTITIES[q]], weight, out_row[4 * q : 4 * q + 4])
    out_row[O_ESS] = ess
    out_row[O_EXTRA], out_row[O_SHIFT], out_row[O_COOLING] = 0.0, 0.0, 0.0
    for i in range(p.shape[1]):
        out_row[O_EXTRA] += weight[i] if p[Q_EXTRA, i] > 0.0 else 0.0
        out_row[O_SHIFT] += weight[i] if p[Q_SHIFT, i] > 0.0 else 0.0
        out_row[O_COOLING] += weight[i] if p[Q_COOLING, i] < 1.0 else 0.0


@kernel
def keep_cloud(p: np.ndarray, weight: np.ndarray, out_cloud: np.ndarray) -> None:
    """The cloud resampled to equal weights, (n, N_PARTICLE)."""
    pick = np.zeros(out_cloud.shape[0], np.int64)
    resample(weight, 0.5, pick)
    for i in range(pick.shape[0]):
        for row in range(N_PARTICLE):
            out_cloud[i, row] = p[row, pick[i]]


@kernel
def track_machine(params: np.ndarray, particles: np.ndarray, given: np.ndarray, settings: FilterSettings,
                  key: np.uint64, out_row: np.ndarray, keep_hour: np.ndarray, out_kept: np.ndarray) -> None:  # fmt: skip
    """Follow a machine through hours of readings.

    ``params`` (N_PARAMS,); ``particles`` (N_PARTICLE, n0) at the beginning, more than are kept on after the trial; ``given`` (hours, N_INPUTS); ``key`` names
    the random numbers. Row h of ``out_row`` (hours + 1, N_OUT) is the state at the beginning of hour h as the readings
    before tell it. ``keep_hour`` (k,) int64, rising: hours at which the cloud itself is kept, resampled to equal
    weights, in ``out_kept`` (k, n, N_PARTICLE).
    """
    n, n_last = particles.shape[1], int(settings.n_particles)
    step_key, pick_key = stream_key(key, np.uint64(1), FILTER_STEP), stream_key(key, np.uint64(1), FILTER_PICK)
    move_key, why_key = stream_key(key, np.uint64(2), FILTER_PICK), stream_key(key, np.uint64(3), FILTER_PICK)
    p, other = particles.copy(), np.empty((N_PARTICLE, n))
    logs, weight, pick = np.zeros(n), np.full(n, 1.0 / n), np.zeros(n, np.int64)
    seen = np.zeros((2, n))
    hot, shaken, kept, informed, ess = 0.0, 0.0, 0, 0, np.float64(n)
    for h in range(given.shape[0] + 1):
        if h < given.shape[0] and given[h, I_RESTORE] > 0.0:
            renew(int(given[h, I_RESTORE]), p)
            shaken = 0.0
        write_row(p, weight, ess, out_row[h])
        if kept < keep_hour.shape[0] and keep_hour[kept] == h:
            keep_cloud(p, weight, out_kept[kept])
            kept += 1
        if h == given.shape[0]:
            break
        now = given[h]
        switch(step_key, h, settings, p)
        advance(params, now, settings, step_key, h, p, seen)
        if now[I_TEMP_VAR] > 0.0:
            hot = 0.6 * hot + 0.4 * surprise_of(seen[0], weight, now[I_TEMP], now[I_TEMP_VAR])
        if now[I_VIB_VAR] > 0.0:
            shaken = 0.6 * shaken + 0.4 * surprise_of(seen[1], weight, now[I_VIB], now[I_VIB_VAR])
            informed += 1
        weigh(now, seen, p, settings.tail, logs)
        ess = normalise(logs, weight)
        strange = settings.surprise > 0.0 and max(hot, shaken) > settings.surprise
        is_over = n > n_last and informed >= settings.trial_h
        if ess < settings.ess_frac * n or strange or is_over:
            u = uniform(random_bits(key_low(pick_key), key_high(pick_key), np.uint32(h)))
            if is_over:
                n = n_last
                pick, other = np.zeros(n, np.int64), np.empty((N_PARTICLE, n))
            resample(weight, u, pick)
            gather_roughened(p, pick, weight, settings.roughen, move_key, h, other)
            p, other = other, p
            if is_over:
                other, seen = np.empty((N_PARTICLE, n)), np.zeros((2, n))
                logs, weight = np.zeros(n), np.zeros(n)
            for i in range(n):
                logs[i], weight[i] = 0.0, 1.0 / n
            if strange and shaken > settings.surprise:
                propose(params, now, settings, why_key, h, informed < settings.trial_h, p)
            if strange and hot > settings.surprise:
                propose_cooling(params, now, why_key, h, p)
