"""Robust ridge regression on hour of day, weekend and hour of week: one factorisation for all series.

Outliers are pulled in by Huber's pseudo-values (Huber 1981), recent weeks weigh more. The plain mean over several
half-lives is forecast: choosing the best one on a few weeks was measured to be worse.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.forecast.panel import HORIZON_H, WEEK_H, Forecast, Panel, fill_gaps, load_bands

_HALF_LIVES_DAYS = (7.0, 21.0, 60.0)
_PENALTY = 5.0
_HUBER = 1.5
_ROUNDS = 6
_INNER_WEEKS = 3


def hour_of_week(panel: Panel) -> Forecast:
    """Mean of three ridge profiles; bands by load state from the same forecast at up to three inner weekly origins."""
    y = fill_gaps(panel)
    n_hours = y.shape[1]
    size = np.maximum(np.quantile(np.abs(y), 0.95, axis=1, keepdims=True), 1e-9)
    scaled = y / size
    cell = panel.calendar.cell
    mean = _profile(scaled, cell, n_hours)
    inner = [t for k in range(1, _INNER_WEEKS + 1) if (t := n_hours - k * WEEK_H) >= WEEK_H]
    levels = [_profile(scaled, cell, t) for t in inner]
    if levels:
        level = np.concatenate(levels, axis=1)
        actual = np.concatenate([panel.energy_kwh[:, t : t + HORIZON_H] for t in inner], axis=1)
    else:
        level = np.tile(mean, (1, n_hours // HORIZON_H))
        actual = panel.energy_kwh[:, -level.shape[1] :]
    low, high = load_bands(actual / size - level, level, mean)
    return Forecast(mean * size, low * size, high * size)


def _design(cell: np.ndarray) -> np.ndarray:
    """Columns (t, 217): constant, hour of day, hour of day at weekends, hour of week."""
    n = len(cell)
    rows, hour = np.arange(n), cell % 24
    design = np.zeros((n, 1 + 24 + 24 + WEEK_H))
    design[:, 0] = 1.0
    design[rows, 1 + hour] = 1.0
    design[rows, 25 + hour] = cell >= 120
    design[rows, 49 + cell] = 1.0
    return design


def _profile(scaled: np.ndarray, cell: np.ndarray, t: int) -> np.ndarray:
    """The next 168 hours (n, 168) from origin ``t``, fitted on what is before it."""
    y = scaled[:, :t]
    return np.asarray(np.mean([_fit(y, cell[: t + HORIZON_H], days) for days in _HALF_LIVES_DAYS], axis=0))


def _fit(y: np.ndarray, cell: np.ndarray, half_life_days: float) -> np.ndarray:
    t = y.shape[1]
    design = _design(cell)
    past, future = design[:t], design[t:]
    weighted = past * 0.5 ** ((t - 1 - np.arange(t)) / 24.0 / half_life_days)[:, None]
    penalty = np.concatenate([[1e-6], np.full(24, 0.05), np.full(24, 0.2), np.full(WEEK_H, _PENALTY)])
    solve = np.linalg.solve(weighted.T @ past + np.diag(penalty), weighted.T)
    # Hours of the same cell share their fitted value: 168 columns carry the rounds instead of t.
    cells = _design(np.arange(WEEK_H))
    inner = cells @ solve
    seen = cell[:t]
    fitted = (y @ inner.T)[:, seen]
    for _ in range(_ROUNDS):
        fitted = (_pulled(y, fitted) @ inner.T)[:, seen]
    return np.asarray(_pulled(y, fitted) @ (future @ solve).T)


def _pulled(y: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Pseudo-values: residuals beyond 1.5 robust standard deviations are cut to that."""
    residual = y - fitted
    limit = _HUBER * (1.4826 * np.median(np.abs(residual), axis=1, keepdims=True) + 0.004)
    return np.asarray(fitted + np.clip(residual, -limit, limit))
