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
from nexova_sim.run import bench_alerts as alerts
from nexova_sim.run import bench_anomaly as anomaly
from nexova_sim.run import bench_approvals as approvals
from nexova_sim.run import bench_decisions as decisions
from nexova_sim.run import bench_energy as energy
from nexova_sim.run import bench_forecast as forecast
from nexova_sim.run import bench_simulate as simulate
from nexova_sim.run import bench_twin as twin
from nexova_sim.run.benchmark import Benchmark

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        **simulate.BENCHMARKS,
        **alerts.BENCHMARKS,
        **approvals.BENCHMARKS,
        **anomaly.BENCHMARKS,
        **decisions.BENCHMARKS,
        **forecast.BENCHMARKS,
        **energy.BENCHMARKS,
        **twin.BENCHMARKS,
    }
)


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
