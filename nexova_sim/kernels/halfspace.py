"""Half-space trees for streams: how much mass a reading's corner of space held in the last window.

Tan, Ting, Liu, Fast anomaly detection for streaming data, IJCAI 2011. Trees are complete heaps with random cuts; the
mass of a window of readings becomes the reference when the window is full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel


class HalfSpace(NamedTuple):
    """t trees of depth d: ``column`` (t, 2^d - 1) int32 and ``cut`` the same float32."""

    column: np.ndarray
    cut: np.ndarray


class HalfSpaceMass(NamedTuple):
    """Mass of every node: ``reference`` and ``latest`` (t, 2^(d+1) - 1) int32; ``seen`` (1,) int64 in this window."""

    reference: np.ndarray
    latest: np.ndarray
    seen: np.ndarray


@kernel
def score_mass(trees: HalfSpace, rows: np.ndarray, window: int, least: int, state: HalfSpaceMass,
               out_score: np.ndarray) -> None:  # fmt: skip
    """Score ``rows`` (n, c) float32 one by one and learn from each, advancing ``state``; ``out_score`` (n,) float64.

    The score is the mean over trees of mass times 2^depth at the node where the mass falls below ``least`` (or the
    leaf), so low = anomalous.
    """
    n_trees, inner = trees.column.shape
    depth = 0
    while (1 << depth) - 1 < inner:
        depth += 1
    for i in range(rows.shape[0]):
        total = 0.0
        for t in range(n_trees):
            k = 0
            found = False
            for level in range(depth + 1):
                state.latest[t, k] += 1
                if not found and (state.reference[t, k] < least or level == depth):
                    total += state.reference[t, k] * float(1 << level)
                    found = True
                if level < depth:
                    k = 2 * k + 1 + (1 if rows[i, trees.column[t, k]] > trees.cut[t, k] else 0)
        out_score[i] = total / n_trees
        state.seen[0] += 1
        if state.seen[0] == window:
            state.reference[:] = state.latest
            state.latest[:] = 0
            state.seen[0] = 0
