"""What days could have cost at least, with perfect information, and under model predictive control: slow, by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from nexova_sim.kernels.energy import Days, Site
from nexova_sim.schedule.controllers import Played, no_steps, play_days
from nexova_sim.schedule.mpc import Mpc
from nexova_sim.schedule.oracle import DEFAULT_NODES, Script, lower_bound_usd, perfect_day
from nexova_sim.schedule.site import pick_days


class Yardsticks(NamedTuple):
    """``bound_usd`` (n,) of every day; ``perfect`` and ``mpc`` play the first days only, or are None.

    ``mpc`` plays at least the days of ``perfect``.
    """

    bound_usd: np.ndarray
    perfect: Played | None
    mpc: Played | None


def _bound(site: Site, day: Days) -> float:
    return lower_bound_usd(site, day, 0)


def _perfect(site: Site, day: Days, starts: Sequence[np.ndarray], nodes: int) -> np.ndarray:
    return perfect_day(site, day, 0, starts, nodes)


def _mpc(site: Site, day: Days, controller: Mpc) -> Played:
    return play_days(controller, site, day)


def joined(plays: Sequence[Played]) -> Played:
    """Plays of single days as one play of them all."""
    paid, trips, peak, power, loads = (np.concatenate(list(part), axis=-1) for part in zip(*(p[:5] for p in plays),
                                                                                           strict=True))  # fmt: skip
    return Played(paid, trips, peak, power, loads, sum(p.cpu_s for p in plays))


class Extent(NamedTuple):
    """How much is measured: days of perfect information and, at least as many, of the MPC; ``nodes`` of perfect_day."""

    n_perfect: int
    n_mpc: int
    nodes: int = DEFAULT_NODES


def measure_days(site: Site, days: Days, starts: Sequence[Played], extent: Extent, jobs: int = 1,
                 progress: Callable[[int, int], None] = no_steps) -> Yardsticks:  # fmt: skip
    """The bound of every day; on the first days the MPC, and perfect information begun from it and from ``starts``.

    Days are independent of each other and are spread over ``jobs`` processes.
    """
    n = days.level.shape[1]
    n_slow = min(extent.n_perfect, n)
    n_mpc = min(max(n_slow, extent.n_mpc), n)
    single = [pick_days(days, [i]) for i in range(n)]
    pool = Parallel(n_jobs=jobs)
    bound = np.array(pool(delayed(_bound)(site, day) for day in single))
    total = n + n_mpc + n_slow
    progress(n, total)
    if n_mpc == 0:
        return Yardsticks(bound, None, None)
    mpc = joined(list(pool(delayed(_mpc)(site, single[i], Mpc()) for i in range(n_mpc))))
    progress(n + n_mpc, total)
    if n_slow == 0:
        return Yardsticks(bound, None, mpc)
    begun = [*starts, mpc]
    plans = pool(
        delayed(_perfect)(site, single[i], [p.load_frac[:, :, i] for p in begun], extent.nodes) for i in range(n_slow)
    )
    progress(total, total)
    perfect = play_days(Script(np.stack(list(plans), axis=2)), site, pick_days(days, list(range(n_slow))))
    return Yardsticks(bound, perfect, mpc)
