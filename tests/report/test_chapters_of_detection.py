"""Chapters on remaining life and anomalies: made from a whole run, inert to hostile names, clear when damaged."""

import json
import shutil

import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.experiment import load_experiment
from nexova_sim.report.anomaly import anomaly_html, highest_scores
from nexova_sim.report.plots import cells, square
from nexova_sim.report.rul import risk_of, rul_html
from nexova_sim.run.experiment import run_experiment

FAST = ["learning.n_rounds=10", "learning.n_trees=5", "learning.n_folds=2", "learning.n_members=1", "judging.n_boot=20",
        "features.mean_steps=[24]", "features.curve_steps=[]", "features.growth_steps=[]", "future.n_samples=16",
        "future.most_h=800.0", "track.n_particles=16", "track.n_start_factor=2", "asking.every_h=96"]  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    place = tmp_path_factory.mktemp("chapters")
    hostile = "<img src=x onerror=alert(1)>"
    fleet = {"days": 25, "dt_s": 600, "start_age_frac": [0.7, 0.99], "faults": {"rate_factor": 3.0, "scheduled": []}}
    config = {
        "name": "chapters", "title": hostile,
        "simulate": {"fleet": "configs/fleet/tiny.yaml", "overrides": {**fleet, "factories.0.machines": {"pump": 10}}},
        "rul": {"settings": FAST}, "anomaly": {"overrides": ["calibration.max_fit_rows=2000"]},
        "report": {"max_figures": 0},
    }  # fmt: skip
    (place / "x.yaml").write_text(json.dumps(config))
    return run_experiment(load_experiment(place / "x.yaml"), place / "out")


def folder_of(done, name):
    return next(stage.folder for stage in done.stages if stage.name == name) / name


def test_the_page_holds_both_chapters(done):
    page = done.exports[0].read_text(encoding="utf-8")
    assert 'id="rul"' in page
    assert 'id="anomaly"' in page
    assert "<img src=x" not in page
    metrics = {stage.name: stage.metrics for stage in done.stages}
    assert metrics["anomaly"]["n_rows"] > 0
    assert metrics["rul"]["machines"] > 0


def test_the_chapter_on_remaining_life(done):
    html, css = rul_html(folder_of(done, "rul"))
    assert "Cost of waiting" in html
    assert "</style" not in css
    assert [risk_of(p) for p in (0.0, 0.1, 0.5)] == ["healthy", "warning", "critical"]


def test_the_chapter_on_anomalies(done):
    folder = folder_of(done, "anomaly")
    html, _ = anomaly_html(folder)
    assert "Scores over time" in html
    assert (folder / "evaluation.json").is_file()
    assert "best level of a channel" in html
    ids, most = highest_scores(folder / "scores.parquet", 0, 2**41)
    assert most.shape == (len(ids), 240)
    assert 0.0 <= most.min() <= most.max() <= 1.0


def test_damaged_folders_are_named(done, tmp_path):
    for name, file, make in (("rul", "predict/predict.json", rul_html), ("anomaly", "manifest.json", anomaly_html)):
        copy = tmp_path / name
        shutil.copytree(folder_of(done, name), copy)
        (copy / file).write_text("{")
        with pytest.raises(DataError, match="damaged"):
            make(copy)


def test_pictures():
    picture = square([("--series0", [0.0, 2.0], [0.5, -1.0], True)], "<x>", "y", 'a "b"', has_diagonal=True)
    assert "<x>" not in picture
    assert picture.count("<circle") == 2
    strip = cells([0, 1, 1, 2, 0], ("--a", "--b"), "s")
    assert strip.count("<rect") == 2
    assert 'width="400.0"' in strip
    assert "rect" not in cells([], ("--a",), "s")


def test_without_a_fault_there_is_no_curve(done, tmp_path):
    copy = tmp_path / "quiet"
    shutil.copytree(folder_of(done, "anomaly"), copy)
    found = json.loads((copy / "evaluation.json").read_text(encoding="utf-8"))
    assert "Precision and recall of the score" in anomaly_html(copy)[0]
    found["curve"] = {**found["curve"], "recall": [None] * len(found["curve"]["recall"]), "prevalence": 0.0, "ap": None}
    (copy / "evaluation.json").write_text(json.dumps(found), encoding="utf-8")
    html, _ = anomaly_html(copy)
    assert "Scores over time" in html
    assert "Precision and recall of the score" not in html
