"""Detectors at the data's own cadence: slow regular readings have no gaps, real gaps are told."""

import numpy as np
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.anomaly import load_anomaly
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.rows import Rows, read_rows
from nexova_sim.detect import anomaly
from nexova_sim.detect.alarms import follow_alarms
from nexova_sim.detect.anomaly import fit_model, score_rows
from nexova_sim.detect.anomaly_model import from_arrays, to_arrays
from nexova_sim.detect.baselines import choose_twin, usual_step_h
from nexova_sim.detect.surroundings import read_surroundings
from nexova_sim.kernels import residual as r
from nexova_sim.run.anomaly import fit_anomaly
from nexova_sim.run.anomaly_score import score_anomaly
from nexova_sim.run.simulate import simulate

HOUR = 3_600_000
QUIET = ["days=14", "start_age_frac=[0.1, 0.3]", "faults.scheduled=[]", "faults.rate_factor=0.001"]


def plant(folder, dt_s):
    return simulate(load_fleet("configs/fleet/tiny.yaml", [*QUIET, f"dt_s={dt_s}"]), folder / f"d{dt_s}", jobs=1).folder


@pytest.fixture(scope="module", params=[600, 3600])
def slow(request, tmp_path_factory):
    dataset = open_dataset(plant(tmp_path_factory.mktemp("slow"), request.param))
    model = fit_model(dataset, load_anomaly("default"))
    return request.param, dataset, model, read_rows(dataset, model.features.channels)


def alarms_of(slow, rows):
    _, dataset, model, _ = slow
    around, alarms = read_surroundings(dataset), []
    scored = list(follow_alarms(model, around, score_rows(model, around, [rows]), alarms.append))
    return alarms, scored[0]


def test_slow_regular_readings_without_faults_give_hardly_an_alarm(slow):
    dt_s, _, model, rows = slow
    alarms, scored = alarms_of(slow, rows)
    assert len(model.scale.knots) > 1000 * 600 / dt_s
    assert (scored.gap == 0.0).all()
    assert (scored.ratio.max(axis=0) >= 1.0).mean() < 0.05
    assert len(alarms) <= 4, [(a.component.name, a.machine) for a in alarms]  # 112 machine-days


def test_rows_that_are_missing_are_told_from_slow_ones(slow):
    dt_s, _, _, rows = slow
    at = np.flatnonzero(rows.machine == 3)[150]
    keep = np.ones(len(rows.machine), bool)
    keep[at : at + 4] = False
    alarms, _ = alarms_of(slow, Rows(*(a[..., keep] for a in rows)))
    gaps = [a for a in alarms if a.component.is_gap]
    assert [a.machine for a in gaps] == [3]
    last = int(rows.time_ms[at - 1])
    assert gaps[0].cleared_ms == last + 5 * dt_s * 1000
    assert last + dt_s * 1000 < gaps[0].raised_ms < gaps[0].cleared_ms


def test_the_usual_step_is_learnt_and_saved(slow):
    dt_s, dataset, model, _ = slow
    again = from_arrays(model.config, to_arrays(model))
    twin, _ = choose_twin(again.features.baselines, read_surroundings(dataset))
    np.testing.assert_allclose(twin[:, r.A_STEP_H], dt_s / 3600.0)
    old = {**to_arrays(model), "twin": model.features.baselines.twin[:, :-1]}
    with pytest.raises(KeyError, match="twin"):
        from_arrays(model.config, old)


def test_usual_steps_by_hand():
    machine = np.array([0, 1, 0, 1, 0, 0, 2], np.int32)
    time_ms = np.array([0, 0, 1, 2, 2, 9, 5]) * HOUR
    rows = Rows(machine, time_ms, np.zeros((1, 7), np.float32), np.zeros(7, np.int8))
    np.testing.assert_array_equal(usual_step_h([rows], 4), [1.0, 2.0, np.nan, np.nan])


def test_quick_readings_wait_from_the_last_one_and_slow_ones_from_the_next_that_was_due():
    assert r.missing_h(1 / 60, 1 / 60) == 1 / 60
    assert r.missing_h(0.5, 0.0) == 0.5
    assert r.missing_h(1.0, 1.0) == 0.0
    assert r.missing_h(0.5, 1.0) == 0.0
    assert r.missing_h(3.0, 1.0) == 2.0


def test_thresholds_that_flag_most_readings_are_refused(slow, monkeypatch):
    """Were the usual step not known, every slow reading would be a gap."""
    _, dataset, model, _ = slow
    monkeypatch.setattr(anomaly, "usual_step_h", lambda _batches, n: np.zeros(n))
    with pytest.raises(DataError, match=r"100% of the held-out readings .*'gap' \(rows are missing\)"):
        fit_model(dataset, model.config)


def test_a_model_of_quick_readings_is_not_used_on_slow_ones(slow, tmp_path):
    dt_s, dataset, model, _ = slow
    other = plant(tmp_path, 3600 if dt_s == 600 else 600)
    fitted = fit_anomaly(dataset.folder, model.config, tmp_path / "model")
    if dt_s == 600:
        with pytest.raises(DataError, match=r"a reading every 3600 s.*every 600 s; fit a model"):
            score_anomaly(other, fitted.folder, tmp_path / "scores")
    else:
        assert score_anomaly(other, fitted.folder, tmp_path / "scores").manifest["n_flags"] >= 0
