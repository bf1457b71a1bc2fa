"""``nexova run`` as a user meets it: streams, envelope, exit codes, plan."""

from __future__ import annotations

import json

import pytest

from nexova_sim.cli.app import run

QUICKSTART = "configs/experiment/quickstart.yaml"
STAGES = ("simulate", "describe", "alerts", "approvals", "twin", "rul", "anomaly", "forecast", "energy", "decisions",
          "report")  # fmt: skip
SMALL = [
    "--set",
    "simulate.fleet=configs/fleet/tiny.yaml",
    "--set",
    "simulate.overrides.days=1",
    "--set",
    "report.max_figures=0",
    *(word for name in STAGES[2:-1] for word in ("--set", f"{name}=null")),
]


def nexova(*words):
    return run(["run", "--config", QUICKSTART, *words])


def test_dry_run_shows_the_plan_and_writes_nothing(tmp_path, capsys):
    assert nexova("--dry-run", "--out", str(tmp_path / "out")) == 0
    out, err = capsys.readouterr()
    assert [line.split()[:3] for line in out.splitlines()[2:]] == [[s, "to", "run"] for s in STAGES]
    assert err == "" and not (tmp_path / "out").exists()


def test_run_prints_the_report_then_has_nothing_to_do(tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), "--jobs", "1"]
    assert nexova(*SMALL, *out) == 0
    stdout, err = capsys.readouterr()
    report = tmp_path / "out" / stdout.split("/")[-2] / "report.html"
    assert stdout == f"{report}\n" and report.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["simulate", "ran"],
        ["describe", "ran"],
        ["report", "ran"],
    ]
    assert nexova(*SMALL, *out, "--json", "--quiet") == 0
    stdout, err = capsys.readouterr()
    envelope = json.loads(stdout)
    assert envelope["status"] == "success" and envelope["meta"]["run_id"] == report.parent.name and err == ""
    assert [s["state"] for s in envelope["data"]["stages"]] == ["cached"] * 3
    assert envelope["data"]["exports"] == [str(report)]
    assert nexova(*SMALL, *out, "--from", "report", "--dry-run", "--json") == 0
    assert [s["state"] for s in json.loads(capsys.readouterr().out)["data"]["stages"]] == ["cached", "cached", "to run"]


@pytest.mark.parametrize(("words", "code", "message"), [
    (["--only", "reprot"], 2, "did you mean 'report'"),
    (["--from", "simulat"], 2, "did you mean 'simulate'"),
    (["--only", "report", "--from", "report"], 2, "exclude each other"),
    (["--only", "report"], 3, "run without --only"),
    (["--set", "repot.max_figures=1"], 2, "did you mean 'report'"),
    (["--set", "simulate=null", "--set", "dataset=nowhere"], 3, "no such dataset folder"),
    (["--seed", "-1"], 2, "--seed"),
])  # fmt: skip
def test_mistakes_end_with_a_message_and_an_exit_code(tmp_path, capsys, words, code, message):
    assert nexova("--out", str(tmp_path / "out"), *words) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and message in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_missing_config_is_a_usage_error(capsys):
    assert run(["run"]) == 2
    assert "--config" in capsys.readouterr().err


def test_dry_run_refuses_what_the_run_refuses(tmp_path, tiny_dataset, capsys):
    words = ["run", "--config", "configs/experiment/small.yaml", "--dry-run"]
    (tmp_path / "file").write_text("x")
    for more, code, told in (
        (["--out", tmp_path / "file"], 2, "not a folder"),
        (["--out", tiny_dataset / "runs"], 2, "lies inside the dataset"),
        (["--out", tmp_path / "new", "--set", "simulate.overrides.days=0.5"], 2, "onset_h"),
        (["--out", tmp_path / "new", "--only", "report"], 3, "needs"),
    ):
        assert run([*words, *map(str, more)]) == code
        assert told in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]
