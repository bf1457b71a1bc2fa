"""Does the record fit the state? The audit log is read from the start and what it tells is compared with the tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from nexova_sim.approve.audit import MAX_FINDINGS, Anchor, Entry, Finding, verify_chain
from nexova_sim.approve.ledger import ANCHOR_ROW, anchor_row, entries, read_anchor_file
from nexova_sim.approve.store import Store, reading
from nexova_sim.approve.tables import APPROVALS, AUDIT, MACHINES, USERS
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


def tell(log: Iterable[Entry], told: Told) -> Iterator[Entry]:
    """Hand the entries of a log on, one by one, and follow the allowed ones in ``told``.

    A step that does not start where the former ended is a finding.
    """
    for entry in log:
        if entry.is_allowed:
            try:
                _follow(told, entry, json.loads(entry.detail))
            except (ValueError, KeyError, TypeError):
                told.problems.append(Finding(entry.seq, "cannot be read"))
        yield entry


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


def compare_state(connection: sa.Connection, told: Told) -> list[Finding]:
    """Where the tables say something else than a log that was followed, or what can never be; empty when all fits."""
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
    waiting = Counter(r.machine_id for r in rows if r.status == PENDING)
    found += [Finding(0, f"machine {name} has {n} open requests") for name, n in sorted(waiting.items()) if n > 1]
    return found


def verify_store(store: Store, extra: Anchor | None = None) -> AuditReport:
    """Verify the chain against all anchors, and the tables against the log. ``extra`` is an anchor kept elsewhere."""
    outside = read_anchor_file(store.anchor) if store.anchor is not None else None
    told = Told({}, {}, {}, [])
    with reading(store) as connection:
        inside = anchor_row(connection)
        n_entries = connection.execute(sa.select(sa.func.count()).select_from(AUDIT)).scalar_one()
        anchors = {ANCHOR_ROW: inside}
        if outside is not None:
            anchors[f"the anchor file {store.anchor}"] = outside
        if extra is not None:
            anchors["the given anchor"] = extra
        # One pass in constant memory; a chain with so many breaks that it was left half-read says nothing about tables.
        chain = verify_chain(tell(entries(connection), told), anchors)
        findings = compare_state(connection, told) if len(chain) < MAX_FINDINGS else []
    if outside is None and store.anchor is not None and n_entries:
        findings.insert(0, Finding(0, f"the anchor file {store.anchor} is gone; restore it from a copy"))
    if n_entries > inside.n_entries:
        chain.append(
            Finding(inside.n_entries + 1, f"the log goes on after the {inside.n_entries} entries of {ANCHOR_ROW}")
        )
    known = [a.n_entries for a in (outside, extra) if a is not None]
    return AuditReport(inside.n_entries, inside.head, max(known, default=None), tuple(chain + findings))
