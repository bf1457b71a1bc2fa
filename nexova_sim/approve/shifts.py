"""Working time of a reviewer: when the next minute of work is, and when so many minutes of work are done."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from nexova_sim.config.approval import DAYS, Hours

_DAY = timedelta(days=1)


class Shifts(NamedTuple):
    """Spans of work in order, each [begin, end) in ms since 1970 UTC; none touch."""

    begin: list[int]
    end: list[int]


def shifts_between(hours: Hours, zone: str, start_ms: int, end_ms: int) -> Shifts:
    """Every span of work that touches [start_ms, end_ms); on days of a clock change a shift is longer or shorter."""
    place = ZoneInfo(zone)
    day = datetime.fromtimestamp(start_ms / 1000, place).date() - _DAY
    last = datetime.fromtimestamp(end_ms / 1000, place).date()
    spans: list[tuple[int, int]] = []
    while day <= last:
        if DAYS[day.weekday()] in hours.days:
            begin = _moment(day, hours.begin, place)
            end = _moment(day, hours.end, place)
            if end <= begin:
                end = _moment(day + _DAY, hours.end, place)
            if spans and spans[-1][1] >= begin:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            else:
                spans.append((begin, end))
        day += _DAY
    kept = [s for s in spans if s[1] > start_ms and s[0] < end_ms]
    return Shifts([s[0] for s in kept], [s[1] for s in kept])


def _moment(day: date, clock: str, place: ZoneInfo) -> int:
    hour, minute = (int(part) for part in clock.split(":"))
    local = datetime(day.year, day.month, day.day, tzinfo=place) if hour == 24 else datetime(
        day.year, day.month, day.day, hour, minute, tzinfo=place)  # fmt: skip
    if hour == 24:
        following = day + _DAY
        local = datetime(following.year, following.month, following.day, tzinfo=place)
    return round(local.astimezone(UTC).timestamp() * 1000)


def next_work(shifts: Shifts, now_ms: int) -> int | None:
    """The first moment of work at or after ``now_ms``; None when there is none any more."""
    k = bisect_right(shifts.begin, now_ms) - 1
    if k >= 0 and now_ms < shifts.end[k]:
        return now_ms
    return shifts.begin[k + 1] if k + 1 < len(shifts.begin) else None


def after_work(shifts: Shifts, now_ms: int, work_ms: int) -> int | None:
    """When ``work_ms`` of work that begins at ``now_ms`` or with the next shift are done; None when never."""
    at = next_work(shifts, now_ms)
    while at is not None:
        k = bisect_right(shifts.begin, at) - 1
        left = shifts.end[k] - at
        if work_ms <= left:
            return at + work_ms
        work_ms -= left
        at = next_work(shifts, shifts.end[k])
    return None
