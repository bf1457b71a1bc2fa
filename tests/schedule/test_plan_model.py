"""Traces, forced machines, days put together by hand, and the bids in parts against the kernel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import REORDER

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.kernels.energy import NORMAL, OFF_PEAK, P_NOISE_LOG, P_PRICE, PEAK
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.schedule.batch import open_batch, play
from nexova_sim.schedule.controllers import BusinessAsUsual, play_days
from nexova_sim.schedule.explain import think
from nexova_sim.schedule.modelfile import load_model, make_controller
from nexova_sim.schedule.scenarios import fit_bids, scenarios
from nexova_sim.schedule.search import SearchPlan
from nexova_sim.schedule.site import days_of, make_site
from nexova_sim.schedule.tomorrow import Outlook, load_from_power, make_day, price_levels, tariff_of
from nexova_sim.schedule.trace import Force, batch_at, trace_day

CONFIG = load(SiteConfig, "configs/energy/workshop.yaml")
SITE = make_site(CONFIG)
MODEL = Path("configs/energy/models/bids-0.json")


@pytest.fixture(scope="module")
def bids(root):
    return make_controller(load_model(root / MODEL), CONFIG, MODEL)


def day(number):
    return days_of(SITE, 11, np.array([number], np.uint64))


def test_the_bids_in_parts_are_those_of_the_kernel(bids):
    """Every step of several days, also under the shifts of a policy: same loads, and the parts add up."""
    rng = np.random.default_rng(4)
    m, seen = len(SITE.rated_kw), set()
    for number in range(6):
        batch = open_batch(SITE, day(number))
        shifts = np.zeros((4 * m + 1, 1)) if number < 3 else rng.normal(0.0, 0.2, (4 * m + 1, 1))
        while batch.k < 96:
            loads, view = np.zeros((m, 1)), np.zeros((3 * m + 2, 1))
            bid_loads(SITE, batch.days, batch.state, batch.k, bids.params, shifts, loads, view)
            thought = think(batch, bids.params, shifts[:, 0])
            granted = np.zeros(m)
            for row in thought.order:
                granted[row.j] = row.granted_frac
            np.testing.assert_allclose(granted, loads[:, 0], **REORDER)
            for bid in thought.bids:
                total = bid.urgency_need + bid.urgency_rank + bid.urgency_on + bid.urgency_moved
                assert bid.urgency == pytest.approx(total)
                rate = (bid.need_h + bid.ahead_h) / 0.25 * bid.part_frac * bid.price_factor * bid.moved_factor
                assert bid.rate_frac == pytest.approx(rate)
            assert thought.cap_kw == max(thought.peak_kw, thought.planned_cap_kw)
            seen |= {bid.why for bid in thought.bids}
            batch = play(batch, loads)
    assert seen >= {"work", "pulse", "wait", "done", "hot", "must", "outage"}


def test_a_trace_is_the_played_day(bids):
    for number in range(3):
        trace, played = trace_day(bids, SITE, day(number)), play_days(bids, SITE, day(number))
        np.testing.assert_allclose(trace.costs.sum(axis=0), played.paid[:, 0], **REORDER)
        np.testing.assert_array_equal(trace.total_kw, played.power_kw[:, 0])
        base = day(number).profile[:, 1, 0]
        np.testing.assert_allclose(trace.power_kw.sum(axis=1) + base, trace.total_kw, **REORDER)
        batch, _ = batch_at(bids, SITE, day(number), 40)
        assert batch.k == 40
        np.testing.assert_array_equal(batch.state.machine[3, :, 0], trace.stock_h[39])


def test_a_forced_machine_stands_and_the_rest_of_the_day_reacts(bids):
    before = trace_day(bids, SITE, day(1))
    j = int(np.argmax(before.load_frac[8] > 0.0))
    after = trace_day(bids, SITE, day(1), Force(j, 8, 14, 0.0))
    assert (after.load_frac[8:14, j] == 0.0).all()
    np.testing.assert_array_equal(after.load_frac[:8], before.load_frac[:8])
    assert after.load_frac[14:, j].sum() > before.load_frac[14:, j].sum()


@settings(max_examples=60, deadline=None)
@given(fixed=st.floats(0.0, 0.5), square=st.floats(0.0, 0.5), load=st.floats(0.0, 1.1))
def test_power_reads_back_to_load(fixed, square, load):
    share = fixed + (1.0 - fixed - square) * load + square * load * load
    back = load_from_power(np.array([share, 0.0]), fixed, square, 1.1)
    assert back[0] == pytest.approx(load, abs=1e-6)
    assert back[1] == 0.0


def outlook(price, level, m):
    return Outlook(price, level, np.full(24, 50.0), np.full(24, 20.0), np.full((3, m), 4.0), np.full(m, 25.0),
                   np.zeros(m), np.zeros(m))  # fmt: skip


def test_given_prices_fall_into_levels_and_surprises():
    price = np.r_[np.full(8, 0.1), np.full(4, 0.4), np.full(4, -0.05), np.full(8, 0.1)]
    level = price_levels(price)
    assert level.tolist() == [NORMAL] * 8 + [PEAK] * 4 + [OFF_PEAK] * 4 + [NORMAL] * 8
    factors = tariff_of(price, level, 0.12)
    np.testing.assert_allclose(factors * 0.12, [-0.05, 0.1, 0.4])
    assert tariff_of(np.full(24, 0.12), np.full(24, NORMAL), 0.12).tolist() == [1.0, 1.0, 1.0]
    assert (price_levels(np.full(24, 0.1)) == NORMAL).all()
    made = make_day(SITE._replace(tariff=factors), outlook(price, level, 8))
    np.testing.assert_array_equal(made.profile[::4, P_PRICE, 0], price)
    assert np.isfinite(made.profile).all()
    assert (made.profile[:, P_NOISE_LOG, 0] <= 0.0).all()


def test_a_negative_price_lowers_the_bill():
    price = np.full(24, -0.1)
    level = price_levels(price)
    made = make_day(SITE._replace(tariff=tariff_of(price, level, 0.12)), outlook(price, level, 8))
    assert trace_day(BusinessAsUsual(), SITE, made).costs.sum(axis=0)[0] < 0.0


def test_scenarios_lie_around_the_expected_day():
    """Means of many days are the expected ones; work stays within its spread; what is down stays down."""
    price, level = np.full(24, 0.12), np.full(24, NORMAL, np.int8)
    known = outlook(price, level, 8)._replace(out_h=np.r_[6.0, np.zeros(7)])
    made = make_day(SITE, known)
    around = scenarios(SITE, made, 5, np.arange(400, dtype=np.uint64), 0.1)
    ratio = around.quota_h / made.quota_h
    assert ratio.min() >= 0.9
    assert ratio.max() <= 1.1
    np.testing.assert_array_equal(around.outage[:, 0], np.repeat(made.outage[:, 0], 400, axis=1))
    assert (around.outage[1, 1:] > around.outage[0, 1:]).mean() == pytest.approx(0.3, abs=0.05)
    for column, tolerance in ((P_PRICE, 0.02), (1, 0.15), (2, 0.02)):
        expected = made.profile[:, column, 0]
        np.testing.assert_allclose(around.profile[:, column].mean(axis=1), expected, rtol=tolerance)
    again = scenarios(SITE, made, 5, np.arange(10, 20, dtype=np.uint64), 0.1)
    np.testing.assert_array_equal(again.profile, around.profile[..., 10:20])


def test_fitting_does_not_cost_more_where_it_fits(bids):
    made = make_day(SITE, outlook(np.full(24, 0.12), np.full(24, NORMAL, np.int8), 8))
    days = scenarios(SITE, made, 5, np.arange(4, dtype=np.uint64))
    fitted = fit_bids(SITE, bids.params, 4, days, SearchPlan(12, 8, 0.12, 0))
    own = play_days(bids._replace(params=fitted), SITE, days).paid.sum()
    assert own < play_days(bids, SITE, days).paid.sum()
