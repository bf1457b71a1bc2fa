"""The rest of a day of schedule.model as a linear program, or as a mixed-integer one when on/off must be whole.

With z in [0, 1] and ``is_bound`` it is a relaxation: every day the model can live is feasible in it at no higher cost,
so its optimum is a lower bound on what any schedule costs. Why, piece by piece:

    load u           load_min z <= u <= load_max z and 0 in an outage hold in the model with z = 1 when it runs, else 0
    power share p    fixed z + linear u + square u^2 is convex: above each of its tangents, which in perspective form
                     (Frangioni and Gentile 2006) hold for z = 0 too; below its chord between load_min and load_max.
                     The chord is written only where the price is negative, elsewhere leaving it out only widens
    start s          s >= z - z of the step before is what the model charges; a fractional start costs less
    stock            by shift: what is there before the last step is at most what was there plus what was made, and at
                     most the store; the last step is added, the quota taken, shortage bought; throwing away is free
    peak             at least the contract and every step's base load plus machines, as in the model
    tariff, base     enter with the prices and loads that come true
    heat, wear       temperature is exactly linear in p; wear is convex in it and paid as in the model
    left out         minimum up and down times, trips and the hour after them: they only forbid schedules

Without ``is_bound`` minimum times are added, and a temperature close to a trip is dear, so that a plan can be played.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from nexova_sim.kernels.energy import SHIFT_STEPS, SHIFTS, STEP_H, Site
from nexova_sim.schedule.outlook import Outlook

_TRIP_MARGIN_K, _TRIP_USD_PER_K = 0.7, 25.0
BLOCKS = 7
U, Z, P, S, TEMP, WEAR, HOT = range(BLOCKS)  # blocks of variables, (m, h) each


Terms = Sequence[tuple[np.ndarray, np.ndarray | float]]  # columns and values


class Layout(NamedTuple):
    """Where the variables stand: ``block`` (BLOCKS, m, h), ``peak`` the last one, the rest by shift left (shifts, m).

    ``before`` stock before its last period, ``after`` stock after its end, ``short`` what is missing.
    """

    block: np.ndarray
    before: np.ndarray
    after: np.ndarray
    short: np.ndarray
    peak: int


class Rows(NamedTuple):
    """r rows of the same t terms: columns and values (r, t), limits (r,)."""

    column: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Program(NamedTuple):
    """Minimise cost x + constant with rows between ``low`` and ``high`` and x between ``least`` and ``most``."""

    cost: np.ndarray
    constant_usd: float
    rows: csr_array
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray
    layout: Layout


def _rows(terms: Terms, low: np.ndarray | float, high: np.ndarray | float
          ) -> Rows:  # fmt: skip
    """Rows low <= sum of value x[column] <= high; the columns of all terms have the shape of the rows."""
    shape = terms[0][0].shape
    column = np.stack([c.ravel() for c, _ in terms], axis=1)
    value = np.stack([np.broadcast_to(v, shape).ravel() for _, v in terms], axis=1).astype(float)
    limits = (np.broadcast_to(np.asarray(x, float), shape).ravel() for x in (low, high))
    return Rows(column, value, *limits)


def _layout(view: Outlook) -> Layout:
    m, h = view.free_frac.shape
    left = SHIFTS - view.k // SHIFT_STEPS
    block = np.arange(BLOCKS * m * h).reshape(BLOCKS, m, h)
    rest = BLOCKS * m * h + np.arange(3 * left * m).reshape(3, left, m)
    return Layout(block, rest[0], rest[1], rest[2], BLOCKS * m * h + 3 * left * m)


def _shift_of(view: Outlook) -> np.ndarray:
    """Shift of every period, counted from the present one, (h,)."""
    begins = view.k + np.concatenate([[0.0], np.cumsum(view.n_steps)[:-1]])
    found: np.ndarray = (begins // SHIFT_STEPS).astype(int) - view.k // SHIFT_STEPS
    return found


def tangent_loads(site: Site, n: int) -> np.ndarray:
    """Loads (m, n) at which power is linearised: evenly spread, the nearest moved to the least energy per work."""
    even = np.tile(np.linspace(site.load_min, site.load_max, n), (len(site.rated_kw), 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.nan_to_num(np.sqrt(site.fixed / site.square), nan=site.load_max, posinf=site.load_max)
    best = np.clip(best, site.load_min, site.load_max)
    nearest = np.abs(even - best[:, None]).argmin(axis=1)
    even[np.arange(len(best)), nearest] = best
    return even


def _power_rows(site: Site, view: Outlook, at: Layout, n_tangents: int) -> list[Rows]:
    u, z, p = at.block[U], at.block[Z], at.block[P]
    low, high = site.load_min, site.load_max
    c0, c1, c2 = (x[:, None] for x in (site.fixed, site.linear, site.square))
    found = [_rows([(u, 1.0), (z, -high)], -np.inf, 0.0), _rows([(z, low), (u, -1.0)], -np.inf, 0.0)]
    for a in tangent_loads(site, n_tangents).T[:, :, None]:
        found.append(_rows([(z, c0 - c2 * a * a), (u, c1 + 2.0 * c2 * a), (p, -1.0)], -np.inf, 0.0))
    paid = view.price_usd_per_kwh < 0.0  # here power is wanted, so it must be kept below the chord
    if paid.any():
        terms: Terms = [(p[:, paid], 1.0), (z[:, paid], -c0 + c2 * low * high), (u[:, paid], -c1 - c2 * (low + high))]
        found.append(_rows(terms, -np.inf, 0.0))
    return found


def _start_rows(view: Outlook, at: Layout) -> list[Rows]:
    z, s = at.block[Z], at.block[S]
    return [
        _rows([(z[:, 1:], 1.0), (z[:, :-1], -1.0), (s[:, 1:], -1.0)], -np.inf, 0.0),
        _rows([(z[:, :1], 1.0), (s[:, :1], -1.0)], -np.inf, view.is_on[:, None]),
    ]


def _hold_rows(site: Site, view: Outlook, at: Layout) -> list[Rows]:
    """Minimum up and down times among the single steps at the beginning, where no outage forces a switch."""
    z, s = at.block[Z], at.block[S]
    n = int((np.cumprod(view.n_steps == 1.0)).sum())
    is_free = view.free_frac >= 1.0
    found = []
    for d in range(1, min(int(site.up_steps), n)):
        j, k = np.nonzero(is_free[:, d:n])
        found.append(_rows([(s[j, k], 1.0), (z[j, k + d], -1.0)], -np.inf, 0.0))
    for d in range(1, min(int(site.down_steps), n - 1)):
        j, k = np.nonzero(is_free[:, 1 : n - d])  # stopped at step k + 1: off at k + 1 + d too
        terms: Terms = [(z[j, k], 1.0), (z[j, k + 1], -1.0), (s[j, k + 1], 1.0), (z[j, k + 1 + d], 1.0)]
        found.append(_rows(terms, -np.inf, 1.0))
    return found


def _stock_rows(view: Outlook, at: Layout) -> list[Rows]:
    """Two rows by machine and shift: the stock before the shift's last period, and the one after its end."""
    u = at.block[U]
    shift_of = _shift_of(view)
    hours = STEP_H * view.n_steps
    found = []
    for shift in range(len(at.short)):
        periods = np.flatnonzero(shift_of == shift)
        made: Terms = [(u[:, t], -float(hours[t])) for t in periods[:-1]]
        begun: Terms = [(at.after[shift - 1], -1.0)] if shift else []
        there = np.zeros(len(u)) if shift else view.stock_h
        found.append(_rows([(at.before[shift], 1.0), *begun, *made], -np.inf, there))
        last = periods[-1]
        quota = view.quota_h[view.k // SHIFT_STEPS + shift]
        terms: Terms = [(at.after[shift], 1.0), (at.before[shift], -1.0), (u[:, last], -float(hours[last])),
                 (at.short[shift], -1.0)]  # fmt: skip
        found.append(_rows(terms, -np.inf, -quota))
    return found


def _heat_rows(site: Site, view: Outlook, at: Layout) -> list[Rows]:
    p, temp, wear, hot = (at.block[b] for b in (P, TEMP, WEAR, HOT))
    keep = site.keep[:, None] ** view.n_steps
    gain = (1.0 - keep) * site.rise_k[:, None]
    drift = (1.0 - keep) * view.ambient_c
    begun = drift[:, :1] + keep[:, :1] * view.temp_c[:, None]
    return [
        _rows([(temp[:, 1:], 1.0), (temp[:, :-1], -keep[:, 1:]), (p[:, 1:], -gain[:, 1:])], drift[:, 1:], drift[:, 1:]),
        _rows([(temp[:, :1], 1.0), (p[:, :1], -gain[:, :1])], begun, begun),
        _rows([(temp, 1.0), (wear, -1.0)], -np.inf, site.warn_c),
        _rows([(temp, 1.0), (hot, -1.0)], -np.inf, site.trip_c - _TRIP_MARGIN_K),
    ]


def _peak_rows(site: Site, view: Outlook, at: Layout) -> Rows:
    h = len(view.n_steps)
    machines = [(at.block[P, j], float(site.rated_kw[j])) for j in range(len(site.rated_kw))]
    return _rows([*machines, (np.full(h, at.peak), -1.0)], -np.inf, -view.base_kw)


def _limits(site: Site, view: Outlook, at: Layout, is_bound: bool) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of every variable, all finite, so that the dual solution alone proves a bound."""
    m, h = view.free_frac.shape
    first = view.k // SHIFT_STEPS
    share_most = site.fixed + site.linear * site.load_max + site.square * site.load_max**2
    least, most = np.zeros(at.peak + 1), np.zeros(at.peak + 1)
    most[at.block[U]] = site.load_max * view.free_frac
    most[at.block[Z]] = view.free_frac
    most[at.block[P]] = share_most[:, None] * view.free_frac
    most[at.block[S]] = 1.0
    coldest = min(float(view.temp_c.min()), float(view.ambient_c.min()))
    settled = float(view.ambient_c.max()) + site.rise_k * np.maximum(share_most, 0.0)
    hottest = np.maximum(view.temp_c, settled)[:, None] + np.zeros((m, h))
    least[at.block[TEMP]], most[at.block[TEMP]] = coldest - 1.0, hottest + 1.0
    most[at.block[WEAR]] = np.maximum(hottest + 1.0 - site.warn_c, 0.0)
    most[at.block[HOT]] = np.maximum(hottest + 1.0 - site.trip_c + _TRIP_MARGIN_K, 0.0)
    quota = view.quota_h[first:]
    most[at.before] = quota + site.buffer_h
    most[at.after] = np.vstack([quota[1:], quota[-1:]]) + site.buffer_h
    most[at.short] = quota
    least[at.peak] = view.peak_kw
    most[at.peak] = max(view.peak_kw, float(view.base_kw.max()) + float((site.rated_kw * share_most).sum()) + 1.0)
    if not is_bound:
        for j in np.flatnonzero(view.hold > 0.0):
            held = at.block[Z, j, : int(view.hold[j])][view.free_frac[j, : int(view.hold[j])] >= 1.0]
            least[held] = most[held] = view.is_on[j]
    return least, most


def build(site: Site, view: Outlook, is_bound: bool, n_tangents: int = 5) -> Program:
    """The program of what is left of the day; with ``is_bound`` the relaxation, else what a plan must also keep."""
    at = _layout(view)
    hours = STEP_H * view.n_steps
    cost = np.zeros(at.peak + 1)
    cost[at.block[P]] = site.rated_kw[:, None] * view.price_usd_per_kwh * hours
    cost[at.block[S]] = site.start_usd[:, None]
    cost[at.block[WEAR]] = site.wear_usd_per_k * view.n_steps
    cost[at.short] = site.shortage_usd_per_h
    cost[at.peak] = site.demand_usd_per_kw
    sets = [*_power_rows(site, view, at, n_tangents), *_start_rows(view, at), *_stock_rows(view, at),
            *_heat_rows(site, view, at), _peak_rows(site, view, at)]  # fmt: skip
    if not is_bound:
        cost[at.block[HOT]] = _TRIP_USD_PER_K * view.n_steps
        sets += _hold_rows(site, view, at)
    constant = float((view.price_usd_per_kwh * view.base_kw * hours).sum() - site.demand_usd_per_kw * view.peak_kw)
    least, most = _limits(site, view, at, is_bound)
    return Program(cost, constant, _matrix(sets, at.peak + 1), np.concatenate([r.low for r in sets]),
                   np.concatenate([r.high for r in sets]), least, most, at)  # fmt: skip


def _matrix(sets: list[Rows], width: int) -> csr_array:
    counts = np.concatenate([np.full(r.column.shape[0], r.column.shape[1]) for r in sets])
    begins = np.concatenate([[0], np.cumsum(counts)])
    value = np.concatenate([r.value.ravel() for r in sets])
    column = np.concatenate([r.column.ravel() for r in sets])
    return csr_array((value, column, begins), shape=(len(counts), width))
