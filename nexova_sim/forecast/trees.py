"""One gradient boosting model for all series, on lags of a week and more, so that no hour of the horizon is missing."""

from __future__ import annotations

import numpy as np

from nexova_sim.forecast.panel import HORIZON_H, WEEK_H, Forecast, Panel, fill_gaps, load_bands

_MOST_ROWS = 200_000
_INNER_WEEKS = 2
LEAST_H = (4 + _INNER_WEEKS + 1) * WEEK_H


def hist_gradient_boosting(panel: Panel, seed: int = 0) -> Forecast:
    """Absolute-error boosting on scaled series; bands by load state from a model that has not seen two last weeks."""
    y = fill_gaps(panel)
    n_hours = y.shape[1]
    size = np.maximum(np.quantile(np.abs(y), 0.95, axis=1, keepdims=True), 1e-9)
    scaled = y / size
    cut = n_hours - _INNER_WEEKS * WEEK_H
    inner = _predict(_train(scaled[:, :cut], panel, seed), scaled, panel, cut, n_hours)
    mean = _predict(_train(scaled, panel, seed), scaled, panel, n_hours, n_hours + HORIZON_H)
    residual = panel.energy_kwh[:, cut:] / size - inner
    low, high = load_bands(residual, inner, mean)
    return Forecast(mean * size, low * size, high * size)


def features(scaled: np.ndarray, panel: Panel, places: np.ndarray) -> np.ndarray:
    """Rows (n, places, 9): the same hour one to four weeks before, their median, the week before, the calendar.

    All of it at least 168 hours old, so that it is known at the origin of every forecast.
    """
    calendar = panel.calendar
    lags = scaled[:, calendar.back[places]]
    sums = np.concatenate([np.zeros((len(scaled), 1)), np.cumsum(scaled, axis=1)], axis=1)
    ends = np.minimum(places - WEEK_H + 1, scaled.shape[1])
    week = (sums[:, ends] - sums[:, np.maximum(ends - WEEK_H, 0)]) / WEEK_H
    cell = np.broadcast_to(calendar.cell[places], week.shape)
    parts = [lags, np.median(lags, axis=2)[..., None], week[..., None]]
    return np.concatenate([*parts, (cell % 24)[..., None], (cell // 24)[..., None], (cell >= 120)[..., None]], axis=2)


def _train(scaled: np.ndarray, panel: Panel, seed: int):  # type: ignore[no-untyped-def] # noqa: ANN202
    from sklearn.ensemble import HistGradientBoostingRegressor

    places = np.arange(4 * WEEK_H, scaled.shape[1])
    rows = features(scaled, panel, places).reshape(-1, 9)
    target = scaled[:, places].ravel()
    known = np.isfinite(panel.energy_kwh[:, places]).ravel()
    rows, target = rows[known], target[known]
    keep = slice(None, None, max(1, -(-len(target) // _MOST_ROWS)))
    model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=150, early_stopping=False, random_state=seed)
    return model.fit(rows[keep], target[keep])


def _predict(model, scaled: np.ndarray, panel: Panel, begin: int, end: int) -> np.ndarray:  # type: ignore[no-untyped-def] # noqa: ANN001
    rows = features(scaled, panel, np.arange(begin, end))
    found: np.ndarray = model.predict(rows.reshape(-1, rows.shape[2])).reshape(rows.shape[:2])
    return found
