"""The batched environment as a native vector environment of stable-baselines3: n days in lock step, no Python loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from stable_baselines3.common.vec_env import VecEnv

from nexova_sim.kernels.energy import OBS_LIMIT, OBS_MACHINE, OBS_SITE, Site, begin, draw_days, observe
from nexova_sim.schedule.batch import Batch, is_over, open_batch, play
from nexova_sim.schedule.site import days_of

_LANE_SHIFT = np.uint64(32)


def lane_days(n: int, episode: int) -> np.ndarray:
    """Numbers of the days that n lanes play in their ``episode``-th day, (n,) uint64; a lane's do not depend on n."""
    days: np.ndarray = (np.arange(n, dtype=np.uint64) << _LANE_SHIFT) + np.uint64(episode)
    return days


def _refuse_call(env: VecEnv, method_name: str, *method_args: Any, indices: Any = None,  # noqa: ANN401
                 **method_kwargs: Any) -> list[Any]:  # fmt: skip
    raise AttributeError(f"env_method({method_name!r}): the lanes of this environment are no objects")


class UniformVecEnv(VecEnv):
    """What every lane of a batched environment has in common: nothing to get, set or call per lane."""

    def close(self) -> None:
        """Nothing is held open; the arrays are given back with the object."""
        self.closed = True

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ANN401
        """The attribute ``attr_name`` of the batch, once per lane; None where it has none."""
        return [getattr(self, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ANN401
        """Refused: the lanes share every attribute."""
        raise AttributeError(f"set_attr({attr_name!r}): the lanes of this environment share their attributes")

    env_method = _refuse_call

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:  # noqa: ANN401
        """No lane is wrapped."""
        return [False] * len(list(self._get_indices(indices)))


class FleetVecEnv(UniformVecEnv):
    """``NexovaFleet-v0`` for n lanes; lane i plays the days (i << 32) + 0, 1, ... of the stream ``seed``.

    Reward is minus cost in USD. When a day ends all lanes begin the next one: ``info["terminal_observation"]`` is the
    last observation of the old day, ``info["cost_usd"]`` what it cost, (N_COSTS,).
    """

    def __init__(self, site: Site, n_envs: int, seed: int = 0) -> None:
        m = len(site.rated_kw)
        self.site = site
        self.n_seen = OBS_MACHINE * m + OBS_SITE
        self.stream = seed
        self.episode = 0
        self._loads = np.zeros((m, n_envs))
        self._quiet: list[dict[str, Any]] = [{} for _ in range(n_envs)]
        self._batch: Batch = open_batch(site, days_of(site, seed, lane_days(n_envs, 0)))
        super().__init__(n_envs, Box(-OBS_LIMIT, OBS_LIMIT, (self.n_seen,), np.float32),
                         Box(0.0, site.load_max, (m,), np.float32))  # fmt: skip

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Choose the stream of days for the next reset; the same stream gives the same days."""
        if seed is not None:
            self.stream = seed
        return [self.stream] * self.num_envs

    def reset(self) -> np.ndarray:
        """All lanes before the first step of their first day, (n, obs)."""
        self.episode = 0
        self._begin()
        return self._look()

    def _begin(self) -> None:
        draw_days(self.site, np.uint64(self.stream), lane_days(self.num_envs, self.episode), self._batch.days)
        begin(self.site, self._batch.days, self._batch.state)
        self._batch.paid[:] = 0.0
        self._batch = self._batch._replace(k=0)

    def _look(self) -> np.ndarray:
        obs = np.empty((self.num_envs, self.n_seen), np.float32)  # new: callers keep what they got
        observe(self.site, self._batch.days, self._batch.k, self._batch.state, obs)
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Take the load fractions (n, m) of the next step."""
        self._loads[:] = actions.T

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[dict[str, Any]]]:  # type: ignore[override]
        """Play the step: observations (n, obs), rewards (n,), done (n,), infos."""
        self._batch = play(self._batch, self._loads)
        rewards = -self._batch.cost.sum(axis=0).astype(np.float32)
        done = np.zeros(self.num_envs, bool)
        infos = self._quiet
        if is_over(self._batch):
            last, paid = self._look(), self._batch.paid.copy()
            infos = [{"terminal_observation": last[i], "TimeLimit.truncated": False, "cost_usd": paid[:, i]}
                     for i in range(self.num_envs)]  # fmt: skip
            done[:] = True
            self.episode += 1
            self._begin()
        return self._look(), rewards, done, infos
