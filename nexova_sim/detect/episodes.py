"""Which alarms are true, which faults are found: the matching rules of the evaluation, exactly.

1. A fault is an interval [onset, end) of a machine. Faults of one machine whose intervals, with ``tail`` after the end
   (and ``lead`` before the onset, 0 by default), overlap form one *episode*.
2. An alarm is TRUE when it is raised inside an episode. One that was raised before and still stands is not: else one
   alarm for ever would be right everywhere.
3. A fault is FOUND when an alarm raised in its episode touches [onset - lead, end + tail]. Its delay is the time from
   the onset to the earliest such alarm, 0 when that alarm was raised for another fault of the episode before.
4. An alarm raised in no episode but inside an *excuse* (the hours before a failure that no fault explains until the end
   of its repair; the time a finished fault's damage stays in the machine) is counted apart: neither true nor false.
5. Every other alarm is FALSE. Alarms raised and faults begun outside the judged span are not counted at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

TRUE, EXCUSED, FALSE, OUTSIDE = 1, 0, -1, -2


class Spans(NamedTuple):
    """Intervals [start, end) of machines, each (n,): place of the machine, milliseconds since 1970. Any order."""

    machine: np.ndarray
    start_ms: np.ndarray
    end_ms: np.ndarray


class Rules(NamedTuple):
    """How alarms and faults are matched, milliseconds."""

    lead_ms: int
    tail_ms: int


class Matched(NamedTuple):
    """Verdicts on a alarms and f faults.

    ``verdict`` (a,): TRUE, EXCUSED, FALSE or OUTSIDE; ``is_first`` (a,): the first true alarm of its episode;
    ``episode`` (f,); ``is_judged`` (f,); ``found_by`` (f,): the alarm that found it or -1; ``delay_ms`` (f,), -1 when
    not found; ``first_fault`` (a,): the fault an alarm is true for, or -1.
    """

    verdict: np.ndarray
    is_first: np.ndarray
    episode: np.ndarray
    is_judged: np.ndarray
    found_by: np.ndarray
    delay_ms: np.ndarray
    first_fault: np.ndarray


def spans_of(rows: Sequence[tuple[int, int, int]]) -> Spans:
    """Spans from rows (machine, start_ms, end_ms)."""
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Spans(table[:, 0], table[:, 1], table[:, 2])


def episodes_of(faults: Spans, rules: Rules) -> tuple[np.ndarray, Spans]:
    """Episode number of every fault (f,), and the episodes with lead and tail, sorted by machine and start."""
    order = np.lexsort((faults.start_ms, faults.machine))
    number = np.empty(len(order), np.int64)
    rows: list[tuple[int, int, int]] = []
    for i in order.tolist():
        who = int(faults.machine[i])
        low, high = int(faults.start_ms[i]) - rules.lead_ms, int(faults.end_ms[i]) + rules.tail_ms
        if rows and rows[-1][0] == who and low < rows[-1][2]:
            rows[-1] = (who, rows[-1][1], max(high, rows[-1][2]))
        else:
            rows.append((who, low, high))
        number[i] = len(rows) - 1
    return number, spans_of(rows)


def inside(spans: Spans, machine: np.ndarray, at_ms: np.ndarray) -> np.ndarray:
    """For points (a,): number of a span that holds them, or -1. Spans of one machine must not overlap."""
    found = np.full(len(machine), -1, np.int64)
    if not len(spans.machine):
        return found
    order = np.lexsort((spans.start_ms, spans.machine))
    for who in np.unique(machine).tolist():
        own = order[spans.machine[order] == who]
        points = np.flatnonzero(machine == who)
        if len(own):
            before = np.searchsorted(spans.start_ms[own], at_ms[points], side="right") - 1
            near = own[np.maximum(before, 0)]
            holds = (before >= 0) & (at_ms[points] < spans.end_ms[near])
            found[points[holds]] = near[holds]
    return found


def merged(spans: Spans) -> Spans:
    """The same time covered by spans that do not overlap, sorted by machine and start."""
    return episodes_of(spans, Rules(0, 0))[1]


def match(alarms: Spans, faults: Spans, excuses: Spans, judged: Spans, rules: Rules) -> Matched:
    """Judge ``alarms`` (raised, cleared) against ``faults``; ``judged`` holds at most one span per machine."""
    number, episodes = episodes_of(faults, rules)
    home = inside(episodes, alarms.machine, alarms.start_ms)
    verdict = np.where(home >= 0, TRUE, FALSE)
    excused = inside(merged(excuses), alarms.machine, alarms.start_ms) >= 0
    verdict[(home < 0) & excused] = EXCUSED
    verdict[inside(judged, alarms.machine, alarms.start_ms) < 0] = OUTSIDE
    is_judged = inside(judged, faults.machine, faults.start_ms) >= 0
    order = np.lexsort((np.arange(len(home)), alarms.start_ms))
    by_episode: dict[int, list[int]] = {}
    for a in order.tolist():
        if verdict[a] == TRUE:
            by_episode.setdefault(int(home[a]), []).append(a)
    is_first = np.zeros(len(home), np.bool_)
    is_first[[own[0] for own in by_episode.values()]] = True
    found_by = np.full(len(number), -1, np.int64)
    delay_ms = np.full(len(number), -1, np.int64)
    first_fault = np.full(len(home), -1, np.int64)
    for f in np.argsort(faults.start_ms, kind="stable").tolist():
        low, high = int(faults.start_ms[f]) - rules.lead_ms, int(faults.end_ms[f]) + rules.tail_ms
        for a in by_episode.get(int(number[f]), ()):
            if alarms.start_ms[a] < high and alarms.end_ms[a] > low:
                if found_by[f] < 0:
                    found_by[f] = a
                    delay_ms[f] = max(0, int(alarms.start_ms[a]) - int(faults.start_ms[f]))
                # The fault that began last before the alarm is what it was raised for.
                if first_fault[a] < 0 or faults.start_ms[f] <= alarms.start_ms[a]:
                    first_fault[a] = f
    return Matched(verdict, is_first, number, is_judged, found_by, delay_ms, first_fault)
