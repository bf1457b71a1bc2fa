"""The one compile policy: flags, cache folder, and nothing else decides how a kernel is compiled.

Numba's own cache does not notice a change in a helper that lives in another file, so the cache folder is named by the
hash of *all* files of this room. Floating point keeps its order of operations (no reassociation, no contraction into
fused multiply-add), so every x86-64 target gives the same bytes; only "no NaN, no infinity, no signed zero" is assumed,
and ``kernel_nan`` drops that too for code that meets NaN.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit

_FINITE = frozenset({"nnan", "ninf", "nsz"})


@cache
def room_hash() -> str:
    """Twelve hex digits over every source file of this room."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def cache_folder() -> Path | None:
    """Folder for compiled kernels, or None (compile in memory) when no folder can be written."""
    root = os.environ.get("NEXOVA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    base = Path(root) if os.environ.get("NEXOVA_CACHE_DIR") else Path(root) / "nexova_sim"
    folder = base / "kernels" / room_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    return folder


def _compile(flags: frozenset[str]) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401
        folder = cache_folder()
        before = config.CACHE_DIR
        try:
            # Numba picks the folder when the function is decorated, from this module-wide setting.
            config.CACHE_DIR = str(folder) if folder else before
            return njit(nogil=True, error_model="numpy", fastmath=set(flags), cache=folder is not None)(function)
        finally:
            config.CACHE_DIR = before

    return decorate


kernel = _compile(_FINITE)
kernel_nan = _compile(frozenset())
