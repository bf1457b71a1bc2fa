"""What changes a machine of the fleet loop from outside: stops, services, faults, and the branches they leave."""

from __future__ import annotations

import numpy as np
import pytest
from small_fleets import CARE, MIXED, MODES, SILENT, SLOT, STOP, Ran, of_kind, run, small_fleet
from tolerances import EXACT, REORDER

from nexova_sim.kernels import rows as r
from nexova_sim.kernels.fleet import spike_factor
from nexova_sim.kernels.random import POWER_SPIKE


@pytest.fixture(scope="module")
def stopped() -> Ran:
    edits = {**SLOT, "maintenance": {"interventions": [STOP, CARE]}, "start_age_frac": [0.4, 0.6]}
    return run(small_fleet(edits, {"pump": SILENT}))


def test_a_stopped_machine_does_not_age_and_cools(stopped):
    t = stopped.truth[0, 120:181]
    for column in (r.T_WEAR, r.T_FATIGUE, r.T_ELECTRICAL, r.T_RUNTIME):
        np.testing.assert_allclose(t[:, column], t[0, column], **EXACT)
    assert (t[:-1, r.T_LOAD] == 0).all() and (t[:-1, r.T_VIBRATION] == 0).all()
    above = t[:, r.T_TEMP] - t[:, r.T_AMBIENT]
    tau_h = stopped.block.machines[0].build["tau_h"]
    assert above[12] / above[0] == pytest.approx(np.exp(-1 / tau_h), abs=0.03)
    np.testing.assert_allclose(t[1:-1, r.T_STATUS], r.OFFLINE + r.DOWN)


def test_power_while_stopped_is_standby_and_in_maintenance_zero(stopped):
    standby = r.MachineParams(*stopped.block.block.params).standby_kw[0]
    assert standby == pytest.approx(0.02 * 15.0)
    np.testing.assert_allclose(stopped.readings("power_kw")[0, 600:900], np.float32(round(standby, 2)), **EXACT)
    np.testing.assert_allclose(stopped.readings("power_kw")[1, 720:840], 0.0, **EXACT)
    np.testing.assert_allclose(stopped.truth[0, 121:181, r.T_ENERGY], standby / 12, **REORDER)


def test_status_of_readings(stopped):
    status = stopped.readings("status")
    minute = np.arange(1440)
    np.testing.assert_array_equal(status[0], np.where((minute >= 600) & (minute < 900), r.OFFLINE, r.ONLINE))
    np.testing.assert_array_equal(status[1], np.where((minute >= 720) & (minute < 840), r.MAINTENANCE, r.ONLINE))
    np.testing.assert_array_equal(status[2], r.ONLINE)


def test_events_of_a_stop(stopped):
    assert [e[:4] for e in stopped.events(0)] == [
        (r.EV_STATUS, r.ONLINE, r.R_PLAN, 0.0),
        (r.EV_STATUS, r.OFFLINE, r.R_DECISION, 10.0),
        (r.EV_STATUS, r.ONLINE, r.R_PLAN, 15.0),
    ]
    mask = r.C_BEARING | r.C_ELECTRICAL
    assert [(*e[:3], round(e[3], 9), round(e[4], 9)) for e in stopped.events(1)[1:]] == [
        (r.EV_MAINTENANCE_START, r.R_DECISION, mask, 12.0, 2.0),
        (r.EV_STATUS, r.MAINTENANCE, r.R_DECISION, 12.0, 0.0),
        (r.EV_MAINTENANCE_END, r.R_DECISION, mask, 14.0, 0.0),
        (r.EV_STATUS, r.ONLINE, r.R_PLAN, 14.0, 0.0),
    ]


def test_maintenance_renews_what_it_names_and_nothing_else(stopped):
    t = stopped.truth[1]
    assert t[144, r.T_WEAR] > 0.1 and t[144, r.T_ELECTRICAL] > 0.01
    np.testing.assert_allclose(t[168, [r.T_WEAR, r.T_ELECTRICAL]], 0.0, **EXACT)
    np.testing.assert_allclose(t[168, [r.T_RUNTIME, r.T_FATIGUE]], t[144, [r.T_RUNTIME, r.T_FATIGUE]], **EXACT)


def test_two_actions_at_once_are_done_one_after_the_other():
    both = [{**CARE, "machine": "f-pump-001"}, {**STOP, "at_h": 12.5, "hours": 1.0}]
    ran = run(small_fleet({**SLOT, "maintenance": {"interventions": both}}))
    changes = [(e[1], round(e[3], 9)) for e in of_kind(ran, 0, r.EV_STATUS)]
    assert changes == [(r.ONLINE, 0.0), (r.MAINTENANCE, 12.0), (r.OFFLINE, 14.0), (r.ONLINE, 15.0)]


# --- faults -----------------------------------------------------------------------------------------------------------


def with_fault(fault: str, severity: float = 1.0, **edits: object) -> Ran:
    scheduled = [{"machine": "f-pump-001", "fault": fault, "onset_h": 6.0, "hours": 6.0, "severity": severity}]
    return run(
        small_fleet(
            {**SLOT, "faults": {"scheduled": scheduled}, "start_age_frac": [0.2, 0.2], **edits}, {"pump": SILENT}
        )
    )


@pytest.fixture(scope="module")
def healthy() -> Ran:
    return run(small_fleet({**SLOT, "start_age_frac": [0.2, 0.2]}, {"pump": SILENT}))


def test_a_fault_changes_its_machine_only_and_only_from_its_onset(healthy):
    for fault in ("bearing_wear", "cooling_loss", "overload", "power_spike", "imbalance"):
        ran = with_fault(fault)
        np.testing.assert_array_equal(ran.truth[1:], healthy.truth[1:])
        np.testing.assert_array_equal(
            ran.readings("vibration_mm_s")[0, :360], healthy.readings("vibration_mm_s")[0, :360]
        )
        assert (ran.truth[0, 73:144] != healthy.truth[0, 73:144]).any()


def test_bearing_wear_adds_a_hundredth_per_hour(healthy):
    extra = with_fault("bearing_wear", 0.5).truth[0, :, r.T_WEAR] - healthy.truth[0, :, r.T_WEAR]
    assert extra[72] == 0.0
    assert extra[144] == pytest.approx(0.5 * 0.01 * 6, rel=2e-3)


def test_cooling_loss_raises_the_temperature_and_the_fatigue(healthy):
    ran = with_fault("cooling_loss", 0.5)
    np.testing.assert_allclose(ran.truth[0, 72:144, r.T_COOLING], 0.6, **REORDER)
    rise, usual = (t[0, 140, r.T_TEMP] - t[0, 140, r.T_AMBIENT] for t in (ran.truth, healthy.truth))
    assert rise / usual == pytest.approx(1 / 0.6, rel=0.05)
    added = ran.truth[0, 144, r.T_FATIGUE] - healthy.truth[0, 144, r.T_FATIGUE]
    assert added > 0.5 * 0.02 * 6 - 1e-12
    np.testing.assert_allclose(ran.truth[0, 144:, r.T_COOLING], 1.0, **EXACT)


def test_overload_and_imbalance(healthy):
    factor = with_fault("overload", 0.5).truth[0, :, r.T_LOAD] / healthy.truth[0, :, r.T_LOAD]
    np.testing.assert_allclose(factor[72:144], 1.3, **REORDER)
    np.testing.assert_allclose(factor[144:], 1.0, **EXACT)
    added = with_fault("imbalance", 0.5).truth[0, :, r.T_VIBRATION] - healthy.truth[0, :, r.T_VIBRATION]
    assert added[72] == pytest.approx(1.5)
    assert 1.5 < added[143] < 1.52


def test_power_spikes_show_in_their_share_of_slots(healthy):
    ran = with_fault("power_spike", 0.5, days=10)
    again = run(small_fleet({**SLOT, "days": 10, "start_age_frac": [0.2, 0.2]}, {"pump": SILENT}))
    factor = ran.truth[0, 72:144, r.T_LOAD] / again.truth[0, 72:144, r.T_LOAD]
    assert set(np.round(factor, 9)) == {1.0, 1.4}
    keys = np.array([m.keys for m in ran.block.machines]).T
    expected = [spike_factor(keys, 0, s, 0.4) for s in range(72, 144)]
    np.testing.assert_allclose(factor, expected, **REORDER)
    many = np.array([spike_factor(keys, 1, s, 0.4) > 1 for s in range(20_000)])
    assert abs(many.mean() - 0.15) < 4.5 * np.sqrt(0.15 * 0.85 / 20_000)
    assert len(keys) > POWER_SPIKE


def test_repair_ends_the_faults_of_what_it_renews():
    """Cooling loss wears the insulation out; its repair clears it, while an imbalance (bearing) goes on."""
    scheduled = [
        {"machine": "f-pump-001", "fault": "cooling_loss", "onset_h": 6.0, "hours": 80.0},
        {"machine": "f-pump-001", "fault": "imbalance", "onset_h": 6.0, "hours": 80.0},
    ]
    kinds = {"pump": {"damage": {"fatigue_per_k_h": 0.002}, **SILENT}}
    ran = run(small_fleet({**SLOT, "days": 4, "faults": {"scheduled": scheduled}, "start_age_frac": [0.0, 0.0]}, kinds))
    failure, end = of_kind(ran, 0, r.EV_FAILURE), of_kind(ran, 0, r.EV_MAINTENANCE_END)
    assert len(failure) == 1 and failure[0][1] == MODES.index("thermal")
    up = round(end[0][3] * 12)
    names = [f.fault for f in ran.block.faults]
    assert ran.cleared[names.index("cooling_loss")] == up
    assert ran.cleared[names.index("imbalance")] == -1
    np.testing.assert_allclose(ran.truth[0, up:, r.T_COOLING], 1.0, **EXACT)
    np.testing.assert_allclose(ran.truth[0, 72:up, r.T_COOLING], 0.2, **REORDER)
    assert ran.truth[0, up, r.T_VIBRATION] > 3.0


def test_branches_hold_the_state_at_their_slot():
    edits = {
        **SLOT,
        "machines": MIXED,
        "days": 3,
        "faults": {"random": True, "rate_factor": 80.0},
        "maintenance": {"planned_interval_days": 2.0},
    }
    ran = run(small_fleet(edits))
    assert len(ran.branch) > 10
    pairs = [
        (r.B_TEMP, r.T_TEMP),
        (r.B_WEAR, r.T_WEAR),
        (r.B_FATIGUE, r.T_FATIGUE),
        (r.B_ELECTRICAL, r.T_ELECTRICAL),
        (r.B_RUNTIME, r.T_RUNTIME),
    ]
    for row in ran.branch:
        lane, slot = int(row[r.B_LANE]), int(row[r.B_SLOT])
        for b, t in pairs:
            np.testing.assert_allclose(row[b], ran.truth[lane, slot, t], **EXACT)
        assert ran.truth[lane, slot - 1, r.T_STATUS] < r.DOWN
        np.testing.assert_allclose(row[r.B_EFFECT + r.E_COOLING], ran.truth[lane, slot - 1, r.T_COOLING], **EXACT)


def test_branches_stand_at_every_change_from_outside():
    scheduled = [{"machine": "f-pump-001", "fault": "imbalance", "onset_h": 6.0, "hours": 6.0}]
    edits = {
        **SLOT,
        "faults": {"scheduled": scheduled},
        "maintenance": {"interventions": [CARE, {**STOP, "at_h": 18.0}]},
    }
    ran = run(small_fleet(edits))
    assert [(int(b[r.B_LANE]), int(b[r.B_SLOT])) for b in ran.branch] == [(0, 72), (0, 144), (1, 144), (0, 216)]
