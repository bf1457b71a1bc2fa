"""``nexova bench``: every bar as a registered benchmark, measured in CPU-seconds and ratios inside one run.

A value is the best of several repetitions, because other work on the machine only ever adds time. A peer or reference
that is not there is reported as "not measured", never assumed; a benchmark that fails costs only its own result.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.run import bench_alerts as alerts
from nexova_sim.run import bench_anomaly as anomaly
from nexova_sim.run import bench_approvals as approvals
from nexova_sim.run import bench_counted as counted
from nexova_sim.run import bench_decisions as decisions
from nexova_sim.run import bench_detection as detection
from nexova_sim.run import bench_energy as energy
from nexova_sim.run import bench_experiment as experiment
from nexova_sim.run import bench_forecast as forecast
from nexova_sim.run import bench_forecast_accuracy as forecast_accuracy
from nexova_sim.run import bench_rul as rul
from nexova_sim.run import bench_simulate as simulate
from nexova_sim.run import bench_sweep as sweep
from nexova_sim.run import bench_twin as twin
from nexova_sim.run.bench_control import control_cpu
from nexova_sim.run.benchmark import Benchmark, BenchResult, is_met, nature_of

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        **simulate.BENCHMARKS,
        **alerts.BENCHMARKS,
        **approvals.BENCHMARKS,
        **counted.BENCHMARKS,
        **anomaly.BENCHMARKS,
        **detection.BENCHMARKS,
        **decisions.BENCHMARKS,
        **forecast.BENCHMARKS,
        **forecast_accuracy.BENCHMARKS,
        **energy.BENCHMARKS,
        **twin.BENCHMARKS,
        **rul.BENCHMARKS,
        **experiment.BENCHMARKS,
        **sweep.BENCHMARKS,
    }
)
# Those that cost a few CPU-seconds each, about three CPU-minutes together: what every change is measured by.
QUICK = frozenset({
    "kernel_rate", "kernel_rate_minutes", "kernel_vs_numpy", "cached_start", "help_start", "events_rate",
    "approvals_replay", "approvals_registry", "audit_verify", "anomaly_rolling", "anomaly_forest",
    "anomaly_forest_ratio", "anomaly_forest_flags", "forecast_blend", "forecast_prophet_map", "forecast_prophet_ratio",
    "forecast_prophet_posterior", "forecast_prophet_gap", "twin_fleet", "twin_lives", "twin_particles", "twin_whatif",
    "energy_env_256", "energy_env_1024", "energy_bound", "decisions_replay",
    "data_flips_found", "audit_tampering_found", "approvals_bugs_caught", "decisions_scenarios",
})  # fmt: skip
_MORE_TRIES = 2

Told = Callable[[BenchResult], None]
Doubt = Callable[[BenchResult], bool]


class Clock(NamedTuple):
    """What tells CPU-seconds: of the ``control``, and ``spent`` so far by this process and its ended children."""

    control: Callable[[], float]
    spent: Callable[[], float]


def spent_cpu() -> float:
    """CPU-seconds of this process and of its children that have ended."""
    import resource

    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in usages)


CLOCK = Clock(control_cpu, spent_cpu)


def pick(name: str | None, is_quick: bool = False) -> list[str]:
    """Names of the benchmarks meant by ``name`` (one, a group, or all when None); only the quick ones on wish."""
    chosen = [key for key, item in BENCHMARKS.items() if name is None or name in (key, item.group)]
    if not chosen:
        known = {*BENCHMARKS, *(item.group for item in BENCHMARKS.values())}
        raise ConfigError(f"unknown benchmark {name!r}; {suggest(str(name), known)}")
    if is_quick and not QUICK & set(chosen):
        raise ConfigError(f"{name}: holds no quick benchmark; leave --quick out")
    return [key for key in chosen if key in QUICK or not is_quick]


def no_word(_result: BenchResult) -> None:
    """Callback that tells nobody."""


def no_doubt(_result: BenchResult) -> bool:
    """The first measurement is taken as it is."""
    return False


def bench(name: str | None = None, is_quick: bool = False, told: Told = no_word, doubt: Doubt = no_doubt,
          clock: Clock = CLOCK) -> list[BenchResult]:  # fmt: skip
    """Measure the benchmark or group ``name`` (all when None); ``told`` hears of each result when it is there.

    While ``doubt`` doubts a result it is measured anew, at most twice, and the best counts: other work on the machine
    adds time for a while, a slower program always.
    """
    results = []
    before_s = clock.control()
    for key in pick(name, is_quick):
        result, before_s = _measure(key, before_s, clock)
        for _ in range(_MORE_TRIES):
            if not doubt(result):
                break
            _forget(BENCHMARKS[key])
            again, before_s = _measure(key, before_s, clock)
            result = _better(BENCHMARKS[key], result, again)
        told(result)
        results.append(result)
    return results


def _measure(key: str, before_s: float, clock: Clock) -> tuple[BenchResult, float]:
    """One measurement with the control before (given) and after (returned) it; any error belongs to the result."""
    item, start, error, value = BENCHMARKS[key], clock.spent(), None, None
    try:
        value = item.measure()
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    cpu_s = clock.spent() - start
    after_s = clock.control()
    ok = False if error is not None else None if value is None else is_met(item, value)
    control_s = min(before_s, after_s)
    return BenchResult(key, item.group, value, item.unit, item.bar, item.direction, ok, item.how, nature_of(item),
                       cpu_s, control_s, error), after_s  # fmt: skip


def _forget(item: Benchmark) -> None:
    """Empty the caches of the benchmark's module, so that what several benchmarks share is measured anew."""
    for function in vars(sys.modules[item.measure.__module__]).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def _better(item: Benchmark, first: BenchResult, second: BenchResult) -> BenchResult:
    if first.value is None or second.value is None:
        return first if second.value is None else second
    is_second = second.value > first.value if item.direction == "min" else second.value < first.value
    return second if is_second else first


def cpu_model() -> str:
    """The processor's name, for people; no host name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        named = []
    return named[0] if named else platform.processor() or platform.machine()


def machine() -> str:
    """The processor and Python the figures belong to."""
    return f"{cpu_model()}, Python {platform.python_version()}"


def summary(results: Sequence[BenchResult], started_s: float) -> str:
    """How many bars were met, in a line; ``started_s`` is ``spent_cpu()`` at the start."""
    met, missed = (sum(r.ok is flag and r.error is None for r in results) for flag in (True, False))
    failed, absent = sum(r.error is not None for r in results), sum(r.ok is None for r in results)
    used = f"{spent_cpu() - started_s:.0f} CPU-s"
    return f"{met} met, {missed} missed, {absent} not measured, {failed} failed; {used}; {machine()}"
