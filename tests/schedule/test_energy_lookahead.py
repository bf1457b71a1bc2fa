"""Look-ahead on the twin: futures follow the site's laws and read nothing to come; the search saves money."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.config.study import LookaheadConfig
from nexova_sim.kernels.energy import (
    D_AMBIENT_KEEP,
    D_AMBIENT_KICK,
    D_BASE_KEEP,
    D_BASE_KICK,
    D_OUTAGE_P,
    D_PRICE_KEEP,
    D_PRICE_KICK,
    P_AMBIENT_C,
    P_BASE_KW,
    P_NOISE_LOG,
    P_PRICE,
    STEPS,
)
from nexova_sim.kernels.energy_ahead import run_ahead
from nexova_sim.schedule.batch import open_batch, play
from nexova_sim.schedule.bids import hand_set_bids, make_work
from nexova_sim.schedule.compare import Entry, against_yardsticks
from nexova_sim.schedule.controllers import FIXED, Bids, play_days
from nexova_sim.schedule.futures import draw_futures, own_seed
from nexova_sim.schedule.lookahead import Lookahead, Search, make_rater
from nexova_sim.schedule.site import days_of, make_site, pick_days
from nexova_sim.schedule.yardstick import Extent, measure_days

_FILE = "configs/energy/workshop.yaml"
SITE = make_site(load(SiteConfig, _FILE))
PARAMS = hand_set_bids(SITE, 4)
SMALL = Search(8, 8, 2, 0.4, 16)


def days(n, seed=5, site=SITE):
    return days_of(site, seed, np.arange(n, dtype=np.uint64))


def at_step(those, k):
    batch = open_batch(SITE, those)
    loads = np.full(those.start.shape[1:], 0.6)
    while batch.k < k:
        batch = play(batch, loads)
    return batch


@pytest.mark.parametrize("k", [0, 37, 95])
def test_a_future_keeps_what_is_known_and_reads_nothing_to_come(k):
    those = days(4)
    drawn = draw_futures(SITE, those, 2, k, 8, 1)
    np.testing.assert_array_equal(drawn.profile[: k + 1], np.repeat(those.profile[: k + 1, :, 2:3], 8, axis=2))
    np.testing.assert_array_equal(drawn.level, np.repeat(those.level[:, 2:3], 8, axis=1))
    np.testing.assert_array_equal(drawn.quota_h, np.repeat(those.quota_h[:, :, 2:3], 8, axis=2))
    other = those._replace(profile=those.profile.copy(), outage=those.outage.copy())
    other.profile[k + 1 :, [P_PRICE, P_BASE_KW, P_AMBIENT_C, P_NOISE_LOG]] = 1e6
    to_come = other.outage[0] > k
    other.outage[:, to_come] = 0.0
    running = (other.outage[0] <= k) & (other.outage[1] > k)
    other.outage[1][running] = k + 1
    for a, b in zip(drawn, draw_futures(SITE, other, 2, k, 8, 1), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_future_goes_on_by_the_laws_of_the_site():
    those, k, n, d = days(1), 20, 4000, SITE.draw
    drawn = draw_futures(SITE, those, 0, k, n, 3)
    for row, keep, kick, mean in (
        (P_NOISE_LOG, d[D_PRICE_KEEP], d[D_PRICE_KICK], 0.0),
        (P_BASE_KW, d[D_BASE_KEEP], d[D_BASE_KICK], None),
        (P_AMBIENT_C, d[D_AMBIENT_KEEP], d[D_AMBIENT_KICK], None),
    ):
        x = drawn.profile[:, row]
        if mean is None:
            x = x - SITE.hour[:, 2 if row == P_BASE_KW else 3][:, None]
        step = x[k + 1] - keep * x[k]
        assert kstest((step - step.mean())[: n // 2] / kick, "norm").pvalue > 1e-3
    price = SITE.price_usd_per_kwh * SITE.tariff[drawn.level] * np.exp(drawn.profile[:, P_NOISE_LOG])
    np.testing.assert_allclose(drawn.profile[:, P_PRICE], price, rtol=1e-12)


def test_outages_to_come_are_as_likely_as_given_that_none_was():
    k, n, p = 47, 2000, SITE.draw[D_OUTAGE_P]
    those = days(1)
    those.outage[:] = 0.0
    drawn = draw_futures(SITE, those, 0, k, n, 3)
    first, last = drawn.outage
    hits = last > first
    expected = p * 0.5 / (1.0 - p * 0.5)
    assert binomtest(int(hits.sum()), hits.size, expected).pvalue > 1e-3
    assert first[hits].min() > k and first[hits].max() == STEPS - 1
    lengths = (last - first)[hits]
    assert set(np.unique(lengths)) == set(range(4, 13))


def test_an_outage_under_way_ends_and_one_that_was_does_not_come_again():
    those = days(1)
    those.outage[:] = 0.0
    those.outage[:, 0, 0] = 10.0, 15.0
    those.outage[:, 1, 0] = 38.0, 44.0
    drawn = draw_futures(SITE, those, 0, 40, 400, 3)
    assert (drawn.outage[:, 0] == np.array([[10.0], [15.0]])).all()
    assert (drawn.outage[0, 1] == 38.0).all()
    assert set(np.unique(drawn.outage[1, 1])) == set(range(42, 51))


def test_rating_no_move_is_playing_the_scheduler_on_the_futures():
    those = days(2)
    batch = at_step(those, 30)
    rater = make_rater(batch, 1, PARAMS, 6, 4)
    rated = rater.rate(np.zeros((1, 33)))[0]
    futures = rater.futures
    loads = np.full(futures.start.shape[1:], 0.6)
    twin = open_batch(SITE, futures)
    while twin.k < 30:
        twin = play(twin, loads)
    before, memory = twin.paid.sum(axis=0).copy(), None
    while twin.k < STEPS:
        wanted, memory = Bids(PARAMS).loads(twin, memory)
        twin = play(twin, wanted)
    assert rated == pytest.approx((twin.paid.sum(axis=0) - before).mean(), rel=1e-12)


def test_it_costs_less_than_its_scheduler():
    those = days(3)
    plain = play_days(Bids(PARAMS), SITE, those).paid.sum()
    assert play_days(Lookahead(PARAMS, SMALL), SITE, those).paid.sum() < plain - 30.0


def test_a_decision_depends_neither_on_the_batch_nor_on_what_is_to_come():
    those = days(3)
    controller = Lookahead(PARAMS, SMALL)
    batch = at_step(those, 52)
    loads, memory = controller.loads(batch, np.zeros((3, 33)))
    turned = at_step(pick_days(those, [2, 0]), 52)
    np.testing.assert_array_equal(controller.loads(turned, np.zeros((2, 33)))[0], loads[:, [2, 0]])
    blind = those._replace(profile=those.profile.copy())
    blind.profile[53:] = 1e3
    other = at_step(blind, 52)
    np.testing.assert_array_equal(controller.loads(other, np.zeros((3, 33)))[1], memory)


def test_a_site_of_one_machine_is_searched_too():
    site = make_site(load(SiteConfig, _FILE, ["machines=[{id: only, kind: pump, rated_kw: 30}]"]))
    played = play_days(Lookahead(hand_set_bids(site, 4), SMALL), site, days(1, site=site))
    assert np.isfinite(played.paid).all()


def test_it_stands_beside_the_controllers():
    those = days(2)
    entries = [Entry("bau", [play_days(FIXED["bau"](), SITE, those)], ()),
               Entry("bids", [play_days(Bids(PARAMS), SITE, those)], ())]  # fmt: skip
    ahead = [Lookahead(PARAMS, SMALL), Lookahead(PARAMS, SMALL._replace(seed=1))]
    found = measure_days(SITE, those, [], Extent(0, 0, 2, 2, ahead))
    told = against_yardsticks(entries, found, 200)
    assert [row["controller"] for row in told["programs"]] == ["lookahead"]
    assert told["programs"][0]["n_seeds"] == 2 and told["n_lookahead_days"] == 2
    assert told["against_lookahead"]["bids"]["value"] > 0.0
    assert 0.0 < told["lookahead_share_of_bound"]["value"] <= 1.0
    assert "against_mpc" not in told and told["below_bound"] == 0


@pytest.mark.parametrize("wrong", [{"n_futures": 3}, {"population": 5}, {"sigma": 0.0}, {"n_models": 0}])
def test_odd_efforts_are_refused(wrong):
    with pytest.raises(ValueError):
        LookaheadConfig(**wrong)


def test_draws_follow_the_day_and_not_its_place():
    those = days(3)
    assert own_seed(those, 2, 40, 7) == own_seed(pick_days(those, [2]), 0, 40, 7) != own_seed(those, 1, 40, 7)


def test_the_kernel_begins_where_the_day_is():
    batch = at_step(days(2), 95)
    futures = draw_futures(SITE, batch.days, 1, 95, 2, 0)
    usd = np.empty((1, 2))
    run_ahead(SITE, futures, (batch.state, 1, 95), PARAMS, np.zeros((1, 33)), make_work(8, 2), usd)
    loads, _ = Bids(PARAMS).loads(batch, None)
    np.testing.assert_allclose(usd[0], play(batch, loads).cost[:, 1].sum(), rtol=1e-12)
