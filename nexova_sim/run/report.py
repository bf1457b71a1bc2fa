"""``nexova report``: the report of a run again, from what its stages left, as a page or as Markdown."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.experiment import ExperimentConfig, ReportStage
from nexova_sim.config.load import apply_overrides, build
from nexova_sim.dataset.stage import explain_os_error, write_durably
from nexova_sim.run.experiment import find_damage
from nexova_sim.run.records import METRICS_NAME, RUN_FORMAT, check_place, read_json, read_manifest, read_resolved
from nexova_sim.run.report_data import FILES, pages_of
from nexova_sim.run.runs import find_run as find_named
from nexova_sim.run.stages import STAGES
from nexova_sim.schema.manifest import MANIFEST_NAME, load_manifest

Progress = Callable[[int, int], None]


class ReportResult(NamedTuple):
    """What was written: the files, the pages of stages that are in them, machines with a figure and by state."""

    files: tuple[Path, ...]
    chapters: tuple[str, ...]
    n_figures: int
    states: dict[str, int]
    run_id: str


def no_progress(_done: int, _total: int) -> None:
    """Shows nothing."""


def write_report(run: Path, formats: Sequence[str] = ("html",), settings: Sequence[str] = (), out: Path | None = None,
                 progress: Progress = no_progress) -> ReportResult:  # fmt: skip
    """Write the report of the run in the folder ``run`` (see find_run) anew, into ``out`` (default: the run's folder).

    ``settings`` replace keys of the section ``report`` (max_figures=3). Nothing is computed again. Raises ConfigError
    for a format or a key that does not exist, DataError when the folder is not a run or a stage is missing or damaged.
    """
    for name in formats:
        if name not in FILES:
            raise ConfigError(f"--format {name}: there is no such format; {suggest(name, FILES)}", got=name)
    run = find_run(run)
    _check_out(out, bool(settings))
    record = read_json(run / MANIFEST_NAME) or {}
    experiment = read_resolved(run).experiment
    section = experiment.report or ReportStage()
    section = build(ReportStage, apply_overrides(section.model_dump(mode="json"), settings), "--set")
    inputs, ids = _inputs(run, record, experiment)
    section = section.model_copy(update={"formats": list(formats)})
    skipped = {name: entry["skipped"] for name, entry in record["stages"].items() if "skipped" in entry}
    made = pages_of(experiment, section, inputs, ids["dataset"], skipped, progress)
    folder = out or run
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in made.texts.items():
            write_durably(folder / name, text.encode("utf-8"))
    except OSError as error:
        raise explain_os_error(error, folder) from error
    return ReportResult(tuple(folder / name for name in made.texts), made.chapters, made.n_figures, made.states,
                        str(record["run_id"]))  # fmt: skip


def _check_out(out: Path | None, is_changed: bool) -> None:
    """Refuse to damage what is verified by hashes: a dataset or stage around ``out``, or the run's own report."""
    if out is None and is_changed:
        raise ConfigError(
            "--set changes the report, and the run's own would no longer verify; give another place by --out"
        )
    if out is not None:
        check_place(out, (RUN_FORMAT,))


def find_run(folder: Path) -> Path:
    """The folder of a run: ``folder`` itself, or the newest of an experiment's folder, or as ``nexova runs`` names it.

    Raises DataError when it holds none, ConfigError when no run below results/ is named so.
    """
    if _is_run(folder):
        return folder
    if not folder.is_dir():
        found = find_named(os.fspath(folder))
        if found.kind != "run":
            raise ConfigError(
                f"{folder}: the {found.kind} {found.folder}, which has no report of its own; give a run: "
                "'nexova runs list' names them"
            )
        return found.folder
    runs = [path.parent for path in folder.glob(f"*/{MANIFEST_NAME}") if _is_run(path.parent)]
    if not runs:
        raise DataError(
            f"{folder}: is not a run, and none lies in it; give a folder that 'nexova run' wrote: results/run/NAME"
        )
    return max(runs, key=lambda path: ((path / MANIFEST_NAME).stat().st_mtime_ns, path.name))


def _is_run(folder: Path) -> bool:
    record = read_manifest(folder)
    return record is not None and record.get("format") == RUN_FORMAT and isinstance(record.get("stages"), dict)


def _inputs(run: Path, record: dict[str, Any], experiment: ExperimentConfig) -> tuple[dict[str, Path], dict[str, str]]:
    """What the stages of a run left, by artifact, and their ids; stages that were never made are left out."""
    inputs: dict[str, Path] = {}
    ids: dict[str, str] = {}
    if experiment.dataset is not None:
        inputs["dataset"] = Path(experiment.dataset)
        load_manifest(inputs["dataset"])
        ids["dataset"] = hash_file(inputs["dataset"] / MANIFEST_NAME)[:12]
    made = read_json(run / METRICS_NAME) or {}
    for name, stage in STAGES.items():
        if name == "report" or name not in record["stages"]:
            continue
        entry = record["stages"][name]
        folder = run / entry["folder"]
        if name not in made and not folder.is_dir() and stage.gives not in STAGES["report"].needs:
            continue
        damage = find_damage(folder, entry["id"])
        if damage:
            raise DataError(f"{folder}: what stage {name} left is {damage}; run 'nexova run' again")
        inputs[stage.gives], ids[stage.gives] = folder / stage.gives, entry["id"]
    for need in STAGES["report"].needs:
        if need not in inputs:
            maker = next(name for name, stage in STAGES.items() if stage.gives == need)
            raise DataError(f"{run}: the report needs {need}, which stage {maker} leaves; run it with that section")
    return inputs, ids
