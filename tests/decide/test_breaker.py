"""The circuit breaker: the seven defects of the platform's own are the first seven tests."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from nexova_sim.decide.breaker import CLOSED, HALF_OPEN, OPEN, Breaker, BreakerRules, admit, settle, wait_s

RULES = BreakerRules(window_s=60.0, least_calls=5, failure_frac=0.5, open_s=30.0, n_probes=1, n_successes=2)


def calls(state, outcomes, now=0.0, step=1.0):
    """One call after another; those not admitted are counted."""
    refused = 0
    for failed in outcomes:
        state, ticket = admit(state, RULES, now)
        if ticket is None:
            refused += 1
        else:
            state = settle(state, RULES, ticket, failed, now)
        now += step
    return state, refused


def opened(now=0.0):
    state, _ = calls(Breaker(), [True] * 5, now, 0.0)
    assert state.phase == OPEN
    return state


def test_1_four_failures_in_five_open_it_although_never_five_in_a_row():
    state, refused = calls(Breaker(), [True, True, True, True, False] * 200, step=0.1)
    assert refused > 900 and state.phase != CLOSED


def test_2_failures_a_month_apart_do_not_open_it():
    state, refused = calls(Breaker(), [True] * 50, step=30 * 86_400.0)
    assert refused == 0 and state.phase == CLOSED


def test_3_half_open_admits_its_probes_and_nobody_else():
    state, admitted = opened(), 0
    for _ in range(50):
        state, ticket = admit(state, RULES, 31.0)
        admitted += ticket is not None
    assert admitted == RULES.n_probes and state.phase == HALF_OPEN


def test_4_the_late_success_of_an_old_call_does_not_close_it():
    state, late = admit(Breaker(), RULES, 0.0)
    state, _ = calls(state, [True] * 5, 1.0, 0.0)
    assert state.phase == OPEN
    state = settle(state, RULES, late, False, 2.0)
    assert state.phase == OPEN
    state, probe = admit(state, RULES, 40.0)
    assert settle(state, RULES, late, False, 40.0) == state and probe is not None


def test_5_what_is_the_callers_own_fault_does_not_count():
    state, refused = calls(Breaker(), [None] * 100)
    assert refused == 0 and state.phase == CLOSED and state.outcomes == ()


def test_6_one_success_does_not_close_it_and_one_failure_opens_it_again():
    state, ticket = admit(opened(), RULES, 31.0)
    state = settle(state, RULES, ticket, False, 32.0)
    assert state.phase == HALF_OPEN
    state, ticket = admit(state, RULES, 33.0)
    assert settle(state, RULES, ticket, False, 34.0).phase == CLOSED
    assert settle(state, RULES, ticket, True, 34.0).phase == OPEN


def test_7_it_opens_again_by_the_time_that_passed_not_by_the_time_of_day():
    """The clock is monotonic by contract; what matters is only the difference to the moment it opened."""
    state = opened(1e6)
    assert admit(state, RULES, 1e6 + 29.9)[1] is None and wait_s(state, RULES, 1e6 + 10.0) == 20.0
    assert admit(state, RULES, 1e6 + 30.0)[1] is not None
    assert wait_s(Breaker(), RULES, 5.0) == 0.0


def test_a_probe_that_never_answers_gives_its_place_back():
    state, first = admit(opened(), RULES, 31.0)
    assert first is not None and admit(state, RULES, 60.0)[1] is None
    state, second = admit(state, RULES, 31.0 + RULES.probe_s)
    assert second is not None
    assert settle(state, RULES, first, True, 92.0) == state, "the outcome of a probe given up is ignored"


def test_a_probe_that_says_nothing_frees_its_place():
    state, ticket = admit(opened(), RULES, 31.0)
    state = settle(state, RULES, ticket, None, 32.0)
    assert state.phase == HALF_OPEN and admit(state, RULES, 32.0)[1] is not None


@given(st.lists(st.tuples(st.sampled_from(["call", "ok", "fail", "none"]), st.floats(0.0, 40.0)), max_size=60))
def test_whatever_happens_the_state_keeps_its_promises(events):
    state, now, open_tickets, generations = Breaker(), 0.0, [], [0]
    for what, passed in events:
        now += passed
        if what == "call":
            state, ticket = admit(state, RULES, now)
            if ticket is not None:
                open_tickets.append(ticket)
        elif open_tickets:
            ticket = open_tickets.pop(0)
            state = settle(state, RULES, ticket, {"ok": False, "fail": True, "none": None}[what], now)
        generations.append(state.generation)
        assert len(state.probes) <= RULES.n_probes and state.successes < RULES.n_successes
        if state.phase == OPEN:
            assert state.probes == () and state.outcomes == ()
    assert all(a <= b for a, b in itertools.pairwise(generations))
