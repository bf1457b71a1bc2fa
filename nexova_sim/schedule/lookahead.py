"""Look-ahead on the twin: every hour the scheduler's bids are searched anew over simulated futures of the day.

A sampling-based model predictive control (Chua et al. 2018, section 5): what is searched is not a list of loads but how
far the bids of the tuned scheduler are moved to the end of the day, so that it still reacts to what happens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import Days
from nexova_sim.kernels.energy_ahead import run_ahead
from nexova_sim.kernels.energy_bids import Work, bid_loads
from nexova_sim.kernels.energy_context import MOST_SHIFT
from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.bids import make_work
from nexova_sim.schedule.context import linear_shifts
from nexova_sim.schedule.futures import draw_futures, own_seed
from nexova_sim.schedule.refine import DECISION_STEPS
from nexova_sim.schedule.search import SearchPlan, cross_entropy


class Search(NamedTuple):
    """Effort of a decision: ``n_futures`` (even) and ``population`` (even) of every iteration, ``sigma`` in units.

    ``n_checked`` fresh futures decide whether what was found is kept.
    """

    n_futures: int = 32
    population: int = 32
    iterations: int = 4
    sigma: float = 0.4
    n_checked: int = 128
    seed: int = 0


class Lookahead(NamedTuple):
    """The bid scheduler ``params`` whose bids move by what a search over futures found best, every ``every`` steps.

    Only what is known at the step is used (schedule.futures). A decision does not depend on the other days of the
    batch. ``memory`` are the decisions in force, (n, 4 m + 1) in the units of kernels.energy_context.
    """

    params: np.ndarray
    search: Search = Search()
    every: int = DECISION_STEPS
    name: str = "lookahead"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The scheduler's loads under the moves in force, which are the memory."""
        m, n = batch.days.start.shape[1:]
        if memory is None:
            memory = np.zeros((n, 4 * m + 1))
        if batch.k % self.every == 0:
            memory = np.stack([self._search(batch, i, memory[i]) for i in range(n)])
        out, features = np.zeros((m, n)), np.zeros((3 * m + 2, n))
        moved = linear_shifts(memory, m)
        bid_loads(batch.site, batch.days, batch.state, batch.k, self.params, moved, out, features)
        return out, memory

    def _search(self, batch: Batch, i: int, before: np.ndarray) -> np.ndarray:
        """The move that does best on fresh futures: none, the one in force, the one found, or half-way to it."""
        s, days, k = self.search, batch.days, batch.k
        seen = make_rater(batch, i, self.params, s.n_futures, 3 * s.seed).rate
        plan = SearchPlan(
            s.iterations, s.population, s.sigma / (2.0 * MOST_SHIFT), own_seed(days, i, k, 3 * s.seed + 1)
        )
        found = cross_entropy(lambda x, _iteration: seen(_to_units(x)), _to_box(before), plan).x
        moves = np.stack([before, np.zeros_like(before), _to_units(found), 0.5 * (before + _to_units(found))])
        fresh = make_rater(batch, i, self.params, s.n_checked, 3 * s.seed + 2).rate
        best: np.ndarray = moves[int(np.argmin(fresh(moves)))]
        return best


class Rater(NamedTuple):
    """Rates moves of the bids by what the rest of day ``i`` costs on its ``futures``; ``work`` is scratch."""

    batch: Batch
    i: int
    params: np.ndarray
    futures: Days
    work: Work

    def rate(self, moves: np.ndarray) -> np.ndarray:
        """Mean cost (c,) USD of the rest of the day under each of ``moves`` (c, 4 m + 1)."""
        usd = np.empty((len(moves), len(self.work.total)))
        shifts = np.ascontiguousarray(linear_shifts(moves, self.batch.days.start.shape[1]).T)
        now = (self.batch.state, self.i, self.batch.k)
        run_ahead(self.batch.site, self.futures, now, self.params, shifts, self.work, usd)
        rates: np.ndarray = usd.mean(axis=1)
        return rates


def make_rater(batch: Batch, i: int, params: np.ndarray, n: int, seed: int) -> Rater:
    """Rates by ``n`` futures of day ``i`` from its present step on."""
    futures = draw_futures(batch.site, batch.days, i, batch.k, n, seed)
    return Rater(batch, i, params, futures, make_work(batch.days.start.shape[1], n))


def _to_box(moves: np.ndarray) -> np.ndarray:
    box: np.ndarray = 0.5 + moves / (2.0 * MOST_SHIFT)
    return box


def _to_units(box: np.ndarray) -> np.ndarray:
    moves: np.ndarray = (box - 0.5) * (2.0 * MOST_SHIFT)
    return moves
