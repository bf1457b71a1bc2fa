"""How the last days went against what had been forecast for them: one forecast a day, judged on the day after it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.forecast.forecast import forecast_at
from nexova_sim.forecast.forecasters import Options
from nexova_sim.forecast.hours import HOUR_MS, Series

DAY_H = 24
_LEAST_H = 336
_NORMAL_95 = 1.96
SLOW = ("prophet", "hist_gradient_boosting")  # one fit a day would take longer than all the rest
_STAND_IN = "blend"


class Residuals(NamedTuple):
    """Day-ahead forecasts of the last h hours: ``start_ms``, ``mean_kwh`` (n, h), ``z`` (n, h), ``model``.

    ``z`` is measured minus forecast in standard deviations, taken as the half width of the 95 % interval over 1.96; NaN
    where nothing was measured or no forecast was made.
    """

    start_ms: int
    mean_kwh: np.ndarray
    z: np.ndarray
    model: str


def day_ahead(series: Series, model: str, train_h: int, options: Options, days: int) -> Residuals:
    """Forecast each of the last ``days`` days at its begin, knowing only what was before, by ``model``.

    Days without two weeks of history before them are left out; a model too slow for that is stood in for by the blend.
    """
    used = _STAND_IN if model in SLOW else model
    days = max(0, min(days, (series.n_hours - _LEAST_H) // DAY_H))
    first = series.n_hours - days * DAY_H
    n = len(series.ids)
    mean, z = np.full((n, days * DAY_H), np.nan), np.full((n, days * DAY_H), np.nan)
    for day in range(days):
        origin, place = first + day * DAY_H, slice(day * DAY_H, (day + 1) * DAY_H)
        made = forecast_at(series, origin, used, train_h, options)
        low, high = made.low[:, :DAY_H], made.high[:, :DAY_H]
        mean[:, place] = made.mean[:, :DAY_H]
        spread = np.maximum((high - low) / (2.0 * _NORMAL_95), 1e-6 + 1e-3 * np.abs(made.mean[:, :DAY_H]))
        z[:, place] = (series.energy_kwh[:, origin : origin + DAY_H] - made.mean[:, :DAY_H]) / spread
    return Residuals(series.start_ms + first * HOUR_MS, mean, z, used)
