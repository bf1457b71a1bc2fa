"""``nexova runs diff``: what differs between two runs, stages or datasets, in configuration, inputs and metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.records import CONFIG_NAME, METRICS_NAME, read_json, read_manifest, read_provenance
from nexova_sim.run.runs import find_run, read_config, stage_states

_ABSENT = "-"
Facts = dict[str, dict[str, Any]]


class Difference(NamedTuple):
    """A key whose value differs. ``change_frac`` is (b - a) / |a| where both are numbers and a is not 0."""

    part: str
    key: str
    a: Any
    b: Any
    change_frac: float | None


class Diff(NamedTuple):
    """Two things of one kind, by part (config, code, inputs, metrics, ...) what differs, and how much is equal."""

    kind: str
    a: str
    b: str
    differences: tuple[Difference, ...]
    n_same: int


def flat(value: Any, above: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """Leaves of a JSON-like value with their path; an empty list or mapping is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from flat(part, f"{above}.{key}" if above else str(key))
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from flat(part, f"{above}.{number}" if above else str(number))
    else:
        yield above, value


def _run_facts(folder: Path) -> Facts:
    run = find_run(str(folder))
    records = read_provenance(run.folder) if run.kind == "run" else [dict(run.manifest)]
    last = records[-1] if records else {}
    made = {key: last.get(key) for key in ("git", "packages", "processor", "platform")}
    facts: Facts = {"config": {}, "code": {}, "inputs": {}, "metrics": {}, "made by": dict(flat(made))}
    if run.kind == "sweep":
        facts["config"] = dict(flat(read_config(run.folder / CONFIG_NAME)))
        return facts
    for stage in stage_states(run):
        facts["inputs"][f"{stage.name}.state"] = stage.state
        if stage.state in ("complete", "incomplete"):
            for part, values in _stage_facts(stage.folder).items():
                facts[part] |= {f"{stage.name}.{key}" if key else stage.name: v for key, v in values.items()}
    experiment = read_config(run.folder / CONFIG_NAME)
    facts["config"] |= {key: experiment.get(key) for key in ("name", "title")} if isinstance(experiment, dict) else {}
    return facts


def _stage_facts(folder: Path) -> Facts:
    manifest = read_manifest(folder) or {}
    config = read_config(folder / CONFIG_NAME)
    return {
        "config": dict(flat(config)) if config is not None else {},
        "code": {"": str(manifest.get("code_hash"))[:12]},
        "inputs": dict(manifest.get("inputs") or {}),
        "metrics": dict(flat(read_json(folder / METRICS_NAME) or {})),
    }


def _dataset_facts(folder: Path) -> Facts:
    about = open_dataset(folder).manifest
    told = about.model_dump(mode="json")
    facts = {key: told[key] for key in ("name", "source", "seed", "start", "end", "dt_s", "n_machines", "rows")}
    config = folder / CONFIG_NAME
    return {
        "config": dict(flat(read_config(config))) if config.is_file() else {},
        "code": {"": about.code_hash[:12]},
        "data": dict(flat(facts)),
        "files": {entry.path: entry.sha256[:12] for entry in about.files},
        "made by": dict(flat({"packages": told["packages"]})),
    }


_READERS: Mapping[str, Callable[[Path], Facts]] = MappingProxyType(
    {"run": _run_facts, "sweep": _run_facts, "stage": _stage_facts, "dataset": _dataset_facts}
)
_FORMATS = {"nexova-run": "run", "nexova-sweep": "sweep", "nexova-stage": "stage", "nexova-dataset": "dataset"}


def _place(address: str, root: Path) -> tuple[str, Path]:
    """Kind and folder of what an address names."""
    folder = Path(address)
    kind = _FORMATS.get(str((read_manifest(folder) or {}).get("format"))) if folder.is_dir() else None
    if kind in ("stage", "dataset"):
        return str(kind), folder
    run = find_run(address, root)
    return run.kind, run.folder


def diff_runs(a: str, b: str, root: Path = Path("results")) -> Diff:
    """What differs between two runs (by folder or id), sweeps, stages or datasets (by folder), both of one kind.

    ConfigError when they are of different kinds or none fits; DataError when a record is missing or damaged.
    """
    (kind, one), (other_kind, other) = _place(a, root), _place(b, root)
    if kind != other_kind:
        raise ConfigError(f"{a} is a {kind} and {b} a {other_kind}; give two of one kind")
    left, right = _READERS[kind](one), _READERS[kind](other)
    found: list[Difference] = []
    n_same = 0
    for part in dict.fromkeys((*left, *right)):
        ours, theirs = left.get(part, {}), right.get(part, {})
        for key in dict.fromkeys((*ours, *theirs)):
            x, y = ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
            if x == y and isinstance(x, bool) == isinstance(y, bool):
                n_same += 1
            else:
                found.append(Difference(part, key, x, y, change(x, y)))
    return Diff(kind, str(one), str(other), tuple(found), n_same)


def change(a: Any, b: Any) -> float | None:  # noqa: ANN401
    """(b - a) / |a| for two finite numbers with a other than 0, else None."""
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) or not math.isfinite(v) for v in (a, b)) or not a:
        return None
    return float((b - a) / abs(a))
