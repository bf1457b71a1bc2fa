"""Fingerprints: of a resolved configuration, of the code that ran, of a file."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> str:  # noqa: ANN401
    """JSON text with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def hash_value(value: Any) -> str:  # noqa: ANN401
    """SHA-256 (64 hex digits) of a JSON-like value."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 (64 hex digits) of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_tree(folder: Path, pattern: str = "**/*.py") -> str:
    """SHA-256 over the names and bytes of every file below ``folder`` that fits ``pattern``, in sorted order."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob(pattern)):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(b"\0")
        digest.update(path.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()


@cache
def code_hash(*rooms: str) -> str:
    """Fingerprint of the named rooms of the house (all rooms when none is named)."""
    package = Path(__file__).resolve().parent.parent
    if not rooms:
        return hash_tree(package)
    return hash_value([hash_tree(package / room) for room in sorted(rooms)])


def run_id(*parts: Any) -> str:
    """Twelve hex digits that name a run: the hash of its resolved configuration, code and inputs."""
    return hash_value(list(parts))[:12]
