"""What the energy verbs share: run folders with a manifest, model files, the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nexova_sim.base.hashing import hash_file
from nexova_sim.dataset.stage import Stage, write_durably
from nexova_sim.run.records import read_result
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
ROOMS = ("base", "config", "kernels", "schedule", "run")


class EnergyResult(NamedTuple):
    """What an energy verb left: its folder and the content of its summary file."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


def json_text(value: Any) -> str:  # noqa: ANN401
    """Indented JSON with a newline at its end; no NaN."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_texts(stage: Stage, texts: Mapping[str, str]) -> None:
    """Write text files into a staging folder, each whole or not at all."""
    for name, text in texts.items():
        write_durably(stage.folder / name, text.encode("utf-8"))


def config_text(config: Any) -> str:  # noqa: ANN401
    """The YAML of a resolved configuration."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def seal(stage: Stage, kind: str, hashes: tuple[str, str], names: Sequence[str]) -> None:
    """Write the manifest of a run folder, last; ``hashes`` are those of configuration and code."""
    places = [stage.folder / name for name in sorted(names)]
    files = [{"path": p.name, "bytes": p.stat().st_size, "sha256": hash_file(p)} for p in places]
    manifest = {"format": kind, "config_hash": hashes[0], "code_hash": hashes[1], "files": files}
    write_durably(stage.folder / MANIFEST_NAME, json_text(manifest).encode())


def read_summary(folder: Path, name: str) -> dict[str, Any]:
    """The JSON file ``name`` of a finished run; DataError when it is damaged."""
    return read_result(folder, name)
