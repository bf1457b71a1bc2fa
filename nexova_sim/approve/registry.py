"""Attempts on the registry: judged, applied and recorded in one transaction. A denied one is recorded and nothing else.

Every function that changes something takes an ``Identity`` and a time (milliseconds since 1970, UTC) and leaves exactly
one audit entry, plus one of the system for each overdue request it finds on its machine.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from nexova_sim.approve.audit import Anchor, Entry, blank
from nexova_sim.approve.ledger import append, save_anchor
from nexova_sim.approve.people import THE_SYSTEM, Identity, recognise, role_table
from nexova_sim.approve.store import Store, writing
from nexova_sim.approve.tables import APPROVALS, MACHINES
from nexova_sim.approve.workflow import (
    REGISTRATION,
    TRANSITIONS,
    Actor,
    Attempt,
    Denial,
    Request,
    Standing,
    Verdict,
    is_overdue,
    judge,
)
from nexova_sim.base.errors import DataError, DeniedError


class Outcome(NamedTuple):
    """What an attempt came to. ``detail`` is what the audit entry holds; ``anchor`` is the log's after it."""

    denial: Denial | None
    actor: Actor
    detail: Mapping[str, Any]
    anchor: Anchor


class Deed(NamedTuple):
    """What a piece of work did or why it did nothing, for the audit entry."""

    denial: Denial | None
    detail: Mapping[str, Any]


Work = Callable[[sa.Connection, Actor], Deed]


def record(connection: sa.Connection, actor: Actor, entry: Entry, denial: Denial | None) -> Anchor:
    """Complete an entry with who and whether, and append it."""
    code = denial.code if denial else ""
    named = entry._replace(user_id=actor.user_id, actor=actor.email, role=actor.role, is_allowed=denial is None)
    return append(connection, named._replace(code=code))


def audited(store: Store, identity: Identity, action: str, resource: str, now_ms: int, work: Work) -> Outcome:
    """Recognise the actor, let ``work`` judge and change, record; all in one transaction.

    ``work`` changes nothing when it returns a denial. Raises DataError when the registry cannot be written.
    """
    with writing(store) as connection:
        actor, denial = recognise(connection, identity)
        deed = Deed(denial, {"why": denial.why}) if denial else work(connection, actor)
        entry = blank(now_ms, action, resource, deed.detail)
        outcome = Outcome(deed.denial, actor, deed.detail, record(connection, actor, entry, deed.denial))
    save_anchor(store, outcome.anchor)
    return outcome


def demand(outcome: Outcome) -> Outcome:
    """The outcome of an allowed attempt; DeniedError for a denied one, which is in the audit log by now."""
    if outcome.denial is not None:
        raise DeniedError(outcome.denial.code, outcome.denial.why, audit_entry=outcome.anchor.n_entries)
    return outcome


def standing_of(connection: sa.Connection, machine_id: str) -> Standing | None:
    """A machine as it stands; None when it is not registered."""
    machine = connection.execute(sa.select(MACHINES).where(MACHINES.c.id == machine_id)).one_or_none()
    if machine is None:
        return None
    query = sa.select(APPROVALS).where(APPROVALS.c.machine_id == machine_id).order_by(APPROVALS.c.revision)
    rows = connection.execute(query).all()
    found = {r.subject: Request(r.subject, r.revision, r.status, r.submitted_by, r.created_ms) for r in rows}
    return Standing(machine_id, machine.factory_id, machine.status, found, rows[-1].revision if rows else 0)


def act(store: Store, identity: Identity, attempt: Attempt, now_ms: int) -> Outcome:
    """Try an action of the workflow on a machine: submit, approve, reject, withdraw, expire, set_..."""

    def work(connection: sa.Connection, actor: Actor) -> Deed:
        standing = standing_of(connection, attempt.machine_id)
        if standing is None:
            why = f"machine {attempt.machine_id!r} is not registered"
            return Deed(Denial("NOT_FOUND", why), {"why": why})
        if attempt.action != "expire":
            standing = _expire_overdue(connection, standing, now_ms)
        verdict = judge(role_table(connection), actor, standing, attempt, now_ms)
        if verdict.denial is None:
            apply(connection, actor, attempt, verdict, now_ms)
        return Deed(verdict.denial, describe(attempt, verdict))

    return audited(store, identity, attempt.action, attempt.machine_id, now_ms, work)


def _expire_overdue(connection: sa.Connection, standing: Standing, now_ms: int) -> Standing:
    """The machine after the system has let its overdue request expire, if it has one; recorded like any attempt."""
    table, waiting = role_table(connection), standing.open
    if waiting is None or not is_overdue(table, waiting, now_ms):
        return standing
    attempt = Attempt("expire", standing.machine_id, waiting.subject, waiting.revision)
    verdict = judge(table, THE_SYSTEM, standing, attempt, now_ms)
    apply(connection, THE_SYSTEM, attempt, verdict, now_ms)
    entry = blank(now_ms, "expire", standing.machine_id, describe(attempt, verdict))
    record(connection, THE_SYSTEM, entry, verdict.denial)
    after = standing_of(connection, standing.machine_id)
    if after is None:
        raise DataError(f"machine {standing.machine_id!r} is gone in the middle of a change; nothing was changed")
    return after


def describe(attempt: Attempt, verdict: Verdict) -> dict[str, Any]:
    """What the audit entry of a judged attempt holds besides who, what and when."""
    detail = verdict._asdict()
    denial = detail.pop("denial")
    if denial is not None:
        detail["why"] = denial.why
    if attempt.comment:
        detail["comment"] = attempt.comment
    if attempt.revision is not None:
        detail["seen_revision"] = attempt.revision
    return detail


def apply(connection: sa.Connection, actor: Actor, attempt: Attempt, verdict: Verdict, now_ms: int) -> None:
    """Write what an allowed attempt changes. Raises DataError when what was judged is no longer there."""
    if attempt.action == "submit":
        row = {
            "id": f"apr_{uuid.uuid4().hex}", "machine_id": attempt.machine_id, "subject": verdict.subject,
            "revision": verdict.revision, "status": verdict.state_to, "submitted_by": actor.user_id,
            "comments": attempt.comment, "decision_comment": "", "created_ms": now_ms,
        }  # fmt: skip
        connection.execute(sa.insert(APPROVALS).values(row))
    elif attempt.action in TRANSITIONS:
        decided = {"status": verdict.state_to, "decided_by": actor.user_id or None, "decided_ms": now_ms}
        mine = (
            (APPROVALS.c.machine_id == attempt.machine_id)
            & (APPROVALS.c.revision == verdict.revision)
            & (APPROVALS.c.status == verdict.state_from)
        )
        changed = connection.execute(
            sa.update(APPROVALS).where(mine).values(**decided, decision_comment=attempt.comment)
        )
        _one(changed.rowcount)
    if verdict.status_to != verdict.status_from:
        mine = (MACHINES.c.id == attempt.machine_id) & (MACHINES.c.status == verdict.status_from)
        changed = connection.execute(
            sa.update(MACHINES).where(mine).values(status=verdict.status_to, updated_ms=now_ms)
        )
        _one(changed.rowcount)


def _one(n_rows: int) -> None:
    if n_rows != 1:
        raise DataError("the machine or its request changed meanwhile; nothing was changed, look again")


def overdue_machines(connection: sa.Connection, now_ms: int) -> list[str]:
    """Machines whose open request has waited longer than the role table allows."""
    table = role_table(connection)
    query = sa.select(APPROVALS).where(APPROVALS.c.status == "PENDING").order_by(APPROVALS.c.created_ms)
    return [
        r.machine_id
        for r in connection.execute(query)
        if is_overdue(table, Request(r.subject or REGISTRATION, r.revision, r.status, "", r.created_ms), now_ms)
    ]
