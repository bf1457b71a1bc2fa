"""Our scorer of an Isolation Forest beside scikit-learn's own: same flags, same scores, CPU time of both in one run."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from nexova_sim.detect.trees import forest_scores, plain_forest


class ForestMatch(NamedTuple):
    """CPU-seconds per million rows of ours and theirs, largest difference of scores, flags that differ."""

    own_s: float
    reference_s: float
    max_difference: float
    n_flags_differ: int


def match_forest(rows: np.ndarray, n_fitted: int, trees: int, seed: int, repeats: int = 3) -> ForestMatch:
    """Fit scikit-learn's forest on the first ``n_fitted`` rows (n, c) float32 and score all rows by both.

    Contamination 0.05, 256 samples a tree, one thread each; times are the best of ``repeats``.
    """
    from sklearn.ensemble import IsolationForest

    rows = np.ascontiguousarray(rows, np.float32)
    model = IsolationForest(n_estimators=trees, contamination=0.05, random_state=seed).fit(rows[:n_fitted])
    forest = plain_forest(model)
    own = forest_scores(forest, rows[:1000])
    own_s, reference_s = [], []
    theirs = own
    for _ in range(repeats):
        began = time.process_time()
        own = forest_scores(forest, rows)
        middle = time.process_time()
        theirs = model.score_samples(rows)
        own_s.append(middle - began)
        reference_s.append(time.process_time() - middle)
    flags = (-own < model.offset_) != (theirs < model.offset_)
    per_million = 1e6 / len(rows)
    return ForestMatch(min(own_s) * per_million, min(reference_s) * per_million, float(np.abs(-own - theirs).max()),
                       int(flags.sum()))  # fmt: skip
