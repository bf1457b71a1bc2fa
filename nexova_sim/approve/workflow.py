"""The approval workflow as data: a table of transitions, a list of rules, one pure function that judges an attempt.

``judge`` looks at who tries what on a machine as it stands and answers with what would change, or why not. The registry
and the replay both go through it, so that what is replayed is what would have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from nexova_sim.config.roles import RoleTable

REGISTRATION = "REGISTRATION"
NONE, PENDING, APPROVED, REJECTED, WITHDRAWN, EXPIRED = (
    "NONE", "PENDING", "APPROVED", "REJECTED", "WITHDRAWN", "EXPIRED")  # fmt: skip
STATES = (PENDING, APPROVED, REJECTED, WITHDRAWN, EXPIRED)
ONLINE, OFFLINE, MAINTENANCE = "ONLINE", "OFFLINE", "MAINTENANCE"
STATUSES = (ONLINE, OFFLINE, MAINTENANCE)
SYSTEM = "system"
HOUR_MS = 3_600_000


class Transition(NamedTuple):
    """An action on a request: the states it may start from, and the state it leads to."""

    sources: frozenset[str]
    target: str


TRANSITIONS: Mapping[str, Transition] = MappingProxyType(
    {
        "submit": Transition(frozenset({NONE, REJECTED, WITHDRAWN, EXPIRED}), PENDING),
        "approve": Transition(frozenset({PENDING}), APPROVED),
        "reject": Transition(frozenset({PENDING}), REJECTED),
        "withdraw": Transition(frozenset({PENDING}), WITHDRAWN),
        "expire": Transition(frozenset({PENDING}), EXPIRED),
    }
)
# A registration is approved once; a change of status may be asked for again after it was granted.
_AGAIN = frozenset({APPROVED})
STATUS_ACTIONS: Mapping[str, str] = MappingProxyType(
    {"set_online": ONLINE, "set_offline": OFFLINE, "set_maintenance": MAINTENANCE}
)
_DECISIONS = frozenset({"approve", "reject"})


class Actor(NamedTuple):
    """Who acts: a registered user, or the system itself (``is_system``), which only lets requests expire."""

    user_id: str
    email: str
    role: str
    factory_id: str | None = None
    is_agent: bool = False
    is_system: bool = False


class Request(NamedTuple):
    """A request for approval. ``revision`` counts the submissions of its machine from 1."""

    subject: str
    revision: int
    state: str
    submitted_by: str
    created_ms: int


class Standing(NamedTuple):
    """A machine as it stands: its status, the last request of every subject, the number of its last revision."""

    machine_id: str
    factory_id: str
    status: str
    requests: Mapping[str, Request]
    revision: int = 0

    @property
    def open(self) -> Request | None:
        """The request that waits for a decision."""
        return next((r for r in self.requests.values() if r.state == PENDING), None)

    @property
    def newest(self) -> Request | None:
        """The request of the last revision."""
        return max(self.requests.values(), key=lambda r: r.revision, default=None)


class Attempt(NamedTuple):
    """What is tried. ``revision`` is the one the actor saw (None = whatever is there now)."""

    action: str
    machine_id: str
    subject: str | None = None
    revision: int | None = None
    comment: str = ""


class Denial(NamedTuple):
    """Why not: a code for machines, a sentence for people."""

    code: str
    why: str


class Verdict(NamedTuple):
    """The answer: without a ``denial`` the request goes from ``state_from`` to ``state_to``, the machine likewise."""

    denial: Denial | None
    subject: str
    revision: int
    state_from: str
    state_to: str
    status_from: str
    status_to: str


class Case(NamedTuple):
    """All a rule may look at."""

    table: RoleTable
    actor: Actor
    standing: Standing
    attempt: Attempt
    target: Request | None
    now_ms: int


def may(table: RoleTable, actor: Actor, permission: str) -> bool:
    """True when the actor's role has the permission and, for an agent, agents have it too."""
    if actor.is_system:
        return permission == "expire"
    row = table.roles.get(actor.role)  # type: ignore[call-overload]
    return row is not None and permission in row.may and (not actor.is_agent or permission in table.agent)


def is_in_scope(table: RoleTable, actor: Actor, factory_id: str | None) -> bool:
    """True when the actor's role reaches the factory; a user without a factory reaches all his role allows."""
    row = table.roles.get(actor.role)  # type: ignore[call-overload]
    return actor.is_system or actor.factory_id in (None, factory_id) or (row is not None and row.scope == "all")


def is_overdue(table: RoleTable, request: Request, now_ms: int) -> bool:
    """True when an open request has waited longer than the table allows."""
    limit_h = table.expires_after_h
    return request.state == PENDING and limit_h is not None and now_ms - request.created_ms >= limit_h * HOUR_MS


def _action(case: Case) -> Denial | None:
    if case.attempt.action in TRANSITIONS or case.attempt.action in STATUS_ACTIONS:
        return None
    return Denial("INVALID", f"there is no action {case.attempt.action!r}")


def _role(case: Case) -> Denial | None:
    actor = case.actor
    if may(case.table, actor._replace(is_agent=False), case.attempt.action):
        return None
    return Denial("FORBIDDEN", f"the role {actor.role} may not {case.attempt.action}")


def _agent(case: Case) -> Denial | None:
    if not case.actor.is_agent or may(case.table, case.actor, case.attempt.action):
        return None
    return Denial("FORBIDDEN", f"an agent may not {case.attempt.action}; a person must")


def _scope(case: Case) -> Denial | None:
    if is_in_scope(case.table, case.actor, case.standing.factory_id):
        return None
    return Denial("FORBIDDEN", f"the machine belongs to factory {case.standing.factory_id}, not to yours")


def _subject(case: Case) -> Denial | None:
    subject = case.attempt.subject
    if subject is None or subject == REGISTRATION or subject in case.table.high_impact:
        return None
    known = ", ".join((REGISTRATION, *case.table.high_impact))
    return Denial("INVALID", f"{subject!r} needs no approval here; subjects are {known}")


def _single(case: Case) -> Denial | None:
    waiting = case.standing.open
    if case.attempt.action != "submit" or waiting is None:
        return None
    return Denial("CONFLICT", f"revision {waiting.revision} ({waiting.subject}) is open already; decide on it first")


def _state(case: Case) -> Denial | None:
    action = case.attempt.action
    if action not in TRANSITIONS:
        return None
    state = case.target.state if case.target else NONE
    allowed = TRANSITIONS[action].sources
    if action == "submit" and case.attempt.subject not in (None, REGISTRATION):
        allowed |= _AGAIN
    if state in allowed:
        return None
    return Denial("CONFLICT", f"cannot {action} what is {state}; it must be {' or '.join(sorted(allowed))}")


def _registered(case: Case) -> Denial | None:
    attempt, known = case.attempt, case.standing.requests.get(REGISTRATION)
    needs = (attempt.action == "submit" and attempt.subject not in (None, REGISTRATION)) or (
        attempt.action in {"set_online", "set_maintenance"}
    )
    if not needs or (known is not None and known.state == APPROVED):
        return None
    return Denial("NOT_APPROVED", "the machine's registration is not APPROVED; submit it and have it approved first")


def _impact(case: Case) -> Denial | None:
    status = STATUS_ACTIONS.get(case.attempt.action)
    if status not in case.table.high_impact or status == case.standing.status:
        return None
    return Denial("APPROVAL_NEEDED", f"{status} needs an approval; submit a request with the subject {status}")


def _revision(case: Case) -> Denial | None:
    seen = case.attempt.revision
    if seen is None or case.attempt.action in STATUS_ACTIONS:
        return None
    now = case.standing.revision if case.attempt.action == "submit" or case.target is None else case.target.revision
    if seen == now:
        return None
    return Denial("STALE", f"you saw revision {seen}, it is {now} now; look again before you decide")


def _not_own(case: Case) -> Denial | None:
    own = case.target is not None and case.target.submitted_by == case.actor.user_id
    if case.attempt.action not in _DECISIONS or not own:
        return None
    return Denial("FORBIDDEN", "nobody decides on an own request, whatever the role; withdraw it or ask another")


def _owner(case: Case) -> Denial | None:
    if case.attempt.action != "withdraw" or case.target is None:
        return None
    if case.target.submitted_by == case.actor.user_id or may(case.table, case.actor, "withdraw_any"):
        return None
    return Denial("FORBIDDEN", "only the submitter may withdraw this request")


def _comment(case: Case) -> Denial | None:
    if case.attempt.action != "reject" or case.attempt.comment.strip():
        return None
    return Denial("COMMENT_NEEDED", "a rejection needs a comment: say what must change")


def _due(case: Case) -> Denial | None:
    if case.target is None or case.target.state != PENDING or case.attempt.action not in TRANSITIONS:
        return None
    overdue = is_overdue(case.table, case.target, case.now_ms)
    if case.attempt.action == "expire" and not overdue:
        return Denial("CONFLICT", "the request is not overdue")
    if case.attempt.action in _DECISIONS and overdue:
        return Denial("CONFLICT", "the request is overdue and has expired; it must be submitted again")
    return None


Rule = Callable[[Case], Denial | None]
# In this order: who you are comes before what there is, so that a denial tells strangers nothing.
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "action": _action, "role": _role, "agent": _agent, "scope": _scope, "subject": _subject, "single": _single,
        "state": _state, "due": _due, "revision": _revision, "registered": _registered, "impact": _impact,
        "not_own": _not_own, "owner": _owner, "comment": _comment,
    }
)  # fmt: skip


def target_of(standing: Standing, attempt: Attempt) -> Request | None:
    """The request an attempt is about: for ``submit`` the last of its subject, else the open one or the newest."""
    if attempt.action in STATUS_ACTIONS:
        return None
    if attempt.action == "submit":
        return standing.requests.get(attempt.subject or REGISTRATION)
    if attempt.subject is not None:
        return standing.requests.get(attempt.subject)
    return standing.open or standing.newest


def status_after(action: str, subject: str, status: str) -> str:
    """The machine's status after an allowed action on a request of ``subject``, or after a change of status."""
    if action == "approve":
        return ONLINE if subject == REGISTRATION else subject
    return STATUS_ACTIONS.get(action, status)


def judge(table: RoleTable, actor: Actor, standing: Standing, attempt: Attempt, now_ms: int) -> Verdict:
    """Whether the attempt is allowed at ``now_ms`` (milliseconds since 1970), and what it changes. Changes nothing."""
    target = target_of(standing, attempt)
    case = Case(table, actor, standing, attempt, target, now_ms)
    denial = next((found for rule in RULES.values() if (found := rule(case)) is not None), None)
    subject = attempt.subject or (target.subject if target else REGISTRATION)
    state = target.state if target else NONE
    revision = target.revision if target else 0
    if denial is not None:
        return Verdict(denial, subject, revision, state, state, standing.status, standing.status)
    if attempt.action == "submit":
        revision = standing.revision + 1
    after = TRANSITIONS[attempt.action].target if attempt.action in TRANSITIONS else state
    status = status_after(attempt.action, subject, standing.status)
    return Verdict(None, subject, revision, state, after, standing.status, status)
