"""Where and when a run happened: commit, versions, time, CPU seconds. Kept apart from what is addressed by content."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

_PACKAGES = ("nexova-sim", "numpy", "numba", "pyarrow", "matplotlib", "jinja2", "pydantic")


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


def provenance(started: datetime, run_id: str, seed: int | None, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """The record of one run; ``stages`` say what was run and what it cost."""
    wanted = {name.lower() for name in _PACKAGES}
    found = {d.metadata["Name"]: d.version for d in distributions() if str(d.metadata["Name"]).lower() in wanted}
    return {
        "run_id": run_id,
        "started_utc": started.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seed": seed,
        "git": git_state(),
        "packages": {"python": platform.python_version(), **dict(sorted(found.items()))},
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
        "stages": stages,
        "cpu_s": round(sum(float(s["cpu_s"]) for s in stages), 3),
    }
