"""The linear policy on the bids: against its slow twin, zero is the scheduler, names and sizes fit."""

from __future__ import annotations

import numpy as np
from naive_energy import naive_context
from tolerances import PHYSICS

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy_context import context_shifts, context_view, machine_inputs, run_context, site_inputs
from nexova_sim.schedule.batch import is_over, open_batch, play
from nexova_sim.schedule.bids import bids_cost, hand_set_bids, make_work
from nexova_sim.schedule.context import Context, context_cost, context_names, linear_shifts, linear_view, n_weights
from nexova_sim.schedule.controllers import play_days
from nexova_sim.schedule.model import state_of
from nexova_sim.schedule.site import days_of, make_site, pick_days

SITE = make_site(load(SiteConfig, "configs/energy/workshop.yaml"))
M = len(SITE.rated_kw)
DAYS = days_of(SITE, 5, np.arange(12, dtype=np.uint64))
PARAMS = hand_set_bids(SITE, 4)


def test_the_policy_matches_its_slow_twin():
    weights = np.random.default_rng(0).normal(0.0, 0.7, n_weights(4))
    batch, shifts, policy = open_batch(SITE, DAYS), np.zeros((4 * M + 1, 12)), Context(PARAMS, weights)
    while not is_over(batch):
        context_shifts(SITE, DAYS, batch.state, batch.k, weights, shifts)
        for i in (batch.k % 12, 7):
            slow = naive_context(SITE, pick_days(DAYS, [i]), state_of(batch.state, batch.k, i), weights)
            np.testing.assert_allclose(shifts[:, i], slow, **PHYSICS)
        batch = play(batch, policy.loads(batch, None)[0])


def test_no_weights_are_the_scheduler():
    zero = np.zeros((1, n_weights(4)))
    np.testing.assert_array_equal(context_cost(SITE, DAYS, PARAMS[None], zero), bids_cost(SITE, DAYS, PARAMS[None]))


def test_many_policies_at_once_equal_playing_each():
    rng = np.random.default_rng(1)
    weights = rng.normal(0.0, 0.4, (2, n_weights(4)))
    paid = np.zeros((2, 5, 12))
    run_context(SITE, DAYS, np.stack([PARAMS, PARAMS]), weights, np.zeros((4 * M + 1, 12)), make_work(M, 12), paid)
    for c in range(2):
        np.testing.assert_allclose(paid[c], play_days(Context(PARAMS, weights[c]), SITE, DAYS).paid, **PHYSICS)
    np.testing.assert_array_equal(paid, context_cost(SITE, DAYS, np.stack([PARAMS, PARAMS]), weights))


def test_what_the_policy_looks_at_is_what_it_weighs():
    """The view times a weight of one input is that input's part of the shift."""
    batch = open_batch(SITE, DAYS)
    for _ in range(40):
        batch = play(batch, np.full((M, 12), 0.6))
    seen = np.empty((12, 12 * (M + 1)), np.float32)
    context_view(SITE, DAYS, batch.state, batch.k, seen)
    np.testing.assert_array_equal(seen, linear_view(batch, batch.k))
    x, g = np.zeros(12), seen[3, 12 * M :].astype(float)
    machine_inputs(SITE, DAYS, batch.state, (batch.k, 2, 3), g, x)
    np.testing.assert_allclose(seen[3, 24:36], x, rtol=1e-6)
    site_inputs(SITE, DAYS, batch.state, batch.k, 3, x)
    np.testing.assert_allclose(g, x, rtol=1e-6)
    weights = np.random.default_rng(2).normal(0.0, 0.3, n_weights(4))
    shifts = np.zeros((4 * M + 1, 12))
    context_shifts(SITE, DAYS, batch.state, batch.k, weights, shifts)
    of_kind = weights[:-12].reshape(4, 4, 12)
    decided = np.zeros((12, 4 * M + 1))
    for j in range(M):
        decided[:, j : 4 * M : M] = seen[:, 12 * j : 12 * j + 12] @ of_kind[SITE.kind[j]].T
    decided[:, -1] = seen[:, 12 * M :] @ weights[-12:]
    np.testing.assert_allclose(shifts, linear_shifts(decided, M), rtol=0.0, atol=1e-6)


def test_every_weight_has_a_name():
    names = context_names(["a", "b"])
    assert len(names) == len(set(names)) == n_weights(2)
    assert names[0] == "a.rate.one"
    assert names[-1] == "cap.peak_left"
