"""From a model's text to a decision: strict, in a fixed order, never by guessing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexova_sim.decide.decision import (
    ACTIONS,
    PATHS,
    Decision,
    decision_schema,
    first_object,
    parse_decision,
    strict_json,
)
from tests.gemini_server import DECISION


def test_a_plain_object_is_read_raw():
    found = parse_decision(json.dumps(DECISION))
    assert found.path == "raw" and found.problem == "" and found.decision is not None
    assert found.decision.action_taken == "MAINTENANCE" and found.decision.estimated_savings == 850.5
    assert json.loads(found.decision.model_dump_json(by_alias=True)) == DECISION


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("```json\n{}\n```", "fence"),
        ("```\n{}\n```  \n", "fence"),
        ("Here you are:\n{}\nGood luck.", "extract"),
        ('He said "{{" and then {}', "failed"),
        ("  \n {} \n", "raw"),
        ("```json\n{}\n``` and more", "extract"),
    ],
)
def test_the_ways_are_tried_in_order(text, path):
    found = parse_decision(text.replace("{{", "\x00").replace("{}", json.dumps(DECISION)).replace("\x00", "{"))
    assert found.path == path and (found.decision is None) == (path == "failed")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"riskLevel": "warning"}, "riskLevel"),
        ({"actionTaken": "WARNING"}, "actionTaken"),
        ({"estimatedSavings": -1.0}, "estimatedSavings"),
        ({"estimatedSavings": "850"}, "estimatedSavings"),
        ({"preventedLoss": True}, "preventedLoss"),
        ({"preventedLoss": None}, "preventedLoss"),
        ({"preventedLoss": 1e12}, "preventedLoss"),
        ({"rootCause": ""}, "rootCause"),
        ({"reasoning": "x" * 4001}, "reasoning"),
        ({"humanRecommendation": ["a"]}, "humanRecommendation"),
        ({"extra": 1}, "extra"),
        ({"root_cause": "by its Python name"}, "root_cause"),
    ],
)
def test_what_is_not_the_contract_is_refused_by_name(change, problem):
    found = parse_decision(json.dumps(DECISION | change))
    assert found.decision is None and found.path == "failed" and problem in found.problem


def test_names_of_python_are_not_taken_for_those_of_the_contract():
    text = json.dumps(DECISION).replace("rootCause", "root_cause")
    assert parse_decision(text).decision is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("no object here", "not strict JSON"),
        ("[]", "valid dictionary"),
        (json.dumps(DECISION).replace("850.5", "NaN"), "NaN is no JSON number"),
        (json.dumps(DECISION).replace("850.5", "-Infinity"), "Infinity is no JSON number"),
        (json.dumps(DECISION).replace("850.5", "1e999"), "too large"),
        (json.dumps(DECISION)[:-1] + ', "actionTaken": "NONE"}', "'actionTaken' is given twice"),
        ("{" * 500 + "}" * 500, "not strict JSON"),
        ("[" * 100_000, "not strict JSON"),
        ("x" * 200_001, "more than 200000"),
    ],
)
def test_broken_texts_fail_with_a_reason(text, problem):
    found = parse_decision(text)
    assert found.decision is None and found.path == "failed" and problem in found.problem


def test_whole_numbers_are_amounts():
    found = parse_decision(json.dumps(DECISION | {"estimatedSavings": 850, "preventedLoss": 0}))
    assert found.decision is not None and type(found.decision.estimated_savings) is float
    assert parse_decision(json.dumps(DECISION | {"estimatedSavings": 2**60})).decision is None


@given(st.text(max_size=300))
def test_any_text_gives_a_result(text):
    found = parse_decision(text)
    assert found.path in PATHS and (found.decision is None) == bool(found.problem)


@given(st.text(max_size=60), st.text(max_size=60))
def test_an_object_is_found_whatever_stands_in_its_strings(before, inside):
    wanted = json.dumps(DECISION | {"reasoning": inside or "x"})
    text = before.replace("{", "(") + wanted + " trailing }{"
    assert first_object(text) == wanted


def test_strict_json_takes_what_json_is():
    assert strict_json('{"a": [1, 2.5, null, true]}') == {"a": [1, 2.5, None, True]}
    assert first_object('{"a": "\\"}"} rest') == '{"a": "\\"}"}' and first_object("{ open") is None


def test_the_schema_names_every_field_of_the_contract():
    schema = decision_schema()
    names = {field.alias for field in Decision.model_fields.values()}
    assert set(schema["properties"]) == names == set(schema["required"])
    assert schema["properties"]["actionTaken"]["enum"] == list(ACTIONS)
