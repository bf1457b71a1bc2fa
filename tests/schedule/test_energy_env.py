"""The environments: both checkers, seeding, the end of a day, and the vector environment against the single one."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.schedule.env import ENV_ID, NexovaFleetEnv, register_env
from nexova_sim.schedule.site import make_site
from nexova_sim.schedule.vecenv import FleetVecEnv, lane_days

CONFIG = load(SiteConfig, "configs/energy/workshop.yaml")
SITE = make_site(CONFIG)


def test_both_checkers_accept_it():
    register_env()
    register_env()
    env = gym.make(ENV_ID)
    assert isinstance(env.unwrapped, NexovaFleetEnv)
    with warnings.catch_warnings():
        # Loads are physical: 0 to 1.1, not the symmetric range that some learners like.
        warnings.filterwarnings("ignore", message=".*symmetric.*")
        check_env(env.unwrapped)
        check_sb3(env.unwrapped)


def test_the_same_seed_plays_the_same_days():
    env = NexovaFleetEnv(CONFIG)
    first, info = env.reset(seed=5)
    second, later = env.reset()
    again, same = env.reset(seed=5)
    np.testing.assert_array_equal(first, again)
    assert info == same
    assert later["day"] != info["day"]
    assert (second != first).any()
    np.testing.assert_array_equal(env.reset()[0], second)


def test_a_day_has_96_steps_and_says_what_it_cost():
    env = NexovaFleetEnv(CONFIG)
    with pytest.raises(ConfigError, match="reset first"):
        env.step(np.zeros(8, np.float32))
    env.reset(seed=1, options={"day": 7})
    total, ended = 0.0, []
    for _ in range(96):
        _, reward, terminated, truncated, info = env.step(np.full(8, 0.6, np.float32))
        assert reward == pytest.approx(-sum(info["cost_usd"].values()))
        total -= reward
        ended.append(terminated)
        assert not truncated
    assert ended == [False] * 95 + [True]
    assert 500.0 < total < 5000.0
    with pytest.raises(ConfigError, match="over"):
        env.step(np.zeros(8, np.float32))


@pytest.mark.parametrize("action", [np.zeros(7), np.full(8, np.nan), np.full(8, np.inf)])
def test_what_is_no_action_is_refused(action):
    env = NexovaFleetEnv(CONFIG)
    env.reset(seed=1)
    with pytest.raises(ConfigError, match="finite load fractions"):
        env.step(action)


@pytest.mark.parametrize("options", [{"dya": 1}, {"day": -1}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ConfigError, match="reset options"):
        NexovaFleetEnv(CONFIG).reset(seed=1, options=options)


def test_lanes_play_like_the_single_environment_through_the_change_of_day():
    n, lane = 4, 2
    many, one = FleetVecEnv(SITE, n, seed=3), NexovaFleetEnv(CONFIG)
    rng = np.random.default_rng(0)
    seen = many.reset()
    for episode in range(2):
        alone, _ = one.reset(seed=3, options={"day": int(lane_days(n, episode)[lane])})
        np.testing.assert_array_equal(seen[lane], alone)
        for k in range(96):
            actions = rng.uniform(0.0, 1.1, (n, 8)).astype(np.float32)
            seen, rewards, done, infos = many.step(actions)
            alone, reward, over, _, _ = one.step(actions[lane])
            assert rewards[lane] == pytest.approx(reward, rel=1e-5, abs=1e-4)
            assert done.all() == over == (k == 95)
            last = infos[lane]["terminal_observation"] if over else seen[lane]
            np.testing.assert_array_equal(last, alone)
    assert infos[lane]["cost_usd"].shape == (5,)
    assert infos[lane]["TimeLimit.truncated"] is False


def test_a_lane_does_not_know_its_neighbours():
    few, many = FleetVecEnv(SITE, 2, seed=3), FleetVecEnv(SITE, 9, seed=3)
    np.testing.assert_array_equal(few.reset(), many.reset()[:2])
    for _ in range(100):
        rewards = [env.step(np.full((env.num_envs, 8), 0.7, np.float32))[:2] for env in (few, many)]
        np.testing.assert_array_equal(rewards[0][0], rewards[1][0][:2])
        np.testing.assert_array_equal(rewards[0][1], rewards[1][1][:2])


def test_observations_kept_by_a_caller_do_not_change():
    env = FleetVecEnv(SITE, 2, seed=3)
    kept = env.reset()
    copy = kept.copy()
    env.step(np.ones((2, 8), np.float32))
    np.testing.assert_array_equal(kept, copy)


def test_the_vector_environment_keeps_the_rules_of_its_library():
    env = FleetVecEnv(SITE, 3, seed=3)
    first = env.reset()
    assert env.seed(4) == [4, 4, 4]
    assert (env.reset() != first).any()
    env.seed(3)
    np.testing.assert_array_equal(env.reset(), first)
    assert env.get_attr("stream") == [3, 3, 3]
    assert env.env_is_wrapped(gym.Wrapper, [0]) == [False]
    for call in (lambda: env.set_attr("stream", 1), lambda: env.env_method("render")):
        with pytest.raises(AttributeError):
            call()
    env.close()


@pytest.mark.parametrize(("changes", "words"), [
    ({"machines": []}, "no machines"),
    ({"production": {"quota_frac": [0.4, 1.2]}}, "infeasible quota"),
    ({"machines": [{"id": "a", "kind": "pomp", "rated_kw": 5.0}]}, "pomp"),
    ({"machines": [{"id": "a", "kind": "pump", "rated_kw": 5.0}] * 2}, "unique"),
    ({"kinds": {"pump": {"fixed_frac": 0.7, "square_frac": 0.6, "rise_at_rated_k": 1.0, "time_constant_h": 1.0}}},
     "exceed 1"),
    ({"tariff": {"peak_start_hour": [17, 13]}}, "lowest, highest"),
    ({"tariff": {"peak_start_hour": [2, 13]}}, "first hour"),
    ({"outages": {"hours": [3.0, 1.0]}}, "lowest, highest"),
])  # fmt: skip
def test_sites_that_cannot_be_are_refused(changes, words):
    from nexova_sim.config.load import build

    with pytest.raises(ConfigError, match=words):
        build(SiteConfig, CONFIG.model_dump(mode="json") | changes, "site.yaml")


@pytest.mark.parametrize("changes", [
    {"machines": [{"id": "a", "kind": "pump", "rated_kw": 5.0}]},
    {"tariff": {"off_peak_factor": -3.0, "peak_factor": -1.0}},
    {"tariff": {"off_peak_factor": 0.0}},
])  # fmt: skip
def test_odd_but_possible_sites_run(changes):
    from nexova_sim.config.load import build

    config = build(SiteConfig, CONFIG.model_dump(mode="json") | changes, "site.yaml")
    env = FleetVecEnv(make_site(config), 2)
    env.reset()
    for _ in range(96):
        seen, rewards, _, _ = env.step(np.ones((2, len(config.machines)), np.float32))
        assert np.isfinite(seen).all()
        assert np.isfinite(rewards).all()
