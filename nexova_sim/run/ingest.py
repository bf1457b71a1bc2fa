"""``nexova ingest``: files of a real plant and a mapping file -> the kind of dataset folder that simulate writes."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import yaml

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.ingest import HOUSE_UNITS, IngestMap
from nexova_sim.dataset.foreign import Foreign, open_all
from nexova_sim.dataset.history import events_table, finish, labels_table
from nexova_sim.dataset.ingest import (
    Intake,
    Progress,
    Survey,
    factories_table,
    machines_table,
    new_history,
    readings_parts,
    survey,
    take_in,
)
from nexova_sim.dataset.rejects import REJECTS_PATH, write_rejects
from nexova_sim.dataset.stage import Stage, explain_os_error, is_same, staged
from nexova_sim.dataset.write import Source, WriteOptions, file_entry, part_path, write_manifest, write_table
from nexova_sim.schema.manifest import FileEntry, Manifest, load_manifest

REPORT_NAME = "ingest.report.json"
_ROOMS = ("base", "schema", "config", "dataset")


class IngestResult(NamedTuple):
    """What an ingest left behind; ``report`` is the content of the side file ingest.report.json."""

    folder: Path
    run_id: str
    manifest: Manifest
    report: dict[str, Any]
    was_there: bool


def no_progress(done: int, total: int) -> None:
    """Progress callback that shows nothing."""


def ingest_hash(files: Sequence[Foreign], mapping: IngestMap) -> str:
    """Hash of the mapping and of the names and bytes of all input files, in order."""
    inputs = [[f.name, f.sha256] for f in files]
    return hash_value({"map": mapping.model_dump(mode="json"), "inputs": inputs})


def _paths(files: Sequence[Path | str], max_reject_frac: float) -> list[Path]:
    if not 0.0 <= max_reject_frac <= 1.0:
        raise ConfigError(f"--max-reject-frac {max_reject_frac}: must be from 0 to 1")
    return [Path(f) for f in files]


@contextmanager
def _taken_in(
    paths: Sequence[Path], mapping: IngestMap, max_reject_frac: float, progress: Progress
) -> Iterator[tuple[Intake, Survey]]:
    """All files read and found fit, with their rows in a temporary folder for as long as the block lasts."""
    try:
        with tempfile.TemporaryDirectory(prefix="nexova-ingest-") as name:
            intake = take_in(paths, mapping, Path(name), progress)
            yield intake, survey(intake, max_reject_frac)
    except OSError as error:
        raise explain_os_error(error, Path(tempfile.gettempdir())) from error


def ingest(files: Sequence[Path | str], mapping: IngestMap, out: Path | None = None, max_reject_frac: float = 0.2,
           overwrite: bool = False, progress: Progress = no_progress) -> IngestResult:  # fmt: skip
    """Ingest CSV or Parquet files into a dataset folder; the same files and mapping give the same bytes.

    Rows that cannot be kept go to ``rejects/``; a file that is broken as a whole, or of which more than
    ``max_reject_frac`` is rejected, raises DataError before anything is written. ConfigError when arguments do not fit.
    """
    paths = _paths(files, max_reject_frac)
    config_hash, code = ingest_hash(open_all(paths, mapping), mapping), code_hash(*_ROOMS)
    ident = run_id(config_hash, code)
    folder = out or Path("results") / "ingest" / mapping.name / ident
    if is_same(folder, config_hash, code):
        return IngestResult(folder, ident, load_manifest(folder), _stored_report(folder), True)
    with _taken_in(paths, mapping, max_reject_frac, progress) as (intake, found):
        if ingest_hash(intake.files, mapping) != config_hash:
            raise DataError("an input file changed while it was read; wait until it is complete and run again")
        report = describe(intake, found, mapping)
        with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
            entries = _write(stage, intake, found, mapping)
            source = Source(
                name=mapping.name,
                source="ingest",
                seed=None,
                start=_iso(found.first_ms),
                end=_iso(found.last_ms + max(1, round(1000.0 * (found.dt_s or 0.0)))),
                dt_s=found.dt_s,
                n_machines=len(intake.ids),
                extra_channels=tuple(e.channel.name for e in intake.layout.extras),
                config_hash=config_hash,
                code_hash=code,
            )
            texts = {
                "config.resolved.yaml": yaml.safe_dump(
                    mapping.model_dump(mode="json"), sort_keys=False, allow_unicode=True
                ),
                REPORT_NAME: json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            }
            manifest = write_manifest(stage, source, entries, texts)
    return IngestResult(folder, ident, manifest, report, False)


def _stored_report(folder: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder / REPORT_NAME}: cannot be read ({error}); write the dataset again with --overwrite"
        ) from error
    return report


def _iso(ms: int) -> str:
    return str(np.datetime64(ms, "ms") if ms % 1000 else np.datetime64(ms // 1000, "s")) + "Z"


def _write(stage: Stage, intake: Intake, found: Survey, mapping: IngestMap) -> list[FileEntry]:
    entries: list[FileEntry] = []
    history = new_history(mapping, found)
    start_h: dict[str, float] = {}

    def put(path: str, table: pa.Table) -> None:
        entries.append(
            file_entry(stage, path) if path in stage.done else write_table(stage, path, table, WriteOptions())
        )

    for part, table, rank in readings_parts(intake, mapping, history):
        runtime = table.column("runtime_h").to_numpy()
        for i in np.flatnonzero(np.r_[True, rank[1:] != rank[:-1]]):
            if not math.isnan(runtime[i]):
                start_h.setdefault(intake.ids[int(rank[i])], float(runtime[i]))
        put(part_path("readings", part.label, part.number), table)
    finish(history)
    put(part_path("machines", None, 0), machines_table(intake.ids, mapping, start_h))
    put(part_path("factories", None, 0), factories_table(mapping))
    put(part_path("events", None, 0), events_table(history, intake.ids))
    put(part_path("labels", None, 0), labels_table(history, intake.ids, [m.fault for m in mapping.labels]))
    write_rejects(stage.folder, intake.rejects, intake.files, mapping)
    entries.append(file_entry(stage, REJECTS_PATH, 0))
    return entries


def describe(intake: Intake, found: Survey, mapping: IngestMap) -> dict[str, Any]:
    """What was understood and what was refused: JSON-like, without paths, the same for the same inputs."""
    channels = {
        name: {"columns": list(rule.columns), "unit": rule.unit, "stored_as": HOUSE_UNITS[name]}
        for name, rule in mapping.channels.given().items()
    }
    extras = {
        e.channel.name: {"columns": [e.column], "unit": e.channel.unit, "stored_as": e.channel.unit}
        for e in intake.layout.extras
    }
    return {
        "readings": found.n_rows,
        "rejected": sum(intake.rejects.counts().values()),
        "reasons": intake.rejects.counts(),
        "missing": intake.missing,
        "out_of_order": sum(t.n_late for t in intake.tallies),
        "blank_lines": sum(t.n_blank for t in intake.tallies),
        "machines": intake.ids,
        "first": _iso(found.first_ms),
        "last": _iso(found.last_ms),
        "dt_s": found.dt_s,
        "channels": {**channels, **extras},
        "labels": {m.fault: m.column for m in mapping.labels},
        "left_out": intake.layout.left_out,
        "notes": list(intake.layout.notes),
        "files": [
            {
                "name": f.name,
                "sha256": f.sha256,
                "bytes": f.n_bytes,
                "rows": t.n_rows,
                "rejected": sum(intake.rejects.counts(f.number).values()),
            }
            for f, t in zip(intake.files, intake.tallies, strict=True)
        ],
    }


def preview(files: Sequence[Path | str], mapping: IngestMap, max_reject_frac: float = 0.2, n_rows: int = 5,
            progress: Progress = no_progress) -> dict[str, Any]:  # fmt: skip
    """What an ingest would do, without writing a dataset: the report, plus ``rows``, the first ``n_rows`` readings."""
    with _taken_in(_paths(files, max_reject_frac), mapping, max_reject_frac, progress) as (intake, found):
        _, table, _ = next(readings_parts(intake, mapping, new_history(mapping, found)))
        rows = table.slice(0, n_rows).to_pylist()
        for row in rows:
            row["timestamp"] = row["timestamp"].isoformat()
        return {**describe(intake, found, mapping), "rows": rows}
