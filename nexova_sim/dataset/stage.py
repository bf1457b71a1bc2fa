"""A folder that is either whole or not there: staging, lock, fsync, rename. Nothing half-written is ever read as whole.

``out.partial`` collects the files, each written under a temporary name and renamed when complete; the manifest comes
last; then the folder is renamed to ``out``. A killed run leaves ``out.partial``, which the next run with the same
configuration, code and libraries completes. ``out.lock`` is held with flock, so a dead process holds no lock. With
``overwrite`` the former dataset waits as ``out.former`` until the new one has its name. Files and folders of these
names that are not ours are never touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, DataError, LockedError
from nexova_sim.base.hashing import canonical_json
from nexova_sim.schema.manifest import FORMAT

PLAN_NAME = "plan.json"
_MANIFEST = "manifest.json"
_PACKAGES = ("nexova-sim", "numpy", "numba", "pyarrow")
_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another place, then run again to resume",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another place, then run again to resume",
    errno.EFBIG: "the file would be larger than is allowed here; choose another place, then run again",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.EACCES: "permission denied; choose a place that you may write to",
    errno.EPERM: "permission denied; choose a place that you may write to",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another place",
    errno.ELOOP: "the path runs in circles through symbolic links; choose another place",
    errno.ENAMETOOLONG: "the path is too long; choose a shorter one",
}


class Stage(NamedTuple):
    """An open staging folder. ``done`` are the files a former, interrupted run completed (paths below the folder)."""

    out: Path
    folder: Path
    done: frozenset[str]


def packages() -> dict[str, str]:
    """Versions of what shapes the bytes of a dataset."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


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
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
            if holder and not re.fullmatch(r"[0-9]{1,20}", holder):
                raise ConfigError(
                    f"--out {out}: {path} is no lock of ours and would be overwritten; choose another --out"
                )
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(handle).st_ino == path.stat().st_ino:
                    return handle
        except BlockingIOError as error:
            os.close(handle)
            raise LockedError(
                f"{out}: another run is writing this folder (process {holder or 'unknown'}); "
                "wait for it or choose another --out",
                holder=holder,
            ) from error
        except BaseException:
            os.close(handle)
            raise
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
        # A disk that has become read-only must not hide the error that is on its way.
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _raw_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of any run of ours in ``folder``, unchecked; empty when there is none."""
    try:
        raw = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) and str(raw.get("format")).startswith("nexova-") else {}


def _check_ours(folder: Path, out: Path) -> None:
    """ConfigError when ``folder`` (out.partial, out.former) is there but no run of ours made it."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ConfigError(f"--out {out}: {folder} is in the way; move it or choose another --out")
    marks = {PLAN_NAME, PLAN_NAME + ".tmp"}
    if any(folder.iterdir()) and not any((folder / m).is_file() for m in marks) and not _raw_manifest(folder):
        raise ConfigError(f"--out {out}: {folder} is in the way and not ours; move it or choose another --out")


def _clear(folder: Path) -> None:
    """Remove what is in a folder of ours; meanwhile it never reads as whole, and to the end it can be told as ours."""
    marker = folder / PLAN_NAME
    if not marker.is_file():
        write_durably(marker, b"discarded")
    (folder / _MANIFEST).unlink(missing_ok=True)
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        elif item != marker:
            item.unlink()


def _discard(folder: Path) -> None:
    if folder.is_dir():
        _clear(folder)
        (folder / PLAN_NAME).unlink()
        folder.rmdir()


def _existing(folder: Path, plan: str) -> frozenset[str]:
    """Files already complete in the staging folder when it belongs to the same plan; otherwise it is emptied."""
    marker = folder / PLAN_NAME
    try:
        same = marker.read_text(encoding="utf-8") == plan
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            _clear(folder)
        write_durably(marker, plan.encode())
        return frozenset()
    (folder / _MANIFEST).unlink(missing_ok=True)
    for leftover in folder.rglob("*.tmp"):
        leftover.unlink()
    return frozenset(p.relative_to(folder).as_posix() for p in folder.rglob("*.parquet"))


def _check_target(out: Path, overwrite: bool) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ConfigError(f"--out {out}: exists and is not a folder; choose another --out")
    if out.is_dir() and any(out.iterdir()):
        if not _raw_manifest(out):
            raise ConfigError(f"--out {out}: the folder is not empty and holds nothing of ours; choose another --out")
        if not overwrite:
            raise ConfigError(
                f"--out {out}: holds another or a damaged result already; choose another --out or add --overwrite"
            )


@contextlib.contextmanager
def staged(out: Path, plan: object, overwrite: bool = False) -> Iterator[Stage]:
    """Open the staging folder of ``out``; on a clean exit it replaces ``out`` in one rename.

    ``plan`` is a JSON-like value that must be equal for an interrupted run to be resumed. Raises LockedError when
    another process holds the folder, ConfigError when ``out`` holds something else, DataError when the disk refuses.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a symlink given as --out
    if not out.name:
        raise ConfigError(f"--out {out}: is the root folder; choose a folder below it")
    folder, former = out.with_name(out.name + ".partial"), out.with_name(out.name + ".former")
    for parent in out.parents:
        if _raw_manifest(parent).get("format") == FORMAT:
            raise ConfigError(
                f"--out {out}: lies inside the dataset {parent} and would damage it; choose another --out"
            )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _locked(out):
            _check_ours(folder, out)
            _check_ours(former, out)
            if not out.exists() and _raw_manifest(former):
                former.rename(out)  # a run was killed between the two renames of _swap
            _check_target(out, overwrite)
            yield Stage(out, folder, _existing(folder, canonical_json({"plan": plan, "packages": packages()})))
            _swap(folder, out, former)
    except OSError as error:
        raise explain_os_error(error, out) from error


def _swap(folder: Path, out: Path, former: Path) -> None:
    for place in sorted({p.parent for p in folder.rglob("*")} - {folder}, reverse=True):
        sync_folder(place)
    _discard(former)
    # From here on the folder no longer says what it is a part of, so the time to the rename is kept short.
    (folder / PLAN_NAME).unlink()
    sync_folder(folder)
    if out.exists() and any(out.iterdir()):
        out.rename(former)
    folder.rename(out)
    sync_folder(out.parent)
    _discard(former)


def is_same(out: Path, config_hash: str, code_hash: str) -> bool:
    """True when ``out`` already holds the dataset of this configuration and code, so that nothing needs doing.

    Every file must be there in its size; what is in them is the business of ``verify``.
    """
    raw = _raw_manifest(out)
    if raw.get("config_hash") != config_hash or raw.get("code_hash") != code_hash:
        return False
    try:
        return all((out / entry["path"]).stat().st_size == entry["bytes"] for entry in raw["files"])
    except (OSError, KeyError, TypeError, ValueError):
        return False
