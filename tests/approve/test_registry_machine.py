"""The registry under random attempts of everybody: the rules hold, the log tells all of it, nothing else happens."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from world import ACTIONS, FACTORY, HOUR_MS, PEOPLE, START_MS, check_attempt, check_whole, copy_world, make_world

from nexova_sim.approve.workflow import Attempt

# No shrinking: a story of 25 attempts is short enough to read, and making it shorter takes minutes.
SETTINGS = settings(max_examples=10, stateful_step_count=16, deadline=None, database=None, phases=(Phase.generate,),
                    derandomize=True, suppress_health_check=list(HealthCheck))  # fmt: skip


def machine_of(template: Path, folder: Path, seen: set) -> type[RuleBasedStateMachine]:
    """A state machine that starts from a copy of the world in ``template`` each time."""
    numbers = itertools.count()

    class Registry(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.store = copy_world(template, folder / f"{next(numbers)}.db")
            self.now_ms = START_MS

        # Sides of the coin are not even: mostly what makes sense, so that long stories come about.
        @rule(
            name=st.sampled_from(sorted(PEOPLE)),
            action=st.sampled_from((*ACTIONS, "submit", "approve", "approve", "reject")),
            machine=st.sampled_from(("m1", "m1", "m1", "m2")),
            subject=st.sampled_from((None, None, "REGISTRATION", "MAINTENANCE", "PARTY")),
            revision=st.sampled_from((None, None, None, 0, 1, 2)),
            comment=st.sampled_from(("", "  ", "no guard", "=1+1")),
            hours=st.sampled_from((0, 1, 5, 60, 168)),
        )
        def attempt(self, name, action, machine, subject, revision, comment, hours):
            self.now_ms += hours * HOUR_MS
            self.tried(name, Attempt(action, machine, subject, revision, comment))

        @rule(
            machine=st.sampled_from(("m1", "m2")),
            submitter=st.sampled_from(("ada", "sue", "oli", "pia")),
            decider=st.sampled_from(("ada", "sue", "sam", "oli", "bot")),
            action=st.sampled_from(("approve", "reject", "withdraw", "expire", "set_online")),
            subject=st.sampled_from((None, None, "MAINTENANCE")),
        )
        def story(self, machine, submitter, decider, action, subject):
            self.now_ms += 200 * HOUR_MS
            self.tried(submitter, Attempt("submit", machine, subject, None, "please"))
            self.now_ms += 168 * HOUR_MS if action == "expire" else HOUR_MS
            self.tried(decider, Attempt(action, machine, None, None, "no guard"))

        @rule(
            machine=st.sampled_from(sorted(FACTORY)),
            action=st.sampled_from(("approve", "reject", "withdraw", "expire")),
        )
        def ended(self, machine, action):
            """A request that is surely open comes to the end that was drawn."""
            self.tried("ada", Attempt("withdraw", machine))
            self.tried("oli" if machine == "m1" else "pia", Attempt("submit", machine))
            self.tried("oli" if machine == "m1" else "pia", Attempt("submit", machine, "MAINTENANCE"))
            self.now_ms += 168 * HOUR_MS if action == "expire" else HOUR_MS
            self.tried("ada", Attempt(action, machine, None, None, "no guard"))

        def tried(self, name, attempt):
            if check_attempt(self.store, name, attempt, self.now_ms):
                seen.add(attempt.action)

        @invariant()
        def record_is_whole(self):
            check_whole(self.store)

        def teardown(self):
            self.store.engine.dispose()

    return Registry


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("world") / "world.db"
    make_world(str(path)).engine.dispose()
    return path


def test_the_rules_hold_whatever_is_tried(template, tmp_path):
    seen: set[str] = set()
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
        run_state_machine_as_test(machine_of(template, Path(folder), seen), settings=SETTINGS)
    assert set(FACTORY) == {"m1", "m2"}
    assert seen >= {"submit", "approve", "reject", "withdraw", "expire"}, "a story that never happens tests nothing"
