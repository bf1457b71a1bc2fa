"""What the report is made of, read from a dataset in one pass over its readings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.experiment import ReportStage
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.report.html import Making
from nexova_sim.report.series import COLUMNS, Grid, Series, add_batch, add_health, empty_series, make_grid
from nexova_sim.report.tables import FleetData
from nexova_sim.schema.manifest import Manifest

Progress = Callable[[int, int], None]
_FALLBACK_S = 60.0


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
