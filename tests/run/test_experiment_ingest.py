"""Experiments on a real plant's files: the stage ingest, and what cannot work on such data said beforehand."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.experiment import load_experiment, restore_experiment
from nexova_sim.config.ingest_stage import IngestPart, read_ingest_stage
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.cost import cpu_seconds
from nexova_sim.run.experiment import Selection, plan_experiment, run_experiment
from nexova_sim.run.fitness import CHECKS, Facts, check_fit, facts_before, facts_of, find_unfit, skip_after
from nexova_sim.run.provenance import package_versions, processor
from nexova_sim.run.records import (
    json_text,
    read_json,
    read_manifest,
    read_provenance,
    read_resolved,
    write_json,
    write_provenance,
    write_resolved,
    write_yaml,
)
from nexova_sim.run.stage_ingest import ingest_inputs

EXPERIMENT = """
name: mine
ingest: {files: ["*.csv"], map: map.yaml}
alerts: {policy: configs/alert/isa18.yaml}
twin: {}
decisions: {}
report: {max_figures: 1, n_bins: 48}
"""
MAP = """
name: mine
timestamp: {column: time}
machine: {constant: press}
machines: {press: {kind: press, factory: hall}}
factories: [{id: hall}]
channels: {power_kw: {column: kw, unit: kW}}
"""


def write(folder, experiment=EXPERIMENT, rules=MAP, kw=(1.0, 2.0)):
    (folder / "mine.yaml").write_text(experiment, encoding="utf-8")
    (folder / "map.yaml").write_text(rules, encoding="utf-8")
    for number, level in enumerate(kw):
        lines = [f"2026-01-{number + 5:02d}T{h:02d}:{m:02d}:00Z,{level + m}" for h in range(24) for m in (0, 30)]
        (folder / f"day{number}.csv").write_text("time,kw\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return folder / "mine.yaml"


def states(stages):
    return {stage.name: stage.state for stage in stages}


def test_a_stage_that_cannot_work_is_refused_before_anything_is_written(tmp_path):
    resolved = load_experiment(write(tmp_path))
    with pytest.raises(ConfigError, match=r"stage twin needs vibration_mm_s.*stage decisions.*--set twin=null") as seen:
        run_experiment(resolved, tmp_path / "out")
    assert set(seen.value.detail["unfit"]) == {"twin", "decisions"}
    with pytest.raises(ConfigError, match="unfit: skip"):
        plan_experiment(resolved, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_or_skipped_with_its_reason_in_plan_run_records_and_report(tmp_path):
    resolved = load_experiment(write(tmp_path), ["unfit=skip"])
    plan = states(plan_experiment(resolved, tmp_path / "out"))
    assert plan == {"ingest": "to run", "describe": "to run", "alerts": "to run", "twin": "skipped",
                    "decisions": "skipped", "report": "to run"}  # fmt: skip
    done = run_experiment(resolved, tmp_path / "out")
    assert states(done.stages) == {name: state.replace("to run", "ran") for name, state in plan.items()}
    assert done.stages[0].metrics["rows"]["readings"] == 96
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert "Left out: twin" in page and "needs vibration_mm_s" in page and "nexova data verify ../stages/ingest" in page
    assert "hidden truth" in read_manifest(done.folder)["stages"]["decisions"]["skipped"]
    (record,) = read_provenance(done.folder)
    assert len(record["inputs"]) == 2 and all(len(digest) == 64 for digest in record["inputs"].values())
    assert states(run_experiment(resolved, tmp_path / "out").stages)["ingest"] == "cached"
    assert len(read_provenance(done.folder)) == 2
    only = run_experiment(resolved, tmp_path / "out", Selection(only="alerts"))
    assert states(only.stages) == {"alerts": "cached"}


def test_identity_follows_content_and_order_of_the_files_not_their_place(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    settings = ["twin=null", "decisions=null"]
    one = plan_experiment(load_experiment(write(tmp_path / "a"), settings), tmp_path / "out")
    two = plan_experiment(load_experiment(write(tmp_path / "b"), settings), tmp_path / "out")
    assert [s.id for s in one] == [s.id for s in two]
    write(tmp_path / "b", kw=(1.0, 3.0))
    changed = plan_experiment(load_experiment(tmp_path / "b/mine.yaml", settings), tmp_path / "out")
    assert not {s.id for s in one} & {s.id for s in changed}
    part = load_experiment(tmp_path / "a/mine.yaml", settings).parts["ingest"]
    assert [name for name, _ in ingest_inputs(part)] == ["day0.csv", "day1.csv"]
    turned = IngestPart(map=part.map, files=part.files[::-1], max_reject_frac=0.2)
    assert ingest_inputs(turned) == ingest_inputs(part)[::-1]


@pytest.mark.parametrize(("settings", "error", "message"), [
    (["ingest.files=[nothing.csv]"], DataError, "nothing.csv: no such file"),
    (["ingest.files=[day0.csv, day0.csv]"], DataError, "named twice"),
    (["ingest.files=[]"], ConfigError, "ingest.files"),
    (["ingest.map=mop.yaml"], ConfigError, "did you mean 'map.yaml'"),
    (["ingest.overrides=[chanels.power_kw=1]"], ConfigError, "did you mean 'channels'"),
    (["simulate.fleet=configs/fleet/tiny.yaml"], ConfigError, "got simulate and ingest"),
    (["unfit=perhaps"], ConfigError, "unfit"),
])  # fmt: skip
def test_mistakes_are_named(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        load_experiment(write(tmp_path), settings)


def test_a_seed_is_refused_and_a_broken_file_leaves_nothing(tmp_path):
    path = write(tmp_path)
    with pytest.raises(ConfigError, match=r"it has 'ingest'"):
        load_experiment(path, (), 3)
    (tmp_path / "day1.csv").write_text("time,kw\n" + "nonsense,x\n" * 50, encoding="utf-8")
    resolved = load_experiment(path, ["twin=null", "decisions=null"])
    with pytest.raises(DataError, match=r"day1\.csv"):
        run_experiment(resolved, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("manifest.json"))
    (tmp_path / "day1.csv").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        plan_experiment(resolved, tmp_path / "out")
    section = resolved.experiment.ingest
    assert [Path(f).name for f in read_ingest_stage(section, tmp_path).files] == ["day0.csv"]


def test_what_is_known_before_and_after(tmp_path, tiny_dataset):
    resolved = load_experiment(write(tmp_path), ["unfit=skip", "rul={}", "anomaly={}", "forecast={}", "energy={}"])
    before = facts_before(resolved)
    assert before.source == "ingest" and before.channels == {"power_kw"} and before.most_lives is None
    names = ("alerts", "approvals", "twin", "rul", "anomaly", "forecast", "energy", "decisions")
    assert set(find_unfit(resolved, before, names)) == {"twin", "decisions"}
    known = before._replace(most_lives=2)
    assert "at most 2" in find_unfit(resolved, known, names)["rul"]
    dark = known._replace(channels=frozenset())
    assert set(check_fit(resolved, dark, names)) == {*CHECKS, "approvals"} - {"anomaly"}
    simulated = facts_of(tiny_dataset)
    assert simulated.source == "simulate" and simulated.most_lives >= 8
    assert not find_unfit(resolved, simulated, names)
    whole = Facts("ingest", frozenset({"vibration_mm_s"}), frozenset({"press"}), 9)
    assert "of a known kind (compressor" in find_unfit(resolved, whole, ("twin",))["twin"]


def test_a_column_without_a_value_is_as_good_as_none(tmp_path):
    rules = MAP.replace("}}", "}, vibration_mm_s: {column: mms, unit: mm/s}}", 1).replace(
        "kind: press, ", "kind: pump, "
    )
    rules = MAP.replace("kw, unit: kW}}", "kw, unit: kW}, vibration_mm_s: {column: mms, unit: mm/s}}")
    path = write(tmp_path, rules=rules)
    for file in tmp_path.glob("*.csv"):
        lines = file.read_text().splitlines()
        file.write_text("\n".join([lines[0] + ",mms", *(line + "," for line in lines[1:])]) + "\n")
    settings = ["unfit=skip", "decisions=null", "ingest.overrides=[machines.press.kind=pump]"]
    resolved = load_experiment(path, settings)
    assert states(plan_experiment(resolved, tmp_path / "out"))["twin"] == "to run"
    done = run_experiment(resolved, tmp_path / "out")
    assert states(done.stages)["twin"] == "skipped"
    assert facts_of(done.stages[0].folder / "dataset").channels == {"power_kw"}
    assert open_dataset(done.stages[0].folder / "dataset").manifest.n_machines == 1


@pytest.mark.parametrize("name", ["quickstart", "decisions"])
def test_a_resolved_experiment_is_whole_in_its_record(tmp_path, name):
    resolved = load_experiment(f"configs/experiment/{name}.yaml")
    write_resolved(tmp_path, resolved)
    assert read_resolved(tmp_path) == resolved
    assert restore_experiment(json.loads((tmp_path / "experiment.resolved.json").read_text()), "x") == resolved
    with pytest.raises(ConfigError, match="parts"):
        restore_experiment({"parts": {"x": 1}}, "x")
    (tmp_path / "experiment.resolved.json").write_text("{")
    with pytest.raises(DataError, match="run the experiment again"):
        read_resolved(tmp_path)


def test_records_are_read_in_order_and_rubbish_is_passed_over(tmp_path):
    for number in range(11):
        write_provenance(tmp_path, {"started_utc": "2026-01-05T00:00:00Z", "number": number})
    (tmp_path / "provenance" / "zzz.json").write_text("[")
    assert [record["number"] for record in read_provenance(tmp_path)] == list(range(11))
    write_json(tmp_path / "a.json", {"b": 1})
    assert read_json(tmp_path / "a.json") == {"b": 1} and (tmp_path / "a.json").read_text() == json_text({"b": 1})
    assert read_json(tmp_path / "none.json") is None and read_manifest(tmp_path) is None
    write_yaml(tmp_path / "a.yaml", {"é": [1, None]})
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == "é:\n- 1\n- null\n"


def test_cost_counts_the_work_of_children():
    busy = "import time\nwhile time.process_time() < 0.4: pass\ninput()"
    before = cpu_seconds()
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE) as child:
        until = time.monotonic() + 60
        while cpu_seconds() - before < 0.4 and time.monotonic() < until:
            time.sleep(0.05)
        assert cpu_seconds() - before >= 0.4
        child.communicate(b"\n")
    assert cpu_seconds() - before >= 0.4


def test_provenance_names_machine_and_packages():
    assert processor()["cores"] >= processor()["cores_usable"] >= 1 and processor()["model"]
    found = package_versions()
    assert {"python", "numpy", "numba", "scipy", "pandas", "duckdb", "llvmlite"} <= set(found) and "ruff" not in found


def test_data_that_are_too_short_are_skipped_or_refused(tmp_path):
    """Anomalies cannot be learned from two days; with skip the report says so, without it the run ends there."""
    experiment = EXPERIMENT.replace("twin: {}\ndecisions: {}", "anomaly: {}")
    written = write(tmp_path, experiment)
    with pytest.raises(DataError):
        run_experiment(load_experiment(written), tmp_path / "refused")
    done = run_experiment(load_experiment(written, ["unfit=skip"]), tmp_path / "skipped")
    states = {stage.name: stage.state for stage in done.stages}
    assert states["anomaly"] == "skipped" and states["report"] == "ran"
    assert read_manifest(done.folder)["stages"]["anomaly"]["skipped"].startswith("could not work on these data: ")


def test_what_may_be_skipped_afterwards(tmp_path):
    skip, refuse = (load_experiment(write(tmp_path), [f"unfit={word}"]) for word in ("skip", "refuse"))
    names = ("alerts", "approvals", "report")
    assert set(skip_after(skip, "alerts", names, DataError("too short"))) == {"alerts", "approvals"}
    refused = DataError("the disk is full")
    refused.__cause__ = OSError(28, "No space left on device")
    for resolved, name, error in ((refuse, "alerts", DataError("too short")), (skip, "alerts", refused),
                                  (skip, "report", DataError("too short"))):  # fmt: skip
        with pytest.raises(DataError):
            skip_after(resolved, name, names, error)
