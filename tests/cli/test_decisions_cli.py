"""``nexova decisions`` through the real command line."""

from __future__ import annotations

import json

import pytest

from nexova_sim.cli.app import run


def test_replay_prints_a_table_and_writes_a_run(tiny_dataset, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["decisions", "replay", str(tiny_dataset), "--out", str(out), "-p", "seed_rules", "-p", "never",
             "--set", "twin.futures=8"]  # fmt: skip
    assert run(words) == 0
    assert "seed_rules" in capsys.readouterr().out
    assert (out / "decisions.parquet").is_file()
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["data"]
    assert found["was_there"]
    assert run([*words, "--dry-run"]) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["decisions", "replay", "nowhere"], 3),
        (["decisions", "replay", "DATA", "-p", "twn"], 2),
        (["decisions", "replay", "DATA", "-p", "always:\x1b[2J"], 2),
        (["decisions", "replay", "DATA", "--set", "twin.horizon_h=4"], 2),
        (["decisions", "replay", "DATA", "--config", "configs/decision/none.yaml"], 2),
        (["decisions", "replay", "DATA", "-p", "gemini"], 2),
    ],
)
def test_mistakes_have_their_exit_code_and_no_traceback(words, code, tiny_dataset, tmp_path, capsys):
    place = ["--out", str(tmp_path / "x")]
    assert run([str(tiny_dataset) if w == "DATA" else w for w in words] + place) == code
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "Traceback" not in told
    assert "\x1b" not in told
