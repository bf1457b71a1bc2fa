"""How cheap a day could have been: a lower bound, and a schedule made with perfect information and really played.

The schedule is made by relax and fix (Pochet and Wolsey 2006): on/off is whole in one window of the day after the
other, fixed before it, free after it; then every window is opened again in the best schedule known (fix and optimise).
What counts is its cost in the model, not in the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import STEPS, Days, Site
from nexova_sim.schedule.batch import Batch, open_batch
from nexova_sim.schedule.controllers import Played, play_days
from nexova_sim.schedule.mpc import planned_loads
from nexova_sim.schedule.outlook import full_outlook
from nexova_sim.schedule.program import Program, Z, build
from nexova_sim.schedule.site import pick_days
from nexova_sim.schedule.solver import Effort, relaxed_bound, solve

_BOUND_TANGENTS, _PLAN_TANGENTS = 9, 5
_WINDOW, _STRIDE, _SWEEPS = 16, 8, 1
DEFAULT_NODES = 60
_GAP_FRAC = 3e-3


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
    day = pick_days(days, [i])
    view = full_outlook(day, 0, open_batch(site, day).state)
    return relaxed_bound(build(site, view, True, _BOUND_TANGENTS), "ipm")


def cost_of(site: Site, day: Days, plan: np.ndarray) -> float:
    """What one day (a batch of one) costs under the plan (STEPS, m), USD."""
    return float(play_days(Script(plan[:, :, None]), site, day).paid.sum())


def perfect_day(site: Site, days: Days, i: int, starts: Sequence[np.ndarray], nodes: int = DEFAULT_NODES
                ) -> np.ndarray:  # fmt: skip
    """Load fractions (STEPS, m) for day ``i``, made knowing it; never dearer in the model than the best of ``starts``.

    ``starts`` are load fractions (STEPS, m) of controllers that played the day; ``nodes`` of branch and bound in every
    window, so that the result does not depend on the speed of the machine.
    """
    day, effort = pick_days(days, [i]), Effort(_GAP_FRAC, nodes)
    program = build(site, full_outlook(day, 0, open_batch(site, day).state), False, _PLAN_TANGENTS)
    plans = [*starts, _relax_and_fix(site, program, effort)]
    best = min(plans, key=lambda plan: cost_of(site, day, plan))
    shape = program.layout.block[Z].shape
    for _ in range(_SWEEPS):
        for begin in range(0, STEPS, _STRIDE):
            window = _window(shape, begin)
            x = solve(_fixed(program, best.T > 0.0, ~window), window, effort).x
            if x is not None:
                best = min(best, planned_loads(site, program.layout, x), key=lambda plan: cost_of(site, day, plan))
    return best


def _window(shape: tuple[int, ...], begin: int) -> np.ndarray:
    window = np.zeros(shape, bool)
    window[:, begin : begin + _WINDOW] = True
    return window


def _relax_and_fix(site: Site, program: Program, effort: Effort) -> np.ndarray:
    """Loads (STEPS, m) found window by window; a window without a solution within the effort leaves machines off."""
    at = program.layout
    is_on, loads = np.zeros(at.block[Z].shape, bool), np.zeros((STEPS, len(site.rated_kw)))
    for begin in range(0, STEPS, _STRIDE):
        done = np.zeros(is_on.shape, bool)
        done[:, :begin] = True
        x = solve(_fixed(program, is_on, done), _window(is_on.shape, begin), effort).x
        if x is None:
            break
        is_on, loads = x[at.block[Z]] > 0.5, planned_loads(site, at, x)
    return loads


def _fixed(program: Program, is_on: np.ndarray, where: np.ndarray) -> Program:
    """The program with on/off held at ``is_on`` (m, h) where ``where`` says."""
    z = program.layout.block[Z][where]
    least, most = program.least.copy(), program.most.copy()
    least[z] = most[z] = np.clip(is_on[where], least[z], most[z])
    return program._replace(least=least, most=most)


def play_perfect(site: Site, days: Days, starts: Sequence[Played], nodes: int = DEFAULT_NODES) -> Played:
    """Every day under its perfect-information schedule, begun from what the controllers ``starts`` did."""
    n = days.level.shape[1]
    plans = [perfect_day(site, days, i, [p.load_frac[:, :, i] for p in starts], nodes) for i in range(n)]
    return play_days(Script(np.stack(plans, axis=2)), site, days)
