"""Verify a dataset: every file, every byte, every row against the manifest and the schema. Reads only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_file
from nexova_sim.dataset.inspect import FileReport, Finding, Run, inspect_file
from nexova_sim.dataset.read import is_plain_path
from nexova_sim.schema.channels import TABLES
from nexova_sim.schema.manifest import MANIFEST_NAME, DamagedManifestError, FileEntry, Manifest, load_manifest
from nexova_sim.schema.tables import SCHEMA_VERSION

Progress = Callable[[int, int], None]
_REQUIRED = ("readings", "machines")


class CheckResult(NamedTuple):
    """What ``check`` looked at and what it found; no findings means the dataset is whole."""

    folder: Path
    n_files: int
    n_bytes: int
    rows: dict[str, int]
    is_quick: bool
    findings: tuple[Finding, ...]


def check(folder: Path, is_quick: bool = False, jobs: int = 1, progress: Progress | None = None) -> CheckResult:
    """Check the dataset in ``folder``; ``is_quick`` stops at names, sizes and sha256 and leaves the data pages unread.

    Raises DataError when the folder is no dataset at all; every kind of damage is a finding that names the file.
    """
    try:
        manifest = load_manifest(folder)
    except DamagedManifestError as error:
        what = error.message.removeprefix(f"{folder / MANIFEST_NAME}: ")
        return CheckResult(folder, 1, 0, {}, is_quick, (Finding(MANIFEST_NAME, what),))
    findings = [*_check_manifest(manifest), *_check_names(folder, manifest)]
    barred = {f.path for f in findings}
    entries = [e for e in manifest.files if e.path not in barred]
    reports = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for number, report in enumerate(pool.map(lambda e: _check_entry(folder, e, manifest, is_quick), entries)):
            reports.append(report)
            if progress is not None:
                progress(number + 1, len(entries))
    for report in reports:
        findings += report.findings
    if not is_quick:
        findings += _check_across(manifest, reports)
    n_bytes = sum(e.bytes for e in manifest.files)
    return CheckResult(folder, len(manifest.files) + 1, n_bytes, manifest.rows, is_quick, tuple(findings))


def _check_manifest(manifest: Manifest) -> Iterable[Finding]:
    if manifest.schema_version != SCHEMA_VERSION:
        yield Finding(
            MANIFEST_NAME, f"schema version {manifest.schema_version!r}, this version checks {SCHEMA_VERSION!r}"
        )
    rows: dict[str, int] = {}
    seen: set[str] = set()
    for entry in manifest.files:
        if not is_plain_path(entry.path) or entry.path == MANIFEST_NAME:
            yield Finding(entry.path, "the manifest lists a path that is no plain path below the folder; refused")
        if entry.path in seen:
            yield Finding(entry.path, "listed twice in the manifest")
        seen.add(entry.path)
        if entry.path.endswith(".parquet"):
            rows[entry.table] = rows.get(entry.table, 0) + entry.rows
            if entry.table not in TABLES or entry.path.split("/", 1)[0] != entry.table:
                yield Finding(
                    entry.path, f"the manifest puts it into table {entry.table!r}; tables are {', '.join(TABLES)}"
                )
    if rows != manifest.rows:
        yield Finding(MANIFEST_NAME, f"row counts {manifest.rows} do not add up from the files: {rows}")
    for table in _REQUIRED:
        if table not in rows:
            yield Finding(MANIFEST_NAME, f"no file of table {table!r}, which every dataset has")


def _check_names(folder: Path, manifest: Manifest) -> Iterable[Finding]:
    """Symbolic links, files that are missing, files that the manifest does not list."""
    listed = {e.path for e in manifest.files}
    there: set[str] = set()

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions") from error

    linked: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=refuse):
        for name in (*folders, *files):
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                linked.add(relative)
                yield Finding(relative, "is a symbolic link; a dataset holds plain files only")
            elif path.is_file():
                there.add(relative)
            elif name in files:
                yield Finding(relative, "is no plain file")
    for path_text in sorted(there - listed - {MANIFEST_NAME}):
        yield Finding(path_text, "is not listed in the manifest")
    for path_text in sorted(listed - there - linked):
        if is_plain_path(path_text):
            yield Finding(path_text, "is listed in the manifest and missing")


def _check_entry(folder: Path, entry: FileEntry, manifest: Manifest, is_quick: bool) -> FileReport:
    """Size and sha256 of a file; then, unless ``is_quick``, everything inside it."""
    path = folder / entry.path
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            return FileReport(entry, (Finding(entry.path, f"has {size} bytes, the manifest says {entry.bytes}"),), ())
        if hash_file(path) != entry.sha256:
            return FileReport(entry, (Finding(entry.path, "its bytes changed (sha256 differs from the manifest)"),), ())
    except OSError as error:
        return FileReport(entry, (Finding(entry.path, f"cannot be read ({error.strerror})"),), ())
    if is_quick or not entry.path.endswith(".parquet"):
        return FileReport(entry, (), ())
    return inspect_file(path, entry, manifest)


def _check_across(manifest: Manifest, reports: list[FileReport]) -> Iterable[Finding]:
    """What no single file shows: rows of one key that overlap between files, keys that no table describes."""
    runs: dict[tuple[str, str], list[tuple[Run, str]]] = {}
    for report in reports:
        for run in report.runs:
            runs.setdefault((report.entry.table, run.key), []).append((run, report.entry.path))
    for (table, key), pieces in runs.items():
        pieces.sort(key=lambda piece: (piece[0].first_ms, piece[0].last_ms))
        for (before, _), (after, path) in pairwise(pieces):
            if after.first_ms <= before.last_ms and table not in {"events", "labels"}:
                yield Finding(path, f"{key}: rows double or overlap those of another file of table {table}")
    known = {table: {key for t, key in runs if t == table} for table in ("machines", "factories")}
    if manifest.n_machines != len(known["machines"]):
        yield Finding(
            MANIFEST_NAME, f"n_machines is {manifest.n_machines}, the machines table has {len(known['machines'])}"
        )
    for (table, key), pieces in runs.items():
        home = "factories" if table == "weather" else "machines"
        if table not in known and known[home] and key not in known[home]:
            yield Finding(pieces[0][1], f"{key!r} is not in the {home} table")
