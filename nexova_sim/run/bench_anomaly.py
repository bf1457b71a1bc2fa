"""Measurements behind the group ``anomaly`` of ``nexova bench``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nexova_sim.config.load import load_fleet
from nexova_sim.detect.forest_reference import ForestMatch, match_forest
from nexova_sim.kernels.windows import WindowState, roll
from nexova_sim.run.bench_simulate import run_child
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.simulate import simulate

_SEED = "configs/fleet/seed.yaml"
_DEFAULT, _FOREST = "configs/anomaly/default.yaml", "configs/anomaly/isolation_forest.yaml"


def rolling_cpu(n_rows: int = 1_000_000) -> float:
    """CPU-seconds per million readings of mean, deviation and rate of change over 30 readings of three channels."""
    random = np.random.default_rng(0)
    values = random.standard_normal((3, n_rows)).astype(np.float32)
    machine = np.repeat(np.arange(10, dtype=np.int32), n_rows // 10)
    time_ms = np.tile(np.arange(n_rows // 10, dtype=np.int64) * 60_000, 10)
    out = np.empty((9, n_rows), np.float32)
    spent = []
    for _ in range(4):
        state = WindowState(np.full((10, 3, 30), np.nan, np.float32), np.zeros((10, 3, 3)), np.zeros((10, 2), np.int64))
        began = time.process_time()
        roll(machine, time_ms, values[:, : len(machine)], 3_600_000, state, out)
        spent.append(time.process_time() - began)
    return min(spent[1:]) * 1e6 / len(machine)


@cache
def _match(n_rows: int = 300_000) -> ForestMatch:
    random = np.random.default_rng(0)
    rows = np.stack([random.normal(50, 8, n_rows), random.normal(60, 6, n_rows), random.gamma(4, 0.4, n_rows),
                     random.uniform(-1, 1, n_rows)])  # fmt: skip
    rows = (rows - rows.mean(axis=1)[:, None]) / rows.std(axis=1)[:, None]
    return match_forest(rows.T.astype(np.float32), 10_000, 100, 42)


def forest_cpu() -> float:
    """CPU-seconds per million rows of our scorer, 100 trees."""
    return _match().own_s


def forest_ratio() -> float:
    """Our CPU time over scikit-learn's, in one run."""
    found = _match()
    return found.own_s / found.reference_s


def forest_flags() -> float:
    """Flags that differ from scikit-learn's, plus one when a score differs by more than 1e-6; plus 1, so 1 is none."""
    found = _match()
    return 1.0 + found.n_flags_differ + (1 if found.max_difference > 1e-6 else 0)


@cache
def _both(settings: tuple[str, ...] = ()) -> tuple[float, float, int]:
    """CPU-seconds, peak MiB and readings: the default and the Isolation Forest, each scoring in its own process."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        rows = simulate(load_fleet(_SEED, list(settings)), data).manifest.rows["readings"]
        used = []
        for number, config in enumerate((_DEFAULT, _FOREST)):
            model, scores = f"{place}/model{number}", f"{place}/scores{number}"
            run_child(["anomaly", "fit", str(data), "--config", config, "--out", model, "--quiet"])
            used.append(run_child(["anomaly", "score", str(data), "--model", model, "--out", scores, "--quiet"]))
        return sum(u.cpu_s for u in used), max(u.peak_mib for u in used), rows


def pipeline_cpu(settings: tuple[str, ...] = ()) -> float:
    """CPU-seconds of both runs, from Parquet to written scores and alarms, per 14 million readings."""
    cpu_s, _, rows = _both(settings)
    return cpu_s * 14e6 / rows


def pipeline_memory(settings: tuple[str, ...] = ()) -> float:
    """Largest resident set of the two runs, MiB."""
    return _both(settings)[1]


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "anomaly_rolling": Benchmark("anomaly", "CPU-s per M readings", 0.15, "max",
            "rolling mean, deviation and rate over 30 readings of three channels, ten machines", rolling_cpu),
        "anomaly_forest": Benchmark("anomaly", "CPU-s per M rows", 1.9, "max",
            "our scorer of a scikit-learn Isolation Forest, 100 trees, four columns, 300 000 rows", forest_cpu),
        "anomaly_forest_ratio": Benchmark("anomaly", "x", 0.5, "max",
            "CPU time of that scorer over score_samples of scikit-learn, same rows, one run", forest_ratio),
        "anomaly_forest_flags": Benchmark("anomaly", "1 + flags", 1.0, "max",
            "1 + flags that differ from scikit-learn's, + 1 when a score differs by more than 1e-6", forest_flags),
        "anomaly_pipeline": Benchmark("anomaly", "CPU-s per 14 M readings", 60.0, "max",
            "configs/fleet/seed.yaml scored by the default and by the Isolation Forest: read, features, write",
            pipeline_cpu),
        "anomaly_memory": Benchmark("anomaly", "MiB", 1024.0, "max",
            "largest resident set of those two runs", pipeline_memory),
    }
)  # fmt: skip
