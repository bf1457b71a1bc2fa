"""``nexova approvals replay`` at the command line."""

from __future__ import annotations

import json

from nexova_sim.cli.app import run
from nexova_sim.config.alert import load_policy
from nexova_sim.run.alerts import run_alerts
from nexova_sim.run.approvals_script import factories_of

EXAMPLE = "configs/approval/example.yaml"


def test_replay_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "o"
    assert run(["approvals", "replay", EXAMPLE, "--out", str(out), "--dry-run"]) == 0
    assert not out.exists()
    assert run(["approvals", "replay", EXAMPLE, "--out", str(out)]) == 0
    made, shown = capsys.readouterr()
    assert made.splitlines()[-1] == str(out)
    assert "lead time, median" in shown
    assert "APPROVAL_NEEDED" in shown
    assert run(["approvals", "replay", EXAMPLE, "--out", str(out), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert data["summary"]["denied"] == 4


def test_what_is_wrong_is_said_with_the_right_exit_code(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("at,machine_id,action,by\n2026-01-05T08:00:00Z,m1,aprove,o\n")
    for words, code, told in (
        (["none.yaml"], 2, "no such file"),
        ([str(tmp_path / "bad.csv")], 2, "bad.csv:2: action"),
        ([str(tmp_path)], 3, "alerts.parquet"),
        ([EXAMPLE, "--set", "approve_frac=2"], 2, "approve_frac"),
        ([EXAMPLE, "--set", "reviewers=[{email: a@x, hours: {from: '6', to: '7'}}]"], 2, "time of day"),
        ([EXAMPLE, "--set", "reviewers=[{email: a@x, zone: Mars/Olympus}]"], 2, "no time zone"),
        ([EXAMPLE, "--set", "reviewers=[{email: a@x}, {email: A@x}]"], 2, "stands twice"),
        ([EXAMPLE, "--policy", "configs/approval/defualt.yaml"], 2, "default.yaml"),
    ):
        assert run(["approvals", "replay", *words, "--out", str(tmp_path / "o")]) == code
        assert told in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_reviewers_of_one_factory_need_to_know_where_machines_stand(tiny_dataset, tmp_path, capsys):
    alerts = run_alerts(tiny_dataset, load_policy("isa18"), tmp_path / "alerts").folder
    words = ["approvals", "replay", str(alerts), "--set", "alerts.severity=WARNING", "--json", "--set",
             "reviewers=[{email: sue@x, factory: lyon}]"]  # fmt: skip
    assert run([*words, "--out", str(tmp_path / "a")]) == 0
    nowhere = json.loads(capsys.readouterr().out)["data"]["summary"]
    assert run([*words, "--out", str(tmp_path / "b"), "--dataset", str(tiny_dataset)]) == 0
    there = json.loads(capsys.readouterr().out)["data"]["summary"]
    assert nowhere["outcomes"]["APPROVED"] == 0 < there["outcomes"]["APPROVED"]
    assert set(factories_of(tiny_dataset).values()) == {"lyon"}
    assert run(["approvals", "replay", EXAMPLE, "--dataset", str(tiny_dataset)]) == 2
    assert run([*words, "--dataset", str(tmp_path)]) == 3
