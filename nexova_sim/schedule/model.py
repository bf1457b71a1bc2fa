"""One day of one site as pure functions: state and loads in, state and cost out. The batched kernel is its fast twin.

Thermal: dT/dt = (ambient + rise p - T)/tau with p = power over rating, advanced with the exact exponential over a step
of constant load (MODEL 1). Wear above the warning limit is the twin's thermal fatigue, 1e-4 per K and hour, times the
price of an overhaul. Power is convex in load: fixed losses, a linear and a square part. Reward is minus cost in USD.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.energy import (
    AHEAD,
    D_BASE_KW,
    OBS_LIMIT,
    P_AMBIENT_C,
    P_BASE_KW,
    P_PRICE,
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
)


class Costs(NamedTuple):
    """Cost of a step in USD, in the order of schedule.site.COSTS."""

    energy_usd: float
    demand_usd: float
    start_usd: float
    wear_usd: float
    shortage_usd: float


class FleetState(NamedTuple):
    """Where a day is: arrays (m,); ``hold`` steps for which a machine may not switch, ``trip`` steps it is tripped."""

    step: int
    temp_c: np.ndarray
    on: np.ndarray
    hold: np.ndarray
    stock_h: np.ndarray
    trip: np.ndarray
    peak_kw: float


class Step(NamedTuple):
    """What a step came to: the state after it, its cost, the site's power, the loads that really ran (m,)."""

    state: FleetState
    costs: Costs
    total_kw: float
    load_frac: np.ndarray


def first_state(site: Site, day: Days) -> FleetState:
    """The state at 06:00 of ``day`` (a batch of one day)."""
    off = np.zeros(len(site.rated_kw))
    return FleetState(0, day.start[0, :, 0].copy(), off, off.copy(), day.start[1, :, 0].copy(), off.copy(),
                      site.contract_kw)  # fmt: skip


def is_out(day: Days, k: int) -> np.ndarray:
    """Mask (m,) of the machines that are in an unplanned outage at step ``k``."""
    mask: np.ndarray = (k >= day.outage[0, :, 0]) & (k < day.outage[1, :, 0])
    return mask


def switched(site: Site, day: Days, state: FleetState, loads: np.ndarray) -> np.ndarray:
    """Load fractions that really run when ``loads`` (m,) are wanted: minimum times, trips, outages, limits."""
    want = loads >= 0.5 * site.load_min
    want = np.where(state.hold > 0.0, state.on > 0.0, want)
    want &= ~(is_out(day, state.step) | (state.trip > 0.0))
    runs: np.ndarray = want * np.minimum(site.load_max, np.maximum(site.load_min, loads))
    return runs


def power_share(site: Site, load_frac: np.ndarray) -> np.ndarray:
    """Electric power over rated power at ``load_frac`` (m,); 0 when off."""
    on = (load_frac > 0.0).astype(float)
    share: np.ndarray = site.fixed * on + site.linear * load_frac + site.square * load_frac * load_frac
    return share


def _in_order(first: float, values: np.ndarray) -> float:
    """``first`` plus the values one after the other: the order of the kernel, so that sums are the same bits."""
    return float(np.cumsum(np.concatenate([[first], values]))[-1])


def step(site: Site, day: Days, state: FleetState, loads: np.ndarray) -> Step:
    """Advance one day by a step of 15 minutes under the wanted load fractions (m,); below load_min/2 means off."""
    k = state.step
    u = switched(site, day, state, np.asarray(loads, float))
    on = (u > 0.0).astype(float)
    starts, stops = on * (1.0 - state.on), state.on * (1.0 - on)
    hold = np.maximum(state.hold - 1.0, 0.0)
    hold = np.where(starts > 0.0, site.up_steps - 1.0, np.where(stops > 0.0, site.down_steps - 1.0, hold))
    share = power_share(site, u)
    settle = day.profile[k, P_AMBIENT_C, 0] + site.rise_k * share
    temp_c = settle + (state.temp_c - settle) * site.keep
    total_kw = _in_order(day.profile[k, P_BASE_KW, 0], site.rated_kw * share)
    stock_h, shortage = _close_shift(site, day, k, state.stock_h + u * STEP_H)
    costs = Costs(
        energy_usd=float(total_kw * STEP_H * day.profile[k, P_PRICE, 0]),
        demand_usd=site.demand_usd_per_kw * max(total_kw - state.peak_kw, 0.0),
        start_usd=_in_order(0.0, site.start_usd * starts),
        wear_usd=_in_order(0.0, site.wear_usd_per_k * np.maximum(temp_c - site.warn_c, 0.0)),
        shortage_usd=shortage,
    )
    trip = np.where(temp_c > site.trip_c, site.trip_steps, np.maximum(state.trip - 1.0, 0.0))
    after = FleetState(k + 1, temp_c, on, hold, stock_h, trip, max(state.peak_kw, total_kw))
    return Step(after, costs, total_kw, u)


def _close_shift(site: Site, day: Days, k: int, stock_h: np.ndarray) -> tuple[np.ndarray, float]:
    """Stock after step ``k`` and the price of what is missing, when a shift ends with it."""
    shortage = 0.0
    if (k + 1) % SHIFT_STEPS == 0:
        missing = day.quota_h[k // SHIFT_STEPS, :, 0] - stock_h
        shortage = _in_order(0.0, site.shortage_usd_per_h * np.maximum(missing, 0.0))
        stock_h = np.maximum(-missing, 0.0)
    following = min((k + 1) // SHIFT_STEPS, SHIFTS - 1)
    return np.minimum(stock_h, day.quota_h[following, :, 0] + site.buffer_h), shortage


def observe(site: Site, day: Days, state: FleetState) -> np.ndarray:
    """What is seen before a step, (7 m + 16,) float32, named by ``observation_names``.

    Future noise and outages to come are not in it; the tariff of the hours to come is.
    """
    at = min(state.step, STEPS - 1)
    shift = at // SHIFT_STEPS
    left_h = (SHIFT_STEPS * (shift + 1) - at) * STEP_H
    pace, scale = 1.0 / (left_h * site.load_max), 1.0 / site.contract_kw
    rate = np.minimum(np.maximum(0.0, day.quota_h[shift, :, 0] - state.stock_h) * pace, 2.0)
    following = day.quota_h[shift + 1, :, 0] * 0.25 - 1.0 if shift < SHIFTS - 1 else np.full(len(rate), -1.0)
    seen = [(site.tariff[day.level[at + a, 0]] - 1.0) * 2.0 if at + a < STEPS else 0.0 for a in AHEAD]
    whole = [
        *site.hour[at, :2],
        day.profile[at, P_PRICE, 0] / site.price_usd_per_kwh - 1.0,
        left_h * 0.25 - 1.0,
        (state.peak_kw * scale - 1.0) * 0.3 - 1.0,
        (day.profile[at, P_BASE_KW, 0] - site.draw[D_BASE_KW]) / 30.0,
        (day.profile[at, P_AMBIENT_C, 0] - 27.0) / 6.0,
        _in_order(0.0, rate * site.rated_kw) * scale * 0.3 - 1.0,
    ]
    rows = [
        (state.temp_c - 60.0) * 0.05, state.on, np.minimum(state.hold, 4.0) * 0.25, state.stock_h / 3.0 - 1.0,
        rate * 2.0 - 1.0, following, is_out(day, at).astype(float), whole, seen,
    ]  # fmt: skip
    obs: np.ndarray = np.clip(np.concatenate(rows), -OBS_LIMIT, OBS_LIMIT).astype(np.float32)
    return obs


def observation_names(n_machines: int) -> list[str]:
    """Names of the places of an observation, in order."""
    rows = ("temp", "on", "hold", "stock", "wanted_rate", "next_quota", "out")
    whole = ("clock_sin", "clock_cos", "price", "shift_left", "peak", "base", "ambient", "wanted_power")
    return [
        *(f"{row}_{j}" for row in rows for j in range(n_machines)),
        *whole,
        *(f"tariff_in_{a}_steps" for a in AHEAD),
    ]


def state_of(state: State, k: int, i: int) -> FleetState:
    """Day ``i`` of a batch that is at step ``k``, as the state of one day."""
    s = state.machine[:, :, i].copy()
    return FleetState(k, s[S_TEMP_C], s[S_ON], s[S_HOLD], s[S_STOCK_H], s[S_TRIP], float(state.peak_kw[i]))
