"""What a registered benchmark is, and what a measurement of one leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

# How many times worse than the reference is still noise. CPU time of one process on a shared machine scatters by a
# fifth (caches and memory are shared) after dividing by the control; a ratio inside one run by half of that; what does
# not depend on time at all only by the versions of the libraries.
SLACK: Mapping[str, float] = MappingProxyType({"time": 1.4, "ratio": 1.25, "exact": 1.02})


class Benchmark(NamedTuple):
    """A registered bar: ``direction`` "min" means the value must be at least ``bar``, "max" at most.

    ``nature`` says how two measurements are compared: "time" (CPU-seconds or a rate per CPU-second: divided by the
    control measured beside it), "ratio" (two times of one run, or memory: as it is), "exact" (no time in it). Empty:
    by the unit. ``slack`` overrides the nature's.
    """

    group: str
    unit: str
    bar: float
    direction: str
    how: str
    measure: Callable[[], float | None]
    nature: str = ""
    slack: float | None = None


class BenchResult(NamedTuple):
    """A measured bar; ``ok`` is None when it was not measured, False when missed or when measuring failed.

    ``cpu_s`` is what measuring cost, ``control_s`` the control's CPU-seconds beside it.
    """

    name: str
    group: str
    value: float | None
    unit: str
    bar: float
    direction: str
    ok: bool | None
    how: str
    nature: str
    cpu_s: float
    control_s: float
    error: str | None = None


def nature_of(item: Benchmark) -> str:
    """The nature of a benchmark: its own, else "time" where the unit holds CPU-seconds, else "ratio"."""
    return item.nature or ("time" if "CPU-s" in item.unit else "ratio")


def slack_of(item: Benchmark) -> float:
    """How many times worse than its reference a benchmark may be."""
    return SLACK[nature_of(item)] if item.slack is None else item.slack


def is_met(item: Benchmark, value: float) -> bool:
    """Whether ``value`` meets the bar; NaN meets none."""
    return value >= item.bar if item.direction == "min" else value <= item.bar


def verdict(result: BenchResult) -> str:
    """The outcome in a word or two."""
    if result.error is not None:
        return "FAILED"
    return "not measured" if result.ok is None else "met" if result.ok else "MISSED"
