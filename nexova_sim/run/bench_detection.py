"""The gate of the default detector as benchmarks of the group ``anomaly``: fitted on one plant, judged on another."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nexova_sim.config.anomaly import load_anomaly
from nexova_sim.config.evaluation import load_evaluation
from nexova_sim.config.load import load_fleet
from nexova_sim.run.anomaly import fit_anomaly
from nexova_sim.run.anomaly_evaluate import evaluate
from nexova_sim.run.anomaly_score import score_anomaly
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.simulate import simulate

_FIT, _HELD_OUT = "configs/fleet/anomaly_fit.yaml", "configs/fleet/anomaly_held_out.yaml"


@cache
def judged(settings: tuple[str, ...] = (), rules: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """What the evaluation says of the default detector on machines and fault kinds it never met."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        first = simulate(load_fleet(_FIT, list(settings)), place / "fit").folder
        fit_anomaly(first, load_anomaly("default"), place / "model")
        other = simulate(load_fleet(_HELD_OUT, list(settings)), place / "other").folder
        score_anomaly(other, place / "model", place / "scores")
        found = evaluate(other, place / "scores", load_evaluation("configs/anomaly/evaluate.yaml", list(rules)),
                         place / "judged").found  # fmt: skip
        row: Mapping[str, Any] = found["detector"]
        return row


def recall(settings: tuple[str, ...] = (), rules: tuple[str, ...] = ()) -> float:
    """Share of the detectable physical faults that are found."""
    return float(judged(settings, rules)["asked_recall"]["value"] or 0.0)


def precision_low(settings: tuple[str, ...] = (), rules: tuple[str, ...] = ()) -> float:
    """Wilson's lower bound of the share of alarms that are true, each fault counted once at most."""
    row = judged(settings, rules)
    return min(float(row[key]["low"] or 0.0) for key in ("precision", "precision_once"))


def alarm_rate(settings: tuple[str, ...] = (), rules: tuple[str, ...] = ()) -> float:
    """Alarms per machine-day."""
    return float(judged(settings, rules)["alarms_per_machine_day"])


_HOW = "default detector, fitted on anomaly_fit.yaml, on anomaly_held_out.yaml (240 machines, 454 faults)"
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "anomaly_recall": Benchmark("anomaly", "share", 0.80, "min",
            f"detectable physical faults found; {_HOW}", recall, "exact"),
        "anomaly_precision": Benchmark("anomaly", "share, lower bound", 0.90, "min",
            f"alarms that are true; {_HOW}", precision_low, "exact"),
        "anomaly_alarms": Benchmark("anomaly", "per machine-day", 0.05, "max",
            f"alarms; {_HOW}", alarm_rate, "exact"),
    }
)  # fmt: skip
