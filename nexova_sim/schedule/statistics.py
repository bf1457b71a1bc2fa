"""Means with intervals over training seeds and days, paired by day (Agarwal et al. 2021, Colas et al. 2018)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LOW_PERCENT, HIGH_PERCENT = 2.5, 97.5


class Interval(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def iqm(values: np.ndarray) -> float:
    """Interquartile mean: mean of the middle half of all values, any shape."""
    flat = np.sort(np.ravel(values))
    cut = len(flat) // 4
    return float(flat[cut : len(flat) - cut].mean())


def _seed_means(cost: np.ndarray, picks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean cost of every resample: days as in ``picks`` (r, n), seeds drawn anew for each; (r,)."""
    by_seed = cost[:, picks].mean(axis=2)  # (seeds, r)
    if len(cost) == 1:
        found: np.ndarray = by_seed[0]
        return found
    seeds = rng.integers(0, len(cost), (len(cost), picks.shape[0]))
    drawn: np.ndarray = np.take_along_axis(by_seed, seeds, axis=0).mean(axis=0)
    return drawn


def _picks(n: int, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, n, (n_resamples, n))


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.percentile(drawn, [LOW_PERCENT, HIGH_PERCENT])
    return Interval(value, float(low), float(high))


def mean_interval(cost: np.ndarray, n_resamples: int, seed: int = 0) -> Interval:
    """Mean of ``cost`` (seeds, days) with a bootstrap over seeds and over days."""
    rng = np.random.default_rng(seed)
    return _interval(float(cost.mean()), _seed_means(cost, _picks(cost.shape[1], n_resamples, rng), rng))


def share_interval(cost: np.ndarray, dear: np.ndarray, cheap: np.ndarray, n_resamples: int, seed: int = 0) -> Interval:
    """Share of the saving from ``dear`` to ``cheap`` ((1, days) each) that ``cost`` (seeds, days) reaches, of means."""
    rng = np.random.default_rng(seed)
    picks = _picks(cost.shape[1], n_resamples, rng)
    drawn = [_seed_means(x, picks, rng) for x in (dear, cost, cheap)]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float((dear.mean() - cost.mean()) / (dear.mean() - cheap.mean()))
        return _interval(value, (drawn[0] - drawn[1]) / (drawn[0] - drawn[2]))


def paired_interval(cost: np.ndarray, other: np.ndarray, n_resamples: int, seed: int = 0,
                    has_paired_seeds: bool = False) -> Interval:  # fmt: skip
    """Mean of ``cost`` minus ``other`` ((seeds, days) each, the same days): days resampled together, seeds apart.

    ``has_paired_seeds`` when run s of ``cost`` was made from run s of ``other``: then seeds go together, too.
    """
    rng = np.random.default_rng(seed)
    picks = _picks(cost.shape[1], n_resamples, rng)
    if has_paired_seeds:
        return _interval(float(cost.mean() - other.mean()), _seed_means(cost - other, picks, rng))
    drawn = _seed_means(cost, picks, rng) - _seed_means(other, picks, rng)
    return _interval(float(cost.mean() - other.mean()), drawn)
