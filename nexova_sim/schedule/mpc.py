"""Receding-horizon model predictive control: every hour the rest of the day as a mixed-integer program on forecasts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.program import U, Z, build, now_outlook, solve


class Mpc(NamedTuple):
    """Plans every ``every`` steps; the first ``near`` steps are on or off, the later ones may be in between.

    ``margin`` raises the forecast of the base load (program.now_outlook); ``limit_s`` and ``gap_frac`` bound a plan.
    """

    near: int = 8
    every: int = 4
    margin: float = 0.5
    limit_s: float = 10.0
    gap_frac: float = 5e-3
    name: str = "mpc"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The plan's loads of this step; ``memory`` is the plan (every, m, n)."""
        m, n = batch.days.start.shape[1:]
        if batch.k % self.every == 0:
            memory = np.zeros((self.every, m, n))
            for i in range(n):
                plan = self._plan(batch, i)
                memory[: len(plan), :, i] = plan
        found: np.ndarray = memory[batch.k % self.every]
        return found, memory

    def _plan(self, batch: Batch, i: int) -> np.ndarray:
        view = now_outlook(batch.site, batch.days, i, batch.state, batch.k, self.margin)
        program = build(batch.site, view, False)
        window = np.zeros(program.shape, bool)
        window[:, : self.near] = True
        found = solve(program, window, self.limit_s, self.gap_frac)
        if found.x is None:  # the bound alone is no plan: run what is urgent
            need = np.maximum(0.0, view.quota_h[batch.k // 32] - view.stock_h)
            return np.tile(np.where(need > 0.0, 1.0, 0.0) * view.is_free[:, 0], (self.every, 1))
        is_on = program.block(Z, found.x)[:, : self.every] > 0.5
        u = np.clip(program.block(U, found.x)[:, : self.every], batch.site.load_min, batch.site.load_max)
        loads: np.ndarray = np.where(is_on, u, 0.0).T
        return loads
