"""The benchmarks of the twin measure what they say; progpy is not measured where it is not named."""

from __future__ import annotations

import os
import sys

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import load_fleet
from nexova_sim.config.track import TrackConfig
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run import bench_twin as twin
from nexova_sim.run.bench_progpy import VARIABLE, progpy_rates
from nexova_sim.run.simulate import simulate

QUIET = ("faults.random=false", "maintenance.planned_interval_days=null")
SMALL = tuple(f"factories.{f}.machines.{k}={int(f == 0)}" for f in range(4) for k in ("pump", "motor"))
NONE = tuple(f"factories.{f}.machines.{k}=0" for f in range(4) for k in ("compressor", "conveyor"))


def test_rates_of_small_work_are_positive():
    assert twin.plain_rate(64, 20) > 0.0
    assert twin.lives_rate(64) > 0.0
    assert twin.particle_rate(200, 30) > 0.0
    assert twin.whatif_cpu(4, 8, 24) > 0.0


def test_tracking_is_measured_from_disk_to_disk():
    assert 0.0 < twin.track_fleet_cpu(0, ("days=4", *(f"factories.{f}.machines.pump=1" for f in range(4)))) < 20.0


def test_coverage_and_calibration_of_a_small_plant(root, tmp_path):
    data = simulate(load_fleet(root / "configs/fleet/plant.yaml", ["days=3", *QUIET, *SMALL, *NONE]), tmp_path / "d")
    dataset = open_dataset(data.folder)
    assert 0.3 < twin.wear_coverage(dataset, TrackConfig(n_particles=1000)) <= 1.0
    found = twin.recovered(dataset, 2)
    assert 0.5 <= found["thermal.rise_at_rated_k"] <= 1.0


@pytest.mark.slow
def test_the_interval_of_hidden_wear_holds_the_truth_as_often_as_it_says():
    """90 % interval, 200 machines of four kinds with all faults and services, 30 days: 85 to 95 %."""
    assert 85.0 <= twin.coverage() <= 95.0


@pytest.mark.slow
def test_known_parameters_come_back_in_their_intervals():
    """Own 95 % intervals hold the truth in 90 % of 100 machines, for every parameter that is said to be identified."""
    assert twin.calibration() >= 90.0


def test_a_peer_that_is_not_named_is_not_measured(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    progpy_rates.cache_clear()
    assert progpy_rates() == {}
    assert twin.BENCHMARKS["twin_fleet_vs_progpy"].measure() is None
    monkeypatch.setitem(os.environ, VARIABLE, sys.executable)
    progpy_rates.cache_clear()
    with pytest.raises(ConfigError, match="progpy cannot be measured"):
        progpy_rates()
    progpy_rates.cache_clear()
