"""Where and when a run happened: commit, versions, time, CPU seconds. Kept apart from what is addressed by content."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

_OWN = "nexova-sim"
_FOR_WORK_ON_IT = re.compile(r"""extra\s*==\s*["']dev["']""")
# What decides about numbers and stands in no list of requirements, because another package brings it.
_BROUGHT = ("llvmlite", "dask", "pydantic-core")


def git_state() -> dict[str, Any] | None:
    """Commit and dirty flag of the repository the package runs from; None outside one or without git."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder.parent / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD").strip()
        is_dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no").strip())
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "is_dirty": is_dirty}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", os.fspath(folder), *words], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout


@cache
def package_versions() -> dict[str, str]:
    """Version of Python, of this package, and of everything it needs to run, extras included, that is installed."""
    found = {"python": platform.python_version()}
    try:
        lines = requires(_OWN) or []
    except PackageNotFoundError:
        lines = ["numpy", "numba", "pyarrow"]
    names = {
        re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in lines if not _FOR_WORK_ON_IT.search(line)
    }
    for name in sorted({_OWN, *names, *_BROUGHT}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def processor() -> dict[str, Any]:
    """Model, architecture, cores of the machine and cores this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        model = ""
    return {
        "model": model or platform.processor() or "unknown",
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
    }


@cache
def _git_once() -> dict[str, Any] | None:
    """The code of a process is what it loaded at its start, so one look is enough (and a sweep has many trials)."""
    return git_state()


def provenance(started: datetime, run_id: str, seed: int | None, stages: list[dict[str, Any]],
               hashes: Mapping[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """The record of one run; ``stages`` say what was run and what it cost, ``hashes`` what went in."""
    return {
        "run_id": run_id,
        "started_utc": started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seed": seed,
        "git": _git_once(),
        "packages": package_versions(),
        "platform": platform.platform(),
        "processor": processor(),
        **(hashes or {}),
        "stages": stages,
        "cpu_s": round(sum(float(s["cpu_s"]) for s in stages), 3),
    }
