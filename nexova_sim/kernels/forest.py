"""A fitted Isolation Forest as plain arrays, scored level by level over blocks of rows.

Every tree is a complete heap: node k has children 2k+1 (value <= threshold) and 2k+2, and a leaf that ends early is
repeated below. Walking a block of rows through one level at a time lets LLVM vectorise the gathers. Thresholds are
rounded down to float32, so that a float32 value takes the same way as with the float64 threshold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels._jit import kernel

BLOCK = 256


class Forest(NamedTuple):
    """Trees as complete heaps, t of depth d.

    ``column`` (t, 2^d - 1) int32 of the data, ``threshold`` the same float32, ``path`` (t, 2^d) float64: path length at
    each leaf, expected rest included. ``depth`` (1,) int64 and ``normal_path`` (1,) float64, trees times the expected
    path of the sample, are arrays so that they can be saved.
    """

    column: np.ndarray
    threshold: np.ndarray
    path: np.ndarray
    depth: np.ndarray
    normal_path: np.ndarray


@kernel
def sum_paths(forest: Forest, rows: np.ndarray, out_path: np.ndarray) -> None:
    """Sum over trees of the path lengths of ``rows`` (n, c) float32, C order; ``out_path`` (n,) float64.

    Summed tree by tree as scikit-learn does, so that ties with its threshold stay ties.
    """
    depth = forest.depth[0]
    inner = (1 << depth) - 1
    node = np.empty(BLOCK, np.int32)
    total = np.empty(BLOCK, np.float64)
    for begin in range(0, rows.shape[0], BLOCK):
        size = min(BLOCK, rows.shape[0] - begin)
        total[:] = 0.0
        for t in range(forest.column.shape[0]):
            column = forest.column[t]
            threshold = forest.threshold[t]
            path = forest.path[t]
            node[:] = 0
            for _ in range(depth):
                for i in range(size):
                    k = node[i]
                    node[i] = 2 * k + 1 + (1 if rows[begin + i, column[k]] > threshold[k] else 0)
            for i in range(size):
                total[i] += path[node[i] - inner]
        for i in range(size):
            out_path[begin + i] = total[i]
