"""``nexova ingest`` as a user meets it: streams, envelope, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nexova_sim.cli.app import run

TEXT = "timestamp,machine,power_kw,temperature_c,vibration_mm_s,flow\n" + "".join(
    f"2026-01-05T{h:02}:00:00,p{m},{h}.5,40,1.5,9\n" for m in (1, 2) for h in range(24)
)


@pytest.fixture
def plant(tmp_path) -> Path:
    path = tmp_path / "plant.csv"
    path.write_text(TEXT + "nonsense,p1,1,40,1.5,9\n", encoding="utf-8")
    return path


def ingest(plant: Path, *more: str) -> int:
    return run(["ingest", str(plant), "--map", "configs/ingest/generic.yaml", *more])


def test_dry_run_shows_what_was_understood_and_writes_nothing(plant, capsys):
    assert ingest(plant, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "power_kw" in out and "flow" in out and "machines: 2 (p1, p2)" in out and "interval 3600 s" in out
    assert "span: 2026-01-05T00:00:00Z to 2026-01-05T23:00:00Z" in out
    assert "1 rows rejected" in err and "timestamp: unreadable" in err
    assert [p.name for p in plant.parent.iterdir()] == ["plant.csv"]


def test_dataset_is_written_and_a_second_run_has_nothing_to_do(plant, tmp_path, capsys):
    out = tmp_path / "out"
    assert ingest(plant, "--out", str(out)) == 0
    stdout, err = capsys.readouterr()
    assert stdout == f"{out}\n"
    assert "48 readings of 2 machines" in err
    assert (out / "manifest.json").is_file()
    assert ingest(plant, "--out", str(out), "--json", "--quiet") == 0
    stdout, err = capsys.readouterr()
    envelope = json.loads(stdout)
    assert envelope["status"] == "success" and envelope["data"]["was_there"]
    assert envelope["data"]["reasons"] == {"timestamp: unreadable": 1} and len(envelope["meta"]["run_id"]) == 12
    assert err == ""


def test_another_mapping_needs_overwrite(plant, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert ingest(plant, "--out", out, "-q") == 0
    assert ingest(plant, "--out", out, "-q", "--set", "name=other") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert ingest(plant, "--out", out, "-q", "--set", "name=other", "--overwrite") == 0


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (["--set", "channels.power_kw.unit=volt"], 2, "unknown unit 'volt'"),
        (["--set", "delimeter=;"], 2, "did you mean 'delimiter'"),
        (["--set", "timestamp.column=timestmp"], 3, "did you mean 'timestamp'"),
        (["--max-reject-frac", "0"], 3, "1 of 49 rows are rejected"),
        (["--max-reject-frac", "2"], 2, "max-reject-frac"),
        (["--out", "/proc/none/out"], 3, "cannot write"),
    ],
)
def test_mistakes_have_their_exit_code_and_remedy(plant, tmp_path, capsys, more, code, says):
    out = [] if "--out" in more else ["--out", str(tmp_path / "out")]
    assert ingest(plant, *out, *more) == code
    err = capsys.readouterr().err
    assert says in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_errors_with_json_are_one_envelope(plant, tmp_path, capsys):
    plant.write_bytes(b"\x00\x01")
    assert ingest(plant, "--out", str(tmp_path / "out"), "--json") == 3
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["status"] == "error" and envelope["error"]["code"] == "DATA"
    assert [p.name for p in tmp_path.iterdir()] == ["plant.csv"]


def test_help_names_an_example(capsys):
    assert run(["ingest", "--help"]) == 0
    assert "nexova ingest pump.csv --map configs/ingest/generic.yaml" in capsys.readouterr().out


def test_hostile_names_do_not_reach_the_terminal(plant, tmp_path, capsys):
    plant.write_text(TEXT.replace("flow", "\x1b[31mflow"), encoding="utf-8")
    assert ingest(plant, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
