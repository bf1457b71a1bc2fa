"""Derived channels: the trend of power and temperature, from a machine's own past only. Computed, never stored.

The trend at a reading is the least-squares slope over the readings in the trailing window (t - window, t]; no later
reading takes part, so that it may be used as a feature. Least squares in the centred form, per window:
slope = sum((t - mean t)(y - mean y)) / sum((t - mean t)^2).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import field

POWER_TREND = Channel("power_trend_kw_per_h", "kW/h", "float64", None, None, "slope of power over the trailing window")
TEMPERATURE_TREND = Channel(
    "temperature_trend_k_per_h", "K/h", "float64", None, None, "slope of temperature over the trailing window"
)

_HOUR_MS = 3_600_000.0


def _sums(u: np.ndarray, y: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    """Moments (5, n) of each row: 1, u, u^2, y, u y; zero where the value is not known."""
    return np.where(is_known, np.stack([np.ones_like(u), u, u * u, y, u * y]), 0.0)


def _cumulative(moments: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Running sums (5, n) that begin anew at every row of ``first``."""
    total = np.cumsum(moments, axis=1, dtype=np.longdouble)
    before = np.concatenate([np.zeros((5, 1), np.longdouble), total[:, :-1]], axis=1)
    start = np.maximum.accumulate(np.where(first, np.arange(moments.shape[1]), 0))
    return np.asarray(total - before[:, start], np.float64)


def trend(time_ms: np.ndarray, values: np.ndarray, window_s: float, min_points: int = 3) -> np.ndarray:
    """Slope per hour of ``values`` (n,) of one machine at ascending ``time_ms`` (n,) over the trailing window; (n,).

    NaN values are left out; the slope is NaN where fewer than ``min_points`` (at least 2) values stand in the window.
    ConfigError for a window or ``min_points`` that makes no sense, DataError when times do not ascend.
    """
    if not window_s > 0.0 or min_points < 2:
        raise ConfigError(f"trend: window_s ({window_s}) must be positive and min_points ({min_points}) at least 2")
    time_ms = np.asarray(time_ms, np.int64)
    if np.any(np.diff(time_ms) <= 0):
        raise DataError("trend: times must ascend; sort the readings by machine, then time, without doubles")
    if not len(time_ms):
        return np.empty(0)
    window_ms = max(1, round(window_s * 1000.0))
    window_h = window_ms / _HOUR_MS
    elapsed = time_ms - time_ms[0]
    bins = elapsed // window_ms
    y = np.asarray(values, np.float64)
    is_known = np.isfinite(y)
    y = np.where(is_known, y - (y[is_known][0] if is_known.any() else 0.0), 0.0)
    # Times are counted from the start of a bin, so that sums of squares stay small: the window of a row is the rest
    # of the bin before, plus its own bin up to the row.
    first = np.r_[True, bins[1:] != bins[:-1]]
    own = _cumulative(_sums((elapsed - bins * window_ms) / _HOUR_MS, y, is_known), first)
    sums = own + _rest_of_former_bin(
        own, bins, first, np.searchsorted(time_ms, time_ms - window_ms, side="right"), window_h
    )
    n, su, suu, sy, suy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = suu - su * su / n
        slope = (suy - su * sy / n) / spread
    return np.where((n >= min_points) & (spread > 0.0), slope, np.nan)


def _rest_of_former_bin(
    own: np.ndarray, bins: np.ndarray, first: np.ndarray, begin: np.ndarray, window_h: float
) -> np.ndarray:
    """Moments (5, n) of a window's rows in the bin before the row's own, about the start of the row's bin."""
    start = np.maximum.accumulate(np.where(first, np.arange(len(bins)), 0))
    last = np.maximum(start - 1, 0)
    has_rest = begin < start
    before = np.where(first[begin], 0.0, own[:, np.maximum(begin - 1, 0)])
    n, su, suu, sy, suy = np.where(has_rest, own[:, last] - before, 0.0)
    return np.stack(
        [n, su - window_h * n, suu - 2.0 * window_h * su + window_h * window_h * n, sy, suy - window_h * sy]
    )


def enrich(readings: pa.Table, window_s: float = 3600.0, min_points: int = 3) -> pa.Table:
    """``readings`` with power_trend_kw_per_h and temperature_trend_k_per_h (float64) appended; see ``trend``.

    Rows must be sorted by machine, then time, as in every dataset. DataError when they are not.
    """
    readings = readings.combine_chunks()
    machine = readings.column("machine_id").to_numpy()
    time_ms = readings.column("timestamp").cast(pa.int64()).to_numpy()
    starts = np.flatnonzero(np.r_[True, machine[1:] != machine[:-1]]) if len(machine) else np.array([], np.int64)
    if len(set(machine[starts])) < len(starts):
        raise DataError("enrich: rows of one machine must stand together; sort the readings by machine, then time")
    for name, channel in (("power_kw", POWER_TREND), ("temperature_c", TEMPERATURE_TREND)):
        values = readings.column(name).to_numpy()
        slope = np.empty(len(values))
        for begin, end in zip(starts, [*starts[1:], len(values)], strict=True):
            slope[begin:end] = trend(time_ms[begin:end], values[begin:end], window_s, min_points)
        readings = readings.append_column(field(channel), pa.array(slope))
    return readings
