"""Both real Gemini libraries against a server on this machine: every scenario gives a typed result."""

import json
import subprocess
import sys

import pytest

from nexova_sim.config.decision import Model
from nexova_sim.decide.decision import decision_schema, parse_decision
from nexova_sim.decide.gemini_errors import blocked, finish_name, from_http, retry_seconds, unreadable
from nexova_sim.decide.gemini_new import GenaiProvider
from nexova_sim.decide.gemini_old import SUPPORT_ENDED, GenerativeaiProvider
from nexova_sim.decide.model import Message, ModelError, Request, Usage, canonical, hash_text, request_key, rounded
from nexova_sim.run.decision_models import support_note
from tests.gemini_server import ANSWERS, DECISION, gemini_server

KEY = "AIza" + "x" * 35
PROVIDERS = {"google-genai": GenaiProvider, "google-generativeai": GenerativeaiProvider}
TALK = (Message("user", "a pump is hot"), Message("model", "how hot?"), Message("user", "88 C"))
# scenario -> (way the text was read, None) or (None, code of the error)
EXPECTED = {
    "ok": ("raw", None),
    "fenced": ("fence", None),
    "prose": ("extract", None),
    "badjson": ("failed", None),
    "missing": ("failed", None),
    "enum": ("failed", None),
    "nan": ("failed", None),
    "negative": ("failed", None),
    "text_amount": ("failed", None),
    "twice": ("failed", None),
    "truncated": ("failed", None),
    "new_reason": ("raw", None),
    "blocked": (None, "BLOCKED"),
    "prompt_blocked": (None, "BLOCKED"),
    "no_candidates": (None, "BAD_PAYLOAD"),
    "empty": (None, "BAD_PAYLOAD"),
    "html": (None, "BAD_PAYLOAD"),
    "cut": (None, "BAD_PAYLOAD"),
    "400": (None, "BAD_REQUEST"),
    "400key": (None, "AUTH"),
    "403": (None, "AUTH"),
    "404": (None, "MODEL_RETIRED"),
    "429": (None, "RATE_LIMIT"),
    "429info": (None, "RATE_LIMIT"),
    "500": (None, "UNAVAILABLE"),
    "503": (None, "UNAVAILABLE"),
    "reset": (None, "UNAVAILABLE"),
    "slow": (None, "TIMEOUT"),
}


@pytest.fixture(scope="module")
def server():
    with gemini_server() as running:
        yield running


@pytest.fixture(scope="module", params=list(PROVIDERS))
def provider(request, server):
    return PROVIDERS[request.param](KEY, server.address)


def ask(scenario, schema=True):
    return Request(f"scenario-{scenario}", "You watch machines.", TALK, schema=decision_schema() if schema else None)


def test_every_scenario_of_the_server_is_expected():
    assert set(EXPECTED) == {*ANSWERS, "reset", "slow"} and len(EXPECTED) >= 24


@pytest.mark.parametrize("scenario", list(EXPECTED))
def test_a_scenario_gives_a_typed_result_after_one_request(provider, server, scenario):
    path, code = EXPECTED[scenario]
    before = server.calls[scenario]
    if code is None:
        reply = provider.generate(ask(scenario), 10.0)
        assert parse_decision(reply.text).path == path and reply.model_version == "scenario-1"
        assert reply.usage == Usage(211, 64, None, 275)
        finish = {"truncated": "MAX_TOKENS", "new_reason": "UNKNOWN"}
        assert reply.finish_reason == finish.get(scenario, "STOP")
    else:
        with pytest.raises(ModelError) as caught:
            provider.generate(ask(scenario), 0.3 if scenario == "slow" else 10.0)
        assert caught.value.code == code
        assert KEY not in str(caught.value) and "127.0.0.1" not in str(caught.value)
        assert caught.value.retry_after_s == {"429": 3.0, "429info": 7.0}.get(scenario)
    assert server.calls[scenario] == before + 1, "the library's own retries are off"


def test_a_retired_model_is_named_with_the_remedy(provider):
    with pytest.raises(ModelError, match=r"'scenario-404' is not there.*set 'model'.*or replay a cassette"):
        provider.generate(ask("404"), 10.0)


def test_an_unavailable_service_is_not_asked_again_by_the_library(provider, server):
    server.calls["503once"] = 0
    with pytest.raises(ModelError, match="UNAVAILABLE"):
        provider.generate(ask("503once"), 10.0)
    assert parse_decision(provider.generate(ask("503once"), 10.0).text).path == "raw"


def test_system_instruction_turns_schema_and_settings_arrive(provider):
    body = json.loads(provider.generate(ask("echo")._replace(sampling_temperature=0.5, most_tokens=99), 10.0).text)
    assert body["systemInstruction"]["parts"] == [{"text": "You watch machines."}]
    assert [(c["role"], c["parts"][0]["text"]) for c in body["contents"]] == [tuple(m) for m in TALK]
    assert body["generationConfig"]["temperature"] == 0.5 and body["generationConfig"]["maxOutputTokens"] == 99
    assert body["generationConfig"]["responseMimeType"] == "application/json"
    assert set(body["generationConfig"]["responseSchema"]["properties"]) == set(DECISION)
    free = json.loads(provider.generate(ask("echo", schema=False)._replace(system=""), 10.0).text)
    assert "systemInstruction" not in free and "responseSchema" not in free["generationConfig"]


def test_tokens_are_counted(provider):
    assert provider.count_tokens(ask("ok"), 10.0) > 5
    assert provider.sdk.split("/")[0] in PROVIDERS and provider.sdk.split("/")[1][0].isdigit()


def test_nobody_at_the_address_is_unavailable():
    for make in PROVIDERS.values():
        with pytest.raises(ModelError) as caught:
            make(KEY, "http://127.0.0.1:9").generate(ask("ok"), 5.0)
        assert caught.value.code == "UNAVAILABLE"


def test_the_key_is_only_sent_in_its_header(provider, server):
    provider.generate(ask("ok"), 10.0)
    sent = server.log[-1]
    assert KEY not in sent["path"] and KEY not in json.dumps(sent["body"])
    assert KEY in [v for k, v in sent["headers"].items() if k.lower() == "x-goog-api-key"]


@pytest.mark.parametrize("module", ["gemini_new", "gemini_old"])
def test_a_missing_library_names_the_extra(module):
    name = {"gemini_new": "google.genai", "gemini_old": "google.generativeai"}[module]
    code = (
        f"import sys; sys.modules['{name}'] = None\n"
        f"from nexova_sim.decide import {module} as m\n"
        "p = getattr(m, 'GenaiProvider', None) or m.GenerativeaiProvider\n"
        "try:\n p('k')\nexcept Exception as e:\n print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("MissingExtraError") and "nexova-sim[gemini]" in done.stdout


def test_the_older_library_is_told_to_have_ended():
    assert "30 November 2025" in SUPPORT_ENDED and "google-genai" in SUPPORT_ENDED
    old, new = Model(sdk="google-generativeai"), Model()
    assert support_note(old, ["never", "gemini"], "record") == SUPPORT_ENDED
    assert support_note(old, ["gemini"], "replay") is None
    assert support_note(old, ["never", "scripted"], "live") is None
    assert support_note(new, ["gemini"], "live") is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("5", 5.0), (" 12 ", 12.0), ("soon", None), ("-3", None), ("999999999", 86_400.0), ("1.5", None)],
)
def test_retry_after_in_seconds(value, seconds):
    assert retry_seconds(value) == seconds


def test_retry_after_as_a_date():
    from datetime import UTC, datetime

    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    assert retry_seconds("Mon, 23 Nov 2026 12:01:30 GMT", now) == 90.0
    assert retry_seconds("Mon, 23 Nov 2026 11:00:00 GMT", now) == 0.0


def test_errors_say_nothing_secret():
    error = from_http(400, f"bad key {KEY} given", "m")
    assert KEY not in str(error) and "(key)" in error.message
    assert from_http(200, "x", "m").code == "BAD_PAYLOAD" and from_http(418, "x", "m").code == "BAD_REQUEST"
    assert from_http(599, "x", "m").code == "UNAVAILABLE" and from_http(408, "x", "m").code == "TIMEOUT"
    assert blocked("RECITATION", False).code == "BLOCKED" and blocked("MAX_TOKENS", False).code == "BAD_PAYLOAD"
    assert unreadable(ValueError(KEY)).message.endswith("(ValueError)") and finish_name(None) == "UNKNOWN"


def test_a_question_has_one_key_whatever_the_last_bits():
    one = Request("m", "s", TALK, sampling_temperature=0.1 + 0.2)
    assert request_key(one) == request_key(one._replace(sampling_temperature=0.3)) == request_key(Request(*one))
    for change in ({"model": "n"}, {"system": "t"}, {"messages": TALK[:1]}, {"repeat": 1}, {"prompt_version": "2"},
                   {"schema": {}}, {"most_tokens": 7}, {"sampling_temperature": 0.31}):  # fmt: skip
        assert request_key(one._replace(**change)) != request_key(one)
    assert rounded({"a": (1.23456789, 2)}) == {"a": [1.23457, 2]} and "key" not in str(canonical(one)).lower()
    assert len(hash_text("")) == 64
