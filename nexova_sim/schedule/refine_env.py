"""Hourly decisions on the scheduler's bids as a native vector environment; reward is what they save over none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from nexova_sim.kernels.energy import OBS_LIMIT, S_STOCK_H, SHIFT_STEPS, SHIFTS, STEPS, Days, Site
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.kernels.energy_context import context_shifts
from nexova_sim.schedule.batch import Batch, is_over, open_batch, play
from nexova_sim.schedule.refine import DECISION_STEPS, Seat, network_seat
from nexova_sim.schedule.vecenv import UniformVecEnv

REWARD_USD = 10.0  # one unit of reward
_WORK_USD_PER_KWH = 0.13  # about what an hour of rated work costs: moves the credit to when the work is done


def potential(batch: Batch) -> np.ndarray:
    """Minus what the work still to be made is worth, (n,) USD; 0 when the day is over."""
    if batch.k >= STEPS:
        return np.zeros(batch.days.start.shape[2])
    quota = batch.days.quota_h[batch.k // SHIFT_STEPS : SHIFTS].sum(axis=0)
    rest = np.maximum(0.0, quota - batch.state.machine[S_STOCK_H])
    worth: np.ndarray = -_WORK_USD_PER_KWH * (rest * batch.site.rated_kw[:, None]).sum(axis=0)
    return worth


class RefineVecEnv(UniformVecEnv):
    """n lanes; each plays its day twice, with and without the decisions, and is paid the difference of the two.

    ``draw(episode)`` gives the days of an episode; ``params`` are those of the scheduler and ``weights`` those of its
    linear policy, which acts on both days; ``seat`` says what is decided. Reward is in 10 USD and shaped by a potential
    of both days, which cancels over the day.
    """

    def __init__(self, site: Site, params: np.ndarray, draw: Callable[[int], Days], episode: int = 0,
                 seat: Seat | None = None, weights: np.ndarray | None = None) -> None:  # fmt: skip
        self.site, self.params, self.draw, self.episode, self.weights = site, params, draw, episode, weights
        self.seat = seat or network_seat(len(site.rated_kw))
        self._open()
        n = self._batch.days.start.shape[2]
        self._shifts = self._none
        self._quiet: list[dict[str, Any]] = [{} for _ in range(n)]
        limit = self.seat.limit
        super().__init__(n, Box(-OBS_LIMIT, OBS_LIMIT, (self.seat.n_inputs,), np.float32),
                         Box(-limit, limit, (self.seat.n_outputs,), np.float32))  # fmt: skip

    def _open(self) -> None:
        days = self.draw(self.episode)
        self._batch, self._twin = open_batch(self.site, days), open_batch(self.site, days)
        m, n = days.start.shape[1:]
        self._none, self._loads, self._features = np.zeros((4 * m + 1, n)), np.zeros((m, n)), np.zeros((3 * m + 2, n))
        self._below = np.zeros_like(self._none)
        self._gain = potential(self._batch) - potential(self._twin)

    def reset(self) -> np.ndarray:
        """The present episode from its first hour."""
        self._open()
        return self._look()

    def _look(self) -> np.ndarray:
        return self.seat.look(self._batch, min(self._batch.k, STEPS - 1), self.params)

    def _hour(self, batch: Batch, shifts: np.ndarray) -> Batch:
        for _ in range(DECISION_STEPS):
            moved = shifts
            if self.weights is not None:
                context_shifts(self.site, batch.days, batch.state, batch.k, self.weights, self._below)
                moved = shifts + self._below
            bid_loads(self.site, batch.days, batch.state, batch.k, self.params, moved, self._loads, self._features)
            batch = play(batch, self._loads)
        return batch

    def step_async(self, actions: np.ndarray) -> None:
        """Take the decisions (n, n_actions) of the next hour."""
        self._shifts = self.seat.shift(actions, len(self.site.rated_kw))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[dict[str, Any]]]:  # type: ignore[override]
        """Play the hour: inputs (n, in), rewards (n,), done (n,), infos; a new day begins when one ends."""
        before = self._twin.paid.sum(axis=0) - self._batch.paid.sum(axis=0)
        self._batch, self._twin = self._hour(self._batch, self._shifts), self._hour(self._twin, self._none)
        saved = self._twin.paid.sum(axis=0) - self._batch.paid.sum(axis=0) - before
        gain = potential(self._batch) - potential(self._twin)
        rewards = ((saved + gain - self._gain) / REWARD_USD).astype(np.float32)
        self._gain = gain
        done = np.full(self.num_envs, is_over(self._batch))
        infos = self._quiet
        if done[0]:
            last, paid = self._look(), self._batch.paid.copy()
            infos = [{"terminal_observation": last[i], "TimeLimit.truncated": False, "cost_usd": paid[:, i]}
                     for i in range(self.num_envs)]  # fmt: skip
            self.episode += 1
            self._open()
        return self._look(), rewards, done, infos
