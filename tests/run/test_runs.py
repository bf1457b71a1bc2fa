"""Runs as they are found, shown, compared and made again."""

from __future__ import annotations

import json
import shutil

import pytest

from nexova_sim.base.errors import CheckFailedError, ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.experiment import load_experiment
from nexova_sim.run.experiment import run_experiment
from nexova_sim.run.runs import find_run, find_runs, list_runs, read_config, show_run, stage_states, state_of
from nexova_sim.run.runs_diff import change, diff_runs, flat
from nexova_sim.run.runs_verify import compare_stage, differs_in_costs, verify_run

SMALL = """
name: small
simulate:
  fleet: my-fleet.yaml
  overrides: {days: 1, dt_s: 3600, load_interval_s: 3600}
alerts: {policy: configs/alert/isa18.yaml}
report: {max_figures: 0, n_bins: 48}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs of an experiment whose fleet file is gone afterwards."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.yaml").write_text(SMALL)
    fleet = "name: my\ndays: 2\nstart: 2026-01-05T00:00:00Z\nfactories: [{id: lyon, name: Lyon, latitude_deg: 45.8, longitude_deg: 4.8, timezone: Europe/Paris, machines: {pump: 2}}]\n"  # noqa: E501
    (folder / "my-fleet.yaml").write_text(fleet)
    out = folder / "results" / "run" / "small"
    one = run_experiment(load_experiment(folder / "small.yaml"), out, jobs=1)
    two = run_experiment(load_experiment(folder / "small.yaml", (), 99), out, jobs=1)
    (folder / "my-fleet.yaml").unlink()
    return folder / "results", one, two


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "results")
    return tmp_path / "results", made[1].run_id, tmp_path / "results/run/small" / made[1].run_id


def test_every_run_is_listed_and_no_stage(made):
    root, one, two = made
    rows = list_runs(root)
    assert {row["id"] for row in rows} == {one.run_id, two.run_id} == {r.ident for r in find_runs(root)}
    row = next(row for row in rows if row["id"] == one.run_id)
    assert (
        row["name"] == "small"
        and row["state"] == "complete"
        and row["checked"] == "names, sizes"
        and row["kind"] == "run"
        and row["when"].endswith("Z")
    )
    assert row["stages"] == ["simulate", "describe", "alerts", "report"] and row["cpu_s"] > 0
    assert row["invocations"] == 1


def test_a_run_is_named_by_folder_or_by_the_first_digits_of_its_id(made):
    root, one, two = made
    assert find_run(str(one.folder)).ident == one.run_id
    n = next(k for k in range(1, 13) if one.run_id[:k] != two.run_id[:k])
    assert find_run(one.run_id[:n], root).folder == one.folder
    if n > 1:
        with pytest.raises(ConfigError, match="2 runs have an id that begins so"):
            find_run(one.run_id[: n - 1], root)
    assert find_run("latest", root).folder == two.folder and find_run("latest~1", root).folder == one.folder
    with pytest.raises(ConfigError, match="there are only 2 runs"):
        find_run("latest~2", root)
    missing = next(d * 12 for d in "0123456789abcdef" if not {one.run_id, two.run_id} & {d * 12})
    with pytest.raises(ConfigError, match=r"no run below .* begins so"):
        find_run(missing, root)
    with pytest.raises(DataError, match="no such folder, and no id"):
        find_run("../nowhere", root)
    with pytest.raises(DataError, match="holds no run"):
        find_run(str(root))
    with pytest.raises(ConfigError, match="there is none"):
        find_run("ab", root / "nothing")
    with pytest.raises(DataError, match="no such folder"):
        list_runs(root / "nothing")


def test_show_tells_configuration_stages_metrics_and_provenance(made):
    root, one, _ = made
    data = show_run(one.run_id, root)
    assert data["config"]["name"] == "small" and data["metrics"]["alerts"]["policy"] == "isa18"
    assert [s["state"] for s in data["stages"]] == ["complete"] * 4 and all(s["files"] for s in data["stages"])
    made_by = data["provenance"]
    assert (made_by["processor"]["model"] and made_by["packages"]["numba"] and made_by["seed"] == 0) or made_by["seed"]
    assert len(made_by["config_hash"]) == 64 and set(made_by["stage_hashes"]) == {s["name"] for s in data["stages"]}


def test_states_of_runs_that_are_not_whole(copied):
    root, ident, folder = copied
    description = stage_states(find_run(str(folder)))[1].folder / "description.json"
    text = description.read_text()
    description.write_text(text[::-1])  # other bytes of the same size: a list does not read them and does not say so
    assert state_of(find_run(ident, root)) == "complete"
    description.write_text(text + " ")
    assert state_of(find_run(ident, root)) == "incomplete"
    assert [s["state"] for s in show_run(ident, root)["stages"]] == ["complete", "incomplete", "complete", "complete"]
    description.write_text(text)
    shutil.rmtree(stage_states(find_run(str(folder)))[2].folder)
    assert state_of(find_run(ident, root)) == "incomplete"
    (folder / "manifest.json").write_text("{")
    assert {row["state"] for row in list_runs(root)} == {"damaged", "complete"}
    with pytest.raises(DataError, match="cannot be read"):
        show_run(ident, root)
    (folder / "config.resolved.yaml").write_text("a: [")
    with pytest.raises(DataError, match="run the experiment again"):
        read_config(folder / "config.resolved.yaml")


def test_a_sweep_has_the_name_of_its_configuration(tmp_path):
    folder = tmp_path / "elsewhere" / "0123456789ab"
    folder.mkdir(parents=True)
    manifest = {"format": "nexova-sweep", "sweep_id": folder.name, "name": "rates", "trials": ["a"], "failures": []}
    for name in ("config.resolved.yaml", "results.parquet", "summary.csv"):
        (folder / name).write_text("name: rates\n")
    for told in (manifest, {**manifest, "name": None}):
        (folder / "manifest.json").write_text(json.dumps(told))
        (row,) = list_runs(tmp_path)
        assert (row["name"], row["kind"], row["state"], row["checked"]) == ("rates", "sweep", "complete", "names")
    (folder / "summary.csv").unlink()
    (folder / "config.resolved.yaml").write_text("name: [")
    (row,) = list_runs(tmp_path)
    assert (row["name"], row["state"]) == ("elsewhere", "incomplete")


def test_diff_shows_what_differs_and_nothing_else(made):
    root, one, two = made
    found = diff_runs(one.run_id, str(two.folder), root)
    by_key = {(d.part, d.key): d for d in found.differences}
    assert by_key["config", "simulate.fleet.seed"].b == 99
    assert not [key for part, key in by_key if part in ("code", "made by")]
    assert ("inputs", "alerts.dataset") in by_key and found.n_same > 100 and found.kind == "run"
    same = diff_runs(str(one.folder), one.run_id, root)
    assert same.differences == () and same.n_same > found.n_same - len(found.differences)


def test_stages_and_datasets_are_compared_too(made):
    root, one, two = made
    simulated = [str(r.stages[0].folder) for r in (one, two)]
    assert diff_runs(*simulated).kind == "stage"
    found = diff_runs(*(f"{folder}/dataset" for folder in simulated))
    keys = {(d.part, d.key) for d in found.differences}
    assert found.kind == "dataset" and ("data", "seed") in keys and any(part == "files" for part, _ in keys)
    with pytest.raises(ConfigError, match="give two of one kind"):
        diff_runs(simulated[0], one.run_id, root)


def test_relative_change_and_leaves():
    assert change(2.0, 3.0) == 0.5 and change(-2, -1) == 0.5
    assert all(change(*pair) is None for pair in ((0, 1), (True, 2), ("a", 1), (1.0, float("nan")), (None, 1)))
    assert dict(flat({"a": [1, {"b": None}], "c": {}})) == {"a.0": 1, "a.1.b": None, "c": {}}


def test_a_run_made_again_is_the_same_though_its_files_are_gone(made, tmp_path):
    root, one, _ = made
    found = verify_run(one.run_id, root, jobs=1, scratch=tmp_path)
    assert found.is_same_code and found.differs == () and found.files > 10
    assert list(tmp_path.iterdir()) == []


def test_what_differs_is_listed_and_the_second_copy_is_removed(copied, tmp_path):
    root, ident, folder = copied
    stages = {s.name: s for s in stage_states(find_run(str(folder)))}
    description = stages["describe"].folder / "description.json"
    description.write_text(description.read_text() + " ")
    (folder / "report.html").write_text("x")
    shutil.rmtree(stages["alerts"].folder)
    scratch = tmp_path / "scratch"
    with pytest.raises(CheckFailedError, match="differ") as seen:
        verify_run(ident, root, 1, scratch)
    differs = "\n".join(seen.value.detail["differs"])
    assert "describe/description.json: damaged since" in differs
    assert "alerts: not there any more" in differs and "report.html: differs" in differs
    assert len(seen.value.detail["differs"]) == 3 and list(scratch.iterdir()) == []
    assert compare_stage(stages["simulate"], stages["simulate"].folder) == ([], [])
    assert compare_stage(stages["simulate"], None) == (["simulate: could not be made again"], [])


def test_other_bytes_are_told_from_damage(copied, tmp_path):
    _, _, folder = copied
    stage = next(s for s in stage_states(find_run(str(folder))) if s.name == "describe")
    again = tmp_path / "again"
    shutil.copytree(stage.folder, again)
    (again / "description.json").write_text('{"x": 1}')
    manifest = json.loads((again / "manifest.json").read_text())
    manifest["files"] = [{**f, "sha256": "0" * 64} for f in manifest["files"][1:]] + [
        {"path": "new", "sha256": "0", "bytes": 1}
    ]
    (again / "manifest.json").write_text(json.dumps(manifest))
    lines = "\n".join(compare_stage(stage, again)[0])
    assert "is not made any more" in lines and "was, 000000000000 is" in lines and "describe/new: is new" in lines


def test_measured_times_are_no_difference(tmp_path):
    one, other = tmp_path / "a.json", tmp_path / "b.json"
    one.write_text(json.dumps({"rows": [{"cpu_s": 1.0, "x": 1}], "training_s": 2}))
    other.write_text(json.dumps({"rows": [{"cpu_s": 1.5, "x": 1}], "training_s": 3}))
    assert differs_in_costs(one, other)
    other.write_text(json.dumps({"rows": [{"cpu_s": 1.5, "x": 2}], "training_s": 3}))
    assert not differs_in_costs(one, other) and not differs_in_costs(tmp_path / "a.txt", other)


def test_no_room_is_said_before_anything_is_made(made, tmp_path, monkeypatch):
    root, one, _ = made
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(DataError, match="are needed to make the run again"):
        verify_run(one.run_id, root, 1, tmp_path)


def test_the_commands(made, capsys, tmp_path):
    root, one, two = made
    where = ["--root", str(root)]
    assert run(["runs", "list", str(root), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["data"]) == 2
    assert run(["runs", "list", str(root)]) == 0
    assert one.run_id in capsys.readouterr().out
    assert run(["runs", "show", one.run_id, *where]) == 0
    out = capsys.readouterr().out
    assert "processor.model" in out and "alerts.announced" in out
    assert run(["runs", "show", str(one.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["meta"]["run_id"] == one.run_id
    assert run(["runs", "diff", one.run_id, two.run_id, *where]) == 0
    out, err = capsys.readouterr()
    assert "simulate.fleet.seed" in out and "values differ" in err
    assert run(["runs", "diff", one.run_id, str(one.folder), *where]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "no difference" in err
    assert run(["runs", "verify", "zz", *where]) == 3
    assert run(["runs", "show", "nowhere/x", *where]) == 3
    (tmp_path / "empty").mkdir()
    assert run(["runs", "list", str(tmp_path / "empty")]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "no run" in err


def test_verify_on_the_command_line(made, capsys, tmp_path):
    root, one, _ = made
    words = ["--root", str(root), "--jobs", "1", "--scratch", str(tmp_path)]
    assert run(["runs", "verify", one.run_id, *words]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "the same bytes" in err
