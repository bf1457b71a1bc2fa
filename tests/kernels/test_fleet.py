"""The fleet loop against the same model in NumPy, and what changes a machine from outside: faults, stops, failures."""

from __future__ import annotations

import numpy as np
import pytest
from naive import naive_readings
from naive_fleet import naive_fleet
from small_fleets import Ran, run, small_fleet
from tolerances import EXACT, PHYSICS, REORDER

from nexova_sim.kernels import rows as r
from nexova_sim.kernels.fleet import spike_factor
from nexova_sim.kernels.random import POWER_SPIKE
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.plan import plan_block, plan_fleet

MIXED = {"pump": 3, "motor": 2, "compressor": 2, "conveyor": 3}
SLOT = {"truth_interval_s": 300}
SILENT = {
    "sensors": {"power_kw": {"noise_frac": 0.0}, "temperature_c": {"noise": 0.0}, "vibration_mm_s": {"noise": 0.0}}
}
OPTIONAL = {
    "thermal": {"heating": "loss"},
    "damage": {
        "montsinger_life_h": 2000.0,
        "montsinger_reference_c": 60.0,
        "bearing_exponent": 3.0,
        "wear_noise_per_sqrt_h": 1e-4,
    },
}
FRAGILE = {
    "bearing": {"damage": {"wear_per_mm_s_h": 0.01}},
    "thermal": {"damage": {"fatigue_per_k_h": 0.003, "fatigue_knee_c": 30.0}},
    "electrical": {"damage": {"electrical_per_h": 0.08}},
    "end_of_life": {"damage": {"rated_life_h": 20.27}},
    "random": {"hazard": {"weibull_scale_h": 18.0}},
}
MODES = list(FRAGILE)


def many_faults(factor: float) -> dict[str, object]:
    """Random faults of every kind at ``factor`` times their rates, on machines of every kind."""
    return {"machines": MIXED, "faults": {"random": True, "rate_factor": float(factor)}}


def fragile(mode: str, days: float = 4, **edits: object):
    """Three new pumps that fail by one mode within a day or two."""
    return small_fleet({"days": days, "start_age_frac": [0.0, 0.0], **SLOT, **edits}, {"pump": FRAGILE[mode]})


FLEETS = {
    "all fault kinds": ({"days": 3, "maintenance": {"planned_interval_days": 2.0}, **many_faults(60)}, {}),
    "several periods": ({"days": 2.5, "output": {"partition": "day"}, **many_faults(40)}, {}),
    "two blocks": ({**many_faults(40), "machines": {"pump": 17, "motor": 4}}, {}),
    "fast sampling": ({"days": 0.25, "dt_s": 2, **many_faults(200)}, {}),
    "slow sampling": ({"days": 6, "dt_s": 1800, **many_faults(40)}, {}),
    "seed physics": ({"physics": "seed", **many_faults(40)}, {}),
    "optional physics": ({"days": 2, **many_faults(40)}, {"pump": OPTIONAL, "motor": OPTIONAL}),
    "failures of every mode": (
        {"machines": MIXED, "days": 4, "start_age_frac": [0.9, 0.99]},
        {"pump": FRAGILE["bearing"], "motor": FRAGILE["thermal"], "compressor": FRAGILE["random"],
         "conveyor": FRAGILE["end_of_life"]},
    ),
    "left as they failed": (
        {"machines": MIXED, "days": 3, "maintenance": {"on_failure": "leave"}},
        {"pump": FRAGILE["electrical"], "motor": FRAGILE["random"]},
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=FLEETS)
def pair(request):
    edits, kinds = FLEETS[request.param]
    resolved = small_fleet(edits, kinds)
    plan = plan_fleet(resolved)
    blocks = [plan_block(plan, n) for n in range(len(plan.blocks))]
    return plan, [list(run_block_periods(plan, b)) for b in blocks], naive_fleet(plan, plan.periods, exact=True)


def test_truth_equals_its_twin(pair):
    _, blocks, naive = pair
    truth = np.concatenate([np.concatenate([c.truth for c in chunks], axis=1) for chunks in blocks])
    assert truth.shape == naive.truth.shape
    # The kernel's normals are single precision (1e-6 of the load's variation); damage integrates that.
    rest = [i for i in range(r.N_TRUTH) if i != r.T_STATUS]
    np.testing.assert_allclose(truth[..., rest], naive.truth[..., rest], rtol=1e-6, atol=3e-6)
    for damage in (r.T_WEAR, r.T_FATIGUE, r.T_ELECTRICAL):
        np.testing.assert_allclose(truth[..., damage], naive.truth[..., damage], rtol=3e-8, atol=2e-9)
    np.testing.assert_allclose(
        truth[..., [r.T_RUNTIME, r.T_AMBIENT]], naive.truth[..., [r.T_RUNTIME, r.T_AMBIENT]], **REORDER
    )
    np.testing.assert_allclose(truth[..., r.T_STATUS], naive.truth[..., r.T_STATUS], **EXACT)


@pytest.mark.parametrize("channel", ["power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status"])
def test_readings_equal_their_twin(pair, channel):
    plan, blocks, naive = pair
    found = np.concatenate([np.concatenate([getattr(c, channel) for c in chunks], axis=1) for chunks in blocks])
    expected = naive.readings[channel]
    differs = (found != expected) & ~(np.isnan(found) & np.isnan(expected))
    # A value within 1e-5 of the edge of a step may be rounded to the other side.
    assert differs.mean() <= (0.0 if channel == "status" else 1e-3)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    step = 0.11 if channel in ("temperature_c", "runtime_h") else 0.011
    stuck = {f.machine for f in plan.faults if plan.resolved.fault_kinds[f.fault].sensor == "stuck"}
    is_stuck = np.array([j in stuck for j in range(len(plan.machines))])
    gap = np.abs(found.astype(float) - expected)[differs & ~is_stuck[:, None]]
    assert gap.max(initial=0.0) <= step


def test_missing_rows_equal_their_twin(pair):
    _, blocks, naive = pair
    masks = [[np.ones(c.power_kw.shape, bool) if c.keep is None else c.keep for c in chunks] for chunks in blocks]
    assert np.array_equal(np.concatenate([np.concatenate(m, axis=1) for m in masks]), naive.readings["keep"])


def test_events_equal_their_twin(pair):
    plan, blocks, naive = pair
    found = []
    for (first, _), chunks in zip(plan.blocks, blocks, strict=True):
        for c in chunks:
            found += [
                (first + a[0], *a[1:], *b) for a, b in zip(c.event_code.tolist(), c.event_value.tolist(), strict=True)
            ]
    found, expected = (sorted(e, key=lambda row: (row[0], round(row[4], 4), row[1])) for e in (found, naive.events))
    assert [row[:4] for row in found] == [tuple(int(v) for v in row[:4]) for row in expected]
    np.testing.assert_allclose([row[4] for row in found], [row[4] for row in expected], rtol=0, atol=1e-4)


def test_faults_end_as_in_the_twin(pair):
    _, blocks, naive = pair
    assert np.concatenate([chunks[-1].state.cleared for chunks in blocks]).tolist() == naive.cleared.tolist()


def test_quick_twin_reads_the_same():
    """The benchmark's form of the twin (single-precision normals) is the same model."""
    plan = plan_fleet(small_fleet({"machines": MIXED, "faults": {"random": True, "rate_factor": 40.0}}))
    quick, exact = naive_readings(plan, plan.periods), naive_fleet(plan, plan.periods, exact=True).readings
    for channel, values in exact.items():
        same = (values == quick[channel]) | (np.isnan(values) & np.isnan(quick[channel]))
        assert same.mean() >= 0.999, channel


# --- periods and steps ------------------------------------------------------------------------------------------------


def test_periods_do_not_matter():
    edits = {"machines": MIXED, "days": 3, "faults": {"random": True, "rate_factor": 60.0}}
    month = run(small_fleet({**edits, "output": {"partition": "month"}}, {"pump": FRAGILE["random"]}))
    day = run(small_fleet({**edits, "output": {"partition": "day"}}, {"pump": FRAGILE["random"]}))
    assert len(day.chunks) == 3 and len(month.chunks) == 1
    for channel in ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status"):
        np.testing.assert_array_equal(day.readings(channel), month.readings(channel))
    for name in ("truth", "event_code", "event_value", "branch", "cleared"):
        np.testing.assert_array_equal(getattr(day, name), getattr(month, name))


CONSTANT = {
    "factory": {"climate": {"annual_amplitude_k": 0.0, "daily_amplitude_k": 0.0, "variation_k": 0.0, "mean_c": 42.0},
                "demand": {"annual_amplitude_frac": 0.0, "variation_frac": 0.0}},
    "days": 10, "start_age_frac": [0.3, 0.3],
}  # fmt: skip
STEADY = {
    "duty": {"hour_frac": [1.0] * 24, "weekend_frac": 1.0, "variation_frac": 0.0},
    "damage": {"fatigue_per_k_h": 1e-3},
}


@pytest.mark.parametrize("dt_s", [1, 60, 3600])
def test_result_does_not_depend_on_the_step(dt_s):
    """Constant load, through both knees: temperature and damage after hours and days are those of 5 min steps."""
    edits = {**CONSTANT, "days": 1, "truth_interval_s": 3600}
    fine, other = (run(small_fleet({**edits, "dt_s": dt}, {"pump": STEADY})) for dt in (300, dt_s))
    assert fine.truth[0, -1, r.T_FATIGUE] > 1e-3
    continuous = [r.T_TEMP, r.T_WEAR, r.T_FATIGUE, r.T_ELECTRICAL, r.T_RUNTIME, r.T_ENERGY, r.T_VIBRATION]
    np.testing.assert_allclose(other.truth[..., continuous], fine.truth[..., continuous], **PHYSICS)


def test_wear_noise_does_not_depend_on_the_step():
    """Wiener noise has the variance sigma^2 t whatever the slot: 16 machines in 5 min and in 1 h slots."""
    noisy = {**STEADY, "damage": {"wear_noise_per_sqrt_h": 2e-4}}
    found = []
    for dt_s in (300, 3600):
        edits = {**CONSTANT, "machines": {"pump": 16}, "dt_s": dt_s, "truth_interval_s": 3600, "build_spread_frac": 0.0}
        wear = run(small_fleet(edits, {"pump": noisy})).truth[..., r.T_WEAR]
        kicks = np.diff(wear, axis=1)
        found.append((kicks - kicks.mean()).std() / 2e-4)
    error = 1 / np.sqrt(2 * 16 * 239)
    assert np.abs(np.array(found) - 1.0).max() < 4.5 * error


# --- failures ---------------------------------------------------------------------------------------------------------


def of_kind(ran: Ran, lane: int, code: int) -> list[tuple]:
    return [e for e in ran.events(lane) if e[0] == code]


@pytest.fixture(scope="module", params=MODES)
def failed(request) -> tuple[str, Ran]:
    return request.param, run(fragile(request.param))


def test_every_mode_can_end_a_life(failed):
    mode, ran = failed
    for lane in range(3):
        failures = of_kind(ran, lane, r.EV_FAILURE)
        assert failures and all(f[1] == MODES.index(mode) for f in failures)


def test_failure_happens_inside_the_slot_in_which_the_threshold_is_met(failed):
    mode, ran = failed
    column, level = {"bearing": (r.T_WEAR, 1.0), "thermal": (r.T_FATIGUE, 1.0), "electrical": (r.T_ELECTRICAL, 1.0),
                     "end_of_life": (r.T_RUNTIME, 20.27), "random": (None, None)}[mode]  # fmt: skip
    for lane in range(3):
        for _, _, _, hours, _ in of_kind(ran, lane, r.EV_FAILURE):
            slot = int(np.ceil(hours * 12 - 1e-9)) - 1
            before, after = ran.truth[lane, slot], ran.truth[lane, slot + 1]
            assert before[r.T_STATUS] == r.ONLINE and after[r.T_STATUS] == r.OFFLINE + r.DOWN
            if column is not None:
                assert before[column] < level <= after[column] + 1e-12
                rate = (ran.truth[lane, slot, column] - ran.truth[lane, slot - 1, column]) * 12
                assert (level - before[column]) / rate == pytest.approx(hours - slot / 12, rel=0.2, abs=2e-3)


def test_end_of_life_comes_after_its_running_hours():
    ran = run(fragile("end_of_life"))
    for lane in range(3):
        first = of_kind(ran, lane, r.EV_FAILURE)[0]
        assert first[3] == pytest.approx(20.27 - ran.block.machines[lane].runtime_start_h, abs=1e-6)


def test_failure_says_the_running_hours_at_that_moment(failed):
    """A pump runs around the clock, so its running hours grow with the clock until the first failure."""
    _, ran = failed
    for lane in range(3):
        _, _, _, hours, runtime = of_kind(ran, lane, r.EV_FAILURE)[0]
        assert runtime == pytest.approx(ran.block.machines[lane].runtime_start_h + hours, abs=1e-6)


def test_repair_follows_the_failure(failed):
    mode, ran = failed
    kind = ran.plan.resolved.kinds["pump"]
    wanted = sum(
        1 << ["bearing", "thermal", "electrical", "life", "random", "process"].index(c)
        for c in kind.service.repairs[mode]
    )
    for lane in range(3):
        events = ran.events(lane)
        at = next(i for i, e in enumerate(events) if e[0] == r.EV_FAILURE)
        hours = events[at][3]
        stop_h = np.ceil(hours * 12 - 1e-9) / 12
        begin_h, end_h = stop_h + kind.service.response_h, stop_h + kind.service.response_h + kind.costs.failure_h
        expected = [
            (r.EV_STATUS, r.OFFLINE, r.R_FAILURE, stop_h),
            (r.EV_MAINTENANCE_START, r.R_REPAIR, wanted, begin_h),
            (r.EV_STATUS, r.MAINTENANCE, r.R_REPAIR, begin_h),
            (r.EV_MAINTENANCE_END, r.R_REPAIR, wanted, end_h),
            (r.EV_STATUS, r.ONLINE, r.R_PLAN, end_h),
        ]
        for found, wish in zip(events[at + 1 : at + 6], expected, strict=True):
            assert found[:3] == wish[:3]
            assert found[3] == pytest.approx(wish[3], abs=1e-6)


def test_repair_renews_what_it_names_and_nothing_else(failed):
    mode, ran = failed
    kind = ran.plan.resolved.kinds["pump"]
    columns = {"bearing": r.T_WEAR, "thermal": r.T_FATIGUE, "electrical": r.T_ELECTRICAL, "life": r.T_RUNTIME}
    for lane in range(3):
        failure, end = of_kind(ran, lane, r.EV_FAILURE)[0], of_kind(ran, lane, r.EV_MAINTENANCE_END)[0]
        down, up = int(np.ceil(failure[3] * 12 - 1e-9)), round(end[3] * 12)
        for name, column in columns.items():
            values = ran.truth[lane, :, column]
            np.testing.assert_allclose(values[down:up], values[down], **EXACT)
            np.testing.assert_allclose(values[up], 0.0 if name in kind.service.repairs[mode] else values[down], **EXACT)


def test_only_a_renewed_random_life_draws_again():
    """A random failure renews its own clock; each life of a machine gets a number of its own."""
    state = run(fragile("random")).chunks[-1].state
    assert (state.flag[r.I_RENEWALS, :3] >= 1).all()
    up = state.flag[r.I_MODE, :3] == r.AVAILABLE
    assert (state.real[r.S_AGE, :3] < state.real[r.S_LIMIT, :3])[up].all()
    other = run(fragile("bearing")).chunks[-1].state
    assert (other.flag[r.I_RENEWALS, :3] == 0).all()
    np.testing.assert_allclose(other.real[r.S_AGE, :3], other.real[r.S_RUNTIME, :3], **REORDER)


def test_left_as_it_failed():
    ran = run(fragile("thermal", maintenance={"on_failure": "leave"}))
    for lane in range(3):
        assert len(of_kind(ran, lane, r.EV_FAILURE)) == 1
        assert not of_kind(ran, lane, r.EV_MAINTENANCE_START)
        assert ran.truth[lane, -1, r.T_STATUS] == r.OFFLINE + r.DOWN
        assert (ran.readings("status")[lane, -500:] == r.OFFLINE).all()


def test_damage_never_exceeds_1_in_truth(failed):
    _, ran = failed
    damage = ran.truth[..., [r.T_WEAR, r.T_FATIGUE, r.T_ELECTRICAL]]
    assert damage.min() >= 0.0 and damage.max() <= 1.0


# --- stops and services -----------------------------------------------------------------------------------------------

STOP = {"machine": "f-pump-001", "action": "OFFLINE", "at_h": 10.0, "hours": 5.0}
CARE = {
    "machine": "f-pump-002",
    "action": "MAINTENANCE",
    "at_h": 12.0,
    "hours": 2.0,
    "restores": ["bearing", "electrical"],
}


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
