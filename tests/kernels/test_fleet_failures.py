"""How lives end in the fleet loop: each failure mode, its moment, the repair that follows."""

from __future__ import annotations

import numpy as np
import pytest
from small_fleets import MODES, Ran, fragile, of_kind, run
from tolerances import EXACT, REORDER

from nexova_sim.kernels import rows as r


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
