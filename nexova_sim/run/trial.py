"""One trial of a sweep: an experiment with its settings, run in a worker process; its record is one whole file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from nexova_sim.base.errors import LockedError
from nexova_sim.config.experiment import ResolvedExperiment, load_experiment
from nexova_sim.run.cost import cpu_seconds
from nexova_sim.run.experiment import identify, run_experiment

TRIALS, RUNS = "trials", "runs"
_LOCK_WAIT_S = 0.1


class TrialTask(NamedTuple):
    """What a worker needs: ``ident`` is the run id of the resolved experiment, ``root`` the folder of the sweep."""

    ident: str
    experiment: str
    settings: tuple[str, ...]
    seed: int | None
    root: str
    with_report: bool


class Trial(NamedTuple):
    """A record: the metrics of every stage (flat names), the cost, the folder of the run below the sweep's."""

    ident: str
    metrics: dict[str, float | int | str | bool | None]
    cpu_s: float
    wall_s: float
    folder: str


def resolve(task: TrialTask) -> ResolvedExperiment:
    """The experiment of a trial; ConfigError when a setting does not fit."""
    resolved = load_experiment(task.experiment, task.settings, task.seed)
    if task.with_report:
        return resolved
    return resolved.model_copy(update={"experiment": resolved.experiment.model_copy(update={"report": None})})


def run_trial(task: TrialTask) -> Trial:
    """Run a trial and leave its record; stages that trials share are made once, by whoever comes first.

    A trial whose record is there is not run again: a cluster repeats also what a lost worker had finished.
    """
    found = read_trial(Path(task.root), task.ident)
    if found is not None:
        return found
    begun, cpu_s = time.monotonic(), cpu_seconds()
    root = Path(task.root)
    resolved = resolve(task)
    while True:
        try:
            done = run_experiment(resolved, root / RUNS, jobs=1)
            break
        except LockedError:
            time.sleep(_LOCK_WAIT_S)
    metrics: dict[str, Any] = {}
    for stage in done.stages:
        metrics |= flatten(stage.metrics, f"{stage.name}.")
    trial = Trial(task.ident, metrics, round(cpu_seconds() - cpu_s, 4), round(time.monotonic() - begun, 4),
                  done.folder.name)  # fmt: skip
    write_trial(root, trial)
    return trial


def flatten(values: Mapping[str, Any], above: str = "") -> dict[str, float | int | str | bool | None]:
    """Nested mappings as dotted names; lists are left out, there is no one number in them."""
    found: dict[str, float | int | str | bool | None] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{above}{key}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            found[f"{above}{key}"] = value
    return found


def wanted(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a metric fits one of the patterns (``alerts.*``)."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def trial_path(root: Path, ident: str) -> Path:
    """Where the record of a trial lies."""
    return root / TRIALS / f"{ident}.json"


def write_trial(root: Path, trial: Trial) -> None:
    """Write a record under a name of its own, then rename: a reader finds all of it or nothing."""
    path = trial_path(root, trial.ident)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:12]}.tmp")
    temporary.write_text(json.dumps(trial._asdict(), sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_trial(root: Path, ident: str) -> Trial | None:
    """The record of a trial, None when there is none that is whole."""
    try:
        raw = json.loads(trial_path(root, ident).read_text(encoding="utf-8"))
        trial = Trial(**raw)
    except (OSError, ValueError, TypeError):
        return None
    return trial if trial.ident == ident and isinstance(trial.metrics, dict) else None


def identity(task: TrialTask) -> str:
    """The run id of a trial's experiment: hash of its configuration, the code it runs through and its inputs."""
    return identify(resolve(task))
