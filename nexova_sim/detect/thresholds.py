"""From statistics to scores and thresholds: extremes of held-out normal data, a false-alarm budget, a calibrated score.

Held-out data may hold faults, so the threshold follows from the body of the block maxima, not from their tail: a
Gumbel law through two of their quantiles (Fisher, Tippett 1928), carried on to the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DAY_MS = 86_400_000.0
_LOW, _HIGH = 0.25, 0.75
_LEAST_BLOCKS = 20
_MOST_KNOTS = 10_000


class Scale(NamedTuple):
    """``limit`` (groups, k): threshold of each statistic by group; ``knots`` ascending ratios; ``names`` of the groups.

    Groups are kinds, then the fleet ("*"); or machines and kinds, then the fleet. ``knots`` (q,) float64: quantiles of
    the highest ratio of normal readings, evenly spaced in probability.
    """

    limit: np.ndarray
    knots: np.ndarray
    names: tuple[str, ...]


def gumbel_limit(maxima: np.ndarray, p_exceed: float) -> float:
    """Value that a block maximum exceeds with probability ``p_exceed``, by a Gumbel law through two quantiles of (n,).

    F(x) = exp(-exp(-(x - mu)/beta)); NaN without data.
    """
    maxima = maxima[np.isfinite(maxima)]
    if not len(maxima):
        return float("nan")
    low, high = np.quantile(maxima, [_LOW, _HIGH])
    reduced = -np.log(-np.log(np.array([_LOW, _HIGH])))
    beta = (high - low) / (reduced[1] - reduced[0])
    mu = low - beta * reduced[0]
    return float(mu - beta * np.log(-np.log1p(-min(p_exceed, 0.5))))


def fit_limits(maxima: np.ndarray, group: np.ndarray, n_groups: int, p_exceed: float, floor: np.ndarray) -> np.ndarray:
    """Thresholds (n_groups + 1, k) from block maxima (k, b) of groups (b,); the last row is for all together.

    A group with fewer than 20 blocks takes the row of all; no threshold is below its ``floor`` (k,).
    """
    k = len(maxima)
    limit = np.empty((n_groups + 1, k))
    for c in range(k):
        everything = gumbel_limit(maxima[c], p_exceed)
        limit[n_groups, c] = everything
        for g in range(n_groups):
            mine = maxima[c][group == g]
            limit[g, c] = gumbel_limit(mine, p_exceed) if np.isfinite(mine).sum() >= _LEAST_BLOCKS else everything
    highest: np.ndarray = np.maximum(np.nan_to_num(limit, nan=0.0), np.maximum(floor, 1e-12))
    return highest


def highest_limits(maxima: np.ndarray, groups: Sequence[np.ndarray], floor: np.ndarray) -> np.ndarray:
    """Thresholds (groups + 1, k): the highest of the block maxima (k, b) in each group of blocks, each (b,) bool.

    The last row is for all together; a group without a block takes it; no threshold is below its ``floor`` (k,).
    """
    known = np.where(np.isfinite(maxima), maxima, -np.inf)
    everything = known.max(axis=1, initial=-np.inf)
    rows = [known[:, mine].max(axis=1, initial=-np.inf) for mine in groups]
    limit = np.array([*(np.where(np.isfinite(row), row, everything) for row in rows), everything])
    # Twice the rounding of single precision: the reading that set the threshold is itself no flag.
    limit = np.where(np.isfinite(limit), limit * (1.0 + 2.0**-22), 0.0)
    found: np.ndarray = np.maximum(limit, np.maximum(floor, 1e-12))
    return found


def fit_knots(ratio: np.ndarray) -> np.ndarray:
    """Knots of the score: quantiles of the ratios (n,) below 1, which is held-out data that looks normal."""
    normal = np.sort(ratio[np.isfinite(ratio) & (ratio < 1.0)]).astype(np.float64)
    if len(normal) > _MOST_KNOTS:
        normal = np.quantile(normal, np.linspace(0.0, 1.0, _MOST_KNOTS), method="lower")
    return normal


def score_of(ratio: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Score of each ratio (n,), float32 in [0, 1]: the share of held-out normal readings below it.

    With q knots, everything at or beyond the threshold (ratio 1) lies above all of them, between q/(q+1) and 1: there
    the rest of the tail, 1/(q+1), shrinks with the ratio, so that ever stranger readings still differ, and is nothing
    from a thousand thresholds on.
    """
    q = len(knots)
    body = np.searchsorted(knots, ratio, side="left") / (q + 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.where(ratio >= 1e3, 0.0, 1.0 / (np.maximum(ratio, 1.0) * (q + 1.0)))
    score = np.where(ratio >= 1.0, 1.0 - rest, body).astype(np.float32)
    # Rounding must not lift a reading below the threshold to the threshold's score.
    top = threshold_score(knots)
    below: np.ndarray = np.where(
        ratio >= 1.0, np.maximum(score, top), np.minimum(score, np.nextafter(top, np.float32(0.0)))
    )
    return below.astype(np.float32)


def threshold_score(knots: np.ndarray) -> np.float32:
    """The score of a reading exactly at its threshold."""
    return np.float32(1.0 - 1.0 / (len(knots) + 1.0))


def ratios(statistic: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Statistics (k, n) over their thresholds (k, n) or (k, 1); NaN counts as 0."""
    over: np.ndarray = np.nan_to_num(statistic / limit, nan=0.0, posinf=1e6, neginf=0.0)
    return over
