"""``NexovaFleet-v0``: one day of one site as a Gymnasium environment, a thin shell around schedule.model."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import register, registry
from gymnasium.spaces import Box

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy import OBS_LIMIT, OBS_MACHINE, OBS_SITE, STEPS
from nexova_sim.schedule.model import FleetState, first_state, is_out, observe, step
from nexova_sim.schedule.site import COSTS, days_of, make_site

ENV_ID = "NexovaFleet-v0"
DEFAULT_SITE = "configs/energy/workshop.yaml"


class NexovaFleetEnv(gym.Env[np.ndarray, np.ndarray]):
    """Load fractions in, minus the cost of a quarter of an hour in USD out; 96 steps are a day.

    Action: load fraction per machine, (m,) float32 in 0..load_max; below half of load_min means off. Observation: see
    schedule.model.observation_names. ``info`` carries the cost split. ``reset(options={"day": n})`` plays day ``n`` of
    the stream of the last seed; otherwise a day is drawn.
    """

    metadata = {"render_modes": []}

    def __init__(self, site: str | SiteConfig = DEFAULT_SITE, render_mode: None = None) -> None:
        config = site if isinstance(site, SiteConfig) else load(SiteConfig, site)
        self.config = config
        self.site = make_site(config)
        self.render_mode = render_mode
        m = len(self.site.rated_kw)
        self.action_space = Box(0.0, self.site.load_max, (m,), np.float32)
        self.observation_space = Box(-OBS_LIMIT, OBS_LIMIT, (OBS_MACHINE * m + OBS_SITE,), np.float32)
        self.stream = 0
        self._day = days_of(self.site, 0, np.zeros(1, np.uint64))
        self._state: FleetState | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None
              ) -> tuple[np.ndarray, dict[str, Any]]:  # fmt: skip
        """Begin a day; the same ``seed`` gives the same days in the same order. ConfigError for unknown options."""
        super().reset(seed=seed)
        if seed is not None:
            self.stream = seed
        unknown = set(options or {}) - {"day"}
        if unknown:
            raise ConfigError(f"reset options: unknown key {sorted(unknown)[0]!r}; the only option is 'day'")
        number = int((options or {}).get("day", self.np_random.integers(0, 2**31)))
        if not 0 <= number < 2**63:
            raise ConfigError(f"reset options: day {number} must be from 0 to 2^63 - 1")
        self._day = days_of(self.site, self.stream, np.array([number], np.uint64))
        self._state = first_state(self.site, self._day)
        return observe(self.site, self._day, self._state), {"day": number}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One quarter of an hour; ConfigError outside a day, or for an action that is no load."""
        if self._state is None or self._state.step >= STEPS:
            raise ConfigError("step: the day has not begun or is over; call reset first")
        loads = np.asarray(action, float)
        if loads.shape != self.action_space.shape or not np.isfinite(loads).all():
            raise ConfigError(f"step: an action is {self.action_space.shape} finite load fractions, got {action!r}")
        done = step(self.site, self._day, self._state, loads)
        out = is_out(self._day, self._state.step)
        self._state = done.state
        info = {
            "cost_usd": dict(zip(COSTS, done.costs, strict=True)),
            "power_kw": done.total_kw,
            "load_frac": done.load_frac,
            "out": out,
            "tripped": done.state.trip > 0.0,
        }
        return observe(self.site, self._day, done.state), -float(sum(done.costs)), done.state.step >= STEPS, False, info


def register_env() -> None:
    """Make ``gymnasium.make("NexovaFleet-v0")`` work; calling it again changes nothing."""
    if ENV_ID not in registry:
        register(id=ENV_ID, entry_point="nexova_sim.schedule.env:NexovaFleetEnv")
