"""The bid scheduler: wanted rate, pulsing at each kind's efficient load, admission by urgency under a site power cap.

Parameters are ten per kind and nine for the site; the names and ranges stand in schedule/bids.py. ``shifts``
(4 m + 1, n) moves the bids of single days and machines: rate (log), urgency, efficient load, stock ahead (h), cap; zero
is the scheduler itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.energy import (
    D_BASE_KW,
    P_BASE_KW,
    P_NOISE_LOG,
    S_HOLD,
    S_ON,
    S_STOCK_H,
    S_TEMP_C,
    S_TRIP,
    SHIFT_STEPS,
    SHIFTS,
    STEP_H,
    STEPS,
    Days,
    Site,
    State,
    advance,
    begin,
)
from nexova_sim.kernels.numbers import exp64

# Parameters of a kind, then of the site.
(B_SHARPNESS, B_MARGIN, B_AHEAD, B_LOAD, B_STAY, B_START, B_MOST, B_HOT, B_LEAST, B_RANK) = range(10)
(G_CAP_1, G_CAP_2, G_CAP_3, G_ON, G_PRICE, G_HOT_C, G_RESERVE, G_BASE, G_MUST) = range(9)
N_KIND, N_GLOBAL = 10, 9
# Rows of the scratch of a lane.
_RATE, _URGENCY, _LOAD, _MUST = range(4)


class Work(NamedTuple):
    """Scratch for n lanes: state, loads (m, n), site power (n,), cost (N_COSTS, n), features (3 m + 2, n)."""

    state: State
    loads: np.ndarray
    total: np.ndarray
    cost: np.ndarray
    features: np.ndarray


@kernel
def share_of(site: Site, j: int, u: float) -> float:
    """Power over rating of machine ``j`` at load fraction u > 0; 0 at 0."""
    return site.fixed[j] + site.linear[j] * u + site.square[j] * u * u if u > 0.0 else 0.0


@kernel
def load_for(site: Site, j: int, power_kw: float) -> float:
    """Load fraction at which machine ``j`` draws ``power_kw``; 0 when that is below its power at no load."""
    y = power_kw / site.rated_kw[j] - site.fixed[j]
    if y <= 0.0:
        return 0.0
    c1, c2 = site.linear[j], site.square[j]
    if c2 < 1e-9:
        return y / c1 if c1 > 1e-9 else site.load_max
    return (-c1 + math.sqrt(c1 * c1 + 4.0 * c2 * y)) / (2.0 * c2)


@kernel
def _weights(site: Site, params: np.ndarray, out_w: np.ndarray) -> None:
    """exp(-sharpness (tariff - 1)) of every kind and tariff level: how much of the work an hour of it attracts."""
    for t in range(out_w.shape[0]):
        for level in range(3):
            out_w[t, level] = exp64(-params[t * N_KIND + B_SHARPNESS] * (site.tariff[level] - 1.0))


@kernel
def _count_levels(site: Site, days: Days, k: int, i: int, out_n: np.ndarray) -> float:
    """Steps of each tariff level left in the shift into ``out_n`` (3,); the result is what the next shift costs more.

    That is its mean tariff minus the cheapest left now, at least 0, and 0 in the last shift.
    """
    out_n[:] = 0.0
    shift = k // SHIFT_STEPS
    end = SHIFT_STEPS * (shift + 1)
    least = site.tariff[days.level[k, i]]
    for s in range(k, end):
        level = days.level[s, i]
        out_n[level] += 1.0
        least = min(least, site.tariff[level])
    if shift + 1 >= SHIFTS:
        return 0.0
    total = 0.0
    for s in range(end, end + SHIFT_STEPS):
        total += site.tariff[days.level[s, i]]
    return max(0.0, total / SHIFT_STEPS - least)


@kernel
def _pulse(site: Site, params: np.ndarray, b: int, rate: float, is_on: bool, efficient: float) -> float:
    """Load of a machine that wants ``rate``: at its efficient load in pulses, above it as wanted."""
    if rate >= efficient:
        return min(rate, params[b + B_MOST])
    if is_on:
        return efficient if rate >= params[b + B_STAY] * efficient else 0.0
    return efficient if rate >= params[b + B_START] * efficient else 0.0


@kernel
def _bid(site: Site, days: Days, state: State, k: int, i: int, params: np.ndarray, shifts: np.ndarray,
         scratch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:  # fmt: skip
    """What every machine of day ``i`` asks for, into the lane's scratch; the result is the power the rest needs, kW."""
    lane, weights, levels = scratch
    m = site.rated_kw.shape[0]
    shift = k // SHIFT_STEPS
    left_h = (SHIFT_STEPS * (shift + 1) - k) * STEP_H
    gap = _count_levels(site, days, k, i, levels)
    g = weights.shape[0] * N_KIND
    price = exp64(-params[g + G_PRICE] * days.profile[k, P_NOISE_LOG, i])
    level = days.level[k, i]
    is_last = shift + 1 >= SHIFTS
    s = state.machine
    rest = 0.0
    for j in range(m):
        t = site.kind[j]
        b = t * N_KIND
        stock, quota = s[S_STOCK_H, j, i], days.quota_h[shift, j, i]
        need = max(0.0, quota - stock)
        ahead, later = 0.0, 0.0
        if not is_last:
            target = params[b + B_AHEAD] * gap * days.quota_h[shift + 1, j, i] + shifts[3 * m + j, i]
            ahead = max(0.0, min(max(target, 0.0), site.buffer_h * 0.97) - max(0.0, stock - quota))
            for q in range(shift + 1, SHIFTS):
                later += days.quota_h[q, j, i]
        rest += (need + later) * site.rated_kw[j]
        total = levels[0] * weights[t, 0] + levels[1] * weights[t, 1] + levels[2] * weights[t, 2]
        part = min(1.0, (1.0 + params[b + B_MARGIN]) * weights[t, level] / total)
        moved = shifts[j, i]
        rate = (need + ahead) / STEP_H * part * price * (exp64(moved) if moved != 0.0 else 1.0)
        is_on = s[S_ON, j, i] > 0.0
        lane[_RATE, j] = rate
        lane[_URGENCY, j] = (need / (left_h * site.load_max) + 0.3 * params[b + B_RANK]
                             + 0.5 * params[g + G_ON] * s[S_ON, j, i] + shifts[m + j, i])  # fmt: skip
        capacity = max(left_h - STEP_H, 0.0) * site.load_max * 0.95
        must = max(0.0, min((need - capacity) / STEP_H, site.load_max)) if need > 0.0 else 0.0
        efficient = min(max(params[b + B_LOAD] + shifts[2 * m + j, i], site.load_min), site.load_max)
        u = _pulse(site, params, b, rate, is_on, efficient) if need + ahead > 1e-9 else 0.0
        if s[S_TEMP_C, j, i] > params[g + G_HOT_C]:
            u = min(u, params[b + B_HOT])
        if is_last:
            u = min(u, need / STEP_H) if need > 1e-9 else 0.0
        u = max(u, must)
        if s[S_HOLD, j, i] > 0.0:
            u = max(u, site.load_min) if is_on else 0.0
        if s[S_TRIP, j, i] > 0.0 or (days.outage[0, j, i] <= k < days.outage[1, j, i]):
            u, must = 0.0, 0.0
        lane[_LOAD, j] = max(u, site.load_min) if u > 0.0 else 0.0
        lane[_MUST, j] = must
    return rest / ((STEPS - k) * STEP_H)


@kernel
def _order(urgency: np.ndarray, out_order: np.ndarray) -> None:
    """Machines by falling urgency, stable."""
    for j in range(urgency.shape[0]):
        out_order[j] = j
    for a in range(1, urgency.shape[0]):
        x = out_order[a]
        c = a - 1
        while c >= 0 and urgency[out_order[c]] < urgency[x]:
            out_order[c + 1] = out_order[c]
            c -= 1
        out_order[c + 1] = x


@kernel
def _admit(site: Site, state: State, i: int, params: np.ndarray, lane: np.ndarray, order: np.ndarray,
           limits_kw: tuple[float, float], out_loads: np.ndarray) -> None:  # fmt: skip
    """Grant loads in order of urgency while they fit under the cap; what does not fit is throttled or stays off."""
    budget, cap = limits_kw
    g = params.shape[0] - N_GLOBAL
    hold = state.machine[S_HOLD]
    for j in range(order.shape[0]):
        if hold[j, i] > 0.0 and lane[_LOAD, j] > 0.0:
            budget -= site.rated_kw[j] * share_of(site, j, site.load_min)
    for a in range(order.shape[0]):
        j = order[a]
        u = lane[_LOAD, j]
        if u <= 0.0:
            out_loads[j, i] = 0.0
            continue
        is_held = hold[j, i] > 0.0
        if is_held:
            budget += site.rated_kw[j] * share_of(site, j, site.load_min)
        if site.rated_kw[j] * share_of(site, j, u) > budget:
            v = load_for(site, j, budget)
            if v < params[site.kind[j] * N_KIND + B_LEAST]:
                v = 0.0
            if lane[_MUST, j] > v:
                w = min(load_for(site, j, budget + params[g + G_MUST] * cap), lane[_MUST, j])
                if w >= site.load_min:
                    v = max(v, w)
            u = min(u, max(v, site.load_min) if is_held else v)
        budget -= site.rated_kw[j] * share_of(site, j, u)
        out_loads[j, i] = u


@kernel
def bid_loads(site: Site, days: Days, state: State, k: int, params: np.ndarray, shifts: np.ndarray,
              out_loads: np.ndarray, out_features: np.ndarray) -> None:  # fmt: skip
    """Loads (m, n) the scheduler gives at step ``k`` of every day, and what it thinks.

    ``out_features`` (3 m + 2, n), about -1 to 1: wanted rates, urgencies, loads asked for, cap, room under the cap.
    """
    m, n = out_loads.shape
    g = params.shape[0] - N_GLOBAL
    lane = np.empty((4, m))
    weights = np.empty((g // N_KIND, 3))
    levels = np.empty(3)
    order = np.empty(m, np.int64)
    _weights(site, params, weights)
    shift = k // SHIFT_STEPS
    scale_kw = max(site.draw[D_BASE_KW], site.contract_kw)
    for i in range(n):
        mean_kw = _bid(site, days, state, k, i, params, shifts, (lane, weights, levels))
        factor = params[g + G_CAP_1 + shift] + shifts[4 * m, i]
        cap = factor * (mean_kw + params[g + G_BASE] * scale_kw) - params[g + G_RESERVE] * scale_kw
        cap = max(state.peak_kw[i], cap)
        _order(lane[_URGENCY], order)
        _admit(site, state, i, params, lane, order, (cap - days.profile[k, P_BASE_KW, i], cap), out_loads)
        for j in range(m):
            out_features[j, i] = min(lane[_RATE, j], 2.0) - 0.5
            out_features[m + j, i] = min(lane[_URGENCY, j], 2.0) - 0.5
            out_features[2 * m + j, i] = lane[_LOAD, j] - 0.5
        out_features[3 * m, i] = (cap / site.contract_kw - 1.0) * 0.3 - 1.0
        out_features[3 * m + 1, i] = (cap - state.peak_kw[i]) / scale_kw


@kernel
def run_bids(site: Site, days: Days, params: np.ndarray, shifts: np.ndarray, work: Work, out_paid: np.ndarray) -> None:
    """What the days cost under every parameter row of ``params`` (c, p): ``out_paid`` (c, N_COSTS, n) in USD."""
    for c in range(params.shape[0]):
        begin(site, days, work.state)
        out_paid[c] = 0.0
        for k in range(STEPS):
            bid_loads(site, days, work.state, k, params[c], shifts, work.loads, work.features)
            advance(site, days, k, work.loads, work.total, work.state, work.cost)
            out_paid[c] += work.cost
