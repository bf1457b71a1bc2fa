"""Cassettes: what one library recorded the other replays, offline, to the byte; nothing secret, nothing silent."""

import json
import socket

import pytest

from nexova_sim.base.errors import CheckFailedError, DataError
from nexova_sim.decide.cassette import (
    Cassette,
    Take,
    append_entry,
    entry_of,
    explain_miss,
    find_secret,
    play,
    read_cassette,
    write_cassette,
)
from nexova_sim.decide.decision import decision_schema, parse_decision
from nexova_sim.decide.gemini_new import GenaiProvider
from nexova_sim.decide.gemini_old import GenerativeaiProvider
from nexova_sim.decide.model import Message, ModelError, Reply, Request, Usage
from tests.gemini_server import gemini_server

KEY = "AIza" + "k" * 35


def ask(text="hot", model="scenario-ok", **change):
    return Request(model, "system", (Message("user", text),), schema=decision_schema())._replace(**change)


def take(request, text="{}"):
    return Take(request, Reply(text, "STOP", "m-1", Usage(1, 2, None, 3)), None, "scripted", "scripted/1", 0.25, 2)


def record(provider, requests):
    """What a provider says to each request, errors too."""
    entries = []
    for request in requests:
        reply = error = None
        try:
            reply = provider.generate(request, 10.0)
        except ModelError as caught:
            error = caught
        entries.append(entry_of(Take(request, reply, error, "gemini", provider.sdk)))
    return entries


SCENARIOS = ("ok", "fenced", "prose", "badjson", "nan", "truncated", "blocked", "429", "404", "new_reason")


def outcome(cassette, request):
    try:
        reply = play(cassette, request)
    except ModelError as error:
        return error.code
    found = parse_decision(reply.text)
    return found.path, found.decision and found.decision.model_dump_json(), reply.finish_reason, reply.usage


def test_one_cassette_for_both_libraries_without_network_or_key(tmp_path, monkeypatch):
    requests = [ask(model=f"scenario-{name}") for name in SCENARIOS]
    with gemini_server() as server:
        for name, make in (("new", GenaiProvider), ("old", GenerativeaiProvider)):
            write_cassette(tmp_path / name, record(make(KEY, server.address), requests))

    def no_socket(*_arguments, **_named):
        raise AssertionError("replay opens no socket")

    monkeypatch.setattr(socket, "socket", no_socket)
    new, old = (read_cassette(tmp_path / name) for name in ("new", "old"))
    assert list(new.entries) == list(old.entries)
    assert [outcome(new, r) for r in requests] == [outcome(old, r) for r in requests]
    assert [outcome(new, r)[0] for r in requests[:4]] == ["raw", "fence", "extract", "failed"]
    assert outcome(new, requests[7]) == "RATE_LIMIT"
    for name in ("new", "old"):
        text = (tmp_path / name).read_text()
        assert KEY not in text and "goog-api" not in text and "127.0.0.1" not in text


def test_what_is_written_is_read_again(tmp_path):
    entries = [entry_of(take(ask(f"n{i}"), json.dumps({"i": i}))) for i in range(5)]
    write_cassette(tmp_path / "a.jsonl", entries[:3])
    for entry in entries[3:]:
        append_entry(tmp_path / "a.jsonl", entry)
    cassette = read_cassette(tmp_path / "a.jsonl")
    assert list(cassette.entries.values()) == entries and not list(tmp_path.glob("*.partial"))
    assert play(cassette, ask("n4")) == Reply('{"i": 4}', "STOP", "m-1", Usage(1, 2, None, 3))
    assert entries[0]["timing"] == {"latency_ms": 250, "attempts": 2} and entries[0]["parse"] == "failed"
    assert entry_of(take(ask(schema=None)))["parse"] is None


def test_a_miss_is_an_error_that_shows_the_nearest_question(tmp_path):
    write_cassette(tmp_path / "a", [entry_of(take(ask("temperature 88.1\nvibration 2"))), entry_of(take(ask("other")))])
    cassette = read_cassette(tmp_path / "a")
    with pytest.raises(CheckFailedError) as caught:
        play(cassette, ask("temperature 99.9\nvibration 2"))
    assert "88.1" in caught.value.message and "99.9" in caught.value.message
    assert "vibration" not in caught.value.message and caught.value.exit_code == 1
    assert "empty" in explain_miss(Cassette(tmp_path, {}), ask())
    long = explain_miss(cassette, ask("\n".join(str(i) for i in range(100))))
    assert "more lines" in long and len(long.splitlines()) <= 13


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "Authorization: Bearer " + "a1" * 20,
        "-----BEGIN RSA PRIVATE KEY-----",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    ],
)
@pytest.mark.parametrize("place", ["question", "answer", "error"])
def test_nothing_is_written_that_holds_a_secret(secret, place):
    request = ask(secret if place == "question" else "hot")
    error = ModelError("AUTH", secret) if place == "error" else None
    reply = None if error else Reply(secret if place == "answer" else "{}", "STOP", "m", Usage())
    with pytest.raises(DataError, match="nothing was written"):
        entry_of(Take(request, reply, error, "gemini", "x/1"))


def test_the_value_of_the_key_variable_is_a_secret():
    assert (
        find_secret("my key is hunter2-hunter2", {"GEMINI_API_KEY": "hunter2-hunter2"}) == "the value of GEMINI_API_KEY"
    )
    assert find_secret("nothing here", {"GEMINI_API_KEY": "", "GOOGLE_API_KEY": "abc"}) is None


def flip(line):
    return line.replace('"STOP"', '"STEP"')


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [flip(lines[0]), *lines[1:]], "line 1: the entry does not match its own hash"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "line 2: the question of key .* is there twice"),
        (lambda lines: [lines[0], "{}", *lines[1:]], "line 2: not an entry"),
        (lambda lines: [lines[0], lines[1][:50], *lines[2:]], "line 2: not an entry"),
        (lambda lines: [lines[0], "", *lines[1:]], "line 2: not an entry"),
        (lambda lines: ["[" * 100_000, *lines], "line 1: not an entry"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path, damage, message):
    path = tmp_path / "a"
    write_cassette(path, [entry_of(take(ask(f"n{i}"))) for i in range(3)])
    path.write_text("\n".join(damage(path.read_text().split("\n"))))
    with pytest.raises(DataError, match=message):
        read_cassette(path)


def test_a_question_changed_under_its_key_is_found_even_with_a_new_line_hash(tmp_path):
    from nexova_sim.decide.cassette import _line
    from nexova_sim.decide.model import hash_text

    entry = entry_of(take(ask()))
    entry["request"]["system"] = "another"
    own = {k: v for k, v in entry.items() if k != "sha256"}
    append_entry(tmp_path / "a", own | {"sha256": hash_text(_line(own))})
    with pytest.raises(DataError, match="does not match its own hash"):
        read_cassette(tmp_path / "a")


def test_a_last_line_that_was_cut_off_is_asked_again(tmp_path):
    path = tmp_path / "a"
    write_cassette(path, [entry_of(take(ask(f"n{i}"))) for i in range(3)])
    path.write_text(path.read_text()[:-40])
    assert len(read_cassette(path).entries) == 2


def test_no_cassette_says_how_to_get_one(tmp_path):
    with pytest.raises(DataError, match="--mode record"):
        read_cassette(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read_cassette(tmp_path / "binary")
