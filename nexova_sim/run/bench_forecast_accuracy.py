"""Accuracy behind the group ``forecast`` of ``nexova bench``: a fleet simulated afresh, a real plant if it is there.

The real data are never part of the project: ``NEXOVA_STEEL_DATA`` names the file of the UCI set "Steel Industry Energy
Consumption"; without it these benchmarks are not measured.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nexova_sim.config.forecast import load_forecast
from nexova_sim.config.ingest import load_map
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.forecast.backtest import NAIVES, run_backtest, summarise
from nexova_sim.forecast.forecasters import Options
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.forecast_calendar import planned_series
from nexova_sim.run.ingest import ingest
from nexova_sim.run.simulate import simulate

STEEL = "NEXOVA_STEEL_DATA"
_CONFIG, _FLEET, _MAP = "configs/forecast/default.yaml", "configs/fleet/plant.yaml", "configs/ingest/steel_plant.yaml"
_RIVALS = "backtest.models=[blend, hour_of_week, median4, prophet_map]"
# All machines of the plant through twelve weeks after the sixty days that are learned from; a seed never tuned on.
_SPAN, _SEED = ("days=145", "dt_s=300"), 90_210
_STEEL_ORIGINS = 40


def judged(dataset: Path, settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """The summary of a backtest of a dataset by the blend and its rivals."""
    config = load_forecast(_CONFIG, [_RIVALS, *settings])
    series = planned_series(open_dataset(dataset), config)
    return summarise(run_backtest(series, config, Options()), series, config)


@cache
def fleet(settings: tuple[str, ...] = ()) -> dict[str, Any]:
    """The summary on machines of a fleet simulated for this."""
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        simulate(load_fleet(_FLEET, [*_SPAN, *settings], _SEED), data, jobs=1)
        return judged(data, ("levels=[machine]",))


@cache
def steel() -> dict[str, Any] | None:
    """The summary on the steel plant; None when its data are not at hand."""
    path = os.environ.get(STEEL)
    if not path:
        return None
    with tempfile.TemporaryDirectory() as place:
        ingest([path], load_map(_MAP), Path(place) / "data")
        return judged(Path(place) / "data", ("levels=[machine]", f"backtest.origins={_STEEL_ORIGINS}"))


def ratio(found: dict[str, Any], metric: str, rivals: tuple[str, ...]) -> float:
    """The blend's ``metric`` over the least of the rivals'."""
    models = found["models"]
    return float(models["blend"][metric]) / min(float(models[name][metric]) for name in rivals)


def behind(found: dict[str, Any], rival: str) -> float:
    """MASE of the blend over the rival's at the upper end of their paired difference, two standard errors above it."""
    gap = found["against"][rival]
    return 1.0 + (float(gap["mean"]) + 2.0 * float(gap["se"])) / float(found["models"][rival]["mase"])


def coverage() -> float:
    """Share of the fleet's hours in the blend's interval, percent."""
    return 100.0 * float(fleet()["models"]["blend"]["coverage_frac"])


def _steel(*rivals: str) -> Callable[[], float | None]:
    def measure() -> float | None:
        found = steel()
        return None if found is None else ratio(found, "mase", rivals)

    return measure


_ON_FLEET = "200 machines with a reading every 5 min, 12 origins, seed 90210, paired by origin"
_ON_STEEL = f"steel plant, {_STEEL_ORIGINS} origins; {STEEL} names the file"
BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "forecast_fleet_prophet": Benchmark("forecast", "x", 0.35, "max",
            f"MASE of the blend over that of prophet_map; {_ON_FLEET}",
            lambda: ratio(fleet(), "mase", ("prophet_map",))),
        "forecast_fleet_median4": Benchmark("forecast", "x", 1.0, "max",
            f"the same over the median of four weeks, 2 standard errors of the difference added; {_ON_FLEET}",
            lambda: behind(fleet(), "median4")),
        "forecast_fleet_hour_of_week": Benchmark("forecast", "x", 1.0, "max",
            f"the same over hour of week, 2 standard errors of the difference added; {_ON_FLEET}",
            lambda: behind(fleet(), "hour_of_week")),
        "forecast_fleet_coverage": Benchmark("forecast", "%", 93.0, "min",
            f"hours in the 95 % interval; {_ON_FLEET}", coverage),
        "forecast_fleet_coverage_most": Benchmark("forecast", "%", 97.5, "max",
            f"the same, not too wide; {_ON_FLEET}", coverage),
        "forecast_fleet_msis": Benchmark("forecast", "x", 1.02, "max",
            f"MSIS of the blend over that of hour of week; {_ON_FLEET}",
            lambda: ratio(fleet(), "msis", ("hour_of_week",))),
        "forecast_steel_prophet": Benchmark("forecast", "x", 1.0, "max",
            f"MASE of the blend over that of prophet_map; {_ON_STEEL}", _steel("prophet_map")),
        "forecast_steel_naive": Benchmark("forecast", "x", 1.0, "max",
            f"MASE of the blend over that of the better seasonal naive; {_ON_STEEL}", _steel(*NAIVES)),
        "forecast_steel_median4": Benchmark("forecast", "x", 1.0, "max",
            f"MASE of the blend over that of the median of four weeks; {_ON_STEEL}", _steel("median4")),
    }
)  # fmt: skip
