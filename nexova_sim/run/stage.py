"""What a stage of ``nexova run`` is: its row in the registry, and what it gets when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.hashing import code_hash, hash_file, hash_value
from nexova_sim.config.experiment import ResolvedExperiment

Progress = Callable[[int, int], None]
Metrics = Mapping[str, Any]
BASE_ROOMS = ("base", "schema", "dataset")


class Work(NamedTuple):
    """What a stage gets: a folder to write to (half-filled when resumed), the experiment, its inputs by artifact.

    ``skipped`` are stages that could not work on the dataset, with the reason.
    """

    folder: Path
    resolved: ResolvedExperiment
    inputs: Mapping[str, Path]
    ids: Mapping[str, str]
    jobs: int | None
    progress: Progress
    skipped: Mapping[str, str] = {}


class Stage(NamedTuple):
    """A row of the registry. ``rooms`` and ``files`` (below the package) are the code that shapes what it leaves.

    It cannot run without the artifacts it ``needs``; those it ``uses`` are given to it when an enabled stage leaves
    them. ``config`` picks what of the experiment matters to it (JSON-like); ``exports`` are copied into the run's
    folder.
    """

    needs: tuple[str, ...]
    gives: str
    rooms: tuple[str, ...]
    files: tuple[str, ...]
    exports: tuple[str, ...]
    config: Callable[[ResolvedExperiment], Any]
    run: Callable[[Work], Metrics]
    uses: tuple[str, ...] = ()


@cache
def stage_code(stage: Stage) -> str:
    """Fingerprint of the code a stage runs through."""
    package = Path(__file__).resolve().parent.parent
    return hash_value([code_hash(*stage.rooms), [hash_file(package / name) for name in stage.files]])
