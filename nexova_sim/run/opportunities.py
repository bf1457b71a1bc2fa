"""``nexova energy opportunities``: savings in a dataset, machine by machine; optionally checked by re-simulation."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import yaml

from nexova_sim.analyse.opportunities import PHASES, Finding, Hours, Learning, analyse_machine
from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.opportunity import OpportunityConfig
from nexova_sim.dataset.grid import TimeGrid, gather
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import is_same, staged, write_durably
from nexova_sim.run.opportunities_verify import Measure, load_resolved, true_savings
from nexova_sim.run.records import read_result
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
FORMAT = "nexova-energy-opportunities"
_ROOMS = ("base", "schema", "config", "kernels", "simulate", "dataset", "analyse", "run")
_HOUR_MS = 3_600_000


class OpportunitiesResult(NamedTuple):
    """What the analysis left: its folder and the content of opportunities.json."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


def find_opportunities(dataset: str | Path, config: OpportunityConfig, out: Path | None = None,
                       is_verified: bool = False, overwrite: bool = False,
                       progress: Progress = lambda _done, _total: None) -> OpportunitiesResult:  # fmt: skip
    """Find and price the opportunities of every machine of ``dataset``; with ``is_verified`` re-simulate each measure.

    Writes opportunities.json into a run folder that is whole or not there. Raises DataError for a damaged dataset,
    ConfigError when ``is_verified`` is asked of a dataset that was not simulated.
    """
    opened = open_dataset(dataset)
    settings, code = _identity(opened, config, is_verified)
    ident = run_id(settings, code)
    folder = out or _default_folder(opened, ident)
    if not overwrite and is_same(folder, settings, code):
        return OpportunitiesResult(folder, ident, _read(folder), True)
    resolved = load_resolved(opened) if is_verified else None
    found = learn(opened, config, progress)
    truth = {} if resolved is None else true_savings(resolved, _measures(found), config)
    summary = summarise(opened, config, found, truth, is_verified)
    with staged(folder, {"settings": settings, "code": code}, overwrite) as stage:
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_durably(stage.folder / "opportunities.json", text.encode())
        config_text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_durably(stage.folder / "config.resolved.yaml", config_text.encode())
        names = ("config.resolved.yaml", "opportunities.json")
        places = [stage.folder / name for name in names]
        files = [{"path": p.name, "bytes": p.stat().st_size, "sha256": hash_file(p)} for p in places]
        manifest = {"format": FORMAT, "config_hash": settings, "code_hash": code, "files": files}
        write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return OpportunitiesResult(folder, ident, summary, False)


def _identity(opened: Dataset, config: OpportunityConfig, is_verified: bool) -> tuple[str, str]:
    source = hash_file(opened.folder / MANIFEST_NAME)
    return hash_value([config.model_dump(mode="json"), is_verified, source]), code_hash(*_ROOMS)


def _default_folder(opened: Dataset, ident: str) -> Path:
    return Path("results") / "energy-opportunities" / opened.manifest.name / ident


def outline(dataset: str | Path, config: OpportunityConfig, out: Path | None, is_verified: bool) -> dict[str, Any]:
    """What an analysis would do, without doing it; the same errors as doing it where they can be foreseen."""
    opened = open_dataset(dataset)
    if is_verified:
        load_resolved(opened)
    ident = run_id(*_identity(opened, config, is_verified))
    return {
        "folder": str(out or _default_folder(opened, ident)),
        "machines": len(opened.machine_ids()),
        "window_hours": config.window_hours,
        "is_verified": is_verified,
    }


def learn(dataset: Dataset, config: OpportunityConfig, progress: Progress) -> dict[str, Learning]:
    """The learning state and findings of every machine, by id."""
    grid = gather(dataset, 3600.0, ("power_kw", "temperature_c"), progress=progress)
    if not np.isfinite(grid.mean[0]).any():
        raise DataError(f"{dataset.folder}: has no reading of power_kw, so there is no energy to save")
    machines = dataset.read("machines").to_pylist()
    zones = {row["factory_id"]: row["timezone"] for row in dataset.read("factories").to_pylist()}
    rated_kw = {row["machine_id"]: row["rated_kw"] for row in machines}
    place = {row["machine_id"]: zones.get(row["factory_id"]) or "UTC" for row in machines}
    clock = {name: local_hours(grid, name) for name in set(place.values())}
    found = {}
    for number, ident in enumerate(grid.machine_ids):
        hours = Hours(grid.mean[0, number].astype(np.float64), grid.mean[1, number].astype(np.float64),
                      np.nan_to_num(grid.online_frac[number]), clock[place[ident]])  # fmt: skip
        rated = rated_kw.get(ident)
        found[ident] = analyse_machine(hours, float("nan") if rated is None else float(rated), config)
    return found


def local_hours(grid: TimeGrid, timezone: str) -> np.ndarray:
    """Local hour of the day in which each bin of ``grid`` begins, (b,) int64; DataError for an unknown zone."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DataError(f"factories: unknown time zone {timezone!r}; write the dataset again") from error
    starts_s = (grid.start_ms + grid.step_ms * np.arange(grid.energy_kwh.shape[1])) / 1000.0
    return np.array([datetime.fromtimestamp(s, UTC).astimezone(zone).hour for s in starts_s], np.int64)


def _measures(found: dict[str, Learning]) -> list[Measure]:
    return [Measure(ident, f.type, f.hours) for ident, state in found.items() for f in state.findings]


def summarise(dataset: Dataset, config: OpportunityConfig, found: dict[str, Learning],
              truth: dict[tuple[str, str], dict[str, float]], is_verified: bool) -> dict[str, Any]:  # fmt: skip
    """JSON-like account: totals, learning per machine, opportunities by saving, each beside its true saving."""
    rows = [_row(ident, f, truth.get((ident, f.type))) for ident, state in found.items() for f in state.findings]
    rows.sort(key=lambda r: -r["saving_usd_per_year"])
    learning = [
        {"machine_id": ident, "n_hours": s.n_hours, "progress_percent": round(s.progress_percent, 1),
         "phase": s.phase, "mean_kw": round(s.mean_kw, 3), "n_opportunities": len(s.findings)}
        for ident, s in found.items()
    ]  # fmt: skip
    total = round(sum(r["saving_usd_per_year"] for r in rows), 2)
    verified = round(sum(r["true_saving_usd_per_year"] for r in rows), 2) if is_verified else None
    phases = {name: sum(s.phase == name for s in found.values()) for name in PHASES}
    return {
        "dataset": dataset.manifest.name,
        "window_hours": config.window_hours,
        "phases": phases,
        "n_opportunities": len(rows),
        "saving_usd_per_year": total,
        "true_saving_usd_per_year": verified,
        "is_verified": is_verified,
        "opportunities": rows,
        "learning": learning,
    }


def _row(ident: str, finding: Finding, truth: dict[str, float] | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "machine_id": ident,
        "type": finding.type,
        "metric_frac": round(finding.metric, 4),
        "limit_frac": finding.limit,
        "action": finding.action,
        "peak_hours": list(finding.hours),
        "saving_usd_per_year": round(finding.saving_usd_per_year, 2),
        "cost_usd": round(finding.cost_usd, 2),
        "payback_years": None if finding.payback_years is None else round(finding.payback_years, 2),
        "confidence_frac": round(finding.confidence_frac, 3),
    }
    if truth is not None:
        row |= {name: round(value, 2) for name, value in truth.items()}
    return row


def _read(folder: Path) -> dict[str, Any]:
    return read_result(folder, "opportunities.json")
