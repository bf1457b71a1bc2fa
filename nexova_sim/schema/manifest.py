"""The manifest that makes a folder a dataset: files with sizes and hashes, row counts, provenance. Written last."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_value

MANIFEST_NAME = "manifest.json"
FORMAT = "nexova-dataset"
SELF_HASH = "manifest_sha256"
_MIN_KNOWN_KEYS = 5  # a JSON object with fewer of our keys was never a manifest of ours


class DamagedManifestError(DataError):
    """The manifest is there, and its text is not what was written (exit 3; ``verify`` reports it as damage, exit 1)."""

    code = "DAMAGED"


class FileEntry(BaseModel):
    """One file of a dataset: path below the folder, table, rows, bytes, sha256 of the whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str
    table: str
    rows: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What a dataset folder holds and where it came from. Equal inputs give an equal manifest, byte for byte."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    format: str = FORMAT
    schema_version: str
    name: str
    source: str
    seed: int | None
    start: str
    end: str
    dt_s: float | None
    n_machines: int
    rows: dict[str, int]
    extra_channels: list[str]
    config_hash: str
    code_hash: str
    packages: dict[str, str]
    files: list[FileEntry]


def dump_manifest(manifest: Manifest) -> str:
    """The manifest as the text that is written to disk; ``manifest_sha256`` in it is the hash of all the rest."""
    rest = manifest.model_dump()
    return json.dumps({**rest, SELF_HASH: hash_value(rest)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def load_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a dataset folder: its text must be, to the byte, what ``dump_manifest`` gives.

    Raises DataError when there is none or it is another program's, DamagedManifestError when it was changed.
    """
    path = folder / MANIFEST_NAME
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such dataset folder; give the folder that 'nexova simulate' or 'nexova ingest' wrote"
        )
    if not path.is_file():
        raise DataError(
            f"{folder}: not a dataset, {MANIFEST_NAME} is missing; an interrupted run is resumed by running it again"
        )
    try:
        text = path.read_bytes().decode("utf-8")
        raw = json.loads(text)
        if not isinstance(raw, dict) or len(raw.keys() & Manifest.model_fields.keys()) < _MIN_KNOWN_KEYS:
            raise DataError(f"{path}: is not a dataset manifest (format {FORMAT!r} expected)")
        raw.pop(SELF_HASH, None)
        manifest = Manifest.model_validate(raw)
        is_whole = text == dump_manifest(manifest) and manifest.format == FORMAT
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except (ValueError, RecursionError) as error:
        what = "; ".join(e["msg"] for e in error.errors()[:3]) if isinstance(error, ValidationError) else str(error)
        raise DamagedManifestError(f"{path}: manifest is damaged ({what}); write the dataset again") from error
    if not is_whole:
        raise DamagedManifestError(
            f"{path}: manifest is damaged (its text does not fit its own {SELF_HASH}); write the dataset again"
        )
    return manifest
