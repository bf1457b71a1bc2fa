"""What policies may believe and what the judge knows; estimates of the state from readings alone."""

from __future__ import annotations

import numpy as np
import pytest
from decision_cases import context

from nexova_sim.config.load import load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.decide.counterfactual import Offer, Truth, action_table, expect, judge
from nexova_sim.decide.estimate import Plate, believe, estimate, wear_trend
from nexova_sim.decide.policy import outlook_decision
from nexova_sim.kernels.futures import A_END, A_START, A_USD, X_WEAR
from nexova_sim.kernels.rows import MachineParams

OFFER = Offer(np.array([4.0]), np.array([600.0]), 24, 4, 2.0, 63)


@pytest.fixture(scope="module")
def plate(root):
    named = nominal_parameters(load_kind("pump", root / "configs/kind"))
    params = np.array([named[name] for name in MachineParams._fields])
    return Plate(params, np.full(168 + 336, 0.7), np.full(168, 20.0), np.array([0.12, 120.0, 9000.0, 25.0]),
                 np.array([0.06, 0.6]), np.uint64(3), 5000.0)  # fmt: skip


def wear_like(wear):
    """Readings of a pump at nominal load with that wear: 1.65 x 0.7 + 2 wear."""
    return {"vibration": 1.155 + 2.0 * wear, "temp": 48.0}


def test_actions_begin_when_crew_or_person_is_there():
    table = action_table(OFFER._replace(latency_h=(0, 3, 1)))
    assert table[0, 1, [A_START, A_END, A_USD]].tolist() == [27.0, 31.0, 600.0]
    assert table[0, 2, [A_START, A_END, A_USD]].tolist() == [1.0, 9.0, 1200.0]
    assert table[0, 0].tolist() == [0.0] * 4


def test_wear_is_read_from_vibration_at_a_known_load(plate):
    for wear in (0.3, 0.7, 0.95):
        found, sd, growth = wear_trend(context(**wear_like(wear)), plate.params)
        assert found == pytest.approx(wear, abs=1e-6)
        assert 0.0 < sd < 0.05
        assert growth == 0.0


def test_what_wear_cannot_explain_is_imbalance(plate):
    state = estimate(context(**wear_like(1.6)), plate)
    assert state.shift_mm_s > 1.5
    assert state.wear.mean() == pytest.approx(0.5, abs=0.05)


def test_a_growing_bearing_is_believed_to_grow_on(plate):
    state = estimate(context(growth=0.24, **wear_like(0.8)), plate)
    assert (state.fast_per_h * state.weight).sum() > 0.003


def test_heat_that_load_cannot_explain_is_lost_cooling(plate):
    assert estimate(context(temp=90.0), plate).cooling < 0.6
    assert estimate(context(temp=50.0), plate).cooling == 1.0


def test_nothing_known_gives_a_wide_estimate(plate):
    empty = context(power=float("nan"), temp=float("nan"), vibration=float("nan"), growth=float("nan"))
    state = estimate(empty, plate)
    assert state.wear.max() - state.wear.min() > 0.5


def test_the_twin_waits_with_a_good_bearing_and_acts_on_a_dying_one(plate):
    contexts = [context(**wear_like(w), growth=g) for w, g in ((0.5, 0.0), (0.95, 0.0), (0.93, 0.2))]
    belief = believe(contexts, [plate] * 3)
    np.testing.assert_allclose(belief.weight.sum(axis=1), 1.0)
    offer = OFFER._replace(service_h=np.full(3, 4.0), service_usd=np.full(3, 600.0))
    actions = [outlook_decision(o).action_taken for o in expect(belief, offer, 16, 1)]
    assert actions[0] == "NONE"
    assert actions[1] == "MAINTENANCE"
    assert actions[2] == "OFFLINE"


def test_the_judge_sees_the_true_wear(plate):
    situations = believe([context(**wear_like(0.5))], [plate]).situations
    situations.state[:, X_WEAR] = 0.99
    n = len(situations.state)
    offer = OFFER._replace(service_h=np.full(n, 4.0), service_usd=np.full(n, 600.0))
    found = judge(Truth(situations), offer, 16, 1)
    assert found.p_fail[:, 0].mean() == 1.0
    assert found.mean_usd.shape == (n, 3)
    plain = judge(Truth(situations), offer, 16, 1, is_plain=True)
    assert set(np.unique(plain.p_fail)) <= {0.0, 1.0}
