"""What a forecaster sees: series that share their hours, and the calendar of those hours and of the horizon."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np

from nexova_sim.base.errors import ConfigError, suggest

WEEK_H = 168
HORIZON_H = 168
LEVEL = 0.95
_HOUR_MS = 3_600_000
_DAY_S = 86_400
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, Monday = 0
_SUNDAY = 6


class Calendar(NamedTuple):
    """The hours of t hours of history and the horizon after them.

    ``start_ms`` UTC of the first hour; ``cell`` (t + 168,) local hour of the week, Monday midnight = 0, a holiday
    counts as a Sunday; ``wall_s`` (t + 168,) local wall clock, seconds since 1970; ``back`` (t + 168, 4) places of
    the last four hours with the same cell, all at least 168 hours earlier, so that they are known at the origin.
    """

    start_ms: int
    cell: np.ndarray
    wall_s: np.ndarray
    back: np.ndarray


class Panel(NamedTuple):
    """n series over t shared hours: ``energy_kwh`` (n, t), NaN where nothing was measured."""

    ids: tuple[str, ...]
    energy_kwh: np.ndarray
    calendar: Calendar


class Forecast(NamedTuple):
    """``mean``, ``low``, ``high`` (n, 168) in kWh: the 168 hours after the last one of a panel, 95 % interval."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone ``name``; ConfigError when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"timezone {name!r}: unknown; {suggest(name, available_timezones())}") from error


def _offset_s(zone: ZoneInfo, second: int) -> int:
    return int((datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset() or timedelta()).total_seconds())


@lru_cache(maxsize=512)
def _offsets(name: str, first_s: int, n_hours: int) -> np.ndarray:
    """Offset from UTC, seconds, at the start of every hour (n_hours,); asked once a day unless the day has a change."""
    zone = zone_of(name)
    out = np.empty(n_hours, np.int64)
    before = _offset_s(zone, first_s)
    for begin in range(0, n_hours, 24):
        end = min(begin + 24, n_hours)
        after = _offset_s(zone, first_s + end * 3600)
        if before == after:
            out[begin:end] = before
        else:
            out[begin:end] = [_offset_s(zone, first_s + h * 3600) for h in range(begin, end)]
        before = after
    out.flags.writeable = False
    return out


def wall_clock(timezone: str, start_ms: int, n_hours: int) -> np.ndarray:
    """Local wall clock at the start of every hour from ``start_ms`` (UTC), seconds since 1970, (n_hours,) int64."""
    first_s = start_ms // 1000
    # A year of offsets is kept per zone, so that rolling origins do not ask again.
    base_s = first_s // (366 * _DAY_S) * (366 * _DAY_S)
    skip = (first_s - base_s) // 3600
    room = -(-(skip + n_hours) // (366 * 24)) * 366 * 24
    offsets = _offsets(timezone, base_s, room)[skip : skip + n_hours]
    wall: np.ndarray = base_s + (skip + np.arange(n_hours, dtype=np.int64)) * 3600 + offsets
    return wall


def make_calendar(timezone: str, start_ms: int, n_hours: int, holidays: tuple[date, ...] = ()) -> Calendar:
    """The calendar of ``n_hours`` of history from ``start_ms`` in ``timezone`` and of the 168 hours after them."""
    wall = wall_clock(timezone, start_ms, n_hours + HORIZON_H)
    day = wall // _DAY_S
    weekday = (day + _EPOCH_WEEKDAY) % 7
    if holidays:
        weekday = np.where(np.isin(day, [(d - date(1970, 1, 1)).days for d in holidays]), _SUNDAY, weekday)
    cell = weekday * 24 + wall % _DAY_S // 3600
    return Calendar(start_ms, cell, wall, same_hours(cell))


def same_hours(cell: np.ndarray) -> np.ndarray:
    """Places (t, 4) of the last four hours with the same ``cell`` at least 168 hours earlier.

    Where there are fewer, those there are repeat; where there is none, the hour 168 earlier, or the first, stands in.
    """
    n = len(cell)
    regular = np.arange(n)[:, None] - WEEK_H * np.arange(1, 5)
    if np.array_equal(cell[WEEK_H:], cell[:-WEEK_H]):
        there = np.maximum(np.arange(n) // WEEK_H, 1)[:, None]
        back = np.arange(n)[:, None] - WEEK_H * (1 + np.arange(4) % there)
        return np.maximum(np.where(regular >= 0, regular, back), 0)
    back = np.empty((n, 4), np.int64)
    for c in np.unique(cell):
        places = np.flatnonzero(cell == c)
        last = np.searchsorted(places, places - WEEK_H, side="right") - 1
        steps = np.arange(4) % np.maximum(last + 1, 1)[:, None]
        found = places[np.maximum(last[:, None] - steps, 0)]
        back[places] = np.where(last[:, None] >= 0, found, np.maximum(places - WEEK_H, 0)[:, None])
    return back


def fill_gaps(panel: Panel) -> np.ndarray:
    """``energy_kwh`` (n, t) with missing hours replaced.

    By the same hour of the week before, else of the week after, else the series' median; 0 in a series without any
    value.
    """
    y = panel.energy_kwh
    gaps = np.isnan(y)
    if not gaps.any():
        return y
    y = y.copy()
    back, n_hours = panel.calendar.back, y.shape[1]
    columns = np.flatnonzero(gaps.any(axis=0))
    for t in columns:
        if t >= WEEK_H:
            y[gaps[:, t], t] = y[gaps[:, t], back[t, 0]]
    for t in columns[::-1]:
        if t + WEEK_H < n_hours:
            rows = np.isnan(y[:, t])
            y[rows, t] = y[rows, t + WEEK_H]
    for i in np.flatnonzero(np.isnan(y).any(axis=1)):
        known = panel.energy_kwh[i][~gaps[i]]
        y[i, np.isnan(y[i])] = np.median(known) if len(known) else 0.0
    return y


def load_bands(residual: np.ndarray, level: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high (n, 168): quantiles of ``residual`` (n, r; NaN = unknown) apart for hours of low and of high load.

    ``level`` (n, r) is what was forecast where the residuals were met. A load state with fewer than 40 residuals takes
    those of all hours. The quantiles lie a little outside 95 %, as residuals of few weeks understate the tails.
    """
    limit = 0.35 * np.nanquantile(level, 0.95, axis=1, keepdims=True)
    low, high = mean.copy(), mean.copy()
    for is_high in (True, False):
        mine = ((level > limit) == is_high) & np.isfinite(residual)
        few = mine.sum(axis=1) < 40
        mine[few] = np.isfinite(residual[few])
        count = mine.sum(axis=1)
        ordered = np.sort(np.where(mine, residual, np.inf), axis=1)
        rows = np.arange(len(mean))
        under = ordered[rows, np.clip(np.rint(0.022 * (count + 1) - 1).astype(int), 0, np.maximum(count - 1, 0))]
        over = ordered[rows, np.clip(np.rint(0.978 * (count + 1) - 1).astype(int), 0, np.maximum(count - 1, 0))]
        under, over = np.where(count > 0, under, 0.0), np.where(count > 0, over, 0.0)
        here = (mean > limit) == is_high
        low = np.where(here, mean + np.minimum(under, 0.0)[:, None], low)
        high = np.where(here, mean + np.maximum(over, 0.0)[:, None], high)
    return low, high
