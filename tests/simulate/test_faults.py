"""Which fault strikes when: random at the catalogue's rates, scheduled exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kstest, poisson
from small_fleets import small_fleet
from tolerances import STAT

from nexova_sim.base.errors import ConfigError
from nexova_sim.kernels import rows as r
from nexova_sim.kernels.sensor import DRIFT, DROPOUT, MISSING, SPIKE, STUCK
from nexova_sim.simulate.faults import COMPONENT_BITS, SENSOR_CODES, components, fault_arrays, plan_faults
from nexova_sim.simulate.machines import make_machines

N, DAYS, FACTOR = 400, 365, 4.0


@pytest.fixture(scope="module")
def many():
    resolved = small_fleet({"machines": {"pump": N}, "days": DAYS, "faults": {"random": True, "rate_factor": FACTOR}})
    return resolved, plan_faults(resolved, make_machines(resolved))


def test_rates_are_those_of_the_catalogue(many):
    """Faults of a kind wait for each other to end, so the rate is 1/(mean gap + mean length)."""
    resolved, faults = many
    for name, kind in resolved.fault_kinds.items():
        cycle_h = 8766.0 / (kind.rate_per_year * FACTOR) + sum(kind.hours) / 2
        expected = N * DAYS * 24 / cycle_h
        found = sum(f.fault == name for f in faults)
        low, high = poisson.ppf([3e-6, 1 - 3e-6], expected)
        assert low <= found <= high, (name, found, expected)


def test_gaps_are_exponential(many):
    _, faults = many
    first = {}
    for f in faults:
        if f.fault == "overload":
            first.setdefault(f.machine, f.onset_h)
    # Seen only when it comes within the year: the distribution is cut off there.
    scale = 8766.0 / FACTOR
    cut = 1.0 - math.exp(-DAYS * 24 / scale)
    assert kstest(list(first.values()), lambda t: (1.0 - np.exp(-np.asarray(t) / scale)) / cut).pvalue > 1e-4
    assert len(first) / N == pytest.approx(cut, abs=STAT * math.sqrt(cut * (1 - cut) / N))


def test_lengths_and_severities_fill_their_ranges(many):
    resolved, faults = many
    for name, kind in resolved.fault_kinds.items():
        own = [f for f in faults if f.fault == name and f.end_h < DAYS * 24 - 1e-6]
        hours = np.array([f.end_h - f.onset_h for f in own])
        assert hours.min() >= kind.hours[0] - 1e-9 and hours.max() <= kind.hours[1] + 1e-9
        scaled = (hours - kind.hours[0]) / (kind.hours[1] - kind.hours[0])
        assert kstest(scaled, "uniform").pvalue > 1e-4, name
        severity = np.array([f.severity for f in own])
        if kind.severity[0] < kind.severity[1]:
            spread = kind.severity[1] - kind.severity[0]
            assert kstest((severity - kind.severity[0]) / spread, "uniform").pvalue > 1e-4, name
        else:
            assert (severity == kind.severity[0]).all()


def test_channels_are_drawn_evenly(many):
    resolved, faults = many
    for name, kind in resolved.fault_kinds.items():
        own = [f.channel for f in faults if f.fault == name]
        if not kind.channels:
            assert set(own) == {None}
            continue
        share = 1 / len(kind.channels)
        for channel in kind.channels:
            assert abs(own.count(channel) / len(own) - share) < STAT * math.sqrt(share * (1 - share) / len(own))


def test_faults_of_one_kind_never_overlap_and_stay_in_the_run(many):
    _, faults = many
    ends: dict[tuple[int, str], float] = {}
    for f in faults:
        assert 0.0 <= f.onset_h < f.end_h <= DAYS * 24
        assert f.onset_h >= ends.get((f.machine, f.fault), 0.0)
        ends[f.machine, f.fault] = f.end_h
    assert faults == sorted(faults, key=lambda f: (f.machine, f.onset_h, f.fault))


def test_a_longer_run_begins_with_the_same_faults():
    def onsets(days: float) -> list[tuple]:
        resolved = small_fleet({"machines": {"pump": 5}, "days": days, "faults": {"random": True, "rate_factor": 30.0}})
        return [(f.machine, f.fault, f.onset_h) for f in plan_faults(resolved, make_machines(resolved))]

    short = onsets(20)
    assert short and short == [f for f in onsets(60) if f[2] < 20 * 24]


def test_rate_factor_zero_and_random_false_and_only():
    def names(faults: dict) -> set[str]:
        resolved = small_fleet({"machines": {"pump": 20}, "days": 100, "faults": faults})
        return {f.fault for f in plan_faults(resolved, make_machines(resolved))}

    assert names({"random": True, "rate_factor": 0.0}) == names({"random": False}) == set()
    assert names({"random": True, "rate_factor": 30.0, "only": ["overload", "sensor_stuck"]}) == {
        "overload",
        "sensor_stuck",
    }
    assert len(names({"random": True, "rate_factor": 30.0})) == 10


@pytest.mark.parametrize("onset_h", [0.0, 1.0, 7.0, 20.0, 23.0 + 11 / 12])
@pytest.mark.parametrize("hours", [1 / 12, 1.0, 3.5, 1000.0])
def test_scheduled_faults_are_exact(onset_h, hours):
    item = {"machine": "f-pump-002", "fault": "imbalance", "onset_h": onset_h, "hours": hours, "severity": 0.5}
    resolved = small_fleet({"faults": {"scheduled": [item]}})
    (fault,) = plan_faults(resolved, make_machines(resolved))
    assert fault == (1, "imbalance", None, onset_h, min(onset_h + hours, 24.0), 0.5, False, hours)
    arrays = fault_arrays([fault], 0, resolved)
    assert arrays.lane.tolist() == [1]
    assert arrays.onset_slot.tolist() == [round(onset_h * 12)]
    assert arrays.end_slot.tolist() == [min(round((onset_h + hours) * 12), 288)]


def test_a_short_fault_lasts_at_least_a_slot():
    item = {"machine": "f-pump-001", "fault": "overload", "onset_h": 1.01, "hours": 0.001}
    resolved = small_fleet({"faults": {"scheduled": [item]}})
    arrays = fault_arrays(plan_faults(resolved, make_machines(resolved)), 0, resolved)
    assert (arrays.onset_slot[0], arrays.end_slot[0]) == (12, 13)


def test_effects_scale_with_severity():
    items = [{"machine": "f-pump-001", "fault": f, "onset_h": n, "hours": 1, "severity": 0.5} for n, f in
             enumerate(["bearing_wear", "cooling_loss", "overload", "power_spike", "imbalance"])]  # fmt: skip
    resolved = small_fleet({"faults": {"scheduled": items}})
    arrays = fault_arrays(plan_faults(resolved, make_machines(resolved)), 0, resolved)
    expected = np.zeros((5, r.N_EFFECTS))
    expected[:, [r.E_COOLING, r.E_LOAD]] = 1.0
    expected[0, r.E_WEAR_PER_H] = 0.005
    expected[1, [r.E_COOLING, r.E_FATIGUE_PER_H]] = 0.6, 0.01
    expected[2, r.E_LOAD] = 1.3
    expected[3, r.E_SPIKE] = 0.4
    expected[4, r.E_VIBRATION] = 1.5
    np.testing.assert_allclose(arrays.effect, expected, rtol=1e-15)
    assert arrays.component.tolist() == [r.C_BEARING, r.C_THERMAL, r.C_PROCESS, r.C_ELECTRICAL, r.C_BEARING]


def test_a_sensor_fault_has_no_physical_arrays():
    item = {"machine": "f-pump-001", "fault": "sensor_stuck", "onset_h": 1, "hours": 1}
    resolved = small_fleet({"faults": {"scheduled": [item]}})
    faults = plan_faults(resolved, make_machines(resolved))
    assert faults[0].is_sensor and faults[0].channel == "power_kw"
    with pytest.raises(ValueError, match="sensor_stuck is a sensor fault"):
        fault_arrays(faults, 0, resolved)


@pytest.mark.parametrize(("edit", "message"), [
    ({"machine": "f-pump-009"}, r"faults.scheduled.0: unknown machine 'f-pump-009'; did you mean 'f-pump-00"),
    ({"onset_h": 24.0}, r"faults.scheduled.0: onset_h 24.0 lies beyond the end of the run \(24 h\)"),
    ({"fault": "sensor_drift", "channel": "power_kw"}, r"'sensor_drift' cannot act on 'power_kw'; choose one of: temp"),
    ({"channel": "power_kw"}, r"fault 'imbalance' cannot act on 'power_kw'; no name is allowed here"),
])  # fmt: skip
def test_impossible_schedules_are_errors(edit, message):
    item = {"machine": "f-pump-001", "fault": "imbalance", "onset_h": 1.0, "hours": 1.0, **edit}
    resolved = small_fleet({"faults": {"scheduled": [item]}})
    with pytest.raises(ConfigError, match=message):
        plan_faults(resolved, make_machines(resolved))


def test_codes_and_components():
    assert SENSOR_CODES == {"stuck": STUCK, "drift": DRIFT, "dropout": DROPOUT, "spike": SPIKE, "missing": MISSING}
    assert components(["bearing", "random"]) == r.C_BEARING | r.C_RANDOM
    assert components([]) == 0
    assert sum(COMPONENT_BITS.values()) == 63
