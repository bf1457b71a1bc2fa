"""Users, machines, roles and tokens: what is entered into the registry, by whom, and what it lists."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from nexova_sim.approve.audit import blank
from nexova_sim.approve.ledger import save_anchor
from nexova_sim.approve.people import Identity, find_user, recognise, role_table
from nexova_sim.approve.registry import Deed, Outcome, audited, record
from nexova_sim.approve.store import Store, writing
from nexova_sim.approve.tables import APPROVALS, FACTORIES, MACHINES, SETTINGS, USERS
from nexova_sim.approve.token import Claims, claims_for
from nexova_sim.approve.workflow import OFFLINE, Actor, Denial, is_in_scope, may
from nexova_sim.config.roles import RoleTable


class NewUser(NamedTuple):
    """A user to enter; the address is in its stored form."""

    email: str
    role: str
    factory_id: str | None = None
    is_agent: bool = False


class NewMachine(NamedTuple):
    """A machine to enter; it starts OFFLINE and without an approval."""

    machine_id: str
    name: str
    kind: str
    factory_id: str


def first_user(store: Store, user: NewUser, table: RoleTable, now_ms: int) -> Outcome | None:
    """Enter the first user and the role table of an empty registry; None when it has users already."""
    with writing(store) as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(USERS)).scalar_one():
            return None
        _save_roles(connection, table)
        detail = _enter_user(connection, user, now_ms)
        actor = find_user(connection, user.email) or Actor("", user.email, user.role)
        anchor = record(connection, actor, blank(now_ms, "add_user", user.email, {**detail, "is_first": True}), None)
    save_anchor(store, anchor)
    return Outcome(None, actor, detail, anchor)


def _save_roles(connection: sa.Connection, table: RoleTable) -> None:
    text = json.dumps(table.model_dump(mode="json"), sort_keys=True)
    connection.execute(sa.delete(SETTINGS).where(SETTINGS.c.key == "roles"))
    connection.execute(sa.insert(SETTINGS).values(key="roles", value=text))


def _need_factory(connection: sa.Connection, factory_id: str, now_ms: int) -> None:
    if connection.execute(sa.select(FACTORIES.c.id).where(FACTORIES.c.id == factory_id)).one_or_none() is None:
        connection.execute(sa.insert(FACTORIES).values(id=factory_id, name=factory_id, created_ms=now_ms))


def _enter_user(connection: sa.Connection, user: NewUser, now_ms: int) -> dict[str, Any]:
    if user.factory_id is not None:
        _need_factory(connection, user.factory_id, now_ms)
    row = {"id": f"usr_{uuid.uuid4().hex}", **user._asdict(), "created_ms": now_ms}
    connection.execute(sa.insert(USERS).values(row))
    return {"user_id": row["id"], **user._asdict()}


def _refused(code: str, why: str) -> Deed:
    return Deed(Denial(code, why), {"why": why})


def _lacks(table: RoleTable, actor: Actor, permission: str) -> Deed | None:
    if may(table, actor, permission):
        return None
    who = "an agent" if actor.is_agent else f"the role {actor.role}"
    return _refused("FORBIDDEN", f"{who} may not {permission}")


def add_user(store: Store, identity: Identity, user: NewUser, now_ms: int) -> Outcome:
    """Enter a user; denied when his address is taken."""

    def work(connection: sa.Connection, actor: Actor) -> Deed:
        table = role_table(connection)
        if denied := _lacks(table, actor, "add_user"):
            return denied
        if find_user(connection, user.email) is not None:
            return _refused("CONFLICT", f"{user.email} is registered already")
        return Deed(None, _enter_user(connection, user, now_ms))

    return audited(store, identity, "add_user", user.email, now_ms, work)


def set_user(store: Store, identity: Identity, email: str, role: str, now_ms: int) -> Outcome:
    """Give a user another role; the last ADMIN keeps his."""

    def work(connection: sa.Connection, actor: Actor) -> Deed:
        if denied := _lacks(role_table(connection), actor, "set_user"):
            return denied
        user = find_user(connection, email)
        if user is None:
            return _refused("NOT_FOUND", f"{email} is not registered")
        admins = sa.select(sa.func.count()).select_from(USERS).where(USERS.c.role == "ADMIN")
        if user.role == "ADMIN" != role and connection.execute(admins).scalar_one() == 1:
            return _refused("CONFLICT", f"{email} is the only ADMIN; make another one first")
        connection.execute(sa.update(USERS).where(USERS.c.id == user.user_id).values(role=role))
        return Deed(None, {"user_id": user.user_id, "role": role, "role_from": user.role})

    return audited(store, identity, "set_user", email, now_ms, work)


def set_roles(store: Store, identity: Identity, table: RoleTable, now_ms: int) -> Outcome:
    """Replace the role table of the registry."""

    def work(connection: sa.Connection, actor: Actor) -> Deed:
        if denied := _lacks(role_table(connection), actor, "set_roles"):
            return denied
        _save_roles(connection, table)
        return Deed(None, {"roles": table.model_dump(mode="json")})

    return audited(store, identity, "set_roles", "roles", now_ms, work)


def add_machine(store: Store, identity: Identity, machine: NewMachine, now_ms: int) -> Outcome:
    """Enter a machine, OFFLINE and without an approval; denied when its id is taken."""

    def work(connection: sa.Connection, actor: Actor) -> Deed:
        table = role_table(connection)
        if denied := _lacks(table, actor, "add_machine"):
            return denied
        if not is_in_scope(table, actor, machine.factory_id):
            return _refused("FORBIDDEN", f"factory {machine.factory_id} is not yours")
        if connection.execute(sa.select(MACHINES.c.id).where(MACHINES.c.id == machine.machine_id)).one_or_none():
            return _refused("CONFLICT", f"machine {machine.machine_id!r} is registered already")
        _need_factory(connection, machine.factory_id, now_ms)
        row = {
            "id": machine.machine_id, "name": machine.name, "kind": machine.kind, "factory_id": machine.factory_id,
            "status": OFFLINE, "created_ms": now_ms, "updated_ms": now_ms,
        }  # fmt: skip
        connection.execute(sa.insert(MACHINES).values(row))
        return Deed(None, {**machine._asdict(), "status_to": OFFLINE})

    return audited(store, identity, "add_machine", machine.machine_id, now_ms, work)


def grant_token(store: Store, email: str, now_ms: int) -> tuple[Outcome, Claims | None]:
    """The claims of a new token for a user; that it was asked for is recorded, the token is not."""
    with writing(store) as connection:
        actor, denial = recognise(connection, Identity(email=email))
        detail = {"why": denial.why} if denial else {"lifetime_s": 900}
        outcome = Outcome(
            denial, actor, detail, record(connection, actor, blank(now_ms, "token", email, detail), denial)
        )
    save_anchor(store, outcome.anchor)
    claims = None if denial else claims_for(actor.user_id, actor.email, actor.role, actor.factory_id, now_ms // 1000)
    return outcome, claims


def users(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every user, by address."""
    return [dict(row._mapping) for row in connection.execute(sa.select(USERS).order_by(USERS.c.email))]


def machines(connection: sa.Connection) -> list[dict[str, Any]]:
    """Every machine with the state of its registration (NONE before the first submission), by id."""
    latest = APPROVALS.alias()
    last = sa.select(sa.func.max(latest.c.revision)).where(
        (latest.c.machine_id == MACHINES.c.id) & (latest.c.subject == "REGISTRATION")
    )
    join = (APPROVALS.c.machine_id == MACHINES.c.id) & (APPROVALS.c.revision == last.scalar_subquery())
    query = (
        sa.select(MACHINES, APPROVALS.c.status.label("registration")).select_from(MACHINES).outerjoin(APPROVALS, join)
    )
    rows = [dict(row._mapping) for row in connection.execute(query.order_by(MACHINES.c.id))]
    return [{**row, "registration": row["registration"] or "NONE"} for row in rows]


def approvals(
    connection: sa.Connection, states: Sequence[str] = (), machine_id: str | None = None
) -> list[dict[str, Any]]:
    """Requests in order of submission, with the addresses of who asked and who decided."""
    submitter, decider = USERS.alias(), USERS.alias()
    query = (
        sa.select(APPROVALS, submitter.c.email.label("submitter"), decider.c.email.label("decider"))
        .select_from(APPROVALS)
        .join(submitter, submitter.c.id == APPROVALS.c.submitted_by)
        .outerjoin(decider, decider.c.id == APPROVALS.c.decided_by)
        .order_by(APPROVALS.c.created_ms, APPROVALS.c.machine_id, APPROVALS.c.revision)
    )
    if states:
        query = query.where(APPROVALS.c.status.in_(list(states)))
    if machine_id is not None:
        query = query.where(APPROVALS.c.machine_id == machine_id)
    return [dict(row._mapping) for row in connection.execute(query)]
