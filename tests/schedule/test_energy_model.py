"""The scheduling model: hand-checked steps, the batched kernel against its pure twin, days, observations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_energy import naive_day
from tolerances import EXACT, REORDER

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy import P_AMBIENT_C, P_BASE_KW, P_PRICE, STEPS, advance, begin, draw_days
from nexova_sim.kernels.energy import observe as observe_batch
from nexova_sim.schedule.batch import is_over, open_batch, play
from nexova_sim.schedule.model import (
    Costs,
    first_state,
    is_out,
    observation_names,
    observe,
    power_share,
    state_of,
    step,
    switched,
)
from nexova_sim.schedule.site import (
    COSTS,
    clock_hours,
    days_of,
    empty_costs,
    empty_days,
    empty_state,
    make_site,
    pick_days,
)
from nexova_sim.schedule.tariff import planned_price, tariff_levels

CONFIG = load(SiteConfig, "configs/energy/workshop.yaml")
SITE = make_site(CONFIG)
M = len(SITE.rated_kw)


def calm(**changes):
    """A site of one pump without noise, outages or swings."""
    raw = CONFIG.model_dump(mode="json")
    raw["machines"] = [{"id": "p", "kind": "pump", "rated_kw": 50.0}]
    raw["outages"]["share_frac"] = 0.0
    raw["surroundings"] |= {"base_swing_kw": 0.0, "base_noise_kw": 0.0, "ambient_c": [25.0, 25.0],
                            "ambient_swing_k": 0.0, "ambient_noise_k": 0.0}  # fmt: skip
    raw["heat"]["start_above_ambient_k"] = 0.0
    raw["tariff"]["noise_frac"] = 0.0
    for key, value in changes.items():
        section, name = key.split("__")
        raw[section][name] = value
    return make_site(SiteConfig.model_validate(raw))


def test_a_step_by_hand():
    site = calm(production__quota_frac=[0.5, 0.5], production__stock_h=0.0)
    day = days_of(site, 1, np.array([0], np.uint64))
    done = step(site, day, first_state(site, day), np.array([1.0]))
    assert done.total_kw == pytest.approx(70.0 + 50.0)
    assert done.state.temp_c[0] == pytest.approx(25.0 + 53.0 * (1.0 - math.exp(-0.25 / 1.5)))
    assert done.costs == pytest.approx(Costs(120.0 * 0.25 * 0.12, 0.6 * 60.0, 0.03 * 50.0, 0.0, 0.0))
    assert done.state.stock_h[0] == 0.25
    assert done.state.hold[0] == 1.0
    assert done.state.peak_kw == pytest.approx(120.0)
    # It may not stop before its minimum time is over, whatever is wanted.
    again = step(site, day, done.state, np.array([0.0]))
    assert again.load_frac[0] == site.load_min
    assert step(site, day, again.state, np.array([0.0])).load_frac[0] == 0.0


def test_the_shift_delivers_and_charges_what_is_missing():
    site = calm(production__quota_frac=[0.5, 0.5], production__stock_h=0.0)
    day = days_of(site, 1, np.array([0], np.uint64))
    state, shortage = first_state(site, day), []
    for k in range(STEPS):
        done = step(site, day, state, np.array([1.0 if k < 40 else 0.0]))
        state, shortage = done.state, [*shortage, done.costs.shortage_usd]
    assert shortage[31] == 0.0  # made 8 h, 4 h wanted, the store keeps 3 h of the rest
    assert shortage[63] == 0.0
    assert shortage[95] > 0.0
    assert sum(c > 0.0 for c in shortage) == 1


def test_heat_wears_and_trips():
    site = calm(heat__trip_c=70.0, heat__warn_c=60.0)
    day = days_of(site, 1, np.array([3], np.uint64))
    state, trips, wear = first_state(site, day), 0, 0.0
    for _ in range(STEPS):
        done = step(site, day, state, np.array([1.0]))
        wear += done.costs.wear_usd
        if state.trip[0] > 0.0:
            assert done.load_frac[0] == 0.0
            trips += 1
        state = done.state
    assert trips >= 4
    assert wear > 0.0


def test_the_batched_kernel_is_the_pure_model_bit_for_bit():
    rng = np.random.default_rng(3)
    days = days_of(SITE, 11, np.arange(6, dtype=np.uint64))
    batch, which = open_batch(SITE, days), 4
    day = pick_days(days, [which])
    state, paid = first_state(SITE, day), np.zeros(5)
    seen = np.empty((6, 7 * M + 16), np.float32)
    while not is_over(batch):
        observe_batch(SITE, days, batch.k, batch.state, seen)
        np.testing.assert_array_equal(observe(SITE, day, state), seen[which])
        loads = rng.uniform(0.0, 1.2, (M, 6)) * (rng.random((M, 6)) < 0.8)
        done = step(SITE, day, state, loads[:, which])
        batch, state, paid = play(batch, loads), done.state, paid + np.array(done.costs)
        np.testing.assert_allclose(batch.cost[:, which], done.costs, **EXACT)
        assert batch.total_kw[which] == done.total_kw
        for ours, theirs in zip(state, state_of(batch.state, batch.k, which), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(batch.paid[:, which], paid, **EXACT)


def test_days_do_not_depend_on_the_batch_and_match_their_slow_twin():
    numbers = np.array([5, 2**40 + 3, 0], np.uint64)
    together, alone = days_of(SITE, 9, numbers), days_of(SITE, 9, numbers[1:2])
    for a, b in zip(pick_days(together, [1]), alone, strict=True):
        np.testing.assert_array_equal(a, b)
    price, base_kw, ambient_c, machines = naive_day(CONFIG, 9, int(numbers[1]))
    np.testing.assert_allclose(alone.profile[:, P_PRICE, 0], price, **REORDER)
    np.testing.assert_allclose(alone.profile[:, P_BASE_KW, 0], base_kw, **REORDER)
    np.testing.assert_allclose(alone.profile[:, P_AMBIENT_C, 0], ambient_c, **REORDER)
    for j, (temp_c, stock_h, quotas, outage) in enumerate(machines):
        np.testing.assert_allclose(alone.start[:, j, 0], [temp_c, stock_h], **REORDER)
        np.testing.assert_allclose(alone.quota_h[:, j, 0], quotas, **REORDER)
        assert tuple(alone.outage[:, j, 0]) == outage


def test_room_is_made_in_the_right_shapes():
    days, state, cost, total = empty_days(M, 2), empty_state(M, 2), empty_costs(2), np.zeros(2)
    draw_days(SITE, np.uint64(1), np.arange(2, dtype=np.uint64), days)
    begin(SITE, days, state)
    advance(SITE, days, 0, np.ones((M, 2)), total, state, cost)
    assert (cost.shape, len(COSTS)) == ((5, 2), 5)
    assert (total > 0.0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.floats(-5.0, 5.0), min_size=M, max_size=M))
def test_invariants_of_a_day(number, levels):
    day = days_of(SITE, 2, np.array([number], np.uint64))
    state, wanted = first_state(SITE, day), np.array(levels)
    for k in range(STEPS):
        loads = np.abs(np.sin(wanted * (k + 1))) * 1.2
        runs = switched(SITE, day, state, loads)
        assert ((runs == 0.0) | ((runs >= SITE.load_min) & (runs <= SITE.load_max))).all()
        assert not (is_out(day, k) & (runs > 0.0)).any()
        assert (power_share(SITE, runs)[runs == 0.0] == 0.0).all()
        done = step(SITE, day, state, loads)
        assert min(done.costs[1:]) >= 0.0
        assert done.state.peak_kw >= state.peak_kw
        assert (done.state.stock_h >= 0.0).all()
        assert (np.abs(observe(SITE, day, state)) <= 10.0).all()
        state = done.state


def test_observations_are_named():
    names = observation_names(M)
    assert len(names) == len(set(names)) == 7 * M + 16
    assert names[0] == "temp_0"
    assert names[-1] == "tariff_in_64_steps"


def test_tariff_levels_are_by_the_clock():
    levels = tariff_levels([17, 18], [22, 23, 0, 17])
    assert clock_hours()[44] == 17.0
    assert (levels[44:52] == 2).all()
    assert (levels[64:76] == 0).all()
    days = days_of(SITE, 1, np.arange(3, dtype=np.uint64))
    assert set(np.unique(planned_price(SITE, days).round(6))) == {0.096, 0.12, 0.18}
