"""True remaining useful life: equal to the failure that happens, falling hour by hour, unknown while down."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_fleets import Ran, run, small_fleet

from nexova_sim.kernels import rows as r
from nexova_sim.simulate.life import Life, climate_years, end_branches, remaining, trace_life, week_loads
from nexova_sim.simulate.plan import ambient_of, profile_of

FRAGILE = {
    "bearing": {"damage": {"wear_per_mm_s_h": 0.006}},
    "thermal": {"damage": {"fatigue_per_k_h": 0.0015, "fatigue_knee_c": 30.0}},
    "electrical": {"damage": {"electrical_per_h": 0.04}},
    "end_of_life": {"damage": {"rated_life_h": 40.27}},
    "random": {"hazard": {"weibull_scale_h": 40.0}},
}
SAMPLE_H = 0.25


def truth(ran: Ran, lane: int) -> dict[str, np.ndarray]:
    """Columns of the truth table of one machine, with ``hour``; NaN for null."""
    table = ran.table("truth")
    own = table.filter(pc.equal(table["machine_id"].cast(pa.string()), ran.block.machines[lane].id))
    names = ("rul_h", "rul_running_h", "runtime_true_h")
    out = {n: own[n].to_numpy(zero_copy_only=False).astype(float) for n in names}
    out["failure_event"] = np.array(own["failure_event"].to_pylist(), dtype=object)
    out["status"] = np.array(own["status"].to_pylist())
    out["hour"] = own["timestamp"].cast(pa.int64()).to_numpy() / 3.6e6 - ran.plan.start_s / 3600
    return out


def failures(ran: Ran, lane: int) -> list[tuple[int, float]]:
    return [(e[1], e[3]) for e in ran.events(lane) if e[0] == r.EV_FAILURE]


def fragile(mode: str, **edits: object) -> Ran:
    base = {
        "days": 8,
        "start_age_frac": [0.0, 0.0],
        "truth_interval_s": int(SAMPLE_H * 3600),
        "machines": {"pump": 3, "motor": 2},
    }
    return run(small_fleet({**base, **edits}, {"pump": FRAGILE[mode], "motor": FRAGILE[mode]}))


@pytest.fixture(scope="module", params=list(FRAGILE))
def failed(request) -> tuple[str, Ran]:
    return request.param, fragile(request.param)


def test_life_is_the_time_to_the_failure_that_happens(failed):
    """float32 keeps 200 h to 2e-5 h; otherwise the numbers are equal."""
    mode, ran = failed
    checked = 0
    for lane in range(5):
        t = truth(ran, lane)
        begin = 0.0
        for event, hour in failures(ran, lane):
            inside = (t["hour"] >= begin) & (t["hour"] <= hour) & ~np.isnan(t["rul_h"])
            np.testing.assert_allclose(t["rul_h"][inside], hour - t["hour"][inside], rtol=1e-6, atol=2e-5)
            assert set(t["failure_event"][inside]) <= {list(FRAGILE)[event]}
            begin, checked = hour, checked + int(inside.sum())
        assert failures(ran, lane) or mode == "random"
    assert checked > 100


def test_life_falls_hour_by_hour(failed):
    _, ran = failed
    for lane in range(5):
        t = truth(ran, lane)
        both = ~np.isnan(t["rul_h"][1:]) & ~np.isnan(t["rul_h"][:-1])
        ends = np.array(
            [
                any(a < h <= b for _, h in failures(ran, lane))
                for a, b in zip(t["hour"][:-1], t["hour"][1:], strict=True)
            ]
        )
        drop = (t["rul_h"][:-1] - t["rul_h"][1:])[both & ~ends]
        np.testing.assert_allclose(drop, SAMPLE_H, rtol=0, atol=1e-3 + 2e-7 * np.nanmax(t["rul_h"]))


def test_life_is_unknown_while_down_and_only_then(failed):
    _, ran = failed
    for lane in range(5):
        t = truth(ran, lane)
        down = ran.truth[lane, :, r.T_STATUS] >= r.DOWN
        assert np.isnan(t["rul_h"][down]).all() and np.isnan(t["rul_running_h"][down]).all()
        assert down.any() or not failures(ran, lane)
        assert not np.isnan(t["rul_h"][~down & (t["hour"] < 20)]).any()
        assert all(e is None for e in t["failure_event"][down])


def test_a_pump_that_never_rests_has_its_life_in_running_hours(failed):
    """Around the clock, running hours to failure are the calendar hours to it."""
    _, ran = failed
    for lane in range(3):
        t = truth(ran, lane)
        first = failures(ran, lane)[0][1]
        before = t["hour"] < first
        np.testing.assert_allclose(t["rul_running_h"][before], t["rul_h"][before], rtol=1e-6, atol=1e-4)


def test_running_hours_fall_only_while_running(failed):
    _, ran = failed
    for lane in (3, 4):
        t = truth(ran, lane)
        ends = [h for _, h in failures(ran, lane)]
        before = t["hour"] < (ends[0] if ends else np.inf)
        known = before & ~np.isnan(t["rul_running_h"])
        fallen = t["rul_running_h"][known][0] - t["rul_running_h"][known]
        run_h = t["runtime_true_h"][known] - t["runtime_true_h"][known][0]
        np.testing.assert_allclose(fallen, run_h, rtol=1e-5, atol=1e-3)


def test_without_failure_the_rest_is_rolled_out():
    ran = run(small_fleet({"days": 3, "start_age_frac": [0.3, 0.5]}))
    for lane in range(3):
        t = truth(ran, lane)
        assert not failures(ran, lane)
        assert (t["rul_h"] > 100).all()
        np.testing.assert_allclose(t["rul_h"][0] - t["rul_h"], t["hour"], rtol=0, atol=2e-3)
        ages = t["rul_running_h"] + t["runtime_true_h"]
        np.testing.assert_allclose(ages, ages[0], rtol=1e-6)


def test_rollout_predicts_what_the_fleet_does():
    """The same machine run on instead of rolled out fails within a few percent of the predicted time."""
    kinds = {"pump": {"damage": {"wear_per_mm_s_h": 0.004}}}
    edits = {"start_age_frac": [0.0, 0.0], "machines": {"pump": 8}}
    short, long = run(small_fleet({**edits, "days": 2}, kinds)), run(small_fleet({**edits, "days": 20}, kinds))
    for lane in range(8):
        predicted = truth(short, lane)["rul_h"][0]
        happened = failures(long, lane)[0][1]
        assert predicted == pytest.approx(happened, rel=0.05)


def test_an_intervention_ends_what_was_foreseen():
    """Before it, life is that of a machine left alone; after it, of the renewed one."""
    care = {"machine": "f-pump-001", "action": "MAINTENANCE", "at_h": 30.0, "hours": 2.0, "restores": ["bearing"]}
    edits = {"days": 4, "start_age_frac": [0.5, 0.5], "machines": {"pump": 2}}
    alone, cared = run(small_fleet(edits)), run(small_fleet({**edits, "maintenance": {"interventions": [care]}}))
    a, c = truth(alone, 0), truth(cared, 0)
    before = c["hour"] < 30
    # The rollout starts at another slot, with the weather of that moment: a fraction of a percent of the rest.
    np.testing.assert_allclose(c["rul_h"][before], a["rul_h"][before], rtol=0.01)
    assert np.isnan(c["rul_h"][(c["hour"] >= 30) & (c["hour"] < 32)]).all()
    assert (c["rul_h"][c["hour"] >= 32] > a["rul_h"][a["hour"] >= 32] * 1.5).all()


def test_a_fault_shortens_life_from_its_onset_only():
    fault = {"machine": "f-pump-001", "fault": "bearing_wear", "onset_h": 30.0, "hours": 40.0}
    edits = {"days": 3, "start_age_frac": [0.3, 0.3], "machines": {"pump": 1}}
    ran = run(small_fleet({**edits, "faults": {"scheduled": [fault]}}))
    t = truth(ran, 0)
    before, during, after = (t["rul_h"][t["hour"] == h][0] for h in (29.0, 30.0, 71.0))
    assert during < 0.05 * before < after
    assert t["failure_event"][30] == "bearing"


def test_life_at_the_moment_of_failure_is_zero():
    """A machine whose life is over fails again as soon as it runs: at that sample nothing is left."""
    kinds = {
        "pump": {
            "damage": {"rated_life_h": 10.0},
            "service": {"repairs": {"end_of_life": []}},
            "costs": {"failure_h": 4.0},
        }
    }
    ran = run(
        small_fleet({"start_age_frac": [0.0, 0.0], "truth_interval_s": 300, "machines": {"pump": 1}, "days": 2}, kinds)
    )
    t, ends = truth(ran, 0), [h for _, h in failures(ran, 0)]
    assert len(ends) >= 2
    again = [h for h in ends[1:] if h * 12 == pytest.approx(round(h * 12), abs=1e-6)]
    assert again
    for hour in again:
        at = int(np.abs(t["hour"] - hour).argmin())
        assert t["status"][at] == "ONLINE"
        assert t["rul_h"][at] == pytest.approx(0.0, abs=1e-6)


def test_end_branches_are_the_state_of_what_still_runs():
    ran = fragile("thermal", days=2, maintenance={"on_failure": "leave"})
    state = ran.chunks[-1].state
    rows = end_branches(ran.plan, ran.block, state, ran.cleared)
    up = [j for j in range(5) if state.flag[r.I_MODE, j] == r.AVAILABLE]
    assert rows[:, r.B_LANE].astype(int).tolist() == up and len(up) < 5
    for row in rows:
        np.testing.assert_array_equal(row[[r.B_WEAR, r.B_LIMIT]], state.real[[r.S_WEAR, r.S_LIMIT], int(row[r.B_LANE])])
        assert row[r.B_SLOT] == ran.plan.resolved.fleet.n_slots


def test_end_branches_carry_open_faults():
    common = {"machine": "f-pump-002", "onset_h": 20.0, "hours": 100.0, "severity": 0.5}
    faults = [{**common, "fault": "cooling_loss"}, {**common, "fault": "overload"}]
    ran = run(small_fleet({"faults": {"scheduled": faults}}))
    rows = end_branches(ran.plan, ran.block, ran.chunks[-1].state, ran.cleared)
    effect = rows[:, r.B_EFFECT :]
    np.testing.assert_allclose(effect[1], [0.0, 0.01, 0.6, 1.3, 0.0, 0.0])
    np.testing.assert_allclose(effect[0], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0])


def test_week_and_climate_of_the_rollout_are_the_means_of_the_fleet():
    calm = {
        "factory": {"climate": {"variation_k": 0.0}, "demand": {"variation_frac": 0.0, "annual_amplitude_frac": 0.0}}
    }
    ran = run(small_fleet({"machines": {"pump": 1, "motor": 1}, "days": 7, "build_spread_frac": 0.0, **calm}))
    loads = week_loads(ran.plan, ran.block)
    for lane, kind in ((0, "pump"), (1, "motor")):
        hourly = profile_of(ran.plan, 0, kind, ran.plan.periods[0]).reshape(168, 12).mean(axis=1)
        np.testing.assert_allclose(loads[lane], hourly, rtol=1e-9, atol=1e-12)
    years = climate_years(ran.plan, ran.block)
    hourly = ambient_of(ran.plan, 0, ran.plan.periods[0]).reshape(168, 12).mean(axis=1)
    np.testing.assert_allclose(years[0, :168], hourly, rtol=0, atol=0.01)


def test_remaining_by_hand():
    runtime, rest, running = (np.array(v) for v in ([110.0, 118.0, 50.0], [30.0, 0.0, 0.0], [25.0, 0.0, 0.0]))
    at = np.array([10.0, 20.0, 5.0])
    life = Life(np.array([0, 0, 1]), at, runtime, rest, running, np.array([0, 4, 1]),
                np.array([10.0 - 1e-6, 20.0, 5.0]))  # fmt: skip
    sample = np.zeros((6, r.N_TRUTH))
    sample[:, r.T_RUNTIME] = 100.0, 105.0, 112.0, 118.0, 110.0, 118.0
    sample[1, r.T_STATUS] = r.DOWN + r.OFFLINE
    calendar, running, event = remaining(life, 0, np.array([0.0, 5.0, 12.0, 25.0, 10.0, 20.0]), sample)
    np.testing.assert_array_equal(calendar, [40.0, np.nan, 8.0, np.nan, 10.0, 0.0])
    np.testing.assert_array_equal(running, [35.0, np.nan, 6.0, np.nan, 8.0, 0.0])
    assert event.tolist() == [0, -1, 4, -1, 4, 4]
    nothing = remaining(life, 7, np.array([0.0]), sample[:1])
    assert np.isnan(nothing[0][0]) and nothing[2][0] == -1


def test_points_are_in_order(failed):
    _, ran = failed
    branch = np.concatenate([ran.branch, end_branches(ran.plan, ran.block, ran.chunks[-1].state, ran.cleared)])
    life = trace_life(ran.plan, ran.block, branch, ran.event_code, ran.event_value)
    for lane in range(5):
        assert (np.diff(life.time_h[life.lane == lane]) >= 0).all()
    assert (life.rest_h >= 0).all() and (np.diff(life.lane) >= 0).all()
