"""Slow, obvious twins of the energy kernels: one day, one machine after the other, plain Python."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels.energy import P_BASE_KW, P_NOISE_LOG
from nexova_sim.kernels.random import normals, stream_key, uniforms
from nexova_sim.schedule.bids import KIND_PARAMETERS, RULE_PARAMETERS, SITE_PARAMETERS


def draw(stream, number, n):
    out = np.empty(n)
    uniforms(np.uint64(stream_key(np.uint64(stream[0]), np.uint64(number), stream[1])), 0, out)
    return out.tolist()


def wander(stream, number, keep, spread):
    z = np.empty(96, np.float32)
    normals(np.uint64(stream_key(np.uint64(stream[0]), np.uint64(number), stream[1])), 0, z)
    x, path = 0.0, []
    for value in z.tolist():
        x = keep * x + spread * math.sqrt(1.0 - keep * keep) * value
        path.append(x)
    return path


def naive_day(config, seed, number):
    """Prices, base load, ambient (96 each), and per machine (temperature, stock, quotas, outage steps)."""
    tariff, around = config.tariff, config.surroundings
    u = draw((seed, 67), number, 3)
    low, high = tariff.peak_start_hour
    first = (low - 6) * 4 + int(u[0] * ((high - low) * 4 + 1))
    length = tariff.peak_hours[0] * 4 + int(u[1] * ((tariff.peak_hours[1] - tariff.peak_hours[0]) * 4 + 1))
    mean_c = around.ambient_c[0] + u[2] * (around.ambient_c[1] - around.ambient_c[0])
    noise = wander((seed, 64), number, tariff.noise_memory_frac, tariff.noise_frac)
    base = wander((seed, 65), number, around.base_memory_frac, around.base_noise_kw)
    air = wander((seed, 66), number, around.ambient_memory_frac, around.ambient_noise_k)
    price, base_kw, ambient_c = [], [], []
    for k in range(96):
        hour = 6 + k / 4
        factor = tariff.off_peak_factor if int(hour) % 24 in tariff.off_peak_hours else 1.0
        if first <= k < first + length:
            factor = tariff.peak_factor
        price.append(tariff.price_usd_per_kwh * factor * math.exp(noise[k]))
        swing = around.base_swing_kw * math.sin((hour - 8) / 24 * 2 * math.pi)
        base_kw.append(max(around.base_least_kw, around.base_kw + swing + base[k]))
        ambient_c.append(mean_c + around.ambient_swing_k * math.sin((hour - 9) / 24 * 2 * math.pi) + air[k])
    machines = []
    for j in range(len(config.machines)):
        v = draw((seed, 68 + j), number, 10)
        low, high = config.production.quota_frac
        quotas = [8.0 * (low + (high - low) * x) for x in v[2:5]]
        outage = (0, 0)
        if v[5] < config.outages.share_frac:
            shortest, longest = config.outages.hours
            outage = (int(v[6] * 96), int(v[6] * 96) + int(4 * shortest) + int(v[7] * (4 * (longest - shortest) + 1)))
        start_c = ambient_c[0] + config.heat.start_above_ambient_k * v[0]
        machines.append((start_c, config.production.stock_h * v[1], quotas, outage))
    return price, base_kw, ambient_c, machines


def power(site, j, u):
    return site.rated_kw[j] * (site.fixed[j] + site.linear[j] * u + site.square[j] * u * u) if u > 0 else 0.0


def load_at(site, j, kw):
    """The load that draws ``kw``, by bisection."""
    if kw <= site.rated_kw[j] * site.fixed[j]:
        return 0.0
    low, high = 1e-12, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if power(site, j, middle) < kw else (low, middle)
    return low


def tariffs(site, day, first, last):
    return [float(site.tariff[day.level[k, 0]]) for k in range(first, last)]


def naive_rule(site, day, state, params):
    """Loads of the seven-parameter rule for one day."""
    p = dict(zip([q.name for q in RULE_PARAMETERS], params, strict=True))
    k, shift = state.step, state.step // 32
    end = 32 * (shift + 1)
    left = tariffs(site, day, k, end)
    following = tariffs(site, day, end, end + 32) if shift < 2 else []
    share = math.exp(-p["sharpness"] * (left[0] - 1)) / sum(math.exp(-p["sharpness"] * (f - 1)) for f in left)
    share = min(1.0, share * (1 + p["margin"]))
    gap = max(0.0, sum(following) / 32 - min(left)) if following else 0.0
    wish, rest = [], 0.0
    for j in range(len(site.rated_kw)):
        quota, stock = day.quota_h[:, j, 0], state.stock_h[j]
        need = max(0.0, quota[shift] - stock)
        u = need * 4 * share
        if following:
            target = min(max(p["ahead"] * gap * quota[shift + 1], 0.0), 0.97 * site.buffer_h)
            u += max(0.0, target - max(0.0, stock - quota[shift])) * 4 * share
        rest += (need + sum(quota[shift + 1 :])) * site.rated_kw[j]
        u = 0.0 if u < site.load_min * p["on"] else min(max(u, site.load_min), p["most_frac"])
        wish.append(min(u, p["hot_frac"]) if state.temp_c[j] > site.warn_c - 2 else u)
    cap = max(state.peak_kw, p["cap"] * (rest / ((96 - k) / 4) + 70.0))
    wanted = sum(power(site, j, u) for j, u in enumerate(wish))
    throttle = min(max((cap - day.profile[k, P_BASE_KW, 0]) / max(wanted, 1.0), 0.2), 1.0)
    loads = []
    for j in range(len(wish)):
        u = wish[j]
        if throttle < 1 and u > 0:
            u = 0.0 if u * throttle < 0.6 * site.load_min else max(u * throttle, site.load_min)
        need = max(0.0, day.quota_h[shift, j, 0] - state.stock_h[j])
        capacity = max((end - k) / 4 - 0.25, 0.0) * site.load_max * 0.95
        loads.append(max(u, min((need - capacity) * 4, site.load_max)) if need > 1e-9 or following else 0.0)
    return loads


def _wants(site, day, state, g, kinds, shifts):
    """(rate, urgency, load, must) of every machine, and the mean power the rest of the day needs."""
    k, shift, m = state.step, state.step // 32, len(site.rated_kw)
    end = 32 * (shift + 1)
    left_h = (end - k) / 4
    left = tariffs(site, day, k, end)
    following = tariffs(site, day, end, end + 32) if shift < 2 else []
    gap = max(0.0, sum(following) / 32 - min(left)) if following else 0.0
    rows, rest = [], 0.0
    for j in range(m):
        p, quota, stock = kinds[site.kind[j]], day.quota_h[:, j, 0], state.stock_h[j]
        need = max(0.0, quota[shift] - stock)
        ahead = 0.0
        if following:
            target = min(max(p["ahead"] * gap * quota[shift + 1] + shifts[3 * m + j], 0.0), 0.97 * site.buffer_h)
            ahead = max(0.0, target - max(0.0, stock - quota[shift]))
        rest += (need + sum(quota[shift + 1 :])) * site.rated_kw[j]
        attraction = [math.exp(-p["sharpness"] * (f - 1)) for f in left]
        part = min(1.0, (1 + p["margin"]) * attraction[0] / sum(attraction))
        rate = (need + ahead) * 4 * part * math.exp(-g["price"] * day.profile[k, P_NOISE_LOG, 0] + shifts[j])
        urgency = need / (left_h * site.load_max) + 0.3 * p["rank"] + 0.5 * g["on"] * state.on[j] + shifts[m + j]
        must = 0.0
        if need > 0:
            must = max(0.0, min((need - max(left_h - 0.25, 0.0) * site.load_max * 0.95) * 4, site.load_max))
        pulse = min(max(p["load_frac"] + shifts[2 * m + j], site.load_min), site.load_max)
        threshold = p["stay"] if state.on[j] else p["start"]
        u = min(rate, p["most_frac"]) if rate >= pulse else (pulse if rate >= threshold * pulse else 0.0)
        u = u if need + ahead > 1e-9 else 0.0
        u = min(u, p["hot_frac"]) if state.temp_c[j] > g["hot_c"] else u
        if not following:
            u = min(u, need * 4) if need > 1e-9 else 0.0
        u = max(u, must)
        if state.hold[j] > 0:
            u = max(u, site.load_min) if state.on[j] else 0.0
        if state.trip[j] > 0 or day.outage[0, j, 0] <= k < day.outage[1, j, 0]:
            u, must = 0.0, 0.0
        rows.append((rate, urgency, max(u, site.load_min) if u > 0 else 0.0, must))
    return rows, rest / ((96 - k) / 4)


def naive_bids(site, day, state, params, shifts):
    """Loads of the bid scheduler for one day."""
    n_kinds, k = (len(params) - 9) // 10, state.step
    names = [q.name for q in KIND_PARAMETERS]
    kinds = [dict(zip(names, params[10 * t : 10 * t + 10], strict=True)) for t in range(n_kinds)]
    g = dict(zip([q.name for q in SITE_PARAMETERS], params[10 * n_kinds :], strict=True))
    rows, mean_kw = _wants(site, day, state, g, kinds, shifts)
    scale, m = 70.0, len(rows)
    cap = (g[f"cap_{k // 32 + 1}"] + shifts[4 * m]) * (mean_kw + g["base"] * scale) - g["reserve"] * scale
    cap = max(state.peak_kw, cap)
    held = [state.hold[j] > 0 and rows[j][2] > 0 for j in range(m)]
    budget = cap - day.profile[k, P_BASE_KW, 0] - sum(power(site, j, site.load_min) for j in range(m) if held[j])
    loads = [0.0] * m
    for j in sorted(range(m), key=lambda j: -rows[j][1]):
        u, must = rows[j][2], rows[j][3]
        if u <= 0:
            continue
        budget += power(site, j, site.load_min) if held[j] else 0.0
        if power(site, j, u) > budget:
            v = load_at(site, j, budget)
            v = 0.0 if v < kinds[site.kind[j]]["least_frac"] else v
            if must > v:
                w = min(load_at(site, j, budget + g["must"] * cap), must)
                v = max(v, w) if w >= site.load_min else v
            u = min(u, max(v, site.load_min) if held[j] else v)
        budget -= power(site, j, u)
        loads[j] = u
    return loads


def naive_context(site, day, state, weights):
    """Shifts of the bids of one day under a linear policy."""
    k, shift, m = state.step, state.step // 32, len(site.rated_kw)
    left = 32 * (shift + 1) - k
    share = site.draw[14] + site.draw[15] / 2
    typical = max(share, 0.05) * sum(site.rated_kw)
    dear = [s for s in range(k, 96) if day.level[s, 0] == 2]
    soon = math.exp(-min([48, *(s - k for s in dear)]) / 8)
    need = [max(0.0, day.quota_h[shift, j, 0] - state.stock_h[j]) for j in range(m)]
    rest = sum((need[j] + sum(day.quota_h[shift + 1 :, j, 0])) * site.rated_kw[j] for j in range(m))
    mean_kw, base = rest / ((96 - k) / 4), day.profile[k, P_BASE_KW, 0]
    out_kw = sum(site.rated_kw[j] for j in range(m) if day.outage[0, j, 0] <= k < day.outage[1, j, 0])
    room = (state.peak_kw - base - mean_kw) / (0.3 * typical)
    at_peak = float(day.level[k, 0] == 2)
    g = [1, left / 32 - 0.5, float(shift == 0), float(shift == 1), (base - 70 - site.hour[k, 2]) / (0.05 * typical),
         mean_kw / typical - 1, sum(n * r for n, r in zip(need, site.rated_kw, strict=True)) / (left / 4) / typical - 1,
         at_peak, soon, room, out_kw / (0.25 * sum(site.rated_kw)), len(dear) / 24]  # fmt: skip
    shifts = [0.0] * (4 * m + 1)
    shifts[4 * m] = 0.15 * min(max(float(np.dot(weights[-12:], g)), -3), 3)
    for j in range(m):
        stock, quota = state.stock_h[j], day.quota_h[shift, j, 0]
        following = day.quota_h[shift + 1, j, 0] / 4 - 1 if shift < 2 else -0.5
        x = [1, min(need[j] / (left / 4 * site.load_max), 1.5) - 0.5, g[1], at_peak, soon,
             10 * day.profile[k, P_NOISE_LOG, 0], (state.temp_c[j] - site.warn_c + 10) / 10,
             min(max(stock - quota, 0), site.buffer_h) / 1.5, following, room, state.on[j] - 0.5,
             float(shift == 2)]  # fmt: skip
        for out, unit in enumerate((0.6, 0.3, 0.15, 0.6)):
            first = (site.kind[j] * 4 + out) * 12
            shifts[out * m + j] = unit * min(max(float(np.dot(weights[first : first + 12], x)), -3), 3)
    return shifts
