"""``nexova alerts`` as a user meets it."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml

from nexova_sim.base.errors import DataError
from nexova_sim.cli.app import run
from nexova_sim.config.alert import AlertStage, load_policy, policy_path, read_stage
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.alerts import (
    compare_policies,
    default_folder,
    judge,
    load_both,
    missed_targets,
    outline,
    read_alerts,
    read_kpi,
    run_alerts,
    run_hash,
    span_of,
)
from nexova_sim.schema.alerts import alerts_schema


@pytest.fixture(scope="module")
def folder(tiny_dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("alerts") / "isa18"
    run_alerts(tiny_dataset, load_policy("isa18"), out)
    return out


def test_run_writes_alerts_kpis_and_manifest(tiny_dataset, folder, tmp_path, capsys):
    words = ["alerts", "run", str(tiny_dataset), "--policy", "isa18", "--out", str(tmp_path / "again")]
    assert run([*words, "--json"]) == 0
    envelope = json.loads(capsys.readouterr().out)
    for name in ("alerts.parquet", "kpi.json", "policy.resolved.yaml", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    table = pq.read_table(folder / "alerts.parquet")
    assert table.schema.equals(alerts_schema(), check_metadata=True)
    assert table.num_rows == envelope["data"]["kpi"]["alerts"] > 0
    assert run(words) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_kpi_list_and_open(folder, capsys):
    assert run(["alerts", "kpi", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "average per hour" in out and "recall_frac" in out and "cooling_loss" in out
    assert run(["alerts", "kpi", str(folder), "--check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "CHECK_FAILED"
    assert run(["alerts", "list", str(folder), "--open", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["data"]
    assert shown["n"] == read_alerts(folder, is_open=True).num_rows == read_kpi(folder)["open"]
    assert run(["alerts", "list", str(folder), "--machine", "lyon-pump-001", "--limit", "2"]) == 0
    assert set(read_alerts(folder, machine="lyon-pump-001")["machine_id"].to_pylist()) <= {"lyon-pump-001"}
    assert missed_targets(read_kpi(folder))


def test_compare(tiny_dataset, capsys):
    words = ["alerts", "compare", "seed", "isa18", "--dataset", str(tiny_dataset)]
    assert run([*words, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["fewer_times"] > 20.0 and data["alerts"]["announced_a"] > 20 * data["alerts"]["announced_b"]
    assert data["events"]["events"] == data["kpi"][0]["detection"]["kinds"][0]["events"]
    assert run(words) == 0
    assert "times less" in capsys.readouterr().out
    assert compare_policies(tiny_dataset, *load_both("isa18", "isa18"))["alerts"]["episodes_lost"] == 0


def test_dry_run_and_names(tiny_dataset, tmp_path, capsys):
    assert run(["alerts", "run", str(tiny_dataset), "--out", str(tmp_path / "x"), "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["data"]
    dataset, policy = open_dataset(tiny_dataset), load_policy("isa18")
    assert plan == json.loads(json.dumps(outline(tiny_dataset, policy, tmp_path / "x"))) and not list(
        tmp_path.iterdir()
    )
    assert default_folder(dataset, policy).parent.name == "isa18-tiny"
    assert run_hash(dataset, policy) != run_hash(dataset, load_policy("seed"))
    assert span_of(dataset).reading_ms == 60_000
    assert policy_path("seed").name == "seed.yaml"
    assert read_stage(AlertStage(policy="seed", overrides=["name=x"]), tmp_path).name == "x"


def test_a_rule_that_can_judge_nothing_is_named(tiny_dataset, tmp_path, capsys):
    raw = yaml.safe_load(policy_path("isa18").read_text())
    raw["rules"] = [raw["rules"][1] | {"baseline": "hour_of_week"}]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(raw))
    words = ["alerts", "run", str(tiny_dataset), "--policy", str(tmp_path / "p.yaml"), "--out", str(tmp_path / "r")]
    assert run(words) == 0
    assert "could judge no reading of 8 machines" in capsys.readouterr().err


@pytest.mark.parametrize(("settings", "message"), [
    ("rules.0.chanel=x", "did you mean 'channel'"),
    ("rules.0.channel=temperatur_c", "did you mean 'temperature_c'"),
    ("rules.0.levels.0.clear=99.0", "beyond the limit"),
    ("rules.0.levels.1={severity: CRITICAL, limit: 10.0}", "must be beyond"),
    ("rules.1.name=temperature", "stands twice"),
    ("rules.0.repeat=reading", "no delays"),
    ("shelves=[{start: 2026-01-05T00:00:00Z, until: 2026-01-04T00:00:00Z, owner: a}]", "must be after"),
    ("shelves=[{start: 2026-01-05T00:00:00Z, until: 2026-01-06T00:00:00Z}]", "owner"),
    ("rules.2.applies_to.machines=[nope]", "not in this dataset"),
    ("rules=[]", "rules"),
])  # fmt: skip
def test_mistakes_in_a_policy(tiny_dataset, tmp_path, capsys, settings, message):
    words = ["alerts", "run", str(tiny_dataset), "--policy", "isa18", "--set", settings, "--out", str(tmp_path / "r")]
    assert run(words) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err and not (tmp_path / "r").exists()


def test_mistakes_in_folders(tiny_dataset, folder, tmp_path, capsys):
    assert run(["alerts", "run", str(tmp_path)]) == 3
    assert run(["alerts", "kpi", str(tiny_dataset)]) == 3
    assert run(["alerts", "list", str(tmp_path)]) == 3
    capsys.readouterr()
    assert run(["alerts", "list", str(folder), "--machine", "lyon-pump-01"]) == 3
    assert "did you mean 'lyon-pump-001'" in capsys.readouterr().err
    assert run(["alerts", "run", str(tiny_dataset), "--policy", "sed"]) == 2
    assert "did you mean 'seed.yaml'" in capsys.readouterr().err
    assert run(["alerts", "run", str(tiny_dataset), "--policy", "seed", "--out", str(folder)]) == 2
    (tmp_path / "manifest.json").write_text("[]")
    (tmp_path / "kpi.json").write_text("{}")
    with pytest.raises(DataError, match="no alert run"):
        read_kpi(tmp_path)


def test_one_pass_gives_the_same_as_its_table(tiny_dataset):
    from nexova_sim.alert.rules import compile_policy

    dataset = open_dataset(tiny_dataset)
    batches = []
    done = judge(dataset, compile_policy(load_policy("seed"), dataset), batches.append)
    assert sum(b.num_rows for b in batches) == done.kpi["alerts"] and done.found is not None
