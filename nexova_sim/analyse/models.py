"""Saved models: plain arrays in one npz file, and a manifest with their hash, written last. Nothing is unpickled.

The manifest says what the model is, from what data and code it came, how good and how fast it is. A file whose bytes
do not fit the manifest, or a manifest that does not fit its own hash, is refused before anything of it is used.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_file, hash_value
from nexova_sim.dataset.stage import Stage, packages, write_durably
from nexova_sim.schema.manifest import MANIFEST_NAME

FORMAT = "nexova-model"
VERSION = 1
ARRAYS_NAME = "model.npz"
_SELF_HASH = "manifest_sha256"
_MOST_BYTES = 2_000_000_000
_KEYS = ("kind", "version", "name", "model_id", "config", "data", "config_hash", "code_hash", "metrics", "training_s",
         "inference_s_per_million", "files")  # fmt: skip


class SavedModel(NamedTuple):
    """A model folder: its manifest (JSON-like) and its arrays by name."""

    folder: Path
    manifest: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


def write_model(stage: Stage, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> dict[str, Any]:
    """Write arrays and manifest into the staging folder; ``about``: the keys of the manifest but version and files.

    Raises ValueError for an array that only a pickle could hold.
    """
    for name, value in arrays.items():
        if value.dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects; a saved model is plain arrays only")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_durably(stage.folder / ARRAYS_NAME, buffer.getvalue())
    path = stage.folder / ARRAYS_NAME
    files = [{"path": ARRAYS_NAME, "bytes": path.stat().st_size, "sha256": hash_file(path)}]
    manifest = {"format": FORMAT, "version": VERSION, "packages": packages(), **about, "files": files}
    whole = {**manifest, _SELF_HASH: hash_value(manifest)}
    text = json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(stage.folder / MANIFEST_NAME, text.encode("utf-8"))
    return whole


def read_model_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder, checked against its own hash; DataError when it is none or damaged."""
    path = folder / MANIFEST_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no model here; give the folder that 'nexova anomaly fit' wrote") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); fit the model again") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DataError(f"{path}: is no manifest of a model (format {FORMAT!r} expected); give a model folder")
    own = {key: value for key, value in raw.items() if key != _SELF_HASH}
    try:
        is_whole = hash_value(own) == raw.get(_SELF_HASH)
    except (ValueError, TypeError):
        is_whole = False
    missing = [key for key in _KEYS if key not in raw]
    if not is_whole or missing:
        raise DataError(f"{path}: manifest is damaged (its text does not fit its own hash); fit the model again")
    if raw["version"] != VERSION:
        raise DataError(f"{path}: model of version {raw['version']!r}, this version reads {VERSION}; fit it again")
    return raw


def find_model_damage(folder: Path) -> list[str]:
    """What is wrong with a model folder, in words; nothing when it is whole."""
    try:
        manifest = read_model_manifest(folder)
    except DataError as error:
        return [error.message]
    found = []
    for entry in manifest["files"]:
        path = folder / Path(str(entry["path"])).name
        if not path.is_file():
            found.append(f"{path}: the file is missing")
        elif path.stat().st_size != entry["bytes"] or hash_file(path) != entry["sha256"]:
            found.append(f"{path}: the bytes do not fit the manifest's hash")
    return found


def load_arrays(folder: Path, kind: str) -> SavedModel:
    """Load a model of ``kind``; DataError, and nothing loaded, when a file does not fit its manifest."""
    manifest = read_model_manifest(folder)
    if manifest["kind"] != kind:
        raise DataError(f"{folder}: holds a model of kind {manifest['kind']!r}, not {kind!r}; give another folder")
    damage = find_model_damage(folder)
    if damage:
        raise DataError(f"{damage[0]}; it was changed since it was fitted, do not trust it, fit the model again")
    path = folder / ARRAYS_NAME
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(f"{path}: {path.stat().st_size} bytes; a model has at most {_MOST_BYTES}")
    try:
        with np.load(path, allow_pickle=False) as source:
            arrays = {name: source[name] for name in source.files}
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); fit the model again") from error
    return SavedModel(folder, manifest, arrays)


def find_models(root: Path) -> list[Path]:
    """Folders below ``root`` (itself included) that hold a model's manifest, whole or not; sorted."""
    found = []
    for path in [root / MANIFEST_NAME, *root.rglob(f"*/{MANIFEST_NAME}")]:
        try:
            head = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if f'"format": "{FORMAT}"' in head:
            found.append(path.parent)
    return sorted(set(found))
