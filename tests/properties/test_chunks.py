"""Any chunk plan gives the same rows: the span of a fleet is cut at random slots and nothing may change."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_fleets import Ran, run, small_fleet

from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.life import end_branches, trace_life
from nexova_sim.simulate.machines import streams
from nexova_sim.simulate.plan import FleetPlan, Period, plan_block, plan_fleet
from nexova_sim.simulate.weather import factory_weather

DAYS = 3
EDITS = {
    "days": DAYS,
    "dt_s": 60,
    "machines": {"pump": 6, "motor": 4, "compressor": 2, "conveyor": 3},
    "start_age_frac": [0.9, 1.0],
    "faults": {
        "random": True,
        "rate_factor": 40.0,
        "scheduled": [
            {"machine": "f-pump-001", "fault": "sensor_stuck", "channel": "temperature_c", "onset_h": 24, "hours": 30},
            {
                "machine": "f-pump-002",
                "fault": "sensor_drift",
                "channel": "vibration_mm_s",
                "onset_h": 5.3,
                "hours": 50,
            },
            {
                "machine": "f-motor-001",
                "fault": "sensor_dropout",
                "channel": "vibration_mm_s",
                "onset_h": 20,
                "hours": 9,
            },
            {"machine": "f-pump-003", "fault": "bearing_wear", "onset_h": 11, "hours": 60, "severity": 1.0},
        ],
    },
    "maintenance": {"planned_interval_days": 2.5},
}
RESOLVED = small_fleet(EDITS)
PLAN = plan_fleet(RESOLVED)
N_SLOTS = RESOLVED.fleet.n_slots
CHANNELS = ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status")


def cut(plan: FleetPlan, cuts: list[int]) -> FleetPlan:
    """The same fleet with its span cut before the slots ``cuts``."""
    bounds = [0, *sorted(set(cuts) - {0, N_SLOTS}), N_SLOTS]
    periods = [Period(n, f"part={n}", first, end - first) for n, (first, end) in enumerate(pairwise(bounds))]
    fleet = plan.resolved.fleet
    weather = [
        factory_weather(f, streams(fleet.seed, f"factory/{f.id}"), plan.clock.slot_h, bounds) for f in fleet.factories
    ]
    return plan._replace(periods=periods, weather=weather)


def raw(column: pa.ChunkedArray) -> tuple[bytes, bytes]:
    """Bytes of a column and of what is null in it: unlike ==, this takes NaN for NaN."""
    values = column.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_boolean(values.type):
        return repr(values.to_pylist()).encode(), b""
    filled = values.cast(pa.int64()) if pa.types.is_timestamp(values.type) else values
    return filled.fill_null(0).to_numpy().tobytes(), values.is_null().to_numpy(zero_copy_only=False).tobytes()


def by_machine(table: pa.Table) -> pa.Table:
    """Rows in the order of a single chunk: by machine, then as they come."""
    rank = {m.id: n for n, m in enumerate(PLAN.machines)}
    machine = np.array([rank[m] for m in table["machine_id"].to_pylist()], np.int64)
    return table.take(np.argsort(machine, kind="stable"))


def ran_block(plan: FleetPlan, number: int) -> Ran:
    """Like small_fleets.run, for a plan that was changed."""
    block = plan_block(plan, number)
    chunks = list(run_block_periods(plan, block))
    parts = [np.concatenate([getattr(c, n) for c in chunks]) for n in ("event_code", "event_value", "branch")]
    truth = np.concatenate([c.truth for c in chunks], axis=1)
    return Ran(plan, block, chunks, truth, *parts, chunks[-1].state.cleared)


def everything(plan: FleetPlan) -> dict[str, object]:
    """All readings, tables and states of the first block, as bytes by name."""
    ran = ran_block(plan, 0)
    block, chunks = ran.block, ran.chunks
    shape = chunks[0].power_kw.shape[0], -1
    kept = [np.ones(c.power_kw.shape, bool) if c.keep is None else c.keep for c in chunks]
    found: dict[str, object] = {n: np.concatenate([getattr(c, n) for c in chunks], axis=1).tobytes() for n in CHANNELS}
    found["rows that arrive"] = np.concatenate(kept, axis=1).reshape(shape).tobytes()
    for name in ("truth", "labels", "events"):
        table = by_machine(ran.table(name))
        found |= {f"{name}.{column}": raw(table[column]) for column in table.column_names}
    found |= {f"state.{n}": v.tobytes() for n, v in chunks[-1].state._asdict().items()}
    branch = np.concatenate([ran.branch, end_branches(plan, block, chunks[-1].state, ran.cleared)])
    life = trace_life(plan, block, branch, ran.event_code, ran.event_value)
    return found | {f"life.{n}": v.tobytes() for n, v in life._asdict().items()}


def check_same(cuts: list[int]) -> None:
    got, expected = everything(cut(PLAN, cuts)), whole()
    assert got.keys() == expected.keys()
    assert [name for name in got if got[name] != expected[name]] == [], f"depends on the cuts {cuts}"


_whole: list[dict[str, object]] = []


def whole() -> dict[str, object]:
    """The fleet in one piece, computed once."""
    if not _whole:
        _whole.append(everything(cut(PLAN, [])))
    return _whole[0]


def test_the_example_holds_what_could_go_wrong():
    ran = run(RESOLVED)
    assert ran.table("readings").num_rows < len(PLAN.machines) * DAYS * 1440  # rows are lost
    assert {"failure", "maintenance_start", "status"} <= set(ran.table("events")["event"].to_pylist())
    labels = ran.table("labels")
    assert {"sensor_stuck", "sensor_drift", "sensor_dropout", "bearing_wear"} <= set(labels["fault"].to_pylist())
    assert {"schedule", "end_of_data"} <= set(labels["ended_by"].to_pylist())


@pytest.mark.parametrize(
    "cuts", [[288], [288, 576], [1], [N_SLOTS - 1], [287, 288, 289], list(range(12, N_SLOTS, 12)), [132, 133, 348, 349]]
)
def test_chosen_cuts(cuts):
    check_same(cuts)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, N_SLOTS), max_size=12))
def test_any_cuts(cuts):
    check_same(cuts)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, N_SLOTS - 1), min_size=2, max_size=6), st.data())
def test_any_period_alone(cuts, data):
    """Only some periods are wanted, as when an interrupted run is resumed: their rows are those of a full run."""
    plan = cut(PLAN, cuts)
    wanted = data.draw(st.sets(st.integers(0, len(plan.periods) - 1)))
    block = plan_block(plan, 0)
    pairs = zip(run_block_periods(plan, block), run_block_periods(plan, block, frozenset(wanted)), strict=True)
    for full, some in pairs:
        assert full.truth.tobytes() == some.truth.tobytes()
        assert full.event_code.tobytes() == some.event_code.tobytes()
        if full.period.number in wanted:
            for name in CHANNELS:
                assert getattr(full, name).tobytes() == getattr(some, name).tobytes(), f"{name}, cuts {cuts}"
            assert (full.keep is None) == (some.keep is None)
            assert full.keep is None or np.array_equal(full.keep, some.keep)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.sets(st.integers(1, len(PLAN.machines) - 1)))
def test_any_blocks(cuts):
    """Machines may be put together in blocks as one likes, down to each for itself."""
    bounds = [0, *sorted(cuts), len(PLAN.machines)]
    plan = PLAN._replace(blocks=[(first, end - first) for first, end in pairwise(bounds)])
    runs = [ran_block(plan, number) for number in range(len(plan.blocks))]
    expected = run(RESOLVED)
    for name in ("readings", "truth", "labels", "events"):
        right = by_machine(expected.table(name))
        left = by_machine(pa.concat_tables([r.table(name) for r in runs]).unify_dictionaries())
        wrong = [c for c in right.column_names if raw(left[c]) != raw(right[c])]
        assert not wrong, f"{name} depends on the blocks {plan.blocks}"
