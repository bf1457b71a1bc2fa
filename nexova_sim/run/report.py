"""``nexova report``: the report of a run again, from what its stages left, as a page or as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.experiment import ExperimentConfig, ReportStage
from nexova_sim.config.load import apply_overrides, build, read_yaml
from nexova_sim.dataset.stage import explain_os_error, write_durably
from nexova_sim.run.experiment import RUN_FORMAT, find_damage
from nexova_sim.run.report_data import FILES, pages_of
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
    """Write the report of the run in the folder ``run`` anew, into ``out`` (default: that folder).

    ``settings`` replace keys of the section ``report`` (max_figures=3). Nothing is computed again. Raises ConfigError
    for a format or a key that does not exist, DataError when the folder is not a run or a stage is missing or damaged.
    """
    for name in formats:
        if name not in FILES:
            raise ConfigError(f"--format {name}: there is no such format; {suggest(name, FILES)}", got=name)
    record = _record(run)
    experiment = build(ExperimentConfig, read_yaml(run / "config.resolved.yaml"), str(run / "config.resolved.yaml"))
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


def _record(run: Path) -> dict[str, Any]:
    """The manifest of a run; DataError when the folder has none."""
    remedy = "give the folder of a run that 'nexova run' wrote: results/run/NAME/ID"
    try:
        record: dict[str, Any] = json.loads((run / MANIFEST_NAME).read_text(encoding="utf-8"))
        if record["format"] != RUN_FORMAT:
            raise DataError(f"{run}: is a {record['format']}, not a run; {remedy}")
        return record | {"stages": dict(record["stages"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{run}: is not a run ({error}); {remedy}") from error


def _inputs(run: Path, record: dict[str, Any], experiment: ExperimentConfig) -> tuple[dict[str, Path], dict[str, str]]:
    """What the stages of a run left, by artifact, and their ids; stages that were never made are left out."""
    inputs: dict[str, Path] = {}
    ids: dict[str, str] = {}
    if experiment.dataset is not None:
        inputs["dataset"] = Path(experiment.dataset)
        load_manifest(inputs["dataset"])
        ids["dataset"] = hash_file(inputs["dataset"] / MANIFEST_NAME)[:12]
    for name, stage in STAGES.items():
        if name == "report" or name not in record["stages"]:
            continue
        entry = record["stages"][name]
        folder = run / entry["folder"]
        if not folder.is_dir() and stage.gives not in STAGES["report"].needs:
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
