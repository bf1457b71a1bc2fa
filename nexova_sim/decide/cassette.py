"""Cassettes: recorded answers of a language model, one JSON object per line, replayed without network or key.

The key of an entry is the hash of the whole question and names no library, so what one library recorded the other
replays. An entry is built from a list of allowed fields, never from what a library happens to hold; it is scanned for
secrets before it is written; every line carries its own hash. Errors are recorded like answers.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import CheckFailedError, DataError
from nexova_sim.decide.decision import parse_decision
from nexova_sim.decide.model import ModelError, Reply, Request, Usage, canonical, hash_text, request_key

VERSION = 1
SOURCES = ("gemini", "scripted")
_SECRETS = (
    ("a Google API key", re.compile(r"AIza[0-9A-Za-z_-]{35}")),
    ("a bearer token", re.compile(r"[Bb]earer\s+[A-Za-z0-9._~+/=-]{16,}")),
    ("a JSON web token", re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
)
_KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "NEXOVA_JWT_SECRET")
_FIELDS = {"v", "key", "source", "sdk", "request", "response", "usage", "timing", "error", "parse", "sha256"}


class Take(NamedTuple):
    """What one question gave: a reply or an error; ``source`` gemini or scripted; seconds and attempts it took."""

    request: Request
    reply: Reply | None
    error: ModelError | None
    source: str
    sdk: str
    elapsed_s: float = 0.0
    attempts: int = 1


class Cassette(NamedTuple):
    """Entries by key, in the order of the file, and where they came from."""

    path: Path
    entries: Mapping[str, Mapping[str, Any]]


def find_secret(text: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """What kind of secret stands in ``text``, or None."""
    for name in _KEY_VARIABLES:
        value = environment.get(name, "")
        if len(value) >= 8 and value in text:
            return f"the value of {name}"
    return next((what for what, pattern in _SECRETS if pattern.search(text)), None)


def entry_of(take: Take) -> dict[str, Any]:
    """The line of a take, with its own hash; DataError when a secret stands anywhere in it."""
    reply, error = take.reply, take.error
    wants_decision = take.request.schema is not None
    record: dict[str, Any] = {
        "v": VERSION,
        "key": request_key(take.request),
        "source": take.source,
        "sdk": take.sdk,
        "request": canonical(take.request),
        "response": None
        if reply is None
        else {"text": reply.text, "finish_reason": reply.finish_reason, "model_version": reply.model_version},
        "usage": None if reply is None else reply.usage._asdict(),
        "timing": {"latency_ms": round(take.elapsed_s * 1000.0), "attempts": take.attempts},
        "error": None
        if error is None
        else {"code": error.code, "message": error.message[:500], "status": error.status},
        "parse": parse_decision(reply.text).path if reply is not None and wants_decision else None,
    }
    text = _line(record)
    secret = find_secret(text)
    if secret:
        raise DataError(f"the cassette entry would hold {secret}; nothing was written, take it out of the prompt")
    return record | {"sha256": hash_text(text)}


def write_cassette(path: Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write a whole cassette: beside ``path`` first, then in its place, so that no reader sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".partial")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        for entry in entries:
            file.write(_line(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def append_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one entry to a cassette that is being recorded; on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(_line(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_cassette(path: Path) -> Cassette:
    """Read a cassette; DataError names the line that is damaged, repeated or of another version.

    A last line that was cut off while recording is left out: its question is simply asked again.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such cassette; record it with --mode record") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a cassette ({error})") from error
    entries: dict[str, Mapping[str, Any]] = {}
    for number, line in enumerate(lines[:-1], start=1):
        entry = _checked(line, f"{path}: line {number}")
        if entry["key"] in entries:
            raise DataError(f"{path}: line {number}: the question of key {entry['key'][:12]} is there twice")
        entries[entry["key"]] = entry
    return Cassette(path, entries)


def _checked(line: str, where: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        own = {k: v for k, v in entry.items() if k != "sha256"}
        sound = entry["v"] == VERSION and set(entry) == _FIELDS and hash_text(_line(own)) == entry["sha256"]
        if sound:
            sound = hash_text(_line(entry["request"], ascii_only=True)) == entry["key"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{where}: not an entry of a cassette; restore the file or record it again") from error
    if not sound:
        raise DataError(f"{where}: the entry does not match its own hash; restore the file or record it again")
    return dict(entry)


def play(cassette: Cassette, request: Request) -> Reply:
    """The recorded reply to ``request``; ModelError when an error was recorded, CheckFailedError when nothing was."""
    entry = cassette.entries.get(request_key(request))
    if entry is None:
        miss = f"{cassette.path}: no recorded answer to this question.\n{explain_miss(cassette, request)}"
        raise CheckFailedError(miss, key=request_key(request))
    if entry["error"] is not None:
        error = entry["error"]
        raise ModelError(str(error["code"]), str(error["message"]), error["status"])
    response = entry["response"]
    return Reply(response["text"], response["finish_reason"], response["model_version"], Usage(**entry["usage"]))


def explain_miss(cassette: Cassette, request: Request, most_lines: int = 12) -> str:
    """How ``request`` differs from the nearest question on the cassette, as a short diff."""
    if not cassette.entries:
        return "The cassette is empty."
    mine = _pretty(canonical(request))
    nearest = max(
        (e["request"] for e in cassette.entries.values()),
        key=lambda other: _likeness(mine, _pretty(other)),
    )
    lines = difflib.unified_diff(_pretty(nearest), mine, "nearest recorded", "asked now", lineterm="", n=0)
    shown = [line[:160] for line in lines if not line.startswith("@@")]
    more = [f"... {len(shown) - most_lines} more lines"] if len(shown) > most_lines else []
    return "\n".join([*shown[:most_lines], *more])


def _likeness(one: Sequence[str], other: Sequence[str]) -> int:
    return len(set(one) & set(other))


def _pretty(request: Mapping[str, Any]) -> list[str]:
    """A request as lines, its texts broken at their own line ends."""
    text = json.dumps(request, indent=1, sort_keys=True, ensure_ascii=False)
    return text.replace("\\n", "\n").splitlines()


def _line(value: Any, ascii_only: bool = True) -> str:  # noqa: ANN401
    return json.dumps(value, sort_keys=True, ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False)
