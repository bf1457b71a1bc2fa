"""Heat, vibration, wear, life and health of one machine, against numerical integration of the equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive import health_percent as naive_health
from naive import mean_above_k as naive_above
from naive import temperature_c, wear_after
from naive import weibull_age_h as naive_age
from tolerances import EXACT, PHYSICS, REORDER

from nexova_sim.kernels.health import CRITICAL, HEALTHY, WARNING, health_of, health_percent, risk_class
from nexova_sim.kernels.thermal import heat_frac, mean_above_k, temp_limit_c, temp_mean_c, temp_next_c
from nexova_sim.kernels.vibration import vibration_mm_s
from nexova_sim.kernels.wear import (
    NO_LIMIT_H,
    hours_to_wear_out,
    montsinger_per_h,
    wear_next,
    wear_rate_per_mm_s_h,
    weibull_age_h,
)

CASES = [(25.0, 90.0), (95.0, 40.0), (69.9, 70.2), (70.0, 70.0), (80.0, 90.0), (20.0, 60.0), (60.0, 70.0), (90.0, 70.0)]


@pytest.mark.parametrize("dt_h", [1 / 3600, 1 / 60, 0.5, 3.0])
@pytest.mark.parametrize(("temp_c", "limit_c"), CASES)
def test_temperature_and_its_means(temp_c, limit_c, dt_h):
    tau_h, knee_c = 0.4, 70.0
    after = temp_next_c(temp_c, limit_c, math.exp(-dt_h / tau_h))
    np.testing.assert_allclose(after, temperature_c(dt_h, temp_c, limit_c, tau_h), **REORDER)
    t = temperature_c(np.linspace(0, dt_h, 100_001), temp_c, limit_c, tau_h)
    mean = temp_mean_c(temp_c, after, limit_c, tau_h / dt_h)
    np.testing.assert_allclose(mean, np.trapezoid(t) / 100_000, **PHYSICS)
    above = mean_above_k(temp_c, after, limit_c, tau_h / dt_h, knee_c)
    np.testing.assert_allclose(above, naive_above(temp_c, limit_c, tau_h, dt_h, knee_c), rtol=1e-6, atol=1e-7)
    assert above >= 0.0


def test_two_half_steps_are_one_step():
    decay = math.exp(-0.3)
    half = temp_next_c(temp_next_c(30.0, 80.0, math.sqrt(decay)), 80.0, math.sqrt(decay))
    np.testing.assert_allclose(half, temp_next_c(30.0, 80.0, decay), **REORDER)


def test_heat():
    assert heat_frac(0.7, 0.0, 1.0, 0.0) == 0.7
    assert heat_frac(1.0, 0.35, 0.0, 0.65) == 1.0
    assert heat_frac(0.5, 0.35, 0.0, 0.65) == pytest.approx(0.35 + 0.65 * 0.25)


def test_seed_constants_lead_to_the_seed_temperature():
    """0.05 K/s per kW and 0.02 /s: 16.5 kW settle 41.25 K above ambient."""
    rise_k = 0.05 / 0.02 * 16.5
    assert rise_k == 41.25
    assert temp_limit_c(25.0, rise_k / 0.2, heat_frac(0.8, 0.0, 1.0, 0.0)) == pytest.approx(25.0 + 41.25 * 0.8 / 0.2)


def test_vibration():
    """Seed: P/10 at 16.5 kW and 70 % load, 5 K above 70 degC, half worn."""
    assert vibration_mm_s(1.65 * 0.7, 5.0, 0.05, 0.5, 2.0) == pytest.approx(1.155 + 0.25 + 1.0)


@pytest.mark.parametrize("dt_h", [1 / 60, 1.0, 1000.0])
@pytest.mark.parametrize("wear", [0.0, 0.4, 0.99])
@pytest.mark.parametrize(("drive", "gain", "rate"), [(1.2, 2.0, 1e-4), (0.0, 2.0, 1e-4), (101.0, 0.5, 2e-4)])
def test_wear_solves_its_equation(wear, drive, gain, rate, dt_h):
    growth = math.exp(rate * gain * dt_h)
    found = wear_next(wear, drive, growth, (growth - 1.0) / gain)
    np.testing.assert_allclose(found, wear_after(wear, drive, rate, gain, dt_h), rtol=1e-8, atol=1e-12)
    assert wear_next(wear, drive, 1.0, 0.0) == wear


def test_hours_to_wear_out_lead_to_1():
    hours = hours_to_wear_out(0.2, 1.155, 1e-4, 2.0)
    np.testing.assert_allclose(wear_after(0.2, 1.155, 1e-4, 2.0, hours), 1.0, **PHYSICS)
    assert hours_to_wear_out(1.0, 1.155, 1e-4, 2.0) == 0.0
    assert hours_to_wear_out(0.0, 0.0001, 1e-4, 2.0) > hours


def test_bearing_exponent():
    assert wear_rate_per_mm_s_h(1e-4, 1.4, 1.0, 0.7) == 1e-4
    assert wear_rate_per_mm_s_h(1e-4, 0.7, 3.0, 0.7) == pytest.approx(1e-4)
    assert wear_rate_per_mm_s_h(1e-4, 1.4, 3.0, 0.7) == pytest.approx(4e-4)


def test_insulation_halves_its_life_every_ten_kelvin():
    assert montsinger_per_h(130.0, 5e-5, 130.0, 10.0) == pytest.approx(5e-5)
    assert montsinger_per_h(140.0, 5e-5, 130.0, 10.0) == pytest.approx(1e-4)
    assert montsinger_per_h(110.0, 5e-5, 130.0, 10.0) == pytest.approx(1.25e-5)


@pytest.mark.parametrize("shape", [0.7, 1.0, 1.2, 1.9, 4.0])
@pytest.mark.parametrize("age_h", [0.0, 100.0, 30_000.0])
def test_random_life(shape, age_h):
    for u in (2.0**-33, 0.01, 0.5, 0.99, 1.0 - 2.0**-33):
        limit = weibull_age_h(age_h, shape, 35_000.0, u)
        np.testing.assert_allclose(limit, naive_age(age_h, shape, 35_000.0, u), **REORDER)
        assert limit >= age_h * (1 - 1e-12)
        survived = math.exp((age_h / 35_000.0) ** shape - (limit / 35_000.0) ** shape)
        assert survived == pytest.approx(u, rel=1e-6, abs=1e-9)
    assert weibull_age_h(age_h, shape, NO_LIMIT_H, 0.5) == NO_LIMIT_H


def test_health_by_hand():
    assert health_percent(0.0, 0.0, 0.0, 0.0, 20_000.0) == pytest.approx(100.0, rel=1e-15)
    assert health_percent(0.5, 0.5, 0.5, 10_000.0, 20_000.0) == pytest.approx(50.0)
    assert health_percent(1.0, 0.0, 0.0, 0.0, 20_000.0) == pytest.approx(60.0)
    assert health_percent(9.0, 9.0, 9.0, 1e6, 20_000.0) == 0.0


def test_health_of_arrays():
    x = np.random.default_rng(2).uniform(0, 1.3, (4, 500))
    x[3] *= 20_000.0
    life, found = np.full(500, 20_000.0), np.empty(500)
    health_of(x[0], x[1], x[2], x[3], life, found)
    np.testing.assert_allclose(found, [naive_health(*x[:, i], 20_000.0) for i in range(500)], **REORDER)


@pytest.mark.parametrize(
    ("health", "risk"),
    [(100, HEALTHY), (80.001, HEALTHY), (80, WARNING), (60.001, WARNING), (60, CRITICAL), (0, CRITICAL)],
)
def test_risk(health, risk):
    np.testing.assert_allclose(risk_class(float(health)), risk, **EXACT)
