"""``nexova energy tune`` and ``evaluate``: files, envelope, resuming, the lock of the test days, hostile input."""

from __future__ import annotations

import json
import shutil

import pytest

from nexova_sim.cli.app import run
from nexova_sim.config.study import load_evaluate, load_tune
from nexova_sim.run.bench_energy import (
    BENCHMARKS,
    bound_cpu,
    env_rate,
    env_rate_256,
    env_rate_1024,
    mpc_ratio,
    ppo_rate,
)
from nexova_sim.run.energy import config_text, json_text, read_summary, seal, write_texts
from nexova_sim.run.energy_evaluate import contestants, evaluate, model_paths, outline_evaluate
from nexova_sim.run.energy_tune import default_folder, outline_tune, tune

RULE, BIDS, EVALUATE = (f"configs/energy/{name}.yaml" for name in ("tune_rule", "tune_bids", "evaluate"))
SMALL = ("--set", "iterations=3", "--set", "population=8", "--set", "n_days=8")


def call(capsys, *arguments):
    code = run(["energy", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_tuning_leaves_models_that_evaluate_reads(capsys, tmp_path):
    out = tmp_path / "bids"
    code, text, notes = call(capsys, "tune", "--config", BIDS, *SMALL, "--set", "seeds=[3,4]", "--out", out)
    assert code == 0
    assert text == f"{out}\n" and "validation $/day" in notes
    assert "model.json" in notes
    assert sorted(p.name for p in out.iterdir()) == [
        "config.resolved.yaml", "history-3.csv", "history-4.csv", "manifest.json", "model-3.json", "model-4.json",
        "model.json", "summary.json",
    ]  # fmt: skip
    assert call(capsys, "tune", "--config", BIDS, *SMALL, "--set", "seeds=[3,4]", "--out", out, "--json")[1].count(
        '"was_there": true'
    )
    models = json.dumps({"bids": [str(out / "model-3.json"), str(out / "model-4.json")]})
    world = "shifted=[{name: dear-peak, overrides: [tariff.peak_factor=2.5]}]"
    flags = ("--set", f"models={models}", "--set", "controllers=[bau,bids]", "--set", "baseline=bau", "--set", world)
    code, text, _ = call(capsys, "evaluate", *flags, "--out", tmp_path / "e", "--json")
    data = json.loads(text)["data"]
    assert (code, data["n_days"], data["part"]) == (0, 256, "validation")
    rows = {row["controller"]: row for row in data["controllers"]}
    assert (rows["bau"]["n_seeds"], rows["bids"]["n_seeds"], len(rows["bids"]["tuning"])) == (1, 2, 2)
    assert data["differences"][0]["usd_per_day"]["high"] < 0.0
    assert set(data["shifted"]) == {"dear-peak"}
    lines = (tmp_path / "e" / "days.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "day,bau_usd,bids_0_usd,bids_1_usd"
    assert len(lines) == 257
    assert read_summary(tmp_path / "e", "evaluation.json")["differences"] == data["differences"]


def test_a_killed_search_keeps_the_seeds_it_finished(tmp_path):
    resolved = load_tune(RULE, ["iterations=3", "population=8", "n_days=8", "seeds=[1,2]"])
    whole = tune(resolved, tmp_path / "whole")
    calls = []

    def stop(done, total):
        calls.append(done)
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(resolved, tmp_path / "cut", progress=stop)
    assert not (tmp_path / "cut").exists()
    assert (tmp_path / "cut.partial" / "model-1.json").is_file()
    before = (tmp_path / "cut.partial" / "model-1.json").stat().st_mtime_ns
    done = tune(resolved, tmp_path / "cut")
    assert (tmp_path / "cut" / "model-1.json").stat().st_mtime_ns == before
    assert done.summary["parameters"] == whole.summary["parameters"]


def test_the_locked_test_days_open_by_one_flag_and_only_unchanged(capsys, tmp_path):
    flags = ("--set", "controllers=[bau,flat]", "--set", "baseline=bau", "--set", "shifted=[]")
    code, _, notes = call(capsys, "evaluate", *flags, "--days", "test", "--out", tmp_path / "e")
    assert code == 0
    assert "512 test days" in notes
    for name in ("study", "workshop"):
        shutil.copy(f"configs/energy/{name}.yaml", tmp_path)
    study = tmp_path / "study.yaml"
    study.write_text(study.read_text(encoding="utf-8").replace("n_test: 512", "n_test: 511"), encoding="utf-8")
    code, _, errors = call(
        capsys, "evaluate", *flags, "--set", f"study={study}", "--days", "test", "--out", tmp_path / "f"
    )
    assert code == 1
    assert "test_sha256" in errors
    assert not (tmp_path / "f").exists()


def test_the_built_in_models_fit_the_built_in_site():
    resolved = load_evaluate(EVALUATE)
    found = {c.name: len(c.controllers) for c in contestants(resolved, resolved.study.site)}
    assert found == {
        "bau": 1,
        "flat": 1,
        "tou": 1,
        "rule": 5,
        "bids": 5,
        "context": 5,
        "ppo": 5,
        "ppo_tuned": 5,
        "ppo_alone": 5,
        "sac": 1,
    }
    assert {name: len(paths) for name, paths in model_paths(resolved).items()} == {
        "rule": 5, "bids": 5, "context": 5, "ppo": 5, "ppo_tuned": 5, "ppo_alone": 5,
        "sac": 1}  # fmt: skip


def test_a_dry_run_says_what_and_writes_nothing(capsys, tmp_path):
    code, text, _ = call(capsys, "tune", "--config", BIDS, "--dry-run", "--out", tmp_path / "x")
    assert (code, "parameters: 49" in text, list(tmp_path.iterdir())) == (0, True, [])
    assert call(capsys, "evaluate", "--dry-run", "--days", "test")[0] == 0
    assert outline_tune(load_tune(RULE))["parameters"] == 7
    assert outline_evaluate(load_evaluate(EVALUATE), "test")["days"] == 512
    assert "energy-tune" in str(default_folder(load_tune(RULE)))


@pytest.mark.parametrize(("flags", "code", "words"), [
    (("tune", "--config", RULE, "--set", "population=7"), 2, "even"),
    (("tune", "--config", RULE, "--set", "method=ppo"), 2, "method"),
    (("tune", "--config", RULE, "--set", "seeds=[1,1]"), 2, "differ"),
    (("tune", "--config", RULE, "--set", "iterations=10000", "--set", "n_days=100000"), 2, "training days of a seed"),
    (("tune", "--config", "configs/energy/none.yaml"), 2, "no such file"),
    (("evaluate", "--days", "train"), 2, "validation"),
    (("evaluate", "--set", "controllers=[bau,beds]"), 2, "bids"),
    (("evaluate", "--set", "controllers=[bau,bau]", "--set", "baseline=bau"), 2, "twice"),
    (("evaluate", "--set", "baseline=tou", "--set", "controllers=[bau]"), 2, "among"),
    (("evaluate", "--set", "models={}"), 2, "energy tune"),
    (("evaluate", "--set", "models.rule=[none.json]"), 2, "no such file"),
    (("evaluate", "--set", "models.rule=[models/bids-0.json]"), 2, "another method"),
    (("evaluate", "--set", "models.rule=[study.yaml]"), 3, "damaged"),
    (("evaluate", "--set", "study=configs/fleet/tiny.yaml"), 2, "unknown key"),
])  # fmt: skip
def test_bad_input_is_refused(capsys, tmp_path, flags, code, words):
    got, _, errors = call(capsys, *flags, "--out", tmp_path / "x")
    assert got == code, errors
    assert words in errors
    assert not (tmp_path / "x").exists()


def test_an_infeasible_quota_and_an_empty_site_are_refused_as_configuration(capsys, tmp_path):
    for name in ("study", "workshop"):
        shutil.copy(f"configs/energy/{name}.yaml", tmp_path)
    text = (tmp_path / "workshop.yaml").read_text(encoding="utf-8")
    for changed, words in (
        (text.replace("quota_frac: [0.4, 0.8]", "quota_frac: [0.4, 1.5]"), "infeasible quota"),
        (text.partition("machines:")[0] + "machines: []\n", "no machines"),
    ):
        (tmp_path / "workshop.yaml").write_text(changed, encoding="utf-8")
        (tmp_path / "study.yaml").write_text("name: s\nsite: workshop.yaml\n", encoding="utf-8")
        code, _, errors = call(capsys, "tune", "--config", RULE, "--set", f"study={tmp_path}/study.yaml")
        assert code == 2
        assert words in errors


def test_the_public_face_evaluates(tmp_path):
    resolved = load_evaluate("configs/energy/evaluate_quick.yaml", ["controllers=[flat,tou]", "baseline=flat"])
    done = evaluate(resolved, "validation", tmp_path / "e")
    assert json.loads(json_text(done.summary)) == done.summary
    assert "controllers" in config_text(resolved)
    assert callable(seal)
    assert callable(write_texts)


def test_benchmarks_measure_what_they_say():
    assert {b.measure for b in BENCHMARKS.values()} == {env_rate_256, env_rate_1024, ppo_rate, bound_cpu, mpc_ratio}
    assert env_rate(8) > 0.05
