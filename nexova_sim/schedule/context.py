"""The bid scheduler whose bids follow a linear policy of what is seen, shared by the machines of a kind."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import N_COSTS, Days, Site
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.kernels.energy_context import (
    CONTEXT_IN,
    CONTEXT_OUT,
    MOST_SHIFT,
    UNIT_CAP,
    UNIT_LOAD,
    UNIT_RATE,
    UNIT_STOCK_H,
    UNIT_URGENCY,
    context_shifts,
    context_view,
    run_context,
)
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


def linear_view(batch: Batch, k: int) -> np.ndarray:
    """What the policy looks at in step ``k``, (n, CONTEXT_IN (m + 1)) float32: machine by machine, then the cap."""
    m, n = batch.days.start.shape[1:]
    out = np.empty((n, CONTEXT_IN * (m + 1)), np.float32)
    context_view(batch.site, batch.days, batch.state, k, out)
    return out


def linear_shifts(actions: np.ndarray, n_machines: int) -> np.ndarray:
    """Shifts (4 m + 1, n) of the bids for decisions (n, 4 m + 1) in their units, limited to +-MOST_SHIFT."""
    per_machine = np.repeat([UNIT_RATE, UNIT_URGENCY, UNIT_LOAD, UNIT_STOCK_H], n_machines)
    units = np.append(per_machine, UNIT_CAP)[:, None]
    return np.ascontiguousarray(units * np.clip(actions.T.astype(float), -MOST_SHIFT, MOST_SHIFT))


def context_cost(site: Site, days: Days, params: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Cost split of the days under every row of ``params`` (c, p) and ``weights`` (c, w): (c, N_COSTS, n) USD."""
    m, n = days.start.shape[1:]
    paid = np.zeros((len(params), N_COSTS, n))
    run_context(site, days, np.ascontiguousarray(params, float), np.ascontiguousarray(weights, float),
                np.zeros((4 * m + 1, n)), make_work(m, n), paid)  # fmt: skip
    return paid


class Context(NamedTuple):
    """The bid scheduler (10 kinds + 9,) with its linear policy ``weights``, which decides every ``every`` steps.

    ``noise_std`` is the spread of the decisions in their units while PPO learned them; 0 in use.
    """

    params: np.ndarray
    weights: np.ndarray
    name: str = "context"
    is_causal: bool = True
    every: int = 1
    noise_std: float = 0.0

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The scheduler's loads under the shifts in force, which are the memory."""
        m, n = batch.days.start.shape[1:]
        if batch.k % self.every == 0:
            memory = np.zeros((4 * m + 1, n))
            context_shifts(batch.site, batch.days, batch.state, batch.k, self.weights, memory)
            if self.noise_std > 0.0:
                noise = np.random.default_rng(batch.k).standard_normal((n, 4 * m + 1))
                memory += linear_shifts(self.noise_std * noise, m)
        out, view = np.zeros((m, n)), np.zeros((3 * m + 2, n))
        bid_loads(batch.site, batch.days, batch.state, batch.k, self.params, memory, out, view)
        return out, memory
