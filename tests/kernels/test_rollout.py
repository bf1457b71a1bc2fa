"""Run to failure from a snapshot, against the same run in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from naive import run_to_failure as naive_run
from small_fleets import small_fleet

from nexova_sim.kernels.rollout import run_to_failure
from nexova_sim.kernels.rows import (
    B_AGE,
    B_EFFECT,
    B_ELECTRICAL,
    B_FATIGUE,
    B_LIMIT,
    B_RUNTIME,
    B_TEMP,
    B_WEAR,
    E_COOLING,
    E_LOAD,
    F_BEARING,
    F_ELECTRICAL,
    F_END_OF_LIFE,
    F_RANDOM,
    F_THERMAL,
    LANES,
    N_BRANCH,
    N_EFFECTS,
    MachineParams,
)
from nexova_sim.simulate.plan import plan_block, plan_fleet

EFFECTS = ("wear_per_h", "fatigue_per_h", "cooling", "load", "spike", "vibration")
WEEK = np.tile(np.where(np.arange(24) < 16, 0.7, 0.0), 7)
CLIMATE = 20.0 + 8.0 * np.sin(np.arange(8766) / 8766 * 2 * np.pi) + 3.0 * np.sin(np.arange(8766) / 24 * 2 * np.pi)


@pytest.fixture(scope="module")
def params() -> MachineParams:
    return MachineParams(*plan_block(plan_fleet(small_fleet()), 0).block.params)


def branch(**edits: float) -> np.ndarray:
    """One snapshot of a machine half used, without faults."""
    row = np.zeros(N_BRANCH)
    row[[B_TEMP, B_WEAR, B_FATIGUE, B_ELECTRICAL]] = 40.0, 0.5, 0.3, 0.2
    row[[B_RUNTIME, B_AGE, B_LIMIT]] = 6000.0, 5000.0, 1e15
    row[B_EFFECT + E_COOLING] = row[B_EFFECT + E_LOAD] = 1.0
    places = {"temp": B_TEMP, "wear": B_WEAR, "fatigue": B_FATIGUE, "electrical": B_ELECTRICAL, "runtime": B_RUNTIME,
              "age": B_AGE, "limit": B_LIMIT} | {n: B_EFFECT + i for i, n in enumerate(EFFECTS)}  # fmt: skip
    for name, value in edits.items():
        row[places[name]] = value
    return row


def life(
    params: MachineParams, row: np.ndarray, hours: int = 20_000, start: tuple[int, int] = (0, 0), week=WEEK
) -> np.ndarray:
    out = np.empty((1, 3))
    loads, climate = np.tile(week, (LANES, 1)), np.tile(CLIMATE, (LANES, 1))
    run_to_failure(np.stack(params), row[None, :], loads, climate, np.array([start], np.int64), hours, out)
    return out[0]


def naive_life(params: MachineParams, row: np.ndarray, hours: int = 20_000, start: tuple[int, int] = (0, 0), week=WEEK):
    p = {f: float(getattr(params, f)[0]) for f in MachineParams._fields}
    state = {"temp": row[B_TEMP], "wear": row[B_WEAR], "fatigue": row[B_FATIGUE], "electrical": row[B_ELECTRICAL],
             "runtime": row[B_RUNTIME], "age": row[B_AGE], "limit": row[B_LIMIT]}  # fmt: skip
    effect = dict(zip(EFFECTS, row[B_EFFECT : B_EFFECT + N_EFFECTS].tolist(), strict=True))
    return naive_run(p, state, effect, np.roll(week, -start[0]), np.roll(CLIMATE, -start[1]), hours)


CASES = {
    "bearing": (branch(wear=0.98), F_BEARING),
    "bearing by a fault": (branch(wear_per_h=0.004, vibration=2.0), F_BEARING),
    "thermal": (branch(fatigue=0.99, cooling=0.3, fatigue_per_h=0.001), F_THERMAL),
    "thermal by heat": (branch(fatigue=0.99, cooling=0.5, load=1.2), F_THERMAL),
    "electrical": (branch(electrical=0.9995, spike=0.8), F_ELECTRICAL),
    "end of life": (branch(runtime=19_950.5), F_END_OF_LIFE),
    "random": (branch(age=5000.0, limit=5033.25), F_RANDOM),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("start", [(0, 0), (15, 4000), (167, 8765)])
def test_life_equals_its_twin(params, case, start):
    row, event = CASES[case]
    found, expected = life(params, row, start=start), naive_life(params, row, start=start)
    assert found[2] == expected[2] == event
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("edits", [
    {"bearing_exponent": 3.0, "bearing_ref_frac": 0.6},
    {"montsinger_per_h": 1e-3, "montsinger_ref_c": 60.0, "montsinger_halving_k": 8.0, "fatigue_per_k_h": 0.0},
    {"heat_fixed": 0.35, "heat_linear": 0.0, "heat_square": 0.65, "rise_k": 80.0},
])  # fmt: skip
def test_optional_physics_equals_its_twin(params, edits):
    p = params._replace(**{k: np.full(LANES, v) for k, v in edits.items()})
    row = branch(wear=0.95, fatigue=0.95, cooling=0.7)
    found, expected = life(p, row), naive_life(p, row)
    assert found[2] == expected[2] >= 0
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-5, atol=1e-4)


def test_end_of_life_is_exact(params):
    """16 h of 24 run: 49.5 running hours are three days and 1.5 hours."""
    found = life(params, branch(runtime=19_950.5))
    np.testing.assert_allclose(found, [3 * 24 + 1.5, 49.5, F_END_OF_LIFE], rtol=1e-9)


def test_nothing_within_the_horizon(params):
    np.testing.assert_allclose(life(params, branch(wear=0.1), hours=500), [500.0, 0.0, -1.0])


def test_a_machine_that_never_runs_never_fails(params):
    assert life(params, branch(wear=0.999), hours=500, week=np.zeros(168))[2] == -1


def test_worse_never_lives_longer(params):
    lives = [life(params, branch(wear=w))[0] for w in (0.2, 0.5, 0.8, 0.95)]
    assert lives == sorted(lives, reverse=True)
    assert life(params, branch(cooling=0.3, fatigue_per_h=0.01))[0] < life(params, branch())[0]
