"""The twin chapter and the stage that feeds it: what is shown, hostile names, damaged folders."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.experiment import load_experiment
from nexova_sim.config.track import TrackConfig, TwinStage, read_twin_stage
from nexova_sim.report.chapters import make_chapters
from nexova_sim.report.twin import course, twin_html
from nexova_sim.run.experiment import run_experiment
from nexova_sim.run.track import track


@pytest.fixture(scope="module")
def tracked(tiny_dataset, tmp_path_factory):
    return track(tiny_dataset, TrackConfig(), tmp_path_factory.mktemp("chapter") / "run").folder


def test_every_machine_and_the_most_worn_are_shown(tracked):
    html, css = twin_html(tracked)
    summary = json.loads((tracked / "summary.json").read_text())
    for machine in summary["machines"]:
        assert machine["machine_id"] in html
    assert html.count("<polyline") - html.count("<figure data-m=") == 0
    assert html.count("<figure data-m=") - html.count(" data-more hidden><figcaption") == min(6, summary["n_machines"])
    assert "tw-plots" in css
    assert "</style" not in css


def test_the_chapter_is_in_the_registry(tracked):
    (chapter,) = make_chapters({"twin": tracked})
    assert (chapter.id, chapter.title) == ("twin", "Hidden state")


def test_a_course_stays_in_its_box(tracked):
    state = pq.read_table(tracked / "state.parquet")
    name = state["machine_id"][0].as_py()
    line = course(name, state.slice(0, 49))
    pairs = [tuple(map(float, p.split(","))) for p in f"{line.band} {line.mean}".split()]
    assert all(-0.5 <= x <= 1000.5 and -0.5 <= y <= 100.5 for x, y in pairs)
    assert line.first_ms < line.last_ms


def test_hostile_names_are_escaped_and_damage_is_told(tracked, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tracked, copy)
    text = (copy / "summary.json").read_text()
    summary = json.loads(text)
    summary["skipped"] = [{"machine_id": "<script>alert(1)</script>", "reason": '"><img src=x>'}]
    (copy / "summary.json").write_text(json.dumps(summary))
    html, _ = twin_html(copy)
    assert "<script>alert" not in html
    assert "<img" not in html
    (copy / "summary.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        twin_html(copy)


def test_the_stage_runs_in_an_experiment(tiny_dataset, tmp_path):
    raw = f"name: twin\ndataset: {tiny_dataset}\ntwin: {{overrides: [n_particles=50]}}\nreport: {{max_figures: 0}}\n"
    (tmp_path / "e.yaml").write_text(raw)
    resolved = load_experiment(tmp_path / "e.yaml")
    assert resolved.parts["twin"] == TrackConfig(n_particles=50)
    done = run_experiment(resolved, tmp_path / "run")
    page = next(done.folder.rglob("*.html")).read_text(encoding="utf-8")
    assert "Hidden state" in page
    assert read_twin_stage(TwinStage(), tmp_path) == TrackConfig()
    with pytest.raises(ConfigError, match="n_particle"):
        read_twin_stage(TwinStage(overrides=["n_particle=3"]), tmp_path)
