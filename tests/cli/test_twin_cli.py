"""``nexova twin run``: files, flags, envelope, exit codes, hostile input."""

from __future__ import annotations

import csv
import json
import os

import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import DataError, NexovaError
from nexova_sim.cli.app import run
from nexova_sim.config.load import build, read_yaml
from nexova_sim.config.scenario import ResolvedTwin, TwinChoice, load_twin
from nexova_sim.run.twin import default_folder, outline, twin, twin_hash

FILES = [
    "config.resolved.yaml",
    "manifest.json",
    "plot.png",
    "plot.svg",
    "summary.json",
    "trajectory.csv",
    "trajectory.parquet",
]


def call(capsys, *arguments):
    code = run(["twin", "run", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_example_of_the_help_leaves_table_and_picture(capsys, tmp_path):
    out = tmp_path / "run"
    code, text, notes = call(capsys, "--kind", "pump", "--scenario", "overheated", "--hours", 500, "--out", out)
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    assert "failed at 32.88 h: thermal" in notes
    assert text == f"{out}\n"
    assert "plot.png" in notes
    table = pq.read_table(out / "trajectory.parquet")
    with (out / "trajectory.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == table.num_rows == 501
    assert [float(r["temp_c"]) for r in rows] == table["temp_c"].to_pylist()
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["first_event"] == "thermal"
    resolved = build(ResolvedTwin, read_yaml(out / "config.resolved.yaml"), "x")
    assert resolved == load_twin("pump", "overheated", [], TwinChoice(hours=500.0))


def test_the_envelope_is_one_object_and_quiet_is_quiet(capsys, tmp_path):
    code, text, notes = call(capsys, "--kind", "motor", "--hours", 5, "--out", tmp_path / "run", "--json", "--quiet")
    assert (code, notes) == (0, "")
    envelope = json.loads(text)
    assert envelope["status"] == "success"
    assert envelope["data"]["scenario"] == "normal"
    assert len(envelope["meta"]["run_id"]) == 12
    assert [e["event"] for e in envelope["data"]["events"]] == ["bearing", "thermal", "electrical", "end_of_life"]


def test_the_same_again_is_read_and_something_else_is_refused(capsys, tmp_path):
    flags = ("--kind", "pump", "--hours", 5, "--out", tmp_path / "run")
    assert call(capsys, *flags)[0] == 0
    stamp = (tmp_path / "run/plot.png").stat().st_mtime_ns
    code, _, notes = call(capsys, *flags)
    assert code == 0
    assert "already" in notes
    assert "after this trajectory it fails" in notes
    assert (tmp_path / "run/plot.png").stat().st_mtime_ns == stamp
    code, _, notes = call(capsys, *flags, "--ambient", 30)
    assert code == 2
    assert "--overwrite" in notes
    assert call(capsys, *flags, "--ambient", 30, "--overwrite")[0] == 0
    assert json.loads((tmp_path / "run/summary.json").read_text(encoding="utf-8"))["end"]["ambient_c"] == 30.0
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == FILES


def test_equal_runs_have_equal_bytes(tmp_path):
    resolved = load_twin("compressor", "two_shift_week", [], TwinChoice(hours=200.0))
    first, second = (twin(resolved, tmp_path / name).folder for name in ("a", "b"))
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_damaged_run_is_named_and_can_be_made_anew(tmp_path):
    resolved = load_twin("pump", "normal", [], TwinChoice(hours=5.0))
    done = twin(resolved, tmp_path / "run")
    assert (done.was_there, twin(resolved, tmp_path / "run").was_there) == (False, True)
    (tmp_path / "run/summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(NexovaError, match="damaged"):
        twin(resolved, tmp_path / "run")
    assert not twin(resolved, tmp_path / "run", overwrite=True).was_there
    assert twin(resolved, tmp_path / "run").summary == done.summary


def test_a_failing_disk_leaves_nothing_that_reads_as_whole(tmp_path, monkeypatch):
    from nexova_sim.run import twin as verb

    def refuse(*_):
        raise OSError(28, "No space left on device")

    resolved = load_twin("pump", "normal", [], TwinChoice(hours=5.0))
    monkeypatch.setattr(verb, "_write_manifest", refuse)
    with pytest.raises(DataError, match="disk is full"):
        twin(resolved, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.undo()
    assert sorted(p.name for p in twin(resolved, tmp_path / "run").folder.iterdir()) == FILES
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_dry_run_says_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, text, _ = call(capsys, "--kind", "pump", "--scenario", "two_shift_week", "--dry-run", "--json")
    assert code == 0
    plan = json.loads(text)["data"]
    assert (plan["rows"], plan["phases"], plan["slot_s"], plan["dt_s"]) == (1345, 16, 300, 60.0)
    assert plan["folder"].startswith("results/twin/pump-two_shift_week/")
    assert list(tmp_path.iterdir()) == []
    resolved = load_twin("pump", "two_shift_week")
    assert outline(resolved)["folder"] == str(default_folder(resolved))
    assert twin_hash(resolved) != twin_hash(load_twin("pump", "normal"))


def test_a_users_own_scenario_and_overrides(capsys, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "name: mine\nhours: 12\nrepeat: true\nphases:\n  - {hours: 2, load_frac: 1.1}\n  - {hours: 1, load_frac: 0}\n"
    )
    flags = (
        "--kind",
        "pump",
        "--scenario",
        mine,
        "--out",
        tmp_path / "run",
        "--json",
        "--physics",
        "seed",
        "--every",
        0.5,
    )
    code, text, _ = call(capsys, *flags, "--set", "scenario.start.wear_frac=0.5", "--dt", 30, "--seed", 3)
    assert code == 0
    data = json.loads(text)["data"]
    assert (data["rows"], data["physics"], data["dt_s"]) == (25, "seed", 30.0)
    assert data["end"]["runtime_h"] == pytest.approx(8.0)
    assert data["end"]["wear_frac"] > 0.5


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--kind", "pmp"], "did you mean 'pump'"),
        (["--kind", "pump", "--scenario", "overheat"], "did you mean 'overheated'"),
        (["--kind", "pump", "--hours", "-5"], "greater than 0"),
        (["--kind", "pump", "--hours", "0"], "greater than 0"),
        (["--kind", "pump", "--hours", "1e30"], "30 years"),
        (["--kind", "pump", "--hours", "nan"], "finite"),
        (["--kind", "pump", "--hours", "inf"], "finite"),
        (["--kind", "pump", "--hours", "ten"], "Invalid value for '--hours'"),
        (["--kind", "pump", "--dt", "1e-9"], "dt_s"),
        (["--kind", "pump", "--every", "-1"], "every_h"),
        (["--kind", "pump", "--physics", "quantum"], "'plant' or 'seed'"),
        (["--kind", "pump", "--ambient", "nan"], "ambient_c"),
        (["--kind", "pump", "--seed", "99999999999999999999999"], "seed"),
        (["--kind", "pump", "--set", "scenario.phases.7.load_frac=1"], "phases is a list"),
        (["--kind", "pump", "--set", "scenario.phases=[]"], "at least 1"),
        (["--kind", "pump", "--set", "kind={}"], "required key is missing"),
        (["--kind", "pump", "--scenario", os.sep], "is a folder"),
        (["--kind", "/dev/null"], "unknown machine kind"),
        (["--scenario", "normal"], "--kind"),
        (["--kind", "pump", "--bogus"], "--bogus"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_2(capsys, tmp_path, flags, words):
    code, text, notes = call(capsys, *flags, "--out", tmp_path / "run")
    assert code == 2
    assert text == ""
    assert words in notes
    assert "Traceback" not in notes
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- 1\n- 2\n",
        b"name: a\nname: b\nphases: [{load_frac: 1}]\n",
        b"a: &x [1]\nb: *x\n",
        b"name: \xff\xfe\nphases: []\n",
        b"[" * 5000,
        b"name: x\nphases: [{load_frac: .nan}]\n",
        b"name: x\nphases: [{load_frac: .inf}]\n",
        b"name: x\nphases: [{load_frac: 0.7, hours: 1e999}]\n",
        b"name: x\nphases: [{load_frac: '0.7; rm'}]\n",
        b"name: !!python/object:os.system x\nphases: []\n",
        b"#" * 1_100_000,
    ],
)
def test_hostile_scenario_files_are_refused(capsys, tmp_path, content):
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content)
    code, _, notes = call(capsys, "--kind", "pump", "--scenario", path, "--out", tmp_path / "run")
    assert code == 2
    assert "hostile.yaml" in notes
    assert "internal error" not in notes


def test_an_out_that_is_not_ours_is_left_alone(capsys, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    for flags in ((), ("--overwrite",)):
        code, _, notes = call(capsys, "--kind", "pump", "--hours", 1, "--out", tmp_path / "mine", *flags)
        assert code == 2
        assert "not empty" in notes
    code, _, _ = call(capsys, "--kind", "pump", "--hours", 1, "--out", tmp_path / "mine/letter.txt")
    assert code in (2, 3)
    assert (tmp_path / "mine/letter.txt").read_text() == "dear"
