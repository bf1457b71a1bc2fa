"""The transition table and the pure parts of the workflow."""

from __future__ import annotations

import pytest

from nexova_sim.approve import workflow as w
from nexova_sim.approve.people import clean_email, clean_text
from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import build
from nexova_sim.config.roles import PERMISSIONS, ROLES, RoleTable, load_roles

TABLE = load_roles()
SUE = w.Actor("u1", "sue@x", "SUPERVISOR", "lyon")
OPEN = w.Request(w.REGISTRATION, 1, w.PENDING, "u2", 0)


def standing(*requests: w.Request) -> w.Standing:
    return w.Standing(
        "m", "lyon", w.OFFLINE, {r.subject: r for r in requests}, max([r.revision for r in requests] or [0])
    )


@pytest.mark.parametrize("action", list(w.TRANSITIONS))
@pytest.mark.parametrize("state", [w.NONE, *w.STATES])
def test_the_table_of_transitions(action, state):
    starts = {"submit": {"NONE", "REJECTED", "WITHDRAWN", "EXPIRED"}}.get(action, {"PENDING"})
    known = [] if state == w.NONE else [OPEN._replace(state=state, submitted_by="u1" if action == "withdraw" else "u2")]
    now_ms = 200 * w.HOUR_MS if action == "expire" else 0
    verdict = w.judge(TABLE, SUE, standing(*known), w.Attempt(action, "m", comment="because"), now_ms)
    assert (verdict.denial is None) == (state in starts)
    ends = {"submit": "PENDING", "approve": "APPROVED", "reject": "REJECTED", "withdraw": "WITHDRAWN"}
    assert verdict.state_to == (ends.get(action, "EXPIRED") if state in starts else state)
    assert verdict.status_to == ("ONLINE" if action == "approve" and state in starts else "OFFLINE")


def test_an_unknown_action_is_refused():
    verdict = w.judge(TABLE, SUE, standing(OPEN), w.Attempt("bless", "m"), 0)
    assert verdict.denial is not None and verdict.denial.code == "INVALID"


def test_the_system_only_expires():
    system = w.Actor("", w.SYSTEM, "", is_system=True)
    assert [p for p in PERMISSIONS if w.may(TABLE, system, p)] == ["expire"]
    assert w.is_in_scope(TABLE, system, "anywhere")


def test_scope():
    assert w.is_in_scope(TABLE, SUE, "lyon") and not w.is_in_scope(TABLE, SUE, "pune")
    assert w.is_in_scope(TABLE, SUE._replace(factory_id=None), "pune")
    assert w.is_in_scope(TABLE, SUE._replace(role="ADMIN"), "pune")
    assert not w.may(TABLE, SUE._replace(role="KING"), "submit")


def test_an_overdue_request_is_not_decided():
    late = 168 * w.HOUR_MS
    assert w.is_overdue(TABLE, OPEN, late) and not w.is_overdue(TABLE, OPEN, late - 1)
    never = TABLE.model_copy(update={"expires_after_h": None})
    assert not w.is_overdue(never, OPEN, 10**15)
    assert w.judge(TABLE, SUE, standing(OPEN), w.Attempt("approve", "m"), late).denial is not None
    assert w.judge(never, SUE, standing(OPEN), w.Attempt("approve", "m"), late).denial is None


def test_what_an_attempt_is_about():
    other = w.Request("MAINTENANCE", 2, w.REJECTED, "u2", 0)
    there = standing(OPEN, other)
    assert there.open == OPEN and there.newest == other
    assert w.target_of(there, w.Attempt("approve", "m")) == OPEN
    assert w.target_of(there, w.Attempt("approve", "m", "MAINTENANCE")) == other
    assert w.target_of(there, w.Attempt("submit", "m")) == OPEN
    assert w.target_of(there, w.Attempt("set_offline", "m")) is None
    assert w.target_of(standing(other), w.Attempt("reject", "m")) == other


def test_status_after():
    assert w.status_after("approve", w.REGISTRATION, "OFFLINE") == "ONLINE"
    assert w.status_after("approve", "MAINTENANCE", "ONLINE") == "MAINTENANCE"
    assert w.status_after("reject", w.REGISTRATION, "OFFLINE") == "OFFLINE"
    assert w.status_after("set_offline", w.REGISTRATION, "ONLINE") == "OFFLINE"


@pytest.mark.parametrize(("change", "message"), [
    ({"agent": ["approve"]}, "agent"), ({"high_impact": ["OFFLINE"]}, "high_impact"),
    ({"roles": {"ADMIN": {"may": ["set_roles", "set_user"]}}}, "VIEWER missing"), ({"expires_after_h": 0}, "greater"),
    ({"roles": {r: {"may": ["submit"]} for r in ROLES}}, "nobody could mend"), ({"rolls": {}}, "did you mean 'roles'"),
])  # fmt: skip
def test_a_role_table_cannot_undo_the_fixed_rules(change, message):
    with pytest.raises(ConfigError, match=message):
        build(RoleTable, {**TABLE.model_dump(mode="json"), **change}, "roles.yaml")


def test_addresses_and_texts():
    assert clean_email(" Ann@Plant.Example ", "x") == "ann@plant.example"
    for bad in ("", "ann", "a@b@c", "a b@c", "a@\x1b[31m", "a" * 65 + "@x"):
        with pytest.raises(ConfigError):
            clean_email(bad, "x")
    for bad in ("", "a" * 256, "a\0b", "\ud800"):
        with pytest.raises(ConfigError):
            clean_text(bad, "x")
    assert clean_text("=\x1b", "x") == "=\x1b"
