"""The energy chapter and the pictures of a schedule: marks that match the numbers, hostile names, damage."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.experiment import load_experiment
from nexova_sim.report.energy import cost_bars, energy_html, name_of, read_curves
from nexova_sim.report.energy_figures import Line, day_lines, gantt, learning, stacked
from nexova_sim.report.plan_figure import PlanPicture, plan_figure, spans
from nexova_sim.report.trajectory import figure_bytes
from nexova_sim.run.experiment import run_experiment

EXPERIMENT = """
name: energy
dataset: {dataset}
energy:
  verify: true
  training: {training}
  overrides:
    opportunities: [window_hours=40]
    evaluate: ["controllers=[bau,flat]", baseline=bau, n_resamples=100]
    plan: [fit_iterations=3, fit_days=2, n_scenarios=4]
report: {{max_figures: 0}}
"""


@pytest.fixture(scope="module")
def left(tiny_dataset, tmp_path_factory):
    """What the stage leaves, and the run's folder."""
    folder = tmp_path_factory.mktemp("energy")
    (folder / "training").mkdir()
    (folder / "training" / "history-0.csv").write_text("decisions,usd\n10,1500\n20,1480\n", encoding="utf-8")
    text = EXPERIMENT.format(dataset=tiny_dataset, training=folder / "training")
    (folder / "e.yaml").write_text(text, encoding="utf-8")
    done = run_experiment(load_experiment(folder / "e.yaml"), folder / "run")
    stage = next(s for s in done.stages if s.name == "energy")
    return stage.folder / "energy", done, stage


def test_the_stage_runs_once_and_its_chapter_stands_in_the_report(left):
    folder, done, stage = left
    assert (folder / "plan" / "plan.parquet").is_file()
    assert stage.metrics["opportunities"] > 0
    assert stage.metrics["plan_saves_over_bau_usd"] > 0.0
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="energy"' in page
    html, css = energy_html(folder)
    assert "</style" not in css
    for words in ("Where energy can be saved", "Tomorrow, by the bid scheduler", "What the day costs",
                  "How controllers compare", "How it was learned", "True, $/year"):  # fmt: skip
        assert words in html
    plan = json.loads((folder / "plan" / "schedule.json").read_text(encoding="utf-8"))
    assert html.count('class="en-row"') == len(plan["machines"])
    again = run_experiment(load_experiment(folder.parents[3] / ".." / "e.yaml"), folder.parents[3])
    assert next(s for s in again.stages if s.name == "energy").state == "cached"


def test_yardsticks_are_shown_when_they_are_there(left, tmp_path):
    shutil.copytree(left[0], tmp_path / "energy")
    path = tmp_path / "energy" / "evaluate" / "evaluation.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert "Of the bound" not in energy_html(tmp_path / "energy")[0]
    share = {"value": 0.744, "low": 0.7, "high": 0.8}
    yard = {"bound_usd": {"value": 1367.6, "low": 1.0, "high": 2.0}, "share_of_bound": {"flat": share}}
    path.write_text(json.dumps(raw | {"yardsticks": yard}), encoding="utf-8")
    html, _ = energy_html(tmp_path / "energy")
    assert "1\u202f367.6 $ a day" in html
    assert ">74<" in html


def test_hostile_names_are_escaped(left, tmp_path):
    shutil.copytree(left[0], tmp_path / "energy")
    path = tmp_path / "energy" / "plan" / "schedule.json"
    path.write_text(path.read_text(encoding="utf-8").replace("lyon", '<script>x</script>&\\"'), encoding="utf-8")
    html, _ = energy_html(tmp_path / "energy")
    assert "<script>" not in html


@pytest.mark.parametrize("name", ["plan/schedule.json", "evaluate/evaluation.json", "opportunities/opportunities.json"])
@pytest.mark.parametrize("text", ["[", "{}", "[]"])
def test_damage_is_named(left, tmp_path, name, text):
    shutil.copytree(left[0], tmp_path / "energy")
    (tmp_path / "energy" / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="energy"):
        energy_html(tmp_path / "energy")


def test_a_chapter_of_nothing_is_empty(tmp_path):
    assert "<table" not in energy_html(tmp_path)[0]
    (tmp_path / "no-plan.txt").write_text("nothing <here>\n", encoding="utf-8")
    assert "nothing &lt;here&gt;" in energy_html(tmp_path)[0]


def test_marks_match_the_numbers(tmp_path):
    assert spans(np.array([0.0, 0.5, 0.5, 0.8, 0.0])) == [(1, 3, 0.5), (3, 4, 0.8)]
    assert spans(np.zeros(4)) == []
    assert gantt([0.0, 0.5, 0.5, 0.8], "x").count("<rect") == 2
    bars = cost_bars([("a", [3.0, -1.0, 0.0, 0.0, 0.0]), ("b", [6.0, 0.0, 0.0, 0.0, 0.0])])
    assert bars[0].total_usd == 2.0
    assert 'width="500.0"' in bars[0].bar
    assert 'width="0.0"' in stacked([0.0], ("--ink",), 0.0, "none")
    drawn = day_lines([Line([-0.1, 0.2], "--ink", True)], "price")
    assert (drawn.low, drawn.high > 0.2) == (-0.1, True)
    assert "stroke-dasharray" in drawn.svg
    (tmp_path / "history-3.csv").write_text("a,b\n1,5\n2,4\n", encoding="utf-8")
    curves = read_curves(tmp_path)
    assert curves == [("3", [1.0, 2.0], [5.0, 4.0])]
    assert learning(curves).names == (("3", "--series0"),)
    assert name_of("bau") == "business as usual"
    assert name_of("own") == "own"


def test_the_figure_is_as_high_as_its_machines_need():
    def picture(n):
        rows = [(f"machine with a name that is far too long $x_{j}$", np.repeat([0.0, 0.9], 48)) for j in range(n)]
        return PlanPicture("plan", 1_770_181_200_000, "Europe/Paris", rows, np.r_[-0.1, np.full(23, 0.1)],
                           np.full(96, 9.0), {"bau": np.full(96, 8.0)})  # fmt: skip

    low, high = plan_figure(picture(1)), plan_figure(picture(12))
    assert high.get_figheight() > low.get_figheight()
    assert figure_bytes(high, "svg").startswith(b"<?xml")
    assert figure_bytes(low, "png")[:4] == b"\x89PNG"
