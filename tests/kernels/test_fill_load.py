"""Load of a block: duty profile, AR(1) variation, cycling, idling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive import ar1, cycle_share
from naive import uniform as naive_uniform
from tolerances import EXACT, STAT

from nexova_sim.kernels.load import (
    IDLE_HOLD_H,
    LANES,
    MAX_LOAD_FRAC,
    DutyParams,
    cycle_mean,
    cycled_load,
    fill_load,
    is_idle,
    loaded_share,
)

SLOT_H = 1 / 12
N = 2000


def duty(**edits: float) -> DutyParams:
    """Lanes of plain demand-driven duty, with ``edits`` to every lane; keys 1000 + lane and 2000 + lane."""
    values = {"profile": 0, "scale": 1.0, "variation": 0.06, "memory": math.exp(-SLOT_H / 2.0), "cycle_slots": 0.0,
              "cycle_phase": 0.3, "loaded_frac": 1.0, "unloaded_frac": 0.0, "idle_share": 0.0}  # fmt: skip
    values["idle_frac"] = 0.0
    arrays = {k: np.full(LANES, v, np.int64 if k == "profile" else float) for k, v in (values | edits).items()}
    lanes = np.arange(LANES, dtype=np.uint64)
    return DutyParams(**arrays, key_variation=lanes + np.uint64(1000), key_idle=lanes + np.uint64(2000))


def fill(d: DutyParams, profile: np.ndarray, first: int = 0, before: np.ndarray | None = None):
    """Load, plan and the AR(1) state after, for one profile row."""
    n = len(profile)
    load, plan, after = np.empty((n, LANES)), np.empty((n, LANES)), np.empty(LANES)
    fill_load(d, profile[None, :], first, SLOT_H, np.zeros(LANES) if before is None else before, after, load, plan)
    return load, plan, after


def naive_load(lane: int, base: float, variation: float, slot: int, d: DutyParams) -> float:
    x = base * max(0.1, 1.0 + variation)
    if d.cycle_slots[lane]:
        span = d.loaded_frac[lane] - d.unloaded_frac[lane]
        wanted = min(1.0, max(0.0, (x - d.unloaded_frac[lane]) / span))
        x = d.unloaded_frac[lane] + span * cycle_share(slot, d.cycle_slots[lane], d.cycle_phase[lane], wanted)
    quarter = slot * 300 // 900
    if d.idle_share[lane] and naive_uniform(2000 + lane, quarter) < d.idle_share[lane]:
        x = d.idle_frac[lane]
    return min(MAX_LOAD_FRAC, x)


@pytest.mark.parametrize("edits", [
    {}, {"scale": 1.04, "variation": 0.3}, {"idle_share": 0.12, "idle_frac": 0.22},
    {"cycle_slots": 4.0, "unloaded_frac": 0.3},
    {"cycle_slots": 3.7, "unloaded_frac": 0.25, "idle_share": 0.5, "idle_frac": 0.1},
])  # fmt: skip
def test_load_equals_its_twin(edits):
    d = duty(**edits)
    profile = np.where(np.arange(120) % 40 < 30, 0.7, 0.0)
    load, _, after = fill(d, profile, 77)
    for lane in (0, 5, LANES - 1):
        variation = ar1(1000 + lane, 77, d.memory[0], d.variation[0], 0.0, 120)
        expected = [
            naive_load(lane, b * d.scale[0], v, 77 + s, d) if b else 0.0
            for s, (b, v) in enumerate(zip(profile, variation, strict=True))
        ]
        np.testing.assert_allclose(load[:, lane], expected, rtol=1e-6, atol=1e-4 if d.cycle_slots[0] else 1e-6)
        assert after[lane] == pytest.approx(variation[-1], abs=1e-6)


def test_off_by_plan_is_exactly_zero_and_the_state_goes_on():
    off, plan, after_off = fill(duty(), np.zeros(N))
    _, _, after_on = fill(duty(), np.full(N, 0.7))
    np.testing.assert_allclose(off, 0.0, **EXACT)
    np.testing.assert_allclose(plan, 0.0, **EXACT)
    np.testing.assert_allclose(after_off, after_on, **EXACT)


def test_in_two_parts_as_in_one():
    d = duty(cycle_slots=4.0, unloaded_frac=0.3, idle_share=0.1, idle_frac=0.2)
    profile = np.linspace(0.3, 1.1, 600)
    whole, plan, end = fill(d, profile)
    first, plan1, state = fill(d, profile[:250])
    second, plan2, last = fill(d, profile[250:], 250, state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, **EXACT)
    np.testing.assert_allclose(np.concatenate([plan1, plan2]), plan, **EXACT)
    np.testing.assert_allclose(last, end, **EXACT)


def test_mean_over_machines_and_time_is_the_plan():
    load, plan, _ = fill(duty(idle_share=0.12, idle_frac=0.22), np.full(20_000, 0.6))
    np.testing.assert_allclose(plan, 0.6 * 0.88 + 0.22 * 0.12, rtol=1e-12)
    # A quarter hour is three slots; the AR(1) factor has a correlation time of 24 slots.
    error = 0.38 * np.sqrt(0.12 * 0.88 * 3 / load.size) + 0.6 * 0.06 * np.sqrt(48 / load.size)
    assert abs(load.mean() - plan.mean()) < STAT * error


def test_variation_has_its_size_and_memory():
    load, _, _ = fill(duty(variation=0.05), np.full(40_000, 0.7))
    x = load / 0.7 - 1.0
    independent = x.size / 48
    assert abs(x.std() / 0.05 - 1.0) < STAT / np.sqrt(independent)
    lag = 24  # two hours
    found = np.mean(x[:-lag] * x[lag:]) / x.var()
    assert abs(found - math.exp(-1.0)) < STAT * 2 / np.sqrt(independent)
    assert np.abs(np.corrcoef(x.T)[~np.eye(LANES, dtype=bool)]).max() < 5.5 / np.sqrt(len(x) / 48)


def test_load_stays_within_its_limits():
    load, _, _ = fill(duty(variation=0.5, memory=0.0), np.full(50_000, 1.2))
    assert load.max() == MAX_LOAD_FRAC
    assert load.min() == pytest.approx(0.12)


@pytest.mark.parametrize("wanted", [0.3, 0.45, 0.7, 1.0])
@pytest.mark.parametrize("cycle_slots", [0.4, 1.0, 3.7, 24.0])
def test_cycling_keeps_the_mean_load(wanted, cycle_slots):
    slots = [cycled_load(wanted, s, cycle_slots, 0.3, 1.0, 0.3) for s in range(24 * 37)]
    assert np.mean(slots) == pytest.approx(wanted, abs=0.7 * cycle_slots / len(slots) + 1e-9)
    assert min(slots) >= 0.3 - 1e-9 and max(slots) <= 1.0 + 1e-9


@pytest.mark.parametrize("duty_share", [0.0, 0.25, 1.0])
def test_share_of_a_slot(duty_share):
    for slot in (0, 7, 123_456):
        assert cycle_mean(float(slot), 3.7, 0.3, duty_share) == pytest.approx(
            cycle_share(slot, 3.7, 0.3, duty_share), abs=2e-5
        )
    assert loaded_share(2.5, duty_share) == pytest.approx(2 * duty_share + min(0.5, duty_share))


def test_idling_holds_for_a_quarter_hour():
    load, _, _ = fill(duty(variation=0.0, idle_share=0.3, idle_frac=0.2), np.full(3000, 0.6))
    idles = (load == 0.2).reshape(1000, 3, LANES)
    assert IDLE_HOLD_H == 0.25
    assert (idles.all(axis=1) | ~idles.any(axis=1)).all()
    assert abs(idles.mean() - 0.3) < STAT * np.sqrt(0.21 / (1000 * LANES))
    assert [is_idle(np.uint64(2000), q, 0.3) for q in range(1000)] == idles[:, 0, 0].tolist()
