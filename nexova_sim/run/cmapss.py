"""``nexova ingest --format cmapss``: a turbofan text file -> a dataset folder like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import yaml

from nexova_sim.base.errors import ConfigError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.dataset import cmapss
from nexova_sim.dataset.stage import Stage, is_same, staged
from nexova_sim.dataset.write import Source, WriteOptions, file_entry, part_path, write_manifest, write_table
from nexova_sim.schema.manifest import FileEntry, Manifest, load_manifest

ENDS = ("auto", "failure", "cut")
_ROOMS = ("base", "schema", "config", "dataset")


class CmapssResult(NamedTuple):
    """What the ingest of a turbofan file left behind; ``report`` says what was understood."""

    folder: Path
    run_id: str
    manifest: Manifest
    report: dict[str, Any]
    was_there: bool


class _Plan(NamedTuple):
    engines: cmapss.Engines
    is_to_failure: bool
    report: dict[str, Any]
    config_hash: str


def runs_to_failure(path: Path, rul: Path | None, ends: str = "auto") -> bool:
    """Whether the rows of every engine go on to its failure: as said, else what file names say (train, test).

    ConfigError when it cannot be told, or is said of a file that comes with remaining lives.
    """
    if ends not in ENDS:
        raise ConfigError(f"--ends {ends}: must be one of {', '.join(ENDS)}")
    if rul is not None:
        if ends == "failure":
            raise ConfigError("--ends failure: engines that run to failure have no --rul file; leave one of them out")
        return False
    if ends != "auto":
        return ends == "failure"
    if path.name.lower().startswith("train"):
        return True
    if path.name.lower().startswith("test"):
        return False
    raise ConfigError(
        f"{path}: the name does not say whether the engines run to failure; add --ends failure or --ends cut"
    )


def _read(path: Path, rul: Path | None, ends: str) -> _Plan:
    is_to_failure = runs_to_failure(path, rul, ends)
    engines = cmapss.read_engines(path, is_to_failure, rul)
    constant = [name for name, column in zip((c.name for c in cmapss.EXTRAS), engines.values.T, strict=True)
                if np.ptp(column) == 0.0]  # fmt: skip
    files = [path] if rul is None else [path, rul]
    report = {
        "format": "cmapss",
        "readings": len(engines.values),
        "machines": len(engines.ids),
        "cycles": {"least": int(engines.length.min()), "mean": round(float(engines.length.mean()), 2),
                   "most": int(engines.length.max())},
        "runs_to_failure": is_to_failure,
        "true_remaining_life": "known" if engines.rul is not None else "unknown",
        "constant_channels": constant,
        "files": [{"name": f.name, "sha256": hash_file(f), "bytes": f.stat().st_size} for f in files],
    }  # fmt: skip
    return _Plan(engines, is_to_failure, report, hash_value(report))


def preview_cmapss(path: Path, rul: Path | None = None, ends: str = "auto") -> dict[str, Any]:
    """What an ingest would do, without writing; errors as ``ingest_cmapss``."""
    return _read(path, rul, ends).report


def ingest_cmapss(path: Path, rul: Path | None = None, ends: str = "auto", out: Path | None = None,
                  overwrite: bool = False) -> CmapssResult:  # fmt: skip
    """Turn a turbofan file, and the remaining lives of its engines where there are any, into a dataset folder.

    The remaining lives go to the truth table, which no method of prediction reads. Raises DataError for a file that is
    broken, ConfigError when the arguments do not fit.
    """
    plan = _read(path, rul, ends)
    code = code_hash(*_ROOMS)
    ident = run_id(plan.config_hash, code)
    folder = out or Path("results") / "ingest" / "cmapss" / ident
    if not overwrite and is_same(folder, plan.config_hash, code):
        return CmapssResult(folder, ident, load_manifest(folder), plan.report, True)
    with staged(folder, {"config": plan.config_hash, "code": code}, overwrite) as stage:
        entries = _write(stage, plan)
        most = int(plan.engines.length.max())
        start = np.datetime64(cmapss.START_MS // 1000, "s")
        source = Source(
            name="cmapss",
            source="ingest",
            seed=None,
            start=f"{start}Z",
            end=f"{start + np.timedelta64(most, 'h')}Z",
            dt_s=cmapss.CYCLE_MS / 1000.0,
            n_machines=len(plan.engines.ids),
            extra_channels=tuple(c.name for c in cmapss.EXTRAS),
            config_hash=plan.config_hash,
            code_hash=code,
        )
        texts = {
            "config.resolved.yaml": yaml.safe_dump({"format": "cmapss", "runs_to_failure": plan.is_to_failure}),
            "ingest.report.json": json.dumps(plan.report, indent=1, allow_nan=False) + "\n",
        }
        manifest = write_manifest(stage, source, entries, texts)
    return CmapssResult(folder, ident, manifest, plan.report, False)


def _write(stage: Stage, plan: _Plan) -> list[FileEntry]:
    tables: dict[str, pa.Table | None] = {
        "readings": cmapss.readings_table(plan.engines),
        "machines": cmapss.machines_table(plan.engines),
        "factories": cmapss.factories_table(),
        "events": cmapss.events_table(plan.engines, plan.is_to_failure),
        "truth": cmapss.truth_table(plan.engines),
    }
    entries = []
    for name, table in tables.items():
        path = part_path(name, None, 0)
        if table is not None:
            entries.append(
                file_entry(stage, path) if path in stage.done else write_table(stage, path, table, WriteOptions())
            )
    return entries
