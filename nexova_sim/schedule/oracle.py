"""How cheap a day could have been: a lower bound, and a schedule made with perfect information and really played.

The schedule begins from the on/off pattern of a controller and frees one window of the day after the other (relax and
fix, Pochet and Wolsey 2006); what counts is its cost in the model, not in the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import STEPS, Days, Site
from nexova_sim.schedule.batch import Batch, open_batch
from nexova_sim.schedule.controllers import Played, play_days
from nexova_sim.schedule.program import Program, U, Z, build, full_outlook, solve
from nexova_sim.schedule.site import pick_days

_WINDOW, _STRIDE, _SWEEPS = 16, 12, 1


class Script(NamedTuple):
    """Plays load fractions (STEPS, m, n) that were fixed beforehand with knowledge of the whole day."""

    plan: np.ndarray
    name: str = "perfect"
    is_causal: bool = False

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The next row of the plan."""
        found: np.ndarray = self.plan[batch.k]
        return found, memory


def lower_bound_usd(site: Site, days: Days, i: int) -> float:
    """A cost that no schedule of day ``i`` can go below, USD: the linear relaxation of schedule.program."""
    view = full_outlook(site, days, i, open_batch(site, days).state)
    return solve(build(site, view, True)).bound_usd


def perfect_day(site: Site, days: Days, i: int, starts: Sequence[np.ndarray], limit_s: float = 5.0) -> np.ndarray:
    """Load fractions (STEPS, m) for day ``i``, made knowing it; never dearer in the model than the best of ``starts``.

    ``starts`` are load fractions (STEPS, m) of controllers that played the day; ``limit_s`` of every window.
    """
    day = pick_days(days, [i])
    view = full_outlook(site, day, 0, open_batch(site, day).state)
    program = build(site, view, False)
    best = min(starts, key=lambda plan: cost_of(site, day, plan))
    is_on = (0.5 * site.load_min <= best.T) & view.is_free
    for _ in range(_SWEEPS):
        for first in range(0, STEPS, _STRIDE):
            window = np.zeros(is_on.shape, bool)
            window[:, first : first + _WINDOW] = True
            held = _fixed(program, is_on, window)
            found = solve(held, window, limit_s, 3e-3).x
            if found is None:
                continue
            is_on = program.block(Z, found) > 0.5
            plan = _loads(site, program.block(U, found), is_on)
            best = min((best, plan), key=lambda plan: cost_of(site, day, plan))
    return best


def _fixed(program: Program, is_on: np.ndarray, window: np.ndarray) -> Program:
    m, h = program.shape
    z = np.arange(Z * m * h, (Z + 1) * m * h).reshape(m, h)
    least, most = program.least.copy(), program.most.copy()
    kept = z[~window]
    least[kept] = most[kept] = np.clip(is_on[~window], least[kept], most[kept])
    return program._replace(least=least, most=most)


def _loads(site: Site, loads: np.ndarray, is_on: np.ndarray) -> np.ndarray:
    """Loads (STEPS, m) of a solution: those of machines that are on, within the site's limits."""
    found: np.ndarray = np.where(is_on, np.clip(loads, site.load_min, site.load_max), 0.0).T
    return found


def cost_of(site: Site, day: Days, plan: np.ndarray) -> float:
    """What one day (a batch of one) costs under the plan (STEPS, m), USD."""
    return float(play_days(Script(plan[:, :, None]), site, day).paid.sum())


def play_perfect(site: Site, days: Days, starts: Sequence[Played], limit_s: float = 5.0) -> Played:
    """Every day under its perfect-information schedule, begun from what the controllers ``starts`` did."""
    n = days.level.shape[1]
    plans = [perfect_day(site, days, i, [p.load_frac[:, :, i] for p in starts], limit_s) for i in range(n)]
    return play_days(Script(np.stack(plans, axis=2)), site, days)
