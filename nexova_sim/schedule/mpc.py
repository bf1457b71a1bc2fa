"""Receding-horizon model predictive control: the rest of the day as a mixed-integer program on forecasts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import D_OUTAGE_P, S_STOCK_H, S_TRIP, SHIFT_STEPS, STEP_H, STEPS, Site
from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.outlook import Outlook, coarse, expected_outlook
from nexova_sim.schedule.program import Layout, Program, U, Z, build
from nexova_sim.schedule.solver import Effort, solve

_TANGENTS = 4


class Planned(NamedTuple):
    """Plans of n days: loads (near, m, n) from the steps ``since`` (n,) on, made with ``is_down`` (m, n) machines."""

    plan: np.ndarray
    since: np.ndarray
    is_down: np.ndarray


class Mpc(NamedTuple):
    """Plans every ``every`` steps; the first ``near`` steps are on or off, the later ones blocks anywhere in between.

    ``block`` steps make a block of the far horizon; ``margin`` raises the forecast of the base load
    (outlook.expected_outlook); ``haste`` is the part of the shortages that outages to come would cause which work done
    later is charged with; ``effort`` bounds a plan by gap and nodes, so it is the same on every machine.
    """

    every: int = 4
    near: int = 8
    block: int = 4
    margin: float = 1.0
    haste: float = 0.4
    effort: Effort = Effort()
    name: str = "mpc"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The plans' loads of this step; ``memory`` is what is planned for every day."""
        m, n = batch.days.start.shape[1:]
        if memory is None:
            memory = Planned(np.zeros((self.near, m, n)), np.full(n, -self.every), np.zeros((m, n), bool))
        is_down = (batch.days.outage[0] <= batch.k) & (batch.k < batch.days.outage[1])
        is_down |= batch.state.machine[S_TRIP] > 0.0
        is_old = (batch.k - memory.since >= self.every) | (is_down != memory.is_down).any(axis=0)
        for i in np.flatnonzero(is_old):
            memory.plan[:, :, i] = 0.0
            plan = self._plan(batch, int(i))
            memory.plan[: len(plan), :, i] = plan
            memory.since[i] = batch.k
        memory = memory._replace(is_down=is_down)
        found = memory.plan[batch.k - memory.since, :, np.arange(n)].T
        return _urgent(batch, found), memory

    def _plan(self, batch: Batch, i: int) -> np.ndarray:
        """Loads (near, m) for the coming steps of day ``i``."""
        view = expected_outlook(batch.site, batch.days, i, batch.state, batch.k, self.margin)
        view = coarse(view, self.near, self.block)
        program = _hurried(batch.site, view, build(batch.site, view, False, _TANGENTS), self.haste)
        window = np.zeros(view.free_frac.shape, bool)
        window[:, : self.near] = True
        found = solve(program, window, self.effort)
        if found.x is None:  # no plan within the effort: what is missing runs
            need = np.maximum(0.0, view.quota_h[batch.k // SHIFT_STEPS] - view.stock_h)
            return np.tile(np.where(need > 0.0, 1.0, 0.0), (self.near, 1))
        return planned_loads(batch.site, program.layout, found.x)[: self.near]


def _hurried(site: Site, view: Outlook, program: Program, haste: float) -> Program:
    """The program with later work dearer by what it would cost if an outage began before it, per hour of delay."""
    begins_h = STEP_H * (np.cumsum(view.n_steps) - view.n_steps)
    p_per_h = site.draw[D_OUTAGE_P] / (STEPS * STEP_H)
    risk = haste * p_per_h * site.shortage_usd_per_h[:, None] * begins_h * view.n_steps * STEP_H
    cost = program.cost.copy()
    cost[program.layout.block[U]] += risk
    return program._replace(cost=cost)


def planned_loads(site: Site, at: Layout, x: np.ndarray) -> np.ndarray:
    """Load fractions (h, m) of a solution: those of machines that are on, within the site's limits."""
    found: np.ndarray = np.where(x[at.block[Z]] > 0.5, np.clip(x[at.block[U]], site.load_min, site.load_max), 0.0).T
    return found


def _urgent(batch: Batch, loads: np.ndarray) -> np.ndarray:
    """The loads, at least what the quota needs when nothing but full load to the end of the shift can still make it."""
    site, shift = batch.site, batch.k // SHIFT_STEPS
    left_h = STEP_H * (SHIFT_STEPS * (shift + 1) - batch.k - 1)
    need = np.maximum(0.0, batch.days.quota_h[shift] - batch.state.machine[S_STOCK_H])
    must = np.minimum((need - 0.95 * site.load_max * left_h) / STEP_H, site.load_max)
    found: np.ndarray = np.where(must >= site.load_min, np.maximum(loads, must), loads)
    return found
