"""Measurements behind the group ``sweep`` of ``nexova bench``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType

from nexova_sim.config.load import load_fleet
from nexova_sim.config.sweep import load_sweep
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.cost import cpu_seconds
from nexova_sim.run.engines import Engine
from nexova_sim.run.simulate import simulate
from nexova_sim.run.sweep import run_sweep

_FEW, _MANY = 100, 400


def _cost(place: Path, n: int) -> tuple[float, float]:
    """CPU-seconds of a sweep of ``n`` trials without stages, caller and worker, and of the trials by themselves."""
    axis = {"key": "name", "values": [f"t{k}" for k in range(n)]}
    (place / "sweep.yaml").write_text(json.dumps({"name": "trivial", "experiment": "trivial.yaml", "axes": [axis]}))
    sweep = load_sweep(place / "sweep.yaml")
    before = cpu_seconds()
    with tempfile.TemporaryDirectory(dir=place) as out:
        done = run_sweep(sweep, Path(out), Engine("local", 1))
        return cpu_seconds() - before, done.cpu_s


def overhead(few: int = _FEW, many: int = _MANY) -> tuple[float, float]:
    """Per trial, in CPU-ms: all that is not the trial itself, and a trial that has no stage; workers' start left out.

    A sweep of ``many`` trials less one of ``few``, so that what is paid once per sweep does not count.
    """
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        simulate(load_fleet("configs/fleet/tiny.yaml", ["days=1", "dt_s=3600", "load_interval_s=3600"]), place / "data")
        experiment = {"name": "trivial", "dataset": str(place / "data"), "describe": None, "report": None}
        (place / "trivial.yaml").write_text(json.dumps(experiment))
        _cost(place, 2)  # what the first sweep of a process loads would be taken off the rest
        (all_few, own_few), (all_many, own_many) = _cost(place, few), _cost(place, many)
    n, own = many - few, own_many - own_few
    return 1000.0 * (all_many - all_few - own) / n, 1000.0 * own / n


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "sweep_overhead": Benchmark("sweep", "CPU-ms", 2.0, "max",
            "per trial, caller and worker together: configuration read and checked, identity, dispatch, result file, "
            "table; not the trial itself and not the start of workers (400 trials less 100, median of 3)",
            lambda: median(overhead()[0] for _ in range(3)), "time"),
    }
)  # fmt: skip
