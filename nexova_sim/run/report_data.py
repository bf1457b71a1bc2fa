"""What the report is made of, read from a dataset in one pass over its readings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.experiment import ExperimentConfig, ReportStage
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.report.chapters import make_chapters
from nexova_sim.report.html import Making, render
from nexova_sim.report.markdown import to_markdown
from nexova_sim.report.series import COLUMNS, Grid, Series, add_batch, add_health, empty_series, make_grid
from nexova_sim.report.tables import FleetData
from nexova_sim.schema.manifest import Manifest

Progress = Callable[[int, int], None]
_FALLBACK_S = 60.0
FILES: Mapping[str, str] = MappingProxyType({"html": "report.html", "markdown": "report.md"})


class Texts(NamedTuple):
    """A report made: its files by name, the stages with a page, machines with a figure, machines by state."""

    texts: dict[str, str]
    chapters: tuple[str, ...]
    n_figures: int
    states: dict[str, int]


def pages_of(experiment: ExperimentConfig, section: ReportStage, inputs: Mapping[str, Path], dataset_id: str,
             skipped: Mapping[str, str], progress: Progress) -> Texts:  # fmt: skip
    """The report of an experiment in the formats of ``section``, from the artifacts in ``inputs``.

    ``skipped`` are the stages that could not work on the dataset, with the reason.
    """
    fleet = collect(inputs["dataset"], inputs["description.json"], section, progress)
    source = next((name for name in ("simulate", "ingest") if getattr(experiment, name) is not None), None)
    making = making_of(inputs["dataset"], dataset_id, source, fleet.manifest)
    left_out = tuple((f"Left out: {name}", f"The stage {why}.") for name, why in skipped.items())
    making = making._replace(facts=(*making.facts, *left_out))
    chapters = make_chapters(inputs)
    page = render(experiment.title or experiment.name, fleet, making, section.max_figures, chapters)
    writers: Mapping[str, Callable[[str], str]] = {"html": str, "markdown": to_markdown}
    texts = {FILES[name]: writers[name](page.html) for name in dict.fromkeys(section.formats)}
    return Texts(texts, tuple(c.id for c in chapters), page.n_figures, dict(page.states))


def collect(folder: Path, description: Path, section: ReportStage, progress: Progress) -> FleetData:
    """Read the dataset in ``folder`` for its report; ``description`` is the file the stage describe left.

    Memory grows with machines and bins, not with readings. Raises DataError when a file is missing or broken.
    """
    dataset = open_dataset(folder)
    described = json.loads(description.read_text(encoding="utf-8"))
    manifest = dataset.manifest
    step_s = float(described["gaps"]["step_s"] or _FALLBACK_S)
    start_ms, end_ms = parse_time(manifest.start, "start"), parse_time(manifest.end, "end")
    # A guessed step varies: bins twice as wide keep readings in every bin.
    least_s = step_s if described["gaps"]["is_step_given"] else 2.0 * step_s
    grid = make_grid(start_ms, max(end_ms, start_ms + 1), section.n_bins, least_s)
    machines = dataset.read("machines")
    ids = [str(v) for v in machines.column("machine_id").to_pylist()]
    if not ids:
        raise DataError(f"{folder}: the dataset has no machines; there is nothing to report")
    return FleetData(
        manifest,
        described,
        machines,
        dataset.read("factories"),
        dataset.read("labels"),
        dataset.read("events"),
        _series(dataset, grid, ids, step_s, progress),
        _health(dataset, grid, ids),
    )


def _series(dataset: Dataset, grid: Grid, ids: list[str], step_s: float, progress: Progress) -> Series:
    series = empty_series(grid, len(ids), step_s)
    total, done = dataset.manifest.rows.get("readings", 0), 0
    for batch in dataset.scan("readings", columns=COLUMNS, batch_rows=524_288):
        add_batch(series, batch, ids)
        done += batch.num_rows
        progress(done, total)
    return series


def _health(dataset: Dataset, grid: Grid, ids: list[str]) -> np.ndarray:
    percent = np.full((len(ids), grid.n_bins), np.nan, np.float64)
    if "truth" in dataset.tables():
        for batch in dataset.scan("truth", columns=("machine_id", "timestamp", "health_percent")):
            add_health(percent, grid, batch, ids)
    return percent


def making_of(dataset: Path, ident: str, source: str | None, manifest: Manifest) -> Making:
    """How the dataset ``ident`` was made and how to make it again, for the last part of the report.

    ``source`` is the stage that left it, None for a dataset that was given.
    """
    config = dataset / "config.resolved.yaml"
    text = config.read_text(encoding="utf-8") if config.is_file() else ""
    place = f"../stages/{source}/{ident}/dataset" if source else "DATASET"
    commands = (
        "nexova run --config config.resolved.yaml",
        f"nexova data verify {place}",
        f"nexova data describe {place}",
    )
    facts = [
        ("Dataset", manifest.name),
        ("Source", manifest.source),
        ("Seed", "none" if manifest.seed is None else str(manifest.seed)),
        ("Dataset id", ident),
        ("Configuration hash", manifest.config_hash),
        ("Code hash", manifest.code_hash),
        *((f"Version of {name}", version) for name, version in sorted(manifest.packages.items())),
    ]
    return Making(tuple(facts), commands, text)
