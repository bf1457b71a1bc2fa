"""Regressors of remaining life, by name: functions that make an untrained estimator from the settings.

``decision_tree`` is what the platform document names. ``ensemble`` is the mean of boosted trees (squared and absolute
loss, several seeds) and a support vector machine on the same features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.config.rul import Learning
from nexova_sim.prognose.life_metrics import LEVELS

_SVM_ROWS = 4000
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Fitted(NamedTuple):
    """A trained method: ``point`` maps features (n, k) to hours (n,); ``spread``, if any, to quantiles (n, levels)."""

    point: Callable[[np.ndarray], np.ndarray]
    spread: Callable[[np.ndarray], np.ndarray] | None = None


Fit = Callable[[np.ndarray, np.ndarray, Learning], Fitted]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the learning libraries to one thread: on tables of this size threads mostly wait for each other."""
    import sklearn.ensemble  # noqa: F401 - a library that is not loaded yet cannot be limited
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        yield


def _least_leaf(n: int, frac: float, least: int) -> int:
    """Size of a leaf for n rows: rows of one machine are alike, so leaves must hold several machines."""
    return max(least, min(80, round(frac * n)))


def fit_tree(x: np.ndarray, y: np.ndarray, learning: Learning) -> Fitted:
    """One decision tree with large leaves. ``x`` (n, k) features, ``y`` (n,) hours."""
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(min_samples_leaf=_least_leaf(len(y), 0.01, 5), random_state=learning.seed)
    return Fitted(model.fit(x, y).predict)


def fit_forest(x: np.ndarray, y: np.ndarray, learning: Learning) -> Fitted:
    """A random forest."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(learning.n_trees, min_samples_leaf=_least_leaf(len(y), 0.002, 3), max_features=0.3,
                                  random_state=learning.seed, n_jobs=1)  # fmt: skip
    return Fitted(model.fit(x, y).predict)


def _boosted(learning: Learning, n: int, seed: int, loss: str = "squared_error", quantile: float | None = None) -> Any:  # noqa: ANN401
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        loss=loss, quantile=quantile, max_iter=learning.n_rounds, learning_rate=min(0.1, 9.0 / learning.n_rounds),
        max_leaf_nodes=8, min_samples_leaf=_least_leaf(n, 0.01, 5), l2_regularization=20.0, max_features=0.2,
        early_stopping=False, random_state=seed,
    )  # fmt: skip


def fit_boosting(x: np.ndarray, y: np.ndarray, learning: Learning) -> Fitted:
    """Histogram gradient boosting of the squared error."""
    return Fitted(_boosted(learning, len(y), learning.seed).fit(x, y).predict)


def fit_quantiles(x: np.ndarray, y: np.ndarray, learning: Learning) -> Fitted:
    """Histogram gradient boosting of quantiles; the point is the median, quantiles between are interpolated."""
    models = [_boosted(learning, len(y), learning.seed, "quantile", q).fit(x, y) for q in _QUANTILES]

    def spread(features: np.ndarray) -> np.ndarray:
        # Sorted, because quantiles that are learned one by one may cross.
        known = np.sort(np.column_stack([m.predict(features) for m in models]), axis=1)
        first = known[:, :1] - (known[:, 1:2] - known[:, :1])
        last = known[:, -1:] + (known[:, -1:] - known[:, -2:-1])
        known = np.maximum(np.hstack([first, known, last]), 0.0)
        levels = np.array([0.0, *_QUANTILES, 1.0])
        place = np.searchsorted(levels, LEVELS) - 1
        share = (LEVELS - levels[place]) / (levels[place + 1] - levels[place])
        found: np.ndarray = known[:, place] + share * (known[:, place + 1] - known[:, place])
        return found

    return Fitted(models[len(_QUANTILES) // 2].predict, spread)


def fit_ensemble(x: np.ndarray, y: np.ndarray, learning: Learning) -> Fitted:
    """Mean of ``n_members`` pairs of boosted trees, and of that and a support vector machine."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    trees = [
        _boosted(learning, len(y), learning.seed + n, loss).fit(x, y)
        for n in range(learning.n_members)
        for loss in ("squared_error", "absolute_error")
    ]
    rows = np.linspace(0, len(y) - 1, min(len(y), _SVM_ROWS)).round().astype(np.int64)
    unit = float(np.std(y)) or 1.0
    columns = np.isfinite(x[rows]).any(axis=0)
    machine = make_pipeline(SimpleImputer(), StandardScaler(), SVR(C=1.5, gamma=0.15 / columns.sum(), epsilon=0.12))
    machine.fit(x[rows][:, columns], y[rows] / unit)

    def point(features: np.ndarray) -> np.ndarray:
        boosted = np.mean([m.predict(features) for m in trees], axis=0)
        low, high = float(y.min()), float(y.max())
        smooth = np.clip(unit * machine.predict(features[:, columns]), low, high)
        found: np.ndarray = (2.0 * boosted + smooth) / 3.0
        return found

    return Fitted(point)


LEARNED: Mapping[str, Fit] = MappingProxyType(
    {
        "decision_tree": fit_tree,
        "random_forest": fit_forest,
        "gradient_boosting": fit_boosting,
        "quantile_boosting": fit_quantiles,
        "ensemble": fit_ensemble,
    }
)
