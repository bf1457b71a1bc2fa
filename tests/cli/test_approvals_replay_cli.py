"""``nexova approvals replay`` at the command line."""

from __future__ import annotations

import json

from nexova_sim.cli.app import run

EXAMPLE = "configs/approval/example.yaml"


def test_replay_from_the_command_line(tmp_path, capsys):
    out = tmp_path / "o"
    assert run(["approvals", "replay", EXAMPLE, "--out", str(out), "--dry-run"]) == 0
    assert not out.exists()
    assert run(["approvals", "replay", EXAMPLE, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
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
