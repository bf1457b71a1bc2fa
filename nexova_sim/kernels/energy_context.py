"""Shifts of the scheduler's bids as a linear function of what is seen, with weights shared by machines of a kind.

``weights`` (CONTEXT_OUT CONTEXT_IN kinds + CONTEXT_IN,): for every kind and each of rate, urgency, efficient load and
stock ahead the weights of a machine's inputs, then the weights of the site's inputs on the cap. Zero weights are the
scheduler itself.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.energy import (
    D_BASE_KW,
    D_QUOTA,
    D_QUOTA_SPAN,
    P_BASE_KW,
    P_NOISE_LOG,
    PEAK,
    S_ON,
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
from nexova_sim.kernels.energy_bids import Work, bid_loads
from nexova_sim.kernels.numbers import exp64

CONTEXT_IN, CONTEXT_OUT = 12, 4
MOST_SHIFT = 3.0
UNIT_RATE, UNIT_URGENCY, UNIT_LOAD, UNIT_STOCK_H, UNIT_CAP = 0.6, 0.3, 0.15, 0.6, 0.15
_HORIZON = 48  # steps ahead in which a dear hour is looked for


@kernel
def _typical_kw(site: Site) -> float:
    """Mean power the quotas ask for, at rated load."""
    share = site.draw[D_QUOTA] + 0.5 * site.draw[D_QUOTA_SPAN]
    return max(share, 0.05) * site.rated_kw.sum()


@kernel
def _dear(days: Days, k: int, i: int) -> tuple[float, float]:
    """How near the next dear hour is, exp(-wait / 2 h), and the steps of dear hours left in the day."""
    wait = _HORIZON
    left = 0.0
    for s in range(STEPS - 1, k - 1, -1):
        if days.level[s, i] == PEAK:
            left += 1.0
            wait = min(_HORIZON, s - k)
    return exp64(-wait / 8.0), left


@kernel
def site_inputs(site: Site, days: Days, state: State, k: int, i: int, out_g: np.ndarray) -> None:
    """What the cap looks at."""
    shift = k // SHIFT_STEPS
    left = SHIFT_STEPS * (shift + 1) - k
    typical = _typical_kw(site)
    now_kwh, rest_kwh, out_kw = 0.0, 0.0, 0.0
    for j in range(site.rated_kw.shape[0]):
        need = max(0.0, days.quota_h[shift, j, i] - state.machine[S_STOCK_H, j, i])
        now_kwh += need * site.rated_kw[j]
        for q in range(shift + 1, SHIFTS):
            need += days.quota_h[q, j, i]
        rest_kwh += need * site.rated_kw[j]
        if days.outage[0, j, i] <= k < days.outage[1, j, i]:
            out_kw += site.rated_kw[j]
    mean_kw = rest_kwh / ((STEPS - k) * STEP_H)
    base = days.profile[k, P_BASE_KW, i]
    soon, dear_left = _dear(days, k, i)
    out_g[0] = 1.0
    out_g[1] = left / SHIFT_STEPS - 0.5
    out_g[2] = 1.0 if shift == 0 else 0.0
    out_g[3] = 1.0 if shift == 1 else 0.0
    out_g[4] = (base - site.draw[D_BASE_KW] - site.hour[k, 2]) / (0.05 * typical)
    out_g[5] = mean_kw / typical - 1.0
    out_g[6] = now_kwh / (left * STEP_H) / typical - 1.0
    out_g[7] = 1.0 if days.level[k, i] == PEAK else 0.0
    out_g[8] = soon
    out_g[9] = (state.peak_kw[i] - base - mean_kw) / (0.3 * typical)
    out_g[10] = out_kw / (0.25 * site.rated_kw.sum())
    out_g[11] = dear_left / 24.0


@kernel
def machine_inputs(site: Site, days: Days, state: State, at: tuple[int, int, int], g: np.ndarray,
                    out_x: np.ndarray) -> None:  # fmt: skip
    """What the bids of a machine look at; ``at`` is (step, machine, day)."""
    k, j, i = at
    shift = k // SHIFT_STEPS
    left_h = (SHIFT_STEPS * (shift + 1) - k) * STEP_H
    stock, quota = state.machine[S_STOCK_H, j, i], days.quota_h[shift, j, i]
    is_last = shift + 1 >= SHIFTS
    out_x[0] = 1.0
    out_x[1] = min(max(0.0, quota - stock) / (left_h * site.load_max), 1.5) - 0.5
    out_x[2] = g[1]
    out_x[3] = g[7]
    out_x[4] = g[8]
    out_x[5] = 10.0 * days.profile[k, P_NOISE_LOG, i]
    out_x[6] = (state.machine[S_TEMP_C, j, i] - site.warn_c + 10.0) / 10.0
    out_x[7] = min(max(stock - quota, 0.0), site.buffer_h) / 1.5
    out_x[8] = -0.5 if is_last else days.quota_h[shift + 1, j, i] / (0.5 * SHIFT_STEPS * STEP_H) - 1.0
    out_x[9] = g[9]
    out_x[10] = state.machine[S_ON, j, i] - 0.5
    out_x[11] = 1.0 if is_last else 0.0


@kernel
def _weighted(weights: np.ndarray, first: int, x: np.ndarray) -> float:
    total = 0.0
    for a in range(CONTEXT_IN):
        total += weights[first + a] * x[a]
    return min(max(total, -MOST_SHIFT), MOST_SHIFT)


@kernel
def context_shifts(site: Site, days: Days, state: State, k: int, weights: np.ndarray, out_shifts: np.ndarray) -> None:
    """Shifts (4 m + 1, n) of the bids at step ``k``, each limited to +-MOST_SHIFT of its unit."""
    m = site.rated_kw.shape[0]
    x = np.empty(CONTEXT_IN)
    g = np.empty(CONTEXT_IN)
    for i in range(out_shifts.shape[1]):
        site_inputs(site, days, state, k, i, g)
        out_shifts[4 * m, i] = UNIT_CAP * _weighted(weights, weights.shape[0] - CONTEXT_IN, g)
        for j in range(m):
            machine_inputs(site, days, state, (k, j, i), g, x)
            first = site.kind[j] * CONTEXT_OUT * CONTEXT_IN
            out_shifts[j, i] = UNIT_RATE * _weighted(weights, first, x)
            out_shifts[m + j, i] = UNIT_URGENCY * _weighted(weights, first + CONTEXT_IN, x)
            out_shifts[2 * m + j, i] = UNIT_LOAD * _weighted(weights, first + 2 * CONTEXT_IN, x)
            out_shifts[3 * m + j, i] = UNIT_STOCK_H * _weighted(weights, first + 3 * CONTEXT_IN, x)


@kernel
def run_context(site: Site, days: Days, params: np.ndarray, weights: np.ndarray, shifts: np.ndarray, work: Work,
                out_paid: np.ndarray) -> None:  # fmt: skip
    """What the days cost under every row of ``params`` (c, p) with its ``weights`` (c, w): (c, N_COSTS, n) USD.

    ``shifts`` (4 m + 1, n) is scratch.
    """
    for c in range(params.shape[0]):
        begin(site, days, work.state)
        out_paid[c] = 0.0
        for k in range(STEPS):
            context_shifts(site, days, work.state, k, weights[c], shifts)
            bid_loads(site, days, work.state, k, params[c], shifts, work.loads, work.features)
            advance(site, days, k, work.loads, work.total, work.state, work.cost)
            out_paid[c] += work.cost


@kernel
def context_view(site: Site, days: Days, state: State, k: int, out_view: np.ndarray) -> None:
    """What the policy looks at, (n, CONTEXT_IN (m + 1)) float32: the inputs of every machine, then those of the cap."""
    m = site.rated_kw.shape[0]
    x = np.empty(CONTEXT_IN)
    g = np.empty(CONTEXT_IN)
    for i in range(out_view.shape[0]):
        site_inputs(site, days, state, k, i, g)
        for j in range(m):
            machine_inputs(site, days, state, (k, j, i), g, x)
            for a in range(CONTEXT_IN):
                out_view[i, CONTEXT_IN * j + a] = x[a]
        for a in range(CONTEXT_IN):
            out_view[i, CONTEXT_IN * m + a] = g[a]
