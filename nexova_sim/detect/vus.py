"""VUS-PR: the volume under the precision-recall surface over thresholds and widths of a soft margin round each fault.

After J. Paparrizos et al., "Volume Under the Surface" (PVLDB 15, 2022), in the form that Q. Liu and J. Paparrizos use
in TSB-AD (NeurIPS 2024). For a margin of width w, cells up to w//2 before and after a fault's cells carry the label
sqrt(1 - d/w) at distance d (capped at 1 where margins add). With S the cells predicted at a threshold:
    TP(w) = sum of labels over S;  soft(w) = the part of it outside the faults;  P = number of faulty cells
    recall = min(1, TP/(P + soft/2)) * share of the faults (joined where margins meet) that S touches
    precision = TP/|S|,  AP(w) = sum of (recall_i - recall_(i-1)) precision_i,  VUS-PR = mean of AP(w) over w = 0..W.
Here every machine has its own time line: a margin never reaches into another machine's cells, and all counts are
kept per machine, so that machines can be resampled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Surface(NamedTuple):
    """What VUS-PR is summed from, for m machines, v margins, k falling thresholds.

    ``predicted`` (m, k), ``touched`` (m, v, k) faults, ``soft`` (m, v, k) label weight outside the faults, ``hit``
    (m, k) faulty cells predicted, ``n_faults`` (m, v), ``n_faulty`` (m,) cells.
    """

    predicted: np.ndarray
    hit: np.ndarray
    soft: np.ndarray
    touched: np.ndarray
    n_faults: np.ndarray
    n_faulty: np.ndarray


def spans(label: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True in ``label`` (c,) as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.r_[False, label, False].astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def margin(runs: Sequence[tuple[int, int]], n_cells: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells outside ``runs`` within ``width // 2`` of one, sorted (i,), and their soft labels (i,), capped sums."""
    half = width // 2
    weight: dict[int, float] = {}
    inside = np.zeros(n_cells, np.bool_)
    for first, last in runs:
        inside[first:last] = True
    for first, last in runs:
        for distance in range(1, half + 1):
            for at in (first - distance, last - 1 + distance):
                if 0 <= at < n_cells and not inside[at]:
                    weight[at] = weight.get(at, 0.0) + math.sqrt(1.0 - distance / width)
    cells = np.array(sorted(weight), np.int64)
    return cells, np.minimum(1.0, np.array([weight[c] for c in cells.tolist()]))


def joined(runs: Sequence[tuple[int, int]], n_cells: int, width: int) -> list[tuple[int, int]]:
    """``runs`` widened by ``width // 2`` on both sides, joined where they then touch, inside [0, n_cells)."""
    half = width // 2
    out: list[tuple[int, int]] = []
    for first, last in runs:
        low, high = max(0, first - half), min(n_cells, last + half)
        if out and low < out[-1][1]:
            out[-1] = (out[-1][0], max(high, out[-1][1]))
        else:
            out.append((low, high))
    return out


def ranks(score: np.ndarray, n_thresholds: int) -> np.ndarray:
    """At which of ``n_thresholds`` falling thresholds (evenly spaced ranks of the sorted score) a cell is predicted.

    ``score`` (c,) -> (c,) int64 in 0..n_thresholds-1.
    """
    falling = -np.sort(-score)
    at = np.linspace(0, len(score) - 1, n_thresholds).astype(np.int64)
    return np.searchsorted(-falling[at], -score, side="left")


def surface(label: np.ndarray, score: np.ndarray, starts: np.ndarray, widths: Sequence[int],
            n_thresholds: int = 250) -> Surface:  # fmt: skip
    """The counts behind VUS-PR: ``label`` (c,) bool, ``score`` (c,) without NaN, ``starts`` (m + 1,) of machines."""
    n_machines, n_widths = len(starts) - 1, len(widths)
    place = ranks(score, n_thresholds)
    out = Surface(
        np.zeros((n_machines, n_thresholds)), np.zeros((n_machines, n_thresholds)),
        np.zeros((n_machines, n_widths, n_thresholds)), np.zeros((n_machines, n_widths, n_thresholds)),
        np.zeros((n_machines, n_widths)), np.zeros(n_machines),
    )  # fmt: skip
    for m in range(n_machines):
        own = slice(int(starts[m]), int(starts[m + 1]))
        rank, truth = place[own], label[own]
        out.predicted[m] = np.cumsum(np.bincount(rank, minlength=n_thresholds))
        out.hit[m] = np.cumsum(np.bincount(rank[truth], minlength=n_thresholds))
        out.n_faulty[m] = np.count_nonzero(truth)
        runs = spans(truth)
        for w, width in enumerate(widths):
            cells, weight = margin(runs, len(truth), width)
            out.soft[m, w] = np.cumsum(np.bincount(rank[cells], weight, minlength=n_thresholds))
            wide = joined(runs, len(truth), width)
            out.n_faults[m, w] = len(wide)
            firsts = np.array([rank[a:b].min() for a, b in wide], np.int64)
            out.touched[m, w] = np.cumsum(np.bincount(firsts, minlength=n_thresholds))
    return out


def vus_pr(counts: Surface, weights: np.ndarray | None = None) -> float:
    """VUS-PR of all machines together, each counted ``weights`` (m,) times (default once); NaN without a fault."""
    weights = np.ones(len(counts.n_faulty)) if weights is None else np.asarray(weights, np.float64)
    faulty = float(weights @ counts.n_faulty)
    if not faulty:
        return math.nan
    predicted, hit = weights @ counts.predicted, weights @ counts.hit
    soft = np.tensordot(weights, counts.soft, 1)
    touched = np.tensordot(weights, counts.touched, 1) / (weights @ counts.n_faults)[:, None]
    true = hit + soft
    recall = np.minimum(1.0, true / (faulty + soft / 2.0)) * touched
    precision = true / np.maximum(predicted, 1e-300)
    return float(np.mean(np.sum(np.diff(recall, axis=1, prepend=0.0) * precision, axis=1)))
