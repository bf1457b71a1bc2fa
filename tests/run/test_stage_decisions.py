"""The stage ``decisions``: what the judge found of every policy are metrics, and the fleet's bill where it was run."""

from __future__ import annotations

import json

import pytest

from nexova_sim.config.experiment import load_experiment
from nexova_sim.run.experiment import run_experiment
from nexova_sim.run.trial import flatten


@pytest.mark.parametrize("loop", ["false", "true"])
def test_what_the_judge_found_is_a_metric(tiny_dataset, tmp_path, loop):
    path = tmp_path / "small.yaml"
    section = f"{{policies: [never, scripted], loop: {loop}, overrides: [twin.futures=8, loop.most_waves=2]}}"
    path.write_text(f"name: small\ndataset: {tiny_dataset}\ndescribe: null\ndecisions: {section}\nreport: null\n")
    stage = run_experiment(load_experiment(path), tmp_path / "out", jobs=1).stages[-1]
    told = flatten(stage.metrics)
    (folder,) = {p.parent for p in (tmp_path / "out").rglob("evaluation.json")}
    found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    for row in found["policies"]:
        name = f"judged.{row['policy']}"
        assert told[f"{name}.regret_usd"] == row["regret"]["mean_usd"]
        assert told[f"{name}.n_claims"] == row["saving_claims"]["n"]
        assert told[f"{name}.claim_error_usd"] == row["saving_claims"]["mae_usd"]
        assert told[f"{name}.agreement_frac"] == row["agreement"]["share"]
    bills = {row["policy"]: row["total_usd"] for row in found["loop"]}
    assert {n.split(".")[1]: v for n, v in told.items() if n.endswith(".fleet_usd")} == bills
    assert set(bills) == ({"never", "scripted"} if loop == "true" else set())
