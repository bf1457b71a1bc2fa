"""``nexova decisions cassette``: check, count and compare recorded answers of a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.decide.cassette import SOURCES, Cassette, find_secret, read_cassette
from nexova_sim.decide.decision import parse_decision


class Finding(NamedTuple):
    """Something wrong with an entry (``key``, empty for the whole file)."""

    key: str
    problem: str


class Difference(NamedTuple):
    """A question on which two cassettes differ: ``what`` is only in A, only in B, or the field that differs."""

    key: str
    what: str
    first: str
    second: str


def lint(path: Path) -> list[Finding]:
    """What is wrong with a cassette: damage, secrets, an unknown source, a parse path that no longer holds."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    secret = find_secret(text)
    found = [Finding("", f"holds {secret}; remove it and record again with a new key")] if secret else []
    try:
        cassette = read_cassette(path)
    except DataError as error:
        if not path.is_file():
            raise
        return [*found, Finding("", error.message)]
    if text and not text.endswith("\n"):
        found.append(Finding("", "the last line was cut off; recording again completes it"))
    for key, entry in cassette.entries.items():
        if entry["source"] not in SOURCES:
            found.append(Finding(key, f"source {entry['source']!r}: must be one of {', '.join(SOURCES)}"))
        if (entry["response"] is None) == (entry["error"] is None):
            found.append(Finding(key, "must hold either a response or an error"))
        elif (
            entry["parse"] is not None
            and (path_now := parse_decision(entry["response"]["text"]).path) != entry["parse"]
        ):
            found.append(Finding(key, f"was read as {entry['parse']} when recorded and is read as {path_now} now"))
    return found


def stats(path: Path) -> dict[str, Any]:
    """Counts by source, library, model, model version, error and parse path; tokens; latency p50 and p95 in ms."""
    entries = list(read_cassette(path).entries.values())
    answers = [e for e in entries if e["response"] is not None]
    latency = [float(e["timing"]["latency_ms"]) for e in answers]
    tokens = {name: sum(e["usage"][name] or 0 for e in answers) for name in ("prompt", "output", "thought", "total")}
    return {
        "entries": len(entries),
        "source": _count(e["source"] for e in entries),
        "sdk": _count(e["sdk"] for e in entries),
        "model": _count(e["request"]["model"] for e in entries),
        "model_version": _count(e["response"]["model_version"] for e in answers),
        "prompt_version": _count(e["request"]["prompt_version"] for e in entries),
        "error": _count(e["error"]["code"] for e in entries if e["error"] is not None),
        "parse": _count(e["parse"] for e in entries if e["parse"] is not None),
        "tokens": tokens,
        "latency_ms": {"p50": _quantile(latency, 0.5), "p95": _quantile(latency, 0.95)},
    }


def compare(first: Path, second: Path) -> list[Difference]:
    """Questions that only one of two cassettes holds, and those that they answer differently."""
    one, other = read_cassette(first), read_cassette(second)
    found = []
    for key in dict.fromkeys([*one.entries, *other.entries]):
        if key not in other.entries:
            found.append(Difference(key, "only in A", _answer(one, key), ""))
        elif key not in one.entries:
            found.append(Difference(key, "only in B", "", _answer(other, key)))
        elif _answer(one, key) != _answer(other, key):
            found.append(Difference(key, "answer", _answer(one, key), _answer(other, key)))
    return found


def _answer(cassette: Cassette, key: str) -> str:
    """The decision of an entry in one line, or its text when it is none, or its error."""
    entry: Mapping[str, Any] = cassette.entries[key]
    if entry["error"] is not None:
        return f"error {entry['error']['code']}"
    text = str(entry["response"]["text"])
    decision = parse_decision(text).decision if entry["parse"] is not None else None
    return decision.model_dump_json(by_alias=True) if decision else text


def _count(values: Any) -> dict[str, int]:  # noqa: ANN401
    return dict(sorted(Counter(str(v) for v in values).items()))


def _quantile(values: list[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
