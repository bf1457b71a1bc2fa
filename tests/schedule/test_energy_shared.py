"""Networks shared by the machines of a kind: kernel, learner and model file agree; any number of machines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tolerances import PHYSICS

from nexova_sim.base.errors import DataError
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy_context import CONTEXT_IN, CONTEXT_OUT
from nexova_sim.kernels.energy_shared import MACHINE_IN, add_shared_shifts, net_size, run_shared
from nexova_sim.schedule.batch import open_batch, play
from nexova_sim.schedule.bids import bid_names, hand_set_bids, make_work
from nexova_sim.schedule.compare import Entry, differences, is_descended
from nexova_sim.schedule.context import Context, linear_shifts, linear_view, n_weights
from nexova_sim.schedule.controllers import Bids, play_days
from nexova_sim.schedule.layer import Layer
from nexova_sim.schedule.modelfile import ModelFile, PlainLayer, dump_model, load_model, make_controller, site_hash
from nexova_sim.schedule.refine import shared_seat
from nexova_sim.schedule.refine_env import RefineVecEnv
from nexova_sim.schedule.shared import Shared, net_shapes, pack, shared_cost, width_of
from nexova_sim.schedule.site import days_of, make_site
from nexova_sim.schedule.statistics import paired_interval
from nexova_sim.schedule.train import Recipe, export_layers, make_agent, train_agent
from nexova_sim.schedule.train_shared import SharedNets, SharedPolicy

CONFIG = load(SiteConfig, "configs/energy/workshop.yaml")
SITE = make_site(CONFIG)
PARAMS = hand_set_bids(SITE, 4)
KINDS = tuple(int(k) for k in SITE.kind)
M, N = 8, 6
DAYS = days_of(SITE, 5, np.arange(N, dtype=np.uint64))


def layers_of(width, scale=0.4, seed=0):
    rng = np.random.default_rng(seed)
    return [Layer(scale * rng.standard_normal(shape), scale * rng.standard_normal(shape[0]))
            for shape in net_shapes(4, width)]  # fmt: skip


def later(steps=9):
    batch = open_batch(SITE, DAYS)
    for _ in range(steps):
        batch = play(batch, np.full((M, N), 0.6))
    return batch


def slow_shifts(batch, layers, width):
    """The formula, machine by machine."""
    seen = linear_view(batch, batch.k).astype(float)

    def net(parts, x):
        hidden = np.append(np.tanh(parts[0].weight @ x + parts[0].bias), x) if width else x
        return parts[-1].weight @ hidden + parts[-1].bias

    depth = 2 if width else 1
    out = np.zeros((N, 4 * M + 1))
    for i in range(N):
        site = seen[i, CONTEXT_IN * M :]
        for j, kind in enumerate(KINDS):
            x = np.append(seen[i, CONTEXT_IN * j : CONTEXT_IN * (j + 1)], site)
            out[i, j : 4 * M : M] = net(layers[depth * kind : depth * (kind + 1)], x)
        out[i, 4 * M] = net(layers[depth * 4 :], site)[0]
    return linear_shifts(out, M)


@pytest.mark.parametrize("width", [0, 5])
def test_the_kernel_equals_the_formula_and_the_learner(width):
    batch, layers = later(), layers_of(width)
    shifts = np.ones((4 * M + 1, N))
    add_shared_shifts(SITE, DAYS, batch.state, batch.k, pack(layers), width, shifts)
    np.testing.assert_allclose(shifts - 1.0, slow_shifts(batch, layers, width), rtol=0.0, atol=1e-6)
    nets = SharedNets(KINDS, 4, width)
    for parameter in nets.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    exported = nets.export()
    assert width_of(exported, 4) == width
    decided = nets(torch.from_numpy(linear_view(batch, batch.k))).detach().numpy()
    shifts[:] = 0.0
    add_shared_shifts(SITE, DAYS, batch.state, batch.k, pack(exported), width, shifts)
    np.testing.assert_allclose(shifts, linear_shifts(decided, M), rtol=0.0, atol=1e-5)
    sizes = net_size(MACHINE_IN, CONTEXT_OUT, width), net_size(CONTEXT_IN, 1, width)
    assert len(pack(layers)) == 4 * sizes[0] + sizes[1]


def test_silent_networks_are_what_stands_below_them():
    silent = pack(layers_of(3, 0.0))
    plain = play_days(Bids(PARAMS), SITE, DAYS)
    np.testing.assert_array_equal(play_days(Shared(PARAMS, silent, 3), SITE, DAYS).paid, plain.paid)
    weights = np.random.default_rng(1).normal(0.0, 0.4, n_weights(4))
    above = play_days(Shared(PARAMS, silent, 3, weights=weights), SITE, DAYS)
    np.testing.assert_allclose(above.paid, play_days(Context(PARAMS, weights), SITE, DAYS).paid, **PHYSICS)
    loud = Shared(PARAMS, pack(layers_of(3)), 3)
    assert (play_days(loud, SITE, DAYS).paid != plain.paid).any()
    noisy = [play_days(loud._replace(noise_std=0.5), SITE, DAYS).paid for _ in range(2)]
    np.testing.assert_array_equal(*noisy)
    assert (noisy[0] != play_days(loud, SITE, DAYS).paid).any()


def test_a_linear_policy_may_hold_its_decisions_and_be_noisy():
    weights = np.random.default_rng(1).normal(0.0, 0.4, n_weights(4))
    held, now = Context(PARAMS, weights, every=4), Context(PARAMS, weights)
    assert (play_days(held, SITE, DAYS).paid != play_days(now, SITE, DAYS).paid).any()
    assert (play_days(now._replace(noise_std=0.3), SITE, DAYS).paid != play_days(now, SITE, DAYS).paid).any()


def test_training_is_exported_and_plays_as_learned():
    def draw(episode):
        return days_of(SITE, 9, np.arange(N, dtype=np.uint64) + np.uint64(episode * N))

    weights = np.zeros(n_weights(4))
    env = RefineVecEnv(SITE, PARAMS, draw, seat=shared_seat(M), weights=weights)
    agent = make_agent(env, Recipe(N * 24 * 2, 24, 72, 2, 1e-2, -0.5, 3, 4, "ppo", KINDS, 4))
    assert isinstance(agent.policy, SharedPolicy)
    seen = env.reset()
    assert (agent.predict(seen, deterministic=True)[0] == 0.0).all()
    train_agent(agent, Recipe(N * 24 * 2, 24, 72, 2, 1e-2, -0.5, 3, 4, "ppo", KINDS, 4), lambda _agent, _done: None)
    layers, batch = export_layers(agent), open_batch(SITE, DAYS)
    shifts = np.zeros((4 * M + 1, N))
    add_shared_shifts(SITE, DAYS, batch.state, 0, pack(layers), 4, shifts)
    decided = agent.predict(linear_view(batch, 0), deterministic=True)[0]
    assert (decided != 0.0).any()
    np.testing.assert_allclose(shifts, linear_shifts(decided, M), rtol=0.0, atol=1e-5)


def test_the_model_fits_any_number_of_machines_of_its_kinds(tmp_path):
    names, path = bid_names(list(CONFIG.kinds)), tmp_path / "m.json"
    policy = [PlainLayer(weight=x.weight.tolist(), bias=x.bias.tolist()) for x in layers_of(3)]
    model = ModelFile(method="ppo", site_hash=site_hash(CONFIG), kinds=list(CONFIG.kinds), form="shared", made={},
                      parameters=dict(zip(names, PARAMS.tolist(), strict=True)), policy=policy)  # fmt: skip
    path.write_text(dump_model(model), encoding="utf-8")
    assert load_model(path) == model
    few = CONFIG.model_copy(update={"machines": CONFIG.machines[2:5]})
    site = make_site(few)
    those = days_of(site, 5, np.arange(3, dtype=np.uint64))
    assert np.isfinite(play_days(make_controller(model, few, path), site, those).paid).all()
    with pytest.raises(DataError, match="networks do not fit 4 kinds"):
        make_controller(model.model_copy(update={"policy": policy[:-1]}), CONFIG, path)


def test_seeds_are_paired_where_one_was_made_from_the_other():
    rng = np.random.default_rng(0)
    other = 100.0 + 20.0 * rng.standard_normal((5, 1)) + rng.standard_normal((5, 40))
    cost = other - 3.0 + 0.5 * rng.standard_normal((5, 40))
    together, apart = (paired_interval(cost, other, 400, has_paired_seeds=p) for p in (True, False))
    assert together.value == apart.value
    assert together.high < 0.0 < apart.high
    played = play_days(Bids(PARAMS), SITE, DAYS)
    base = Entry("bids", [played] * 2, ({"seed": 0}, {"seed": 1}))
    child = Entry("ppo", [played] * 2, ({"scheduler": {"start": {"seed": 0}}}, {"scheduler": {"seed": 1}}))
    swapped = child._replace(made=child.made[::-1])
    assert is_descended(child, base)
    assert not is_descended(swapped, base)
    assert not is_descended(base, Entry("bau", [played], ()))
    (row,) = differences([base, child], "bids", 200)
    assert (row["has_paired_seeds"], row["by_seed_usd"]) == (True, [0.0, 0.0])


@pytest.mark.parametrize("width", [0, 5])
def test_costs_of_many_schedulers_below_the_same_networks(width):
    rng = np.random.default_rng(2)
    many = PARAMS + 0.02 * rng.standard_normal((2, len(PARAMS)))
    policy = Shared(PARAMS, pack(layers_of(width)), width)
    paid = shared_cost(SITE, DAYS, policy, many)
    for row, params in zip(paid, many, strict=True):
        played = play_days(policy._replace(params=params), SITE, DAYS)
        np.testing.assert_allclose(row, played.paid, rtol=1e-9, atol=1e-9)


def test_the_kernel_of_many_schedulers_decides_as_often_as_told():
    nets = pack(layers_of(0))
    work, out = make_work(M, N), np.zeros((2, 1, 5, N))
    for each, every in zip(out, (1, 4), strict=True):
        run_shared(SITE, DAYS, PARAMS[None], nets, (0, every), work, each)
        played = play_days(Shared(PARAMS, nets, 0, every=every), SITE, DAYS)
        np.testing.assert_allclose(each[0], played.paid, rtol=1e-9, atol=1e-9)
    assert not np.array_equal(out[0], out[1])
