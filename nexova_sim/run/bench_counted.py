"""Bars that are counts, of the group ``counted``: what tampering, bugs and bad answers must all be found.

Where a count is the tests' (they put the bugs in), the tests are run; an installed package has none, so nothing is
measured there.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from nexova_sim.base.errors import NexovaError
from nexova_sim.config.load import load_fleet
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.data import verify
from nexova_sim.run.simulate import simulate

_TINY = "configs/fleet/tiny.yaml"
_ROOT = Path(__file__).resolve().parent.parent.parent


def passed_tests(file: str, name: str, library: str | None = None) -> float | None:
    """How many cases of the test ``name`` in tests/``file`` pass, 0 when one fails.

    None without the tests, pytest or the ``library`` they need.
    """
    needed = ("pytest", *([library] if library else []))
    if not (_ROOT / "tests" / file).is_file() or not all(map(_is_there, needed)):
        return None
    command = [sys.executable, "-m", "pytest", f"tests/{file}", "-k", name, "-q", "-p", "no:xdist", "-m", "not slow"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, env=dict(os.environ))
    counted = re.search(r"(\d+) passed", done.stdout)
    return float(counted[1]) if counted and done.returncode == 0 else 0.0


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False


def flips_found(n: int = 200, seed: int = 1) -> float:
    """How many of ``n`` single bits, flipped anywhere in a dataset one after the other, ``verify`` finds."""
    dice, found = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as place:
        folder = simulate(load_fleet(_TINY, ["days=1"]), Path(place) / "data").folder
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size)
        for _ in range(n):
            path = dice.choice(files)
            whole = path.read_bytes()
            broken = bytearray(whole)
            broken[dice.randrange(len(broken))] ^= 1 << dice.randrange(8)
            path.write_bytes(broken)
            found += _is_refused(folder)
            path.write_bytes(whole)
        return float(found) if not _is_refused(folder) else 0.0


def _is_refused(folder: Path) -> bool:
    try:
        return bool(verify(folder, jobs=1).findings)
    except NexovaError:
        return True


def _tests(file: str, name: str, library: str | None = None) -> Callable[[], float | None]:
    return lambda: passed_tests(file, name, library)


def _count(unit: str, bar: float, how: str, measure: Callable[[], float | None]) -> Benchmark:
    return Benchmark("counted", unit, bar, "min", how, measure, "exact")


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "data_flips_found": _count("of 200", 200.0,
            "single bits flipped anywhere in a dataset, found by nexova data verify", flips_found),
        "audit_tampering_found": _count("ways, 200 of 200 each", 6.0,
            "edit, delete, swap, duplicate, truncate, rewrite the audit log (tests/approve/test_audit_chain.py)",
            _tests("approve/test_audit_chain.py", "test_every_attack_is_found")),
        "approvals_bugs_caught": _count("bugs", 12.0,
            "bugs put into the approval workflow on purpose, each caught (tests/approve/test_mutants.py)",
            _tests("approve/test_mutants.py", "test_every_bug_is_caught")),
        "decisions_scenarios": _count("scenarios x libraries", 48.0,
            "answers of a server (24 or more, both Gemini libraries) that give a typed result, none uncaught",
            _tests("decide/test_gemini.py", "test_a_scenario_gives_a_typed_result", "google.genai")),
    }
)  # fmt: skip
