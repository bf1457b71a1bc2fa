"""The seven-parameter rule: a price-weighted rate, stock made ahead of dear shifts, a soft cap on the site's power."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.energy import (
    D_BASE_KW,
    P_BASE_KW,
    S_STOCK_H,
    S_TEMP_C,
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
from nexova_sim.kernels.energy_bids import Work, share_of
from nexova_sim.kernels.numbers import exp64

R_SHARPNESS, R_MARGIN, R_AHEAD, R_ON, R_MOST, R_HOT, R_CAP = range(7)
N_RULE = 7
_HOT_MARGIN_K = 2.0  # the load is limited from this far below the wear limit on
_LEAST_THROTTLE, _STAY = 0.2, 0.6


@kernel
def _share_left(site: Site, days: Days, k: int, i: int, sharpness: float) -> tuple[float, float, float]:
    """Weight of this step among those left of the shift, the cheapest tariff left, and the next shift's mean tariff."""
    end = SHIFT_STEPS * (k // SHIFT_STEPS + 1)
    total, least, following = 0.0, site.tariff[days.level[k, i]], 0.0
    now = exp64(-sharpness * (least - 1.0))
    for s in range(k, end):
        factor = site.tariff[days.level[s, i]]
        total += exp64(-sharpness * (factor - 1.0))
        least = min(least, factor)
    if end < STEPS:
        for s in range(end, end + SHIFT_STEPS):
            following += site.tariff[days.level[s, i]] / SHIFT_STEPS
    return now / total, least, following


@kernel
def _wish(site: Site, days: Days, state: State, k: int, i: int, params: np.ndarray, loads: np.ndarray
          ) -> float:  # fmt: skip
    """Loads before the cap into ``loads`` (m,); the result is the energy still to be made, kWh at rated load."""
    shift = k // SHIFT_STEPS
    is_last = shift + 1 >= SHIFTS
    share, least, following = _share_left(site, days, k, i, params[R_SHARPNESS])
    share = min(1.0, share * (1.0 + params[R_MARGIN]))
    gap = 0.0 if is_last else max(0.0, following - least)
    rest = 0.0
    for j in range(loads.shape[0]):
        stock, quota = state.machine[S_STOCK_H, j, i], days.quota_h[shift, j, i]
        need = max(0.0, quota - stock)
        u = need / STEP_H * share
        later = 0.0
        if not is_last:
            target = min(max(params[R_AHEAD] * gap * days.quota_h[shift + 1, j, i], 0.0), site.buffer_h * 0.97)
            u += max(0.0, target - max(0.0, stock - quota)) / STEP_H * share
            for q in range(shift + 1, SHIFTS):
                later += days.quota_h[q, j, i]
        rest += (need + later) * site.rated_kw[j]
        u = 0.0 if u < site.load_min * params[R_ON] else min(max(u, site.load_min), params[R_MOST])
        if state.machine[S_TEMP_C, j, i] > site.warn_c - _HOT_MARGIN_K:
            u = min(u, params[R_HOT])
        loads[j] = u
    return rest


@kernel
def rule_loads(site: Site, days: Days, state: State, k: int, params: np.ndarray, out_loads: np.ndarray) -> None:
    """Loads (m, n) of the rule at step ``k`` of every day for the parameters (N_RULE,)."""
    m, n = out_loads.shape
    loads = np.empty(m)
    shift = k // SHIFT_STEPS
    left_h = (SHIFT_STEPS * (shift + 1) - k) * STEP_H
    base_kw = max(site.draw[D_BASE_KW], site.contract_kw)
    for i in range(n):
        rest = _wish(site, days, state, k, i, params, loads)
        cap = max(state.peak_kw[i], params[R_CAP] * (rest / ((STEPS - k) * STEP_H) + base_kw))
        wanted = 0.0
        for j in range(m):
            wanted += site.rated_kw[j] * share_of(site, j, loads[j])
        throttle = min(max((cap - days.profile[k, P_BASE_KW, i]) / max(wanted, 1.0), _LEAST_THROTTLE), 1.0)
        for j in range(m):
            u = loads[j]
            if throttle < 1.0 and u > 0.0:
                u = 0.0 if u * throttle < site.load_min * _STAY else max(u * throttle, site.load_min)
            need = max(0.0, days.quota_h[shift, j, i] - state.machine[S_STOCK_H, j, i])
            capacity = max(left_h - STEP_H, 0.0) * site.load_max * 0.95
            u = max(u, min((need - capacity) / STEP_H, site.load_max))
            out_loads[j, i] = u if need > 1e-9 or shift + 1 < SHIFTS else 0.0


@kernel
def run_rule(site: Site, days: Days, params: np.ndarray, work: Work, out_paid: np.ndarray) -> None:
    """What the days cost under every parameter row of ``params`` (c, N_RULE): ``out_paid`` (c, N_COSTS, n) in USD."""
    for c in range(params.shape[0]):
        begin(site, days, work.state)
        out_paid[c] = 0.0
        for k in range(STEPS):
            rule_loads(site, days, work.state, k, params[c], work.loads)
            advance(site, days, k, work.loads, work.total, work.state, work.cost)
            out_paid[c] += work.cost
