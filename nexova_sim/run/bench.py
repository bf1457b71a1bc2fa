"""``nexova bench``: every bar as a registered benchmark, measured in CPU-seconds and ratios inside one run.

A value is the best of several repetitions, because other work on the machine only ever adds time. A peer or reference
that is not there is reported as "not measured", never assumed.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.run import bench_simulate as simulate


class Benchmark(NamedTuple):
    """A registered bar: ``direction`` "min" means the value must be at least ``bar``, "max" at most."""

    group: str
    unit: str
    bar: float
    direction: str
    how: str
    measure: Callable[[], float | None]


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "kernel_rate": Benchmark(
            "simulate", "M machine-steps/CPU-s", 60.0, "min",
            "load, twin, faults, noise and sensors of the seed fleet (54 machines, 2 s), one thread, best of 7",
            simulate.kernel_rate,
        ),
        "kernel_rate_minutes": Benchmark(
            "simulate", "M machine-steps/CPU-s", 60.0, "min",
            "the same for the plant fleet (200 machines, 60 s, inputs change every 5 steps), best of 7",
            simulate.kernel_rate_minutes,
        ),
        "kernel_vs_numpy": Benchmark(
            "simulate", "x", 8.0, "min",
            "CPU time of the same model in NumPy vectorised over 200 machines (tests/naive.py) over ours",
            simulate.kernel_vs_numpy,
        ),
        "simulate_vs_pyarrow": Benchmark(
            "simulate", "x", 1.5, "max",
            "CPU time of simulating 14 M readings to disk over pyarrow writing the same tables, in turn, best of 5",
            simulate.simulate_vs_pyarrow,
        ),
        "simulate_rate": Benchmark(
            "simulate", "M readings/CPU-s", 7.0, "min",
            "14 M readings end to end after compile, one thread, best of 5",
            simulate.simulate_rate,
        ),
        "thread_scaling": Benchmark(
            "simulate", "x", 1.7, "min",
            "wall time with one thread over two threads, 14 M readings, in turn, best of 5; needs two idle cores",
            simulate.thread_scaling,
        ),
        "memory_growth": Benchmark(
            "simulate", "x", 1.10, "max",
            "peak resident memory of a process simulating 140 M readings over 14 M, same machines, ten times the span",
            simulate.memory_growth,
        ),
        "memory_peak": Benchmark(
            "simulate", "MiB", 1024.0, "max",
            "peak resident memory of a process simulating 140 M readings",
            simulate.memory_peak,
        ),
        "compile_once": Benchmark(
            "simulate", "CPU-s", 15.0, "max",
            "first simulation with an empty kernel cache minus the same with a warm one",
            simulate.compile_once,
        ),
        "cached_start": Benchmark(
            "simulate", "CPU-s", 1.5, "max",
            "whole process simulating the tiny fleet with a warm cache, best of 3",
            simulate.cached_start,
        ),
        "help_start": Benchmark(
            "simulate", "CPU-s", 0.35, "max",
            "whole process of nexova --help, best of 5",
            simulate.help_start,
        ),
    }
)  # fmt: skip


class BenchResult(NamedTuple):
    """A measured bar; ``ok`` is None when it was not measured."""

    name: str
    group: str
    value: float | None
    unit: str
    bar: float
    direction: str
    ok: bool | None
    how: str


def pick(name: str | None) -> list[str]:
    """Names of the benchmarks meant by ``name``: one benchmark, a group, or all when None."""
    if name is None:
        return list(BENCHMARKS)
    chosen = [key for key, item in BENCHMARKS.items() if name in (key, item.group)]
    if not chosen:
        known = {*BENCHMARKS, *(item.group for item in BENCHMARKS.values())}
        raise ConfigError(f"unknown benchmark {name!r}; {suggest(name, known)}")
    return chosen


def bench(
    name: str | None = None, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> list[BenchResult]:
    """Measure the benchmark or group ``name`` (all when None)."""
    names = pick(name)
    results = []
    for number, key in enumerate(names):
        item = BENCHMARKS[key]
        progress(number, len(names))
        value = item.measure()
        ok = None if value is None else (value >= item.bar if item.direction == "min" else value <= item.bar)
        results.append(BenchResult(key, item.group, value, item.unit, item.bar, item.direction, ok, item.how))
    progress(len(names), len(names))
    return results


def machine() -> str:
    """The processor and Python the figures belong to."""
    model = platform.processor() or platform.machine()
    return f"{model}, Python {platform.python_version()}"
