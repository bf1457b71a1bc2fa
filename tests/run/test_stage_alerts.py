"""The stage ``alerts``: its metrics say how many alarms there were and what of the labelled faults they found."""

from __future__ import annotations

import pytest

from nexova_sim.config.alert import load_policy
from nexova_sim.config.experiment import load_experiment
from nexova_sim.run.alerts import run_alerts
from nexova_sim.run.experiment import run_experiment
from nexova_sim.run.trial import flatten


@pytest.mark.parametrize("policy", ["seed", "isa18"])
def test_what_was_found_is_a_metric(tiny_dataset, tmp_path, policy):
    path = tmp_path / "small.yaml"
    path.write_text(
        f"name: small\ndataset: {tiny_dataset}\ndescribe: null\nalerts: {{policy: {policy}}}\nreport: null\n"
    )
    (stage,) = [s for s in run_experiment(load_experiment(path), tmp_path / "out", jobs=1).stages if s.name == "alerts"]
    kpi = run_alerts(tiny_dataset, load_policy(policy), tmp_path / "alone").kpi
    told = flatten(stage.metrics)
    assert told["announced"] == kpi["announced"]
    assert told["precision_frac"] == kpi["detection"]["precision_frac"]
    rows = {row["kind"]: row for row in kpi["detection"]["kinds"]}
    assert told["faults.all.recall_frac"] == rows["all faults"]["recall_frac"]
    assert {name.split(".")[1] for name in told if name.startswith("faults.")} == {
        "all", *(kind.replace(": ", "_") for kind in rows if kind != "all faults")}  # fmt: skip
    for kind, row in rows.items():
        if kind != "all faults":
            assert told[f"faults.{kind.replace(': ', '_')}.chance_frac"] == row["chance_frac"]


def test_nothing_is_found_where_nothing_is_labelled(tmp_path):
    path = tmp_path / "quiet.yaml"
    path.write_text("""
name: quiet
simulate: {fleet: configs/fleet/tiny.yaml, overrides: {days: 1, faults: {random: false, scheduled: []}}}
describe: null
alerts: {policy: isa18}
report: null
""")
    stage = run_experiment(load_experiment(path), tmp_path / "out", jobs=1).stages[-1]
    assert stage.name == "alerts"
    assert "announced" in stage.metrics
    assert "faults" not in stage.metrics
