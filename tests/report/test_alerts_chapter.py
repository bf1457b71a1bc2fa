"""The alerts chapter and the stage that feeds it."""

from __future__ import annotations

import json

import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.cli.app import run
from nexova_sim.config.alert import load_policy
from nexova_sim.report.alerts import alerts_html, figure_text
from nexova_sim.report.chapters import make_chapters
from nexova_sim.run.alerts import run_alerts


@pytest.mark.parametrize("policy", ["seed", "isa18"])
def test_chapter_shows_targets_and_what_is_open(tiny_dataset, tmp_path, policy):
    done = run_alerts(tiny_dataset, load_policy(policy), tmp_path / "alerts")
    html, css = alerts_html(done.folder)
    assert html.count("<tr><th") >= 9 and "Unresolved" in html and "</style" not in css
    assert ("✗" in html) is any(not met for o in done.kpi["operators"] for met in o["is_met"].values())
    assert [c.id for c in make_chapters({"alerts": done.folder})] == ["alerts"]


def test_names_are_text(tiny_dataset, tmp_path):
    done = run_alerts(tiny_dataset, load_policy("isa18"), tmp_path / "alerts")
    kpi = done.kpi | {"policy": "<script>x</script>"}
    (done.folder / "kpi.json").write_text(json.dumps(kpi))
    assert "<script>" not in alerts_html(done.folder)[0]
    (done.folder / "kpi.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        alerts_html(done.folder)


def test_words_of_figures():
    assert figure_text("flood_frac", 0.034) == "3.4" and figure_text("peak_10_min", 1234) == "1\u202f234"
    assert figure_text("priority_frac", [0.8, 0.15, 0.05]) == "80 / 15 / 5"


def test_the_stage_runs_in_an_experiment(tiny_dataset, tmp_path, capsys):
    config = tmp_path / "e.yaml"
    config.write_text(f"name: e\ndataset: {tiny_dataset}\nalerts: {{policy: isa18}}\nreport: {{max_figures: 0}}\n")
    assert run(["run", "--config", str(config), "--out", str(tmp_path / "out"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert [s["stage"] if "stage" in s else s["name"] for s in data["stages"]] == ["describe", "alerts", "report"]
    page = next((tmp_path / "out").rglob("report.html")).read_text(encoding="utf-8")
    assert 'id="h-alerts"' in page
