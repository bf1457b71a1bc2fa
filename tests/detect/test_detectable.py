"""Effect sizes from physics: by hand, and (slow) against the same plant simulated with and without the fault."""

import itertools
import math

import numpy as np
import pytest
from small_fleets import CONFIGS, run, small_fleet
from tolerances import REORDER

from nexova_sim.config.load import load_faults, load_kind
from nexova_sim.config.types import Factory
from nexova_sim.detect.detectable import Setting, effect_of, noise_of

FAULTS = load_faults(str(CONFIGS / "fault" / "default.yaml")).faults
SITE = Factory(id="f", latitude_deg=45.0, longitude_deg=5.0, machines={"pump": 1})


def setting(kind="pump", dt_s=60.0):
    return Setting(load_kind(kind, CONFIGS / "kind"), SITE, dt_s, 300.0)


def test_noise_of_an_hourly_mean_by_hand():
    got = noise_of(setting())
    power = 15.0 * 0.7
    np.testing.assert_allclose(got.power_kw, power * math.sqrt(0.01 / 60 + 0.06**2 + 0.04**2), **REORDER)
    np.testing.assert_allclose(got.temperature_c, math.sqrt(9 / 60 + (41 * 0.7) ** 2 * 0.01 / 60 + 1.5**2), **REORDER)
    np.testing.assert_allclose(got.vibration_mm_s, math.sqrt(0.09 / 60 + (1.65 * 0.7) ** 2 * 0.01 / 60), **REORDER)
    assert noise_of(setting("conveyor")).power_kw / (11 * 0.6) > noise_of(setting("motor")).power_kw / (18.5 * 0.75)
    assert noise_of(setting(dt_s=3600.0)).vibration_mm_s > 7 * got.vibration_mm_s
    assert noise_of(setting(), 300.0).power_kw > got.power_kw


def test_effects_by_hand():
    noise = noise_of(setting())
    got = effect_of(setting(), FAULTS["imbalance"], 0.5, 10.0, 5.0)
    np.testing.assert_allclose(got.effect_sd, 1.5 / noise.vibration_mm_s, **REORDER)
    assert got.channel == "vibration_mm_s" and got.hours == 10.0
    overload = effect_of(setting(), FAULTS["overload"], 0.5, 10.0, 5.0)
    np.testing.assert_allclose(overload.effect_sd, 10.5 * 0.3 / noise.power_kw, **REORDER)
    assert overload.hours == 0.0  # 4.1 sd: under the bar for all its hours
    surge = effect_of(setting(), FAULTS["power_spike"], 1.0, 10.0, 5.0)
    np.testing.assert_allclose(surge.effect_sd, 10.5 * 0.8 / noise_of(setting(), 300.0).power_kw, **REORDER)
    wear = effect_of(setting(), FAULTS["bearing_wear"], 0.5, 40.0, 5.0)
    np.testing.assert_allclose(wear.hours, 40.0 - 5.0 * noise.vibration_mm_s / (2.0 * 0.005), **REORDER)
    cooling = effect_of(setting(), FAULTS["cooling_loss"], 1.0, 1000.0, 5.0)
    np.testing.assert_allclose(cooling.effect_sd, 41 * 0.7 * 4.0 / noise.temperature_c, **REORDER)
    assert effect_of(setting(), FAULTS["cooling_loss"], 0.1, 20.0, 5.0).hours == 0.0


def test_a_machine_that_stands_shows_nothing():
    for name in ("imbalance", "overload", "power_spike", "bearing_wear", "cooling_loss"):
        assert effect_of(setting(), FAULTS[name], 1.0, 0.0, 5.0).hours == 0.0
    with pytest.raises(ValueError, match="sensor fault"):
        effect_of(setting(), FAULTS["sensor_stuck"], 1.0, 1.0, 5.0)


@pytest.mark.parametrize("name", ["imbalance", "overload", "power_spike", "bearing_wear", "cooling_loss"])
def test_a_worse_fault_is_no_harder_to_see(name):
    sizes = [effect_of(setting(), FAULTS[name], s, 24.0, 5.0) for s in np.linspace(0.05, 1.0, 20)]
    assert all(b.effect_sd >= a.effect_sd and b.hours >= a.hours for a, b in itertools.pairwise(sizes))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "channel", "severity"), [
    ("imbalance", "vibration_mm_s", 0.4), ("overload", "power_kw", 0.5), ("bearing_wear", "vibration_mm_s", 0.5),
    ("cooling_loss", "temperature_c", 0.5),
])  # fmt: skip
def test_effects_agree_with_a_plant_simulated_with_and_without(name, channel, severity):
    """The shift of the last hours of a fault: common random numbers leave the fault as the only difference."""
    hours = 48
    faults = [{"machine": f"f-pump-{m:03d}", "fault": name, "onset_h": 0, "hours": hours, "severity": severity}
              for m in range(1, 13)]  # fmt: skip
    plant = {"machines": {"pump": 12}, "days": 2, "start_age_frac": [0.1, 0.3]}
    with_fault = run(small_fleet({**plant, "faults": {"random": False, "scheduled": faults}}))
    without = run(small_fleet(plant))
    late = slice(40 * 60, 48 * 60)
    field = {"power_kw": "power_kw", "temperature_c": "temperature_c", "vibration_mm_s": "vibration_mm_s"}[channel]
    shift = np.nanmean(with_fault.readings(field)[:, late] - without.readings(field)[:, late])
    site = small_fleet(plant).fleet.factories[0]
    place = Setting(load_kind("pump", CONFIGS / "kind"), site, 60.0, 300.0)
    got = effect_of(place, FAULTS[name], severity, 44.0, 5.0)  # mean over hours 40 to 48 is about the state at 44
    expected = got.effect_sd * getattr(noise_of(place), channel)
    assert got.channel == channel
    assert abs(shift / expected - 1.0) < 0.15  # machines differ by 5 %, the load of these hours from the nominal one
