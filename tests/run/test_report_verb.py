"""``nexova report``: a run's report again from its folder, as a page and as Markdown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nexova_sim as nx
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.run.report import find_run, no_progress, write_report
from nexova_sim.run.report_data import pages_of


@pytest.fixture(scope="module")
def done(tiny_dataset, tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    text = f"name: e\ntitle: Both\ndataset: {tiny_dataset}\nalerts: {{policy: isa18}}\n"
    (place / "e.yaml").write_text(text + "report: {max_figures: 1, formats: [html, markdown]}\n", encoding="utf-8")
    return nx.run_experiment(nx.load_experiment(place / "e.yaml"), place / "out")


def test_an_experiment_writes_the_formats_it_is_asked_for(done):
    assert [path.name for path in done.exports] == ["report.html", "report.md"]
    text = done.exports[1].read_text(encoding="utf-8")
    assert text.startswith("# Both\n")
    assert "\n## Alerts\n" in text


def test_the_report_is_the_same_when_made_again(done, tmp_path):
    again = nx.write_report(done.folder, ("html", "markdown"), out=tmp_path / "new", progress=no_progress)
    for old, new in zip(done.exports, again.files, strict=True):
        assert old.read_bytes() == new.read_bytes()
    assert again.chapters == ("alerts",)
    assert again.run_id == done.run_id
    assert again.n_figures == 1


def test_the_newest_run_of_an_experiment_is_found(done):
    assert find_run(done.folder) == done.folder
    assert find_run(done.folder.parent) == done.folder


def test_stages_that_were_skipped_are_told(done):
    experiment = nx.load_experiment(done.folder / "config.resolved.yaml").experiment
    stages = {stage.name: stage.folder for stage in done.stages}
    inputs = {"dataset": Path(str(experiment.dataset)), "description.json": stages["describe"] / "description.json"}
    made = pages_of(experiment, experiment.report, inputs, "0" * 12, {"rul": "needs more lives"}, no_progress)
    assert "- **Left out: rul**: The stage needs more lives." in made.texts["report.md"]
    assert made.chapters == ()


def test_the_command(done, tmp_path, capsys):
    args = ["report", str(done.folder), "--format", "markdown", "--out", str(tmp_path), "--set", "max_figures=0"]
    assert run([*args, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["files"] == [str(tmp_path / "report.md")]
    assert data["figures"] == 0
    assert run([*args[:2], "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")


@pytest.mark.parametrize(("args", "code", "words"), [
    (["--format", "pdf"], 2, "no such format"), (["--set", "figures=3"], 2, "unknown key 'figures'"),
    (["--set", "max_figures=99"], 2, "max_figures"),
])  # fmt: skip
def test_wrong_flags_are_told(done, tmp_path, capsys, args, code, words):
    assert run(["report", str(done.folder), "--out", str(tmp_path), *args]) == code
    assert words in capsys.readouterr().err


def test_what_is_no_run_or_is_damaged_is_refused(done, tiny_dataset, tmp_path):
    with pytest.raises(DataError, match="not a run"):
        write_report(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_run(tmp_path / "no such folder")
    with pytest.raises(DataError, match="not a run"):
        write_report(tiny_dataset)
    shutil.copytree(done.folder.parent, tmp_path / "copy")
    folder = tmp_path / "copy" / done.folder.name
    kpi = next((tmp_path / "copy" / "stages" / "alerts").rglob("kpi.json"))
    kpi.write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match=r"damaged: alerts/kpi\.json"):
        write_report(folder, out=tmp_path)
    shutil.rmtree(tmp_path / "copy" / "stages" / "alerts")
    with pytest.raises(DataError, match="stage alerts left is not there"):
        write_report(folder, out=tmp_path)
    shutil.rmtree(tmp_path / "copy" / "stages" / "describe")
    with pytest.raises(DataError, match="stage describe left is not there"):
        write_report(folder, out=tmp_path)
    with pytest.raises(ConfigError, match="no such format"):
        write_report(folder, ("htm",))


def test_what_is_verified_is_not_damaged(done, tiny_dataset, tmp_path):
    """A page is not written over one that hashes tell of, nor among files of a dataset or stage."""
    with pytest.raises(ConfigError, match="--out"):
        write_report(done.folder, settings=["max_figures=0"])
    copy = tmp_path / "dataset"
    shutil.copytree(tiny_dataset, copy)
    for place in (copy, copy / "readings", done.stages[0].folder):
        with pytest.raises(ConfigError, match="lies inside"):
            write_report(done.folder, out=place)
    assert not list(copy.rglob("report.html"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="not a folder"):
        write_report(done.folder, out=tmp_path / "file")


def test_a_stage_that_is_gone_is_missed(done, tmp_path):
    root = tmp_path / "out"
    shutil.copytree(done.folder.parent, root)
    before = (root / done.folder.name / "report.html").read_bytes()
    shutil.rmtree(next((root / "stages" / "alerts").iterdir()))
    with pytest.raises(DataError, match="stage alerts"):
        write_report(root / done.folder.name)
    assert (root / done.folder.name / "report.html").read_bytes() == before


def test_a_run_may_be_named_as_elsewhere(done, tmp_path, monkeypatch):
    shutil.copytree(done.folder.parent, tmp_path / "results" / "run" / "e")
    monkeypatch.chdir(tmp_path)
    for name in ("latest", done.run_id[:6]):
        assert find_run(Path(name)).name == done.run_id
    with pytest.raises(ConfigError, match="only 1 run"):
        find_run(Path("latest~1"))
