"""The account of one future of one action, hour by hour in plain Python: the reference for kernels.whatif."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels import futures as f
from nexova_sim.kernels import rows as r
from nexova_sim.kernels.load import MAX_LOAD_FRAC


def load_factors(situations, s, future, seed, n_h):
    """The same load as the kernel's, one future."""
    first = future // r.LANES * r.LANES
    out = np.empty((n_h, r.LANES))
    f.fill_loads(situations, s, first, np.uint64(seed), out)
    return out[:, future - first]


def account(situations, s, action, factor, fail_age=None):
    """(cost, loss, chance to fail) of a future with these load factors.

    ``fail_age`` None: expectation over random failure; else (age of the present part, of a renewed one).
    """
    p = {name: float(situations.params[i, s]) for i, name in enumerate(r.MachineParams._fields)}
    temp, wear, fatigue, electrical, runtime, age = (float(v) for v in situations.state[s])
    price, lost, failure, down = (float(v) for v in situations.money[s])
    plan, n_h = situations.plan[s], len(factor)
    start, end = int(action[f.A_START]), int(action[f.A_END])
    mask, acts = int(action[f.A_RESTORES]), end > start

    def lost_usd(a, b):
        return lost * sum(1.0 for h in range(a, min(b, len(plan))) if plan[h] > 0.0)

    own = action[f.A_USD] + lost_usd(start, end) if acts else 0.0
    loads, bills = [], []
    for h in range(n_h):
        gain = (situations.after if acts and h >= end else situations.effect)[s, h, f.G_LOAD]
        runs = plan[h] > 0.0 and not start <= h < end
        x = min(MAX_LOAD_FRAC, plan[h] * gain * factor[h]) if runs else 0.0
        loads.append(x)
        bills.append(price * (p["rated_kw"] * x if runs else p["standby_kw"]))
    total = sum(bills)
    cost = loss = chance = 0.0
    survival, part = 1.0, 0
    for h in range(n_h):
        if acts and h == end:
            wear = 0.0 if mask & r.C_BEARING else wear
            fatigue = 0.0 if mask & r.C_THERMAL else fatigue
            electrical = 0.0 if mask & r.C_ELECTRICAL else electrical
            runtime = 0.0 if mask & r.C_LIFE else runtime
            if mask & r.C_RANDOM:
                age, part = 0.0, 1
        e = (situations.after if acts and h >= end else situations.effect)[s, h]
        x, runs = loads[h], loads[h] > 0.0
        hurt = failure + lost_usd(h, h + int(down))
        spared = sum(bills[h : min(n_h, h + int(down))])
        here = hurt + (own if acts and h >= start else 0.0) + total - spared
        if runs and fail_age is None:
            q = 1.0 - math.exp((age / p["weibull_scale_h"]) ** p["weibull_shape"]
                               - ((age + 1.0) / p["weibull_scale_h"]) ** p["weibull_shape"])  # fmt: skip
            cost, loss, chance = cost + survival * q * here, loss + survival * q * hurt, chance + survival * q
            survival *= 1.0 - q
        tau = p["tau_h"] / e[f.G_COOLING]
        heat = (p["heat_fixed"] + p["heat_linear"] * x + p["heat_square"] * x * x) if runs else 0.0
        limit = situations.ambient_c[s, h] + p["rise_k"] / e[f.G_COOLING] * heat
        after = limit + (temp - limit) * math.exp(-1.0 / tau)
        mean = limit + (temp - after) * tau
        temp = after
        if runs:
            rate, gain = p["wear_per_mm_s_h"], p["vib_wear_gain"]
            drive = p["vib_rated_mm_s"] * x + e[f.G_VIBRATION] + e[f.G_WEAR] / rate
            drive += p["vib_heat_gain"] * max(0.0, mean - p["vib_knee_c"])
            growth = math.exp(rate * gain)
            wear = wear * growth + drive * (growth - 1.0) / gain
            fatigue += p["fatigue_per_k_h"] * max(0.0, mean - p["fatigue_knee_c"]) + e[f.G_FATIGUE]
            electrical += p["electrical_per_h"] * x * x
            runtime += 1.0
            age += 1.0
            ends = max(wear, fatigue, electrical) >= 1.0 or runtime >= p["life_h"]
            ends = ends or (fail_age is not None and age >= fail_age[part])
            if ends:
                return cost + survival * here, loss + survival * hurt, chance + survival
    return cost + survival * (own + total), loss, chance
