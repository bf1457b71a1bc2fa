"""The manifest that makes a folder a dataset: files with sizes and hashes, row counts, provenance. Written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from nexova_sim.base.errors import DataError

MANIFEST_NAME = "manifest.json"
FORMAT = "nexova-dataset"


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
    """The manifest as the text that is written to disk."""
    return json.dumps(manifest.model_dump(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def load_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a dataset folder; DataError when it is missing or not a manifest."""
    path = folder / MANIFEST_NAME
    if not folder.is_dir():
        raise DataError(f"{folder}: no such dataset folder; give the folder that 'nexova simulate' or 'nexova ingest' wrote")
    if not path.is_file():
        raise DataError(f"{folder}: not a dataset, because {MANIFEST_NAME} is missing; an interrupted run is resumed by running it again")
    try:
        raw: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise DataError(f"{path}: is not a dataset manifest (format {FORMAT!r} expected)")
        return Manifest.model_validate(raw)
    except (ValueError, RecursionError, OSError) as error:
        what = "; ".join(e["msg"] for e in error.errors()[:3]) if isinstance(error, ValidationError) else str(error)
        raise DataError(f"{path}: manifest is damaged ({what}); write the dataset again") from error
