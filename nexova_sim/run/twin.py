"""``nexova twin run``: one machine through a scenario -> trajectory, table, plot, summary in a run folder."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import yaml

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.scenario import ResolvedTwin
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry, write_table
from nexova_sim.schema.manifest import MANIFEST_NAME
from nexova_sim.simulate.trajectory import summarise, trajectory_table
from nexova_sim.simulate.twin import run_twin

Progress = Callable[[int, int], None]
FORMAT = "nexova-twin-run"
_ROOMS = ("base", "config", "kernels", "schema", "simulate", "dataset", "report", "run")


class TwinResult(NamedTuple):
    """What a run of the twin left behind."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    trajectory: pa.Table
    was_there: bool


def twin_hash(resolved: ResolvedTwin) -> str:
    """Hash of everything a run's bytes depend on besides code."""
    return hash_value(resolved.model_dump(mode="json"))


def default_folder(resolved: ResolvedTwin, results: Path = Path("results")) -> Path:
    """Where a run goes when no ``--out`` is given: results/twin/<kind>-<scenario>/<run id>."""
    name = f"{resolved.kind_name}-{resolved.scenario.name}"
    return results / "twin" / name / run_id(twin_hash(resolved), code_hash(*_ROOMS))


def twin(resolved: ResolvedTwin, out: Path | None = None, overwrite: bool = False,
         progress: Progress = lambda _done, _total: None) -> TwinResult:  # fmt: skip
    """Run one machine through its scenario and write the run folder; the folder is whole or not there.

    Same configuration and seed give the same bytes; a run that is there already is read, not made again. Raises
    ConfigError when ``out`` holds something else, DataError when the disk refuses.
    """
    config_hash, code = twin_hash(resolved), code_hash(*_ROOMS)
    folder = out or default_folder(resolved)
    ident = run_id(config_hash, code)
    if not overwrite and is_same(folder, config_hash, code):
        return _read(folder, ident)
    run = run_twin(resolved, progress)
    table = trajectory_table(resolved, run)
    summary = summarise(resolved, run, table)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        entries = [write_table(stage, "trajectory.parquet", table)]
        texts = _texts(resolved, table, summary)
        for name, data in texts.items():
            write_durably(stage.folder / name, data)
            entries.append(file_entry(stage, name, 0))
        _write_manifest(stage, config_hash, code, [e.model_dump() for e in entries])
    return TwinResult(folder, ident, summary, table, False)


def _texts(resolved: ResolvedTwin, table: pa.Table, summary: dict[str, Any]) -> dict[str, bytes]:
    from nexova_sim.report.trajectory import COLUMNS, Picture, figure_bytes, trajectory_figure

    sheet = io.BytesIO()
    pa_csv.write_csv(table, sheet)
    title = f"{resolved.kind.title} · {resolved.scenario.name}"
    subtitle = f"{resolved.scenario.title} · physics: {resolved.physics}".lstrip(" ·")
    picture = Picture(title, subtitle, summary["time_of_event_h"], summary["first_event"])
    figure = trajectory_figure({n: table[n].to_numpy() for n in COLUMNS}, picture)
    config = yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return {
        "trajectory.csv": sheet.getvalue(),
        "summary.json": (json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        "plot.png": figure_bytes(figure, "png"),
        "plot.svg": figure_bytes(figure, "svg"),
        "config.resolved.yaml": config.encode(),
    }


def _write_manifest(stage: Stage, config_hash: str, code: str, files: list[dict[str, Any]]) -> None:
    manifest = {"format": FORMAT, "config_hash": config_hash, "code_hash": code, "files": files}
    write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def _read(folder: Path, ident: str) -> TwinResult:
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return TwinResult(folder, ident, summary, pq.read_table(folder / "trajectory.parquet"), True)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: the run in this folder is damaged ({error}); make it anew with --overwrite"
        ) from error


def outline(resolved: ResolvedTwin, out: Path | None = None) -> dict[str, Any]:
    """What a run would do, without doing it."""
    hours = resolved.scenario.hours
    return {
        "folder": str(out or default_folder(resolved)),
        "kind": resolved.kind.kind,
        "scenario": resolved.scenario.name,
        "physics": resolved.physics,
        "hours": hours,
        "phases": len(resolved.scenario.phases),
        "rows": -(-round(hours * 60.0) // resolved.sample_min) + 1,
        "slot_s": resolved.slot_s,
        "dt_s": resolved.step_s,
    }
