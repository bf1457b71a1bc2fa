"""Calibration: known parameters come back in their intervals; what cannot be told is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_fleets import small_fleet
from tolerances import REORDER

from nexova_sim.config.calibrate import CalibrateConfig
from nexova_sim.config.load import load, load_kind
from nexova_sim.dataset.read import open_dataset
from nexova_sim.prognose.calibrate import calibrated_kind, fit_machine, heat, node_temp_c, noise_of, robust_se
from nexova_sim.prognose.samples import Samples, load_level, read_samples
from nexova_sim.run.plates import read_plates
from nexova_sim.run.simulate import simulate

CONFIG = CalibrateConfig()


@pytest.fixture(scope="module")
def weeks(tmp_path_factory):
    """Two pumps, a motor and a compressor for ten days, and the same pumps read once an hour."""
    place = tmp_path_factory.mktemp("weeks")
    fine = small_fleet({"days": 10, "machines": {"pump": 2, "motor": 1, "compressor": 1}})
    simulate(fine, place / "fine")
    simulate(
        small_fleet({"days": 20, "dt_s": 3600, "load_interval_s": 3600, "machines": {"pump": 1}}), place / "hourly"
    )
    return place


def fits(folder):
    dataset = open_dataset(folder)
    plates = read_plates(dataset, CONFIG.kind_folder)
    build = {r["machine_id"]: r for r in dataset.read("build").to_pylist()}
    return [
        (fit_machine(read_samples(dataset, p.machine_id, p.kind, CONFIG), p.kind, CONFIG), build[p.machine_id])
        for p in plates
    ]


def by_name(fit):
    return {e.name: e for e in fit.estimates}


def test_the_file_of_settings_is_the_default():
    assert load(CalibrateConfig, "configs/twin/calibrate.yaml") == CalibrateConfig()


def test_parameters_come_back(weeks):
    n_in = n_all = 0
    for fit, build in fits(weeks / "fine"):
        found = by_name(fit)
        truth = {"thermal.rise_at_rated_k": build["rise_k"], "thermal.time_constant_min": 60.0 * build["tau_h"],
                 "vibration.rated_mm_s": build["vib_rated_mm_s"], "sensors.temperature_c.noise": 3.0}  # fmt: skip
        for name, true in truth.items():
            item = found[name]
            if item.value is not None:
                n_all += 1
                n_in += item.low <= true <= item.high
                assert abs(item.value - true) < 5.0 * item.se + 1e-9
                assert item.value == pytest.approx(true, rel=0.2)
        assert not found["vibration.wear_gain_mm_s"].is_identifiable
        assert found["thermal.rise_at_rated_k"].se < 0.01 * build["rise_k"]
    assert n_all >= 14
    assert n_in >= n_all - 3


def test_hourly_readings_give_the_rise_and_no_time_constant(weeks):
    (fit, build), *_ = fits(weeks / "hourly")
    found = by_name(fit)
    tau = found["thermal.time_constant_min"]
    assert tau.value is None
    assert not tau.is_identifiable
    assert "transients" in tau.why
    rise = found["thermal.rise_at_rated_k"]
    assert rise.low - 0.01 * build["rise_k"] <= build["rise_k"] <= rise.high + 0.01 * build["rise_k"]


def test_without_an_ambient_the_thermal_parameters_are_not_told(weeks):
    dataset = open_dataset(weeks / "fine")
    plate = read_plates(dataset, CONFIG.kind_folder)[0]
    samples = read_samples(dataset, plate.machine_id, plate.kind, CONFIG)
    found = by_name(fit_machine(samples._replace(ambient_c=np.full(len(samples.hour), np.nan)), plate.kind, CONFIG))
    for name in ("thermal.rise_at_rated_k", "thermal.time_constant_min"):
        assert not found[name].is_identifiable
        assert "ambient" in found[name].why
    assert found["vibration.rated_mm_s"].is_identifiable


def test_a_kind_takes_what_was_identified_and_keeps_the_rest(weeks):
    kind = load_kind("pump", Path(CONFIG.kind_folder))
    (fit, _), *_ = fits(weeks / "hourly")
    new = calibrated_kind(kind, "fit-a", fit, "fitted to a")
    assert (new.kind, new.sources[-1]) == ("fit-a", "fitted to a")
    assert new.thermal.time_constant_min == kind.thermal.time_constant_min
    assert new.thermal.rise_at_rated_k != kind.thermal.rise_at_rated_k


def test_standard_errors_allow_for_errors_that_last():
    rng = np.random.default_rng(6)
    block = np.repeat(np.arange(200), 20)
    lasting = np.repeat(rng.normal(size=200), 20)
    jacobian = np.ones((4000, 1))
    se, quantile = robust_se(jacobian, lasting - lasting.mean(), block)
    assert se[0] == pytest.approx(1.0 / np.sqrt(200), rel=0.2)
    assert quantile == pytest.approx(1.972, abs=0.001)
    alone, _ = robust_se(jacobian, rng.normal(size=4000), np.arange(4000))
    assert alone[0] == pytest.approx(1.0 / np.sqrt(4000), rel=0.1)
    twice = np.ones((50, 2))
    assert np.isinf(robust_se(twice, np.ones(50), np.arange(50))[0]).all()


def test_noise_is_told_from_change_and_jumps():
    rng = np.random.default_rng(7)
    n = 20_000
    line = 60.0 + 10.0 * np.sin(np.arange(n) / 300.0) + 3.0 * rng.normal(size=n)
    line[::997] += 60.0
    value, se = noise_of(line, np.zeros(n, np.int64))
    assert abs(value - 3.0) < 4.5 * se + 0.01 * 3.0
    assert se == pytest.approx(3.0 * np.sqrt(1.944 / (2.0 * n)), rel=0.05)
    assert np.isnan(noise_of(line[:20], np.zeros(20, np.int64))[0])


def test_the_node_and_its_heat():
    limit = np.full(5, 50.0)
    expected = 50.0 + (20.0 - 50.0) * 0.8 ** np.arange(5)
    np.testing.assert_allclose(node_temp_c(limit, 20.0, 0.8), expected, **REORDER)
    pump = load_kind("pump", Path(CONFIG.kind_folder))
    on = np.array([True, True, False])
    assert heat(pump, np.array([0.5, 1.0, 0.0]), on).tolist() == [0.5, 1.0, 0.0]
    loss = pump.model_copy(update={"thermal": pump.thermal.model_copy(update={"heating": "loss"})})
    np.testing.assert_allclose(heat(loss, np.array([0.0, 1.0, 0.0]), on), [0.35, 1.0, 0.0], **REORDER)


def test_the_level_behind_a_noisy_meter():
    rng = np.random.default_rng(9)
    truth = np.where(np.arange(4000) // 400 % 2 == 0, 0.8, 0.5)
    on = np.arange(4000) % 1000 >= 200
    load_seen = np.where(on, truth * (1.0 + 0.1 * rng.normal(size=4000)), np.nan)
    found = load_level(load_seen, on, 60.0, CONFIG)
    assert (found.level[~on] == 0.0).all()
    assert np.sqrt(np.mean((found.level - truth)[on] ** 2)) < 0.02
    assert found.noise_frac == pytest.approx(0.1, abs=4.5 * found.noise_se)
    assert Samples._fields[-1] == "load_noise_se"
