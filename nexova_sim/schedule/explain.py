"""Why a machine runs or stands under the bid scheduler: its bid in parts, and how the admission went.

The plain twin of kernels.energy_bids for one day at one step; it names the parts the kernel only adds up.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.energy import (
    D_BASE_KW,
    P_AMBIENT_C,
    P_BASE_KW,
    P_NOISE_LOG,
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
)
from nexova_sim.kernels.energy_bids import load_for, share_of
from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.bids import KIND_PARAMETERS, SITE_PARAMETERS, efficient_load


class Bid(NamedTuple):
    """What a machine asks for at a step. Hours are at rated load; loads are fractions of the rating.

    ``rate_frac`` = (need_h + ahead_h) / 0.25 h x ``part_frac`` (this step's part of the shift's work, by tariff) x
    ``price_factor`` (price above or below the plan) x ``moved_factor`` (a trained policy's correction). At
    ``temp_c`` above ``hot_c`` the load is at most ``hot_frac``; ``wear_usd_per_h`` is what its heat costs
    at the load asked for once settled;
    ``kwh_per_h`` is energy per hour of rated work at that load, ``best_kwh_per_h`` the least there is. ``urgency`` =
    ``urgency_need`` + ``urgency_rank`` + ``urgency_on`` + ``urgency_moved``. ``why`` names the rule that set the load.
    """

    need_h: float
    ahead_h: float
    part_frac: float
    even_part_frac: float
    price_factor: float
    moved_factor: float
    rate_frac: float
    efficient_frac: float
    threshold_frac: float
    urgency: float
    urgency_need: float
    urgency_rank: float
    urgency_on: float
    urgency_moved: float
    is_on: bool
    temp_c: float
    hot_c: float
    hot_frac: float
    wear_usd_per_h: float
    kwh_per_h: float
    best_kwh_per_h: float
    hold_steps: int
    must_frac: float
    load_frac: float
    power_kw: float
    why: str


class Admitted(NamedTuple):
    """A machine in the order of admission: the room under the cap before and after it, and what it got."""

    j: int
    urgency: float
    asked_frac: float
    asked_kw: float
    room_kw: float
    granted_frac: float
    granted_kw: float


class Thought(NamedTuple):
    """All bids of a step, the cap on the site's power and where it comes from, and the admission in order."""

    bids: tuple[Bid, ...]
    cap_kw: float
    peak_kw: float
    planned_cap_kw: float
    base_kw: float
    price_usd_per_kwh: float
    order: tuple[Admitted, ...]


class _Now(NamedTuple):
    """A step of one day: the batch, its shift, the site's parameters, the shifts of the bids (4 m + 1,)."""

    batch: Batch
    shift: int
    site: dict[str, float]
    params: np.ndarray
    shifts: np.ndarray


def _kind(now: _Now, j: int) -> dict[str, float]:
    first = int(now.batch.site.kind[j]) * len(KIND_PARAMETERS)
    return {p.name: float(now.params[first + n]) for n, p in enumerate(KIND_PARAMETERS)}


def _dearer(now: _Now) -> float:
    """What the next shift costs more than the cheapest step left in this one, in parts of the mean price."""
    batch, end = now.batch, SHIFT_STEPS * (now.shift + 1)
    if now.shift + 1 >= SHIFTS:
        return 0.0
    tariff = batch.site.tariff[batch.days.level[:, 0]]
    return max(0.0, float(tariff[end : end + SHIFT_STEPS].mean() - tariff[batch.k : end].min()))


def _pulse(rate: float, is_on: bool, efficient: float, kind: dict[str, float]) -> tuple[float, str]:
    if rate >= efficient:
        return min(rate, kind["most_frac"]), "work"
    if rate >= kind["stay" if is_on else "start"] * efficient:
        return efficient, "pulse"
    return 0.0, "wait"


def _bid(now: _Now, j: int) -> Bid:
    batch, kind, m = now.batch, _kind(now, j), len(now.batch.site.rated_kw)
    site, days, k = batch.site, batch.days, batch.k
    temp_c, on, hold, stock, trip = (float(batch.state.machine[r, j, 0]) for r in
                                     (S_TEMP_C, S_ON, S_HOLD, S_STOCK_H, S_TRIP))  # fmt: skip
    end = SHIFT_STEPS * (now.shift + 1)
    left_h, is_last, is_on = (end - k) * STEP_H, now.shift + 1 >= SHIFTS, on > 0.0
    quota = float(days.quota_h[now.shift, j, 0])
    need, ahead = max(0.0, quota - stock), 0.0
    if not is_last:
        target = kind["ahead"] * _dearer(now) * days.quota_h[now.shift + 1, j, 0] + now.shifts[3 * m + j]
        ahead = max(0.0, min(max(float(target), 0.0), site.buffer_h * 0.97) - max(0.0, stock - quota))
    weight = np.exp(-kind["sharpness"] * (site.tariff - 1.0))[days.level[:, 0]]
    part = min(1.0, float((1.0 + kind["margin"]) * weight[k] / weight[k:end].sum()))
    price = math.exp(-now.site["price"] * float(days.profile[k, P_NOISE_LOG, 0]))
    moved = math.exp(float(now.shifts[j]))
    rate = (need + ahead) / STEP_H * part * price * moved
    parts = (need / (left_h * site.load_max), 0.3 * kind["rank"], 0.5 * now.site["on"] * on, float(now.shifts[m + j]))
    capacity = max(left_h - STEP_H, 0.0) * site.load_max * 0.95
    must = max(0.0, min((need - capacity) / STEP_H, site.load_max)) if need > 0.0 else 0.0
    efficient = min(max(kind["load_frac"] + float(now.shifts[2 * m + j]), site.load_min), site.load_max)
    u, why = _pulse(rate, is_on, efficient, kind) if need + ahead > 1e-9 else (0.0, "done")
    is_hot = temp_c > now.site["hot_c"]
    if is_hot and u > kind["hot_frac"]:
        u, why = kind["hot_frac"], "hot"
    if is_last:
        u = min(u, need / STEP_H) if need > 1e-9 else 0.0
    if must > u:
        u, why = must, "must"
    if hold > 0.0:
        held = max(u, site.load_min) if is_on else 0.0
        u, why = held, "held_on" if is_on and held > u else ("held_off" if not is_on and u > 0.0 else why)
    if trip > 0.0 or days.outage[0, j, 0] <= k < days.outage[1, j, 0]:
        u, must, why = 0.0, 0.0, "tripped" if trip > 0.0 else "outage"
    u = max(u, site.load_min) if u > 0.0 else 0.0
    return Bid(need, ahead, part, 1.0 / (end - k), price, moved, rate, efficient,
               kind["stay" if is_on else "start"] * efficient, sum(parts), *parts, is_on, temp_c, now.site["hot_c"],
               kind["hot_frac"], *_worth(now, j, u), int(hold), must, u,
               float(site.rated_kw[j] * share_of(site, j, u)), why)  # fmt: skip


def _worth(now: _Now, j: int, load: float) -> tuple[float, float, float]:
    """Cost of the heat in USD/h once settled at ``load``, energy per hour of rated work at it, and the least one."""
    site, days, k = now.batch.site, now.batch.days, now.batch.k
    settled_c = float(days.profile[k, P_AMBIENT_C, 0] + site.rise_k[j] * share_of(site, j, load))
    wear = site.wear_usd_per_k * max(0.0, settled_c - site.warn_c) / STEP_H
    best = efficient_load(site, int(site.kind[j]))
    kwh = [float(site.rated_kw[j] * share_of(site, j, u) / u) if u > 0.0 else 0.0 for u in (load, best)]
    return wear, kwh[0], kwh[1]


def _cap(now: _Now) -> tuple[float, float]:
    """The cap on the site's power, and what it would be without the peak that was reached already, kW."""
    batch, p = now.batch, now.site
    site, m = batch.site, len(batch.site.rated_kw)
    need = np.maximum(0.0, batch.days.quota_h[now.shift, :, 0] - batch.state.machine[S_STOCK_H, :, 0])
    later = batch.days.quota_h[now.shift + 1 :, :, 0].sum(axis=0)
    mean_kw = float(((need + later) * site.rated_kw).sum()) / ((STEPS - batch.k) * STEP_H)
    scale_kw = max(float(site.draw[D_BASE_KW]), site.contract_kw)
    factor = p[f"cap_{now.shift + 1}"] + float(now.shifts[4 * m])
    planned = factor * (mean_kw + p["base"] * scale_kw) - p["reserve"] * scale_kw
    return max(float(batch.state.peak_kw[0]), planned), planned


def _grant(now: _Now, bid: Bid, j: int, budget: float, cap: float) -> float:
    """Load a machine gets when ``budget`` kW are left under ``cap``."""
    site, u = now.batch.site, bid.load_frac
    if site.rated_kw[j] * share_of(site, j, u) <= budget:
        return u
    v = load_for(site, j, budget)
    v = 0.0 if v < _kind(now, j)["least_frac"] else v
    if bid.must_frac > v:
        w = min(load_for(site, j, budget + now.site["must"] * cap), bid.must_frac)
        v = max(v, w) if w >= site.load_min else v
    return min(u, max(v, site.load_min) if bid.hold_steps > 0 else v)


def think(batch: Batch, params: np.ndarray, shifts: np.ndarray | None = None) -> Thought:
    """What the bid scheduler thinks before the next step of a batch of one day; ``shifts`` (4 m + 1,) of a policy."""
    m = len(batch.site.rated_kw)
    names = [p.name for p in SITE_PARAMETERS]
    own = dict(zip(names, params[-len(names) :].tolist(), strict=True))
    now = _Now(batch, batch.k // SHIFT_STEPS, own, params, np.zeros(4 * m + 1) if shifts is None else shifts)
    bids = tuple(_bid(now, j) for j in range(m))
    cap, planned = _cap(now)
    base = float(batch.days.profile[batch.k, P_BASE_KW, 0])
    site = batch.site
    least_kw = [float(site.rated_kw[j] * share_of(site, j, site.load_min)) for j in range(m)]
    is_held = [b.hold_steps > 0 and b.load_frac > 0.0 for b in bids]
    budget = cap - base - sum(kw for kw, held in zip(least_kw, is_held, strict=True) if held)
    rows = []
    for j in sorted(range(m), key=lambda j: -bids[j].urgency):
        budget += least_kw[j] if is_held[j] else 0.0
        granted = _grant(now, bids[j], j, budget, cap) if bids[j].load_frac > 0.0 else 0.0
        kw = float(site.rated_kw[j] * share_of(site, j, granted))
        rows.append(Admitted(j, bids[j].urgency, bids[j].load_frac, bids[j].power_kw, budget, granted, kw))
        budget -= kw
    price = float(batch.days.profile[batch.k, P_PRICE, 0])
    return Thought(bids, cap, float(batch.state.peak_kw[0]), planned, base, price, tuple(rows))
