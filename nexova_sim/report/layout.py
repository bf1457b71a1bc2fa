"""Where things stand in a figure: names of faults in lanes, round times along the axis."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

DAY_MS = 86_400_000
MOST_LANES = 6
_HOURS_S = tuple(3600 * h for h in (1, 2, 3, 6, 12))
_DAYS_S = tuple(86_400 * d for d in (1, 2, 4, 7, 14))
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600)
_STEPS_S = (1, 5, 15, 60, 300, 900, 1800, *_HOURS_S, *_DAYS_S)


class FaultSpan(NamedTuple):
    """A fault to mark, in milliseconds since 1970."""

    onset_ms: int
    end_ms: int
    name: str
    is_sensor: bool


class FaultGroup(NamedTuple):
    """Faults of one name that share a label."""

    number: int
    lane: int
    spans: tuple[FaultSpan, ...]

    @property
    def label(self) -> str:
        """The name, with the number of faults when there are several."""
        name = self.spans[0].name
        return name if len(self.spans) == 1 else f"{name} \u00d7{len(self.spans)}"


def fault_groups(spans: Sequence[FaultSpan], least_ms: int) -> list[FaultGroup]:
    """Spans of one name that are closer than a name is wide (``least_ms``) under one name, in lanes without overlap.

    At most ``MOST_LANES`` lanes; a group for which there is no lane left keeps its tint in the figure but not its name.
    """
    open_groups: dict[tuple[str, bool], FaultGroup] = {}
    groups: list[FaultGroup] = []
    for span in sorted(spans, key=lambda s: (s.onset_ms, s.end_ms, s.name)):
        group = open_groups.get((span.name, span.is_sensor))
        if group is not None and span.onset_ms < max(group.spans[-1].end_ms, group.spans[0].onset_ms + least_ms):
            group = group._replace(spans=(*group.spans, span))
            groups[group.number] = group
        else:
            group = FaultGroup(len(groups), 0, (span,))
            groups.append(group)
        open_groups[span.name, span.is_sensor] = group
    ends: list[int] = []
    placed = []
    for group in groups:
        onset = group.spans[0].onset_ms
        lane = next((n for n, end in enumerate(ends) if end <= onset), len(ends))
        if lane < MOST_LANES:
            ends += [0] * (lane + 1 - len(ends))
            ends[lane] = max(*(s.end_ms for s in group.spans), onset + least_ms)
            placed.append(group._replace(lane=lane))
    return placed


def merged(spans: Sequence[FaultSpan], within_ms: int) -> list[tuple[int, int]]:
    """The time the spans cover as (onset, end) pieces in milliseconds; pieces closer than ``within_ms`` are one."""
    pieces: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda s: s.onset_ms):
        if pieces and span.onset_ms <= pieces[-1][1] + within_ms:
            pieces[-1] = (pieces[-1][0], max(pieces[-1][1], span.end_ms))
        else:
            pieces.append((span.onset_ms, span.end_ms))
    return pieces


def time_ticks(start_ms: int, end_ms: int, most: int) -> list[tuple[int, str]]:
    """At most ``most`` round UTC times in [start, end], labelled by month, day, or hour with the day at midnight."""
    for step_s in _STEPS_S:
        step_ms = step_s * 1000
        first = -(-start_ms // step_ms) * step_ms
        if (end_ms - first) // step_ms < most:
            times = range(first, end_ms + 1, step_ms)
            return [(ms, _day_label(ms) if ms % DAY_MS == 0 else _clock_label(ms)) for ms in times]
    for stride in _MONTHS:
        months = _months(start_ms, end_ms, stride)
        if len(months) <= most:
            break
    return [(ms, _utc(ms).strftime("%b %Y")) for ms in months]


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _day_label(ms: int) -> str:
    return f"{_utc(ms).day} {_utc(ms):%b}"


def _clock_label(ms: int) -> str:
    return f"{_utc(ms):%H:%M:%S}" if ms % 60_000 else f"{_utc(ms):%H:%M}"


def _months(start_ms: int, end_ms: int, stride: int) -> list[int]:
    first, last = _utc(start_ms), _utc(end_ms)
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    starts = (
        round(datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000) for n in numbers if n % stride == 0
    )
    return [ms for ms in starts if start_ms <= ms <= end_ms]
