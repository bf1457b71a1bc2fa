"""Statistics of a stream of numbers in constant memory: exact moments and extremes, quantiles from a fixed histogram.

The histogram's buckets are the leading bits of a float32 (sign, exponent, 11 bits of mantissa), so a quantile is within
2^-11 (0.05 %) of the value of that rank, whatever the numbers' range; and equal data give equal answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SHIFT = 12
_ZERO = 1 << (31 - _SHIFT)  # bucket of the smallest positive numbers; those below hold the negative ones
QUANTILES = {"p05": 0.05, "median": 0.5, "p95": 0.95}


class Tally(NamedTuple):
    """Numbers so far: how many, how many NaN, mean, sum of squared deviations, extremes, bucket counts (int64)."""

    n: int
    n_nan: int
    mean: float
    m2: float
    low: float
    high: float
    buckets: np.ndarray


def new_tally() -> Tally:
    """The tally of no numbers."""
    return Tally(0, 0, 0.0, 0.0, np.inf, -np.inf, np.zeros(2 * _ZERO, np.int64))


def add_values(tally: Tally, values: np.ndarray) -> Tally:
    """``tally`` with ``values`` (1-d floats, NaN = missing) counted in; takes over its bucket array.

    Moments are merged pairwise: Chan, Golub, LeVeque 1979, "Updating formulae and a pairwise algorithm".
    """
    n_nan = 0
    if len(values) and np.isnan(values.min()):
        there = values[~np.isnan(values)]
        n_nan, values = len(values) - len(there), there
    n = len(values)
    if not n:
        return tally._replace(n_nan=tally.n_nan + n_nan)
    # By way of text, so that a float32 0.1 is 0.1 and not 0.10000000149011612.
    low, high = float(str(values.min())), float(str(values.max()))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(values.mean(dtype=np.float64))
        deviation = values - np.float64(mean)
        deviation *= deviation  # and summed by NumPy: a BLAS dot product depends on the number of threads
        delta = mean - tally.mean
        total = tally.n + n
        m2 = tally.m2 + float(deviation.sum()) + delta * delta * tally.n * n / total
        code = values.astype(np.float32, copy=False).view(np.int32) >> _SHIFT
    first = int(code.min())
    counts = np.bincount(code - first)
    tally.buckets[first + _ZERO : first + _ZERO + len(counts)] += counts
    return Tally(total, tally.n_nan + n_nan, tally.mean + delta * n / total, m2,
                 min(tally.low, low), max(tally.high, high), tally.buckets)  # fmt: skip


def quantiles(tally: Tally) -> dict[str, float]:
    """The named quantiles of the numbers so far; NaN when there are none."""
    if not tally.n:
        return dict.fromkeys(QUANTILES, float("nan"))
    filled = np.flatnonzero(tally.buckets)
    bits = ((filled - _ZERO) << _SHIFT).astype(np.int32)
    near = bits.view(np.float32).astype(np.float64)  # the edge nearer to zero; NaN never comes in, infinity is an edge
    order = np.argsort(near, kind="stable")
    up_to = np.cumsum(tally.buckets[filled][order])
    found = {}
    for name, share in QUANTILES.items():
        at = order[int(np.searchsorted(up_to, int(share * (tally.n - 1)), side="right"))]
        far = float((bits[at] + np.int32((1 << _SHIFT) - 1)).view(np.float32))
        found[name] = min(max(_roundest(float(near[at]), far), tally.low), tally.high)
    return found


def _roundest(one: float, other: float) -> float:
    """The number with the fewest decimal digits between two: readings are quantised, so it is likely the very one."""
    low, high = min(one, other), max(one, other)
    if not np.isfinite(low + high) or low <= 0.0 <= high:
        return one
    middle = (low + high) / 2.0
    for digits in range(1, 10):
        number = float(f"{middle:.{digits}g}")
        if low <= number <= high:
            return number
    return middle


def summary(tally: Tally) -> dict[str, float]:
    """Count, NaN count, extremes, mean, standard deviation (population) and quantiles by name."""
    nothing = float("nan")
    there = tally.n > 0
    middle = quantiles(tally)
    return {
        "count": tally.n,
        "nan": tally.n_nan,
        "min": tally.low if there else nothing,
        "mean": tally.mean if there else nothing,
        "std": float(np.sqrt(tally.m2 / tally.n)) if there else nothing,
        "p05": middle["p05"],
        "median": middle["median"],
        "p95": middle["p95"],
        "max": tally.high if there else nothing,
    }
