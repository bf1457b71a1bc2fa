"""Prophet's model, maximum a posteriori, solved exactly for all series at once; not the library itself.

The same piecewise linear trend, changepoints, Fourier columns, priors and likelihood as Prophet (Taylor and Letham
2018). The interval is the analytic form of what Prophet samples: future changepoints arrive at the historic rate with
Laplace sizes, plus normal noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.forecast.fourier import fourier_columns
from nexova_sim.forecast.panel import Forecast, Panel
from nexova_sim.kernels.laplace import solve_fleet

_TREND_SD, _SEASON_SD, _NOISE_SD = 5.0, 10.0, 0.5  # Prophet's priors
_WEEKLY_ORDER, _DAILY_ORDER, _SPAN = 3, 4, 0.8
_ROUNDS, _TOLERANCE = 60, 1e-5
_NORMAL_95 = 1.959964


class Design(NamedTuple):
    """``columns`` (t + 168, p): slope, offset, a ramp per changepoint, weekly, daily; scaled ``time`` (t + 168,)."""

    columns: np.ndarray
    time: np.ndarray
    n_changepoints: int


class MapFit(NamedTuple):
    """Solutions in Prophet's scale: ``theta`` (n, p), noise ``sigma`` (n,), ``scale`` (n,), whether they settled."""

    theta: np.ndarray
    sigma: np.ndarray
    scale: np.ndarray
    is_settled: np.ndarray


def make_design(wall_s: np.ndarray, n_past: int, seen: np.ndarray, n_changepoints: int) -> Design:
    """Prophet's design on local hours ``wall_s``; ``seen`` (k,) are the places of the hours that were measured."""
    first, last = wall_s[seen[0]], wall_s[seen[-1]]
    time = (wall_s - first) / max(last - first, 1)
    n_history = int(np.floor(len(seen) * _SPAN))
    count = max(min(n_changepoints, n_history - 1), 0)
    places = np.linspace(0, n_history - 1, count + 1).round().astype(int)[1:]
    ramps = np.maximum(time[:, None] - time[seen[places]], 0.0)
    days = wall_s / 86_400.0
    season = [fourier_columns(days, 7.0, _WEEKLY_ORDER), fourier_columns(days, 1.0, _DAILY_ORDER)]
    return Design(np.concatenate([time[:, None], np.ones((len(time), 1)), ramps, *season], axis=1), time, count)


def fit_map(design: Design, energy_kwh: np.ndarray, seen: np.ndarray, prior_scale: float) -> MapFit:
    """Fit n series (n, t) that were all measured at the hours ``seen``."""
    scale = np.abs(energy_kwh[:, seen]).max(axis=1)
    scale = np.where(scale > 0.0, scale, 1.0)
    y = energy_kwh[:, seen] / scale[:, None]
    past = design.columns[seen]
    n, p, c = len(y), past.shape[1], design.n_changepoints
    prior = np.zeros((2, p))
    prior[0] = 1.0 / _SEASON_SD**2
    prior[0, :2] = 1.0 / _TREND_SD**2
    prior[0, 2 : 2 + c] = 0.0
    prior[1, 2 : 2 + c] = 1.0 / prior_scale
    theta, square, rounds = np.empty((n, p)), np.empty(n), np.empty(n, np.int64)
    options = np.array([len(seen), _NOISE_SD, _ROUNDS, _TOLERANCE])
    solve_fleet(past.T @ past, y @ past, np.einsum("nt,nt->n", y, y), prior, options, theta, square, rounds)
    return MapFit(theta, np.sqrt(square), scale, rounds < 0)


def log_posterior(design: Design, seen: np.ndarray, y: np.ndarray, theta: np.ndarray, sigma: float,
                  prior_scale: float) -> float:  # fmt: skip
    """Log density of Prophet's posterior, constants left out, for one scaled series ``y`` (k,) and ``theta`` (p,)."""
    residual = y - design.columns[seen] @ theta
    c = design.n_changepoints
    trend, ramps, season = theta[:2], theta[2 : 2 + c], theta[2 + c :]
    return float(
        -len(seen) * np.log(sigma)
        - residual @ residual / (2.0 * sigma**2)
        - trend @ trend / (2.0 * _TREND_SD**2)
        - np.abs(ramps).sum() / prior_scale
        - season @ season / (2.0 * _SEASON_SD**2)
        - sigma**2 / (2.0 * _NOISE_SD**2)
    )


def extrapolate(design: Design, fit: MapFit, n_past: int) -> Forecast:
    """The hours after the first ``n_past`` of the design."""
    c = design.n_changepoints
    mean = fit.theta @ design.columns[n_past:].T
    size = np.abs(fit.theta[:, 2 : 2 + c]).mean(axis=1) + 1e-8 if c else np.full(len(mean), 1e-8)
    beyond = np.maximum(design.time[n_past:] - 1.0, 0.0)
    spread = _NORMAL_95 * np.sqrt(fit.sigma[:, None] ** 2 + c * 2.0 * size[:, None] ** 2 * beyond**3 / 3.0)
    scale = fit.scale[:, None]
    return Forecast(mean * scale, (mean - spread) * scale, (mean + spread) * scale)


def prophet_map(panel: Panel, n_changepoints: int = 25, prior_scale: float = 0.05) -> Forecast:
    """Forecast every series; those measured at the same hours share one design and one Gram matrix."""
    y = panel.energy_kwh
    n, n_past = y.shape
    there = np.isfinite(y)
    patterns: dict[bytes, list[int]] = {}
    if there.all():
        patterns[b""] = list(range(n))
    else:
        for i in range(n):
            patterns.setdefault(np.packbits(there[i]).tobytes(), []).append(i)
    out = Forecast(*(np.empty((n, len(panel.calendar.wall_s) - n_past)) for _ in range(3)))
    for rows in patterns.values():
        seen = np.flatnonzero(there[rows[0]])
        design = make_design(panel.calendar.wall_s, n_past, seen, n_changepoints)
        fit = fit_map(design, y if len(rows) == n else y[rows], seen, prior_scale)
        for target, values in zip(out, extrapolate(design, fit, n_past), strict=True):
            target[rows] = values
    return out
