"""Measurements behind the group ``rul`` of ``nexova bench``.

NASA's turbofan file is not part of this project: ``NEXOVA_FD001`` names a train_FD001.txt, else nothing is measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import load_fleet
from nexova_sim.config.rul import load_rul
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.cmapss import ingest_cmapss
from nexova_sim.run.rul import evaluate
from nexova_sim.run.simulate import simulate

VARIABLE = "NEXOVA_FD001"
_PLANT = "configs/fleet/plant.yaml"
_WHOLE = ("asking.rul_h=[0, 400]",)


def fd001_rmse(settings: tuple[str, ...] = ()) -> float | None:
    """Uncapped RMSE (cycles) of the ensemble, by folds of engines; None when no turbofan file is named."""
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    if not Path(name).is_file():
        raise ConfigError(f"{VARIABLE}: {name}: no such file; name a train_FD001.txt")
    with tempfile.TemporaryDirectory() as place:
        engines = ingest_cmapss(Path(name), ends="failure", out=Path(place) / "engines").folder
        config = load_rul("configs/rul/cmapss.yaml", list(settings))
        return _all(evaluate(engines, config, out=Path(place) / "judged").result, "ensemble", "uncapped", "rmse_h")


def _all(result: Mapping[str, Any], method: str, table: str, metric: str) -> float:
    return float(result["methods"][method][table]["all"][metric]["value"])


@cache
def _plant(settings: tuple[str, ...] = ()) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_PLANT, list(settings)), Path(place) / "data").folder
        config = load_rul("configs/rul/plant.yaml", ["methods=[constant_mean_life, twin]"])
        return evaluate(data, config, out=Path(place) / "judged").result


def crps_ratio(settings: tuple[str, ...] = ()) -> float:
    """CRPS of the twin over that of the constant mean life, capped."""
    result = _plant(settings)
    return _all(result, "twin", "capped", "crps_h") / _all(result, "constant_mean_life", "capped", "crps_h")


def interval_held(table: str, settings: tuple[str, ...] = ()) -> float:
    """Percent of moments whose true remaining life lies in the twin's 90 % interval."""
    return 100.0 * _all(_plant(settings), "twin", table, "coverage_frac")


def brier_ratio(settings: tuple[str, ...] = ()) -> float:
    """Brier score of the twin's calibrated probability of failure over that of the base rate."""
    scores = _plant(settings)["methods"]["twin"]["chance"]["brier"]
    return float(scores["calibrated"]["value"]) / float(scores["base_rate"]["value"])


_HOW = "plant.yaml, 200 machines x 30 days, regular moments of every life"
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "rul_fd001": Benchmark("rul", "cycles RMSE, uncapped", 13.0, "max",
            "turbofan FD001, ensemble, 5 folds of the training engines, remaining lives of 5 to 150 cycles",
            fd001_rmse, "exact"),
        "rul_fd001_whole": Benchmark("rul", "cycles RMSE, uncapped, whole lives", 13.0, "max",
            "the same without that window of remaining lives", lambda: fd001_rmse(_WHOLE), "exact"),
        "rul_crps": Benchmark("rul", "x", 1.0, "max",
            f"CRPS (capped) of the twin over that of the constant mean life; {_HOW}", crps_ratio, "exact"),
        "rul_brier": Benchmark("rul", "x", 1.0, "max",
            f"Brier score of failing within the horizon, twin over base rate; {_HOW}", brier_ratio, "exact"),
        "rul_interval": Benchmark("rul", "% (asked: 90)", 85.0, "min",
            f"true remaining lives inside the twin's 90 % interval, uncapped; {_HOW}",
            lambda: interval_held("uncapped"), "exact"),
        "rul_interval_capped": Benchmark("rul", "% (asked: 90)", 85.0, "min",
            f"the same, both cut off at the cap; {_HOW}", lambda: interval_held("capped"), "exact"),
    }
)  # fmt: skip
