"""The one compile policy: flags, cache folder, and nothing else decides how a kernel is compiled.

Numba's own cache does not notice a change in a helper that lives in another file, so the cache folder of a kernel is
named by the hash of its file and of every file of this room that it imports, directly or not. Floating point keeps its
order of operations (no reassociation, no contraction into fused multiply-add), so every x86-64 target gives the same
bytes; only "no NaN, no infinity, no signed zero" is assumed, and ``kernel_nan`` drops that too for code that meets NaN.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit

_FINITE = frozenset({"nnan", "ninf", "nsz"})


@cache
def _source(path: Path) -> bytes:
    return path.read_bytes()


def _imported(path: Path) -> set[Path]:
    """Files beside ``path`` that its text names as modules of this room; one too many costs a compile, not an error."""
    text = _source(path).decode("utf-8")
    package = re.escape(__package__ or "")
    names = set(re.findall(rf"\b{package}\.(\w+)", text))
    if re.search(rf"from {package} import", text):
        names |= {other.stem for other in path.parent.glob("*.py")}
    return {found for name in names if (found := path.with_name(f"{name}.py")).is_file()}


@cache
def source_hash(path: Path) -> str:
    """Twelve hex digits over the kernel file ``path``, this file, and every file of the room it imports in the end."""
    found, waiting = set(), [path, Path(__file__)]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported(file)
    digest = hashlib.sha256()
    for file in sorted(found, key=lambda file: file.name):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(_source(file)).digest())
    return digest.hexdigest()[:12]


@cache
def cache_folder(path: Path) -> Path | None:
    """Folder for the compiled kernels of the file ``path``, or None (compile in memory) when none can be written."""
    root = os.environ.get("NEXOVA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    base = Path(root) if os.environ.get("NEXOVA_CACHE_DIR") else Path(root) / "nexova_sim"
    folder = base / "kernels" / f"{path.stem}-{source_hash(path)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    return folder


def _compile(flags: frozenset[str]) -> Callable[[Callable[..., Any]], Any]:
    def decorate(function: Callable[..., Any]) -> Any:  # noqa: ANN401
        folder = cache_folder(Path(function.__code__.co_filename))
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
