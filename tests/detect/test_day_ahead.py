"""Forecasts of the day before as what a detector takes for usual: by hand, without the future, through the commands."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nexova_sim.cli.app import run
from nexova_sim.config.anomaly import load_anomaly
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.detect.anomaly import surroundings_of
from nexova_sim.detect.day_ahead import forecast_log_load, measured_level, with_forecasts
from nexova_sim.detect.surroundings import read_surroundings
from nexova_sim.kernels.residual import A_LEVEL, A_LOAD_FRAC, A_REF_KW, N_TWIN
from nexova_sim.run.simulate import simulate

HOUR_MS = 3_600_000
CONFIG = "configs/anomaly/day_ahead_residual.yaml"


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    fleet = load_fleet(
        "configs/fleet/tiny.yaml", ["days=30", "dt_s=1200", "faults.scheduled=[]", "faults.rate_factor=0.001"]
    )
    return simulate(fleet, tmp_path_factory.mktemp("ahead") / "data", jobs=1).folder


def test_the_forecast_of_the_day_before_is_near_what_came(month):
    dataset = open_dataset(month)
    plain = read_surroundings(dataset)
    assert plain.expected_kw.size == 0
    around = surroundings_of(dataset, load_anomaly(CONFIG))
    assert around.n_measured == 14 * 24  # the first two weeks have nothing to learn from
    assert around.expected_kw.shape == (8, 30 * 24)
    assert np.isfinite(around.expected_kw[:, 14 * 24 :]).all()
    assert surroundings_of(dataset, load_anomaly("configs/anomaly/forecast_residual.yaml")).expected_kw.size == 0
    table = dataset.read("readings", columns=["machine_id", "timestamp", "power_kw"]).to_pandas().dropna()
    hour = (table["timestamp"].astype("int64") // 10**6 if table["timestamp"].dtype.unit == "ns" else
            table["timestamp"].astype("int64"))  # fmt: skip
    table["hour"] = (hour - around.expected_ms) // HOUR_MS
    mean = table[table["hour"] >= around.n_measured].groupby(["machine_id", "hour"])["power_kw"].mean()
    for row, ident in enumerate(around.machine_ids):
        expected, measured = around.expected_kw[row, mean[ident].index], mean[ident].to_numpy()
        # The most of three hours is expected, so that the begin of a shift within an hour is no surge.
        assert np.abs(expected - measured).mean() < 0.35 * measured.mean(), ident
        busy = expected > 0.5 * expected.max()
        assert (measured[busy] > 1.5 * expected[busy]).mean() < 0.02, ident


def test_too_short_for_a_forecast_is_no_error(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    assert with_forecasts(read_surroundings(dataset), dataset).n_measured >= 0


def test_log_loads_by_hand(month):
    around = read_surroundings(open_dataset(month))._replace(
        expected_ms=9 * HOUR_MS, expected_kw=np.array([[99.0, 20.0, np.nan, 1.0]]), n_measured=1
    )
    twin = np.zeros((1, N_TWIN))
    twin[0, A_REF_KW], twin[0, A_LOAD_FRAC] = 10.0, 0.5
    level = np.array([0.3])
    time_ms = np.array([9, 10, 11, 12, 13]) * HOUR_MS
    usual = np.full(5, 0.1)
    found = forecast_log_load(around, np.zeros(5, int), time_ms, twin, level, usual)
    np.testing.assert_allclose(found, [0.1, np.log(2.0) - 0.3, 0.1, np.log(0.5) - 0.3, 0.1])
    assert usual.tolist() == [0.1] * 5
    assert forecast_log_load(around, np.zeros(1, int), time_ms[:1], twin, level, usual[:1]) is not None


def test_a_machine_never_met_has_the_level_it_showed_before_the_first_forecast(month):
    n = 30
    around = read_surroundings(open_dataset(month))
    around = around._replace(expected_ms=around.start_ms, expected_kw=np.full((8, n), 8.0), n_measured=n)
    twin = np.zeros((8, N_TWIN))
    twin[:, A_REF_KW], twin[:, A_LEVEL], twin[:, A_LOAD_FRAC] = 10.0, -5.0, 0.5
    np.testing.assert_allclose(measured_level(around, twin, np.full((8, 48), 0.1)), np.log(0.8) - 0.1)
    assert (measured_level(around._replace(n_measured=5), twin, np.full((8, 48), 0.1)) == -5.0).all()


def test_the_commands_take_it(month, tmp_path, capsys):
    model, scores = str(tmp_path / "m"), str(tmp_path / "s")
    assert run(["anomaly", "fit", str(month), "--config", CONFIG, "--out", model, "--quiet"]) == 0
    assert run(["anomaly", "score", str(month), "--model", model, "--out", scores, "--quiet"]) == 0
    capsys.readouterr()
    words = ["anomaly", "explain", str(month), "--model", model, "--machine", "lyon-pump-001", "--json"]
    assert run([*words, "--at", "2026-02-01T10:00:00Z"]) == 0
    found = json.loads(capsys.readouterr().out)["data"]
    assert found["detector"] == "forecast_residual"
    assert {d["detector"] for d in found["at"]["drivers"]} == {"power", "power_slow", "power_surge"}
