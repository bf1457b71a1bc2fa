"""Controllers: the kernels against slow twins, the rules' behaviour, every registered one through the same checks."""

from __future__ import annotations

import numpy as np
import pytest
from naive_energy import load_at, naive_bids, naive_rule, power
from tolerances import PHYSICS, REORDER

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy import PEAK, S_STOCK_H, STEPS
from nexova_sim.kernels.energy_bids import bid_loads, load_for, run_bids, share_of
from nexova_sim.kernels.energy_rule import rule_loads, run_rule
from nexova_sim.schedule.batch import is_over, open_batch, play
from nexova_sim.schedule.bids import (
    bid_names,
    bid_ranges,
    bids_cost,
    efficient_load,
    hand_set_bids,
    hand_set_rule,
    make_work,
    rule_cost,
    rule_ranges,
)
from nexova_sim.schedule.context import Context, n_weights
from nexova_sim.schedule.controllers import (
    FIXED,
    TUNED,
    Bids,
    BusinessAsUsual,
    Rule,
    TimeOfUse,
    no_steps,
    play_days,
    situation,
)
from nexova_sim.schedule.model import state_of
from nexova_sim.schedule.refine import Layer, Refined, n_inputs
from nexova_sim.schedule.shared import Shared
from nexova_sim.schedule.site import days_of, make_site, pick_days

CONFIG = load(SiteConfig, "configs/energy/workshop.yaml")
SITE = make_site(CONFIG)
M = len(SITE.rated_kw)
DAYS = days_of(SITE, 77, np.arange(24, dtype=np.uint64))
QUIET = (Layer(np.zeros((17, n_inputs(8)), np.float32), np.full(17, 0.3, np.float32)),)
WIDE = (Layer(np.zeros((33, n_inputs(8)), np.float32), np.full(33, 0.1, np.float32)),)
ALL = [
    *(make() for make in FIXED.values()),
    Rule(hand_set_rule()),
    Bids(hand_set_bids(SITE, 4)),
    Context(hand_set_bids(SITE, 4), np.random.default_rng(5).normal(0.0, 0.3, n_weights(4))),
    Refined(hand_set_bids(SITE, 4), QUIET),
    Refined(hand_set_bids(SITE, 4), QUIET, "sac", is_squashed=True),
    Refined(hand_set_bids(SITE, 4), WIDE, "ppo_alone"),
    Refined(hand_set_bids(SITE, 4), WIDE, "sac_alone", is_squashed=True),
    Shared(hand_set_bids(SITE, 4), 0.3 * np.random.default_rng(6).standard_normal(2493), 16),
    Shared(hand_set_bids(SITE, 4), 0.3 * np.random.default_rng(7).standard_normal(2493), 16, "ppo_tuned"),
]


def between(ranges, rng):
    low, high = ranges
    return low + rng.random(len(low)) * (high - low)


def test_every_registered_controller_is_checked():
    assert {c.name for c in ALL} == {*FIXED, *TUNED}


@pytest.mark.parametrize("controller", ALL, ids=lambda c: c.name)
def test_a_controller_gives_loads_and_does_not_mix_days(controller):
    played = play_days(controller, SITE, DAYS, no_steps)
    assert np.isfinite(played.paid).all()
    assert ((played.load_frac >= 0.0) & (played.load_frac <= SITE.load_max + 1e-12)).all()
    alone = play_days(controller, SITE, pick_days(DAYS, [5]))
    np.testing.assert_array_equal(alone.paid[:, 0], played.paid[:, 5])
    np.testing.assert_array_equal(alone.power_kw[:, 0], played.power_kw[:, 5])
    assert controller.is_causal


@pytest.mark.parametrize("controller", ALL, ids=lambda c: c.name)
def test_a_causal_controller_does_not_see_the_future(controller):
    """Prices, base load, weather and outages after step 40 are changed: nothing before it may move."""
    other = days_of(SITE, 78, np.arange(24, dtype=np.uint64))
    changed = DAYS._replace(profile=DAYS.profile.copy(), outage=DAYS.outage.copy())
    changed.profile[40:] = other.profile[40:]
    changed.outage[:] = np.where(DAYS.outage[:1] > 40, 0.0, DAYS.outage)
    ours, theirs = play_days(controller, SITE, DAYS), play_days(controller, SITE, changed)
    np.testing.assert_array_equal(ours.load_frac[:40], theirs.load_frac[:40])


def test_the_rule_kernel_matches_its_slow_twin():
    rng = np.random.default_rng(1)
    for number in range(3):
        params = between(rule_ranges(), rng)
        batch, out, i = open_batch(SITE, DAYS), np.zeros((M, 24)), 3 * number
        while not is_over(batch):
            rule_loads(SITE, DAYS, batch.state, batch.k, params, out)
            state = state_of(batch.state, batch.k, i)
            np.testing.assert_allclose(out[:, i], naive_rule(SITE, pick_days(DAYS, [i]), state, params), **REORDER)
            batch = play(batch, out)


def test_the_bid_kernel_matches_its_slow_twin():
    rng = np.random.default_rng(2)
    low, high = bid_ranges(4)
    for number in range(4):
        params = between((low, high), rng) if number else hand_set_bids(SITE, 4)
        shifts = np.zeros((4 * M + 1, 24)) if number < 2 else rng.normal(0.0, 0.2, (4 * M + 1, 24))
        batch, i = open_batch(SITE, DAYS), 5 * number
        out, view = np.zeros((M, 24)), np.zeros((3 * M + 2, 24))
        while not is_over(batch):
            bid_loads(SITE, DAYS, batch.state, batch.k, params, shifts, out, view)
            slow = naive_bids(SITE, pick_days(DAYS, [i]), state_of(batch.state, batch.k, i), params, shifts[:, i])
            np.testing.assert_allclose(out[:, i], slow, **PHYSICS)
            batch = play(batch, out)


def test_load_and_power_are_inverse():
    for j in range(M):
        for u in (0.3, 0.7, 1.1):
            kw = SITE.rated_kw[j] * share_of(SITE, j, u)
            np.testing.assert_allclose(kw, power(SITE, j, u), **REORDER)
            np.testing.assert_allclose(load_for(SITE, j, kw), u, **PHYSICS)
            np.testing.assert_allclose(load_at(SITE, j, kw), u, **PHYSICS)
        assert load_for(SITE, j, 0.5 * SITE.fixed[j] * SITE.rated_kw[j]) == 0.0
    straight = SITE._replace(square=np.zeros(M), linear=1.0 - SITE.fixed)
    np.testing.assert_allclose(load_for(straight, 0, straight.rated_kw[0]), 1.0, **PHYSICS)


def test_whole_days_in_one_call_are_the_same_as_step_by_step():
    rule, bids = hand_set_rule(), hand_set_bids(SITE, 4)
    np.testing.assert_array_equal(rule_cost(SITE, DAYS, np.stack([rule, rule]))[1],
                                  play_days(Rule(rule), SITE, DAYS).paid)  # fmt: skip
    np.testing.assert_array_equal(bids_cost(SITE, DAYS, bids[None])[0], play_days(Bids(bids), SITE, DAYS).paid)
    out, work = np.zeros((1, 5, 24)), make_work(M, 24)
    run_rule(SITE, DAYS, rule[None], work, out)
    first = out.copy()
    run_bids(SITE, DAYS, bids[None], np.zeros((4 * M + 1, 24)), work, out)
    assert (first != out).any()


def test_the_efficient_load_is_the_minimum_of_energy_per_work():
    for kind in range(4):
        j = int(np.flatnonzero(SITE.kind == kind)[0])
        loads = np.linspace(SITE.load_min, SITE.load_max, 2001)
        best = loads[np.argmin([power(SITE, j, u) / u for u in loads])]
        assert efficient_load(SITE, kind) == pytest.approx(best, abs=1e-3)
    assert efficient_load(SITE, 9) == SITE.load_max


def test_names_ranges_and_hand_set_values_fit_together():
    low, high = bid_ranges(4)
    assert len(bid_names(list(CONFIG.kinds))) == len(low) == 49
    assert ((hand_set_bids(SITE, 4) >= low) & (hand_set_bids(SITE, 4) <= high)).all()
    rule_low, rule_high = rule_ranges()
    assert ((hand_set_rule() >= rule_low) & (hand_set_rule() <= rule_high)).all()


def test_business_as_usual_runs_until_the_quota_is_met_and_the_time_of_use_rule_rests_at_the_peak():
    played = play_days(BusinessAsUsual(), SITE, DAYS)
    assert set(np.unique(played.load_frac)) == {0.0, 1.0}
    at_peak = DAYS.level == PEAK
    usual = [p.power_kw[at_peak].mean() for p in (played, play_days(TimeOfUse(), SITE, DAYS))]
    assert usual[1] < usual[0]
    batch = open_batch(SITE, DAYS)
    now = situation(batch)
    assert (now.left_h, now.shift, now.end) == (8.0, 0, 32)
    np.testing.assert_array_equal(now.need_h, np.maximum(0.0, DAYS.quota_h[0] - batch.state.machine[S_STOCK_H]))
    assert STEPS == 96


def test_the_order_of_the_field():
    mean = {c.name: play_days(c, SITE, days_of(SITE, 5, np.arange(64, dtype=np.uint64))).paid.sum() / 64 for c in ALL}
    assert mean["rule"] < mean["flat"] < mean["bau"]
    assert mean["tou"] < mean["flat"]
