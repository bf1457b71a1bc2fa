"""``nexova machines``, ``nexova users``: what is entered into the registry and what it holds."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nexova_sim.base.errors import ConfigError, DeniedError, suggest
from nexova_sim.config.roles import ROLES, Role, RoleTable, load_roles

if TYPE_CHECKING:
    from nexova_sim.approve.people import Identity
    from nexova_sim.approve.registry import Outcome
    from nexova_sim.approve.store import Store

ANCHOR_NAME = "NEXOVA_AUDIT_ANCHOR"


class Access(NamedTuple):
    """Which registry (None: NEXOVA_STORE, else results/registry.db), and who acts (None: a token, or nobody)."""

    store: str | None = None
    email: str | None = None


class Listing(NamedTuple):
    """Rows of a table as mappings by column."""

    rows: tuple[dict[str, Any], ...]


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def opened(access: Access, create: bool = False) -> Iterator[Store]:
    """The registry, closed at the end. DataError when there is none and ``create`` does not say to make one."""
    from nexova_sim.approve.store import open_store, store_url

    store = open_store(store_url(access.store, os.environ), create, os.environ.get(ANCHOR_NAME) or None)
    try:
        yield store
    finally:
        store.engine.dispose()


def identity(access: Access) -> Identity:
    """Who acts, from ``--as`` or from the token in the environment."""
    from nexova_sim.approve.people import identify

    return identify(access.email, os.environ, now_ms() // 1000)


def check_role(role: str) -> Role:
    """``role`` in capital letters; ConfigError with the nearest one when there is no such role."""
    found = next((known for known in ROLES if known == role.upper()), None)
    if found is None:
        raise ConfigError(f"--role {role}: there is no such role; {suggest(role, ROLES)}")
    return found


def add_user(access: Access, email: str, role: str, factory: str | None = None, is_agent: bool = False,
             roles: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Enter a user. The first one of a registry must be an ADMIN and brings the role table (``roles``).

    Raises DeniedError when the actor may not, ConfigError for what is no user.
    """
    from nexova_sim.approve import members
    from nexova_sim.approve.people import clean_email, clean_text

    user = members.NewUser(
        clean_email(email, "EMAIL"),
        check_role(role),
        clean_text(factory, "--factory") if factory is not None else None,
        is_agent,
    )
    table = load_roles(roles or "configs/roles/default.yaml")
    actor = identity(access)
    with opened(access, create=True) as store:
        if actor.claims is None and actor.refusal is None:
            first = _first_user(store, user, table)
            if first is not None:
                return dict(first.detail)
        if roles is not None:
            raise ConfigError("--roles: this registry has its role table; an ADMIN changes it: nexova users roles FILE")
        return _done(members.add_user(store, actor, user, now_ms()))


def _first_user(store: Store, user: Any, table: RoleTable) -> Outcome | None:  # noqa: ANN401 - members.NewUser
    from nexova_sim.approve import members
    from nexova_sim.approve.store import reading

    with reading(store) as connection:
        if members.users(connection):
            return None
    if user.role != "ADMIN" or user.is_agent or user.factory_id is not None:
        raise ConfigError(
            f"{store.name}: has no users yet; the first must be a person with --role ADMIN and no --factory"
        )
    return members.first_user(store, user, table, now_ms())


def _done(outcome: Outcome) -> dict[str, Any]:
    from nexova_sim.approve.registry import demand

    return {**demand(outcome).detail, "audit_entry": outcome.anchor.n_entries}


def set_user(access: Access, email: str, role: str) -> dict[str, Any]:
    """Give a user another role. Raises DeniedError when the actor may not, or it would leave no ADMIN."""
    from nexova_sim.approve import members
    from nexova_sim.approve.people import clean_email

    target, wanted = clean_email(email, "EMAIL"), check_role(role)
    with opened(access) as store:
        return _done(members.set_user(store, identity(access), target, wanted, now_ms()))


def set_roles(access: Access, roles: str) -> dict[str, Any]:
    """Replace the role table of the registry by the file ``roles``."""
    from nexova_sim.approve import members

    table = load_roles(roles)
    with opened(access) as store:
        return _done(members.set_roles(store, identity(access), table, now_ms()))


def users(access: Access) -> Listing:
    """Every user of the registry."""
    from nexova_sim.approve import members
    from nexova_sim.approve.store import reading

    with opened(access) as store, reading(store) as connection:
        return Listing(tuple(members.users(connection)))


def machines(access: Access, status: str | None = None) -> Listing:
    """Every machine of the registry, or those of one status."""
    from nexova_sim.approve import members
    from nexova_sim.approve.store import reading
    from nexova_sim.approve.workflow import STATUSES

    if status is not None and status.upper() not in STATUSES:
        raise ConfigError(f"--status {status}: there is no such status; {suggest(status, STATUSES)}")
    with opened(access) as store, reading(store) as connection:
        rows = members.machines(connection)
    return Listing(tuple(r for r in rows if status is None or r["status"] == status.upper()))


def add_machine(access: Access, machine_id: str, kind: str, factory: str, name: str | None = None) -> dict[str, Any]:
    """Enter a machine, OFFLINE until its registration is approved. Raises DeniedError when the actor may not."""
    from nexova_sim.approve import members
    from nexova_sim.approve.people import clean_text

    machine = members.NewMachine(
        clean_text(machine_id, "MACHINE"),
        clean_text(name or machine_id, "--name"),
        clean_text(kind, "--kind").upper(),
        clean_text(factory, "--factory"),
    )
    with opened(access) as store:
        return _done(members.add_machine(store, identity(access), machine, now_ms()))


def add_machines_of(access: Access, dataset: Path) -> dict[str, Any]:
    """Enter every machine of a dataset that is not registered yet, each as an attempt of its own."""
    from nexova_sim.approve import members
    from nexova_sim.approve.people import clean_text
    from nexova_sim.approve.registry import demand
    from nexova_sim.approve.store import reading
    from nexova_sim.dataset.read import open_dataset

    rows: Sequence[dict[str, Any]] = open_dataset(dataset).read("machines").to_pylist()
    found = [
        members.NewMachine(
            *(clean_text(str(row[k]), f"{dataset}: {k}") for k in ("machine_id", "name", "kind", "factory_id"))
        )
        for row in rows
    ]
    with opened(access) as store:
        with reading(store) as connection:
            known = {row["id"] for row in members.machines(connection)}
        fresh = [machine for machine in found if machine.machine_id not in known]
        for number, machine in enumerate(fresh):
            outcome = members.add_machine(store, identity(access), machine, now_ms())
            if outcome.denial is not None and number:
                why = f"{outcome.denial.why}; {number} machines before {machine.machine_id} were added"
                outcome = outcome._replace(denial=outcome.denial._replace(why=why))
            demand(outcome)
    return {"added": len(fresh), "known": len(found) - len(fresh)}


def show_machine(access: Access, machine_id: str) -> dict[str, Any]:
    """A machine with its requests; DeniedError NOT_FOUND when it is not registered."""
    from nexova_sim.approve import members
    from nexova_sim.approve.store import reading

    with opened(access) as store, reading(store) as connection:
        machine = next((row for row in members.machines(connection) if row["id"] == machine_id), None)
        if machine is None:
            names = [row["id"] for row in members.machines(connection)]
            raise DeniedError("NOT_FOUND", f"machine {machine_id!r} is not registered; {suggest(machine_id, names)}")
        return {"machine": machine, "approvals": members.approvals(connection, machine_id=machine_id)}
