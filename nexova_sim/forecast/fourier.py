"""Ridge regression on Fourier series of day and week and a trend: one factorisation for all series."""

from __future__ import annotations

import numpy as np

from nexova_sim.forecast.panel import Forecast, Panel, fill_gaps

_DAILY, _WEEKLY = 10, 8
_PENALTY, _TREND_PENALTY = 1.0, 30.0


def fourier_columns(days: np.ndarray, period_days: float, order: int) -> np.ndarray:
    """Sine and cosine columns (t, 2 order) of ``days`` (t,) since 1970: sin 1, cos 1, sin 2, cos 2, ..."""
    angle = 2.0 * np.pi * days[:, None] * np.arange(1, order + 1) / period_days
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(days), -1)


def fourier_ridge(panel: Panel) -> Forecast:
    """Ten daily harmonics, apart for weekdays and weekends, eight weekly ones, a trend; bands from the residuals."""
    y = fill_gaps(panel)
    t = y.shape[1]
    calendar = panel.calendar
    days = calendar.wall_s / 86_400.0
    trend = (np.arange(len(days)) - t) / t
    weekend = (calendar.cell >= 120)[:, None] * 1.0
    daily = fourier_columns(days, 1.0, _DAILY)
    design = np.concatenate(
        [np.ones((len(days), 1)), trend[:, None], daily, weekend, daily * weekend, fourier_columns(days, 7.0, _WEEKLY)],
        axis=1,
    )
    penalty = np.full(design.shape[1], _PENALTY)
    penalty[:2] = 1e-6, _TREND_PENALTY
    past = design[:t]
    theta = np.linalg.solve(past.T @ past + np.diag(penalty), past.T @ y.T).T
    residual = np.where(np.isnan(panel.energy_kwh), 0.0, y - theta @ past.T)
    mean = theta @ design[t:].T
    low, high = np.quantile(residual, [0.025, 0.975], axis=1)
    return Forecast(mean, mean + np.minimum(low, 0.0)[:, None], mean + np.maximum(high, 0.0)[:, None])
