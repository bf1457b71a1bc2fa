"""Where the house keeps its private files, and the crash log that stands in for a traceback."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path


def user_folder(kind: str) -> Path:
    """The user's cache folder for ``kind`` ("kernels", "log"); ``NEXOVA_CACHE_DIR`` moves all of them."""
    root = os.environ.get("NEXOVA_CACHE_DIR")
    if root:
        return Path(root) / kind
    from platformdirs import user_cache_path

    return user_cache_path("nexova_sim") / kind


def write_crash(error: BaseException, version: str) -> Path | None:
    """Write the traceback of ``error`` and the platform to a new log file; None when nothing can be written."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S_%f")
    path = user_folder("log") / f"crash-{stamp}-{os.getpid()}.log"
    head = f"nexova_sim {version} · Python {platform.python_version()} · {platform.platform()}\nargv: {sys.argv}\n\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + "".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return path
