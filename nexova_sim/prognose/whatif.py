"""What an action does to a machine's future: cost and probability of failure per action, with common random numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.kernels.branches import N_OUT, O_FAILED, Actions, Cases, Stakes, branch_futures
from nexova_sim.kernels.particles import HOURS_PER_WEEK, N_PARTICLE, Future
from nexova_sim.kernels.rows import N_PARAMS

MAX_HOURS = 8766


class Outcomes(NamedTuple):
    """Futures of s situations under a actions.

    ``parts_usd`` (s, a, n, 4): energy, action, failure, wear left at the end. ``p_failure`` (s, a, n): probability of a
    failure within the horizon, given that future's load and particle.
    """

    parts_usd: np.ndarray
    p_failure: np.ndarray

    @property
    def cost_usd(self) -> np.ndarray:
        """Expected cost of each future, (s, a, n)."""
        total: np.ndarray = self.parts_usd.sum(axis=3)
        return total


class Verdict(NamedTuple):
    """Per situation and action, (s, a) each: means over the futures, and the standard error of the cost's mean.

    ``extra_usd`` is the cost above the first action's, ``extra_se_usd`` the standard error of that paired difference.
    """

    cost_usd: np.ndarray
    cost_se_usd: np.ndarray
    p_failure: np.ndarray
    extra_usd: np.ndarray
    extra_se_usd: np.ndarray


def branch(cases: Cases, particles: np.ndarray, horizon_h: int = 168, seed: int = 1) -> Outcomes:
    """Branch s situations into each of their actions over ``horizon_h`` hours.

    ``particles`` (s, n, N_PARTICLE): one present per future; repeat or draw from a tracked cloud to get n. Every action
    of a situation meets the same n futures, and situations with equal ``future.key`` do too. The result depends on
    nothing but the arguments, and a situation's numbers not on the other situations. Raises DataError when shapes do
    not fit or a number is not finite.
    """
    n_situations = cases.params.shape[1]
    shapes = {
        "params": (cases.params.shape, (N_PARAMS, n_situations)),
        "particles": (particles.shape, (n_situations, *particles.shape[1:2], N_PARTICLE)),
        "week_load": (cases.future.week_load.shape, (n_situations, HOURS_PER_WEEK)),
        "price_usd_per_kwh": (cases.stakes.price_usd_per_kwh.shape, (n_situations, HOURS_PER_WEEK)),
        "actions": (cases.actions.stop_h.shape, (n_situations, *cases.actions.stop_h.shape[1:2])),
    }
    for name, (got, expected) in shapes.items():
        if got != expected:
            raise DataError(f"what-if: {name} has shape {got}, expected {expected}")
    if not 1 <= horizon_h <= MAX_HOURS:
        raise DataError(f"what-if: the horizon must be 1 to {MAX_HOURS} hours, got {horizon_h}")
    numbers = (cases.params, particles, cases.future.week_load, cases.future.ambient_c, *cases.actions, *cases.stakes)
    if not all(np.isfinite(a).all() for a in numbers):
        raise DataError("what-if: parameters, particles, loads, prices and costs must be finite numbers")
    out = np.empty((n_situations, cases.actions.stop_h.shape[1], particles.shape[1], N_OUT))
    branch_futures(cases, np.ascontiguousarray(particles, float), np.uint64(seed), horizon_h, out)
    return Outcomes(out[..., :O_FAILED], out[..., O_FAILED])


def judge(outcomes: Outcomes) -> Verdict:
    """Means over the futures with their standard errors; differences are paired with the first action."""
    cost = outcomes.cost_usd
    root = np.sqrt(cost.shape[2])
    extra = cost - cost[:, :1]
    return Verdict(
        cost.mean(axis=2),
        cost.std(axis=2, ddof=1) / root,
        outcomes.p_failure.mean(axis=2),
        extra.mean(axis=2),
        extra.std(axis=2, ddof=1) / root,
    )


def draw_particles(cloud: np.ndarray, n: int) -> np.ndarray:
    """``n`` particles (n, N_PARTICLE) of an equal-weight cloud (m, N_PARTICLE), equally often or nearly."""
    picked: np.ndarray = cloud[(np.arange(n) * len(cloud) // n) if n < len(cloud) else np.arange(n) % len(cloud)]
    return picked


__all__ = ["Actions", "Cases", "Future", "Outcomes", "Stakes", "Verdict", "branch", "draw_particles", "judge"]
