"""Measurements behind the groups ``alerts`` and ``events`` of ``nexova bench``."""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nexova_sim.alert.engine import stream_alerts
from nexova_sim.alert.rules import compile_policy
from nexova_sim.config.alert import load_policy
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.alerts import compare_policies, run_alerts
from nexova_sim.run.bench_simulate import run_child
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.events import Replay, Sources, replay
from nexova_sim.run.simulate import simulate

_SEED, _PLANT = "configs/fleet/seed.yaml", "configs/fleet/plant.yaml"


class _Sink(io.RawIOBase):
    """A stream that counts lines and keeps nothing."""

    n_lines = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Count the lines of ``data``."""
        self.n_lines += data.count(b"\n")
        return len(data)


def _cpu_s(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _per_14_million(settings: tuple[str, ...], action: Callable[[Path, Path], object]) -> float:
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_SEED, list(settings)), Path(place) / "data")
        action(data.folder, Path(place) / "warm")
        spent = [_cpu_s(lambda k=k: action(data.folder, Path(place) / f"run{k}")) for k in range(3)]  # type: ignore[misc]
        return min(spent) * 14e6 / data.manifest.rows["readings"]


def seed_policy_cpu(settings: tuple[str, ...] = ()) -> float:
    """CPU-seconds per 14 million readings through the seed policy: reading Parquet and all rules, alerts in arrays."""

    def action(folder: Path, _out: Path) -> None:
        dataset = open_dataset(folder)
        sum(len(part.code) for part in stream_alerts(compile_policy(load_policy("seed"), dataset), dataset))

    return _per_14_million(settings, action)


def seed_run_cpu(settings: tuple[str, ...] = ()) -> float:
    """The same with everything a run does: alerts table written and hashed, KPIs, detection against labels."""
    return _per_14_million(settings, lambda folder, out: run_alerts(folder, load_policy("seed"), out))


@cache
def _compared(settings: tuple[str, ...] = ()) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_PLANT, list(settings)), Path(place) / "data")
        return compare_policies(data.folder, load_policy("seed"), load_policy("isa18"))


def fewer_alarms(settings: tuple[str, ...] = ()) -> float | None:
    """How many times fewer announcements per operator-hour isa18 makes than seed on the plant."""
    ratio = _compared(settings)["fewer_times"]
    return None if ratio is None else float(ratio)


def recall_kept(settings: tuple[str, ...] = ()) -> float | None:
    """Share of labelled faults announced by isa18 over that by seed; None without faults or announcements."""
    rows = [side["detection"]["kinds"] for side in _compared(settings)["kpi"]]
    found = [next((float(r["recall_frac"]) for r in side if r["kind"] == "all faults"), 0.0) for side in rows]
    return found[1] / found[0] if found[0] else None


def chattering(settings: tuple[str, ...] = ()) -> float:
    """Machines and rules that chatter under isa18 on the plant."""
    return float(_compared(settings)["kpi"][1]["chattering"])


def memory_growth(days: tuple[int, int] = (6, 60)) -> float:
    """Peak memory of ``nexova alerts run`` (isa18) on a span ten times as long over that on the shorter one."""
    peaks = []
    with tempfile.TemporaryDirectory() as place:
        for n in days:
            data = simulate(load_fleet(_PLANT, [f"days={n}"]), Path(place) / f"data{n}").folder
            words = ["alerts", "run", str(data), "--out", f"{place}/run{n}", "--quiet"]
            run_child(words)  # compiles on its first run, which takes memory of its own
            peaks.append(run_child([*words, "--overwrite"]).peak_mib)
            shutil.rmtree(data)
    return peaks[1] / peaks[0]


def event_rate(settings: tuple[str, ...] = ()) -> float:
    """Events per CPU-second of a replay at full speed, in thousands: reading, alerts, order, text."""
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_PLANT, ["days=7", *settings]), Path(place) / "data")
        sources = Sources(load_policy("isa18"))
        replay(data.folder, _Sink(), Replay(), sources)
        rates = []
        for _ in range(3):
            sink = _Sink()
            spent = _cpu_s(lambda sink=sink: replay(data.folder, sink, Replay(), sources))  # type: ignore[misc]
            rates.append(sink.n_lines / 1e3 / spent)
        return max(rates)


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "alerts_seed_policy": Benchmark("alerts", "CPU-s per 14 M readings", 3.0, "max",
            "configs/fleet/seed.yaml from Parquet through configs/alert/seed.yaml, 4 million alerts as arrays",
            seed_policy_cpu),
        "alerts_seed_run": Benchmark("alerts", "CPU-s per 14 M readings", 3.0, "max",
            "nexova alerts run on the same: also the alerts table on disk, KPIs and detection", seed_run_cpu),
        "alerts_fewer": Benchmark("alerts", "x", 20.0, "min",
            "announcements per operator-hour on plant.yaml, seed.yaml over isa18.yaml", fewer_alarms,
            "exact"),
        "alerts_recall_kept": Benchmark("alerts", "x", 1.0, "min",
            "share of labelled faults announced on plant.yaml, isa18.yaml over seed.yaml (dense alarms find by chance)",
            recall_kept, "exact"),
        "alerts_chattering": Benchmark("alerts", "machine x rule", 0.0, "max",
            "machines and rules that chatter under isa18.yaml on plant.yaml", chattering, "exact"),
        "alerts_memory_growth": Benchmark("alerts", "x", 1.10, "max",
            "peak memory of nexova alerts run (isa18) on 60 days of plant.yaml over 6 days", memory_growth),
        "events_rate": Benchmark("events", "k events/CPU-s", 200.0, "min",
            "seven days of plant.yaml replayed at speed max: reading, alerts, ordering, NDJSON", event_rate),
    }
)  # fmt: skip
