"""Stages: made once, made again when anything they depend on changes or is damaged, resumed when interrupted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import MappingProxyType

import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.experiment import ExperimentConfig, ReportStage, load_experiment
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run import experiment, stages
from nexova_sim.run.experiment import Selection, default_root, enabled, find_damage, plan_experiment, run_experiment
from nexova_sim.run.provenance import git_state, provenance
from nexova_sim.run.report_data import collect, making_of
from nexova_sim.run.stage import stage_code
from nexova_sim.run.stages_data import report_stage

TINY = """
name: small
title: Small plant
simulate:
  fleet: configs/fleet/tiny.yaml
  overrides:
    days: 1
    factories: {"0": {machines: {pump: 1, motor: 1, compressor: 0, conveyor: 1}}}
    faults: {scheduled: []}
report: {max_figures: 1, n_bins: 48}
"""


def write(folder, text=TINY):
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def states(result):
    return [stage.state for stage in result.stages]


def files(folder):
    return {
        p.relative_to(folder).as_posix(): hash_file(p)
        for p in folder.rglob("*")
        if p.is_file() and p.parent.name != "provenance"
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    resolved = load_experiment(write(folder))
    return resolved, folder / "out", run_experiment(resolved, folder / "out", jobs=1)


@pytest.fixture
def copied(first, tmp_path):
    resolved, out, _ = first
    shutil.copytree(out, tmp_path / "out")
    return resolved, tmp_path / "out"


def test_a_run_leaves_dataset_description_report_and_records(first):
    resolved, out, result = first
    assert states(result) == ["ran"] * 3 and [s.name for s in result.stages] == list(enabled(resolved))
    assert open_dataset(result.stages[0].folder / "dataset").manifest.n_machines == 3
    assert result.folder == out / result.run_id and result.exports == (result.folder / "report.html",)
    page = result.exports[0].read_text(encoding="utf-8")
    assert "Small plant" in page and "lyon-pump-001" in page
    metrics = json.loads((result.folder / "metrics.json").read_text())
    assert metrics["simulate"]["rows"]["readings"] == 3 * 1440 - metrics["describe"]["missing_rows"]
    assert metrics["report"]["bytes"] == len(page.encode())
    record = json.loads(next((result.folder / "provenance").iterdir()).read_text())
    assert (
        record["run_id"] == result.run_id
        and record["seed"] == 7
        and record["cpu_s"] > 0
        and record["packages"]["numpy"]
    )
    again = load_experiment(result.folder / "config.resolved.yaml")
    assert again == resolved


def test_second_run_does_nothing_and_changes_nothing(copied):
    resolved, out = copied
    before = files(out)
    result = run_experiment(resolved, out)
    assert states(result) == ["cached"] * 3 and files(out) == before
    assert len(list((result.folder / "provenance").iterdir())) == 2
    assert all(find_damage(s.folder, s.id) is None for s in result.stages)


def test_from_makes_the_same_bytes_again(copied):
    resolved, out = copied
    before = files(out)
    assert states(run_experiment(resolved, out, Selection(first="describe"), jobs=2)) == ["cached", "ran", "ran"]
    assert files(out) == before


def test_whole_run_elsewhere_gives_the_same_bytes(first, tmp_path):
    resolved, out, _ = first
    run_experiment(resolved, tmp_path / "other", jobs=2)
    assert files(tmp_path / "other") == files(out)


@pytest.mark.parametrize(("stage", "path"), [
    (0, "dataset/labels/part-00000.parquet"), (1, "description.json"), (2, "report.html"), (2, "manifest.json"),
    (1, "metrics.json"),
])  # fmt: skip
@pytest.mark.parametrize("how", ["flip", "delete", "truncate"])
def test_damage_is_found_and_only_that_stage_made_again(copied, stage, path, how):
    resolved, out = copied
    before = files(out)
    name = ("simulate", "describe", "report")[stage]
    target = next((out / "stages" / name).iterdir()) / path
    data = bytearray(target.read_bytes())
    if how == "delete":
        target.unlink()
    else:
        data[len(data) // 2] ^= 1
        target.write_bytes(data if how == "flip" else data[: len(data) // 2])
    plan = plan_experiment(resolved, out)
    result = run_experiment(resolved, out, jobs=1)
    assert [s.state == "to run" for s in plan] == [s == "ran" for s in states(result)] == [i == stage for i in range(3)]
    assert plan[stage].why == result.stages[stage].why == f"damaged: {path}"
    assert files(out) == before


def test_a_deleted_stage_is_made_again(copied):
    resolved, out = copied
    before = files(out)
    shutil.rmtree(out / "stages/simulate")
    assert states(run_experiment(resolved, out, jobs=1)) == ["ran", "cached", "cached"]
    assert files(out) == before


def test_what_is_made_again_is_what_the_change_reaches(first, tmp_path):
    _, out, result = first
    path = write(tmp_path)
    plan = plan_experiment(load_experiment(path, ["report.max_figures=0"]), out)
    assert [s.state for s in plan] == ["cached", "cached", "to run"]
    plan = plan_experiment(load_experiment(path, ["simulate.overrides.days=2"]), out)
    assert [s.state for s in plan] == ["to run"] * 3 and not {s.id for s in plan} & {s.id for s in result.stages}
    plan = plan_experiment(load_experiment(path, (), 99), out)
    assert [s.state for s in plan] == ["to run"] * 3


def test_a_change_of_code_is_a_change(first, monkeypatch):
    resolved, out, _ = first
    changed = dict(stages.STAGES)
    changed["report"] = changed["report"]._replace(rooms=("base",))
    monkeypatch.setattr(experiment, "STAGES", MappingProxyType(changed))
    assert [s.state for s in plan_experiment(resolved, out)] == ["cached", "cached", "to run"]


def test_code_of_a_stage_covers_its_template_and_its_rooms():
    package = Path(stages.__file__).resolve().parent.parent
    for stage in stages.STAGES.values():
        assert len(stage_code(stage)) == 64
        assert all((package / room).is_dir() for room in stage.rooms) and all(
            (package / f).is_file() for f in stage.files
        )
    unread = {p.name for p in (package / "report").iterdir() if p.is_file() and p.suffix != ".py"}
    assert unread == {Path(f).name for f in stages.STAGES["report"].files if f.startswith("report/")}


def test_the_report_uses_what_the_stages_before_it_leave():
    assert stages.STAGES["report"].uses == report_stage(stages.STAGES["report"].uses).uses
    left = {s.gives for s in stages.STAGES.values()} - {"dataset", "description.json", "report.html"}
    assert set(stages.STAGES["report"].uses) == left


def test_interrupted_run_resumes_and_gives_the_same_bytes(first, tmp_path, monkeypatch):
    resolved, out, _ = first

    def interrupt(work):
        (work.folder / "half.tmp").write_text("half")
        raise KeyboardInterrupt

    broken = dict(stages.STAGES)
    broken["report"] = broken["report"]._replace(run=interrupt)
    monkeypatch.setattr(experiment, "STAGES", MappingProxyType(broken))
    with pytest.raises(KeyboardInterrupt):
        run_experiment(resolved, tmp_path / "out", jobs=1)
    monkeypatch.undo()
    assert [s.state for s in plan_experiment(resolved, tmp_path / "out")] == ["cached", "cached", "to run"]
    assert states(run_experiment(resolved, tmp_path / "out", jobs=1)) == ["cached", "cached", "ran"]
    assert files(tmp_path / "out") == files(out)


def test_simulate_resumes_inside_its_own_folder(first, tmp_path):
    resolved, out, result = first
    seen = []

    def watch(stage, done, _total):
        seen.append(stage)
        if stage == "simulate" and done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(resolved, tmp_path / "out", jobs=1, watch=watch)
    partial = tmp_path / "out/stages/simulate" / f"{result.stages[0].id}.partial"
    assert list(partial.rglob("*.parquet")) and not (partial / "manifest.json").exists()
    run_experiment(resolved, tmp_path / "out", jobs=1)
    assert seen and files(tmp_path / "out") == files(out)


def test_only_needs_its_inputs(copied, tmp_path):
    resolved, out = copied
    assert [s.name for s in run_experiment(resolved, out, Selection(only="report")).stages] == ["report"]
    with pytest.raises(DataError, match="stage simulate, which is not there; run without --only"):
        run_experiment(resolved, tmp_path / "fresh", Selection(only="report"))
    assert not (tmp_path / "fresh").exists()


@pytest.mark.parametrize(("selection", "message"), [
    (Selection(only="reprot"), "did you mean 'report'"), (Selection(first="describ"), "did you mean 'describe'"),
    (Selection("report", "report"), "exclude each other"),
])  # fmt: skip
def test_unknown_stages_are_refused(first, selection, message):
    resolved, out, _ = first
    with pytest.raises(ConfigError, match=message):
        run_experiment(resolved, out, selection)


def test_given_dataset_instead_of_a_simulation(tiny_dataset, tmp_path):
    path = write(tmp_path, f"name: given\ndataset: {tiny_dataset}\nreport: {{max_figures: 0}}\n")
    resolved = load_experiment(path)
    result = run_experiment(resolved, tmp_path / "out")
    assert [s.name for s in result.stages] == ["describe", "report"]
    assert states(run_experiment(resolved, tmp_path / "out")) == ["cached", "cached"]
    with pytest.raises(ConfigError, match=r"no section 'simulate', only describe, report"):
        run_experiment(resolved, tmp_path / "out", Selection(only="simulate"))
    with pytest.raises(ConfigError, match="simulates nothing"):
        load_experiment(path, (), 3)
    with pytest.raises(ConfigError, match=r"report needs description.json, which stage describe leaves"):
        plan_experiment(load_experiment(path, ["describe=null"]), tmp_path / "out")
    with pytest.raises(DataError, match="no such dataset folder"):
        plan_experiment(load_experiment(path, [f"dataset={tmp_path}/none"]), tmp_path / "out")
    fleet = collect(
        tiny_dataset, result.stages[0].folder / "description.json", ReportStage(), lambda _done, _total: None
    )
    assert fleet.series.n_valid.shape[1] == 8 and fleet.health.shape[0] == 8
    assert making_of(tiny_dataset, "abc", None, fleet.manifest).commands[1] == "nexova data verify DATASET"


@pytest.mark.parametrize(("text", "message"), [
    ("name: x\n", "exactly one of the section 'simulate'"),
    ("name: x\ndataset: a\nsimulate: {fleet: b}\n", "exactly one of the section 'simulate'"),
    ("name: x\nsimulat: {fleet: b}\n", "unknown key 'simulat'; did you mean 'simulate'"),
    ("name: ../x\ndataset: a\n", r"name: .*got '\.\./x'"),
    ("name: x\nsimulate: {fleet: configs/fleet/tiny.yaml, overrides: {dayz: 1}}\n",
     "unknown key 'dayz'; did you mean 'days'"),
    ("name: x\nsimulate: {fleet: configs/fleet/tinny.yaml}\n", "did you mean 'tiny.yaml'"),
    ("name: x\ndataset: a\nreport: {max_figures: 1000}\n", "report.max_figures"),
    ("- x\n", "top level must be a mapping"),
])  # fmt: skip
def test_wrong_experiments_say_what_is_wrong(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_experiment(write(tmp_path, text))


def test_overrides_take_dates_and_lists(tmp_path):
    path = write(tmp_path)
    fleet = load_experiment(
        path, ["simulate.overrides.start=2026-02-01T00:00:00Z", "simulate.overrides.faults.only=[overload]"]
    ).fleet
    assert fleet.fleet.start.isoformat() == "2026-02-01T00:00:00+00:00" and fleet.fleet.faults.only == ["overload"]


def test_registry_and_configuration_name_the_same_stages():
    assert set(stages.STAGES) == set(ExperimentConfig.model_fields) - {"name", "title", "dataset", "unfit"}
    given: set[str] = set()
    for stage in stages.STAGES.values():
        assert set(stage.needs) <= given
        given.add(stage.gives)
    with pytest.raises(TypeError):
        stages.STAGES["x"] = stages.STAGES["report"]
    with pytest.raises(ConfigError, match=r"--only x: there is no such stage"):
        stages.check_stage("x", "--only")


def test_target_that_is_a_file_or_cannot_be_written(first, tmp_path):
    resolved, _, _ = first
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="is not a folder"):
        run_experiment(resolved, tmp_path / "file")
    assert default_root(resolved, tmp_path) == tmp_path / "run/small"


def test_provenance_tells_where_the_code_came_from():
    from datetime import UTC, datetime

    record = provenance(datetime(2026, 1, 5, 6, tzinfo=UTC), "abc", None, [{"cpu_s": 1.5}, {"cpu_s": 0.25}])
    assert record["started_utc"] == "2026-01-05T06:00:00Z" and record["cpu_s"] == 1.75
    state = git_state()
    assert state is None or (len(state["commit"]) == 40 and isinstance(state["is_dirty"], bool))
