"""PPO on the bids: zero is the scheduler, the reward is what a day saves, the export decides as the agent does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy import STEPS
from nexova_sim.schedule.batch import open_batch
from nexova_sim.schedule.bids import hand_set_bids
from nexova_sim.schedule.controllers import Bids, play_days
from nexova_sim.schedule.refine import (
    ACTION_LIMIT,
    Layer,
    Refined,
    decide,
    n_actions,
    n_inputs,
    network_seat,
    to_shifts,
    view,
)
from nexova_sim.schedule.refine_env import REWARD_USD, RefineVecEnv, potential
from nexova_sim.schedule.site import days_of, make_site
from nexova_sim.schedule.train import (
    Recipe,
    action_std,
    agent_bytes,
    agent_from,
    as_lists,
    export_layers,
    log_to,
    make_agent,
    train_agent,
)

SITE = make_site(load(SiteConfig, "configs/energy/workshop.yaml"))
PARAMS = hand_set_bids(SITE, 4)
N, M = 6, 8
RECIPE = Recipe(N * 24 * 2, 24, 72, 2, 1e-2, -0.5, 3)


def draw(episode):
    return days_of(SITE, 9, np.arange(N, dtype=np.uint64) + np.uint64(episode * N))


def layers_of(scale, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [n_inputs(M), 5, n_actions(M)]
    return tuple(Layer((scale * rng.standard_normal((b, a))).astype(np.float32), np.zeros(b, np.float32))
                 for a, b in itertools.pairwise(sizes))  # fmt: skip


def test_a_silent_network_is_the_scheduler():
    plain, moved = (play_days(c, SITE, draw(0)) for c in (Bids(PARAMS), Refined(PARAMS, layers_of(0.0))))
    np.testing.assert_array_equal(plain.paid, moved.paid)
    other = play_days(Refined(PARAMS, layers_of(0.5)), SITE, draw(0))
    assert (other.paid != plain.paid).any()


def test_decisions_are_limited_and_keep_their_places():
    actions = np.zeros((2, n_actions(M)))
    actions[0, 0], actions[1, M + 2], actions[0, 2 * M] = 99.0, 1.0, -1.0
    shifts = to_shifts(actions, M)
    assert shifts.shape == (4 * M + 1, 2)
    assert shifts[0, 0] == pytest.approx(0.6 * ACTION_LIMIT)
    assert shifts[M + 2, 1] == pytest.approx(0.3)
    assert shifts[4 * M, 0] == pytest.approx(-0.15)
    assert np.count_nonzero(shifts) == 3
    whole = to_shifts(np.full((1, n_actions(M, True)), 0.5), M)
    assert whole[:, 0] == pytest.approx([0.6] * M + [0.3] * M + [0.2] * M + [0.8] * M + [0.15])


def test_the_network_equals_its_formula():
    first, last = layers_of(0.3, 1)
    x = np.random.default_rng(2).standard_normal((4, n_inputs(M))).astype(np.float32)
    expected = np.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    np.testing.assert_allclose(decide((first, last), x), expected, rtol=1e-6)


def test_what_is_seen_does_not_know_the_future():
    days = draw(0)
    altered = days._replace(profile=days.profile.copy())
    altered.profile[40:] *= 1.7
    seen = [view(SITE, d, open_batch(SITE, d).state, 0, PARAMS) for d in (days, altered)]
    assert seen[0].shape == (N, n_inputs(M))
    np.testing.assert_array_equal(*seen)


def test_the_reward_of_a_day_is_what_it_saves():
    env = RefineVecEnv(SITE, PARAMS, draw)
    env.reset()
    rng = np.random.default_rng(0)
    total, infos = np.zeros(N), [{}]
    for hour in range(24):
        env.step_async(rng.normal(0.0, 0.5, (N, n_actions(M))).astype(np.float32))
        seen, rewards, done, infos = env.step_wait()
        total += rewards
        assert done.all() == (hour == 23)
    alone = play_days(Bids(PARAMS), SITE, draw(0)).paid.sum(axis=0)
    cost = np.array([i["cost_usd"].sum() for i in infos])
    np.testing.assert_allclose(REWARD_USD * total, alone - cost, atol=1e-3)
    assert seen.shape == (N, n_inputs(M))
    assert infos[0]["terminal_observation"].shape == (n_inputs(M),)
    assert env.episode == 1
    over = open_batch(SITE, draw(0))._replace(k=STEPS)
    assert (potential(over) == 0.0).all()
    assert (potential(open_batch(SITE, draw(0))) < 0.0).all()


def test_no_decision_earns_nothing():
    env = RefineVecEnv(SITE, PARAMS, draw)
    for _ in range(24):
        env.step_async(np.zeros((N, n_actions(M)), np.float32))
        assert (env.step_wait()[1] == 0.0).all()


def test_training_moves_the_agent_and_the_export_decides_like_it():
    env = RefineVecEnv(SITE, PARAMS, draw)
    agent = make_agent(env, RECIPE)
    x = env.reset()
    assert (agent.predict(x, deterministic=True)[0] == 0.0).all()
    seen = []
    train_agent(agent, RECIPE, lambda a, done: seen.append(done))
    assert seen == [0, 144, 288]
    wanted = agent.predict(x, deterministic=True)[0]
    assert (wanted != 0.0).any()
    layers = export_layers(agent)
    found = np.clip(decide(layers, x), -ACTION_LIMIT, ACTION_LIMIT)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    lists = as_lists(layers)
    np.testing.assert_allclose(lists[0]["weight"], layers[0].weight, rtol=1e-6)
    again = agent_from(agent_bytes(agent), env)
    np.testing.assert_array_equal(again.predict(x, deterministic=True)[0], wanted)


def test_decisions_on_the_whole_bid_have_their_own_environment():
    env = RefineVecEnv(SITE, PARAMS, draw, seat=network_seat(M, True))
    assert env.action_space.shape == (n_actions(M, True),) == (33,)
    env.reset()
    env.step_async(np.ones((N, 33), np.float32))
    assert np.isfinite(env.step_wait()[1]).all()


def test_sac_begins_silent_learns_and_is_exported(tmp_path):
    env = RefineVecEnv(SITE, PARAMS, draw)
    recipe = Recipe(N * 24 * 2, 24, 32, 1, 1e-2, -1.0, 3, 8, "sac")
    agent = make_agent(env, recipe)
    log_to(agent, tmp_path / "tb")
    assert action_std(agent) is None
    x = env.reset()
    assert np.abs(agent.predict(x, deterministic=True)[0]).max() < 1e-6
    train_agent(agent, recipe, lambda a, done: None)
    assert agent.num_timesteps >= recipe.decisions
    wanted = agent.predict(x, deterministic=True)[0]
    assert (wanted != 0.0).any()
    np.testing.assert_allclose(decide(export_layers(agent), x, True), wanted, atol=1e-4)
    again = agent_from(agent_bytes(agent), env, "sac")
    np.testing.assert_array_equal(again.predict(x, deterministic=True)[0], wanted)
    assert list((tmp_path / "tb").glob("events*"))


def test_the_spread_of_ppo_is_told_and_its_noise_is_repeatable():
    agent = make_agent(RefineVecEnv(SITE, PARAMS, draw), RECIPE)
    assert action_std(agent) == pytest.approx(np.exp(RECIPE.log_std))
    noisy = Refined(PARAMS, layers_of(0.0), noise_std=0.5)
    one, two, plain = (play_days(c, SITE, draw(0)).paid for c in (noisy, noisy, Bids(PARAMS)))
    np.testing.assert_array_equal(one, two)
    assert (one != plain).any()
