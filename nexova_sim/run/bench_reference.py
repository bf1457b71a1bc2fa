"""Benchmarks beside a reference file: what grew worse, what is new, what is gone.

Times are divided by the control measured beside them, in both runs, so a reference from another machine can be used;
wall time is never compared. A benchmark that was measured in the reference and is not now is no pass.
"""

from __future__ import annotations

import json
import math
import platform
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset.stage import explain_os_error, write_durably
from nexova_sim.run.bench import BENCHMARKS, cpu_model
from nexova_sim.run.benchmark import Benchmark, BenchResult, is_met, nature_of, slack_of

REFERENCE = Path("results/reference/bench.json")
_PACKAGES = ("numpy", "numba", "pyarrow", "duckdb", "scikit-learn", "torch")
BAD = frozenset({"worse", "bar missed", "failed", "not measured", "vanished"})


class Entry(BaseModel):
    """One accepted measurement; ``value`` is None where it could not be measured."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    value: float | None
    unit: str
    bar: float
    direction: str
    ok: bool | None
    control_s: float


class Reference(BaseModel):
    """A reference file: the processor and versions the figures belong to, and the figures by benchmark."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    format: str
    cpu: str
    versions: dict[str, str]
    benchmarks: dict[str, Entry]


class Compared(NamedTuple):
    """A benchmark beside the reference: ``verdict`` and how many ``times`` worse it is (above 1 is worse)."""

    name: str
    verdict: str
    times: float | None
    slack: float
    words: str


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_reference(path: Path) -> Reference:
    """The reference in ``path``; DataError when it is missing or no reference."""
    try:
        return Reference.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); write it with: nexova bench --accept") from error
    except (ValidationError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{path}: is no benchmark reference ({first}); write it anew: nexova bench --accept") from error


def check_writable(path: Path) -> None:
    """DataError when a reference cannot be written to ``path``: told before hours are measured, not after."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise explain_os_error(error, path) from error


def accept(path: Path, results: Sequence[BenchResult], is_all: bool) -> None:
    """Write ``results`` to the reference ``path``: all of it, or, unless ``is_all``, only their entries.

    ConfigError when one failed, or when a part comes from another processor than the rest.
    """
    failed = [r.name for r in results if r.error is not None]
    if failed:
        raise ConfigError(f"nothing accepted: {', '.join(failed)} failed; mend that first")
    entries = {
        r.name: Entry(value=_short(r.value), unit=r.unit, bar=r.bar, direction=r.direction, ok=r.ok,
                      control_s=_short(r.control_s) or 0.0)
        for r in results
    }  # fmt: skip
    if not is_all and path.exists():
        old = read_reference(path)
        if old.cpu != cpu_model():
            raise ConfigError(f"{path}: holds figures of {old.cpu}, these are of {cpu_model()}; accept all at once: "
                              "nexova bench --accept")  # fmt: skip
        entries = {name: entries.get(name) or old.benchmarks[name] for name in {**old.benchmarks, **entries}}
    made = Reference(format="nexova-bench", cpu=cpu_model(), versions=_versions(), benchmarks=entries)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, (json.dumps(made.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode())


def _short(value: float | None) -> float | None:
    """Five digits: more would be noise."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def times_worse(item: Benchmark, now: tuple[float, float], then: tuple[float, float]) -> float:
    """How many times worse ``now`` is than ``then``, both (value, control's CPU-seconds); below 1 is better.

    Times are divided by the control, rates multiplied by it.
    """
    (new, new_control), (old, old_control) = now, then
    is_rate = item.direction == "min"
    if nature_of(item) == "time":
        new, old = (v * c if is_rate else v / c for v, c in ((new, new_control), (old, old_control)))
    if new == old:
        return 1.0
    above, below = (old, new) if is_rate else (new, old)
    return above / below if below > 0 and math.isfinite(above) else math.inf


def compare(result: BenchResult, reference: Reference) -> Compared:
    """One result beside the reference."""
    item, old = BENCHMARKS[result.name], reference.benchmarks.get(result.name)
    slack = slack_of(item)
    if result.error is not None:
        return Compared(result.name, "failed", None, slack, result.error)
    if old is None:
        return Compared(result.name, "new", None, slack, "not in the reference; accept it: nexova bench --accept")
    if result.value is None:
        words = "not measured here" + ("" if old.value is None else f", was {old.value:g}: no pass")
        return Compared(result.name, "absent" if old.value is None else "not measured", None, slack, words)
    if old.value is None:
        return Compared(result.name, "new", None, slack, "not measured in the reference")
    if old.unit != result.unit:
        return Compared(result.name, "new", None, slack, f"the unit was {old.unit}; accept it: nexova bench --accept")
    times = times_worse(item, (result.value, result.control_s), (old.value, old.control_s))
    words = f"{times:.2f} x the reference's cost, {slack:g} x allowed"
    if not times <= slack:
        return Compared(result.name, "worse", times, slack, words)
    if nature_of(item) != "time" and is_met(item, old.value) and not is_met(item, result.value):
        return Compared(result.name, "bar missed", times, slack, f"{words}; the bar was met and is missed now")
    return Compared(result.name, "better" if times < 1.0 / slack else "same", times, slack, words)


def doubts(reference: Reference) -> Callable[[BenchResult], bool]:
    """Whether a result is worth a second measurement: one that grew worse."""
    return lambda result: compare(result, reference).verdict in {"worse", "bar missed"}


def compare_all(results: Iterable[BenchResult], reference: Reference, is_all: bool) -> list[Compared]:
    """Every result beside the reference; with ``is_all`` also what the reference has and nobody registers any more."""
    found = [compare(result, reference) for result in results]
    gone = [name for name in reference.benchmarks if name not in BENCHMARKS] if is_all else []
    words = "in the reference, but registered no more; accept that: nexova bench --accept"
    return found + [Compared(name, "vanished", None, 1.0, words) for name in gone]


def passes(compared: Iterable[Compared]) -> bool:
    """Whether nothing grew worse, failed, vanished, or could not be measured although it once was."""
    return not any(row.verdict in BAD for row in compared)


def other_machine(reference: Reference) -> Mapping[str, str]:
    """What differs between the reference's machine and this one, by name: "then -> now"."""
    now = {"cpu": cpu_model(), **_versions()}
    then = {"cpu": reference.cpu, **reference.versions}
    return {k: f"{then.get(k, 'none')} -> {now.get(k, 'none')}" for k in {**then, **now} if then.get(k) != now.get(k)}
