"""What an action is worth: the cost of s situations x a actions x n futures, hour by hour over a horizon.

Sixteen futures run abreast. All actions of a situation meet the same load (common random numbers). Random failure is
not drawn: every future carries the chance to have survived so far and pays the expected cost of failing in each hour
(conditional Monte Carlo; Glasserman, Monte Carlo Methods in Financial Engineering, 4.1 and 4.6), so that what is left
of chance is the load. ``is_plain`` draws the failure instead, as the reference for tests and benchmarks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.lifetime import sample_key
from nexova_sim.kernels.load import MAX_LOAD_FRAC
from nexova_sim.kernels.numbers import exp64, pow64
from nexova_sim.kernels.particles import FUTURE_LIFE, FUTURE_LOAD, START_COUNTER
from nexova_sim.kernels.random import key_high, key_low, normal, random_bits, stream_key, uniform
from nexova_sim.kernels.rows import (
    C_BEARING,
    C_ELECTRICAL,
    C_LIFE,
    C_RANDOM,
    C_THERMAL,
    LANES,
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
    M_RATED_KW,
    M_RISE_K,
    M_STANDBY_KW,
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
    M_WEAR_PER_MM_S_H,
    M_WEIBULL_SCALE_H,
    M_WEIBULL_SHAPE,
)
from nexova_sim.kernels.thermal import heat_frac, temp_limit_c, temp_mean_c, temp_next_c
from nexova_sim.kernels.wear import NO_LIMIT_H, montsinger_mean_per_h, wear_rate_per_mm_s_h, weibull_age_h

# Columns of the state, of the effects of faults in an hour, of the money and of an action.
(X_TEMP, X_WEAR, X_FATIGUE, X_ELECTRICAL, X_RUNTIME, X_AGE) = range(6)
(G_COOLING, G_LOAD, G_WEAR, G_FATIGUE, G_VIBRATION) = range(5)
(D_PRICE, D_LOST, D_FAILURE, D_DOWN_H) = range(4)
(A_START, A_END, A_USD, A_RESTORES) = range(4)
N_X, N_G, N_D, N_A = 6, 5, 4, 4


class Situations(NamedTuple):
    """s machines at an instant with what is stated for their next hours; h is the horizon, t >= h hours are planned.

    ``params`` (N_PARAMS, s); ``state`` (s, N_X); ``plan`` (s, t) mean load fraction, 0 = off, ``ambient_c`` (s, h);
    ``effect`` and ``after`` (s, h, N_G): what faults do in each hour while nothing is done, and after a service (1, 1,
    0, 0, 0 is none); ``money`` (s, N_D): USD per kWh, USD per lost hour, USD and hours of a failure; ``variation``
    (s, 2): standard deviation and hourly memory of the load; ``key`` (s,) uint64 names the chance.
    """

    params: np.ndarray
    state: np.ndarray
    plan: np.ndarray
    ambient_c: np.ndarray
    effect: np.ndarray
    after: np.ndarray
    money: np.ndarray
    variation: np.ndarray
    key: np.ndarray


@kernel
def fill_loads(situations: Situations, s: int, first: int, seed: np.uint64, out_load: np.ndarray) -> None:
    """Load factor of every hour (h, LANES) of futures ``first`` and on: 1 plus an AR(1) process, at least 0.1."""
    sd, memory = situations.variation[s, 0], situations.variation[s, 1]
    nudge = np.sqrt(1.0 - memory * memory) * sd
    for j in range(LANES):
        key = stream_key(seed, sample_key(situations.key[s], first + j), FUTURE_LOAD)
        low, high = key_low(key), key_high(key)
        value = sd * np.float64(normal(random_bits(low, high, START_COUNTER)))
        for h in range(out_load.shape[0]):
            value = memory * value + nudge * np.float64(normal(random_bits(low, high, np.uint32(h))))
            out_load[h, j] = max(0.1, 1.0 + value)


@kernel
def fill_limits(situations: Situations, s: int, first: int, seed: np.uint64, renewal: int,
                out_age_h: np.ndarray) -> None:  # fmt: skip
    """Ages (LANES,) at which chance ends futures ``first`` and on; ``renewal`` 1 = of the part a service put in."""
    p = situations.params
    for j in range(LANES):
        key = stream_key(seed, sample_key(situations.key[s], first + j), FUTURE_LIFE)
        u = uniform(random_bits(key_low(key), key_high(key), np.uint32(renewal)))
        age = 0.0 if renewal > 0 else situations.state[s, X_AGE]
        out_age_h[j] = weibull_age_h(age, p[M_WEIBULL_SHAPE, s], p[M_WEIBULL_SCALE_H, s], u)


@kernel
def fill_risk(situations: Situations, s: int, action: np.ndarray, out_q: np.ndarray) -> None:
    """Chance to fail at random in each running hour once it is reached, (h,): 1 - exp(-rise of (age/scale)^shape)."""
    shape, scale = situations.params[M_WEIBULL_SHAPE, s], situations.params[M_WEIBULL_SCALE_H, s]
    age = situations.state[s, X_AGE]
    renews = (np.int64(action[A_RESTORES]) & C_RANDOM) != 0 and action[A_END] > action[A_START]
    for h in range(out_q.shape[0]):
        if renews and h == np.int64(action[A_END]):
            age = 0.0
        out_q[h] = 0.0
        if is_running(situations, s, action, h):
            if scale < NO_LIMIT_H:
                rise = pow64((age + 1.0) / scale, shape) - pow64(age / scale, shape)
                out_q[h] = 1.0 - exp64(-rise)
            age += 1.0


@kernel
def is_running(situations: Situations, s: int, action: np.ndarray, hour: int) -> bool:
    """Whether the plan wants the machine in this hour and the action lets it run."""
    return situations.plan[s, hour] > 0.0 and not (action[A_START] <= hour < action[A_END])


@kernel
def fill_energy(situations: Situations, s: int, action: np.ndarray, factor: np.ndarray, out_load: np.ndarray,
                out_usd: np.ndarray) -> None:  # fmt: skip
    """Load fraction (h, LANES) under an action, and the energy bill up to the beginning of each hour (h + 1, LANES)."""
    rated, standby = situations.params[M_RATED_KW, s], situations.params[M_STANDBY_KW, s]
    price = situations.money[s, D_PRICE]
    for j in range(LANES):
        out_usd[0, j] = 0.0
    for h in range(factor.shape[0]):
        done = h >= np.int64(action[A_END]) and action[A_END] > action[A_START]
        gain = situations.after[s, h, G_LOAD] if done else situations.effect[s, h, G_LOAD]
        runs = is_running(situations, s, action, h)
        mean = situations.plan[s, h] * gain if runs else 0.0
        for j in range(LANES):
            x = min(MAX_LOAD_FRAC, mean * factor[h, j])
            out_load[h, j] = x
            out_usd[h + 1, j] = out_usd[h, j] + price * (rated * x if runs else standby)


@kernel
def step_lanes(situations: Situations, s: int, hour: int, effect: np.ndarray, load: np.ndarray,
               out_x: np.ndarray) -> None:  # fmt: skip
    """One hour of LANES futures under ``effect`` (N_G,) and ``load`` (LANES,); ``out_x`` (N_X, LANES) moves on.

    The temperature above a knee is that of the hour's exact mean, as in ``lifetime.step_hour``.
    """
    p = situations.params
    cooling, tau = effect[G_COOLING], p[M_TAU_H, s]
    decay, tau_steps, rise = exp64(-cooling / tau), tau / cooling, p[M_RISE_K, s] / cooling
    fixed, linear, square = p[M_HEAT_FIXED, s], p[M_HEAT_LINEAR, s], p[M_HEAT_SQUARE, s]
    rate, gain = p[M_WEAR_PER_MM_S_H, s], p[M_VIB_WEAR_GAIN, s]
    growth = exp64(rate * gain)
    kick, extra = (growth - 1.0) / gain, effect[G_WEAR] / rate
    ambient, vib, shift = situations.ambient_c[s, hour], p[M_VIB_RATED_MM_S, s], effect[G_VIBRATION]
    vib_gain, vib_knee = p[M_VIB_HEAT_GAIN, s], p[M_VIB_KNEE_C, s]
    per_k, knee, electrical = p[M_FATIGUE_PER_K_H, s], p[M_FATIGUE_KNEE_C, s], p[M_ELECTRICAL_PER_H, s]
    if p[M_BEARING_EXPONENT, s] == 1.0 and p[M_MONTSINGER_PER_H, s] == 0.0:
        for j in range(LANES):
            x = load[j]
            runs = 1.0 if x > 0.0 else 0.0
            limit = temp_limit_c(ambient, rise, runs * heat_frac(x, fixed, linear, square))
            after = temp_next_c(out_x[X_TEMP, j], limit, decay)
            mean = temp_mean_c(out_x[X_TEMP, j], after, limit, tau_steps)
            drive = vib * x + shift + extra + vib_gain * max(0.0, mean - vib_knee)
            wear = out_x[X_WEAR, j]
            out_x[X_TEMP, j] = after
            out_x[X_WEAR, j] = wear + runs * (wear * growth + drive * kick - wear)
            out_x[X_FATIGUE, j] += runs * (per_k * max(0.0, mean - knee) + effect[G_FATIGUE])
            out_x[X_ELECTRICAL, j] += electrical * x * x
            out_x[X_RUNTIME, j] += runs
        return
    for j in range(LANES):
        step_sourced(situations, s, hour, j, effect, load[j], out_x)


@kernel
def step_sourced(situations: Situations, s: int, hour: int, lane: int, effect: np.ndarray, x: float,
                 out_x: np.ndarray) -> None:  # fmt: skip
    """One hour of one future of a kind with a bearing exponent (ISO 281) or insulation ageing (Montsinger)."""
    p, j = situations.params, lane
    cooling, tau = effect[G_COOLING], p[M_TAU_H, s]
    tau_steps, rise = tau / cooling, p[M_RISE_K, s] / cooling
    runs = 1.0 if x > 0.0 else 0.0
    heat = runs * heat_frac(x, p[M_HEAT_FIXED, s], p[M_HEAT_LINEAR, s], p[M_HEAT_SQUARE, s])
    limit = temp_limit_c(situations.ambient_c[s, hour], rise, heat)
    before = out_x[X_TEMP, j]
    after = temp_next_c(before, limit, exp64(-cooling / tau))
    mean = temp_mean_c(before, after, limit, tau_steps)
    out_x[X_TEMP, j] = after
    if x <= 0.0:
        return
    rate = wear_rate_per_mm_s_h(p[M_WEAR_PER_MM_S_H, s], x, p[M_BEARING_EXPONENT, s], p[M_BEARING_REF_FRAC, s])
    growth = exp64(rate * p[M_VIB_WEAR_GAIN, s])
    drive = p[M_VIB_RATED_MM_S, s] * x + effect[G_VIBRATION] + effect[G_WEAR] / rate
    drive += p[M_VIB_HEAT_GAIN, s] * max(0.0, mean - p[M_VIB_KNEE_C, s])
    out_x[X_WEAR, j] = out_x[X_WEAR, j] * growth + drive * (growth - 1.0) / p[M_VIB_WEAR_GAIN, s]
    fatigue = p[M_FATIGUE_PER_K_H, s] * max(0.0, mean - p[M_FATIGUE_KNEE_C, s]) + effect[G_FATIGUE]
    if p[M_MONTSINGER_PER_H, s] > 0.0:
        fatigue += montsinger_mean_per_h(before, limit, tau_steps, p[M_MONTSINGER_PER_H, s],
                                         p[M_MONTSINGER_REF_C, s], p[M_MONTSINGER_HALVING_K, s])  # fmt: skip
    out_x[X_FATIGUE, j] += fatigue
    out_x[X_ELECTRICAL, j] += p[M_ELECTRICAL_PER_H, s] * x * x
    out_x[X_RUNTIME, j] += 1.0


@kernel
def renew(mask: int, out_x: np.ndarray) -> None:
    """What a service puts back to new in every lane."""
    for j in range(LANES):
        if mask & C_BEARING:
            out_x[X_WEAR, j] = 0.0
        if mask & C_THERMAL:
            out_x[X_FATIGUE, j] = 0.0
        if mask & C_ELECTRICAL:
            out_x[X_ELECTRICAL, j] = 0.0
        if mask & C_LIFE:
            out_x[X_RUNTIME, j] = 0.0
