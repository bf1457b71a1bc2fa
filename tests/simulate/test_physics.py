"""``physics: seed`` against numbers worked out by hand from the platform document's equations (section 3.5).

The machine is a pump of 15 kW: power P = 15 x. dT/dt = 0.05 P - 0.02 c (T - 25) per second, so it settles at
25 + 2.5 P / c with the time constant tau = 50 s / c. Vibration P/10 + 0.05 max(0, T - 70) + 2 wear. Per hour: fatigue
1e-4 max(0, T - 75), wear 1e-4 vibration, electrical 1e-5 x^2.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tolerances import EXACT, PHYSICS, REORDER

from nexova_sim.config.scenario import TwinChoice, load_twin
from nexova_sim.kernels.health import CRITICAL, HEALTHY, WARNING, risk_class
from nexova_sim.kernels.rows import MachineParams
from nexova_sim.simulate.machines import machine_params, make_machines
from nexova_sim.simulate.trajectory import summarise, trajectory_table
from nexova_sim.simulate.twin import nominal_fleet, run_twin

TAU_H = 50.0 / 3600.0


def seed_run(scenario, hours, every_h=None, settings=()):
    resolved = load_twin("pump", scenario, settings, TwinChoice(hours=hours, physics="seed", every_h=every_h))
    run = run_twin(resolved)
    return resolved, run, trajectory_table(resolved, run)


def column(table, name):
    return table[name].to_numpy()


def events(run):
    return dict(zip(("bearing", "thermal", "electrical", "end_of_life", "random"), run.event_h, strict=True))


@pytest.mark.parametrize("name", ["pump", "motor", "compressor", "conveyor"])
def test_seed_mode_has_the_seeds_constants_and_no_build_spread(name):
    resolved = load_twin(name, "normal", [], TwinChoice(physics="seed"))
    fleet = nominal_fleet(resolved)
    p = machine_params(make_machines(fleet), fleet)
    rated_kw = resolved.kind.rated_kw
    expected = {
        "rise_k": 2.5 * rated_kw,
        "tau_h": TAU_H,
        "vib_rated_mm_s": rated_kw / 10.0,
        "heat_fixed": 0.0,
        "heat_linear": 1.0,
        "heat_square": 0.0,
        "vib_heat_gain": 0.05,
        "vib_knee_c": 70.0,
        "vib_wear_gain": 2.0,
        "fatigue_per_k_h": 1e-4,
        "fatigue_knee_c": 75.0,
        "montsinger_per_h": 0.0,
        "wear_per_mm_s_h": 1e-4,
        "bearing_exponent": 1.0,
        "wear_noise_per_sqrt_h": 0.0,
        "electrical_per_h": 1e-5,
        "life_h": 20000.0,
    }
    for field, value in expected.items():
        np.testing.assert_allclose(getattr(p, field), value, **EXACT, err_msg=field)
    assert p.weibull_scale_h.min() >= 1e15
    assert isinstance(p, MachineParams)


def test_normal_warms_up_with_50_s():
    """x = 0.7: P = 10.5 kW, settles at 25 + 2.5 10.5 = 51.25; T(60 s) = 51.25 - 26.25 exp(-1.2) = 43.3436..."""
    _, _, table = seed_run("normal", 1.0, 1.0 / 60.0)
    minutes = np.arange(61)
    np.testing.assert_allclose(column(table, "temp_c"), 51.25 - 26.25 * np.exp(-1.2 * minutes), **REORDER)
    np.testing.assert_allclose(column(table, "temp_c")[1], 43.34365, rtol=1e-6)
    np.testing.assert_allclose(column(table, "temp_c")[-1], 51.25, **REORDER)


def test_normal_wears_by_the_closed_form():
    """Below 70 degC: dw/dt = 1e-4 (1.05 + 2 w), w = 0.525 (exp(2e-4 t) - 1), 1 at ln(1 + 2/1.05)/2e-4 = 5331.76 h."""
    _, run, table = seed_run("normal", 500.0)
    wear = 0.525 * np.expm1(2e-4 * np.arange(501.0))
    np.testing.assert_allclose(column(table, "wear_frac"), wear, **REORDER)
    np.testing.assert_allclose(wear[-1], 0.05521473, rtol=1e-6)
    np.testing.assert_allclose(column(table, "vibration_mm_s"), 1.05 + 2.0 * wear, **REORDER)
    np.testing.assert_allclose(run.end_h, math.log(1.0 + 2.0 / 1.05) / 2e-4, **PHYSICS)
    np.testing.assert_allclose(run.end_h, 5331.757, rtol=1e-6)
    assert np.isnan(events(run)["thermal"])
    np.testing.assert_allclose(events(run)["electrical"], 1.0 / (1e-5 * 0.49), **PHYSICS)
    np.testing.assert_allclose(events(run)["end_of_life"], 20000.0, **PHYSICS)


def test_wear_out_at_13_5_kw():
    """P = 13.5 kW: T = 58.75 stays below both knees, wear reaches 1 at ln(1 + 2/1.35)/2e-4 = 4544.3 h."""
    _, run, _ = seed_run("normal", 10.0, settings=["scenario.phases.0.load_frac=0.9"])
    np.testing.assert_allclose(run.end_h, math.log(1.0 + 2.0 / 1.35) / 2e-4, **PHYSICS)
    assert round(run.end_h, 1) == 4544.3
    assert run.first_event == 0


def test_heavy_load():
    """x = 1.5: P = 22.5, T -> 81.25, vibration 2.25 + 0.05 11.25 = 2.8125 + 2 wear.

    T passes 75 at tau ln(56.25/6.25) = tau ln 9, and lags 6.25 tau K h behind from there: fatigue is
    6.25e-4 (t - tau (1 + ln 9)), 1 at 1600 + 3.19722 tau = 1600.0444 h.
    """
    resolved, run, table = seed_run("heavy_load", 500.0)
    lag_h = TAU_H * (1.0 + math.log(9.0))
    np.testing.assert_allclose(column(table, "temp_c")[1:], 81.25, **PHYSICS)
    np.testing.assert_allclose(column(table, "fatigue_frac")[1:], 6.25e-4 * (np.arange(1.0, 501.0) - lag_h), **PHYSICS)
    vibration = column(table, "vibration_mm_s") - 2.0 * column(table, "wear_frac")
    np.testing.assert_allclose(vibration[1:], 2.8125, **PHYSICS)
    np.testing.assert_allclose(events(run)["thermal"], 1600.0 + lag_h, **PHYSICS)
    np.testing.assert_allclose(events(run)["electrical"], 1.0 / 2.25e-5, **PHYSICS)
    assert run.first_event == 1
    # Wear while warming up: the vibration misses 0.05 (11.25 t70 + 11.25 tau), t70 = tau ln(56.25/11.25) = tau ln 5.
    missing = 1e-4 * 0.05 * 11.25 * TAU_H * (1.0 + math.log(5.0))
    hours = 500.0
    wear = 1.40625 * math.expm1(2e-4 * hours) - missing * math.exp(2e-4 * hours)
    np.testing.assert_allclose(column(table, "wear_frac")[-1], wear, **PHYSICS)
    # 100 (0.4 (1 - 0.31247...) + 0.3 (1 - wear) + 0.2 (1 - 500 2.25e-5) + 0.1 (1 - 500/20000))
    fatigue = 6.25e-4 * (hours - lag_h)
    health = 40.0 * (1.0 - fatigue) + 30.0 * (1.0 - wear) + 20.0 * (1.0 - 0.01125) + 10.0 * (1.0 - 0.025)
    np.testing.assert_allclose(column(table, "health_percent")[-1], health, **PHYSICS)
    assert round(health, 3) == round(summarise(resolved, run, table)["end"]["health_percent"], 3) == 82.589


def test_overheated():
    """x = 0.8, c = 0.2: T -> 25 + 2.5 12/0.2 = 175, tau = 250 s. Fatigue 0.02 t + 0.01 (t - tau (1 + ln 1.5)) = 1."""
    _, run, table = seed_run("overheated", 40.0)
    lag_h = 5.0 * TAU_H * (1.0 + math.log(1.5))
    end_h = (1.0 + 0.01 * lag_h) / 0.03
    np.testing.assert_allclose(run.end_h, end_h, **PHYSICS)
    assert round(run.end_h, 3) == 33.366
    hours = np.arange(1.0, 34.0)
    np.testing.assert_allclose(column(table, "temp_c")[1:34], 175.0 - 150.0 * np.exp(-hours / (5.0 * TAU_H)), **REORDER)
    np.testing.assert_allclose(column(table, "fatigue_frac")[1:34], 0.02 * hours + 0.01 * (hours - lag_h), **PHYSICS)
    vibration = column(table, "vibration_mm_s")[2:34]
    np.testing.assert_allclose(vibration, 1.2 + 0.05 * 105.0 + 2.0 * column(table, "wear_frac")[2:34], **PHYSICS)
    assert list(table["is_failed"].to_pylist()) == [False] * 34 + [True] * 7
    np.testing.assert_allclose(column(table, "rul_h"), np.maximum(0.0, run.end_h - np.arange(41.0)), **EXACT)


def test_worn_bearings():
    """x = 0.9: dw/dt = 0.01 + 1e-4 (1.35 + 2 w): 1 at ln(1 + 2/101.35)/2e-4 = 97.707 h."""
    _, run, table = seed_run("worn_bearings", 90.0)
    np.testing.assert_allclose(column(table, "wear_frac"), 50.675 * np.expm1(2e-4 * np.arange(91.0)), **REORDER)
    np.testing.assert_allclose(run.end_h, math.log(1.0 + 2.0 / 101.35) / 2e-4, **PHYSICS)
    assert round(run.end_h, 3) == 97.707
    assert run.first_event == 0


def test_an_old_machine_fails_of_age():
    """19 900 h on the meter and little wear: the rated life of 20 000 h is reached after 100 running hours."""
    settings = ["scenario.start.runtime_h=19900", "scenario.start.wear_frac=0.1"]
    _, run, table = seed_run("normal", 120.0, settings=settings)
    np.testing.assert_allclose(run.end_h, 100.0, **PHYSICS)
    assert run.first_event == 3
    assert column(table, "health_percent")[-1] < 90.0
    np.testing.assert_allclose(column(table, "rul_seed_formula_h")[0], 0.0, **EXACT)


def test_health_weights_from_a_given_state():
    """Wear 0.5, fatigue 0.25, electrical 0.1, runtime 5000 h: 40 0.75 + 30 0.5 + 20 0.9 + 10 0.75 = 70.5."""
    names = ("wear_frac=0.5", "fatigue_frac=0.25", "electrical_frac=0.1", "runtime_h=5000")
    _, _, table = seed_run("normal", 1.0, settings=[f"scenario.start.{n}" for n in names])
    np.testing.assert_allclose(column(table, "health_percent")[0], 70.5, **REORDER)
    np.testing.assert_allclose(column(table, "failure_index")[0], 0.295, **REORDER)
    np.testing.assert_allclose(column(table, "rul_seed_formula_h")[0], 0.5 * 20000.0 - 5000.0, **REORDER)
    assert table["risk_class"][0].as_py() == "WARNING"


def test_risk_limits_belong_to_the_worse_class():
    assert [risk_class(h) for h in (math.nextafter(80.0, 100.0), 80.0)] == [HEALTHY, WARNING]
    assert [risk_class(h) for h in (math.nextafter(60.0, 100.0), 60.0)] == [WARNING, CRITICAL]


def test_a_trajectory_standing_exactly_on_a_limit():
    """Fatigue 0.5 alone costs 20 of 100 percent: exactly 80, which is not above 80."""
    _, _, table = seed_run("normal", 1.0, settings=["scenario.start.fatigue_frac=0.5"])
    assert column(table, "health_percent")[0] == 80.0
    assert table["risk_class"][0].as_py() == "WARNING"
