"""Planned services at their interval, decided actions, and what repairs renew."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest
from small_fleets import run, small_fleet

from nexova_sim.base.errors import ConfigError
from nexova_sim.kernels import rows as r
from nexova_sim.simulate.machines import make_machines
from nexova_sim.simulate.maintenance import action_arrays, failure_restore, plan_actions

ACTION = {"machine": "f-pump-002", "action": "MAINTENANCE", "at_h": 10.0, "hours": 2.0, "restores": ["thermal"]}


def plans(edits: dict, kinds: dict | None = None):
    resolved = small_fleet(edits, kinds)
    return resolved, plan_actions(resolved, make_machines(resolved))


@pytest.mark.parametrize("interval", [7.0, 30.0, 45.5])
def test_services_come_at_their_interval(interval):
    _, actions = plans({"machines": {"pump": 20}, "days": 200, "maintenance": {"planned_interval_days": interval}})
    for plan in actions:
        slots = np.array([a[0] for a in plan])
        assert (slots % 288 == 8 * 12).all()  # at 08:00
        assert slots[0] <= interval * 288 + 96 and 200 * 288 - slots[-1] <= (interval + 2) * 288
        days = slots // 288
        assert np.abs(np.diff(days) - interval).max() < 1.0
        assert (days[-1] - days[0]) == pytest.approx(interval * (len(days) - 1), abs=1.0)
        assert {a[1:] for a in plan} == {(r.IN_MAINTENANCE, 4 * 12, r.C_BEARING | r.C_RANDOM, r.R_SERVICE)}


def test_machines_are_serviced_on_different_days():
    _, actions = plans({"machines": {"pump": 500}, "days": 90, "maintenance": {"planned_interval_days": 90.0}})
    days = [plan[0][0] // 288 for plan in actions if plan]
    assert len(days) >= 490
    assert kstest(np.array(days) + 0.5, "uniform", args=(0, 90)).pvalue > 1e-4


def test_services_begin_at_eight_utc_whenever_the_run_starts():
    start_hour = 6
    edits = {"start": f"2026-01-05T{start_hour:02d}:00:00Z", "days": 60, "maintenance": {"planned_interval_days": 10.0}}
    _, actions = plans({**edits, "machines": {"pump": 5}})
    hours = {(a[0] / 12 + start_hour) % 24 for plan in actions for a in plan}
    assert hours == {8.0}


def test_no_interval_is_no_service():
    _, actions = plans({"days": 400, "maintenance": {"planned_interval_days": None}})
    assert actions == [[], [], []]


def test_decided_actions_stand_in_the_plan():
    off = {"machine": "f-pump-001", "action": "OFFLINE", "at_h": 5.0, "hours": 1.0, "restores": ["bearing"]}
    _, actions = plans({"maintenance": {"interventions": [ACTION, off, {**ACTION, "at_h": 3.0}]}})
    assert actions[0] == [(60, r.OFF_DECIDED, 12, 0, r.R_DECISION)]
    care = (r.IN_MAINTENANCE, 24, r.C_THERMAL, r.R_DECISION)
    assert actions[1] == [(36, *care), (120, *care)]
    assert actions[2] == []


def test_an_unknown_machine_is_an_error():
    with pytest.raises(
        ConfigError, match=r"maintenance.interventions.0: unknown machine 'f-pomp-002'; did you mean 'f-pump-002'"
    ):
        plans({"maintenance": {"interventions": [{**ACTION, "machine": "f-pomp-002"}]}})


def test_a_decision_after_the_end_is_an_error():
    """As for a scheduled fault: an action that can never happen is a mistake in the configuration."""
    with pytest.raises(ConfigError, match=r"maintenance.interventions.0"):
        plans({"days": 1, "maintenance": {"interventions": [{**ACTION, "at_h": 24.0}]}})


def test_arrays_are_padded_with_never():
    plan = [(5, r.IN_MAINTENANCE, 3, 1, r.R_SERVICE), (9, r.OFF_DECIDED, 2, 0, r.R_DECISION)]
    arrays = action_arrays([plan, []])
    assert arrays.slot.shape == (r.LANES, 3)
    assert arrays.slot[0].tolist() == [5, 9, r.NEVER]
    assert (arrays.slot[1:] == r.NEVER).all()
    assert [int(a[0, 1]) for a in arrays] == [9, r.OFF_DECIDED, 2, 0, r.R_DECISION]


def test_repairs_by_failure_event():
    resolved = small_fleet({}, {"pump": {"service": {"repairs": {"thermal": ["thermal", "electrical"]}}}})
    restore = failure_restore(make_machines(resolved), resolved)
    whole = r.C_BEARING | r.C_THERMAL | r.C_ELECTRICAL | r.C_LIFE | r.C_RANDOM
    assert restore[:, 0].tolist() == [r.C_BEARING, r.C_THERMAL | r.C_ELECTRICAL, r.C_ELECTRICAL, whole, r.C_RANDOM]
    assert (restore[:, 3:] == 0).all()


def test_a_service_happens_as_planned_and_resets_only_its_own_clock():
    edits = {
        "days": 20,
        "truth_interval_s": 300,
        "maintenance": {"planned_interval_days": 15.0},
        "start_age_frac": [0.3, 0.5],
    }
    ran = run(small_fleet(edits))
    for lane in range(3):
        slot = ran.plan.actions[lane][0][0]
        t = ran.truth[lane]
        assert (t[slot : slot + 48, r.T_STATUS] == r.MAINTENANCE + r.DOWN).all()
        assert t[slot - 1, r.T_STATUS] == t[slot + 48, r.T_STATUS] == r.ONLINE
        assert t[slot, r.T_WEAR] > 0.1 and t[slot + 48, r.T_WEAR] == 0.0
        np.testing.assert_array_equal(
            t[slot + 48, [r.T_FATIGUE, r.T_ELECTRICAL, r.T_RUNTIME]],
            t[slot, [r.T_FATIGUE, r.T_ELECTRICAL, r.T_RUNTIME]],
        )
