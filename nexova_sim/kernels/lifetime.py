"""Remaining life by Monte Carlo: particles of machines hour by hour under a stated future load until something fails.

Sixteen particles run abreast without a branch between them. A lane whose particle has failed takes the next one at the
end of its tile of hours, so that the slowest does not keep fifteen lanes busy with nothing.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.lanes import crossing, smallest
from nexova_sim.kernels.load import MAX_LOAD_FRAC
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.particles import (
    FUTURE_LIFE,
    FUTURE_LOAD,
    FUTURE_WEAR,
    HOURS_PER_WEEK,
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
    START_COUNTER,
    Future,
)
from nexova_sim.kernels.random import key_high, key_low, mix64, normal, random_bits, stream_key, uniform
from nexova_sim.kernels.rows import (
    F_BEARING,
    F_ELECTRICAL,
    F_END_OF_LIFE,
    F_RANDOM,
    F_THERMAL,
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
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_WEAR_GAIN,
    M_WEAR_NOISE_PER_SQRT_H,
    M_WEIBULL_SCALE_H,
    M_WEIBULL_SHAPE,
    N_FAILURES,
    N_PARAMS,
)
from nexova_sim.kernels.thermal import heat_frac, temp_limit_c, temp_mean_c, temp_next_c
from nexova_sim.kernels.wear import montsinger_mean_per_h, wear_next, wear_rate_per_mm_s_h, weibull_age_h

TILE_H = 24

# Rows of the working array: the particle, the parameters of its situation, what follows from them, scratch.
P = N_PARTICLE
(W_LIMIT_AGE, W_DECAY, W_TAU, W_RISE, W_GROWTH, W_KICK, W_EXTRA, W_ACTIVE, W_VARIATION, W_WEAR0, W_FATIGUE0,
 W_ELECTRICAL0, W_CROSS, W_START_RUNTIME, W_MEMORY, W_NUDGE, W_LOAD, W_AMBIENT,
 W_Z) = range(P + N_PARAMS, P + N_PARAMS + 19)  # fmt: skip
N_WORK = P + N_PARAMS + 19
(K_LOAD0, K_LOAD1, K_WEAR0, K_WEAR1) = range(4)


@kernel
def at(row: int, lane: int) -> int:
    """Place of a row and lane in the working array.

    It is flat, because then rows lie a known distance apart and the compiler sees that they do not overlap.
    """
    return row * LANES + lane


@kernel
def sample_key(future_key: np.uint64, draw: int) -> np.uint64:
    """The name under which draw number ``draw`` of a future takes its random numbers."""
    return mix64(np.uint64(future_key) + np.uint64(draw + 1) * np.uint64(0x9FB21C651E98DF25))


@kernel
def put_wear_rate(lane: int, rate: float, out_w: np.ndarray) -> None:
    """What an hour of wear at ``rate`` (per hour and mm/s) means: growth, kick and the fault's share of the drive."""
    gain = out_w[at(P + M_VIB_WEAR_GAIN, lane)]
    growth = exp64(rate * gain)
    out_w[at(W_GROWTH, lane)] = growth
    out_w[at(W_KICK, lane)] = (growth - 1.0) / gain
    out_w[at(W_EXTRA, lane)] = out_w[at(Q_EXTRA, lane)] / rate


@kernel
def load_lane(lane: int, params: np.ndarray, particle: np.ndarray, situation: int, out_w: np.ndarray) -> None:
    """Put a particle (N_PARTICLE,) and the parameters of its situation, a column of (N_PARAMS, s), into a lane."""
    for i in range(N_PARTICLE):
        out_w[at(i, lane)] = particle[i]
    for i in range(N_PARAMS):
        out_w[at(P + i, lane)] = params[i, situation]
    cooling = particle[Q_COOLING]
    out_w[at(W_DECAY, lane)] = exp64(-cooling / params[M_TAU_H, situation])
    out_w[at(W_TAU, lane)] = params[M_TAU_H, situation] / cooling
    out_w[at(W_RISE, lane)] = particle[Q_RISE] / cooling
    put_wear_rate(lane, particle[Q_RATE], out_w)
    out_w[at(W_ACTIVE, lane)] = 1.0
    out_w[at(W_START_RUNTIME, lane)] = particle[Q_RUNTIME]


@kernel
def begin_chance(lane: int, key: np.uint64, seed: np.uint64, variation: float, memory: float, out_keys: np.ndarray,
                 out_w: np.ndarray) -> None:  # fmt: skip
    """Give a lane its random streams, its load variation at the start and the age at which chance ends it."""
    load = stream_key(seed, key, FUTURE_LOAD)
    wear = stream_key(seed, key, FUTURE_WEAR)
    life = stream_key(seed, key, FUTURE_LIFE)
    out_keys[K_LOAD0, lane], out_keys[K_LOAD1, lane] = key_low(load), key_high(load)
    out_keys[K_WEAR0, lane], out_keys[K_WEAR1, lane] = key_low(wear), key_high(wear)
    z = normal(random_bits(key_low(load), key_high(load), START_COUNTER))
    out_w[at(W_VARIATION, lane)] = variation * np.float64(z)
    out_w[at(W_MEMORY, lane)] = memory
    out_w[at(W_NUDGE, lane)] = math.sqrt(1.0 - memory * memory) * variation
    u = uniform(random_bits(key_low(life), key_high(life), np.uint32(0)))
    shape, scale = out_w[at(P + M_WEIBULL_SHAPE, lane)], out_w[at(P + M_WEIBULL_SCALE_H, lane)]
    out_w[at(W_LIMIT_AGE, lane)] = weibull_age_h(out_w[at(Q_AGE, lane)], shape, scale, u)


@kernel
def fill_normals(keys: np.ndarray, row: int, hours: np.ndarray, out_z: np.ndarray) -> None:
    """Standard normals of the next tile of hours of every lane; ``out_z`` (TILE_H, LANES) float32."""
    for k in range(out_z.shape[0]):
        for j in range(LANES):
            counter = np.uint32(hours[j] + np.uint32(k))
            out_z[k, j] = normal(random_bits(keys[row, j], keys[row + 1, j], counter))


@kernel
def fill_plan(future: Future, place: np.ndarray, hours: np.ndarray, out_plan: np.ndarray,
              out_ambient_c: np.ndarray) -> None:  # fmt: skip
    """Planned load and ambient of the next tile of hours of every lane, (TILE_H, LANES) float64."""
    for j in range(LANES):
        s = place[j]
        at = (future.start_hour[s] + np.int64(hours[j])) % HOURS_PER_WEEK
        for k in range(out_plan.shape[0]):
            out_plan[k, j] = future.week_load[s, at]
            out_ambient_c[k, j] = future.ambient_c[s, at]
            at = at + 1 if at + 1 < HOURS_PER_WEEK else 0


@kernel
def vary_load(z: np.ndarray, plan: np.ndarray, out_w: np.ndarray) -> None:
    """Load of the hour: the plan times a factor that follows an AR(1) process driven by the normals ``z``."""
    for j in range(LANES):
        out_w[at(W_LOAD, j)] = plan[j]
        out_w[at(W_Z, j)] = z[j]
        out_w[at(W_FATIGUE0, j)] = out_w[at(Q_FATIGUE, j)]
    for j in range(LANES):
        out_w[at(W_VARIATION, j)] = (
            out_w[at(W_MEMORY, j)] * out_w[at(W_VARIATION, j)] + out_w[at(W_NUDGE, j)] * out_w[at(W_Z, j)]
        )
        # A lane without a particle stands still, so that its numbers stay finite however long the others take.
        factor = out_w[at(W_ACTIVE, j)] * max(0.1, 1.0 + out_w[at(W_VARIATION, j)])
        out_w[at(W_LOAD, j)] = min(MAX_LOAD_FRAC, out_w[at(W_LOAD, j)] * factor)


@kernel
def step_hour(out_w: np.ndarray) -> float:
    """One hour of every lane under its W_LOAD, W_AMBIENT and the normal W_Z of its wear.

    Returns the largest excess of a damage, life or age over its limit. The temperature above a knee is that of the
    hour's exact mean: exact unless the knee is crossed within the hour.
    """
    for j in range(LANES):
        x = out_w[at(W_LOAD, j)]
        running = 1.0 if x > 0.0 else 0.0
        heat = running * heat_frac(x, out_w[at(P + M_HEAT_FIXED, j)], out_w[at(P + M_HEAT_LINEAR, j)],
                                   out_w[at(P + M_HEAT_SQUARE, j)])  # fmt: skip
        limit = temp_limit_c(out_w[at(W_AMBIENT, j)], out_w[at(W_RISE, j)], heat)
        t0 = out_w[at(Q_TEMP, j)]
        t1 = temp_next_c(t0, limit, out_w[at(W_DECAY, j)])
        mean = temp_mean_c(t0, t1, limit, out_w[at(W_TAU, j)])
        drive = out_w[at(Q_VIB, j)] * x + out_w[at(Q_SHIFT, j)] + out_w[at(W_EXTRA, j)]
        drive += out_w[at(P + M_VIB_HEAT_GAIN, j)] * max(0.0, mean - out_w[at(P + M_VIB_KNEE_C, j)])
        wear = out_w[at(Q_WEAR, j)]
        worn = wear_next(wear, drive, out_w[at(W_GROWTH, j)], out_w[at(W_KICK, j)])
        worn += out_w[at(P + M_WEAR_NOISE_PER_SQRT_H, j)] * out_w[at(W_Z, j)]
        hot = max(0.0, mean - out_w[at(P + M_FATIGUE_KNEE_C, j)])
        out_w[at(W_WEAR0, j)] = wear
        out_w[at(W_ELECTRICAL0, j)] = out_w[at(Q_ELECTRICAL, j)]
        out_w[at(Q_TEMP, j)] = t1
        out_w[at(Q_WEAR, j)] = max(0.0, wear + running * (worn - wear))
        out_w[at(Q_FATIGUE, j)] += running * out_w[at(P + M_FATIGUE_PER_K_H, j)] * hot
        out_w[at(Q_ELECTRICAL, j)] += out_w[at(P + M_ELECTRICAL_PER_H, j)] * x * x
        out_w[at(Q_RUNTIME, j)] += running
        out_w[at(Q_AGE, j)] += running
        damage = max(out_w[at(Q_WEAR, j)], out_w[at(Q_FATIGUE, j)], out_w[at(Q_ELECTRICAL, j)]) - 1.0
        spent = max(
            out_w[at(Q_RUNTIME, j)] - out_w[at(P + M_LIFE_H, j)], out_w[at(Q_AGE, j)] - out_w[at(W_LIMIT_AGE, j)]
        )
        out_w[at(W_CROSS, j)] = max(damage, spent) if running * out_w[at(W_ACTIVE, j)] > 0.0 else -1.0
    worst = -1.0
    for j in range(LANES):
        worst = max(worst, out_w[at(W_CROSS, j)])
    return worst


@kernel
def adapt_bearing(out_w: np.ndarray) -> None:
    """Wear rates at the load of the hour, for kinds whose bearing life has an exponent other than 1 (ISO 281)."""
    for j in range(LANES):
        exponent, x = out_w[at(P + M_BEARING_EXPONENT, j)], out_w[at(W_LOAD, j)]
        if exponent != 1.0 and x > 0.0:
            put_wear_rate(
                j, wear_rate_per_mm_s_h(out_w[at(Q_RATE, j)], x, exponent, out_w[at(P + M_BEARING_REF_FRAC, j)]), out_w
            )


@kernel
def age_insulation(out_w: np.ndarray) -> None:
    """Fatigue of the hour by insulation ageing (Montsinger) where a kind has it; goes before ``step_hour``."""
    for j in range(LANES):
        rate, x = out_w[at(P + M_MONTSINGER_PER_H, j)], out_w[at(W_LOAD, j)]
        if rate > 0.0 and x > 0.0:
            heat = heat_frac(
                x, out_w[at(P + M_HEAT_FIXED, j)], out_w[at(P + M_HEAT_LINEAR, j)], out_w[at(P + M_HEAT_SQUARE, j)]
            )
            limit = temp_limit_c(out_w[at(W_AMBIENT, j)], out_w[at(W_RISE, j)], heat)
            out_w[at(Q_FATIGUE, j)] += montsinger_mean_per_h(
                out_w[at(Q_TEMP, j)], limit, out_w[at(W_TAU, j)], rate, out_w[at(P + M_MONTSINGER_REF_C, j)],
                out_w[at(P + M_MONTSINGER_HALVING_K, j)],
            )  # fmt: skip


@kernel
def end_of(w: np.ndarray, lane: int, share: np.ndarray) -> int:
    """The event that ended a lane's particle in the hour just done; ``share`` (N_FAILURES,) gets when within it."""
    j = lane
    share[F_BEARING] = crossing(w[at(W_WEAR0, j)], w[at(Q_WEAR, j)], 1.0)
    share[F_THERMAL] = crossing(w[at(W_FATIGUE0, j)], w[at(Q_FATIGUE, j)], 1.0)
    share[F_ELECTRICAL] = crossing(w[at(W_ELECTRICAL0, j)], w[at(Q_ELECTRICAL, j)], 1.0)
    share[F_END_OF_LIFE] = crossing(w[at(Q_RUNTIME, j)] - 1.0, w[at(Q_RUNTIME, j)], w[at(P + M_LIFE_H, j)])
    share[F_RANDOM] = crossing(w[at(Q_AGE, j)] - 1.0, w[at(Q_AGE, j)], w[at(W_LIMIT_AGE, j)])
    return smallest(share)


@kernel
def note_ends(w: np.ndarray, owner: np.ndarray, hour: np.ndarray, max_hours: int, out_w: np.ndarray,
              out_life: np.ndarray) -> None:  # fmt: skip
    """Write down what failed in the hour just done, the ``hour`` (LANES,) of each lane; its lane is free then."""
    share = np.empty(N_FAILURES)
    for j in range(LANES):
        if w[at(W_CROSS, j)] >= 0.0:
            event = end_of(w, j, share)
            out_w[at(W_ACTIVE, j)] = 0.0
            end_h = np.float64(hour[j]) + share[event]
            if end_h <= max_hours:
                out_life[owner[j], 0] = end_h
                out_life[owner[j], 1] = w[at(Q_RUNTIME, j)] - 1.0 + share[event] - w[at(W_START_RUNTIME, j)]
                out_life[owner[j], 2] = event


@kernel
def any_of(params: np.ndarray, row: int, usual: float) -> bool:
    """Whether a parameter of any situation is not as usual."""
    found = False
    for s in range(params.shape[1]):
        found |= params[row, s] != usual
    return found


@kernel
def lifetimes(params: np.ndarray, particles: np.ndarray, situation: np.ndarray, draw: np.ndarray, future: Future,
              seed: np.uint64, max_hours: int, out_life: np.ndarray) -> None:  # fmt: skip
    """Hours to the first failure of n particles under the futures of their situations.

    ``params`` (N_PARAMS, s); ``particles`` (n, N_PARTICLE); ``situation`` (n,) int64 places in the futures; ``draw``
    (n,) int64 numbers the samples of a future: equal key and draw mean equal chance. ``out_life`` (n, 3): calendar
    hours, running hours, failure event (F_* of ``rows``); (max_hours, 0, -1) when nothing fails by then. A particle
    that has failed already fails at the beginning of its first running hour.
    """
    w = np.zeros(N_WORK * LANES)
    keys = np.zeros((4, LANES), np.uint32)
    hours = np.zeros(LANES, np.uint32)
    owner = np.full(LANES, -1, np.int64)
    place = np.zeros(LANES, np.int64)
    z_load, z_wear = np.zeros((TILE_H, LANES), np.float32), np.zeros((TILE_H, LANES), np.float32)
    plan, ambient_c = np.zeros((TILE_H, LANES)), np.zeros((TILE_H, LANES))
    any_noise = any_of(params, M_WEAR_NOISE_PER_SQRT_H, 0.0)
    any_exponent = any_of(params, M_BEARING_EXPONENT, 1.0)
    any_ageing = any_of(params, M_MONTSINGER_PER_H, 0.0)
    n = particles.shape[0]
    following, n_busy = 0, 0
    for j in range(LANES):
        if n > 0:
            load_lane(j, params, particles[0], situation[0], w)
        w[at(W_ACTIVE, j)] = 0.0
    while following < n or n_busy > 0:
        for j in range(LANES):
            if w[at(W_ACTIVE, j)] == 0.0 and following < n:
                i = following
                following += 1
                s = situation[i]
                load_lane(j, params, particles[i], s, w)
                key = sample_key(future.key[s], draw[i])
                begin_chance(j, key, seed, future.variation[s], future.memory[s], keys, w)
                owner[j], place[j], hours[j] = i, s, 0
                out_life[i, 0], out_life[i, 1], out_life[i, 2] = max_hours, 0.0, -1.0
        fill_normals(keys, K_LOAD0, hours, z_load)
        fill_plan(future, place, hours, plan, ambient_c)
        if any_noise:
            fill_normals(keys, K_WEAR0, hours, z_wear)
        for k in range(TILE_H):
            vary_load(z_load[k], plan[k], w)
            for j in range(LANES):
                w[at(W_AMBIENT, j)] = ambient_c[k, j]
                w[at(W_Z, j)] = z_wear[k, j]
            if any_exponent:
                adapt_bearing(w)
            if any_ageing:
                age_insulation(w)
            if step_hour(w) >= 0.0:
                note_ends(w, owner, hours + np.uint32(k), max_hours, w, out_life)
        n_busy = 0
        for j in range(LANES):
            hours[j] += np.uint32(TILE_H)
            if np.int64(hours[j]) >= max_hours:
                w[at(W_ACTIVE, j)] = 0.0
            n_busy += 1 if w[at(W_ACTIVE, j)] > 0.0 else 0
