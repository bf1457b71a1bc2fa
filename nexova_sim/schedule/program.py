"""The rest of a day of the scheduling model as a linear or mixed-integer program.

Power of a running machine is convex in its load, so it lies above its tangents and below its chord; both are written in
perspective form (Frangioni and Gentile 2006), with the on/off variable z beside the load u. With z in [0, 1] and
without heat the program is a relaxation of schedule.model: every day the model can live is feasible in it at no higher
cost.

    u                between load_min z and load_max z; 0 in an outage
    power share p    at least every tangent c0 z + c1 u + c2 (2 a u - a^2 z), at most the chord
    start            at least z - z of the step before; a stop costs nothing
    stock            grows by at most what is made, never above the store; at the end of a shift it pays the quota, and
                     what is missing is bought at the price of a shortage
    peak             at least the contract and every step's base load plus machines; minimum up and down times, trips
                     and wear only make days dearer and are left out of the bound
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from nexova_sim.base.errors import DataError
from nexova_sim.kernels.energy import (
    D_AMBIENT_C,
    D_AMBIENT_KEEP,
    D_AMBIENT_SPAN,
    D_BASE_KEEP,
    D_BASE_KICK,
    D_BASE_KW,
    D_BASE_MIN_KW,
    D_OUTAGE_SPAN,
    D_OUTAGE_STEPS,
    D_PRICE_KEEP,
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
    Days,
    Site,
    State,
)

_TANGENTS, _FEW_TANGENTS = 7, 4
_TRIP_MARGIN_K, _TRIP_USD_PER_K = 0.7, 25.0
U, Z, P, S, STOCK, T, W, V = range(8)  # blocks of variables, (m, h) each; then shortages, then the peak


class Outlook(NamedTuple):
    """What is known or expected of the h steps from step ``k`` on, and where the machines are at ``k``.

    ``price_usd_per_kwh`` (h,), ``base_kw`` (h,), ``ambient_c`` (h,), ``is_free`` (m, h): neither outage nor trip,
    ``quota_h`` (SHIFTS, m); ``temp_c``, ``is_on``, ``hold``, ``stock_h`` (m,); ``peak_kw`` so far.
    """

    k: int
    price_usd_per_kwh: np.ndarray
    base_kw: np.ndarray
    ambient_c: np.ndarray
    is_free: np.ndarray
    quota_h: np.ndarray
    temp_c: np.ndarray
    is_on: np.ndarray
    hold: np.ndarray
    stock_h: np.ndarray
    peak_kw: float


class Program(NamedTuple):
    """Minimise cost x + constant, rows between ``low`` and ``high``, x between ``least`` and ``most``."""

    cost: np.ndarray
    constant: float
    rows: csr_array
    low: np.ndarray
    high: np.ndarray
    least: np.ndarray
    most: np.ndarray
    shape: tuple[int, int]

    def block(self, number: int, x: np.ndarray) -> np.ndarray:
        """Block ``number`` of a solution, (m, h)."""
        m, h = self.shape
        found: np.ndarray = x[number * m * h : (number + 1) * m * h].reshape(m, h)
        return found


class Solution(NamedTuple):
    """A solution (x None when none was found in time) and a lower bound on the cost of any, USD."""

    x: np.ndarray | None
    bound_usd: float


def full_outlook(site: Site, days: Days, i: int, state: State) -> Outlook:
    """Everything day ``i`` will bring, seen from its first step: perfect information."""
    steps = np.arange(STEPS)
    is_out = (steps >= days.outage[0, :, i, None]) & (steps < days.outage[1, :, i, None])
    s = state.machine[:, :, i]
    return Outlook(0, days.profile[:, P_PRICE, i], days.profile[:, P_BASE_KW, i], days.profile[:, P_AMBIENT_C, i],
                   ~is_out, days.quota_h[:, :, i], s[S_TEMP_C], s[S_ON], s[S_HOLD], s[S_STOCK_H],
                   float(state.peak_kw[i]))  # fmt: skip


def now_outlook(site: Site, days: Days, i: int, state: State, k: int, margin: float) -> Outlook:
    """What can be expected at step ``k`` of day ``i``: tariff and quotas are known, the rest fades to its mean.

    Price noise, base load and ambient are AR(1) and decay from where they are. The base load is raised by ``margin``
    standard deviations of its forecast error, since its peaks cost more than its troughs save. An outage that has begun
    is expected to last its mean, at least one step more; those to come are not expected.
    """
    d = site.draw
    steps = np.arange(k, STEPS)
    ahead = steps - k
    noise = days.profile[k, P_NOISE_LOG, i] * d[D_PRICE_KEEP] ** ahead
    price = site.price_usd_per_kwh * site.tariff[days.level[k:, i]] * np.exp(noise)
    usual = d[D_BASE_KW] + site.hour[k:, 2]
    keep = d[D_BASE_KEEP] ** ahead
    spread = d[D_BASE_KICK] * np.sqrt((1.0 - keep**2) / max(1.0 - d[D_BASE_KEEP] ** 2, 1e-9))
    base = np.maximum(d[D_BASE_MIN_KW], usual + keep * (days.profile[k, P_BASE_KW, i] - usual[0]) + margin * spread)
    base[0] = days.profile[k, P_BASE_KW, i]
    mean_c = d[D_AMBIENT_C] + 0.5 * d[D_AMBIENT_SPAN]
    swing = site.hour[k:, 3]
    gone = d[D_AMBIENT_KEEP] ** ahead
    ambient = mean_c + swing + (0.5 + 0.5 * gone) * (days.profile[k, P_AMBIENT_C, i] - mean_c - swing[0])
    first, last = days.outage[0, :, i], days.outage[1, :, i]
    is_out = (first <= k) & (k < last)
    expected = np.maximum(first + d[D_OUTAGE_STEPS] + 0.5 * d[D_OUTAGE_SPAN], k + 1)
    s = state.machine[:, :, i]
    until = np.where(is_out, expected, k)
    until = np.maximum(until, k + s[S_TRIP])
    is_free = steps >= until[:, None]
    return Outlook(k, price, base, ambient, is_free, days.quota_h[:, :, i], s[S_TEMP_C], s[S_ON], s[S_HOLD],
                   s[S_STOCK_H], float(state.peak_kw[i]))  # fmt: skip


class _Rows(NamedTuple):
    """Collects sparse rows: terms (row, column, value) and the limits of every row."""

    row: list[np.ndarray]
    column: list[np.ndarray]
    value: list[np.ndarray]
    low: list[np.ndarray]
    high: list[np.ndarray]

    def add(self, terms: list[tuple[np.ndarray, np.ndarray | float]], high: np.ndarray | float,
            is_equal: bool = False) -> None:  # fmt: skip
        """Rows sum of value x[column] <= high (or = high); the columns of all terms have one shape."""
        n = terms[0][0].size
        before = sum(len(part) for part in self.high)
        number = np.arange(before, before + n)
        for column, value in terms:
            self.row.append(number)
            self.column.append(column.ravel())
            self.value.append(np.broadcast_to(value, column.shape).ravel())
        top = np.broadcast_to(np.asarray(high, float), terms[0][0].shape).ravel()
        self.high.append(top)
        self.low.append(top if is_equal else np.full(n, -np.inf))

    def matrix(self, width: int) -> csr_array:
        """All rows."""
        parts = (np.concatenate(x) for x in (self.value, self.row, self.column))
        value, row, column = parts
        return csr_array(coo_array((value, (row, column)), shape=(sum(len(part) for part in self.high), width)))


def build(site: Site, view: Outlook, is_bound: bool) -> Program:
    """The program of the steps from ``view.k`` on; with ``is_bound`` the relaxation, else with heat and hold times."""
    m, h = view.is_free.shape
    places = np.arange(8 * m * h).reshape(8, m, h)
    first_shift = view.k // SHIFT_STEPS
    n_shifts = SHIFTS - first_shift
    short = 8 * m * h + np.arange(n_shifts * m).reshape(n_shifts, m)
    peak = np.array([8 * m * h + n_shifts * m])
    width = int(peak[0]) + 1
    rows = _Rows([], [], [], [], [])
    _power_rows(site, rows, places, _TANGENTS if is_bound else _FEW_TANGENTS)
    _start_rows(site, view, rows, places, is_bound)
    _stock_rows(site, view, rows, places, short)
    for step in range(h):
        rows.add([(places[P, j, step : step + 1], float(site.rated_kw[j])) for j in range(m)] + [(peak, -1.0)],
                 -view.base_kw[step : step + 1])  # fmt: skip
    if not is_bound:
        _heat_rows(site, view, rows, places)
    return _limited(site, view, rows, (places, short, width), is_bound)


def _power_rows(site: Site, rows: _Rows, places: np.ndarray, n_tangents: int) -> None:
    u, z, p = places[U], places[Z], places[P]
    low, high = site.load_min, site.load_max
    c0, c1, c2 = (x[:, None] for x in (site.fixed, site.linear, site.square))
    rows.add([(u, 1.0), (z, -high)], 0.0)
    rows.add([(z, low), (u, -1.0)], 0.0)
    for a in np.linspace(low, high, n_tangents):
        rows.add([(z, c0 - c2 * a * a), (u, c1 + 2.0 * c2 * a), (p, -1.0)], 0.0)
    rows.add([(p, 1.0), (z, -c0 + c2 * low * high), (u, -c1 - c2 * (low + high))], 0.0)


def _start_rows(site: Site, view: Outlook, rows: _Rows, places: np.ndarray, is_bound: bool) -> None:
    z, s = places[Z], places[S]
    rows.add([(z[:, 1:], 1.0), (z[:, :-1], -1.0), (s[:, 1:], -1.0)], 0.0)
    rows.add([(z[:, 0], 1.0), (s[:, 0], -1.0)], view.is_on)
    if is_bound:
        return
    m, h = z.shape
    for j in range(m):
        free = view.is_free[j]
        for d in range(1, int(site.up_steps)):
            k = np.flatnonzero(free[d:])
            rows.add([(s[j, k], 1.0), (z[j, k + d], -1.0)], 0.0)
        for d in range(1, int(site.down_steps)):
            k = 1 + np.flatnonzero(free[1 : h - d]) if h > d + 1 else np.empty(0, int)
            rows.add([(z[j, k - 1], 1.0), (z[j, k], -1.0), (s[j, k], 1.0), (z[j, k + d], 1.0)], 1.0)


def _stock_rows(site: Site, view: Outlook, rows: _Rows, places: np.ndarray, short: np.ndarray) -> None:
    u, stock = places[U], places[STOCK]
    h = u.shape[1]
    step = view.k + np.arange(h)
    ends = (step + 1) % SHIFT_STEPS == 0
    for t in range(h):
        terms: list[tuple[np.ndarray, np.ndarray | float]] = [(stock[:, t], 1.0), (u[:, t], -STEP_H)]
        top = np.zeros(len(u))
        if t > 0:
            terms.append((stock[:, t - 1], -1.0))
        else:
            top = top + view.stock_h
        if ends[t]:
            shift = step[t] // SHIFT_STEPS
            terms.append((short[shift - view.k // SHIFT_STEPS], -1.0))
            top = top - view.quota_h[shift]
        rows.add(terms, top)


def _heat_rows(site: Site, view: Outlook, rows: _Rows, places: np.ndarray) -> None:
    p, temp, warm, hot = places[P], places[T], places[W], places[V]
    keep, rise = site.keep[:, None], site.rise_k[:, None]
    gain = (1.0 - keep) * view.ambient_c
    rows.add([(temp[:, 1:], 1.0), (temp[:, :-1], -keep), (p[:, 1:], -(1.0 - keep) * rise)], gain[:, 1:], True)
    rows.add([(temp[:, 0], 1.0), (p[:, 0], -(1.0 - site.keep) * site.rise_k)], gain[:, 0] + site.keep * view.temp_c,
             True)  # fmt: skip
    rows.add([(temp, 1.0), (warm, -1.0)], site.warn_c)
    rows.add([(temp, 1.0), (hot, -1.0)], site.trip_c - _TRIP_MARGIN_K)


def _limited(site: Site, view: Outlook, rows: _Rows, layout: tuple[np.ndarray, np.ndarray, int], is_bound: bool
             ) -> Program:  # fmt: skip
    places, short, width = layout
    m, h = view.is_free.shape
    step = view.k + np.arange(h)
    cost, least, most = np.zeros(width), np.zeros(width), np.full(width, np.inf)
    cost[places[P]] = site.rated_kw[:, None] * view.price_usd_per_kwh * STEP_H
    cost[places[S]] = site.start_usd[:, None]
    cost[short] = site.shortage_usd_per_h
    cost[-1] = site.demand_usd_per_kw
    most[places[U]] = site.load_max * view.is_free
    most[places[Z]] = view.is_free
    most[places[S]] = 1.0
    following = np.minimum((step + 1) // SHIFT_STEPS, SHIFTS - 1)
    most[places[STOCK]] = view.quota_h[following].T + site.buffer_h
    least[-1] = view.peak_kw
    if is_bound:
        for block in (T, W, V):
            most[places[block]] = 0.0
    else:
        least[places[T]] = -np.inf
        cost[places[W]], cost[places[V]] = site.wear_usd_per_k, _TRIP_USD_PER_K
        for j in np.flatnonzero(view.hold > 0.0):
            held = places[Z, j, : int(view.hold[j])][view.is_free[j, : int(view.hold[j])]]
            least[held] = most[held] = view.is_on[j]
    constant = float((view.price_usd_per_kwh * view.base_kw).sum() * STEP_H - site.demand_usd_per_kw * view.peak_kw)
    return Program(cost, constant, rows.matrix(width), np.concatenate(rows.low), np.concatenate(rows.high), least, most,
                   (m, h))  # fmt: skip


def solve(program: Program, is_integer: np.ndarray | None = None, limit_s: float = 60.0, gap_frac: float = 1e-4
          ) -> Solution:  # fmt: skip
    """Minimise with HiGHS; ``is_integer`` (m, h) marks the on/off variables that must be whole.

    Running out of time is no error: x may be None then. DataError when the program has no solution or no end.
    """
    integrality = np.zeros(len(program.cost), np.int64)
    if is_integer is not None:
        m, h = program.shape
        integrality[Z * m * h : (Z + 1) * m * h] = is_integer.ravel()
    found = milp(program.cost, integrality=integrality, bounds=Bounds(program.least, program.most),
                 constraints=LinearConstraint(program.rows, program.low, program.high),
                 options={"time_limit": limit_s, "mip_rel_gap": gap_frac, "presolve": True})  # fmt: skip
    bound = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
    if found.status not in (0, 1):
        raise DataError(f"schedule program: HiGHS ended with {found.message!r}; check prices, quotas and power curves")
    value = -np.inf if bound is None else float(bound)
    return Solution(found.x, value + program.constant)
