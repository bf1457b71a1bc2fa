"""Futures of machines under each of several actions: cost and probability of failure over a horizon, hour by hour.

Every action of a situation meets the same futures (common random numbers: load, particle, how long faults last). The
random failure is not drawn: each future carries the probability that it has not happened yet, and what it would cost
(conditional Monte Carlo), because the chance of its hour would drown the difference between two actions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.lifetime import sample_key
from nexova_sim.kernels.load import MAX_LOAD_FRAC
from nexova_sim.kernels.numbers import exp64, log64, pow64
from nexova_sim.kernels.particles import (
    FUTURE_LIFE,
    FUTURE_LOAD,
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
    M_LIFE_H,
    M_MONTSINGER_HALVING_K,
    M_MONTSINGER_PER_H,
    M_MONTSINGER_REF_C,
    M_RATED_KW,
    M_REPAIR_H,
    M_RESPONSE_H,
    M_STANDBY_KW,
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_WEAR_GAIN,
    M_WEIBULL_SCALE_H,
    M_WEIBULL_SHAPE,
)
from nexova_sim.kernels.thermal import heat_frac, temp_limit_c, temp_mean_c, temp_next_c
from nexova_sim.kernels.wear import NO_LIMIT_H, montsinger_mean_per_h, wear_next, wear_rate_per_mm_s_h

# Parts of a cost: energy, the action (its price and the stop it needs), what failures cost, wear left at the end.
(PART_ENERGY, PART_ACTION, PART_FAILURE, PART_WEAR) = range(4)
O_FAILED = 4
N_OUT = 5
# Scratch of a future, a number per hour: load, hours with load from there on, energy cost from there on; probability of
# a random failure by running hour, of the part as it is and of a new one; plan, ambient and price of the situation.
(H_LOAD, H_ON, H_ENERGY, H_CHANCE, H_CHANCE_NEW, H_PLAN, H_AMBIENT, H_PRICE) = range(8)
N_ROWS = 8


class Actions(NamedTuple):
    """What may be done, (s, a) each: s situations, a actions.

    ``stop_h`` hours off from now on; ``price_usd`` of doing it; ``restores`` int64 component bits renewed at the end of
    the stop; ``loss_frac`` share of the lost production that counts in the stop; ``load_factor`` on all later load.
    """

    stop_h: np.ndarray
    price_usd: np.ndarray
    restores: np.ndarray
    loss_frac: np.ndarray
    load_factor: np.ndarray


class Stakes(NamedTuple):
    """What things cost and how faults go on; (s,) each but ``price_usd_per_kwh`` (s, 168) by hour of the week.

    ``lost_usd_per_h`` of a stop in an hour that had load planned; ``failure_usd`` of a repair; ``wear_usd`` of bearing
    wear left at the end, per unit; ``fatigue_per_lost_cooling_h``; rates at which bearing faults and imbalance
    (``fault_end_per_h``) and lost cooling (``cooling_end_per_h``) end by themselves.
    """

    price_usd_per_kwh: np.ndarray
    lost_usd_per_h: np.ndarray
    failure_usd: np.ndarray
    wear_usd: np.ndarray
    fatigue_per_lost_cooling_h: np.ndarray
    fault_end_per_h: np.ndarray
    cooling_end_per_h: np.ndarray


class Cases(NamedTuple):
    """s situations with a actions each: ``params`` (N_PARAMS, s), their futures, actions and stakes."""

    params: np.ndarray
    future: Future
    actions: Actions
    stakes: Stakes


@kernel
def fill_plan(cases: Cases, s: int, out_hours: np.ndarray) -> None:
    """Planned load, ambient and price of every hour of situation ``s``."""
    week = cases.future.start_hour[s] % HOURS_PER_WEEK
    for h in range(out_hours.shape[1]):
        out_hours[H_PLAN, h] = cases.future.week_load[s, week]
        out_hours[H_AMBIENT, h] = cases.future.ambient_c[s, week]
        out_hours[H_PRICE, h] = cases.stakes.price_usd_per_kwh[s, week]
        week = week + 1 if week + 1 < HOURS_PER_WEEK else 0


@kernel
def fill_future(key: np.uint64, sd: float, memory: float, out_hours: np.ndarray) -> None:
    """Load of every hour of one future: the plan times a factor that follows an AR(1) process."""
    load_key = stream_key(key, np.uint64(0), FUTURE_LOAD)
    k0, k1 = key_low(load_key), key_high(load_key)
    nudge = math.sqrt(1.0 - memory * memory) * sd
    factor = sd * np.float64(normal(random_bits(k0, k1, START_COUNTER)))
    for h in range(out_hours.shape[1]):
        out_hours[H_LOAD, h] = np.float64(normal(random_bits(k0, k1, np.uint32(h))))
    for h in range(out_hours.shape[1]):
        factor = memory * factor + nudge * out_hours[H_LOAD, h]
        out_hours[H_LOAD, h] = min(MAX_LOAD_FRAC, out_hours[H_PLAN, h] * max(0.1, 1.0 + factor))


@kernel
def fill_rest(rated_kw: float, out_hours: np.ndarray) -> None:
    """From each hour on: hours with load, and energy cost at the future's own load."""
    on, energy = 0.0, 0.0
    for back in range(out_hours.shape[1]):
        h = out_hours.shape[1] - 1 - back
        on += 1.0 if out_hours[H_LOAD, h] > 0.0 else 0.0
        energy += out_hours[H_LOAD, h] * rated_kw * out_hours[H_PRICE, h]
        out_hours[H_ON, h], out_hours[H_ENERGY, h] = on, energy


@kernel
def fill_chance(age_h: float, shape: float, scale_h: float, row: int, out_hours: np.ndarray) -> None:
    """Into ``row``: probability of a random (Weibull) failure in each of the next running hours, given none before."""
    before = 0.0 if scale_h >= NO_LIMIT_H else pow64(age_h / scale_h, shape)
    for k in range(out_hours.shape[1]):
        after = 0.0 if scale_h >= NO_LIMIT_H else pow64((age_h + k + 1.0) / scale_h, shape)
        out_hours[row, k] = 1.0 - exp64(before - after)
        before = after


@kernel
def restore_particle(bits: int, out_particle: np.ndarray) -> None:
    """What maintenance renews is new, and the faults of those parts are gone; one particle (N_PARTICLE,)."""
    if bits & C_BEARING:
        out_particle[Q_WEAR] = 0.0
        out_particle[Q_EXTRA] = 0.0
        out_particle[Q_SHIFT] = 0.0
    if bits & C_THERMAL:
        out_particle[Q_FATIGUE] = 0.0
        out_particle[Q_COOLING] = 1.0
    if bits & C_ELECTRICAL:
        out_particle[Q_ELECTRICAL] = 0.0
    if bits & C_LIFE:
        out_particle[Q_RUNTIME] = 0.0
    if bits & C_RANDOM:
        out_particle[Q_AGE] = 0.0


@kernel
def rest_at(hours: np.ndarray, row: int, h: int) -> float:
    """What is left of a running total from hour ``h`` on; 0 at and after the end."""
    return hours[row, h] if h < hours.shape[1] else 0.0


@kernel
def step_particle(params: np.ndarray, s: int, load: float, ambient_c: float, decay: float, fatigue_rate: float,
                  out_particle: np.ndarray) -> float:  # fmt: skip
    """An hour at ``load`` > 0 of one particle under parameters column ``s``; the furthest damage or share of life.

    ``decay`` is exp(-1 h / tau) at the particle's cooling; ``fatigue_rate`` per hour of wholly lost cooling.
    """
    p, q = params, out_particle
    cooling = q[Q_COOLING]
    tau = p[M_TAU_H, s] / cooling
    heat = heat_frac(load, p[M_HEAT_FIXED, s], p[M_HEAT_LINEAR, s], p[M_HEAT_SQUARE, s])
    limit = temp_limit_c(ambient_c, q[Q_RISE] / cooling, heat)
    t0 = q[Q_TEMP]
    t1 = temp_next_c(t0, limit, decay)
    mean = temp_mean_c(t0, t1, limit, tau)
    rate, gain = q[Q_RATE], p[M_VIB_WEAR_GAIN, s]
    if p[M_BEARING_EXPONENT, s] != 1.0:
        rate = wear_rate_per_mm_s_h(rate, load, p[M_BEARING_EXPONENT, s], p[M_BEARING_REF_FRAC, s])
    a = rate * gain
    growth = 1.0 + a * (1.0 + a * (0.5 + a * (1.0 / 6.0 + a * (1.0 / 24.0))))
    drive = q[Q_VIB] * load + q[Q_SHIFT] + p[M_VIB_HEAT_GAIN, s] * max(0.0, mean - p[M_VIB_KNEE_C, s])
    q[Q_WEAR] = wear_next(q[Q_WEAR], drive + q[Q_EXTRA] / rate, growth, (growth - 1.0) / gain)
    if p[M_MONTSINGER_PER_H, s] > 0.0:
        q[Q_FATIGUE] += montsinger_mean_per_h(t0, limit, tau, p[M_MONTSINGER_PER_H, s], p[M_MONTSINGER_REF_C, s],
                                              p[M_MONTSINGER_HALVING_K, s])  # fmt: skip
    q[Q_FATIGUE] += p[M_FATIGUE_PER_K_H, s] * max(0.0, mean - p[M_FATIGUE_KNEE_C, s]) + fatigue_rate * (1.0 - cooling)
    q[Q_ELECTRICAL] += p[M_ELECTRICAL_PER_H, s] * load * load
    q[Q_TEMP] = t1
    q[Q_RUNTIME] += 1.0
    q[Q_AGE] += 1.0
    return max(q[Q_WEAR], q[Q_FATIGUE], q[Q_ELECTRICAL], q[Q_RUNTIME] / p[M_LIFE_H, s])


@kernel
def run_future(cases: Cases, s: int, a: int, hours: np.ndarray, ends_h: np.ndarray, out_particle: np.ndarray,
               out: np.ndarray) -> None:  # fmt: skip
    """One future of situation ``s`` under action ``a``: ``out`` (N_OUT,) expected cost by part, p(failure).

    ``ends_h`` (2,): when the bearing's faults and the lost cooling end by themselves. After a failure the machine is
    down for response and repair, then runs on as planned without a second one.
    """
    params, stakes, actions = cases.params, cases.stakes, cases.actions
    rated, standby = params[M_RATED_KW, s], params[M_STANDBY_KW, s]
    stop, factor = actions.stop_h[s, a], actions.load_factor[s, a]
    down = int(params[M_RESPONSE_H, s] + params[M_REPAIR_H, s] + 0.5)
    alive, n_run, row = 1.0, 0, H_CHANCE
    out[:] = 0.0
    out[PART_ACTION] = actions.price_usd[s, a]
    if stop <= 0.0:
        restore_particle(actions.restores[s, a], out_particle)
        row = H_CHANCE_NEW if actions.restores[s, a] & C_RANDOM else H_CHANCE
    decay = exp64(-out_particle[Q_COOLING] / params[M_TAU_H, s])
    for h in range(hours.shape[1]):
        price, load, ambient = hours[H_PRICE, h], hours[H_LOAD, h], hours[H_AMBIENT, h]
        if h >= ends_h[0]:
            out_particle[Q_EXTRA], out_particle[Q_SHIFT] = 0.0, 0.0
        if h >= ends_h[1] and out_particle[Q_COOLING] < 1.0:
            out_particle[Q_COOLING] = 1.0
            decay = exp64(-1.0 / params[M_TAU_H, s])
        if h < stop or load <= 0.0:
            out_particle[Q_TEMP] = temp_next_c(out_particle[Q_TEMP], ambient, decay)
            out[PART_ENERGY] += alive * standby * price
            if h < stop and load > 0.0:
                out[PART_ACTION] += alive * actions.loss_frac[s, a] * stakes.lost_usd_per_h[s] * min(1.0, stop - h)
            if h < stop <= h + 1:
                restore_particle(actions.restores[s, a], out_particle)
                row = H_CHANCE_NEW if actions.restores[s, a] & C_RANDOM else row
                decay = exp64(-out_particle[Q_COOLING] / params[M_TAU_H, s])
            continue
        load = min(MAX_LOAD_FRAC, load * factor)
        worst = step_particle(params, s, load, ambient, decay, stakes.fatigue_per_lost_cooling_h[s], out_particle)
        chance = 1.0 if worst >= 1.0 else hours[row, n_run]
        n_run += 1
        out[PART_ENERGY] += alive * load * rated * price
        if chance > 0.0:
            lost_h = rest_at(hours, H_ON, h + 1) - rest_at(hours, H_ON, h + 1 + down)
            hit = alive * chance
            out[PART_FAILURE] += hit * (stakes.failure_usd[s] + stakes.lost_usd_per_h[s] * lost_h)
            out[PART_ENERGY] += hit * factor * rest_at(hours, H_ENERGY, h + 1 + down)
            alive -= hit
        if worst >= 1.0:
            break
    out[PART_WEAR] = stakes.wear_usd[s] * alive * min(1.0, out_particle[Q_WEAR])
    out[O_FAILED] = 1.0 - alive


@kernel
def ending(rate_per_h: float, u: float) -> float:
    """Hour at which a fault that ends at ``rate_per_h`` is gone; beyond any horizon when the rate is 0."""
    return -log64(u) / rate_per_h if rate_per_h > 0.0 else 1e15


@kernel
def branch_futures(cases: Cases, particles: np.ndarray, seed: np.uint64, n_hours: int, out: np.ndarray) -> None:
    """N futures of ``n_hours`` of each situation under each of its actions.

    ``particles`` (s, n, N_PARTICLE), one per future; ``out`` (s, a, n, N_OUT): expected cost by part, USD, and
    probability of a failure within the horizon. Situations with equal keys meet equal chance.
    """
    hours, particle, ends_h = np.zeros((N_ROWS, n_hours)), np.empty(N_PARTICLE), np.empty(2)
    for s in range(particles.shape[0]):
        shape, scale = cases.params[M_WEIBULL_SHAPE, s], cases.params[M_WEIBULL_SCALE_H, s]
        fill_chance(0.0, shape, scale, H_CHANCE_NEW, hours)
        fill_plan(cases, s, hours)
        age = -1.0
        for k in range(particles.shape[1]):
            key = stream_key(seed, sample_key(cases.future.key[s], k), FUTURE_LIFE)
            for e in range(2):
                rate = cases.stakes.fault_end_per_h[s] if e == 0 else cases.stakes.cooling_end_per_h[s]
                ends_h[e] = ending(rate, uniform(random_bits(key_low(key), key_high(key), np.uint32(e))))
            fill_future(key, cases.future.variation[s], cases.future.memory[s], hours)
            fill_rest(cases.params[M_RATED_KW, s], hours)
            if particles[s, k, Q_AGE] != age:
                age = particles[s, k, Q_AGE]
                fill_chance(age, shape, scale, H_CHANCE, hours)
            for a in range(out.shape[1]):
                for i in range(N_PARTICLE):
                    particle[i] = particles[s, k, i]
                run_future(cases, s, a, hours, ends_h, particle, out[s, a, k])
