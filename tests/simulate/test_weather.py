"""Climate, weather and demand of a factory: when it is warm, where it is warm, and period by period."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from small_fleets import small_fleet
from tolerances import EXACT, STAT

from nexova_sim.config.types import Climate, Factory
from nexova_sim.kernels.climate import add_ar1
from nexova_sim.kernels.random import WEATHER
from nexova_sim.simulate.machines import streams
from nexova_sim.simulate.plan import ambient_of, plan_fleet, profile_of
from nexova_sim.simulate.weather import ambient, climate_wave, demand, factory_weather, scan_process, year_hour

KEY = streams(1, "x")[WEATHER]
CALM = {"climate": {"variation_k": 0.0}, "demand": {"variation_frac": 0.0}}


def year(latitude_deg: float, **climate: float) -> np.ndarray:
    """Hourly ambient of a calm year from 1 January 00:00 local solar time, on the equator's meridian."""
    calm = Climate(variation_k=0.0, indoor_damping_frac=0.0, indoor_offset_k=0.0, **climate)
    factory = Factory(id="f", latitude_deg=latitude_deg, longitude_deg=0.0, machines={"pump": 1}, climate=calm)
    prepared = factory_weather(factory, streams(1, "x"), 1.0, [0, 8766])
    return ambient(prepared, 0, 0, 0.0, 1.0, 8766)


def test_warmest_in_july_at_three_in_the_afternoon():
    t = year(45.0)
    assert 199 <= t.argmax() // 24 <= 201 and t.argmax() % 24 in (14, 15)
    assert 14 <= t.argmin() // 24 <= 20 and t.argmin() % 24 in (2, 3)


def test_the_south_is_warmest_in_january():
    t = year(-33.9)
    assert 16 <= t.argmax() // 24 <= 18 and t.argmax() % 24 in (14, 15)
    assert 195 <= t.argmin() // 24 <= 204


def test_colder_and_more_seasonal_towards_the_poles():
    means = [year(lat).mean() for lat in (0, 20, 45, 70)]
    swings = [np.ptp(year(lat)[: 365 * 24].reshape(365, 24).mean(axis=1)) for lat in (0, 20, 45, 70)]
    assert means == sorted(means, reverse=True) and swings == sorted(swings)
    assert means[0] == pytest.approx(27.0, abs=0.1)


def test_given_numbers_are_used():
    t = year(45.0, mean_c=10.0, annual_amplitude_k=8.0, daily_amplitude_k=3.0)
    assert t.mean() == pytest.approx(10.0, abs=0.05)
    assert t.max() == pytest.approx(21.0, abs=0.05) and t.min() == pytest.approx(-1.0, abs=0.1)


def test_a_building_is_warmer_and_calmer():
    out = climate_wave(Climate(indoor_offset_k=0.0, indoor_damping_frac=0.0), 45.0)
    inside = climate_wave(Climate(indoor_offset_k=8.0, indoor_damping_frac=0.5), 45.0)
    assert inside.mean == out.mean + 8.0
    assert (inside.annual, inside.daily) == (out.annual / 2, out.daily / 2)


@pytest.mark.parametrize(("text", "longitude", "hours"), [
    ("2026-01-01T00:00", 0.0, 0.0), ("2026-01-01T06:30", 0.0, 6.5), ("2026-01-02T00:00", -90.0, 18.0),
    ("2024-12-31T00:00", 15.0, 365 * 24 + 1.0),
])  # fmt: skip
def test_hour_of_the_year_in_solar_time(text, longitude, hours):
    second = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    assert year_hour(second, longitude) == pytest.approx(hours)


def test_the_daily_peak_follows_the_sun_around_the_world():
    """On the wall clock of UTC, the warmest hour of Detroit comes 5.5 h after that of Lyon."""
    peaks = []
    for longitude in (4.84, -83.05):
        plan = plan_fleet(small_fleet({"factory": {"longitude_deg": longitude, **CALM}}))
        peaks.append(int(ambient_of(plan, 0, plan.periods[0]).argmax()) / 12)
    assert peaks[0] == pytest.approx(15 - 4.84 / 15, abs=0.1)
    assert peaks[1] - peaks[0] == pytest.approx((4.84 + 83.05) / 15, abs=0.1)


def test_period_by_period_equals_the_whole():
    """Days, months and one piece give the same bits, so that any period can be computed alone."""
    parts = []
    for kind in ("day", "month"):
        plan = plan_fleet(small_fleet({"start": "2026-01-30T00:00:00Z", "days": 4, "output": {"partition": kind}}))
        assert len(plan.periods) == {"day": 4, "month": 2}[kind]
        parts.append([
            np.concatenate([ambient_of(plan, 0, p) for p in plan.periods]),
            np.concatenate([profile_of(plan, 0, "pump", p) for p in plan.periods]),
        ])  # fmt: skip
    np.testing.assert_allclose(parts[0][0], parts[1][0], **EXACT)
    np.testing.assert_allclose(parts[0][1], parts[1][1], **EXACT)


def test_any_order_of_periods():
    plan = plan_fleet(small_fleet({"days": 5, "output": {"partition": "day"}}))
    forward = [ambient_of(plan, 0, p) for p in plan.periods]
    backward = [ambient_of(plan, 0, p) for p in reversed(plan.periods)]
    for a, b in zip(forward, reversed(backward), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len({a.tobytes() for a in forward}) == 5


def test_processes_are_stationary_from_the_first_slot():
    """Over many factories the first value of the weather is as spread as any other."""
    starts = [scan_process(streams(1, f"site{n}")[WEATHER], 3.0, 48.0, 1.0, [0, 50]).before[0] for n in range(4000)]
    assert abs(np.mean(starts)) < STAT * 3.0 / math.sqrt(4000)
    assert abs(np.std(starts) / 3.0 - 1.0) < STAT / math.sqrt(8000)


def test_process_state_before_a_period_is_the_value_before_it():
    split = scan_process(KEY, 3.0, 48.0, 1.0, [0, 30, 100])
    last = add_ar1(KEY, 0, split.memory, 3.0, split.before[0], np.zeros(30))
    assert split.before[1] == last
    assert split.before[0] == scan_process(KEY, 3.0, 48.0, 1.0, [0, 100]).before[0]
    assert split.memory == pytest.approx(math.exp(-1 / 48), rel=1e-15)


def test_demand_peaks_on_its_day_and_stays_positive():
    raw = {"id": "f", "latitude_deg": 45.0, "longitude_deg": 0.0, "machines": {"pump": 1}}
    calm = Factory.model_validate(
        {**raw, "demand": {"variation_frac": 0.0, "annual_amplitude_frac": 0.2, "peak_day": 30}}
    )
    d = demand(factory_weather(calm, streams(1, "x"), 1.0, [0, 8766]), 0, 0, 0.0, 1.0, 8766)
    assert d.argmax() // 24 in (29, 30) and d.max() == pytest.approx(1.2) and d.min() == pytest.approx(0.8, abs=1e-5)
    wild = Factory.model_validate({**raw, "demand": {"variation_frac": 0.5}})
    d = demand(factory_weather(wild, streams(1, "x"), 1.0, [0, 8766]), 0, 0, 0.0, 1.0, 8766)
    assert d.min() >= 0.1


def test_ambient_stays_on_earth():
    factory = Factory(
        id="f", latitude_deg=89.0, longitude_deg=0.0, machines={"pump": 1}, climate=Climate(variation_k=60.0)
    )
    t = ambient(factory_weather(factory, streams(1, "x"), 1.0, [0, 8766]), 0, 0, 0.0, 1.0, 8766)
    assert t.min() == -60.0 and t.max() == 60.0


def test_measured_weather_replaces_the_model():
    resolved = small_fleet({"days": 0.5})
    plan = plan_fleet(resolved.model_copy(update={"weather": {"f": [10.0, 11.0, 12.0]}}))
    t = ambient_of(plan, 0, plan.periods[0])
    np.testing.assert_array_equal(t[:24], [10.0] * 12 + [11.0] * 12)
    np.testing.assert_array_equal(t[24:], 12.0)


def test_profile_of_shifts_and_demand():
    plan = plan_fleet(small_fleet({"machines": {"pump": 1, "motor": 1}, "factory": CALM, "days": 7}))
    pump, motor = (profile_of(plan, 0, kind, plan.periods[0]) for kind in ("pump", "motor"))
    assert (pump > 0).all() and set(np.unique(motor)) == {0.0, 0.75}
    hours = np.flatnonzero(motor[:288]) / 12
    assert (hours.min(), hours.max() + 1 / 12) == pytest.approx((5.0, 21.0))  # 06:00 to 22:00 in winter Paris
    assert (motor[5 * 288 : 7 * 288 - 12] == 0).all()
    saturday, monday = pump[5 * 288 + 144], pump[144]
    assert saturday / monday == pytest.approx(0.86, abs=0.002)
