"""What changes a machine between slots, step by step; and the tiles that become rows."""

from __future__ import annotations

import numpy as np
import pytest
from small_fleets import small_fleet
from tolerances import EXACT, REORDER

from nexova_sim.kernels import fleet as f
from nexova_sim.kernels import rows as r
from nexova_sim.kernels.flush import flush_codes, flush_slots, flush_steps
from nexova_sim.kernels.lanes import (
    begin_action,
    change_lanes,
    crossing,
    effects_of,
    fail_lanes,
    finish,
    put_branch,
    put_event,
    put_status,
    restore,
)
from nexova_sim.simulate.blocks import first_state, new_output
from nexova_sim.simulate.plan import plan_block, plan_fleet

FAULTS = [
    {"machine": "f-pump-001", "fault": "cooling_loss", "onset_h": 2.0, "hours": 4.0, "severity": 0.5},
    {"machine": "f-pump-001", "fault": "overload", "onset_h": 3.0, "hours": 2.0, "severity": 0.5},
    {"machine": "f-pump-002", "fault": "imbalance", "onset_h": 3.0, "hours": 50.0},
]
CARE = {"machine": "f-pump-001", "action": "MAINTENANCE", "at_h": 4.0, "hours": 1.0, "restores": ["thermal", "random"]}


class World:
    """A block of three pumps with faults and one decided maintenance, its state and its output."""

    def __init__(self) -> None:
        resolved = small_fleet({"faults": {"scheduled": FAULTS}, "maintenance": {"interventions": [CARE]}})
        self.plan = plan_fleet(resolved)
        self.block_plan = plan_block(self.plan, 0)
        self.block, self.clock = self.block_plan.block, self.plan.clock
        self.state = first_state(self.plan, self.block_plan)
        self.out = new_output(self.plan, self.block_plan, self.plan.periods[0], wants_rows=False)

    def events(self) -> list[tuple]:
        n = self.out.n_written[0]
        pairs = zip(self.out.event_code[:n].tolist(), self.out.event_value[:n].tolist(), strict=True)
        return [(*a, *b) for a, b in pairs]


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(("before", "after", "share"), [
    (0.8, 1.2, 0.5), (0.9, 0.99, 2.0), (0.9, 1.0, 1.0), (1.0, 1.1, 0.0), (1.2, 1.3, 0.0), (1.0, 1.0, 0.0),
    (1.1, 1.05, 0.0),
])  # fmt: skip
def test_share_of_the_slot_at_which_a_level_is_met(before, after, share):
    assert crossing(before, after, 1.0) == pytest.approx(share)


def test_effects_of_active_faults(world):
    effect = np.full((r.N_EFFECTS, r.LANES), np.nan)
    cleared = np.full(3, -1, np.int64)
    assert effects_of(world.block, 0, cleared, effect) == 24
    np.testing.assert_allclose(effect[r.E_COOLING], 1.0, **EXACT)
    assert effects_of(world.block, 24, cleared, effect) == 36
    assert effects_of(world.block, 36, cleared, effect) == 60
    np.testing.assert_allclose(effect[[r.E_COOLING, r.E_LOAD, r.E_FATIGUE_PER_H], 0], [0.6, 1.3, 0.01], **REORDER)
    assert effect[r.E_VIBRATION, :3].tolist() == [0.0, 3.0, 0.0]
    cleared[0] = 40
    assert effects_of(world.block, 41, cleared, effect) == 60
    assert effect[r.E_COOLING, 0] == 1.0 and effect[r.E_LOAD, 0] == 1.3
    assert effects_of(world.block, 287, cleared, effect) == 288


def test_an_event_is_appended(world):
    put_event(2, np.int64(r.EV_FAILURE), np.int64(r.F_RANDOM), np.int64(16), 3.5, 120.0, world.out)
    put_event(1, np.int64(r.EV_STATUS), np.int64(r.ONLINE), np.int64(r.R_PLAN), 4.0, 0.0, world.out)
    assert world.events() == [(2, r.EV_FAILURE, r.F_RANDOM, 16, 3.5, 120.0), (1, r.EV_STATUS, 0, 0, 4.0, 0.0)]


def test_a_status_is_told_once_and_only_of_machines_in_use(world):
    for lane, status in ((0, r.ONLINE), (0, r.ONLINE), (0, r.OFFLINE), (3, r.ONLINE)):
        put_status(world.block, 1.0, lane, status, world.state, world.out)
    assert [e[:4] for e in world.events()] == [(0, r.EV_STATUS, s, r.R_PLAN) for s in (r.ONLINE, r.OFFLINE)]


def test_an_action_begins_and_ends(world):
    begin_action(world.block, world.clock, 0, 48, world.state, world.out)
    flag = world.state.flag[:, 0]
    assert flag[[r.I_MODE, r.I_UNTIL, r.I_ACTION, r.I_REASON]].tolist() == [r.IN_MAINTENANCE, 60, 1, r.R_DECISION]
    world.state.real[[r.S_FATIGUE, r.S_WEAR], 0] = 0.5, 0.25
    finish(world.block, world.clock, 0, 60, world.state, world.out)
    assert flag[[r.I_MODE, r.I_UNTIL, r.I_RENEWALS]].tolist() == [r.AVAILABLE, r.NEVER, 1]
    assert world.state.real[[r.S_FATIGUE, r.S_WEAR, r.S_AGE], 0].tolist() == [0.0, 0.25, 0.0]
    assert world.state.cleared.tolist() == [60, -1, -1]
    mask = r.C_THERMAL | r.C_RANDOM
    told = [(*e[:4], round(e[4], 9), round(e[5], 9)) for e in world.events()]
    assert told == [
        (0, r.EV_MAINTENANCE_START, r.R_DECISION, mask, 4.0, 1.0),
        (0, r.EV_MAINTENANCE_END, r.R_DECISION, mask, 5.0, 0.0),
    ]


@pytest.mark.parametrize(("mask", "rows"), [
    (r.C_BEARING, [r.S_WEAR]), (r.C_THERMAL, [r.S_FATIGUE]), (r.C_ELECTRICAL, [r.S_ELECTRICAL]),
    (r.C_LIFE, [r.S_RUNTIME]),
    (r.C_PROCESS, []), (0, []), (r.C_BEARING | r.C_LIFE, [r.S_WEAR, r.S_RUNTIME]),
])  # fmt: skip
def test_restoring_touches_only_what_it_names(world, mask, rows):
    world.state.real[:] = 0.5
    restore(world.block, 1, 40, mask, world.state)
    expected = np.full((r.N_STATE, r.LANES), 0.5)
    expected[rows, 1] = 0.0
    np.testing.assert_allclose(world.state.real, expected, **EXACT)
    assert world.state.cleared.tolist() == [-1, -1, 40 if mask & r.C_BEARING else -1]
    assert (world.state.flag[r.I_RENEWALS] == 0).all()


def test_a_fault_that_is_not_open_is_not_cleared(world):
    for slot in (30, 700):
        restore(world.block, 1, slot, r.C_BEARING, world.state)
    assert world.state.cleared.tolist() == [-1, -1, -1]


def test_a_branch_holds_state_and_effects(world):
    effect = np.arange(r.N_EFFECTS * r.LANES, dtype=float).reshape(r.N_EFFECTS, r.LANES)
    world.state.real[:] = np.arange(r.N_STATE)[:, None]
    put_branch(2, 77, world.state.real, effect, world.out)
    row = world.out.branch[0]
    assert row[[r.B_LANE, r.B_SLOT, r.B_TEMP, r.B_LIMIT]].tolist() == [2, 77, r.S_TEMP, r.S_LIMIT]
    np.testing.assert_allclose(row[r.B_EFFECT :], effect[:, 2], **EXACT)
    assert world.out.n_written.tolist() == [0, 1, 0]


def test_changes_are_found_in_order(world):
    effect = np.empty((r.N_EFFECTS, r.LANES))
    slots, slot = [], 0
    while slot < 288:
        slots.append(slot)
        slot = int(change_lanes(world.block, world.clock, slot, slot == 0, world.state, effect, world.out))
    # Onsets at 24 and 36, maintenance 48 to 60 (which clears the cooling loss and outlasts the overload), end of data.
    assert slots == [0, 24, 36, 48, 60]
    found = world.out.branch[: world.out.n_written[1], [r.B_LANE, r.B_SLOT]].astype(int).tolist()
    assert found == [[0, 24], [0, 36], [1, 36], [0, 48]]
    assert effect[r.E_COOLING, 0] == 1.0 and effect[r.E_LOAD, 0] == 1.0 and effect[r.E_VIBRATION, 1] == 3.0


def test_the_first_threshold_met_is_the_failure(world):
    real = world.state.real
    before = np.zeros((3, r.LANES))
    running = np.zeros(r.LANES)
    running[:2] = 1.0
    real[[r.S_WEAR, r.S_FATIGUE, r.S_ELECTRICAL]] = 0.0
    before[:, 0] = 0.9, 0.99, 0.5
    real[[r.S_WEAR, r.S_FATIGUE, r.S_ELECTRICAL], 0] = 1.1, 1.01, 0.6
    real[[r.S_WEAR, r.S_FATIGUE], 2] = 1.5, 0.2  # not running
    before[0, 2] = 1.0
    following = fail_lanes(world.block, world.clock, 100, running, before, world.state, world.out)
    assert following == 101
    ((lane, code, event, mask, time_h, _),) = world.events()
    assert (lane, code, event) == (0, r.EV_FAILURE, r.F_BEARING) and mask == r.C_BEARING
    assert time_h == pytest.approx(100.5 / 12)
    assert world.state.flag[r.I_MODE, :3].tolist() == [r.FAILED, r.AVAILABLE, r.AVAILABLE]
    assert world.state.flag[r.I_UNTIL, 0] == 101 + 12
    assert real[[r.S_WEAR, r.S_FATIGUE, r.S_ELECTRICAL], 0].tolist() == [1.0, 1.0, 0.6]


def test_working_rows(world):
    work = np.full((f.N_WORK, r.LANES), np.nan)
    after = type(world.state)(
        np.empty_like(world.state.real), np.empty_like(world.state.flag), np.empty_like(world.state.cleared)
    )
    f.begin_state(world.state, after, work)
    for mine, theirs in zip(world.state, after, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(work[: r.N_STATE], world.state.real)
    target = np.zeros((f.N_WORK, r.LANES))
    f.copy_rows(work, target)
    np.testing.assert_array_equal(target[: r.N_STATE], world.state.real)
    assert (target[r.N_STATE :] == 0).all()
    f.load_params(world.block.params, 1 / 60, work)
    np.testing.assert_array_equal(work[f.W_PARAMS : f.W_PARAMS + r.N_PARAMS], world.block.params)
    effect = np.empty((r.N_EFFECTS, r.LANES))
    effects_of(world.block, 40, np.full(3, -1, np.int64), effect)
    assert not f.settle(world.block.params, 1 / 60, effect, world.state.flag, work)
    tau_h = world.block.params[r.M_TAU_H]
    np.testing.assert_allclose(work[f.W_DECAY], np.exp(-effect[r.E_COOLING] / tau_h / 60), **REORDER)
    effect[r.E_SPIKE, 5] = 0.5
    assert f.settle(world.block.params, 1 / 60, effect, world.state.flag, work)


def test_a_truth_sample_restarts_the_energy_counts():
    work = np.arange(f.N_WORK * r.LANES, dtype=float).reshape(f.N_WORK, r.LANES)
    truth = np.full((r.LANES, 3, r.N_TRUTH), np.nan)
    expected = work[[r.S_TEMP, r.S_WEAR, r.S_FATIGUE, r.S_ENERGY, r.S_PLAN]].T.copy()
    f.sample_truth(work, 1, work, truth)
    np.testing.assert_array_equal(truth[:, 1][:, [r.T_TEMP, r.T_WEAR, r.T_FATIGUE, r.T_ENERGY, r.T_PLAN]], expected)
    assert np.isnan(truth[:, [0, 2]]).all() and (work[[r.S_ENERGY, r.S_PLAN]] == 0).all()


def test_tiles_become_rows():
    steps = np.arange(6 * r.LANES, dtype=np.float32).reshape(6, r.LANES)
    rows = np.full((3, 10), -1.0, np.float32)
    flush_steps(steps, 4, 5, rows)
    np.testing.assert_array_equal(rows[:, 5:9], steps[:4, :3].T)
    assert (rows[:, :5] == -1).all() and (rows[:, 9] == -1).all()
    slots, rate = np.arange(2.0 * r.LANES).reshape(2, r.LANES), np.full((2, r.LANES), 0.25)
    rows = np.full((3, 8), -1.0, np.float32)
    flush_slots(slots, rate, 2, 3, 1, rows)
    np.testing.assert_array_equal(rows[2], [-1, 2, 2.25, 2.5, 18, 18.25, 18.5, -1])
    codes = np.zeros((3, 8), np.int8)
    flush_codes(slots.astype(np.int8), 2, 3, 1, codes)
    np.testing.assert_array_equal(codes[2], [0, 2, 2, 2, 18, 18, 18, 0])


def test_smallest_is_the_first_of_equals():
    from nexova_sim.kernels.lanes import smallest

    assert smallest(np.array([2.0, 0.5, 0.5, 3.0])) == 1
    assert smallest(np.array([1.0])) == 0
