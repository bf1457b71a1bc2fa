"""The folder of a run: its configuration, metrics, exports, manifest, and one provenance file per invocation."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.experiment import ResolvedExperiment, restore_experiment
from nexova_sim.dataset.stage import write_durably
from nexova_sim.schema.manifest import FORMAT as DATASET_FORMAT
from nexova_sim.schema.manifest import MANIFEST_NAME

RUN_FORMAT, SWEEP_FORMAT = "nexova-run", "nexova-sweep"
CONFIG_NAME, RESOLVED_NAME, METRICS_NAME, PROVENANCE = (
    "config.resolved.yaml",
    "experiment.resolved.json",
    "metrics.json",
    "provenance",
)


def check_place(out: Path, may_lie_in: Collection[str] = ()) -> None:
    """Refuse a folder to write to that is a file, or that lies inside what is verified by hashes: it would be damaged.

    ``may_lie_in`` are formats whose folders take more files. Raises ConfigError.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: exists and is not a folder; choose another --out")
    for place in (out.resolve(), *out.resolve().parents):
        kind = (read_manifest(place) or {}).get("format")
        if str(kind).startswith("nexova-") and kind not in may_lie_in:
            what = "dataset" if kind == DATASET_FORMAT else f"result ({kind})"
            raise ConfigError(
                f"--out {out}: lies inside the {what} {place}, which would no longer verify; choose another --out"
            )


def json_text(value: Any) -> str:  # noqa: ANN401
    """A JSON-like value as the text that is stored."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a JSON-like value durably."""
    write_durably(path, json_text(value).encode())


def write_yaml(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write a JSON-like value as YAML, durably."""
    write_durably(path, yaml.dump(value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True).encode())


# The same text as the safe dumper's, several times faster where the library has its C part.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write_resolved(folder: Path, resolved: ResolvedExperiment) -> None:
    """What the experiment's files said, all of it, so that it can be run again when they have changed or gone.

    A dataset that was given is named by its absolute path.
    """
    given = resolved.experiment.dataset
    if given is not None:
        there = resolved.experiment.model_copy(update={"dataset": str(Path(given).absolute())})
        resolved = resolved.model_copy(update={"experiment": there})
    write_durably(folder / RESOLVED_NAME, resolved.model_dump_json(by_alias=True).encode() + b"\n")


def read_resolved(folder: Path) -> ResolvedExperiment:
    """The experiment of a run as it was; DataError when the record is missing or damaged."""
    path = folder / RESOLVED_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run the experiment again to write it anew") from error
    return restore_experiment(raw, str(path))


def write_provenance(folder: Path, record: Mapping[str, Any]) -> None:
    """One file per invocation, named by its time; two in one second are numbered."""
    place = folder / PROVENANCE
    place.mkdir(exist_ok=True)
    stamp = str(record["started_utc"]).replace("-", "").replace(":", "")
    path = place / f"{stamp}.json"
    number = 1
    while path.exists():
        number += 1
        path = place / f"{stamp}-{number}.json"
    write_json(path, record)


def read_provenance(folder: Path) -> list[dict[str, Any]]:
    """Provenance of every invocation that is readable, oldest first."""
    found = []
    for path in (folder / PROVENANCE).glob("*.json"):
        record = read_json(path)
        if record is not None:
            stem, _, number = path.stem.partition("-")
            found.append(((stem, int(number) if number.isdigit() else 1), record))
    return [record for _, record in sorted(found, key=lambda item: item[0])]


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file, None when there is none that is whole."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return raw if isinstance(raw, dict) else None


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, whatever wrote it; None when there is none."""
    return read_json(folder / MANIFEST_NAME)


def read_result(folder: Path, name: str, made_by: tuple[str, str] | None = None) -> dict[str, Any]:
    """The JSON object in the file ``name`` of a finished result; DataError when it is damaged.

    ``made_by``: the format its manifest must have, and what to say of a folder that has another or none.
    """
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        manifest = made_by and json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        what = f"the run is damaged ({error}); make it anew with --overwrite" if made_by is None else made_by[1]
        raise DataError(f"{folder}: {what}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder}: the run is damaged ({error}); make it anew with --overwrite") from error
    if made_by is not None and (not isinstance(manifest, dict) or manifest.get("format") != made_by[0]):
        raise DataError(f"{folder}: {made_by[1]}")
    if not isinstance(found, dict):
        raise DataError(f"{folder}: the run is damaged ({name} holds no object); make it anew with --overwrite")
    return found
