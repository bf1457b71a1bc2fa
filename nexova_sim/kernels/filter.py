"""Particle filter of one machine: hidden wear, fatigue, electrical stress, temperature from hourly means of readings.

A bootstrap filter (Gordon, Salmond, Smith 1993) with systematic resampling and weights as logarithms. Constants of the
build are part of the particle; after resampling a particle moves by a scaled difference of two others, which keeps mean
and covariance of the cloud when it also shrinks towards its mean (Liu, West 2001, with the kernel drawn as in
differential evolution). What changes from outside - a bearing that grinds itself down, imbalance, lost cooling - enters
as rare switches, and by proposals that explain the reading when the readings have become a surprise.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.filter_cloud import (
    gather_roughened,
    keep_cloud,
    normalise,
    resample,
    surprise_of,
    write_row,
)
from nexova_sim.kernels.filter_moves import (
    I_AMBIENT,
    I_LOAD,
    I_RESTORE,
    I_RUN,
    I_TEMP,
    I_TEMP_VAR,
    I_VIB,
    I_VIB_VAR,
    FilterSettings,
    propose,
    propose_cooling,
    renew,
    switch,
)
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
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_WEAR_GAIN,
    M_WEAR_NOISE_PER_SQRT_H,
)
from nexova_sim.kernels.thermal import heat_frac, temp_mean_c, temp_next_c
from nexova_sim.kernels.wear import montsinger_mean_per_h, wear_next


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
    temp_noise = settings.temp_noise_k if x * run > 0.0 else 0.3 * settings.temp_noise_k
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
def track_machine(params: np.ndarray, particles: np.ndarray, given: np.ndarray, settings: FilterSettings,
                  key: np.uint64, out_row: np.ndarray, keep_hour: np.ndarray,
                  out_kept: np.ndarray) -> None:  # fmt: skip
    """Follow a machine through hours of readings.

    ``params`` (N_PARAMS,); ``particles`` (N_PARTICLE, n0) at the beginning, more than are kept on after the trial;
    ``given`` (hours, N_INPUTS); ``key`` names the random numbers. Row h of ``out_row`` (hours + 1, N_OUT) is the state
    at the beginning of hour h as the readings before tell it. ``keep_hour`` (k,) int64, rising: hours at which the
    cloud itself is kept, resampled to equal weights, in ``out_kept`` (k, n, N_PARTICLE).
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
            gather_roughened(p, pick, weight, settings.widen / max(2.0, ess), settings.roughen, move_key, h, other)
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
