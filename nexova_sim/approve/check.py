"""Does the record fit the state? The audit log is read from the start and what it tells is compared with the tables."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import sqlalchemy as sa

from nexova_sim.approve.audit import Anchor, Entry, Finding, verify_chain
from nexova_sim.approve.ledger import ANCHOR_ROW, anchor_row, entries, read_anchor_file
from nexova_sim.approve.store import Store, reading
from nexova_sim.approve.tables import APPROVALS, MACHINES, USERS
from nexova_sim.approve.workflow import APPROVED, ONLINE, PENDING, REGISTRATION, TRANSITIONS


class AuditReport(NamedTuple):
    """What a verification found. ``covered`` entries are vouched for outside the registry (None: no such anchor)."""

    n_entries: int
    head: str
    covered: int | None
    findings: tuple[Finding, ...]


class Told(NamedTuple):
    """The state as the log tells it: status by machine, (state, submitter) by machine and revision, role by user."""

    statuses: dict[str, str]
    requests: dict[tuple[str, int], tuple[str, str, str]]
    roles: dict[str, str]
    problems: list[Finding]


def tell(log: list[Entry]) -> Told:
    """Follow the allowed entries of a log; a step that does not start where the former ended is a finding."""
    told = Told({}, {}, {}, [])
    for entry in log:
        if entry.is_allowed:
            try:
                _follow(told, entry, json.loads(entry.detail))
            except (ValueError, KeyError, TypeError):
                told.problems.append(Finding(entry.seq, "cannot be read"))
    return told


def _follow(told: Told, entry: Entry, detail: dict[str, Any]) -> None:
    if entry.action == "add_machine":
        told.statuses[entry.resource] = detail["status_to"]
    elif entry.action in {"add_user", "set_user"}:
        told.roles[detail["user_id"]] = detail["role"]
    elif "status_to" in detail:
        if told.statuses.get(entry.resource) != detail["status_from"]:
            told.problems.append(Finding(entry.seq, "the machine's status was another"))
        told.statuses[entry.resource] = detail["status_to"]
        if entry.action in TRANSITIONS:
            _follow_request(told, entry, detail)


def _follow_request(told: Told, entry: Entry, detail: dict[str, Any]) -> None:
    key = (entry.resource, detail["revision"])
    if entry.action == "submit":
        if key in told.requests:
            told.problems.append(Finding(entry.seq, "this revision was submitted before"))
        told.requests[key] = (detail["state_to"], entry.user_id, "")
        return
    state, submitter, _ = told.requests.get(key, ("NONE", "", ""))
    if state != detail["state_from"]:
        told.problems.append(Finding(entry.seq, f"the request was {state}"))
    told.requests[key] = (detail["state_to"], submitter, entry.user_id)


def compare_state(connection: sa.Connection, log: list[Entry]) -> list[Finding]:
    """Where the tables say something else than the log, or what can never be; empty when all fits."""
    told = tell(log)
    found = list(told.problems)
    statuses = {r.id: r.status for r in connection.execute(sa.select(MACHINES))}
    rows = connection.execute(sa.select(APPROVALS)).all()
    requests = {(r.machine_id, r.revision): (r.status, r.submitted_by, r.decided_by or "") for r in rows}
    roles = {r.id: r.role for r in connection.execute(sa.select(USERS))}
    for what, said, there in (
        ("status of machine", told.statuses, statuses),
        ("request", told.requests, requests),
        ("role of user", told.roles, roles),
    ):
        keys: set[Any] = {*said, *there}
        for key in sorted(keys, key=str):
            if said.get(key) != there.get(key):
                found.append(Finding(0, f"{what} {key}: the log says {said.get(key)}, the table {there.get(key)}"))
    registered = {r.machine_id for r in rows if r.subject == REGISTRATION and r.status == APPROVED}
    found += [
        Finding(0, f"machine {name} is ONLINE without an approval")
        for name, status in statuses.items()
        if status == ONLINE and name not in registered
    ]
    waiting = [r.machine_id for r in rows if r.status == PENDING]
    twice = sorted({name for name in waiting if waiting.count(name) > 1})
    found += [Finding(0, f"machine {name} has {waiting.count(name)} open requests") for name in twice]
    return found


def verify_store(store: Store, extra: Anchor | None = None) -> AuditReport:
    """Verify the chain against all anchors, and the tables against the log. ``extra`` is an anchor kept elsewhere."""
    outside = read_anchor_file(store.anchor) if store.anchor is not None else None
    with reading(store) as connection:
        inside, log = anchor_row(connection), list(entries(connection))
        findings = compare_state(connection, log)
    anchors = {ANCHOR_ROW: inside}
    if outside is not None:
        anchors[f"the anchor file {store.anchor}"] = outside
    elif store.anchor is not None and log:
        findings.insert(0, Finding(0, f"the anchor file {store.anchor} is gone; restore it from a copy"))
    if extra is not None:
        anchors["the given anchor"] = extra
    chain = verify_chain(log, anchors)
    if len(log) > inside.n_entries:
        chain.append(
            Finding(inside.n_entries + 1, f"the log goes on after the {inside.n_entries} entries of {ANCHOR_ROW}")
        )
    known = [a.n_entries for a in (outside, extra) if a is not None]
    return AuditReport(inside.n_entries, inside.head, max(known, default=None), tuple(chain + findings))
