"""How good forecasts are, series by series and origin by origin. NaN hours (not measured) count nowhere.

Sources: MASE, Hyndman and Koehler 2006; RMSSE and MSIS as in the M5 and M4 competitions; CRPS of a quantile function
that is linear between the interval's ends and the mean (Gneiting and Raftery 2007).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.forecast.panel import LEVEL, WEEK_H, Forecast

METRICS = (
    "mase",
    "rmsse",
    "wape",
    "mape_running",
    "week_kwh_frac",
    "week_cost_frac",
    "pinball",
    "msis",
    "coverage_frac",
    "width_frac",
    "crps",
)
_TAIL = (1.0 - LEVEL) / 2.0


class Scales(NamedTuple):
    """What errors are measured in, (n,) each: mean absolute and root mean square change over a week; running limit."""

    week_kwh: np.ndarray
    week_rms_kwh: np.ndarray
    running_kwh: np.ndarray


def scales_of(history: np.ndarray, running_frac: float) -> Scales:
    """Scales from the history (n, t) before an origin only; a series that never changes has scale NaN.

    An hour counts as running above ``running_frac`` of the 95th percentile of the history.
    """
    steps = history[:, WEEK_H:] - history[:, :-WEEK_H]
    known = np.isfinite(steps)
    count = np.maximum(known.sum(axis=1), 1)
    absolute = np.where(known, np.abs(steps), 0.0).sum(axis=1) / count
    square = np.sqrt(np.where(known, steps**2, 0.0).sum(axis=1) / count)
    top = np.array([np.quantile(row[np.isfinite(row)], 0.95) if np.isfinite(row).any() else np.nan for row in history])
    none = (known.sum(axis=1) == 0) | (absolute <= 1e-9 * np.maximum(np.abs(np.nan_to_num(top)), 1e-9))
    return Scales(np.where(none, np.nan, absolute), np.where(none, np.nan, square), running_frac * top)


def _mean(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Row means over a mask, NaN where it is empty."""
    count = mask.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(count > 0, np.where(mask, values, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def crps_of(found: Forecast, actual: np.ndarray, n_levels: int = 40) -> np.ndarray:
    """CRPS (n, h): twice the mean pinball loss of the quantile function through low, mean and high."""
    levels = (np.arange(n_levels) + 0.5) / n_levels
    total = np.zeros_like(actual)
    for level in levels:
        share = (level - 0.5) / (0.5 - _TAIL)
        side = found.mean - found.low if share < 0 else found.high - found.mean
        quantile = found.mean + share * side
        miss = actual - quantile
        total += np.maximum(level * miss, (level - 1.0) * miss)
    return 2.0 * total / n_levels


def judge(found: Forecast, actual: np.ndarray, scales: Scales, price_usd_per_kwh: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of n forecasts (n, h) against what was measured (n, h, NaN = not), (n,) each; NaN where undefined.

    ``price_usd_per_kwh`` (n, h). Shares are fractions, not percent.
    """
    there = np.isfinite(actual) & np.isfinite(found.mean)
    y = np.where(there, actual, 0.0)
    error = np.where(there, found.mean - y, 0.0)
    running = there & (y > scales.running_kwh[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        total, size = (there * y).sum(axis=1), (there * np.abs(y)).sum(axis=1)
        cost = (y * price_usd_per_kwh * there).sum(axis=1)
        low, high = np.where(there, found.low, 0.0), np.where(there, found.high, 0.0)
        outside = np.maximum(low - y, 0.0) + np.maximum(y - high, 0.0)
        pinball = np.maximum(_TAIL * (y - low), (_TAIL - 1.0) * (y - low)) + np.maximum(
            (1.0 - _TAIL) * (y - high), -_TAIL * (y - high))  # fmt: skip
        clean = Forecast(np.where(there, found.mean, 0.0), low, high)
        usual = np.where(size > 0.0, size / np.maximum(there.sum(axis=1), 1), np.nan)
        return {
            "mase": _mean(np.abs(error), there) / scales.week_kwh,
            "rmsse": np.sqrt(_mean(error**2, there)) / scales.week_rms_kwh,
            "wape": np.where(size > 0.0, np.abs(error).sum(axis=1) / size, np.nan),
            "mape_running": _mean(np.abs(error) / np.where(running, np.abs(y), 1.0), running),
            "week_kwh_frac": np.where(total > 0.0, np.abs(error.sum(axis=1)) / total, np.nan),
            "week_cost_frac": np.where(cost > 0.0, np.abs((error * price_usd_per_kwh).sum(axis=1)) / cost, np.nan),
            "pinball": _mean(pinball / 2.0, there) / scales.week_kwh,
            "msis": _mean(high - low + 2.0 / (2.0 * _TAIL) * outside, there) / scales.week_kwh,
            "coverage_frac": _mean(((y >= low) & (y <= high)).astype(float), there),
            "width_frac": _mean(high - low, there) / usual,
            "crps": _mean(crps_of(clean, y), there) / scales.week_kwh,
        }


class Difference(NamedTuple):
    """A paired difference of means over origins, its standard error, and how many origins there were."""

    mean: float
    se: float
    n_origins: int


def paired(one: np.ndarray, other: np.ndarray) -> Difference:
    """``one`` minus ``other``, (origins, n) each: means over series at every origin, then over origins."""
    both = np.isfinite(one) & np.isfinite(other)
    gap = np.where(both, one - other, 0.0)
    count = both.sum(axis=1)
    means = (gap.sum(axis=1) / np.maximum(count, 1))[count > 0]
    n = len(means)
    se = float(means.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Difference(float(means.mean()) if n else float("nan"), se, n)
