"""The bid scheduler whose bids follow a linear policy of what is seen, recomputed at every step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import N_COSTS, Days, Site
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.kernels.energy_context import CONTEXT_IN, CONTEXT_OUT, context_shifts, run_context
from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.bids import make_work

OUTPUTS = ("rate", "urgency", "load", "stock")
MACHINE_INPUTS = ("one", "urgency", "shift_left", "peak", "peak_soon", "price_noise", "warmth", "ahead", "next_quota",
                  "room", "on", "last_shift")  # fmt: skip
SITE_INPUTS = ("one", "shift_left", "shift_1", "shift_2", "base", "work_day", "work_shift", "peak", "peak_soon",
               "room", "outage", "peak_left")  # fmt: skip
WEIGHT_LIMIT = 4.0


def context_names(kinds: list[str]) -> list[str]:
    """Names of the weights of a site with these kinds, in their order."""
    return [*(f"{kind}.{out}.{x}" for kind in kinds for out in OUTPUTS for x in MACHINE_INPUTS),
            *(f"cap.{x}" for x in SITE_INPUTS)]  # fmt: skip


def n_weights(n_kinds: int) -> int:
    """Weights of a policy for ``n_kinds`` kinds."""
    return CONTEXT_IN * (CONTEXT_OUT * n_kinds + 1)


def context_cost(site: Site, days: Days, params: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cost split of the days under every row of ``params`` (c, p) and ``weights`` (c, w): (c, N_COSTS, n) USD."""
    m, n = days.start.shape[1:]
    paid = np.zeros((len(params), N_COSTS, n))
    run_context(site, days, np.ascontiguousarray(params, float), np.ascontiguousarray(weights, float),
                np.zeros((4 * m + 1, n)), make_work(m, n), paid)  # fmt: skip
    return paid


class Context(NamedTuple):
    """The bid scheduler (10 kinds + 9,) with its linear policy ``weights`` (kernels.energy_context)."""

    params: np.ndarray
    weights: np.ndarray
    name: str = "context"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The scheduler's loads under the shifts of this step."""
        m, n = batch.days.start.shape[1:]
        out, shifts, view = np.zeros((m, n)), np.zeros((4 * m + 1, n)), np.zeros((3 * m + 2, n))
        context_shifts(batch.site, batch.days, batch.state, batch.k, self.weights, shifts)
        bid_loads(batch.site, batch.days, batch.state, batch.k, self.params, shifts, out, view)
        return out, memory
