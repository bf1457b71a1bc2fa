"""Days around an expected one, and the bid scheduler fitted to them: what a plan is judged by, and made with."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels.energy import (
    D_BASE_KW,
    D_QUOTA,
    D_QUOTA_SPAN,
    P_AMBIENT_C,
    P_BASE_KW,
    P_NOISE_LOG,
    P_PRICE,
    SHIFT_STEPS,
    STEP_H,
    Days,
    Site,
)
from nexova_sim.schedule.bids import bid_ranges, bids_cost
from nexova_sim.schedule.search import SearchPlan, cma_es
from nexova_sim.schedule.site import days_of

_BASE_SHAPE, _AMBIENT_SHAPE = 2, 3  # columns of Site.hour


def scenarios(site: Site, day: Days, stream: int, numbers: np.ndarray, work_spread_frac: float = 0.1) -> Days:
    """``day`` (a batch of one) as it may turn out: noise and outages of the drawn days ``numbers`` (n,) laid over it.

    Work of a shift differs by up to +-``work_spread_frac``; a machine that is known to be down stays down.
    """
    drawn = days_of(site, stream, numbers)
    n = len(numbers)
    noise = drawn.profile[:, P_NOISE_LOG]
    around = drawn.profile[:, P_AMBIENT_C] - site.hour[:, _AMBIENT_SHAPE, None]
    drawn.profile[:, P_PRICE] = day.profile[:, P_PRICE] * np.exp(noise)
    drawn.profile[:, P_NOISE_LOG] = noise + day.profile[:, P_NOISE_LOG]
    moved_kw = drawn.profile[:, P_BASE_KW] - site.draw[D_BASE_KW] - site.hour[:, _BASE_SHAPE, None]
    drawn.profile[:, P_BASE_KW] = np.maximum(0.0, day.profile[:, P_BASE_KW] + moved_kw)
    drawn.profile[:, P_AMBIENT_C] = day.profile[:, P_AMBIENT_C] + around - around.mean(axis=0)
    low_h, span_h = (site.draw[d] * SHIFT_STEPS * STEP_H for d in (D_QUOTA, D_QUOTA_SPAN))
    place = (drawn.quota_h - low_h) / span_h if span_h > 0.0 else np.full_like(drawn.quota_h, 0.5)
    quota = np.minimum(day.quota_h * (1.0 + work_spread_frac * (2.0 * place - 1.0)), SHIFT_STEPS * STEP_H)
    is_down = day.outage[1] > day.outage[0]
    outage = np.where(is_down[None], day.outage, drawn.outage)
    return Days(drawn.profile, np.repeat(day.level, n, axis=1), quota, outage, np.repeat(day.start, n, axis=2))


def fit_bids(site: Site, params: np.ndarray, n_kinds: int, days: Days, plan: SearchPlan) -> np.ndarray:
    """Parameters of the bid scheduler that cost least on ``days``, by CMA-ES from ``params`` (10 kinds + 9,)."""
    low, high = bid_ranges(n_kinds)

    def cost(x: np.ndarray, _iteration: int) -> np.ndarray:
        usd: np.ndarray = bids_cost(site, days, low + x * (high - low)).sum(axis=1).mean(axis=1)
        return usd

    start = np.clip((params - low) / (high - low), 0.0, 1.0)
    fitted: np.ndarray = low + cma_es(cost, start, plan).x * (high - low)
    return fitted
