"""Slow, obvious twins of the lifetime kernel, in plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from naive import normal, stream_key, uniform

from nexova_sim.kernels.lifetime import sample_key
from nexova_sim.kernels.particles import FUTURE_LIFE, FUTURE_LOAD, FUTURE_WEAR


class Life(NamedTuple):
    """A present, and what stays."""

    temp_c: float
    wear: float
    fatigue: float
    electrical: float
    runtime_h: float
    age_h: float
    rise_k: float
    vib_rated_mm_s: float
    rate: float
    cooling: float
    extra: float
    shift: float


class Chance(NamedTuple):
    """Normals by hour, and the uniform of the random failure."""

    start: float
    load: list[float]
    wear: list[float]
    life: float


def chance(seed: int, name: int, draw: int, hours: int) -> Chance:
    """The random numbers of one sample."""
    key = int(sample_key(np.uint64(name), draw))
    load, wear, life = (stream_key(seed, key, s) for s in (FUTURE_LOAD, FUTURE_WEAR, FUTURE_LIFE))
    return Chance(
        normal(load, 2**32 - 1),
        [normal(load, h) for h in range(hours)],
        [normal(wear, h) for h in range(hours)],
        uniform(life, 0),
    )


def ageing(p: Mapping[str, float], limit_c: float, excess_k: float, tau_h: float) -> float:
    """Insulation ageing in an hour of exponential approach to a limit, by the trapezoidal rule."""
    hours = np.linspace(0.0, 1.0, 2001)
    temp_c = limit_c + excess_k * np.exp(-hours / tau_h)
    rate = p["montsinger_per_h"] * 2.0 ** ((temp_c - p["montsinger_ref_c"]) / p["montsinger_halving_k"])
    return float(np.trapezoid(rate, hours))


def live(p: Mapping[str, float], start: Life, plan: Sequence[float], ambient_c: Sequence[float], spread: float,
         memory: float, luck: Chance) -> tuple[float, float, str | None]:  # fmt: skip
    """Hour by hour until something fails or the plan ends: (calendar hours, running hours, event)."""
    temp, wear, fatigue, electrical = start[:4]
    runtime, age = start.runtime_h, start.age_h
    factor = spread * luck.start
    limit_age = p["weibull_scale_h"] * ((age / p["weibull_scale_h"]) ** p["weibull_shape"] - math.log(luck.life)) ** (
        1.0 / p["weibull_shape"]
    )
    tau = p["tau_h"] / start.cooling
    for hour, (base, ambient) in enumerate(zip(plan, ambient_c, strict=True)):
        factor = memory * factor + math.sqrt(1.0 - memory**2) * spread * luck.load[hour]
        x = min(1.8, base * max(0.1, 1.0 + factor))
        heat = p["heat_fixed"] + p["heat_linear"] * x + p["heat_square"] * x * x if x > 0.0 else 0.0
        limit = ambient + start.rise_k / start.cooling * heat
        after = limit + (temp - limit) * math.exp(-1.0 / tau)
        mean = limit + (temp - after) * tau
        if x > 0.0:
            rate = start.rate * (x / p["bearing_ref_frac"]) ** (p["bearing_exponent"] - 1.0)
            drive = p["vib_heat_gain"] * max(0.0, mean - p["vib_knee_c"]) + start.vib_rated_mm_s * x + start.shift
            growth = math.exp(rate * p["vib_wear_gain"])
            worn = wear * growth + (drive + start.extra / rate) * (growth - 1.0) / p["vib_wear_gain"]
            worn = max(0.0, worn + p["wear_noise_per_sqrt_h"] * luck.wear[hour])
            tired = fatigue + p["fatigue_per_k_h"] * max(0.0, mean - p["fatigue_knee_c"])
            tired += ageing(p, limit, temp - limit, tau) if p["montsinger_per_h"] > 0.0 else 0.0
            stressed = electrical + p["electrical_per_h"] * x * x
            levels = {
                "bearing": (wear, worn, 1.0), "thermal": (fatigue, tired, 1.0),
                "electrical": (electrical, stressed, 1.0),
                "end_of_life": (runtime, runtime + 1.0, p["life_h"]), "random": (age, age + 1.0, limit_age),
            }  # fmt: skip
            met = {n: max(0.0, (top - a) / (b - a)) for n, (a, b, top) in levels.items() if b >= top}
            if met:
                event = min(met, key=met.__getitem__)
                return hour + met[event], runtime - start.runtime_h + met[event], event
            wear, fatigue, electrical, runtime, age = worn, tired, stressed, runtime + 1.0, age + 1.0
        temp = after
    return math.inf, 0.0, None
