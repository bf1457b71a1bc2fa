"""The decision contract, and the way from a language model's text to it: strict, and never by guessing.

Order of attempts: the whole text as strict JSON, the same after one Markdown fence is stripped, the first balanced
object in the text. JSON is strict: NaN, Infinity and repeated keys are refused (Python's parser takes all three).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

RISK_LEVELS = ("INFO", "WARNING", "CRITICAL")
ACTIONS = ("NONE", "MAINTENANCE", "OFFLINE")
PATHS = ("raw", "fence", "extract", "failed")
_MOST_TEXT = 200_000
_MOST_DEPTH = 64
_FENCE = re.compile(r"\s*```[a-zA-Z0-9_-]*[ \t]*\r?\n(.*?)\r?\n?```\s*\Z", re.DOTALL)

Text = Annotated[str, Field(min_length=1, max_length=4000)]
Dollars = Annotated[float, Field(ge=0.0, le=1e9, allow_inf_nan=False)]


class Decision(BaseModel):
    """What to do about an alert; ``estimated_savings`` and ``prevented_loss`` are USD over the horizon asked about.

    In JSON the keys are those of the platform: rootCause, riskLevel, actionTaken, ...
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    root_cause: Text
    risk_level: Literal["INFO", "WARNING", "CRITICAL"]
    action_taken: Literal["NONE", "MAINTENANCE", "OFFLINE"]
    reasoning: Text
    estimated_savings: Dollars
    prevented_loss: Dollars
    human_recommendation: Text


class Parsed(NamedTuple):
    """A text read as a decision: None with the ``problem`` when every way failed; ``path`` is one of PATHS."""

    decision: Decision | None
    path: str
    problem: str


def decision_schema() -> dict[str, Any]:
    """The contract in the subset of OpenAPI that both Gemini SDKs take as a response schema."""
    text = {"type": "STRING"}
    number = {"type": "NUMBER"}
    properties: dict[str, Any] = {
        "rootCause": text,
        "riskLevel": {"type": "STRING", "enum": list(RISK_LEVELS)},
        "actionTaken": {"type": "STRING", "enum": list(ACTIONS)},
        "reasoning": text,
        "estimatedSavings": number,
        "preventedLoss": number,
        "humanRecommendation": text,
    }
    return {"type": "OBJECT", "properties": properties, "required": list(properties)}


def strict_json(text: str) -> Any:  # noqa: ANN401
    """JSON without NaN, infinities, repeated keys or absurd depth; ValueError says what is wrong."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_decision(text: str) -> Parsed:
    """The decision in a model's ``text``, and by which way it was found."""
    if len(text) > _MOST_TEXT:
        return Parsed(None, "failed", f"the answer has {len(text)} characters, more than {_MOST_TEXT}")
    problem = ""
    for path, candidate in _candidates(text):
        try:
            return Parsed(Decision.model_validate(_numbers(strict_json(candidate)), by_name=False), path, "")
        except ValidationError as error:
            # The text is JSON, so a looser reading would only find a part of it.
            return Parsed(None, "failed", _explain(error))
        except ValueError as error:
            problem = problem or f"not strict JSON: {error}"
    return Parsed(None, "failed", problem or "the answer is empty")


def _candidates(text: str) -> Sequence[tuple[str, str]]:
    found = [("raw", text)] if text.strip() else []
    fenced = _FENCE.match(text)
    if fenced:
        found.append(("fence", fenced[1]))
    inner = first_object(text)
    if inner is not None:
        found.append(("extract", inner))
    return found


def first_object(text: str) -> str | None:
    """The first balanced ``{...}`` of a text, braces inside JSON strings not counted; None when there is none."""
    start = text.find("{")
    if start < 0:
        return None
    depth, in_string, escaped = 0, False, False
    for place in range(start, len(text)):
        sign = text[place]
        if in_string:
            in_string = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            in_string = True
        elif sign == "{":
            depth += 1
            if depth > _MOST_DEPTH:
                return None
        elif sign == "}":
            depth -= 1
            if depth == 0:
                return text[start : place + 1]
    return None


def _numbers(value: Any) -> Any:  # noqa: ANN401
    """Integers where the contract wants amounts become floats, as JSON does not tell them apart; nothing else does."""
    if not isinstance(value, Mapping):
        return value
    amounts = ("estimatedSavings", "preventedLoss")
    return {k: float(v) if k in amounts and type(v) is int and abs(v) < 2**53 else v for k, v in value.items()}


def _explain(error: ValidationError) -> str:
    parts = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:4]:
        place = ".".join(str(p) for p in item["loc"]) or "the answer"
        parts.append(f"{place}: {item['msg'][:120]}")
    return "; ".join(parts)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!r} is given twice")
    return found
