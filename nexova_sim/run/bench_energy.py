"""Measurements behind the ``energy`` group of ``nexova bench``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.run.benchmark import Benchmark

_SITE = "configs/energy/workshop.yaml"


def env_rate(n_envs: int) -> float:
    """Steps of the batched environment per CPU-second in millions: actions in, observations out, days drawn anew."""
    from nexova_sim.schedule.site import make_site
    from nexova_sim.schedule.vecenv import FleetVecEnv

    env = FleetVecEnv(make_site(load(SiteConfig, _SITE)), n_envs, seed=1)
    env.reset()
    rng = np.random.default_rng(0)
    actions = [rng.uniform(0.0, 1.1, (n_envs, len(env.site.rated_kw))).astype(np.float32) for _ in range(8)]
    n_steps = 4 * 96
    best_s = float("inf")
    for _ in range(7):
        started = time.process_time()
        for k in range(n_steps):
            env.step(actions[k % 8])
        best_s = min(best_s, time.process_time() - started)
    return n_envs * n_steps / 1e6 / best_s


def env_rate_256() -> float:
    """The rate with 256 lanes."""
    return env_rate(256)


def env_rate_1024() -> float:
    """The rate with 1024 lanes."""
    return env_rate(1024)


def ppo_rate() -> float:
    """Steps of 15 minutes per CPU-second in thousands while PPO of stable-baselines3 learns, with 256 lanes."""
    from nexova_sim.schedule.bids import hand_set_bids
    from nexova_sim.schedule.refine_env import RefineVecEnv
    from nexova_sim.schedule.site import days_of, make_site
    from nexova_sim.schedule.train import Recipe, make_agent, train_agent

    config = load(SiteConfig, _SITE)
    site = make_site(config)
    params = hand_set_bids(site, len(config.kinds))
    env = RefineVecEnv(site, params, lambda e: days_of(site, 1, np.arange(256, dtype=np.uint64) + np.uint64(256 * e)))
    best_s = float("inf")
    for seed in range(3):
        recipe = Recipe(256 * 24 * 4, 24, 3072, 4, 7e-4, -1.2, seed)
        agent = make_agent(env, recipe)
        started = time.process_time()
        train_agent(agent, recipe, lambda _agent, _done: None)
        best_s = min(best_s, time.process_time() - started)
    return 4 * recipe.decisions / 1e3 / best_s  # four steps of the environment to a decision


def bound_cpu() -> float:
    """CPU-seconds of the lower bound of a day."""
    from nexova_sim.schedule.oracle import lower_bound_usd
    from nexova_sim.schedule.site import days_of, make_site

    site = make_site(load(SiteConfig, _SITE))
    days = days_of(site, 1, np.arange(4, dtype=np.uint64))
    started = time.process_time()
    for i in range(4):
        lower_bound_usd(site, days, i)
    return (time.process_time() - started) / 4.0


def mpc_ratio() -> float:
    """CPU of a decision of the linear policy over that of a decision of the MPC, in one run: a day, hour by hour."""
    from nexova_sim.schedule.bids import hand_set_bids
    from nexova_sim.schedule.context import Context, n_weights
    from nexova_sim.schedule.controllers import play_days
    from nexova_sim.schedule.mpc import Mpc
    from nexova_sim.schedule.site import days_of, make_site

    config = load(SiteConfig, _SITE)
    site = make_site(config)
    policy = Context(hand_set_bids(site, len(config.kinds)), np.zeros(n_weights(len(config.kinds))))
    many = days_of(site, 1, np.arange(256, dtype=np.uint64))
    one = days_of(site, 1, np.arange(1, dtype=np.uint64))
    play_days(policy, site, many)
    fast_s = play_days(policy, site, many).cpu_s / 256.0
    return fast_s / play_days(Mpc(), site, one).cpu_s


_HOW = "step of FleetVecEnv, 8 machines, random actions, observation and redrawing of days included, best of 7"
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "energy_env_256": Benchmark("energy", "M env steps/CPU-s", 3.0, "min", f"{_HOW}; 256 lanes", env_rate_256),
        "energy_env_1024": Benchmark("energy", "M env steps/CPU-s", 3.0, "min", f"{_HOW}; 1024 lanes", env_rate_1024),
        "energy_ppo": Benchmark(
            "energy",
            "k env steps/CPU-s",
            40.0,
            "min",
            "PPO on the bids, 256 lanes, one thread, twin day and learning included, best of 3",
            ppo_rate,
        ),
        "energy_bound": Benchmark(
            "energy", "CPU-s", 3.0, "max", "linear relaxation of a day, 8 machines, mean of 4 days", bound_cpu
        ),
        "energy_mpc_ratio": Benchmark(
            "energy",
            "x",
            0.001,
            "max",
            "CPU per decision: linear policy on the bids over MPC, in one run",
            mpc_ratio,
        ),
    }
)
