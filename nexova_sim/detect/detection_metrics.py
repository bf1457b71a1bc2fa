"""Measures of a detector over cells (machine x time bin): counts, MCC, average precision; and Wilson's interval.

No point adjustment anywhere: a fault found in one cell does not make its other cells found.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Z95 = 1.959963984540054


class Share(NamedTuple):
    """``k`` of ``n`` with Wilson's 95 % interval; all three are NaN when ``n`` is 0."""

    k: int
    n: int
    value: float
    low: float
    high: float


class Counts(NamedTuple):
    """Cells by truth and verdict: true and false positives, false and true negatives (numbers or equal arrays)."""

    tp: float
    fp: float
    fn: float
    tn: float


def wilson(k: int, n: int, z: float = Z95) -> Share:
    """The share ``k``/``n`` with its Wilson score interval (E. B. Wilson 1927): it never leaves [0, 1].

    Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0:
        return Share(0, 0, math.nan, math.nan, math.nan)
    p, zz = k / n, z * z / n
    middle = (p + zz / 2.0) / (1.0 + zz)
    half = z * math.sqrt(p * (1.0 - p) / n + zz / (4.0 * n)) / (1.0 + zz)
    # At the ends the formula is 0 or 1 exactly, and rounding is not.
    return Share(k, n, p, 0.0 if k == 0 else middle - half, 1.0 if k == n else middle + half)


def count(label: np.ndarray, flag: np.ndarray) -> Counts:
    """Counts of boolean arrays ``label`` and ``flag`` of one shape (c,)."""
    tp = float(np.count_nonzero(label & flag))
    positive, flagged = float(np.count_nonzero(label)), float(np.count_nonzero(flag))
    return Counts(tp, flagged - tp, positive - tp, len(label) - positive - flagged + tp)


def ratio(above: float, below: float) -> float:
    """``above``/``below``; NaN for 0/0 and whatever else has no denominator."""
    return above / below if below else math.nan


def f1(counts: Counts) -> float:
    """2 TP / (2 TP + FP + FN)."""
    return ratio(2.0 * counts.tp, 2.0 * counts.tp + counts.fp + counts.fn)


def false_alarm_rate(counts: Counts) -> float:
    """FAR = FP / (FP + TN): share of normal cells that are flagged."""
    return ratio(counts.fp, counts.fp + counts.tn)


def missed_alarm_rate(counts: Counts) -> float:
    """MAR = FN / (FN + TP): share of faulty cells that are not flagged."""
    return ratio(counts.fn, counts.fn + counts.tp)


def mcc(counts: Counts) -> float:
    """Matthews' correlation coefficient in [-1, 1]; 0 when a row or column of the table is empty, as usual."""
    tp, fp, fn, tn = counts
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(below) if below > 0.0 else 0.0


class Curve(NamedTuple):
    """Precision and recall at falling thresholds, each (k,); ``ap`` is the area by steps (average precision)."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    ap: float
    prevalence: float


def precision_recall(label: np.ndarray, score: np.ndarray) -> Curve:
    """The curve over every distinct score: AP = sum (R_i - R_(i-1)) P_i, ties counted as one threshold.

    ``label`` (c,) bool, ``score`` (c,) without NaN. NaN area without a positive cell.
    """
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) if len(score) else np.empty(0, np.int64)
    tp = np.cumsum(label[order])[last].astype(np.float64)
    positive = float(np.count_nonzero(label))
    precision = tp / (last + 1.0)
    if not positive:
        return Curve(ordered[last], precision, np.full(len(last), math.nan), math.nan, 0.0)
    recall = tp / positive
    ap = float(np.sum(np.diff(recall, prepend=0.0) * precision))
    return Curve(ordered[last], precision, recall, ap, positive / len(label))


def thin(curve: Curve, most: int) -> Curve:
    """The curve with at most ``most`` points, evenly along the recall, its ends kept; the area stays that of all."""
    if len(curve.recall) <= most or not math.isfinite(curve.ap):
        return curve
    at = np.searchsorted(curve.recall, np.linspace(curve.recall[0], curve.recall[-1], most))
    keep = np.unique(np.r_[0, np.minimum(at, len(curve.recall) - 1), len(curve.recall) - 1])
    return curve._replace(threshold=curve.threshold[keep], precision=curve.precision[keep], recall=curve.recall[keep])
