"""Detectors made of trees: Isolation Forest (fitted by scikit-learn, scored by our kernel) and half-space trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.detect.detector import MACHINE_LANE, Batch, Component, Found, Params, filled
from nexova_sim.detect.distances import centre_scale, standard
from nexova_sim.kernels.forest import Forest, sum_paths
from nexova_sim.kernels.halfspace import HalfSpace, HalfSpaceMass, score_mass

_LEAF = -1
_SPAN = 4.0


def plain_forest(model: Any) -> Forest:  # noqa: ANN401
    """A fitted ``sklearn.ensemble.IsolationForest`` as plain arrays; scores then need no scikit-learn."""
    trees = [(estimator.tree_, columns) for estimator, columns in
             zip(model.estimators_, model.estimators_features_, strict=True)]  # fmt: skip
    depth = max([1, *(int(tree.max_depth) for tree, _ in trees)])
    inner = 2**depth - 1
    column = np.zeros((len(trees), inner), np.int32)
    threshold = np.full((len(trees), inner), np.inf)
    path = np.zeros((len(trees), 2**depth))
    for t, (tree, columns) in enumerate(trees):
        rest = expected_path(tree.n_node_samples)
        stack = [(0, 0, 0)]
        while stack:
            node, k, level = stack.pop()
            if tree.children_left[node] == _LEAF:
                first = (k + 1) * 2 ** (depth - level) - 1 - inner
                path[t, first : first + 2 ** (depth - level)] = (level + 1.0 + rest[node]) - 1.0
                continue
            column[t, k] = columns[tree.feature[node]]
            threshold[t, k] = tree.threshold[node]
            stack.append((int(tree.children_left[node]), 2 * k + 1, level + 1))
            stack.append((int(tree.children_right[node]), 2 * k + 2, level + 1))
    normal = len(trees) * float(expected_path(np.array([model.max_samples_]))[0])
    return Forest(column, round_down(threshold), path, np.array([depth], np.int64), np.array([normal]))


def forest_scores(forest: Forest, rows: np.ndarray) -> np.ndarray:
    """Scores 2^(-mean path / expected path) of ``rows`` (n, c) float32, in (0, 1), high = anomalous; (n,) float64.

    Liu, Ting, Zhou, Isolation Forest, ICDM 2008, eq. 2; the negative of scikit-learn's ``score_samples``, bit by bit:
    the same sums in the same order, and the same power function.
    """
    path = np.empty(len(rows))
    sum_paths(forest, np.ascontiguousarray(rows, np.float32), path)
    scores: np.ndarray = 2 ** (-np.divide(path, forest.normal_path[0]))
    return scores


def expected_path(n: np.ndarray) -> np.ndarray:
    """Mean path length of an unsuccessful search in a binary tree of n keys: 2 H(n-1) - 2 (n-1)/n (Liu 2008, eq. 1).

    H as ln + Euler's constant, as scikit-learn has it.
    """
    n = np.asarray(n, np.float64)
    many = np.maximum(n, 3.0)
    long = 2.0 * (np.log(many - 1.0) + np.euler_gamma) - 2.0 * (many - 1.0) / many
    path: np.ndarray = np.where(n <= 1.0, 0.0, np.where(n <= 2.0, 1.0, long))
    return path


def round_down(values: np.ndarray) -> np.ndarray:
    """The largest float32 not above each float64, so that float32 x <= value holds exactly when x <= result."""
    near = values.astype(np.float32)
    above = near.astype(np.float64) > values
    near[above] = np.nextafter(near[above], np.float32(-np.inf))
    return near


@dataclass(frozen=True)
class IsolationForestDetector:
    """The named reference: StandardScaler and Isolation Forest as in the platform document."""

    name: str = "isolation_forest"

    def components(self) -> tuple[Component, ...]:
        """One."""
        return (Component(self.name, "machine", MACHINE_LANE, "easy to isolate from the readings of the past"),)

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Fit by scikit-learn and kept as arrays, with the model's own ``offset_`` for the given contamination."""
        from sklearn.ensemble import IsolationForest
        from sklearn.preprocessing import StandardScaler

        settings = config.forest
        rows = filled(features).T
        scaler = StandardScaler().fit(rows)
        scaled = scaler.transform(rows).astype(np.float32)
        model = IsolationForest(
            n_estimators=settings.trees,
            max_samples=min(settings.max_samples, len(scaled)),
            contamination=settings.contamination,
            random_state=settings.seed,
        ).fit(scaled)
        forest = plain_forest(model)
        return {
            "centre": np.asarray(scaler.mean_),
            "scale": np.asarray(scaler.scale_),
            "offset": np.array([float(model.offset_)]),
            **{f"forest.{name}": value for name, value in forest._asdict().items()},
        }

    def start(self, params: Params, n_machines: int) -> Params:
        """No state."""
        return {}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """The forest's score; the driver is the feature farthest from its mean, in standard deviations."""
        centre = params["centre"].astype(np.float32)
        scale = params["scale"].astype(np.float32)
        z = (filled(batch.features) - centre[:, None]) / scale[:, None]
        forest = Forest(*(params[f"forest.{name}"] for name in Forest._fields))
        score = forest_scores(forest, z.T)[None].astype(np.float32)
        return state, Found(score, np.abs(z).argmax(axis=0).astype(np.int16))


@dataclass(frozen=True)
class HalfSpaceTrees:
    """Half-space trees over the stream of the whole fleet: learns as it goes, forgets by windows."""

    name: str = "half_space_trees"

    def components(self) -> tuple[Component, ...]:
        """One."""
        return (Component(self.name, "machine", MACHINE_LANE, "in a corner where the stream hardly ever is"),)

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Random cuts over the range of history, and the mass of a sample of it as the first reference."""
        settings = config.half_space
        centre, scale = centre_scale(features)
        random = np.random.default_rng(settings.seed)
        inner = 2**settings.depth - 1
        column = random.integers(0, len(features), (settings.trees, inner)).astype(np.int32)
        cut = random_cuts(column, settings.depth, len(features), random)
        nodes = 2 ** (settings.depth + 1) - 1
        shape = (settings.trees, nodes)
        empty = HalfSpaceMass(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(1, np.int64))
        z = standard({"centre": centre, "scale": scale}, features)
        window = min(settings.window, z.shape[1])
        chosen = random.permutation(z.shape[1])[:window]
        rows = np.ascontiguousarray(z[:, chosen].T, np.float32)
        score_mass(HalfSpace(column, cut), rows, window, settings.least_mass, empty, np.empty(window))
        return {
            "centre": centre,
            "scale": scale,
            "column": column,
            "cut": cut,
            "reference": empty.reference,
            "window": np.array([window]),
            "least": np.array([min(settings.least_mass, max(1, window // 10))]),
        }

    def start(self, params: Params, n_machines: int) -> Params:
        """The mass of history as reference, nothing seen yet."""
        return {"reference": params["reference"], "latest": np.zeros_like(params["reference"]),
                "seen": np.zeros(1, np.int64)}  # fmt: skip

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """Minus the logarithm of the mass, so that high is anomalous; driver as for the Isolation Forest."""
        z = standard(params, batch.features)
        mass = HalfSpaceMass(*(state[name].copy() for name in HalfSpaceMass._fields))
        out = np.empty(z.shape[1])
        trees = HalfSpace(params["column"], params["cut"])
        score_mass(trees, np.ascontiguousarray(z.T, np.float32), int(params["window"][0]), int(params["least"][0]),
                   mass, out)  # fmt: skip
        # One reading alone in its corner of one tree of depth 0 is the least mass there can be above nothing.
        top = np.log2(params["window"][0] * 2.0 ** (mass.reference.shape[1].bit_length()))
        statistic = (top - np.log2(out + 1.0))[None].astype(np.float32)
        return mass._asdict(), Found(statistic, np.abs(z).argmax(axis=0).astype(np.int16))


def random_cuts(column: np.ndarray, depth: int, n_columns: int, random: np.random.Generator) -> np.ndarray:
    """Cuts of every tree (t, 2^d - 1) float32: each node halves its box in its column; boxes hang over the range a bit.

    Work range as in the paper: a random middle s, half-width 2 max(s, 1 - s), here in units of +-4 robust sigmas.
    """
    n_trees = len(column)
    cut = np.zeros(column.shape, np.float32)
    for t in range(n_trees):
        middle = random.random(n_columns)
        half = 2.0 * np.maximum(middle, 1.0 - middle)
        boxes = {0: (2.0 * _SPAN * (middle - half) - _SPAN, 2.0 * _SPAN * (middle + half) - _SPAN)}
        for k in range(2**depth - 1):
            low, high = boxes.pop(k)
            c = column[t, k]
            cut[t, k] = 0.5 * (low[c] + high[c])
            if 2 * k + 2 < 2**depth - 1:
                left, right = high.copy(), low.copy()
                left[c] = right[c] = cut[t, k]
                boxes[2 * k + 1], boxes[2 * k + 2] = (low, left), (right, high)
    return cut
