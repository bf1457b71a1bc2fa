"""``nexova models``: which saved models there are, what one is, and whether its files are as they were written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexova_sim.analyse.models import find_model_damage, find_models, read_model_manifest
from nexova_sim.base.errors import CheckFailedError, DataError


def list_models(root: str | Path = Path("results")) -> list[dict[str, Any]]:
    """One row per model below ``root``: folder, kind, name, id, data, times, and whether its manifest is whole."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give one that holds models, or fit one with 'nexova anomaly fit'")
    rows: list[dict[str, Any]] = []
    for folder in find_models(root):
        row: dict[str, Any] = {"folder": str(folder)}
        try:
            manifest = read_model_manifest(folder)
            row |= {key: manifest[key] for key in ("kind", "name", "model_id", "training_s", "inference_s_per_million")}
            row |= {"data": manifest["data"].get("name"), "state": "ok"}
        except DataError:
            row |= {"kind": None, "name": None, "model_id": None, "training_s": None,
                    "inference_s_per_million": None, "data": None, "state": "damaged"}  # fmt: skip
        rows.append(row)
    return rows


def show_model(folder: str | Path) -> dict[str, Any]:
    """The manifest of a model; DataError when it is none or damaged."""
    return read_model_manifest(Path(folder))


def verify_model(folder: str | Path) -> dict[str, Any]:
    """Check every file of a model against its manifest; CheckFailedError (exit 1) names what does not fit."""
    path = Path(folder)
    if not (path / "manifest.json").is_file():
        raise DataError(f"{path}: no model here; give the folder that 'nexova anomaly fit' wrote")
    damage = find_model_damage(path)
    if damage:
        raise CheckFailedError("; ".join(damage), damage=damage)
    manifest = read_model_manifest(path)
    return {"folder": str(path), "model_id": manifest["model_id"], "files": len(manifest["files"]), "ok": True}
