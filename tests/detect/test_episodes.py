"""The matching rules: each by hand, all against the slow twin, and what must always hold."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_evaluation import verdicts as slow

from nexova_sim.detect.episodes import (
    EXCUSED,
    FALSE,
    OUTSIDE,
    TRUE,
    Rules,
    episodes_of,
    inside,
    match,
    merged,
    spans_of,
)

WORDS = {TRUE: "true", EXCUSED: "excused", FALSE: "false", OUTSIDE: "outside"}
ALL = spans_of([(0, 0, 1000), (1, 0, 1000)])


def judge(alarms, faults, excuses=(), judged=ALL, rules=Rules(0, 10)):  # noqa: B008 - immutable
    return match(spans_of(alarms), spans_of(faults), spans_of(excuses), judged, rules)


def test_each_rule_by_hand():
    fault = [(0, 100, 200)]
    got = judge([(0, 150, 160)], fault)
    assert got.verdict.tolist() == [TRUE] and got.delay_ms.tolist() == [50] and got.found_by.tolist() == [0]
    assert judge([(0, 209, 300)], fault).verdict.tolist() == [TRUE]  # inside the tail
    assert judge([(0, 210, 300)], fault).verdict.tolist() == [FALSE]  # one past it
    early = judge([(0, 99, 500)], fault)  # raised before, still standing: no credit
    assert early.verdict.tolist() == [FALSE] and early.found_by.tolist() == [-1]
    assert judge([(0, 95, 500)], fault, rules=Rules(10, 10)).delay_ms.tolist() == [0]  # unless a lead is granted
    assert judge([(1, 150, 160)], fault).verdict.tolist() == [FALSE]  # another machine
    assert judge([(0, 50, 60)], fault, [(0, 0, 90)]).verdict.tolist() == [EXCUSED]
    assert judge([(0, 150, 160)], fault, [(0, 0, 900)]).verdict.tolist() == [TRUE]  # a fault goes before an excuse
    late = judge([(0, 150, 160)], fault, judged=spans_of([(0, 120, 1000)]))
    assert late.verdict.tolist() == [TRUE] and late.is_judged.tolist() == [False]  # the fault began before the exam
    assert judge([(0, 110, 160)], fault, judged=spans_of([(0, 120, 1000)])).verdict.tolist() == [OUTSIDE]


def test_overlapping_faults_are_one_episode():
    faults = [(0, 100, 200), (0, 205, 300), (0, 400, 500)]
    got = judge([(0, 150, 250), (0, 160, 170), (0, 180, 190)], faults)
    assert got.episode.tolist() == [0, 0, 1]  # 205 lies in the tail of the first
    assert got.is_first.tolist() == [True, False, False]
    assert got.found_by.tolist() == [0, 0, -1] and got.delay_ms.tolist() == [50, 0, -1]
    assert got.first_fault.tolist() == [0, 0, 0]
    # An alarm that was cleared before the second began does not find it.
    assert judge([(0, 150, 160)], faults).found_by.tolist() == [0, -1, -1]


def test_one_alarm_for_ever_finds_nothing():
    got = judge([(0, 0, 1000)], [(0, 100, 200), (0, 600, 700)])
    assert got.verdict.tolist() == [FALSE] and got.found_by.tolist() == [-1, -1]


def test_nothing_at_all():
    got = judge([], [])
    assert got.verdict.shape == got.delay_ms.shape == (0,)
    assert inside(spans_of([]), np.array([0]), np.array([5])).tolist() == [-1]


spans = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(1, 25)).map(lambda t: (t[0], t[1], t[1] + t[2])),
    max_size=7,
)


@settings(max_examples=300, deadline=None)
@given(spans, spans, spans, st.integers(0, 4), st.integers(0, 9), st.integers(0, 20))
def test_equals_the_slow_rules(alarms, faults, excuses, lead, tail, skip):
    judged = [(0, skip, 80), (1, 0, 70)]
    said, delays = slow(alarms, faults, excuses, judged, lead, tail)
    got = judge(alarms, faults, excuses, spans_of(judged), Rules(lead, tail))
    assert [WORDS[v] for v in got.verdict.tolist()] == said
    assert [None if d < 0 else d for d in got.delay_ms.tolist()] == delays
    # A true alarm belongs to a fault; every episode with a true alarm has exactly one first.
    hit = {got.episode[f] for f in got.first_fault.tolist() if f >= 0}
    assert got.is_first.sum() == len(hit) <= sum(w == "true" for w in said)


@given(spans, st.integers(0, 1), st.integers(-5, 90))
def test_merged_spans_cover_the_same_time(rows, machine, at):
    covered = any(m == machine and low <= at < high for m, low, high in rows)
    assert (inside(merged(spans_of(rows)), np.array([machine]), np.array([at]))[0] >= 0) == covered
    number, episodes = episodes_of(spans_of(rows), Rules(0, 0))
    assert len(set(number.tolist())) == len(episodes.machine)
