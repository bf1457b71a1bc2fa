"""What had been forecast for each hour: the blend's day-ahead forecasts as the power that a watch takes for usual.

Each day is forecast at its begin from the hours before it (UTC), so that nothing a detector sees comes from after its
reading. In the first two weeks, and where no forecast was made, the machine's weekly habit stands in.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.dataset.read import Dataset
from nexova_sim.detect.surroundings import Surroundings
from nexova_sim.forecast.forecasters import Options
from nexova_sim.forecast.hours import HOUR_MS, read_series
from nexova_sim.forecast.residual import DAY_H, day_ahead
from nexova_sim.kernels.residual import A_LEVEL, A_LOAD_FRAC, A_REF_KW


def with_forecasts(around: Surroundings, dataset: Dataset, config: ForecastConfig | None = None) -> Surroundings:
    """``around`` with the day-ahead forecast of every machine and hour of ``dataset``; as it is where none is possible.

    An hour's energy in kWh is its mean power in kW.
    """
    rules = (config or ForecastConfig()).model_copy(update={"levels": ("machine",)})
    try:
        series = read_series(dataset, rules)
    except DataError:
        return around
    made = day_ahead(series, rules.model, rules.train_h, Options(), series.n_hours // DAY_H)
    place = {name: i for i, name in enumerate(series.ids)}
    kw = np.full((len(around.machine_ids), made.mean_kwh.shape[1]), np.nan)
    for row, ident in enumerate(around.machine_ids):
        if ident in place:
            kw[row] = made.mean_kwh[place[ident]]
    return around._replace(expected_ms=made.start_ms, expected_kw=kw)


def forecast_log_load(around: Surroundings, machine: np.ndarray, time_ms: np.ndarray, twin: np.ndarray,
                      usual: np.ndarray) -> np.ndarray:  # fmt: skip
    """``usual`` (n,), log load against the machine's level, replaced by the forecast's where there is one.

    Where less than the machine's loaded level was forecast, that level counts: a stop is no measure of a load.
    """
    hour = (time_ms - around.expected_ms) // HOUR_MS
    known = (hour >= 0) & (hour < around.expected_kw.shape[1])
    if not known.any():
        return usual
    p = twin[machine[known]]
    load = around.expected_kw[machine[known], hour[known]] / p[:, A_REF_KW]
    with np.errstate(invalid="ignore"):
        log = np.log(np.maximum(load, p[:, A_LOAD_FRAC])) - p[:, A_LEVEL]
    out = usual.copy()
    out[known] = np.where(np.isfinite(log), log, usual[known])
    return out
