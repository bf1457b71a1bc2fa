"""How good predictions of remaining life are: errors, scores, calibration, with intervals by resampling machines.

Sources: PHM08 score, Saxena et al. 2008; alpha-lambda and prognostic horizon, Saxena, Celaya, Saha, Saha, Goebel,
"Metrics for offline evaluation of prognostic performance", IJPHM 2010; CRPS, Gneiting and Raftery, JASA 2007;
Brier, Monthly Weather Review, 1950.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

LEVELS = (np.arange(100) + 0.5) / 100.0  # a distribution is its quantiles at these levels
_MOST_EXPONENT = 300.0
METRICS = ("rmse_h", "mae_h", "bias_h", "phm08", "crps_h", "coverage_frac", "width_h", "alpha_lambda_frac")


class Estimate(NamedTuple):
    """A figure with its 90 % interval from resampling machines; NaN when there is nothing to judge."""

    value: float
    low: float
    high: float


class Rules(NamedTuple):
    """What the metrics need to know: bounds, the share of the distribution wanted inside, coverage, PHM08's unit."""

    alpha_frac: float
    least_in_frac: float
    coverage_frac: float
    phm08_h: float
    n_boot: int
    seed: int = 1


def phm08(error_h: np.ndarray, unit_h: float = 1.0) -> np.ndarray:
    """PHM08 penalty of errors (predicted minus true): exp(-d/13) - 1 early, exp(d/10) - 1 late; d in units."""
    d = np.asarray(error_h, float) / unit_h
    return np.expm1(np.minimum(np.where(d < 0.0, -d / 13.0, d / 10.0), _MOST_EXPONENT))


def crps(quantile_h: np.ndarray, true_h: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score (n,) of distributions given as k equally likely sorted values (n, k).

    E|X - y| - E|X - X'| / 2 for the empirical distribution of the k values.
    """
    k = quantile_h.shape[1]
    apart = (2.0 * np.arange(1, k + 1) - k - 1.0) / k**2
    found: np.ndarray = np.abs(quantile_h - true_h[:, None]).mean(axis=1) - quantile_h @ apart
    return found


def central(quantile_h: np.ndarray, coverage_frac: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end (n,) of the central interval that holds ``coverage_frac`` of each distribution."""
    tail = (1.0 - coverage_frac) / 2.0
    place = np.interp([tail, 1.0 - tail], LEVELS, np.arange(len(LEVELS)))
    low, high = (_between(quantile_h, p) for p in place)
    return low, high


def _between(quantile_h: np.ndarray, place: float) -> np.ndarray:
    k = min(int(place), quantile_h.shape[1] - 2)
    found: np.ndarray = quantile_h[:, k] + (place - k) * (quantile_h[:, k + 1] - quantile_h[:, k])
    return found


def inside_frac(quantile_h: np.ndarray, low_h: np.ndarray, high_h: np.ndarray) -> np.ndarray:
    """Share (n,) of each distribution that lies in [low, high]."""
    found: np.ndarray = ((quantile_h >= low_h[:, None]) & (quantile_h <= high_h[:, None])).mean(axis=1)
    return found


def per_cut(point_h: np.ndarray, quantile_h: np.ndarray, true_h: np.ndarray, rules: Rules) -> dict[str, np.ndarray]:
    """What every metric is a mean of, (n,) each; ``rmse_h`` is still squared."""
    error = point_h - true_h
    low, high = central(quantile_h, rules.coverage_frac)
    within = rules.alpha_frac * true_h
    share = inside_frac(quantile_h, true_h - within, true_h + within)
    # A hair of slack, because a bound that is met exactly may be missed by rounding.
    slack = 1e-9 * np.maximum(1.0, true_h)
    return {
        "rmse_h": error**2,
        "mae_h": np.abs(error),
        "bias_h": error,
        "phm08": phm08(error, rules.phm08_h),
        "crps_h": crps(quantile_h, true_h),
        "coverage_frac": ((true_h >= low - slack) & (true_h <= high + slack)).astype(float),
        "width_h": high - low,
        "alpha_lambda_frac": (share >= rules.least_in_frac).astype(float),
    }


def summarise(columns: Mapping[str, np.ndarray], machine: np.ndarray, weight: np.ndarray,
              rules: Rules) -> dict[str, Estimate]:  # fmt: skip
    """Weighted means of columns (n,) with 90 % intervals from resampling machines (n,) with replacement."""
    places, codes = np.unique(machine, return_inverse=True)
    m = len(places)
    if m == 0:
        return dict.fromkeys(columns, Estimate(np.nan, np.nan, np.nan))
    draws = np.random.default_rng(rules.seed).multinomial(m, np.full(m, 1.0 / m), size=rules.n_boot).astype(float)
    total = np.bincount(codes, weight, m)
    out = {}
    for name, column in columns.items():
        sums = np.bincount(codes, weight * column, m)
        with np.errstate(invalid="ignore", divide="ignore"):
            value, drawn = sums.sum() / total.sum(), (draws @ sums) / (draws @ total)
        if name == "rmse_h":
            value, drawn = np.sqrt(value), np.sqrt(drawn)
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.quantile(drawn, [0.05, 0.95]) if len(drawn) else (np.nan, np.nan)
        out[name] = Estimate(float(value), float(low), float(high))
    return out


def prognostic_horizon(quantile_h: np.ndarray, true_h: np.ndarray, life: np.ndarray, life_h: np.ndarray,
                       rules: Rules) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """For each life the true remaining life from which on the predictions stay good to its end: (lives, horizon_h).

    Good: at least ``least_in_frac`` of the distribution within alpha times the whole life (``life_h``, (n,)) of the
    truth. 0 when the last prediction of a life is not good. The cuts of a life must come in order of time.
    """
    within = rules.alpha_frac * life_h
    good = inside_frac(quantile_h, true_h - within, true_h + within) >= rules.least_in_frac
    lives = np.unique(life)
    horizon = np.zeros(len(lives))
    for number, one in enumerate(lives):
        rows = np.flatnonzero(life == one)
        bad = np.flatnonzero(~good[rows])
        first = 0 if not len(bad) else int(bad[-1]) + 1
        if first < len(rows):
            horizon[number] = true_h[rows[first]]
    return lives, horizon


def p_within(quantile_h: np.ndarray, horizon_h: float) -> np.ndarray:
    """Probability (n,) that each distribution gives to a failure within ``horizon_h``, linear between quantiles."""
    k = quantile_h.shape[1]
    below = (quantile_h <= horizon_h).sum(axis=1)
    rows = np.arange(len(quantile_h))
    left = quantile_h[rows, np.maximum(below - 1, 0)]
    right = quantile_h[rows, np.minimum(below, k - 1)]
    gap = np.where(right > left, (horizon_h - left) / np.where(right > left, right - left, 1.0), 0.0)
    inner = LEVELS[np.clip(below - 1, 0, k - 1)] + np.clip(gap, 0.0, 1.0) / k
    return np.where(below == 0, 0.0, np.where(below == k, 1.0, inner))


class Reliability(NamedTuple):
    """Bins of forecast probability: mean ``forecast``, ``observed`` share of failures, ``n_cuts``, all (bins,)."""

    forecast: np.ndarray
    observed: np.ndarray
    n_cuts: np.ndarray


def reliability(p: np.ndarray, has_failed: np.ndarray, weight: np.ndarray, n_bins: int = 10) -> Reliability:
    """Observed share of failures by forecast probability, in ``n_bins`` equal bins; empty bins left out."""
    place = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    total = np.bincount(place, weight, n_bins)
    there = total > 0.0
    safe = np.where(there, total, 1.0)
    return Reliability(
        (np.bincount(place, weight * p, n_bins) / safe)[there],
        (np.bincount(place, weight * has_failed, n_bins) / safe)[there],
        np.bincount(place, minlength=n_bins)[there],
    )


def brier(p: np.ndarray, has_failed: np.ndarray) -> np.ndarray:
    """Squared distance (n,) of probabilities from what happened (0 or 1)."""
    found: np.ndarray = (p - has_failed) ** 2
    return found
