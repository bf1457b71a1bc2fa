"""A replay and the registry are one: each attempt of the first, made on the second, has the same verdict."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import careless

from nexova_sim.approve.members import NewMachine, NewUser, add_machine, add_user, first_user
from nexova_sim.approve.people import Identity
from nexova_sim.approve.registry import act, demand
from nexova_sim.approve.replay import play
from nexova_sim.approve.store import open_store
from nexova_sim.approve.workflow import HOUR_MS, Attempt
from nexova_sim.config.approval import ApprovalPart, ApprovalPolicy, Row, load_approval
from nexova_sim.config.roles import load_roles

START_MS = 1_767_571_200_000  # Monday 5 January 2026, 00:00 UTC
# address -> role, factory, agent; the roles of a script have the factory of the machine, or all
PEOPLE = {
    "oli@x": ("OPERATOR", "lyon", False), "ann@x": ("SUPERVISOR", "lyon", False), "bot@x": ("OPERATOR", "lyon", True),
    "vic@x": ("VIEWER", "lyon", False), "root@x": ("ADMIN", None, False),
}  # fmt: skip
REVIEWERS = [
    {"email": "sue@x", "role": "SUPERVISOR", "factory": "lyon"},
    {"email": "ada@x", "role": "ADMIN", "hours": {"days": ["mon", "tue"], "from": "08:00", "to": "16:00"}},
]


def part_of(seed: int, **changes) -> ApprovalPart:
    raw = {"reviewers": REVIEWERS, "approve_frac": 0.5, "seed": seed, "review": {"median_min": 300.0, "sigma": 1.0}}
    table = load_roles().model_copy(update={"expires_after_h": 24.0})
    return ApprovalPart(policy=ApprovalPolicy.model_validate({**raw, **changes}), table=table)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Makes a registry with everybody and three machines; the machines are approved when they are to be."""
    stores = []

    def make(is_registered: bool):
        store = careless(open_store(str(tmp_path_factory.mktemp("registry") / "r.db"), create=True))
        stores.append(store)
        root, clerk = Identity(email="root@x"), Identity(email="clerk@x")
        first_user(store, NewUser("root@x", "ADMIN"), part_of(0).table, START_MS - 1)
        people = {**PEOPLE, "clerk@x": ("OPERATOR", None, False), "sue@x": ("SUPERVISOR", "lyon", False),
                  "ada@x": ("ADMIN", None, False)}  # fmt: skip
        for email, (role, factory, is_agent) in people.items():
            if email != "root@x":
                demand(add_user(store, root, NewUser(email, role, factory, is_agent), START_MS - 1))
        for machine in ("m0", "m1", "m2"):
            demand(add_machine(store, root, NewMachine(machine, machine, "PUMP", "lyon"), START_MS - 1))
            if is_registered:
                demand(act(store, clerk, Attempt("submit", machine), START_MS - 1))
                demand(act(store, root, Attempt("approve", machine), START_MS - 1))
        return store

    yield make
    for store in stores:
        store.engine.dispose()


lines = st.tuples(
    st.integers(0, 150), st.sampled_from(("m0", "m1", "m2")),
    st.sampled_from(("submit", "submit", "submit", "submit", "approve", "reject", "withdraw", "set_online",
                     "set_offline", "set_maintenance")),
    st.sampled_from(sorted(PEOPLE)), st.sampled_from((None, "REGISTRATION", "MAINTENANCE", "PARTY")),
    st.sampled_from(("", "no")), st.sampled_from((None, 1, 40)),
)  # fmt: skip


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(drawn=st.lists(lines, min_size=1, max_size=30), seed=st.integers(0, 9), is_registered=st.booleans())
def test_the_registry_says_the_same(fresh, drawn, seed, is_registered):
    rows = [
        Row(START_MS + hour * HOUR_MS, machine, "lyon", action, email, PEOPLE[email][0], PEOPLE[email][2], subject,
            comment, None if until is None else START_MS + (hour + until) * HOUR_MS)
        for hour, machine, action, email, subject, comment, until in sorted(drawn, key=lambda line: line[0])
    ]  # fmt: skip
    found = play(part_of(seed), rows, START_MS + 400 * HOUR_MS, is_registered)
    store = fresh(is_registered)
    for tried in found.tried:
        if tried.actor.is_system:
            continue  # the registry itself lets an overdue request expire when it is next looked at
        email = "clerk@x" if tried.actor.email.startswith("operator for") else tried.actor.email
        outcome = act(store, Identity(email=email), tried.attempt, tried.time_ms)
        said = tried.verdict.denial.code if tried.verdict.denial else None
        assert (outcome.denial.code if outcome.denial else None) == said, tried
        assert outcome.detail["state_to"] == tried.verdict.state_to
        assert outcome.detail["status_to"] == tried.verdict.status_to


def test_a_request_is_taken_back_when_it_is_no_longer_needed():
    row = Row(START_MS, "m0", "lyon", "submit", "bot@x", "OPERATOR", True, "MAINTENANCE", "", START_MS + HOUR_MS)
    nobody = play(part_of(0, reviewers=[]), [row], START_MS + 9 * HOUR_MS, True)
    assert [(a.state, a.ended_ms) for a in nobody.asked] == [("WITHDRAWN", START_MS + HOUR_MS)]
    quick = {"reviewers": REVIEWERS[:1], "review": {"median_min": 1.0, "sigma": 0.0}, "approve_frac": 1.0}
    decided = play(part_of(0, **quick), [row], START_MS + 9 * HOUR_MS, True)
    assert [a.state for a in decided.asked] == ["APPROVED"]
    assert not [t for t in decided.tried if t.attempt.action == "withdraw"], "what is decided is not taken back"


def test_a_policy_may_expire_sooner_than_the_roles_say():
    assert load_approval().table.expires_after_h == 72.0
    assert load_approval(settings=["expires_after_h=null"]).table.expires_after_h == load_roles().expires_after_h
