"""What had been forecast for each hour: the blend's day-ahead forecasts as the power that a watch takes for usual.

Each day is forecast at its begin from the hours before it (UTC), so that nothing a detector sees comes from after its
reading. In the first two weeks, and where no forecast was made, the machine's weekly habit stands in.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.dataset.read import Dataset
from nexova_sim.detect.surroundings import Surroundings, local_cells
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
    n_measured = series.n_hours - made.mean_kwh.shape[1]
    kw = np.full((len(around.machine_ids), series.n_hours), np.nan)
    for row, ident in enumerate(around.machine_ids):
        if ident in place:
            kw[row, :n_measured] = series.energy_kwh[place[ident], :n_measured]
            kw[row, n_measured:] = _loaded(made.mean_kwh[place[ident]])
    return around._replace(expected_ms=series.start_ms, expected_kw=kw, n_measured=n_measured)


def _loaded(mean_kwh: np.ndarray) -> np.ndarray:
    """The most that was forecast for an hour and those beside it (h,).

    A shift that begins within an hour (zones half an hour off, summer time) makes its mean half of what is drawn then.
    """
    wide = np.concatenate([mean_kwh[:1], mean_kwh, mean_kwh[-1:]])
    return np.asarray(np.fmax(np.fmax(wide[:-2], wide[1:-1]), wide[2:]))


def measured_level(around: Surroundings, twin: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Level (m,) of every machine against its weekly habit ``usual`` (m, 48), from the hours before any forecast.

    That is what the watch has learnt when the first forecast arrives, also of a machine the model never met. Where less
    than a day of loaded hours is there, the fitted level.
    """
    m, n = len(twin), around.n_measured
    machine = np.repeat(np.arange(m), n)
    time_ms = np.tile(around.expected_ms + np.arange(n, dtype=np.int64) * HOUR_MS, m)
    cell = local_cells(around, machine, time_ms).reshape(m, n)
    with np.errstate(invalid="ignore", divide="ignore"):
        load = around.expected_kw[:, :n] / twin[:, A_REF_KW, None]
        log = np.where(load > twin[:, A_LOAD_FRAC, None], np.log(load), np.nan)
    gap = log - np.take_along_axis(usual, cell, axis=1)
    out: np.ndarray = twin[:, A_LEVEL].copy()
    for i, there in enumerate(np.isfinite(gap)):
        if there.sum() >= DAY_H:
            out[i] = np.median(gap[i, there])
    return out


def forecast_log_load(around: Surroundings, machine: np.ndarray, time_ms: np.ndarray, twin: np.ndarray,
                      level: np.ndarray, usual: np.ndarray) -> np.ndarray:  # fmt: skip
    """``usual`` (n,), log load against the machine's ``level`` (m,), replaced by the forecast's where there is one.

    Where less than the machine's loaded level was forecast, that level counts: a stop is no measure of a load.
    """
    hour = (time_ms - around.expected_ms) // HOUR_MS
    known = (hour >= around.n_measured) & (hour < around.expected_kw.shape[1])
    if not known.any():
        return usual
    p = twin[machine[known]]
    load = around.expected_kw[machine[known], hour[known]] / p[:, A_REF_KW]
    with np.errstate(invalid="ignore"):
        log = np.log(np.maximum(load, p[:, A_LOAD_FRAC])) - level[machine[known]]
    out = usual.copy()
    out[known] = np.where(np.isfinite(log), log, usual[known])
    return out
