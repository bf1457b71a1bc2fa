"""``nexova doctor``: what this installation has, what it lacks, and whether it works."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nexova_sim import __version__
from nexova_sim.base.errors import NexovaError
from nexova_sim.base.hashing import hash_tree
from nexova_sim.base.log import user_folder

FINE, ABSENT, WRONG = "ok", "absent", "WRONG"
CORE = ("typer", "pydantic", "pyyaml", "numpy", "numba", "scipy", "pandas", "pyarrow", "duckdb", "scikit-learn",
        "matplotlib", "sqlalchemy", "pyjwt", "jinja2", "platformdirs", "threadpoolctl", "tqdm", "tzdata")  # fmt: skip
# Extra -> (what it is for, the modules it brings).
EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType({
    "forecast": ("the Prophet library as a model", ("prophet",)),
    "rl": ("energy: training, bounds, MPC", ("gymnasium", "stable_baselines3", "torch", "highspy", "cma")),
    "gemini": ("decisions by Gemini, live", ("google.generativeai", "google.genai")),
    "cluster": ("sweeps on a Dask cluster", ("dask", "distributed")),
    "notebooks": ("the notebooks", ("ipykernel", "nbclient", "nbformat")),
    "postgres": ("a registry on PostgreSQL", ("psycopg",)),
})  # fmt: skip
_MIN_PYTHON = (3, 11)
_MIN_FREE_BYTES, _MIN_MEMORY_BYTES = 1 << 30, 1 << 30
_FLEET = "configs/fleet/tiny.yaml"
_SMALL = ("days=1", "output.partition=day")

Say = Callable[[str], None]


class Finding(NamedTuple):
    """One thing looked at: ``state`` is ok, absent (no fault) or WRONG (with a remedy)."""

    topic: str
    name: str
    state: str
    value: str
    remedy: str = ""


def no_word(_text: str) -> None:
    """Callback that tells nobody."""


def examine(say: Say = no_word) -> list[Finding]:
    """Look at everything; ``say`` hears what is looked at next."""
    say("versions")
    found = [*versions(), *extras()]
    say("machine")
    found += [*machine(), *cache(), *programs()]
    say("self-test: a tiny plant simulated twice (compiles once)")
    return [*found, self_test()]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def versions() -> Iterator[Finding]:
    """The program itself, Python, and every library the program cannot do without."""
    yield Finding("version", "nexova-sim", FINE, __version__)
    is_new = sys.version_info >= _MIN_PYTHON
    remedy = "" if is_new else "install Python 3.11 or newer"
    yield Finding("version", "python", FINE if is_new else WRONG, platform.python_version(), remedy)
    for name in CORE:
        found = _version(name)
        if found is None:
            yield Finding("version", name, WRONG, "not installed", f"pip install '{name}'")
        else:
            yield Finding("version", name, FINE, found)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False


def extras() -> Iterator[Finding]:
    """The optional libraries by extra, with the command that installs them."""
    for extra, (purpose, modules) in EXTRAS.items():
        missing = [m for m in modules if not _is_there(m)]
        if missing:
            what = f"{purpose}; lacks {', '.join(missing)}"
            yield Finding("extra", extra, ABSENT, what, f"pip install 'nexova-sim[{extra}]'")
        else:
            yield Finding("extra", extra, FINE, purpose)


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"


def machine() -> Iterator[Finding]:
    """Cores this process may use, memory, and free disk where results and temporary files go."""
    yield Finding("machine", "cores", FINE, f"{len(os.sched_getaffinity(0))} usable ({platform.machine()})")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    is_enough = memory >= _MIN_MEMORY_BYTES
    yield Finding("machine", "memory", FINE if is_enough else WRONG, _size(memory),
                  "" if is_enough else "a simulation may need 1 GiB: use a larger machine or fewer --jobs")  # fmt: skip
    for name, folder in (("disk here", Path.cwd()), ("temporary files", Path(tempfile.gettempdir()))):
        yield _disk(name, folder)


def _disk(name: str, folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "work in a folder you may write to, or use --out" if name == "disk here" else "set TMPDIR"
        return Finding("machine", name, WRONG, f"{folder}: {error.strerror}", remedy)
    if free < _MIN_FREE_BYTES:
        return Finding("machine", name, WRONG, f"{_size(free)} free in {folder}", "free at least 1 GiB")
    return Finding("machine", name, FINE, f"{_size(free)} free in {folder}")


def cache() -> Iterator[Finding]:
    """The folder of compiled kernels: where, how large, and whether it can be written."""
    folder = user_folder("kernels")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        used = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    except OSError as error:
        yield Finding("cache", "kernels", WRONG, f"{folder}: {error.strerror}",
                      "every start compiles for 15 CPU-s; set NEXOVA_CACHE_DIR to a folder you may write")  # fmt: skip
        return
    yield Finding("cache", "kernels", FINE, f"{_size(used)} in {folder} (may be deleted at any time)")


def programs() -> Iterator[Finding]:
    """Programs that only tests and some stores use."""
    for name, names, purpose, remedy in (
        ("chromium", ("chromium", "chromium-browser", "google-chrome"), "looks at reports in the tests",
         "apt-get install chromium"),
        ("postgresql", ("postgres",), "the registry is tested on it", "apt-get install postgresql"),
    ):  # fmt: skip
        places = [found for n in names if (found := shutil.which(n))]
        places += [str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name[:8]}"))]
        if places:
            yield Finding("program", name, FINE, f"{places[0]} ({purpose})")
        else:
            yield Finding("program", name, ABSENT, purpose, remedy)


def self_test() -> Finding:
    """Simulate a tiny plant twice, with one thread and with two, and compare every byte."""
    from nexova_sim.config.load import load_fleet
    from nexova_sim.run.simulate import simulate

    try:
        with tempfile.TemporaryDirectory() as place:
            fleet = load_fleet(_FLEET, list(_SMALL))
            first = simulate(fleet, Path(place) / "one", 1)
            begin = time.perf_counter()
            second = simulate(fleet, Path(place) / "two", 2)
            took_s = time.perf_counter() - begin
            n = first.manifest.rows["readings"]
            if hash_tree(first.folder, "**/*.*") != hash_tree(second.folder, "**/*.*"):
                return Finding("self-test", "simulate", WRONG, "two runs of one configuration differ",
                               "delete the cache folder above and ask again; if it stays so, tell us")  # fmt: skip
    except (NexovaError, OSError) as error:
        return Finding("self-test", "simulate", WRONG, str(error), "mend what the message says, then ask again")
    return Finding("self-test", "simulate", FINE, f"{n} readings twice, equal bytes, the second in {took_s:.1f} s")
