"""Measurements behind the group ``experiment`` of ``nexova bench``: the demonstration as a newcomer runs it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from types import MappingProxyType

from nexova_sim.run.bench_simulate import run_child
from nexova_sim.run.benchmark import Benchmark


def demo_cpu(config: str = "configs/experiment/quickstart.yaml") -> float:
    """CPU-seconds of ``nexova run`` on the quickstart with nothing compiled."""
    with tempfile.TemporaryDirectory() as place:
        words = ["run", "--config", config, "--out", f"{place}/run", "--quiet"]
        return run_child(words, {"NEXOVA_CACHE_DIR": f"{place}/cache"}).cpu_s


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "experiment_demo": Benchmark("experiment", "CPU-s", 300.0, "max",
            "nexova run on configs/experiment/quickstart.yaml (make demo), every stage, compiling included", demo_cpu),
    }
)  # fmt: skip
