"""``nexova decisions cassette``: lint, stats and diff."""

import json

import pytest
from shell import only_object

from nexova_sim.cli.app import run
from nexova_sim.decide.cassette import Take, entry_of, write_cassette
from nexova_sim.decide.decision import decision_schema
from nexova_sim.decide.model import Message, ModelError, Reply, Request, Usage
from nexova_sim.run.cassettes import compare, lint, stats
from tests.gemini_server import DECISION


def entry(text, answer=None, error=None, latency_s=0.1):
    request = Request("m-1", "s", (Message("user", text),), schema=decision_schema())
    reply = None if error else Reply(answer or json.dumps(DECISION), "STOP", "m-1-002", Usage(10, 5, None, 15))
    return entry_of(Take(request, reply, error, "scripted", "scripted/1", latency_s))


@pytest.fixture
def tape(tmp_path):
    path = tmp_path / "a.jsonl"
    entries = [
        entry("one"),
        entry("two", "```\n{}\n```", latency_s=0.3),
        entry("three", error=ModelError("AUTH", "no", 403)),
    ]
    write_cassette(path, entries)
    return path


def test_a_sound_cassette_is_clean(tape, capsys):
    assert lint(tape) == [] and run(["decisions", "cassette", "lint", str(tape)]) == 0
    assert capsys.readouterr() == ("", "clean\n")


def test_damage_and_secrets_are_findings(tape, capsys):
    text = tape.read_text()
    tape.write_text(text.replace("STOP", "STOPP", 1) + "AIza" + "z" * 35)
    problems = [f.problem for f in lint(tape)]
    assert "holds a Google API key" in problems[0] and "does not match its own hash" in problems[1]
    assert run(["decisions", "cassette", "lint", str(tape), "--json"]) == 1
    out, err = capsys.readouterr()
    assert len(only_object(out)["error"]["detail"]["findings"]) == 2 and "2 findings" in err
    assert run(["decisions", "cassette", "lint", str(tape)]) == 1
    assert "holds a Google API key" in capsys.readouterr().out
    tape.write_text(text[:-10])
    assert "cut off" in lint(tape)[0].problem


def test_an_entry_that_reads_differently_now_is_a_finding(tape, monkeypatch):
    from nexova_sim.decide.decision import Parsed

    monkeypatch.setattr("nexova_sim.run.cassettes.parse_decision", lambda _text: Parsed(None, "fence", ""))
    assert "was read as raw when recorded and is read as fence now" in lint(tape)[0].problem


def test_a_missing_cassette_is_missing_data(tmp_path, capsys):
    for verb in ("lint", "stats"):
        assert run(["decisions", "cassette", verb, str(tmp_path / "none")]) == 3
    assert "there is no such cassette" in capsys.readouterr().err


def test_stats_count_what_is_there(tape, capsys):
    found = stats(tape)
    assert found["entries"] == 3 and found["error"] == {"AUTH": 1} and found["parse"] == {"failed": 1, "raw": 1}
    assert found["tokens"] == {"prompt": 20, "output": 10, "thought": 0, "total": 30}
    assert found["latency_ms"]["p50"] == 200.0 and found["model_version"] == {"m-1-002": 2}
    assert run(["decisions", "cassette", "stats", str(tape)]) == 0
    assert "m-1-002" in capsys.readouterr().out


def test_differences_are_told(tape, tmp_path, capsys):
    other = tmp_path / "b.jsonl"
    write_cassette(other, [entry("one", json.dumps(DECISION | {"actionTaken": "NONE"})), entry("four")])
    assert [d.what for d in compare(tape, other)] == ["answer", "only in A", "only in A", "only in B"]
    assert compare(tape, tape) == []
    assert run(["decisions", "cassette", "diff", str(tape), str(tape)]) == 0
    assert run(["decisions", "cassette", "diff", str(tape), str(other)]) == 1
    assert "differ on 4 questions" in capsys.readouterr().err


def test_the_same_answer_written_differently_is_the_same(tmp_path):
    write_cassette(tmp_path / "a", [entry("one", json.dumps(DECISION))])
    write_cassette(tmp_path / "b", [entry("one", "```json\n" + json.dumps(DECISION, indent=2) + "\n```")])
    assert compare(tmp_path / "a", tmp_path / "b") == []
