"""Derivative-free search in the unit box: CMA-ES (Hansen 2016) with mirrored samples, and the cross-entropy method.

The cost is noisy, because every iteration draws fresh days that all candidates share; so the result is not the best
candidate ever seen but the mean of the last means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Cost = Callable[[np.ndarray, int], np.ndarray]
_OUTSIDE_USD = 200.0  # price of a unit of squared distance outside the box
_ELITE_FRAC = 0.2
_FLOOR = 0.02  # least spread of the cross-entropy method, in parts of the box


class SearchPlan(NamedTuple):
    """How long and how widely to search; ``population`` is even; ``seed`` is one number or several."""

    iterations: int
    population: int
    sigma: float
    seed: int | Sequence[int]
    averaged_frac: float = 0.4


class SearchResult(NamedTuple):
    """Where a search ended, (p,) in the unit box, and per iteration best and mean cost and the spread, (i, 3)."""

    x: np.ndarray
    history: np.ndarray


def no_search(done: int, total: int) -> None:
    """Progress callback that shows nothing."""


class _Spread(NamedTuple):
    """State of CMA-ES: mean, step size, covariance and the two paths."""

    mean: np.ndarray
    sigma: float
    cov: np.ndarray
    path_c: np.ndarray
    path_s: np.ndarray


class _Rates(NamedTuple):
    """Weights and learning rates of CMA-ES for p parameters and a population (Hansen 2016, table 1)."""

    weights: np.ndarray
    mass: float
    c_c: float
    c_s: float
    c_1: float
    c_mu: float
    damping: float
    length: float


def _rates(p: int, population: int) -> _Rates:
    parents = population // 2
    w = np.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
    w /= w.sum()
    mass = float(1.0 / (w * w).sum())
    c_c = (4.0 + mass / p) / (p + 4.0 + 2.0 * mass / p)
    c_s = (mass + 2.0) / (p + mass + 5.0)
    c_1 = 2.0 / ((p + 1.3) ** 2 + mass)
    c_mu = min(1.0 - c_1, 2.0 * (mass - 2.0 + 1.0 / mass) / ((p + 2.0) ** 2 + mass))
    damping = 1.0 + 2.0 * max(0.0, float(np.sqrt((mass - 1.0) / (p + 1.0))) - 1.0) + c_s
    length = float(np.sqrt(p) * (1.0 - 1.0 / (4.0 * p) + 1.0 / (21.0 * p * p)))
    return _Rates(w, mass, c_c, c_s, c_1, c_mu, damping, length)


def _cma_step(s: _Spread, r: _Rates, y: np.ndarray, axes: tuple[np.ndarray, np.ndarray], iteration: int) -> _Spread:
    """The spread after the parents' steps ``y`` (parents, p), best first; ``axes`` are the principal axes of before."""
    d, b = axes
    step = r.weights @ y
    path_s = (1.0 - r.c_s) * s.path_s + np.sqrt(r.c_s * (2.0 - r.c_s) * r.mass) * (b @ ((b.T @ step) / d))
    norm = float(np.linalg.norm(path_s))
    limit = (1.4 + 2.0 / (len(step) + 1.0)) * r.length
    is_small = norm / np.sqrt(1.0 - (1.0 - r.c_s) ** (2 * (iteration + 1))) < limit
    path_c = (1.0 - r.c_c) * s.path_c + is_small * np.sqrt(r.c_c * (2.0 - r.c_c) * r.mass) * step
    cov = (1.0 - r.c_1 - r.c_mu) * s.cov + r.c_1 * np.outer(path_c, path_c) + r.c_mu * (y.T * r.weights) @ y
    sigma = s.sigma * float(np.exp(min(1.0, (r.c_s / r.damping) * (norm / r.length - 1.0))))
    return _Spread(s.mean + s.sigma * step, sigma, cov, path_c, path_s)


def cma_es(cost: Cost, start: np.ndarray, plan: SearchPlan,
           progress: Callable[[int, int], None] = no_search) -> SearchResult:  # fmt: skip
    """Minimise ``cost`` (candidates (c, p) in the unit box, iteration) -> (c,) from ``start`` (p,)."""
    rng = np.random.default_rng(plan.seed)
    p = len(start)
    rates = _rates(p, plan.population)
    s = _Spread(start.astype(float), plan.sigma, np.eye(p), np.zeros(p), np.zeros(p))
    history, means = np.zeros((plan.iterations, 3)), []
    for iteration in range(plan.iterations):
        values, b = np.linalg.eigh(s.cov)
        d = np.sqrt(np.maximum(values, 1e-12))
        half = rng.standard_normal((plan.population // 2, p))
        y = (np.concatenate([half, -half]) * d) @ b.T
        x = s.mean + s.sigma * y
        inside = np.clip(x, 0.0, 1.0)
        found = cost(inside, iteration) + _OUTSIDE_USD * ((x - inside) ** 2).sum(axis=1)
        best = np.argsort(found, kind="stable")[: plan.population // 2]
        s = _cma_step(s, rates, y[best], (d, b), iteration)
        history[iteration] = found.min(), found.mean(), s.sigma
        if iteration >= min((1.0 - plan.averaged_frac) * plan.iterations, plan.iterations - 1):
            means.append(np.clip(s.mean, 0.0, 1.0))
        progress(iteration + 1, plan.iterations)
    return SearchResult(np.mean(means, axis=0), history)


def cross_entropy(cost: Cost, start: np.ndarray, plan: SearchPlan,
                  progress: Callable[[int, int], None] = no_search) -> SearchResult:  # fmt: skip
    """Minimise like ``cma_es``, by refitting an axis-parallel normal to the best fifth of every iteration."""
    rng = np.random.default_rng(plan.seed)
    mean, spread = start.astype(float), np.full(len(start), plan.sigma)
    history = np.zeros((plan.iterations, 3))
    n_elite = max(2, round(_ELITE_FRAC * plan.population))
    for iteration in range(plan.iterations):
        x = np.clip(mean + spread * rng.standard_normal((plan.population, len(start))), 0.0, 1.0)
        found = cost(x, iteration)
        elite = x[np.argsort(found, kind="stable")[:n_elite]]
        mean, spread = elite.mean(axis=0), elite.std(axis=0) + _FLOOR
        history[iteration] = found.min(), found.mean(), float(spread.mean())
        progress(iteration + 1, plan.iterations)
    return SearchResult(mean, history)
