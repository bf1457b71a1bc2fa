"""Replays: what a reviewer's clock does, what the rules deny, and that the figures fit the attempts."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.approve.replay import play
from nexova_sim.approve.review import backlog, backlog_mean, histogram, lead_hours, summarise, timeline
from nexova_sim.approve.shifts import after_work, next_work, shifts_between
from nexova_sim.config.approval import ApprovalPart, ApprovalPolicy, Hours, Reviewer, Row, load_approval
from nexova_sim.config.roles import load_roles

HOUR = 3_600_000
MONDAY = 1_767_571_200_000  # 2026-01-05T00:00:00Z
WEEK = 7 * 24 * HOUR


def part(**changes):
    policy = {"reviewers": [{"email": "sue@x", "role": "SUPERVISOR"}], "approve_frac": 1.0, **changes}
    return ApprovalPart(policy=ApprovalPolicy.model_validate(policy), table=load_roles())


def row(hour, machine="m1", action="submit", by="oli@x", role="OPERATOR", agent=False, subject=None, comment=""):
    return Row(MONDAY + round(hour * HOUR), machine, "f1", action, by, role, agent, subject, comment)


def played(rows, days=14, registered=False, **changes):
    return play(part(**changes), rows, MONDAY + days * 24 * HOUR, registered)


def hours(begin, end, days=("mon", "tue", "wed", "thu", "fri")):
    return Hours.model_validate({"days": list(days), "from": begin, "to": end})


def test_shifts_of_a_week():
    shifts = shifts_between(hours("06:00", "14:00"), "UTC", MONDAY, MONDAY + WEEK)
    assert len(shifts.begin) == 5
    assert shifts.begin[0] == MONDAY + 6 * HOUR
    assert next_work(shifts, MONDAY) == MONDAY + 6 * HOUR
    assert next_work(shifts, MONDAY + 7 * HOUR) == MONDAY + 7 * HOUR
    assert next_work(shifts, MONDAY + 14 * HOUR) == MONDAY + 30 * HOUR
    assert next_work(shifts, MONDAY + 5 * 24 * HOUR) is None
    # Nine hours of work begun at 13:00 last until 13:00 + 1 h on Monday, 8 h on Tuesday.
    assert after_work(shifts, MONDAY + 13 * HOUR, 9 * HOUR) == MONDAY + 38 * HOUR
    assert after_work(shifts, MONDAY + 4 * 24 * HOUR + 13 * HOUR, 9 * HOUR) is None


def test_a_night_shift_ends_on_the_next_day_and_round_the_clock_has_no_seams():
    night = shifts_between(hours("22:00", "06:00", ["sun"]), "UTC", MONDAY, MONDAY + WEEK)
    assert night.begin[0] == MONDAY - 2 * HOUR
    assert night.end[0] == MONDAY + 6 * HOUR
    always = shifts_between(Hours(), "UTC", MONDAY, MONDAY + WEEK)
    assert len(always.begin) == 1
    assert next_work(always, MONDAY + 100 * HOUR) == MONDAY + 100 * HOUR


def test_a_clock_change_makes_a_shift_shorter():
    start = round(datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp() * 1000)
    shifts = shifts_between(hours("22:00", "06:00", ["sat"]), "Europe/Berlin", start, start + 48 * HOUR)
    assert [(e - b) / HOUR for b, e in zip(*shifts, strict=True)] == [7.0]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 6 * 24 * 60), st.integers(1, 30 * 60), st.sampled_from(["06:00", "14:00", "22:30"]))
def test_work_is_done_minute_by_minute(start_min, work_min, begin):
    """Against counting minutes of work one by one."""
    shifts = shifts_between(hours(begin, "05:00" if begin == "22:30" else "23:00"), "UTC", MONDAY, MONDAY + 2 * WEEK)
    at, left = MONDAY + start_min * 60_000, work_min
    while left:
        left -= any(b <= at < e for b, e in zip(*shifts, strict=True))
        at += 60_000
    assert after_work(shifts, MONDAY + start_min * 60_000, work_min * 60_000) == at


def test_a_request_waits_for_the_shift():
    reviewers = [
        {"email": "sue@x", "role": "SUPERVISOR", "hours": {"days": ["mon", "tue"], "from": "06:00", "to": "14:00"}}
    ]
    found = played([row(20)], reviewers=reviewers, review={"median_min": 30.0, "sigma": 0.0})
    (asked,) = found.asked
    assert asked.state == "APPROVED"
    assert asked.by == "sue@x"
    assert asked.ended_ms == MONDAY + 30 * HOUR + 30 * 60_000
    assert lead_hours(found.asked).tolist() == [10.5]


def test_one_reviewer_takes_one_request_at_a_time_and_the_oldest_first():
    rows = [row(1 + k / 60, f"m{k}") for k in range(5)]
    found = played(rows, review={"median_min": 60.0, "sigma": 0.0})
    ends = [(a.ended_ms - MONDAY) / HOUR for a in found.asked]
    np.testing.assert_allclose(ends, [2, 3, 4, 5, 6])
    times, waiting = backlog(found)
    assert waiting.max() == 5
    assert waiting[-1] == 0
    assert len(times) == len(waiting)


def test_two_reviewers_halve_the_wait():
    rows = [row(1, f"m{k}") for k in range(10)]
    one = played(rows, review={"median_min": 60.0, "sigma": 0.0})
    pair = [{"email": f"s{k}@x", "role": "SUPERVISOR"} for k in range(2)]
    two = played(rows, review={"median_min": 60.0, "sigma": 0.0}, reviewers=pair)
    assert lead_hours(one.asked).mean() == pytest.approx(5.5)
    assert lead_hours(two.asked).mean() == pytest.approx(3.0)


def test_nobody_reviews_the_own_request_and_only_the_own_factory():
    found = played([row(1, by="sue@x", role="SUPERVISOR")])
    assert [a.state for a in found.asked] == ["EXPIRED"]
    elsewhere = [{"email": "eva@x", "role": "SUPERVISOR", "factory": "f2"}]
    assert [a.state for a in played([row(1)], reviewers=elsewhere).asked] == ["EXPIRED"]
    viewer = [{"email": "vic@x", "role": "VIEWER"}]
    assert [a.state for a in played([row(1)], reviewers=viewer).asked] == ["EXPIRED"]


def test_an_unanswered_request_expires_to_the_minute():
    found = played([row(1)], reviewers=[])
    (asked,) = found.asked
    assert asked.state == "EXPIRED"
    assert asked.ended_ms - asked.submitted_ms == 168 * HOUR
    assert found.tried[-1].actor.is_system


def test_denied_attempts_are_attempts_and_change_nothing():
    rows = [
        row(1), row(1.01, by="ann@x"), row(1.02, action="approve", role="SUPERVISOR"),
        row(1.03, action="approve", by="bot@x", role="ADMIN", agent=True),
        row(1.04, action="reject", by="sue2@x", role="SUPERVISOR"),
    ]  # fmt: skip
    found = played(rows, reviewers=[])
    codes = [t.verdict.denial.code if t.verdict.denial else None for t in found.tried]
    assert codes[:5] == [None, "CONFLICT", "FORBIDDEN", "FORBIDDEN", "COMMENT_NEEDED"]
    assert summarise(found)["denied"] == 4
    assert len(found.asked) == 1


def test_a_decision_on_a_withdrawn_request_is_denied():
    rows = [row(1), row(1.5, action="withdraw")]
    found = played(rows, review={"median_min": 60.0, "sigma": 0.0})
    assert [a.state for a in found.asked] == ["WITHDRAWN"]
    last = found.tried[-1]
    assert last.attempt.action == "approve"
    assert last.verdict.denial.code == "CONFLICT"


def test_maintenance_ends_and_the_machine_comes_back():
    found = played([row(1, agent=True, by="bot@x", subject="MAINTENANCE")], registered=True,
                   review={"median_min": 60.0, "sigma": 0.0})  # fmt: skip
    actions = [(t.attempt.action, t.verdict.status_to, (t.time_ms - MONDAY) / HOUR) for t in found.tried]
    assert actions == [("submit", "ONLINE", 1.0), ("approve", "MAINTENANCE", 2.0), ("set_online", "ONLINE", 6.0)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 300),
            st.integers(0, 3),
            st.sampled_from(["submit", "withdraw", "approve", "reject"]),
            st.sampled_from(["oli@x", "ann@x", "bot@x"]),
        ),
        max_size=40,
    ),
    st.integers(0, 5),
)
def test_invariants_of_any_script(script, seed):
    rows = sorted((row(h, f"m{m}", action, by, "SUPERVISOR", by == "bot@x", None, "no") for h, m, action, by in script),
                  key=lambda r: r.time_ms)  # fmt: skip
    found = played(rows, days=40, seed=seed, approve_frac=0.5, review={"median_min": 600.0, "sigma": 1.0})
    submits = [t for t in found.tried if t.attempt.action == "submit" and t.verdict.denial is None]
    assert len(found.asked) == len(submits)
    assert [t.time_ms for t in found.tried] == sorted(t.time_ms for t in found.tried)
    for t in found.tried:
        if t.verdict.denial is None and t.attempt.action in {"approve", "reject"}:
            assert not t.actor.is_agent
    for asked in found.asked:
        assert asked.by != asked.submitted_by or asked.state in {"WITHDRAWN", "PENDING"}
        others = [o for o in found.asked if o.machine_id == asked.machine_id and o is not asked]
        end = asked.ended_ms or found.end_ms
        assert all(o.submitted_ms >= end or (o.ended_ms or found.end_ms) <= asked.submitted_ms for o in others)
    again = played(rows, days=40, seed=seed, approve_frac=0.5, review={"median_min": 600.0, "sigma": 1.0})
    assert again == found
    assert sum(summarise(found)["outcomes"].values()) == len(found.asked)


def test_approve_frac_is_the_share_of_approvals():
    rows = [row(k * 0.05, f"m{k}") for k in range(2000)]
    found = played(rows, days=30, approve_frac=0.8, review={"median_min": 2.0, "sigma": 0.5})
    outcomes = summarise(found)["outcomes"]
    share = outcomes["APPROVED"] / (outcomes["APPROVED"] + outcomes["REJECTED"])
    assert abs(share - 0.8) < 4 * (0.8 * 0.2 / 2000) ** 0.5


def test_figures_by_hand():
    rows = [row(0, "a"), row(0, "b")]
    found = played(rows, days=1, review={"median_min": 120.0, "sigma": 0.0})
    figures = summarise(found)
    assert figures["lead_median_h"] == 3.0
    assert figures["lead_max_h"] == 4.0
    assert backlog_mean(found) == pytest.approx((2 * 2 + 1 * 2) / 24)
    assert figures["reviewers"] == [{"email": "sue@x", "decided": 2, "busy_frac": round(4 / 24, 6)}]
    line = timeline(found)
    assert max(line["most_open"]) == 2
    assert line["most_open"][-1] == 0
    assert histogram(np.array([0.1, 0.3, 500.0]))["counts"] == [1, 1, *[0] * 9, 1]


def test_the_shipped_policy_covers_every_day():
    policy = load_approval().policy
    assert {day for r in policy.reviewers for day in r.hours.days} == {"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
    assert isinstance(policy.reviewers[0], Reviewer)
    assert timedelta(minutes=policy.review.median_min) < timedelta(hours=1)
