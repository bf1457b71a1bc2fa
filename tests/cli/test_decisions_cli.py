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
    made, told = capsys.readouterr()
    assert made == f"{out}\n" and "seed_rules" in told
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


def test_a_library_without_support_is_told_before_it_is_asked(tiny_dataset, tmp_path, capsys, monkeypatch):
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    old = ["--set", "model.sdk=google-generativeai", "--mode", "live"]
    out = str(tmp_path / "x")
    for words in (["decisions", "replay", str(tiny_dataset), "-p", "gemini", "--no-judge", "--out", out],
                  ["decisions", "attack", "-p", "gemini"],
                  ["chat", str(tiny_dataset), "--ask", "How hot is it?"]):  # fmt: skip
        assert run([*words, *old]) == 2
        assert capsys.readouterr().err.startswith("google-generativeai is no longer supported")


def test_evaluate_and_attack_print_their_tables(tiny_dataset, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["decisions", "replay", str(tiny_dataset), "--out", str(out), "-p", "never", "-p", "twin",
             "--set", "twin.futures=8"]  # fmt: skip
    assert run(words) == 0
    assert run(["decisions", "evaluate", str(out)]) == 0
    assert "regret" in capsys.readouterr().out
    assert run(["decisions", "evaluate", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["data"]["policies"]) == 2
    assert run(["decisions", "evaluate", str(tiny_dataset)]) == 3
    attack = ["decisions", "attack", "-p", "scripted", "--most", "0.0"]
    assert run(attack) == 0
    assert run([*attack[:-3], "scripted:obedient", *attack[-2:]]) == 1
    assert run(["decisions", "attack", "-p", "gemini"]) == 2


KEY = "AIza" + "q" * 35


def test_the_key_appears_nowhere(tiny_dataset, tmp_path, capfd, monkeypatch):
    """A live run that fails, with a key in the environment: neither output, nor files, nor log hold it."""
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tape = tmp_path / "tape.jsonl"
    words = ["decisions", "replay", str(tiny_dataset), "--out", str(tmp_path / "run"), "-p", "gemini",
             "--mode", "record", "--cassette", str(tape), "--no-judge", "--set", "model.address=http://127.0.0.1:9",
             "--set", "model.attempts=1", "--set", "model.total_s=2.0", "--set", "episodes.most=3"]  # fmt: skip
    assert run(words) == 0
    told = capfd.readouterr()
    assert KEY not in told.out + told.err
    files = [p for p in tmp_path.rglob("*") if p.is_file() and "kernels" not in p.parts]
    assert tape in files
    assert all(KEY.encode() not in p.read_bytes() for p in files)


def test_the_autonomy_study_says_what_it_would_do(capsys):
    assert run(["decisions", "autonomy", "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["data"]
    assert found["runs"] == found["settings"] * found["seeds"]
    assert run(["decisions", "autonomy", "--dry-run", "--set", "seeds=[]"]) == 2
