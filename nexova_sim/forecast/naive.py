"""Forecasters without parameters: yesterday, last week, the median of four weeks, the mean hour of the day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nexova_sim.forecast.panel import HORIZON_H, WEEK_H, Forecast, Panel, fill_gaps, load_bands

_CALIBRATION_WEEKS = 5
Path = Callable[[np.ndarray, int], np.ndarray]


def seasonal_naive_24(panel: Panel) -> Forecast:
    """The last day repeated; bands from the same forecast made one to five weeks earlier."""
    return _repeated(panel, lambda y, t: y[:, t - 24 + np.arange(HORIZON_H) % 24], 24)


def seasonal_naive_168(panel: Panel) -> Forecast:
    """The last week repeated, by local hour of the week; bands from the same forecast made in the weeks before."""
    back = panel.calendar.back
    return _repeated(panel, lambda y, t: y[:, back[t : t + HORIZON_H, 0]], WEEK_H)


def median4(panel: Panel) -> Forecast:
    """The median of the last four same hours of the week; bands from the same forecast made in the weeks before."""
    back = panel.calendar.back
    return _repeated(panel, lambda y, t: np.median(y[:, back[t : t + HORIZON_H]], axis=2), 2 * WEEK_H)


def _repeated(panel: Panel, path: Path, least_h: int) -> Forecast:
    """Forecast by ``path`` (values, origin) -> (n, 168), calibrated on up to five inner weekly origins."""
    y = fill_gaps(panel)
    n_hours = y.shape[1]
    mean = path(y, n_hours)
    inner = [t for k in range(1, _CALIBRATION_WEEKS + 1) if (t := n_hours - k * WEEK_H) >= least_h]
    if not inner:
        inner = [n_hours - WEEK_H] if n_hours - WEEK_H >= 24 else []
    levels = [path(y[:, :t], t) if t >= least_h else np.repeat(mean[:, :1], HORIZON_H, axis=1) for t in inner]
    actual = [panel.energy_kwh[:, t : t + HORIZON_H] for t in inner]
    if not levels:
        spread = np.nanstd(panel.energy_kwh, axis=1, keepdims=True) * 2.0
        return Forecast(mean, mean - spread, mean + spread)
    level = np.concatenate(levels, axis=1)
    return Forecast(mean, *load_bands(np.concatenate(actual, axis=1) - level, level, mean))


def hour_of_day(panel: Panel) -> Forecast:
    """For series too short for anything else: the mean per local hour of day, all residuals as band, half wider."""
    y = panel.energy_kwh
    n_hours = y.shape[1]
    hour = panel.calendar.cell % 24
    overall = np.nanmean(y, axis=1)
    profile = np.tile(overall[:, None], (1, 24))
    for h in range(24):
        mine = y[:, hour[:n_hours] == h]
        n = np.isfinite(mine).sum(axis=1)
        known = n > 0
        profile[known, h] = np.nansum(mine[known], axis=1) / n[known]
    residual = y - profile[:, hour[:n_hours]]
    low, high = 1.5 * np.nanmin(residual, axis=1), 1.5 * np.nanmax(residual, axis=1)
    mean = profile[:, hour[n_hours:]]
    return Forecast(mean, mean + np.minimum(low, 0.0)[:, None], mean + np.maximum(high, 0.0)[:, None])
