"""``nexova approvals``: requests for approval and decisions on them; each attempt is one entry of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.run.registry import Access, Listing, identity, now_ms, opened

_STATES = ("PENDING", "APPROVED", "REJECTED", "WITHDRAWN", "EXPIRED")


def attempt(access: Access, action: str, machine_id: str, subject: str | None = None, revision: int | None = None,
            comment: str = "") -> dict[str, Any]:  # fmt: skip
    """Try ``submit``, ``approve``, ``reject``, ``withdraw``, ``expire`` or ``set_...`` on a machine; what it changed.

    Raises DeniedError with the reason when it is not allowed: nothing was changed then, and the log has one entry more.
    """
    from nexova_sim.approve.people import MAX_COMMENT_CHARS, clean_text
    from nexova_sim.approve.registry import act, demand
    from nexova_sim.approve.workflow import Attempt

    wanted = Attempt(
        action,
        clean_text(machine_id, "MACHINE"),
        clean_text(subject, "--subject").upper() if subject is not None else None,
        revision,
        clean_text(comment, "--comment", MAX_COMMENT_CHARS, least=0),
    )
    actor = identity(access)
    with opened(access) as store:
        outcome = demand(act(store, actor, wanted, now_ms()))
    return {"machine_id": machine_id, **outcome.detail, "by": outcome.actor.email,
            "audit_entry": outcome.anchor.n_entries}  # fmt: skip


def set_status(access: Access, machine_id: str, status: str) -> dict[str, Any]:
    """Set a machine ONLINE, OFFLINE or in MAINTENANCE, where no approval is needed for it."""
    from nexova_sim.approve.workflow import STATUS_ACTIONS

    actions = {value: action for action, value in STATUS_ACTIONS.items()}
    if status.upper() not in actions:
        raise ConfigError(f"STATUS {status}: there is no such status; {suggest(status, actions)}")
    return attempt(access, actions[status.upper()], machine_id)


def approvals(access: Access, states: Sequence[str] = (), machine_id: str | None = None) -> Listing:
    """Requests in order of submission, all or those in some states."""
    from nexova_sim.approve import members
    from nexova_sim.approve.store import reading

    for state in states:
        if state.upper() not in _STATES:
            raise ConfigError(f"--state {state}: there is no such state; {suggest(state, _STATES)}")
    with opened(access) as store, reading(store) as connection:
        return Listing(tuple(members.approvals(connection, [s.upper() for s in states], machine_id)))


def expire(access: Access) -> list[dict[str, Any]]:
    """Let every overdue request expire, each as an attempt of its own."""
    from nexova_sim.approve.registry import overdue_machines
    from nexova_sim.approve.store import reading

    with opened(access) as store, reading(store) as connection:
        names = overdue_machines(connection, now_ms())
    return [attempt(access, "expire", name) for name in names]
