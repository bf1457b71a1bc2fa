"""The program of a day: no controller goes below its bound, perfect information never loses, MPC keeps the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import PHYSICS

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import apply_overrides, build, load, read_yaml
from nexova_sim.schedule.batch import open_batch, play
from nexova_sim.schedule.bids import hand_set_bids, hand_set_rule
from nexova_sim.schedule.compare import Entry, against_yardsticks
from nexova_sim.schedule.controllers import FIXED, Bids, Rule, play_days
from nexova_sim.schedule.modelfile import load_model, make_controller
from nexova_sim.schedule.mpc import Mpc, Planned, planned_loads
from nexova_sim.schedule.oracle import Script, cost_of, lower_bound_usd, perfect_day, play_perfect
from nexova_sim.schedule.outlook import coarse, expected_outlook, full_outlook
from nexova_sim.schedule.program import Z, tangent_loads
from nexova_sim.schedule.program import build as build_program
from nexova_sim.schedule.site import days_of, make_site, pick_days
from nexova_sim.schedule.solver import Effort, proven_bound, relaxed_bound, solve
from nexova_sim.schedule.statistics import share_interval
from nexova_sim.schedule.yardstick import Extent, joined, measure_days

WORKSHOP = "configs/energy/workshop.yaml"
SITE = make_site(load(SiteConfig, WORKSHOP))
SMALL = [
    "machines=[{id: a, kind: pump, rated_kw: 55.0}, {id: b, kind: compressor, rated_kw: 110.0}]",
    "tariff.contract_kw=40.0",
]
ONE = ["machines=[{id: a, kind: motor, rated_kw: 90.0}]"]
WORLDS = {
    "as made": [],
    "negative prices": ["tariff.off_peak_factor=-0.6"],
    "no noise at all": ["tariff.noise_frac=0.0", "outages.share_frac=0.0", "surroundings.base_noise_kw=0.0"],
    "hot and broken": ["surroundings.ambient_c=[34, 44]", "outages.share_frac=1.0"],
    "long hold times": ["production.min_up_steps=8", "production.min_down_steps=6"],
    "no store": ["production.buffer_h=0.0", "production.stock_h=0.0"],
    "no demand charge": ["tariff.demand_usd_per_kw=0.0"],
    "one machine": ONE,
    "paid to run": ["tariff.off_peak_factor=-1.0", "tariff.peak_factor=-2.0", *ONE],
    "out all day": ["outages.share_frac=1.0", "outages.hours=[12, 24]", *ONE],
}


def world(overrides):
    return make_site(build(SiteConfig, apply_overrides(read_yaml(Path(WORKSHOP)), overrides), "test"))


def days(site, n, first=0):
    return days_of(site, 31, np.arange(first, first + n, dtype=np.uint64))


class Anyhow:
    """Random loads, held for a while."""

    name, is_causal = "anyhow", True

    def loads(self, batch, memory):
        rng = np.random.default_rng(batch.k // 3)
        shape = batch.days.start.shape[1:]
        return np.where(rng.random(shape) < 0.6, rng.uniform(0.3, 1.1, shape), 0.0), memory


def shipped():
    """The trained and tuned policies of the study, whose kinds every world here has."""
    config = load(SiteConfig, "configs/energy/workshop.yaml")
    paths = [Path(f"configs/energy/models/{name}-0.json") for name in ("bids", "context", "ppo", "alone")]
    return [make_controller(load_model(path), config, path) for path in paths]


@pytest.mark.parametrize("name", WORLDS)
def test_no_controller_goes_below_the_bound(name):
    site = world(WORLDS[name])
    those = days(site, 3)
    bound = np.array([lower_bound_usd(site, those, i) for i in range(3)])
    n_kinds = 4
    for controller in (*(make() for make in FIXED.values()), Rule(hand_set_rule()),
                       Bids(hand_set_bids(site, n_kinds)), Anyhow(), *shipped()):  # fmt: skip
        cost = play_days(controller, site, those).paid.sum(axis=0)
        assert (cost >= bound).all(), controller.name
    assert np.isfinite(bound).all()


def test_the_bound_is_no_trivial_one():
    """It is above what the base load alone costs, and within a fifth of a good controller."""
    those = days(SITE, 2)
    cost = play_days(Bids(hand_set_bids(SITE, 4)), SITE, those).paid.sum(axis=0)
    for i in range(2):
        base = (those.profile[:, 0, i] * those.profile[:, 1, i]).sum() * 0.25
        bound = lower_bound_usd(SITE, those, i)
        assert bound > base + 0.5 * (cost[i] - base)
        assert bound > 0.75 * cost[i]


@pytest.mark.slow
def test_no_controller_goes_below_the_bound_on_many_days():
    those = days(SITE, 40, 100)
    bound = np.array([lower_bound_usd(SITE, those, i) for i in range(40)])
    plain = (FIXED["bau"](), FIXED["tou"](), Rule(hand_set_rule()), Bids(hand_set_bids(SITE, 4)), Anyhow())
    for controller in (*plain, *shipped()):
        assert (play_days(controller, SITE, those).paid.sum(axis=0) >= bound).all(), controller.name


@settings(max_examples=12, deadline=None)
@given(
    peak=st.floats(-2.0, 6.0), off_peak=st.floats(-2.0, 2.0), demand=st.floats(0.0, 4.0), outages=st.floats(0.0, 1.0),
    ambient=st.floats(-10.0, 45.0), buffer=st.floats(0.0, 6.0), seed=st.integers(0, 2**31),
    kind=st.sampled_from(["pump", "motor", "compressor", "conveyor"]), loads=st.integers(0, 2**31),
)  # fmt: skip
def test_no_schedule_whatever_goes_below_the_bound(peak, off_peak, demand, outages, ambient, buffer, seed, kind, loads):
    site = world([
        f"tariff.peak_factor={peak}", f"tariff.off_peak_factor={off_peak}", f"tariff.demand_usd_per_kw={demand}",
        f"outages.share_frac={outages}", f"surroundings.ambient_c=[{ambient}, {ambient + 5.0}]",
        f"production.buffer_h={buffer}", f"machines=[{{id: a, kind: {kind}, rated_kw: 80.0}}]",
    ])  # fmt: skip
    those = days_of(site, seed, np.arange(1, dtype=np.uint64))
    bound = lower_bound_usd(site, those, 0)
    rng = np.random.default_rng(loads)
    for p in (0.0, 0.2, 0.5, 0.8):
        plan = rng.choice([0.0, 0.3, 0.6, 1.0, 1.1], (96, 1), p=[p, *[(1.0 - p) / 4.0] * 4])
        assert cost_of(site, those, plan) >= bound


def test_duals_of_any_quality_prove_a_bound():
    site = world(SMALL)
    those = days(site, 1)
    program = build_program(site, full_outlook(those, 0, open_batch(site, those).state), True)
    best = relaxed_bound(program)
    assert relaxed_bound(program, "ipm") == pytest.approx(best, rel=1e-4)
    rng = np.random.default_rng(0)
    for spread in (0.0, 0.1, 10.0):
        assert proven_bound(program, spread * rng.standard_normal(len(program.low))) <= best + 1e-6


def test_a_solution_of_the_program_is_what_the_model_does():
    """Played through the model, a whole-number solution costs what the program says, up to the tangents."""
    site = world([*ONE, "outages.share_frac=0.0"])
    those = days(site, 1)
    program = build_program(site, full_outlook(those, 0, open_batch(site, those).state), False, 9)
    everywhere = np.ones(program.layout.block[Z].shape, bool)
    found = solve(program, everywhere, Effort(5e-3, 20))
    assert found.x is not None
    assert cost_of(site, those, planned_loads(site, program.layout, found.x)) == pytest.approx(found.usd, rel=2e-3)
    again = solve(program, everywhere, Effort(5e-3, 1), found.x)  # begun from it, one node is enough
    assert again.usd <= found.usd + 1e-6


def test_a_program_without_a_solution_has_none():
    site = world(ONE)
    those = days(site, 1)
    program = build_program(site, full_outlook(those, 0, open_batch(site, those).state), False)
    found = solve(program._replace(most=program.least - 1.0), np.ones((1, 96), bool), Effort())
    assert found.x is None


def test_tangents_touch_at_the_efficient_load_and_stay_within_the_limits():
    loads = tangent_loads(SITE, 5)
    assert loads.shape == (8, 5)
    assert ((loads >= SITE.load_min) & (loads <= SITE.load_max)).all()
    assert np.abs(loads[0] - 0.4).min() < 1e-12  # pump: sqrt(0.08 / 0.50)


def test_an_outlook_in_blocks_keeps_hours_and_means():
    view = full_outlook(days(SITE, 1), 0, open_batch(SITE, days(SITE, 1)).state)
    thick = coarse(view, 6, 4)
    np.testing.assert_array_equal(thick.n_steps[:8], [1, 1, 1, 1, 1, 1, 2, 4])
    assert thick.n_steps.sum() == 96
    price = view.price_usd_per_kwh.sum()
    np.testing.assert_allclose((thick.price_usd_per_kwh * thick.n_steps).sum(), price, **PHYSICS)
    np.testing.assert_allclose((thick.free_frac * thick.n_steps).sum(), view.free_frac.sum(), **PHYSICS)


def test_perfect_information_never_loses_to_where_it_began():
    site = world(ONE)
    those = days(site, 1)
    start = play_days(Bids(hand_set_bids(site, 4)), site, those)
    made = play_perfect(site, those, [start], 2)
    cost = made.paid.sum(axis=0)
    assert (cost <= start.paid.sum(axis=0) + 1e-9).all()
    assert (cost >= [lower_bound_usd(site, those, i) - 1e-3 for i in range(1)]).all()
    plan = perfect_day(site, those, 0, [start.load_frac[:, :, 0]], 2)
    assert cost_of(site, pick_days(those, [0]), plan) <= start.paid[:, 0].sum() + 1e-9
    assert not Script(plan[:, :, None]).is_causal


def test_the_outlook_knows_only_what_was_seen():
    those, later = days(SITE, 1), days(SITE, 1, 7)
    changed = those._replace(profile=those.profile.copy(), outage=those.outage.copy())
    changed.profile[21:] = later.profile[21:]
    changed.outage[1] += np.where((those.outage[0] > 20) | (those.outage[1] > 21), 5.0, 0.0)
    batch = open_batch(SITE, those)
    for k in range(20):
        batch = play(batch, np.full((8, 1), 0.5 + 0.02 * k))
    one, two = (expected_outlook(SITE, d, 0, batch.state, 20, 0.5) for d in (those, changed))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.price_usd_per_kwh.shape == (76,)
    assert one.base_kw[0] == those.profile[20, 1, 0]


def test_mpc_meets_its_quota_cheaper_than_business_as_usual():
    site = world([*SMALL, "outages.share_frac=0.0"])
    those = days(site, 1)
    made, usual = (play_days(c, site, those) for c in (Mpc(), FIXED["bau"]()))
    assert made.paid.sum() < usual.paid.sum()
    assert made.paid[4, 0] < 5.0
    assert made.paid.sum() >= lower_bound_usd(site, those, 0) - 1e-3


def test_mpc_plans_anew_when_a_machine_breaks_down_and_does_not_peek():
    site = world([*SMALL, "outages.share_frac=0.0"])
    those = days(site, 1)
    broken = those._replace(profile=those.profile.copy(), outage=those.outage.copy())
    broken.profile[30:] = days(site, 1, 9).profile[30:]
    broken.outage[:, 0, 0] = 30.0, 40.0
    ours, theirs = play_days(Mpc(), site, those), play_days(Mpc(), site, broken)
    np.testing.assert_array_equal(ours.load_frac[:30], theirs.load_frac[:30])
    assert (ours.load_frac[30:] != theirs.load_frac[30:]).any()
    memory = Mpc().loads(open_batch(site, those), None)[1]
    assert isinstance(memory, Planned)
    assert memory.plan.shape == (8, 2, 1)


def test_yardsticks_stand_beside_the_controllers():
    site = world(ONE)
    those = days(site, 3)
    entries = [Entry("bau", [play_days(FIXED["bau"](), site, those)], ()),
               Entry("bids", [play_days(Bids(hand_set_bids(site, 4)), site, those)], ())]  # fmt: skip
    found = measure_days(site, those, [entries[1].plays[0]], Extent(1, 2, 2))
    assert found.bound_usd.shape == (3,)
    told = against_yardsticks(entries, found, 200)
    assert told["below_bound"] == 0
    assert (told["n_slow_days"], told["n_mpc_days"]) == (1, 2)
    assert told["mpc_share_of_bound"]["value"] <= 1.0
    assert found.perfect.paid.sum() <= found.mpc.paid[:, :1].sum()
    assert {row["controller"] for row in told["programs"]} == {"mpc", "perfect"}
    assert told["share_of_bound"]["bau"]["value"] == 0.0
    assert told["share_of_best_known"]["bids"]["value"] <= 1.0
    quick = measure_days(site, those, [], Extent(0, 0))
    assert quick.perfect is None
    assert "programs" not in against_yardsticks(entries, quick, 200)


def test_plays_of_single_days_are_joined():
    those = days(SITE, 3)
    whole = play_days(FIXED["tou"](), SITE, those)
    parts = joined([play_days(FIXED["tou"](), SITE, pick_days(those, [i])) for i in range(3)])
    for a, b in zip(whole[:5], parts[:5], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_share_is_of_means():
    dear, cheap = np.array([[10.0, 20.0]]), np.array([[0.0, 10.0]])
    assert share_interval(np.array([[5.0, 15.0]]), dear, cheap, 200).value == pytest.approx(0.5)
    assert share_interval(dear, dear, cheap, 200).value == 0.0
