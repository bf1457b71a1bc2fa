"""``nexova runs list | show``: which runs and sweeps there are, and what one of them was."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.run.records import (
    CONFIG_NAME,
    METRICS_NAME,
    RUN_FORMAT,
    SWEEP_FORMAT,
    read_json,
    read_manifest,
    read_provenance,
)
from nexova_sim.run.stages import STAGES
from nexova_sim.schema.manifest import MANIFEST_NAME

SWEEP_TABLES = ("results.parquet", "summary.csv")
_KINDS = {RUN_FORMAT: "run", SWEEP_FORMAT: "sweep"}
# Kind -> what its state was told from; the bytes themselves are compared by runs_verify.
CHECKED = MappingProxyType({"run": "names, sizes", "sweep": "names", "damaged": "manifest"})
_IDENT = re.compile(r"[0-9a-f]{1,12}")
_LATEST = re.compile(r"latest(?:~([0-9]{1,6}))?")
# Folders that hold no runs of their own but may hold very many files.
_PASSED_OVER = ("stages", "trials", "provenance")
_MOST_DEPTH = 8


class Run(NamedTuple):
    """A run or sweep: its folder and what its manifest says ({} when it cannot be read)."""

    folder: Path
    kind: str
    ident: str
    manifest: Mapping[str, Any]


class StageState(NamedTuple):
    """A stage of a run: its folder, and its state: complete, incomplete, missing or skipped.

    Complete: its manifest is that of the run, and every file it names is there with its size; bytes are not read.
    """

    name: str
    ident: str
    folder: Path
    state: str
    files: int
    bytes: int


def find_runs(root: Path) -> Iterator[Run]:
    """Every run and sweep below ``root``, by path; a folder that holds one is searched further, its stages are not."""
    if not root.is_dir():
        what = "is no folder" if root.exists() else "no such folder"
        raise DataError(f"{root}: {what}; give one that holds runs, or make one with 'nexova run'")
    base = len(root.parts)
    for place, folders, files in os.walk(root):
        folder = Path(place)
        folders[:] = sorted(
            name for name in folders if name not in _PASSED_OVER and not name.endswith((".partial", ".former"))
        )
        if len(folder.parts) - base >= _MOST_DEPTH:
            folders.clear()
        if MANIFEST_NAME in files:
            found = _as_run(folder)
            if found is not None:
                yield found
            elif (read_manifest(folder) or {}).get("format"):
                folders.clear()  # a dataset, a model or another artifact of ours


def _as_run(folder: Path) -> Run | None:
    manifest = read_manifest(folder)
    if manifest is None or not manifest.get("format"):
        # Only the name tells that it was one of ours.
        is_ours = _IDENT.fullmatch(folder.name) and len(folder.name) == 12 and (folder / CONFIG_NAME).is_file()
        return Run(folder, "run", folder.name, {}) if is_ours else None
    kind = _KINDS.get(str(manifest.get("format")))
    if kind is None:
        return None
    return Run(folder, kind, str(manifest.get("run_id" if kind == "run" else "sweep_id", folder.name)), manifest)


def find_run(address: str, root: Path = Path("results")) -> Run:
    """The run at a folder, or below ``root`` the one whose id begins with ``address``; ``latest~1``: last but one.

    Raises ConfigError when none or several fit, DataError for a folder that holds no run.
    """
    folder = Path(address)
    if folder.is_dir():
        found = _as_run(folder)
        if found is None:
            raise DataError(f"{address}: holds no run; give a folder that 'nexova run' or 'nexova sweep' wrote")
        return found
    if latest := _LATEST.fullmatch(address):
        return _latest(root, int(latest[1] or 0))
    if not _IDENT.fullmatch(address):
        raise DataError(
            f"{address}: no such folder, and no id of a run (1 to 12 of the digits 0-9 and a-f, or latest, latest~1)"
        )
    there = list(find_runs(root)) if root.is_dir() else []
    fits = [run for run in there if run.ident.startswith(address)]
    if len(fits) == 1:
        return fits[0]
    if not fits:
        raise ConfigError(f"{address}: no run below {root} has an id that begins so; {_known(there, address)}")
    shown = ", ".join(str(run.folder) for run in fits[:8])
    raise ConfigError(f"{address}: {len(fits)} runs have an id that begins so: {shown}; give more digits or the folder")


def _latest(root: Path, back: int) -> Run:
    there = [run for run in find_runs(root) if run.manifest] if root.is_dir() else []
    if back >= len(there):
        name = f"latest~{back}" if back else "latest"
        only = {0: "there is no run", 1: "there is only 1 run"}.get(len(there), f"there are only {len(there)} runs")
        raise ConfigError(f"{name}: {only} below {root}; 'nexova run' makes one")
    return sorted(there, key=lambda run: ((run.folder / MANIFEST_NAME).stat().st_mtime_ns, run.ident))[-1 - back]


def _known(there: list[Run], address: str) -> str:
    return suggest(address, [run.ident for run in there]) if there else "there is none; 'nexova run' makes one"


def stage_states(run: Run) -> list[StageState]:
    """The stages of a run as its manifest names them, in the order in which they run; no file is read."""
    found = []
    stages = run.manifest.get("stages")
    order = {name: number for number, name in enumerate(STAGES)}
    named = stages if isinstance(stages, Mapping) else {}
    for name, about in sorted(named.items(), key=lambda item: (order.get(item[0], len(order)), item[0])):
        if not isinstance(about, Mapping):
            continue
        folder = Path(os.path.normpath(run.folder / str(about.get("folder", ""))))
        manifest = read_manifest(folder)
        listed = manifest.get("files") if manifest else None
        files = [f for f in listed if isinstance(f, Mapping)] if isinstance(listed, list) else []
        n_bytes = sum(f.get("bytes", 0) for f in files)
        is_there = manifest is not None and manifest.get("id") == about.get("id")
        has_all = all(_has_size(folder / str(f.get("path")), f.get("bytes")) for f in files)
        state = "skipped" if about.get("skipped") else "missing" if not is_there else _HAS[has_all]
        found.append(StageState(name, str(about.get("id")), folder, state, len(files), n_bytes))
    return found


_HAS = {True: "complete", False: "incomplete"}


def _has_size(path: Path, n_bytes: object) -> bool:
    try:
        return path.stat().st_size == n_bytes
    except (OSError, ValueError):
        return False


def state_of(run: Run) -> str:
    """complete, incomplete (files are missing), 2 failed (trials of a sweep), damaged (no readable manifest).

    As far as ``CHECKED`` says: what is complete may still have other bytes than it was written with.
    """
    if not run.manifest:
        return "damaged"
    if run.kind == "sweep":
        failures = run.manifest.get("failures")
        is_there = all((run.folder / name).is_file() for name in (CONFIG_NAME, *SWEEP_TABLES))
        return f"{len(failures)} failed" if failures else _HAS[is_there]
    return "incomplete" if any(s.state in ("missing", "incomplete") for s in stage_states(run)) else "complete"


def _name_of(run: Run) -> str:
    """The name in the configuration; older runs and sweeps do not say it in the manifest."""
    name = run.manifest.get("name")
    if not name and run.kind == "sweep":
        with suppress(DataError):
            config = read_config(run.folder / CONFIG_NAME)
            name = config.get("name") if isinstance(config, Mapping) else None
    return str(name or run.folder.parent.name)


def _row(run: Run) -> dict[str, Any]:
    records = read_provenance(run.folder) if run.kind == "run" else [dict(run.manifest)]
    last = records[-1] if records else {}
    git = last.get("git") if isinstance(last.get("git"), Mapping) else None
    stages = [s.name for s in stage_states(run) if s.state == "complete"]
    trials = run.manifest.get("trials")
    return {
        "id": run.ident,
        "kind": run.kind,
        "name": _name_of(run),
        "when": last.get("started_utc"),
        "invocations": len(records),
        "stages": stages if run.kind == "run" else [f"{len(trials) if isinstance(trials, list) else 0} trials"],
        "git": None if git is None else f"{str(git.get('commit'))[:10]}{' dirty' if git.get('is_dirty') else ''}",
        "cpu_s": round(sum(float(r.get("cpu_s") or 0.0) for r in records), 3),
        "state": state_of(run),
        "checked": CHECKED[run.kind if run.manifest else "damaged"],
        "folder": str(run.folder),
    }


def list_runs(root: str | Path = Path("results")) -> list[dict[str, Any]]:
    """One row per run or sweep below ``root``, latest first; DataError when there is no such folder."""
    return sorted((_row(run) for run in find_runs(Path(root))), key=lambda row: (row["when"] or "", row["id"]))[::-1]


def show_run(address: str, root: Path = Path("results")) -> dict[str, Any]:
    """A run in full: the row of the list, its configuration, stages, metrics and the provenance of its last invocation.

    Raises ConfigError or DataError as ``find_run``.
    """
    run = find_run(address, root)
    if not run.manifest:
        raise DataError(f"{run.folder}: its {MANIFEST_NAME} cannot be read; run the experiment again")
    data: dict[str, Any] = _row(run) | {"config": read_config(run.folder / CONFIG_NAME)}
    if run.kind == "sweep":
        return data | {"failures": run.manifest.get("failures", []), "provenance": dict(run.manifest)}
    data["stages"] = [{**s._asdict(), "folder": str(s.folder)} for s in stage_states(run)]
    data["metrics"] = read_json(run.folder / METRICS_NAME) or {}
    records = read_provenance(run.folder)
    data["provenance"] = records[-1] if records else None
    return data


def read_config(path: Path) -> Any:  # noqa: ANN401
    """A configuration that a run stored; DataError when it is missing or damaged."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); run the experiment again") from error


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
