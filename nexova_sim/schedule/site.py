"""A site configuration as the arrays the kernels want, and days drawn from it."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.config.energy import SiteConfig
from nexova_sim.kernels.energy import N_COSTS, N_PROFILE, N_STATE, SHIFTS, STEP_H, STEPS, Days, Site, State, draw_days

FIRST_HOUR = 6.0
COSTS = ("energy", "demand", "start", "wear", "shortage")
_BASE_LOW_HOUR, _AMBIENT_LOW_HOUR = 8.0, 9.0  # the daily swings cross their mean, rising, at these hours


def clock_hours() -> np.ndarray:
    """Hour of the day at the beginning of each step, (STEPS,), 6.0 to 29.75: the last shift ends at 06:00."""
    hours: np.ndarray = FIRST_HOUR + STEP_H * np.arange(STEPS)
    return hours


def _hour_table(config: SiteConfig) -> np.ndarray:
    hours = clock_hours()
    turn = 2.0 * math.pi / 24.0
    around = config.surroundings
    return np.stack([
        np.sin(hours * turn),
        np.cos(hours * turn),
        around.base_swing_kw * np.sin((hours - _BASE_LOW_HOUR) * turn),
        around.ambient_swing_k * np.sin((hours - _AMBIENT_LOW_HOUR) * turn),
    ], axis=1)  # fmt: skip


def _kick(memory: float, spread: float) -> float:
    """Size of the innovation that gives an AR(1) series the standard deviation ``spread``."""
    return spread * math.sqrt(1.0 - memory * memory)


def _draw_table(config: SiteConfig) -> np.ndarray:
    """What days are drawn from, in the order of the D_ constants of kernels.energy."""
    tariff, around, heat = config.tariff, config.surroundings, config.heat
    quota, outage = config.production.quota_frac, config.outages.hours
    per_hour = 1.0 / STEP_H
    return np.array([
        (tariff.peak_start_hour[0] - FIRST_HOUR) * per_hour,
        (tariff.peak_start_hour[1] - tariff.peak_start_hour[0]) * per_hour,
        tariff.peak_hours[0] * per_hour,
        (tariff.peak_hours[1] - tariff.peak_hours[0]) * per_hour,
        tariff.noise_memory_frac, _kick(tariff.noise_memory_frac, tariff.noise_frac),
        around.base_kw, around.base_least_kw,
        around.base_memory_frac, _kick(around.base_memory_frac, around.base_noise_kw),
        around.ambient_c[0], around.ambient_c[1] - around.ambient_c[0],
        around.ambient_memory_frac, _kick(around.ambient_memory_frac, around.ambient_noise_k),
        quota[0], quota[1] - quota[0],
        config.outages.share_frac, math.floor(outage[0] * per_hour), math.floor((outage[1] - outage[0]) * per_hour),
        heat.start_above_ambient_k, config.production.stock_h,
    ], float)  # fmt: skip


def make_site(config: SiteConfig) -> Site:
    """The arrays of a site; machines in the order of the file, kinds numbered in the order of ``config.kinds``."""
    curves = [config.kinds[m.kind] for m in config.machines]
    rated = np.array([m.rated_kw for m in config.machines])
    fixed = np.array([c.fixed_frac for c in curves])
    square = np.array([c.square_frac for c in curves])
    numbers = {name: n for n, name in enumerate(config.kinds)}
    heat, rules, tariff = config.heat, config.production, config.tariff
    hours = clock_hours() % 24.0
    return Site(
        rated_kw=rated,
        fixed=fixed,
        linear=1.0 - fixed - square,
        square=square,
        rise_k=np.array([c.rise_at_rated_k for c in curves]),
        keep=np.exp([-STEP_H / c.time_constant_h for c in curves]),
        start_usd=rules.start_usd_per_kw * rated,
        shortage_usd_per_h=rules.shortage_usd_per_kwh * rated,
        kind=np.array([numbers[m.kind] for m in config.machines], np.int64),
        load_min=float(rules.load_frac[0]),
        load_max=float(rules.load_frac[1]),
        buffer_h=float(rules.buffer_h),
        up_steps=float(rules.min_up_steps),
        down_steps=float(rules.min_down_steps),
        warn_c=float(heat.warn_c),
        trip_c=float(heat.trip_c),
        trip_steps=float(max(1, round(heat.trip_hours / STEP_H))),
        wear_usd_per_k=heat.fatigue_per_k_h * heat.overhaul_usd * STEP_H,
        demand_usd_per_kw=float(tariff.demand_usd_per_kw),
        contract_kw=float(tariff.contract_kw),
        price_usd_per_kwh=float(tariff.price_usd_per_kwh),
        tariff=np.array([tariff.off_peak_factor, 1.0, tariff.peak_factor]),
        off_peak_steps=np.isin(np.floor(hours), tariff.off_peak_hours).astype(float),
        hour=_hour_table(config),
        draw=_draw_table(config),
    )


def empty_days(n_machines: int, n: int) -> Days:
    """Room for ``n`` days of a site of ``n_machines`` machines."""
    return Days(
        np.empty((STEPS, N_PROFILE, n)),
        np.empty((STEPS, n), np.int8),
        np.empty((SHIFTS, n_machines, n)),
        np.empty((2, n_machines, n)),
        np.empty((2, n_machines, n)),
    )


def empty_state(n_machines: int, n: int) -> State:
    """Room for the state of ``n`` days."""
    return State(np.empty((N_STATE, n_machines, n)), np.empty(n))


def empty_costs(n: int) -> np.ndarray:
    """Room for the cost of ``n`` days, (N_COSTS, n), zero."""
    return np.zeros((N_COSTS, n))


def days_of(site: Site, seed: int, numbers: np.ndarray) -> Days:
    """The days ``numbers`` (n,) of the stream ``seed``; a day does not depend on the others of its batch."""
    days = empty_days(len(site.rated_kw), len(numbers))
    draw_days(site, np.uint64(seed), np.ascontiguousarray(numbers, np.uint64), days)
    return days


def pick_days(days: Days, which: np.ndarray | list[int]) -> Days:
    """The days at the places ``which`` of a batch, in that order."""
    return Days(*(np.ascontiguousarray(a[..., np.asarray(which)]) for a in days))
