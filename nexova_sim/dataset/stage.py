"""A folder that is either whole or not there: staging, lock, fsync, rename. Nothing half-written is ever read as whole.

``out.partial`` collects the files, each written under a temporary name and renamed when complete; the manifest comes
last; then the folder is renamed to ``out``. A killed run leaves ``out.partial``, which the next run with the same
configuration and code completes. ``out.lock`` is held with flock, so the lock of a dead process frees itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nexova_sim.base.errors import ConfigError, DataError, LockedError
from nexova_sim.base.hashing import canonical_json

PLAN_NAME = "plan.json"
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another --out, then run again to resume",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another --out, then run again to resume",
    errno.EROFS: "the file system is read-only; choose another --out",
    errno.EACCES: "permission denied; choose an --out that you may write to",
    errno.EPERM: "permission denied; choose an --out that you may write to",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another --out",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter --out",
}


class Stage(NamedTuple):
    """An open staging folder. ``done`` are the files a former, interrupted run completed (paths below the folder)."""

    out: Path
    folder: Path
    done: frozenset[str]


def explain_os_error(error: OSError, path: Path) -> DataError:
    """DataError that says what the operating system refused and what to do about it."""
    why = _REASONS.get(error.errno or 0, f"{error.strerror or error}; check the folder and run again")
    return DataError(f"{path}: cannot write: {why}", errno=error.errno)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary name, fsync, rename."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def _take_lock(path: Path, out: Path) -> int:
    """An open, locked handle of the lock file that is still the file at ``path``."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise LockedError(
                f"{out}: another run is writing this folder (process {holder}); wait for it or choose another --out"
            ) from error
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        # The former holder removed the file between our open and our lock: the lock is on a file without a name.
        os.close(handle)


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    path = out.with_name(out.name + ".lock")
    handle = _take_lock(path, out)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _existing(folder: Path, plan: str) -> frozenset[str]:
    """Files already complete in the staging folder when it belongs to the same plan; otherwise it is emptied."""
    marker = folder / PLAN_NAME
    try:
        same = marker.read_text(encoding="utf-8") == plan
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_durably(marker, plan.encode())
        return frozenset()
    for leftover in folder.rglob("*.tmp"):
        leftover.unlink()
    return frozenset(p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet"))


def _check_target(out: Path, overwrite: bool) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ConfigError(f"--out {out}: exists and is not a folder; choose another --out")
    if out.is_dir() and any(out.iterdir()):
        if not (out / "manifest.json").is_file():
            raise ConfigError(f"--out {out}: the folder is not empty and holds no dataset; choose another --out")
        if not overwrite:
            raise ConfigError(f"--out {out}: holds another dataset already; choose another --out or add --overwrite")


@contextlib.contextmanager
def staged(out: Path, plan: object, overwrite: bool = False) -> Iterator[Stage]:
    """Open the staging folder of ``out``; on a clean exit it replaces ``out`` in one rename.

    ``plan`` is a JSON-like value that must be equal for an interrupted run to be resumed. Raises LockedError when another
    process holds the folder, ConfigError when ``out`` holds something else, DataError when the disk refuses.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a symlink given as --out
    folder = out.with_name(out.name + ".partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            _check_target(out, overwrite)
            yield Stage(out, folder, _existing(folder, canonical_json(plan)))
            (folder / PLAN_NAME).unlink()
            for place in sorted({p.parent for p in folder.rglob("*")}, reverse=True):
                sync_folder(place)
            _swap(folder, out)
    except OSError as error:
        raise explain_os_error(error, out) from error


def _swap(folder: Path, out: Path) -> None:
    former = out.with_name(out.name + ".former")
    shutil.rmtree(former, ignore_errors=True)
    if out.exists():
        out.rename(former)
    folder.rename(out)
    sync_folder(out.parent)
    shutil.rmtree(former, ignore_errors=True)


def is_same(out: Path, config_hash: str, code_hash: str) -> bool:
    """True when ``out`` already holds the dataset of this configuration and code, so that nothing needs doing."""
    try:
        raw = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        return bool(raw["config_hash"] == config_hash and raw["code_hash"] == code_hash)
    except (OSError, ValueError, KeyError, TypeError):
        return False
