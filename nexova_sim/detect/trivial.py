"""Detectors that know nothing, or one thing: the rows every result must stand beside.

``always``, ``never``, ``random`` (as many alarms, as long, at random times), and two that even look at the answers:
``threshold`` (the best level of one channel, either side) and ``clock`` (the best stretch of time since the start).
A detector that does not beat the last two has found nothing that needed a detector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.detect import detection_metrics as dm
from nexova_sim.detect.cells import Cells, channel_rows, covered, machine_spans, raised
from nexova_sim.detect.episodes import Spans
from nexova_sim.detect.judge import Answer

_LEVELS = 199
_CLOCK_BINS = 60


class Best(NamedTuple):
    """A detector chosen with the labels, and the words for it."""

    answer: Answer
    words: str


def always(cells: Cells) -> Answer:
    """One alarm per machine, from its first cell to its last."""
    flag = np.ones(len(cells.machine), np.bool_)
    return Answer(np.ones(len(flag)), flag, raised(cells, flag))


def never(cells: Cells) -> Answer:
    """No alarm."""
    flag = np.zeros(len(cells.machine), np.bool_)
    return Answer(np.zeros(len(flag)), flag, raised(cells, flag))


def at_random(cells: Cells, like: Spans, rng: np.random.Generator) -> Answer:
    """As many alarms as ``like``, as long, each raised in a random cell of a random machine; a random score."""
    n = len(cells.machine)
    at = rng.integers(0, max(n, 1), len(like.machine)) if n else np.empty(0, np.int64)
    length = rng.permutation(like.end_ms - like.start_ms)[: len(at)]
    alarms = Spans(cells.machine[at], cells.start_ms[at], cells.start_ms[at] + np.maximum(length, 1))
    return Answer(rng.random(n), covered(cells, alarms), alarms)


def _best_mcc(tp: np.ndarray, flagged: np.ndarray, positive: float, total: float) -> tuple[int, float]:
    """Place and value of the highest MCC of verdicts with ``tp`` true among ``flagged`` cells (k,)."""
    values = [
        dm.mcc(dm.Counts(a, b - a, positive - a, total - positive - b + a))
        for a, b in zip(tp.tolist(), flagged.tolist(), strict=True)
    ]
    best = int(np.argmax(values))
    return best, values[best]


def best_threshold(cells: Cells, label: np.ndarray, names: Sequence[str]) -> Best:
    """The channel, side and level (of 199 quantiles) with the highest MCC on the labels; NaN cells are not flagged."""
    positive, total = float(np.count_nonzero(label)), float(len(label))
    best = Best(never(cells), "no channel has values")
    highest = -math.inf
    for name, mean in channel_rows(cells, names):
        known = np.isfinite(mean)
        if not known.any():
            continue
        levels = np.unique(np.quantile(mean[known], np.linspace(0.0, 1.0, _LEVELS + 2)[1:-1]))
        for sign, word in ((1.0, "above"), (-1.0, "below")):
            value = np.where(known, sign * mean, -np.inf)
            order = np.argsort(value)
            tp_above = np.r_[np.cumsum(label[order][::-1])[::-1], 0]
            first = np.searchsorted(value[order], sign * levels, side="left")
            place, reached = _best_mcc(tp_above[first].astype(float), total - first, positive, total)
            if reached > highest:
                highest = reached
                flag = value >= sign * levels[place]
                score = np.where(known, value, value[known].min())
                best = Best(Answer(score, flag, raised(cells, flag)), f"{name} {word} {levels[place]:.4g}")
    return best


def position_ms(cells: Cells) -> np.ndarray:
    """Time since the first cell of the cell's machine (c,)."""
    out = np.zeros(len(cells.machine), np.int64)
    for _, own in machine_spans(cells):
        out[own] = cells.start_ms[own] - cells.start_ms[own.start]
    return out


def best_clock(cells: Cells, label: np.ndarray) -> Best:
    """The stretch [a, b) of time since each machine's start, of 60 equal parts, with the highest MCC on the labels."""
    position = position_ms(cells)
    if not len(position):
        return Best(never(cells), "no cells")
    end = int(position.max()) + cells.bin_ms
    part = np.minimum(position * _CLOCK_BINS // end, _CLOCK_BINS - 1)
    tp = np.r_[0, np.cumsum(np.bincount(part[label], minlength=_CLOCK_BINS))]
    n = np.r_[0, np.cumsum(np.bincount(part, minlength=_CLOCK_BINS))]
    pairs = [(a, b) for a in range(_CLOCK_BINS) for b in range(a + 1, _CLOCK_BINS + 1)]
    low, high = np.array(pairs).T
    place, _ = _best_mcc((tp[high] - tp[low]).astype(float), (n[high] - n[low]).astype(float),
                         float(np.count_nonzero(label)), float(len(label)))  # fmt: skip
    a, b = pairs[place]
    flag = (part >= a) & (part < b)
    hours = [round(x * end / _CLOCK_BINS / 3.6e6, 3) for x in (a, b)]
    words = f"from {hours[0]:g} h to {hours[1]:g} h after the start"
    return Best(Answer(flag.astype(np.float64), flag, raised(cells, flag)), words)
