"""What days could have cost at least, with perfect information, and under controllers that plan: slow, by day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from nexova_sim.kernels.energy import Days, Site
from nexova_sim.schedule.controllers import Controller, Played, no_steps, play_days
from nexova_sim.schedule.lookahead import Lookahead
from nexova_sim.schedule.mpc import Mpc
from nexova_sim.schedule.oracle import DEFAULT_NODES, Script, lower_bound_usd, perfect_day
from nexova_sim.schedule.site import pick_days


class Yardsticks(NamedTuple):
    """``bound_usd`` (n,) of every day; ``perfect`` and ``mpc`` play the first days only, or are None.

    ``mpc`` plays at least the days of ``perfect``; so does ``lookahead``, a play for each scheduler, when there is any.
    """

    bound_usd: np.ndarray
    perfect: Played | None
    mpc: Played | None
    lookahead: Sequence[Played] = ()


def _bound(site: Site, day: Days) -> float:
    return lower_bound_usd(site, day, 0)


def _perfect(site: Site, day: Days, starts: Sequence[np.ndarray], nodes: int) -> np.ndarray:
    return perfect_day(site, day, 0, starts, nodes)


def _play(site: Site, day: Days, controller: Controller) -> Played:
    return play_days(controller, site, day)


def joined(plays: Sequence[Played]) -> Played:
    """Plays of single days as one play of them all."""
    paid, trips, peak, power, loads = (np.concatenate(list(part), axis=-1) for part in zip(*(p[:5] for p in plays),
                                                                                           strict=True))  # fmt: skip
    return Played(paid, trips, peak, power, loads, sum(p.cpu_s for p in plays))


class Extent(NamedTuple):
    """How much is measured: days of perfect information and, at least as many, of the MPC; ``nodes`` of perfect_day.

    ``ahead`` are the controllers that look ahead and play the first ``n_ahead`` days, or when they are fewer those of
    perfect information.
    """

    n_perfect: int
    n_mpc: int
    nodes: int = DEFAULT_NODES
    n_ahead: int = 0
    ahead: Sequence[Lookahead] = ()


def measure_days(site: Site, days: Days, starts: Sequence[Played], extent: Extent, jobs: int = 1,
                 progress: Callable[[int, int], None] = no_steps) -> Yardsticks:  # fmt: skip
    """The bound of every day; on the first days MPC, look-ahead, and perfect information begun from all and ``starts``.

    Days are independent of each other and are spread over ``jobs`` processes.
    """
    n = days.level.shape[1]
    n_slow = min(extent.n_perfect, n)
    n_mpc = min(max(n_slow, extent.n_mpc), n)
    n_ahead = min(max(n_slow, extent.n_ahead), n) if extent.ahead else 0
    single = [pick_days(days, [i]) for i in range(n)]
    pool = Parallel(n_jobs=jobs)
    bound = np.array(pool(delayed(_bound)(site, day) for day in single))
    total = n + n_mpc + n_ahead * len(extent.ahead) + n_slow
    done = n
    progress(done, total)

    def plays(controller: Controller, n_days: int) -> Played:
        nonlocal done
        found = joined(list(pool(delayed(_play)(site, single[i], controller) for i in range(n_days))))
        done += n_days
        progress(done, total)
        return found

    mpc = plays(Mpc(), n_mpc) if n_mpc else None
    ahead = [plays(controller, n_ahead) for controller in extent.ahead]
    if mpc is None or n_slow == 0:
        return Yardsticks(bound, None, mpc, ahead)
    begun = [*starts, mpc, *ahead]
    plans = pool(
        delayed(_perfect)(site, single[i], [p.load_frac[:, :, i] for p in begun], extent.nodes) for i in range(n_slow)
    )
    progress(total, total)
    perfect = play_days(Script(np.stack(list(plans), axis=2)), site, pick_days(days, list(range(n_slow))))
    return Yardsticks(bound, perfect, mpc, ahead)
