"""Local time, shifts and holidays of a factory, on the slot grid."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.types import Factory, Shift

_DAY_S = 86_400
_HOUR_S = 3_600
_QUARTER_S = 900
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, Monday = 0
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class LocalTime(NamedTuple):
    """Local time of the middle of every slot; arrays (n_slots,) int64."""

    day: np.ndarray  # days since 1970-01-01, local
    weekday: np.ndarray  # Monday = 0
    second: np.ndarray  # second of the local day


def zone(name: str, where: str) -> ZoneInfo:
    """The IANA time zone ``name``; ConfigError naming ``where`` when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        from zoneinfo import available_timezones

        raise ConfigError(f"{where}: unknown time zone {name!r}; {suggest(name, available_timezones())}") from error


def _offset(tz: ZoneInfo, second: int) -> int:
    moment = datetime.fromtimestamp(second, UTC).astimezone(tz)
    return int((moment.utcoffset() or timedelta()).total_seconds())


@lru_cache(maxsize=4096)
def _offsets(name: str, first_hour: int, n_hours: int) -> np.ndarray:
    """Offset from UTC in seconds for every quarter of an hour, (4 n_hours,) int64."""
    tz = zone(name, "timezone")
    hourly = [_offset(tz, (first_hour + h) * _HOUR_S) for h in range(n_hours + 1)]
    quarters = np.repeat(np.array(hourly[:-1], np.int64), _HOUR_S // _QUARTER_S)
    # Zones with half an hour in their offset change their clocks at half past the hour, UTC.
    for h in np.flatnonzero(np.diff(hourly)):
        for q in range(_HOUR_S // _QUARTER_S):
            at = (first_hour + int(h)) * _HOUR_S + q * _QUARTER_S
            quarters[h * (_HOUR_S // _QUARTER_S) + q] = _offset(tz, at)
    return quarters


def local_time(timezone: str, start_s: int, slot_s: int, n_slots: int) -> LocalTime:
    """Local day, weekday and second of day for slots from ``start_s`` (s since 1970, UTC); exact across DST changes."""
    middle = start_s + slot_s // 2 + slot_s * np.arange(n_slots, dtype=np.int64)
    first = int(middle[0] // _HOUR_S)
    offsets = _offsets(timezone, first, int(middle[-1] // _HOUR_S) - first + 1)
    local = middle + offsets[(middle - first * _HOUR_S) // _QUARTER_S]
    day = local // _DAY_S
    return LocalTime(day, (day + _EPOCH_WEEKDAY) % 7, local % _DAY_S)


def _second(text: str) -> int:
    return int(text[:2]) * _HOUR_S + int(text[3:]) * 60


def _days_since_epoch(days: list[date]) -> np.ndarray:
    return np.array([(d - date(1970, 1, 1)).days for d in days], np.int64)


def is_holiday(factory: Factory, local: LocalTime) -> np.ndarray:
    """Mask (n_slots,): the local day is a holiday."""
    return np.isin(local.day, _days_since_epoch(factory.calendar.holidays))


def _in_shift(shift: Shift, local: LocalTime, holidays: np.ndarray) -> np.ndarray:
    begin, end = _second(shift.start), _second(shift.end)
    days = np.array([_DAYS.index(d) for d in shift.days], np.int64)
    works = np.isin(local.weekday, days) & ~np.isin(local.day, holidays)
    if begin < end:
        return works & (local.second >= begin) & (local.second < end)
    # Past midnight the shift belongs to the day before.
    worked = np.isin((local.weekday - 1) % 7, days) & ~np.isin(local.day - 1, holidays)
    return (works & (local.second >= begin)) | (worked & (local.second < end))


def on_shift(factory: Factory, names: list[str], local: LocalTime) -> np.ndarray:
    """Mask (n_slots,): one of the shifts ``names`` is running; ConfigError when the factory has none of them."""
    known = [s for s in factory.calendar.shifts if s.name in names]
    if not known:
        have = ", ".join(s.name for s in factory.calendar.shifts) or "none"
        raise ConfigError(
            f"factory {factory.id!r}: calendar.shifts has none of the shifts {names} that its machines work in "
            f"(it has: {have}); add one of them"
        )
    holidays = _days_since_epoch(factory.calendar.holidays)
    mask = np.zeros(local.day.shape, bool)
    for shift in known:
        mask |= _in_shift(shift, local, holidays)
    return mask
