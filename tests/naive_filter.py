"""The particle filter's pieces in plain NumPy, one obvious line each."""

from __future__ import annotations

import numpy as np


def pick_systematic(weight: np.ndarray, u: float, n: int) -> np.ndarray:
    """Indices of systematic resampling."""
    levels = (np.arange(n) + u) / n
    return np.minimum(np.searchsorted(np.cumsum(weight), levels), len(weight) - 1)


def weights_of(log_weight: np.ndarray) -> np.ndarray:
    """Weights that sum to 1."""
    weight = np.exp(log_weight - log_weight.max())
    return weight / weight.sum()


def weighted_quantile(values: np.ndarray, weight: np.ndarray, level: float) -> float:
    """Quantile of weighted values."""
    order = np.argsort(values)
    return float(np.interp(level, np.cumsum(weight[order]), values[order]))


def wear_hour(
    wear: np.ndarray, shaking: np.ndarray, rate: np.ndarray, gain: float, run_h: float, extra: np.ndarray
) -> np.ndarray:
    """Wear after ``run_h`` hours by 20 000 small steps of dw/dt = rate (shaking + gain w) + extra."""
    steps = 20_000
    out = wear.copy()
    for _ in range(steps):
        out = out + run_h / steps * (rate * (shaking + gain * out) + extra)
    return out


def kalman(
    given: np.ndarray, mean: float, variance: float, model: tuple[float, float, float, float, float]
) -> np.ndarray:
    """Filtered mean and variance of wear after each reading, (hours, 2).

    ``given`` (hours, 3): load, vibration, its variance; ``model``: growth and kick of an hour, vibration at rated
    load, gain of wear, variance of the wear noise of an hour.
    """
    growth, kick, rated, gain, noise = model
    out = []
    # State (w, w'): the reading is of the mean of wear before and after the hour.
    for load, vib, var in given:
        shaking = rated * load
        after = growth * mean + kick * shaking
        p = np.array([[variance, growth * variance], [growth * variance, growth**2 * variance + noise]])
        h = np.array([0.5 * gain, 0.5 * gain])
        innovation = vib - shaking - h @ np.array([mean, after])
        k = p @ h / (h @ p @ h + var)
        mean = after + k[1] * innovation
        variance = (p - np.outer(k, h @ p))[1, 1]
        out.append((mean, variance))
    return np.array(out)
