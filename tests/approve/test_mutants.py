"""Bugs put in on purpose: one story, played with the same checks as the random ones, must stumble over each of them."""

from __future__ import annotations

from types import MappingProxyType

import pytest
import sqlalchemy as sa
from world import START_MS, check_attempt, check_whole, make_world

from nexova_sim.approve import ledger, migrations, registry, workflow
from nexova_sim.approve.audit import Anchor
from nexova_sim.approve.ledger import anchor_row
from nexova_sim.approve.migrations import MIGRATIONS
from nexova_sim.approve.tables import APPROVALS, MACHINES, USERS
from nexova_sim.approve.workflow import HOUR_MS, RULES, Attempt
from nexova_sim.base.errors import NexovaError

# hours since the step before, who, what, machine, subject, revision, comment
STORY = (
    (0, "vic", "submit", "m1", None, None, ""), (0, "oli", "submit", "m2", None, None, ""),
    (0, "oli", "submit", "m1", "PARTY", None, ""), (0, "oli", "submit", "m1", None, 7, ""),
    (0, "oli", "submit", "m1", None, 0, ""), (0, "ola", "submit", "m1", None, None, ""),
    (1, "bot", "approve", "m1", None, None, ""), (0, "pia", "approve", "m1", None, None, ""),
    (0, "oli", "approve", "m1", None, None, ""), (0, "ola", "withdraw", "m1", None, None, ""),
    (0, "sue", "reject", "m1", None, None, " "), (0, "sue", "reject", "m1", None, 1, "no guard"),
    (0, "sam", "approve", "m1", None, None, ""), (0, "oli", "set_online", "m1", None, None, ""),
    (1, "oli", "submit", "m1", None, None, ""), (0, "sue", "approve", "m1", None, 1, ""),
    (0, "oli", "withdraw", "m1", None, None, "mistake"), (0, "sue", "submit", "m1", None, None, ""),
    (0, "sue", "approve", "m1", None, None, ""), (0, "sam", "expire", "m1", None, None, ""),
    (168, "sam", "approve", "m1", None, None, ""), (0, "ada", "submit", "m1", None, None, ""),
    (0, "ada", "approve", "m1", None, None, ""), (9, "sam", "approve", "m1", None, 4, "fine"),
    (0, "oli", "submit", "m1", None, None, ""), (0, "oli", "set_maintenance", "m1", None, None, ""),
    (0, "oli", "submit", "m1", "MAINTENANCE", None, ""), (0, "sue", "approve", "m1", "MAINTENANCE", 5, ""),
    (0, "oli", "set_online", "m1", None, None, ""), (0, "bot", "set_offline", "m1", None, None, ""),
    (0, "bot", "submit", "m1", "MAINTENANCE", None, ""), (0, "bot", "withdraw", "m1", None, None, ""),
    (0, "oli", "submit", "m1", "PARTY", None, ""),
    (0, "pia", "submit", "m2", None, None, ""), (200, "ada", "expire", "m2", None, None, ""),
)  # fmt: skip


def play(url: str) -> int:
    """Play the story with every check; the number of attempts that were allowed."""
    store, now_ms, allowed = make_world(url), START_MS, 0
    try:
        for hours, name, action, machine, subject, revision, comment in STORY:
            now_ms += hours * HOUR_MS
            allowed += check_attempt(store, name, Attempt(action, machine, subject, revision, comment), now_ms)
            check_whole(store)
    finally:
        store.engine.dispose()
    return allowed


def test_the_story_goes_well_without_bugs(tmp_path):
    assert play(str(tmp_path / "r.db")) == 15


def without_rules(*names):
    def mutate(monkeypatch):
        monkeypatch.setattr(workflow, "RULES", MappingProxyType({k: r for k, r in RULES.items() if k not in names}))

    return mutate


def replaced(module, name, make):
    """Replace a function by what ``make`` makes of it."""
    return lambda monkeypatch: monkeypatch.setattr(module, name, make(getattr(module, name)))


def silent_when(is_silent):
    def make(record):
        def mutant(connection, actor, entry, denial):
            silent = is_silent(denial) and entry.action in workflow.TRANSITIONS
            return anchor_row(connection) if silent else record(connection, actor, entry, denial)

        return mutant

    return make


def twice(record):
    def mutant(connection, actor, entry, denial):
        record(connection, actor, entry, denial)
        return record(connection, actor, entry, denial)

    return mutant


def blames_another(record):
    return lambda connection, actor, entry, denial: record(connection, actor._replace(email="eve@x"), entry, denial)


def calls_denied_allowed(record):
    return lambda connection, actor, entry, denial: record(connection, actor, entry, None)


def looking_changes(standing_of):
    def mutant(connection, machine_id):
        found = standing_of(connection, machine_id)
        connection.execute(sa.update(MACHINES).where(MACHINES.c.id == machine_id).values(status="MAINTENANCE"))
        return found

    return mutant


def steals_the_request(apply):
    def mutant(connection, actor, attempt, verdict, now_ms):
        apply(connection, actor, attempt, verdict, now_ms)
        if attempt.action == "approve":
            other = sa.select(USERS.c.id).where(USERS.c.email == "vic@plant.example").scalar_subquery()
            connection.execute(sa.update(APPROVALS).values(submitted_by=other))

    return mutant


def changes_all_revisions(apply):
    def mutant(connection, actor, attempt, verdict, now_ms):
        apply(connection, actor, attempt, verdict, now_ms)
        if attempt.action == "approve":
            connection.execute(sa.update(APPROVALS).values(status="APPROVED", decided_by=actor.user_id))

    return mutant


def forgets_the_comment(apply):
    return lambda c, actor, attempt, verdict, now: apply(c, actor, attempt._replace(comment=""), verdict, now)


def status_when(action, status):
    return lambda after: lambda a, subject, now: status if a == action else after(a, subject, now)


def unlinked(seal):
    def mutant(anchor, entry):
        placed, _ = seal(Anchor(anchor.n_entries, "0" * 64), entry)
        return placed, Anchor(placed.seq, placed.digest)

    return mutant


MUTANTS = {
    "role check skipped": without_rules("role"), "an agent decides": without_rules("agent"),
    "another factory": without_rules("scope"), "unknown subject": without_rules("subject"),
    "decided twice": without_rules("state"), "double open": without_rules("single", "state"),
    "expires at once": without_rules("due"), "lost update": without_rules("revision"),
    "online without approval": without_rules("registered"), "high impact unasked": without_rules("impact"),
    "self-approval": without_rules("not_own"), "withdrawn by another": without_rules("owner"),
    "rejected without a word": without_rules("comment"),
    "silent denial": replaced(registry, "record", silent_when(lambda denial: denial is not None)),
    "silent change": replaced(registry, "record", silent_when(lambda denial: denial is None)),
    "recorded twice": replaced(registry, "record", twice),
    "wrong actor": replaced(registry, "record", blames_another),
    "denied recorded as allowed": replaced(registry, "record", calls_denied_allowed),
    "looking changes": replaced(registry, "standing_of", looking_changes),
    "submitter overwritten": replaced(registry, "apply", steals_the_request),
    "all revisions decided": replaced(registry, "apply", changes_all_revisions),
    "comment lost": replaced(registry, "apply", forgets_the_comment),
    "rejected goes online": replaced(workflow, "status_after", status_when("reject", "ONLINE")),
    "approved stays offline": replaced(workflow, "status_after", status_when("approve", "OFFLINE")),
    "overdue lives on": replaced(registry, "is_overdue", lambda _: lambda table, request, now_ms: False),
    "chain not linked": replaced(ledger, "seal", unlinked),
    "anchor file not moved": replaced(registry, "save_anchor", lambda _: lambda store, anchor: None),
}  # fmt: skip


@pytest.fixture
def unguarded(monkeypatch):
    """A schema without the constraints that would stop some bugs on their own: the checks must find them."""
    guards = (
        "CHECK (status NOT IN ('APPROVED', 'REJECTED') OR (decided_by IS NOT NULL AND decided_by <> submitted_by)),",
        "CHECK (status <> 'REJECTED' OR decision_comment <> '')",
        "CHECK ((status = 'PENDING') = (decided_ms IS NULL)),",
    )  # fmt: skip
    steps = []
    for step in MIGRATIONS:
        kept = [s for s in step.statements if "idx_approvals_open" not in s]
        for guard in guards:
            kept = [s.replace(guard, "" if guard.endswith(",") else "CHECK (revision >= 1)") for s in kept]
        steps.append(step._replace(statements=tuple(kept)))
    assert sum(map(len, steps[0].statements)) < sum(map(len, MIGRATIONS[0].statements)) - 200
    monkeypatch.setattr(migrations, "MIGRATIONS", tuple(steps))


def test_the_story_needs_no_guard(unguarded, tmp_path):
    assert play(str(tmp_path / "r.db")) == 15


@pytest.mark.parametrize("name", MUTANTS)
def test_every_bug_is_caught(name, unguarded, monkeypatch, tmp_path):
    MUTANTS[name](monkeypatch)
    with pytest.raises((AssertionError, NexovaError)):
        play(str(tmp_path / "r.db"))


def test_the_list_is_long_enough():
    assert len(MUTANTS) >= 12


@pytest.mark.parametrize("name", ["self-approval", "double open"])
def test_the_database_stops_some_bugs_on_its_own(name, monkeypatch, tmp_path):
    MUTANTS[name](monkeypatch)
    with pytest.raises(NexovaError, match="breaks a rule of the registry"):
        play(str(tmp_path / "r.db"))
