"""The audit log as a hash chain: every entry carries the hash of the one before it.

A chain alone does not show that its end was cut off or written anew. So its head and length are kept outside the log,
as an ``Anchor``; with it every edit, deletion, swap, duplicate, truncation and rewritten suffix is found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_value

ZERO = "0" * 64
MAX_FINDINGS = 100


class Entry(NamedTuple):
    """One attempt. ``detail`` is JSON text; ``previous`` and ``digest`` are SHA-256 as 64 hex digits."""

    seq: int
    time_ms: int
    user_id: str
    actor: str
    role: str
    action: str
    resource: str
    is_allowed: bool
    code: str
    detail: str
    previous: str
    digest: str


class Anchor(NamedTuple):
    """Length and last hash of a log."""

    n_entries: int
    head: str


class Finding(NamedTuple):
    """Something that is not as it was written; ``seq`` is the entry's place in the log, from 1."""

    seq: int
    problem: str


EMPTY = Anchor(0, ZERO)


def digest_of(entry: Entry) -> str:
    """SHA-256 over every field of an entry but its own digest."""
    fields = entry._asdict()
    del fields["digest"]
    return hash_value(fields)


def seal(anchor: Anchor, entry: Entry) -> tuple[Entry, Anchor]:
    """The entry placed at the end of the log that ``anchor`` stands for, and the anchor of the longer log."""
    placed = entry._replace(seq=anchor.n_entries + 1, previous=anchor.head)
    placed = placed._replace(digest=digest_of(placed))
    return placed, Anchor(placed.seq, placed.digest)


def blank(time_ms: int, action: str, resource: str, detail: Mapping[str, Any]) -> Entry:
    """An entry without actor and place, to be completed."""
    text = json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return Entry(0, time_ms, "", "", "", action, resource, False, "", text, ZERO, ZERO)


def verify_chain(entries: Iterable[Entry], anchors: Mapping[str, Anchor]) -> list[Finding]:
    """What is wrong with a log, read in order of ``seq``; empty when it is whole.

    ``anchors`` by name: each says how many entries there were and the hash of the last of them. An anchor may be older
    than the log (it then vouches for the entries up to its count), never younger.
    """
    findings: list[Finding] = []
    previous, place = ZERO, 0
    wanted: dict[int, list[tuple[str, str]]] = {}
    for name, anchor in anchors.items():
        wanted.setdefault(anchor.n_entries, []).append((name, anchor.head))
    findings += [Finding(0, f"{name}: an empty log with a head") for name, head in wanted.pop(0, []) if head != ZERO]
    for place, entry in enumerate(entries, start=1):
        if entry.seq != place:
            findings.append(Finding(place, f"entry {entry.seq} stands where entry {place} must"))
        if entry.previous != previous:
            findings.append(Finding(place, "does not follow from the entry before it"))
        if digest_of(entry) != entry.digest:
            findings.append(Finding(place, "is not what was written"))
        for name, head in wanted.pop(place, []):
            if head != entry.digest:
                findings.append(Finding(place, f"is not the entry that {name} vouches for"))
        previous = entry.digest
        if len(findings) >= MAX_FINDINGS:
            return findings
    for count, names in wanted.items():
        findings += [Finding(place, f"the log ends here, {name} vouches for {count} entries") for name, _ in names]
    return findings


def parse_anchor(text: str, where: str) -> Anchor:
    """``COUNT:HEAD`` as written by ``format_anchor``; DataError when it is not."""
    count, _, head = text.strip().partition(":")
    is_hex = len(head) == 64 and set(head) <= set("0123456789abcdef")
    if not (count.isascii() and count.isdigit() and len(count) < 16 and is_hex):
        raise DataError(f"{where}: is no anchor; expected COUNT:HEAD as 'nexova audit head' prints it")
    return Anchor(int(count), head)


def format_anchor(anchor: Anchor) -> str:
    """``COUNT:HEAD``, one line to keep where the log cannot be written from."""
    return f"{anchor.n_entries}:{anchor.head}"
