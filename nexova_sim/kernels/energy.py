"""The batched scheduling environment: n days of one site at once, one step of a quarter of an hour at a time.

All days of a batch are at the same step, so every array has the day as its last axis and the inner loops run over days
without a branch. A day is a pure function of (seed, day number), whatever the batch it is drawn in.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.random import normals, stream_key, uniforms

STEPS, SHIFTS, SHIFT_STEPS = 96, 3, 32
STEP_H = 0.25
# Rows of Days.profile, of State.machine, of a cost array, and of an observation.
P_PRICE, P_BASE_KW, P_AMBIENT_C, P_NOISE_LOG = range(4)
S_TEMP_C, S_ON, S_HOLD, S_STOCK_H, S_TRIP = range(5)
C_ENERGY, C_DEMAND, C_START, C_WEAR, C_SHORTAGE = range(5)
N_PROFILE, N_STATE, N_COSTS = 4, 5, 5
OBS_MACHINE, OBS_SITE, OBS_LIMIT = 7, 16, 10.0
AHEAD = (2, 4, 8, 16, 24, 32, 48, 64)  # steps at which the tariff to come is seen
OFF_PEAK, NORMAL, PEAK = 0, 1, 2
# Random streams of a day; the machines' streams follow the last one.
_PRICE, _BASE, _AMBIENT, _DAY, _MACHINE = 64, 65, 66, 67, 68
_DRAWS = 10  # uniforms of a machine: temperature, stock, quota per shift, outage: happens, begin, length


class Site(NamedTuple):
    """What does not change from day to day. Arrays (m,) by machine; hours mean hours at rated load.

    Power of a running machine is ``rated_kw (fixed + linear u + square u^2)`` at load fraction u. ``keep`` is the part
    of a temperature difference left after a step. ``tariff`` (3,) are the factors off-peak, normal, peak; ``hour``
    (STEPS, 4): sine and cosine of the clock, and the daily shapes of base load and of ambient temperature.
    """

    rated_kw: np.ndarray
    fixed: np.ndarray
    linear: np.ndarray
    square: np.ndarray
    rise_k: np.ndarray
    keep: np.ndarray
    start_usd: np.ndarray
    shortage_usd_per_h: np.ndarray
    kind: np.ndarray
    load_min: float
    load_max: float
    buffer_h: float
    up_steps: float
    down_steps: float
    warn_c: float
    trip_c: float
    trip_steps: float
    wear_usd_per_k: float
    demand_usd_per_kw: float
    contract_kw: float
    price_usd_per_kwh: float
    tariff: np.ndarray
    off_peak_steps: np.ndarray
    hour: np.ndarray
    draw: np.ndarray


# Places in Site.draw: what the days are drawn from.
(D_PEAK_FIRST, D_PEAK_SPAN, D_PEAK_LENGTH, D_LENGTH_SPAN, D_PRICE_KEEP, D_PRICE_KICK, D_BASE_KW, D_BASE_MIN_KW,
 D_BASE_KEEP, D_BASE_KICK, D_AMBIENT_C, D_AMBIENT_SPAN, D_AMBIENT_KEEP, D_AMBIENT_KICK, D_QUOTA, D_QUOTA_SPAN,
 D_OUTAGE_P, D_OUTAGE_STEPS, D_OUTAGE_SPAN, D_START_K, D_STOCK_H) = range(21)  # fmt: skip
N_DRAW = 21


class Days(NamedTuple):
    """What n days bring.

    ``profile`` (STEPS, N_PROFILE, n); ``level`` (STEPS, n) int8, place in Site.tariff; ``quota_h`` (SHIFTS, m, n);
    ``outage`` (2, m, n), first step of an outage and the one after it; ``start`` (2, m, n), temperature and stock at
    the beginning.
    """

    profile: np.ndarray
    level: np.ndarray
    quota_h: np.ndarray
    outage: np.ndarray
    start: np.ndarray


class State(NamedTuple):
    """Where n days are: ``machine`` (N_STATE, m, n), ``peak_kw`` (n,) highest site power so far or the contract's."""

    machine: np.ndarray
    peak_kw: np.ndarray


@kernel
def _ar1(key: np.uint64, keep: float, kick: float, z: np.ndarray, out_x: np.ndarray) -> None:
    """AR(1) series from zero: x[k] = keep x[k-1] + kick z[k]."""
    normals(key, 0, z)
    x = 0.0
    for k in range(out_x.shape[0]):
        x = keep * x + kick * z[k]
        out_x[k] = x


@kernel
def _draw_profile(site: Site, seed: np.uint64, number: np.uint64, i: int, z: np.ndarray, x: np.ndarray,
                  out: Days) -> None:  # fmt: skip
    d = site.draw
    u = np.empty(3)
    uniforms(stream_key(seed, number, _DAY), 0, u)
    first = int(d[D_PEAK_FIRST] + np.floor(u[0] * (d[D_PEAK_SPAN] + 1.0)))
    last = first + int(d[D_PEAK_LENGTH] + np.floor(u[1] * (d[D_LENGTH_SPAN] + 1.0)))
    ambient_c = d[D_AMBIENT_C] + d[D_AMBIENT_SPAN] * u[2]
    for k in range(STEPS):
        off = site.off_peak_steps[k]
        out.level[k, i] = PEAK if first <= k < last else (OFF_PEAK if off > 0.0 else NORMAL)
    _ar1(stream_key(seed, number, _PRICE), d[D_PRICE_KEEP], d[D_PRICE_KICK], z, x)
    for k in range(STEPS):
        out.profile[k, P_NOISE_LOG, i] = x[k]
        planned = site.price_usd_per_kwh * site.tariff[out.level[k, i]]
        out.profile[k, P_PRICE, i] = planned * exp64(x[k])
    _ar1(stream_key(seed, number, _BASE), d[D_BASE_KEEP], d[D_BASE_KICK], z, x)
    for k in range(STEPS):
        out.profile[k, P_BASE_KW, i] = max(d[D_BASE_MIN_KW], d[D_BASE_KW] + site.hour[k, 2] + x[k])
    _ar1(stream_key(seed, number, _AMBIENT), d[D_AMBIENT_KEEP], d[D_AMBIENT_KICK], z, x)
    for k in range(STEPS):
        out.profile[k, P_AMBIENT_C, i] = ambient_c + site.hour[k, 3] + x[k]


@kernel
def draw_days(site: Site, seed: np.uint64, number: np.ndarray, out: Days) -> None:
    """Draw the days with these numbers, (n,) uint64, into ``out``; a day depends on ``seed`` and its number only."""
    d = site.draw
    m = site.rated_kw.shape[0]
    z = np.empty(STEPS, np.float32)
    x = np.empty(STEPS)
    u = np.empty(_DRAWS)
    for i in range(number.shape[0]):
        _draw_profile(site, seed, number[i], i, z, x, out)
        for j in range(m):
            uniforms(stream_key(seed, number[i], _MACHINE + j), 0, u)
            out.start[0, j, i] = out.profile[0, P_AMBIENT_C, i] + d[D_START_K] * u[0]
            out.start[1, j, i] = d[D_STOCK_H] * u[1]
            for s in range(SHIFTS):
                out.quota_h[s, j, i] = (d[D_QUOTA] + d[D_QUOTA_SPAN] * u[2 + s]) * SHIFT_STEPS * STEP_H
            first = np.floor(u[6] * STEPS)
            length = d[D_OUTAGE_STEPS] + np.floor(u[7] * (d[D_OUTAGE_SPAN] + 1.0))
            happens = u[5] < d[D_OUTAGE_P]
            out.outage[0, j, i] = first if happens else 0.0
            out.outage[1, j, i] = first + length if happens else 0.0


@kernel
def begin(site: Site, days: Days, out: State) -> None:
    """The state before the first step of the days."""
    for j in range(site.rated_kw.shape[0]):
        for i in range(days.level.shape[1]):
            out.machine[S_TEMP_C, j, i] = days.start[0, j, i]
            out.machine[S_ON, j, i] = 0.0
            out.machine[S_HOLD, j, i] = 0.0
            out.machine[S_STOCK_H, j, i] = days.start[1, j, i]
            out.machine[S_TRIP, j, i] = 0.0
    for i in range(days.level.shape[1]):
        out.peak_kw[i] = site.contract_kw


@kernel
def _advance_machine(site: Site, days: Days, k: int, j: int, loads: np.ndarray, out_state: State,
                     out_total: np.ndarray, out_cost: np.ndarray) -> None:  # fmt: skip
    """One machine of every day through step ``k``: switching, power, temperature, trip, stock."""
    rated, rise, keep, start = site.rated_kw[j], site.rise_k[j], site.keep[j], site.start_usd[j]
    c0, c1, c2 = site.fixed[j], site.linear[j], site.square[j]
    low, high, half = site.load_min, site.load_max, 0.5 * site.load_min
    up, down, trip_steps = site.up_steps - 1.0, site.down_steps - 1.0, site.trip_steps
    warn, trip_c, wear_usd = site.warn_c, site.trip_c, site.wear_usd_per_k
    s = out_state.machine
    for i in range(loads.shape[1]):
        u = loads[j, i]
        was, hold, trip = s[S_ON, j, i], s[S_HOLD, j, i], s[S_TRIP, j, i]
        want = 1.0 if u >= half else 0.0
        want = was if hold > 0.0 else want
        is_out = (k >= days.outage[0, j, i]) & (k < days.outage[1, j, i])
        want = 0.0 if is_out | (trip > 0.0) else want
        u = want * min(high, max(low, u))
        starts = want * (1.0 - was)
        stops = was * (1.0 - want)
        hold = max(hold - 1.0, 0.0)
        hold = up if starts > 0.0 else (down if stops > 0.0 else hold)
        share = c0 * want + c1 * u + c2 * u * u
        settle = days.profile[k, P_AMBIENT_C, i] + rise * share
        temp = settle + (s[S_TEMP_C, j, i] - settle) * keep
        out_total[i] += rated * share
        out_cost[C_START, i] += start * starts
        out_cost[C_WEAR, i] += wear_usd * max(temp - warn, 0.0)
        s[S_TEMP_C, j, i] = temp
        s[S_ON, j, i] = want
        s[S_HOLD, j, i] = hold
        s[S_STOCK_H, j, i] += u * STEP_H
        s[S_TRIP, j, i] = trip_steps if temp > trip_c else max(trip - 1.0, 0.0)


@kernel
def _close_shift(site: Site, days: Days, k: int, out_state: State, out_cost: np.ndarray) -> None:
    """Deliver the quota of the shift that ends with step ``k``, pay what is missing; then the store's limit."""
    s = out_state.machine
    ends = (k + 1) % SHIFT_STEPS == 0
    shift, following = k // SHIFT_STEPS, min((k + 1) // SHIFT_STEPS, SHIFTS - 1)
    for j in range(site.rated_kw.shape[0]):
        for i in range(out_cost.shape[1]):
            stock = s[S_STOCK_H, j, i]
            if ends:
                missing = days.quota_h[shift, j, i] - stock
                out_cost[C_SHORTAGE, i] += site.shortage_usd_per_h[j] * max(missing, 0.0)
                stock = max(-missing, 0.0)
            s[S_STOCK_H, j, i] = min(stock, days.quota_h[following, j, i] + site.buffer_h)


@kernel
def advance(site: Site, days: Days, k: int, loads: np.ndarray, total: np.ndarray, out_state: State,
            out_cost: np.ndarray) -> None:  # fmt: skip
    """Advance every day through step ``k`` under the load fractions ``loads`` (m, n); below load_min/2 means off.

    ``out_state`` goes from before the step to after it; ``out_cost`` (N_COSTS, n) gets the step's cost in USD;
    ``total`` (n,) is scratch and holds the site's power in kW afterwards.
    """
    n = out_cost.shape[1]
    out_cost[:] = 0.0
    for i in range(n):
        total[i] = days.profile[k, P_BASE_KW, i]
    for j in range(site.rated_kw.shape[0]):
        _advance_machine(site, days, k, j, loads, out_state, total, out_cost)
    for i in range(n):
        peak = out_state.peak_kw[i]
        out_cost[C_ENERGY, i] = total[i] * STEP_H * days.profile[k, P_PRICE, i]
        out_cost[C_DEMAND, i] = site.demand_usd_per_kw * max(total[i] - peak, 0.0)
        out_state.peak_kw[i] = max(peak, total[i])
    _close_shift(site, days, k, out_state, out_cost)


@kernel
def _seen(x: float) -> float:
    return min(max(x, -OBS_LIMIT), OBS_LIMIT)


@kernel
def observe(site: Site, days: Days, k: int, state: State, out_obs: np.ndarray) -> None:
    """What is seen before step ``k``, (n, 7 m + 16) float32, about -1 to 1: see schedule.model.observation_names."""
    m = site.rated_kw.shape[0]
    at = min(k, STEPS - 1)
    shift = at // SHIFT_STEPS
    left_h = (SHIFT_STEPS * (shift + 1) - at) * STEP_H
    pace = 1.0 / (left_h * site.load_max)
    scale = 1.0 / site.contract_kw
    s = state.machine
    for i in range(out_obs.shape[0]):
        wanted_kw = 0.0
        for j in range(m):
            stock = s[S_STOCK_H, j, i]
            rate = min(max(0.0, days.quota_h[shift, j, i] - stock) * pace, 2.0)
            wanted_kw += rate * site.rated_kw[j]
            is_out = (at >= days.outage[0, j, i]) & (at < days.outage[1, j, i])
            following = _seen(days.quota_h[shift + 1, j, i] * 0.25 - 1.0) if shift < SHIFTS - 1 else -1.0
            out_obs[i, j] = _seen((s[S_TEMP_C, j, i] - 60.0) * 0.05)
            out_obs[i, m + j] = s[S_ON, j, i]
            out_obs[i, 2 * m + j] = min(s[S_HOLD, j, i], 4.0) * 0.25
            out_obs[i, 3 * m + j] = _seen(stock / 3.0 - 1.0)
            out_obs[i, 4 * m + j] = rate * 2.0 - 1.0
            out_obs[i, 5 * m + j] = following
            out_obs[i, 6 * m + j] = 1.0 if is_out else 0.0
        g = OBS_MACHINE * m
        out_obs[i, g] = site.hour[at, 0]
        out_obs[i, g + 1] = site.hour[at, 1]
        out_obs[i, g + 2] = _seen(days.profile[at, P_PRICE, i] / site.price_usd_per_kwh - 1.0)
        out_obs[i, g + 3] = left_h * 0.25 - 1.0
        out_obs[i, g + 4] = _seen((state.peak_kw[i] * scale - 1.0) * 0.3 - 1.0)
        out_obs[i, g + 5] = _seen((days.profile[at, P_BASE_KW, i] - site.draw[D_BASE_KW]) / 30.0)
        out_obs[i, g + 6] = _seen((days.profile[at, P_AMBIENT_C, i] - 27.0) / 6.0)
        out_obs[i, g + 7] = _seen(wanted_kw * scale * 0.3 - 1.0)
        for a in range(len(AHEAD)):
            later = at + AHEAD[a]
            seen = (site.tariff[days.level[min(later, STEPS - 1), i]] - 1.0) * 2.0
            out_obs[i, g + 8 + a] = _seen(seen) if later < STEPS else 0.0
