"""The fleet loop against the same model in NumPy, and what it must not depend on: periods and steps."""

from __future__ import annotations

import numpy as np
import pytest
from naive import naive_readings
from naive_fleet import naive_fleet
from small_fleets import FRAGILE, MIXED, run, small_fleet
from tolerances import EXACT, PHYSICS, REORDER

from nexova_sim.kernels import rows as r
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.plan import plan_block, plan_fleet

OPTIONAL = {
    "thermal": {"heating": "loss"},
    "damage": {
        "montsinger_life_h": 2000.0,
        "montsinger_reference_c": 60.0,
        "bearing_exponent": 3.0,
        "wear_noise_per_sqrt_h": 1e-4,
    },
}


def many_faults(factor: float) -> dict[str, object]:
    """Random faults of every kind at ``factor`` times their rates, on machines of every kind."""
    return {"machines": MIXED, "faults": {"random": True, "rate_factor": float(factor)}}


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
