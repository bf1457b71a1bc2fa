"""Measurements behind the ``simulate`` group of ``nexova bench``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.write import WriteOptions, parquet_settings
from nexova_sim.kernels.fleet import run_block
from nexova_sim.kernels.rows import S_VARIATION, State
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.simulate import simulate
from nexova_sim.simulate.blocks import (
    Pool,
    first_state,
    make_inputs,
    new_output,
    run_block_periods,
    sense,
    site_inputs,
)
from nexova_sim.simulate.plan import FleetPlan, plan_block, plan_fleet
from nexova_sim.simulate.tables import readings_table

_SEED = "configs/fleet/seed.yaml"
_PLANT = "configs/fleet/plant.yaml"
_TINY = "configs/fleet/tiny.yaml"


def cpu_of(action: Callable[[], object]) -> float:
    """CPU-seconds of this process spent in ``action``."""
    start = time.process_time()
    action()
    return time.process_time() - start


def _kernel_time(plan: FleetPlan, pool: Pool) -> float:
    """CPU-seconds in the kernels for a whole fleet: load, time loop, sensors; calendar and climate come before."""
    used = 0.0
    for number in range(len(plan.blocks)):
        block = plan_block(plan, number)
        state = first_state(plan, block)
        for period in plan.periods:
            site = site_inputs(plan, block, period)
            out = new_output(plan, block, period, True, pool)
            after = State(np.empty_like(state.real), np.empty_like(state.flag), np.empty_like(state.cleared))
            start = time.process_time()
            inputs, variation = make_inputs(plan, block, period, state.real[S_VARIATION], site)
            run_block(block.block, plan.clock, inputs, state, after, out)
            sense(plan, block, period, out)
            used += time.process_time() - start
            after.real[S_VARIATION] = variation
            state = after
    return used


def _rate(config: str, settings: list[str], repeats: int) -> float:
    plan = plan_fleet(load_fleet(config, settings))
    pool: Pool = {}
    steps = len(plan.machines) * sum(p.n_slots for p in plan.periods) * plan.clock.n_steps
    _kernel_time(plan, pool)
    return steps / 1e6 / min(_kernel_time(plan, pool) for _ in range(repeats))


def kernel_rate() -> float:
    """Machine-steps per CPU-second of the seed fleet, in millions, nothing written."""
    return _rate(_SEED, ["days=2"], 7)


def kernel_rate_minutes() -> float:
    """Machine-steps per CPU-second of the plant fleet, in millions, nothing written."""
    return _rate(_PLANT, [], 7)


def _naive() -> ModuleType | None:
    """The slow twin, when the tests are there (they are not part of an installed package)."""
    folder = Path(__file__).resolve().parent.parent.parent / "tests"
    if not (folder / "naive.py").is_file():
        return None
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location("naive", folder / "naive.py")
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules["naive"] = module
    spec.loader.exec_module(module)
    return module


def kernel_vs_numpy() -> float | None:
    """CPU time of the model in vectorised NumPy over the kernel's; None without tests/naive.py."""
    naive = _naive()
    if naive is None:
        return None
    plan = plan_fleet(load_fleet(_PLANT, ["days=1"]))
    pool: Pool = {}
    _kernel_time(plan, pool)
    ours = min(_kernel_time(plan, pool) for _ in range(7))
    theirs = min(cpu_of(lambda: naive.naive_readings(plan, plan.periods)) for _ in range(2))
    return theirs / ours


class _EndToEnd(NamedTuple):
    """Best CPU-seconds of simulating and of pyarrow writing, readings, and best wall seconds with 1 and 2 threads."""

    simulate_cpu: float
    pyarrow_cpu: float
    rows: int
    wall_one: float
    wall_two: float


def _write_tables(tables: list[pa.Table], folder: Path) -> None:
    for number, table in enumerate(tables):
        with (folder / f"{number}.parquet").open("wb") as handle:
            pq.write_table(table, handle, **parquet_settings(table.schema, WriteOptions()))
            handle.flush()
            os.fsync(handle.fileno())


@cache
def _end_to_end() -> _EndToEnd:
    resolved = load_fleet(_SEED)
    plan = plan_fleet(resolved)
    blocks = [plan_block(plan, number) for number in range(len(plan.blocks))]
    tables = [readings_table(plan, block, chunk) for block in blocks for chunk in run_block_periods(plan, block)]
    ours: list[float] = []
    theirs: list[float] = []
    one: list[float] = []
    two: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        out, plain = Path(name) / "dataset", Path(name) / "plain"
        plain.mkdir()
        for _ in range(5):
            for jobs, walls in ((1, one), (2, two)):
                shutil.rmtree(out, ignore_errors=True)
                begin = time.perf_counter()
                used = cpu_of(lambda jobs=jobs: simulate(resolved, out, jobs))  # type: ignore[misc]
                walls.append(time.perf_counter() - begin)
                if jobs == 1:
                    ours.append(used)
            theirs.append(cpu_of(lambda: _write_tables(tables, plain)))
    rows = sum(table.num_rows for table in tables)
    return _EndToEnd(min(ours), min(theirs), rows, min(one), min(two))


def simulate_vs_pyarrow() -> float:
    """CPU time of the whole simulation over pyarrow writing the same readings."""
    result = _end_to_end()
    return result.simulate_cpu / result.pyarrow_cpu


def simulate_rate() -> float:
    """Readings per CPU-second end to end, in millions."""
    result = _end_to_end()
    return result.rows / 1e6 / result.simulate_cpu


def thread_scaling() -> float | None:
    """Wall time with one thread over two; None on a single core."""
    if len(os.sched_getaffinity(0)) < 2:
        return None
    result = _end_to_end()
    return result.wall_one / result.wall_two


class _Usage(NamedTuple):
    """CPU-seconds and peak resident MiB of a child process."""

    cpu_s: float
    peak_mib: float


def run_child(arguments: list[str], environment: dict[str, str] | None = None) -> _Usage:
    """Run ``nexova`` with ``arguments`` in a process of its own and account for it alone."""
    code = (
        "import resource, subprocess, sys;"
        "status = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL);"
        "u = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(u.ru_utime + u.ru_stime, u.ru_maxrss / 1024); sys.exit(status)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "nexova_sim", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **(environment or {})}
    )
    cpu, peak = done.stdout.split()
    return _Usage(float(cpu), float(peak))


@cache
def _memory() -> tuple[float, float]:
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        # From 1 January, 31 and 310 days, so that the largest month file is equal; 314 machines.
        for number, days in enumerate((31, 310)):
            out = Path(name) / f"d{number}"
            settings = ["--set", f"days={days}", "--set", "start=2026-01-01T00:00:00Z"]
            for n, count in enumerate((26, 26, 26, 26, 52, 52, 53, 53)):
                kind = ("pump", "motor", "compressor", "conveyor")[n % 4]
                settings += ["--set", f"factories.{n // 4}.machines.{kind}={count}"]
            for site in (2, 3):
                for kind in ("pump", "motor", "compressor", "conveyor"):
                    settings += ["--set", f"factories.{site}.machines.{kind}=0"]
            usage = run_child(["simulate", "-c", _PLANT, "-o", str(out), "--jobs", "2", "--quiet", *settings])
            peaks.append(usage.peak_mib)
            shutil.rmtree(out, ignore_errors=True)
    return peaks[0], peaks[1]


def memory_growth() -> float:
    """Peak memory of 314 machines for 310 days over that for 31 days."""
    small, large = _memory()
    return large / small


def memory_peak() -> float:
    """Peak memory (MiB) of 314 machines for 310 days, 140 M readings, two threads."""
    return _memory()[1]


def _tiny(environment: dict[str, str] | None = None) -> float:
    with tempfile.TemporaryDirectory() as name:
        return run_child(["simulate", "-c", _TINY, "-o", f"{name}/tiny", "--quiet"], environment).cpu_s


def compile_once() -> float:
    """CPU-seconds that compiling every kernel of a simulation takes."""
    with tempfile.TemporaryDirectory() as name:
        environment = {"NEXOVA_CACHE_DIR": name}
        cold = _tiny(environment)
        return cold - min(_tiny(environment) for _ in range(2))


def cached_start() -> float:
    """CPU-seconds of a whole process that simulates the tiny fleet with a warm cache."""
    _tiny()
    return min(_tiny() for _ in range(3))


def help_start() -> float:
    """CPU-seconds of ``nexova --help``."""
    run_child(["--help"])
    return min(run_child(["--help"]).cpu_s for _ in range(5))


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "kernel_rate": Benchmark(
            "simulate", "M machine-steps/CPU-s", 60.0, "min",
            "load, twin, faults, noise and sensors of the seed fleet (54 machines, 2 s), one thread, best of 7",
            kernel_rate,
        ),
        "kernel_rate_minutes": Benchmark(
            "simulate", "M machine-steps/CPU-s", 60.0, "min",
            "the same for the plant fleet (200 machines, 60 s, inputs change every 5 steps), best of 7",
            kernel_rate_minutes,
        ),
        "kernel_vs_numpy": Benchmark(
            "simulate", "x", 8.0, "min",
            "CPU time of the same model in NumPy vectorised over 200 machines (tests/naive.py) over ours",
            kernel_vs_numpy,
        ),
        "simulate_vs_pyarrow": Benchmark(
            "simulate", "x", 1.5, "max",
            "CPU time of simulating 14 M readings to disk over pyarrow writing the same tables, in turn, best of 5",
            simulate_vs_pyarrow,
        ),
        "simulate_rate": Benchmark(
            "simulate", "M readings/CPU-s", 10.0, "min",
            "14 M readings end to end after compile, one thread, best of 5",
            simulate_rate,
        ),
        "thread_scaling": Benchmark(
            "simulate", "x", 1.7, "min",
            "wall time with one thread over two threads, 14 M readings, in turn, best of 5; needs two idle cores",
            thread_scaling,
        ),
        "memory_growth": Benchmark(
            "simulate", "x", 1.10, "max",
            "peak resident memory of a process simulating 140 M readings over 14 M, same machines, ten times the span",
            memory_growth,
        ),
        "memory_peak": Benchmark(
            "simulate", "MiB", 1024.0, "max",
            "peak resident memory of a process simulating 140 M readings",
            memory_peak,
        ),
        "compile_once": Benchmark(
            "simulate", "CPU-s", 15.0, "max",
            "first simulation with an empty kernel cache minus the same with a warm one",
            compile_once,
        ),
        "cached_start": Benchmark(
            "simulate", "CPU-s", 1.5, "max",
            "whole process simulating the tiny fleet with a warm cache, best of 3",
            cached_start,
        ),
        "help_start": Benchmark(
            "simulate", "CPU-s", 0.35, "max",
            "whole process of nexova --help, best of 5",
            help_start,
        ),
    }
)  # fmt: skip
