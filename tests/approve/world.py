"""A small registry to act on, what may happen in it in plain words, and the checks that every attempt must stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from nexova_sim.approve.check import verify_store
from nexova_sim.approve.ledger import entries
from nexova_sim.approve.members import NewMachine, NewUser, add_machine, add_user, first_user
from nexova_sim.approve.people import Identity
from nexova_sim.approve.registry import act, demand
from nexova_sim.approve.store import Store, open_store, reading
from nexova_sim.approve.tables import APPROVALS, MACHINES, USERS
from nexova_sim.approve.workflow import Attempt
from nexova_sim.config.roles import RoleTable, load_roles

HOUR_MS = 3_600_000
EXPIRES_MS = 168 * HOUR_MS
START_MS = 1_770_000_000_000
# name -> role, factory, agent
PEOPLE = {
    "ada": ("ADMIN", None, False),
    "sue": ("SUPERVISOR", "lyon", False),
    "sam": ("SUPERVISOR", "lyon", False),
    "pia": ("SUPERVISOR", "pune", False),
    "oli": ("OPERATOR", "lyon", False),
    "ola": ("OPERATOR", "lyon", False),
    "vic": ("VIEWER", "lyon", False),
    "bot": ("ADMIN", None, True),
}
FACTORY = {"m1": "lyon", "m2": "pune"}
ACTIONS = ("submit", "approve", "reject", "withdraw", "expire", "set_online", "set_offline", "set_maintenance")


class State(NamedTuple):
    """Everything but the log: status by machine, requests by (machine, revision), role by user."""

    statuses: dict
    requests: dict
    roles: dict


def email(name: str) -> str:
    return f"{name}@plant.example"


def make_world(url: str, table: RoleTable | None = None) -> Store:
    """A registry with PEOPLE and the machines of FACTORY."""
    store = open_store(url, create=True)
    made = first_user(store, NewUser(email("ada"), "ADMIN"), table or load_roles(), START_MS)
    assert made is not None
    if store.engine.dialect.name == "sqlite":
        careless(store)
    ada = Identity(email=email("ada"))
    for name, (role, factory, is_agent) in PEOPLE.items():
        if name != "ada":
            demand(add_user(store, ada, NewUser(email(name), role, factory, is_agent), START_MS))
    for machine, factory in FACTORY.items():
        demand(add_machine(store, ada, NewMachine(machine, machine, "PUMP", factory), START_MS))
    return store


def state_of(store: Store) -> State:
    """The tables, read with plain queries."""
    with reading(store) as connection:
        names = {r.id: r.email.split("@")[0] for r in connection.execute(sa.select(USERS))}
        roles = {r.email: r.role for r in connection.execute(sa.select(USERS))}
        statuses = {r.id: r.status for r in connection.execute(sa.select(MACHINES))}
        rows = connection.execute(sa.select(APPROVALS)).all()
    requests = {
        (r.machine_id, r.revision, r.subject, r.created_ms): (r.status, names[r.submitted_by], names.get(r.decided_by),
                                                            r.decision_comment, r.id)
        for r in rows
    }  # fmt: skip
    return State(statuses, requests, roles)


def log_of(store: Store) -> list:
    with reading(store) as connection:
        return list(entries(connection))


def expired(state: State, machine: str, now_ms: int) -> State:
    """The state after the system has let the machine's overdue request expire."""
    requests = dict(state.requests)
    for key, (status, submitter, _, _, ident) in state.requests.items():
        if key[0] == machine and status == "PENDING" and now_ms - key[3] >= EXPIRES_MS:
            requests[key] = ("EXPIRED", submitter, None, "", ident)
    return state._replace(requests=requests)


def is_right(state: State, name: str, attempt: Attempt, now_ms: int) -> bool:
    """May it happen? The rules of the model once more, in the plainest words, for the default role table."""
    role, factory, is_agent = PEOPLE[name]
    action, machine = attempt.action, attempt.machine_id
    mine = sorted((k for k in state.requests if k[0] == machine), key=lambda k: k[1])
    history = {k[2]: (state.requests[k], k) for k in mine}
    pending = [k for k in mine if state.requests[k][0] == "PENDING"]
    is_registered = "REGISTRATION" in history and history["REGISTRATION"][0][0] == "APPROVED"
    if role == "VIEWER" or (role != "ADMIN" and factory != FACTORY[machine]):
        return False
    if is_agent and action not in {"submit", "withdraw", "set_offline"}:
        return False
    if action in {"approve", "reject", "expire"} and role not in {"ADMIN", "SUPERVISOR"}:
        return False
    if attempt.subject not in (None, "REGISTRATION", "MAINTENANCE"):
        return False
    if action.startswith("set_"):
        if action == "set_maintenance" and state.statuses[machine] != "MAINTENANCE":
            return False
        return action == "set_offline" or is_registered
    if action == "submit":
        if pending or attempt.revision not in (None, mine[-1][1] if mine else 0):
            return False
        return is_registered if attempt.subject == "MAINTENANCE" else not is_registered
    target = pending[0] if pending else None
    if target is None or attempt.subject not in (None, target[2]) or attempt.revision not in (None, target[1]):
        return False
    submitter = state.requests[target][1]
    if action == "expire":
        return now_ms - target[3] >= EXPIRES_MS
    if action == "withdraw":
        return submitter == name or (role == "ADMIN" and not is_agent)
    return submitter != name and (action == "approve" or bool(attempt.comment.strip()))


def after(state: State, name: str, attempt: Attempt, now_ms: int) -> State:
    """What an attempt that is right leads to; ids of new requests are not known."""
    statuses, requests = dict(state.statuses), dict(state.requests)
    machine, action = attempt.machine_id, attempt.action
    if action.startswith("set_"):
        statuses[machine] = action.removeprefix("set_").upper()
    elif action == "submit":
        revision = 1 + max((k[1] for k in requests if k[0] == machine), default=0)
        requests[machine, revision, attempt.subject or "REGISTRATION", now_ms] = ("PENDING", name, None, "", "?")
    else:
        key = next(k for k in requests if k[0] == machine and requests[k][0] == "PENDING")
        end = {"approve": "APPROVED", "reject": "REJECTED", "withdraw": "WITHDRAWN", "expire": "EXPIRED"}[action]
        requests[key] = (end, requests[key][1], name, attempt.comment, requests[key][4])
        if action == "approve":
            statuses[machine] = "ONLINE" if key[2] == "REGISTRATION" else key[2]
    return state._replace(statuses=statuses, requests=requests)


def without_ids(state: State) -> State:
    return state._replace(requests={k: v[:4] for k, v in state.requests.items()})


def check_attempt(store: Store, name: str, attempt: Attempt, now_ms: int) -> bool:
    """Make an attempt and check all that must hold after it; whether it was allowed."""
    before, n_before = state_of(store), len(log_of(store))
    known = before if attempt.action == "expire" else expired(before, attempt.machine_id, now_ms)
    right = is_right(known, name, attempt, now_ms)
    outcome = act(store, Identity(email=email(name)), attempt, now_ms)
    assert (outcome.denial is None) == right, f"{name} {attempt}: {outcome.denial}, but right is {right}"
    wanted = after(known, name, attempt, now_ms) if right else known
    assert without_ids(state_of(store)) == without_ids(wanted)
    fresh = log_of(store)[n_before:]
    assert fresh, "an attempt left no trace"
    assert [e.action for e in fresh[:-1]] == (["expire"] if known != before else [])
    last = fresh[-1]
    assert (last.actor, last.action, last.resource) == (email(name), attempt.action, attempt.machine_id)
    assert (last.is_allowed, last.time_ms) == (right, now_ms)
    assert right or (last.code and json.loads(last.detail)["why"])
    return right


def check_whole(store: Store) -> None:
    """The log is whole, its anchors fit, the tables say what the log says."""
    report = verify_store(store)
    assert not report.findings
    assert report.n_entries == len(log_of(store))
    assert report.covered == (None if store.anchor is None else report.n_entries)


def copy_world(source: Path, target: Path) -> Store:
    """The world in the file ``source`` (closed) as a new file."""
    for ending in ("", ".anchor"):
        target.with_name(target.name + ending).write_bytes(source.with_name(source.name + ending).read_bytes())
    return careless(open_store(str(target)))


def careless(store: Store) -> Store:
    """The store without waiting for the disk: no test pulls the plug."""

    def relax(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    sa.event.listen(store.engine, "connect", relax)
    return store
