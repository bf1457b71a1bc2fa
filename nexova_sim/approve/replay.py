"""A replay: a script of attempts meets reviewers who work by the clock. Every attempt goes through ``workflow.judge``.

Reviewers take the oldest open request they may decide on, during their hours, one at a time; what they see is the
revision at that moment, so a request withdrawn meanwhile is a denied attempt, as it would be.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.approve.shifts import Shifts, after_work, next_work, shifts_between
from nexova_sim.approve.workflow import (
    APPROVED,
    HOUR_MS,
    OFFLINE,
    ONLINE,
    PENDING,
    REGISTRATION,
    TRANSITIONS,
    Actor,
    Attempt,
    Request,
    Standing,
    Verdict,
    is_in_scope,
    judge,
    may,
)
from nexova_sim.config.approval import ApprovalPart, Reviewer, Row

_SCRIPT, _EXPIRE, _RETURN, _DECIDE, _WAKE, _WITHDRAW = range(6)
_MINUTE_MS = 60_000
_SYSTEM = Actor("system", "system", "", is_system=True)


class Tried(NamedTuple):
    """An attempt and its verdict."""

    time_ms: int
    actor: Actor
    attempt: Attempt
    factory_id: str
    verdict: Verdict


class Asked(NamedTuple):
    """A request from submission to its end; ``ended_ms`` and ``by`` None while it is open."""

    machine_id: str
    factory_id: str
    subject: str
    revision: int
    submitted_ms: int
    submitted_by: str
    ended_ms: int | None
    state: str
    by: str | None


class Played(NamedTuple):
    """What a replay saw: every attempt in order of time, every request, working time spent by reviewer (ms)."""

    tried: list[Tried]
    asked: list[Asked]
    worked_ms: dict[str, int]
    start_ms: int
    end_ms: int


class _Desk(NamedTuple):
    """A reviewer at work: who, the hours, and the draws of time and outcome."""

    actor: Actor
    shifts: Shifts
    random: np.random.Generator


class _World(NamedTuple):
    """The state of a replay: everything in it changes while it runs."""

    part: ApprovalPart
    standings: dict[str, Standing]
    open: dict[tuple[str, int], Asked]
    taken: set[tuple[str, int]]
    busy: set[str]
    waking: set[str]
    heap: list[tuple[int, int, int, object]]
    tried: list[Tried]
    asked: list[Asked]
    worked_ms: dict[str, int]


def play(part: ApprovalPart, rows: Sequence[Row], end_ms: int, is_registered: bool) -> Played:
    """Play ``rows`` (in order of time) and the reviewers' answers until ``end_ms``.

    ``is_registered``: machines stand ONLINE with an approved registration from the start, instead of being new.
    """
    start_ms = rows[0].time_ms if rows else end_ms
    seeds = np.random.SeedSequence(part.policy.seed).spawn(len(part.policy.reviewers))
    desks = [
        _Desk(_reviewer(r), shifts_between(r.hours, r.zone, start_ms, end_ms), np.random.default_rng(seed))
        for r, seed in zip(part.policy.reviewers, seeds, strict=True)
    ]
    world = _World(part, {}, {}, set(), set(), set(), [], [], [], {d.actor.email: 0 for d in desks})
    for number, row in enumerate(rows):
        world.heap.append((row.time_ms, _SCRIPT, number, row))
        if row.machine_id not in world.standings:
            world.standings[row.machine_id] = _standing(row, is_registered)
    heapq.heapify(world.heap)
    while world.heap and world.heap[0][0] < end_ms:
        now_ms, kind, _, what = heapq.heappop(world.heap)
        _happen(world, desks, now_ms, kind, what)
        _assign(world, desks, now_ms)
    left = list(world.open.values())
    asked = sorted([*world.asked, *left], key=lambda a: (a.submitted_ms, a.machine_id, a.revision))
    return Played(world.tried, asked, world.worked_ms, start_ms, end_ms)


def _reviewer(row: Reviewer) -> Actor:
    return Actor(row.email, row.email, row.role, row.factory)


def _standing(row: Row, is_registered: bool) -> Standing:
    if not is_registered:
        return Standing(row.machine_id, row.factory_id, OFFLINE, {})
    done = Request(REGISTRATION, 1, APPROVED, "registry", row.time_ms)
    return Standing(row.machine_id, row.factory_id, ONLINE, {REGISTRATION: done}, 1)


def _happen(world: _World, desks: Sequence[_Desk], now_ms: int, kind: int, what: object) -> None:
    if isinstance(what, Row) and kind == _SCRIPT:
        factory = None if world.part.table.roles[what.role].scope == "all" else what.factory_id
        actor = Actor(what.email, what.email, what.role, factory, what.is_agent)
        verdict = _try(world, now_ms, actor, Attempt(what.action, what.machine_id, what.subject, None, what.comment))
        if verdict.denial is None and what.until_ms is not None:
            back = Attempt("withdraw", what.machine_id, verdict.subject, verdict.revision, "no longer needed")
            _push(world, max(now_ms, what.until_ms), _WITHDRAW, (actor, back))
    elif isinstance(what, Attempt):
        standing = world.standings[what.machine_id]
        waiting = standing.open
        if kind == _EXPIRE and (waiting is None or waiting.revision != what.revision):
            return
        if kind == _RETURN:
            email = world.part.policy.alerts.submitter
            operator = Actor("operator", f"operator for {email}", "OPERATOR", standing.factory_id)
            _try(world, now_ms, operator, what)
        else:
            _try(world, now_ms, _SYSTEM, what)
    elif isinstance(what, tuple) and kind == _WITHDRAW:
        submitter, attempt = what
        if (attempt.machine_id, attempt.revision) in world.open:
            _try(world, now_ms, submitter, attempt)
    elif isinstance(what, tuple) and kind == _DECIDE:
        number, attempt = what
        world.busy.discard(desks[number].actor.email)
        world.taken.discard((attempt.machine_id, attempt.revision))
        _try(world, now_ms, desks[number].actor, attempt)
    elif isinstance(what, str):
        world.waking.discard(what)


def _try(world: _World, now_ms: int, actor: Actor, attempt: Attempt) -> Verdict:
    """Judge an attempt and take over what it changes."""
    standing = world.standings[attempt.machine_id]
    verdict = judge(world.part.table, actor, standing, attempt, now_ms)
    world.tried.append(Tried(now_ms, actor, attempt, standing.factory_id, verdict))
    if verdict.denial is not None:
        return verdict
    if attempt.action not in TRANSITIONS:
        world.standings[standing.machine_id] = standing._replace(status=verdict.status_to)
        return verdict
    key = (standing.machine_id, verdict.revision)
    if attempt.action == "submit":
        request = Request(verdict.subject, verdict.revision, PENDING, actor.user_id, now_ms)
        world.open[key] = Asked(standing.machine_id, standing.factory_id, verdict.subject, verdict.revision, now_ms,
                                actor.email, None, PENDING, None)  # fmt: skip
        limit_h = world.part.table.expires_after_h
        if limit_h is not None:
            due = Attempt("expire", standing.machine_id, verdict.subject, verdict.revision)
            _push(world, now_ms + math.ceil(limit_h * HOUR_MS), _EXPIRE, due)
    else:
        request = standing.requests[verdict.subject]._replace(state=verdict.state_to)
        world.asked.append(world.open.pop(key)._replace(ended_ms=now_ms, state=verdict.state_to, by=actor.email))
        if verdict.state_to == APPROVED and verdict.subject != REGISTRATION:
            back = Attempt("set_online", standing.machine_id)
            _push(world, now_ms + round(world.part.policy.alerts.maintenance_h * HOUR_MS), _RETURN, back)
    requests = {**standing.requests, verdict.subject: request}
    world.standings[standing.machine_id] = standing._replace(
        status=verdict.status_to, requests=requests, revision=max(standing.revision, verdict.revision)
    )
    return verdict


def _push(world: _World, time_ms: int, kind: int, what: object) -> None:
    heapq.heappush(world.heap, (time_ms, kind, len(world.tried), what))


def _assign(world: _World, desks: Sequence[_Desk], now_ms: int) -> None:
    """Free reviewers take the oldest request they may decide on; those off duty are woken at their next shift."""
    if len(world.open) == len(world.taken):
        return
    for number, desk in enumerate(desks):
        if desk.actor.email in world.busy or desk.actor.email in world.waking:
            continue
        found = _oldest(world, desk.actor)
        if found is None:
            continue
        at = next_work(desk.shifts, now_ms)
        if at is None:
            continue
        if at > now_ms:
            world.waking.add(desk.actor.email)
            _push(world, at, _WAKE, desk.actor.email)
            continue
        _take(world, number, desk, found, now_ms)


def _oldest(world: _World, actor: Actor) -> Asked | None:
    """The oldest open request nobody works on that is in the actor's reach and not the actor's own."""
    table = world.part.table
    if not may(table, actor, "approve"):
        return None
    for key, asked in world.open.items():
        if key not in world.taken and asked.submitted_by != actor.email and is_in_scope(table, actor, asked.factory_id):
            return asked
    return None


def _take(world: _World, number: int, desk: _Desk, asked: Asked, now_ms: int) -> None:
    review = world.part.policy.review
    work_ms = max(
        1, round(review.median_min * _MINUTE_MS * float(np.exp(review.sigma * desk.random.standard_normal())))
    )
    is_approved = bool(desk.random.random() < world.part.policy.approve_frac)
    done_ms = after_work(desk.shifts, now_ms, work_ms)
    world.busy.add(desk.actor.email)
    world.taken.add((asked.machine_id, asked.revision))
    world.worked_ms[desk.actor.email] += work_ms
    if done_ms is None:
        return
    action, comment = ("approve", "") if is_approved else ("reject", "not convinced")
    decision = Attempt(action, asked.machine_id, asked.subject, asked.revision, comment)
    _push(world, done_ms, _DECIDE, (number, decision))
