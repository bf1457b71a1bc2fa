"""A circuit breaker as pure functions over a frozen state: failure rate in a sliding window, limited probes.

The platform's breaker counts failures for ever, lets everybody through when half open, closes on one success and
lets the late answer of an old call close an open circuit. Here only recent outcomes count and only as a share of
enough calls; a half-open circuit admits a few probes and wants several successes; every change of phase begins a new
generation, and outcomes of older generations are ignored; what is the caller's own fault does not count at all.
"""

from __future__ import annotations

from typing import NamedTuple

CLOSED, OPEN, HALF_OPEN = "CLOSED", "OPEN", "HALF_OPEN"


class BreakerRules(NamedTuple):
    """When to open: ``failure_frac`` of at least ``least_calls`` calls within ``window_s``; open for ``open_s``.

    Then at most ``n_probes`` calls at once until ``n_successes`` of them succeeded; a probe without an answer for
    ``probe_s`` gives its place back.
    """

    window_s: float = 60.0
    least_calls: int = 5
    failure_frac: float = 0.5
    open_s: float = 30.0
    n_probes: int = 1
    n_successes: int = 2
    probe_s: float = 60.0


class Breaker(NamedTuple):
    """State of a circuit. ``outcomes``: (time, failed) within the window; ``probes``: start times of open probes."""

    phase: str = CLOSED
    generation: int = 0
    since_s: float = 0.0
    outcomes: tuple[tuple[float, bool], ...] = ()
    probes: tuple[tuple[int, float], ...] = ()
    successes: int = 0
    n_tickets: int = 0


class Ticket(NamedTuple):
    """Leave to make one call, to be handed back to ``settle``."""

    generation: int
    number: int


def admit(state: Breaker, rules: BreakerRules, now_s: float) -> tuple[Breaker, Ticket | None]:
    """The next state and a ticket, or None when the circuit does not let a call through at ``now_s``."""
    if state.phase == OPEN:
        if now_s - state.since_s < rules.open_s:
            return state, None
        state = _change(state, HALF_OPEN, now_s)
    number = state.n_tickets
    ticket = Ticket(state.generation, number)
    if state.phase == HALF_OPEN:
        probes = tuple(p for p in state.probes if now_s - p[1] < rules.probe_s)
        if len(probes) >= rules.n_probes:
            return state._replace(probes=probes), None
        state = state._replace(probes=(*probes, (number, now_s)))
    return state._replace(n_tickets=number + 1), ticket


def settle(state: Breaker, rules: BreakerRules, ticket: Ticket, failed: bool | None, now_s: float) -> Breaker:
    """The state after the call of ``ticket`` ended. ``failed`` None: it says nothing about the other side."""
    if ticket.generation != state.generation or state.phase == OPEN:
        return state
    if state.phase == HALF_OPEN:
        mine = any(number == ticket.number for number, _ in state.probes)
        state = state._replace(probes=tuple(p for p in state.probes if p[0] != ticket.number))
        if failed is None or not mine:
            return state
        if failed:
            return _change(state, OPEN, now_s)
        state = state._replace(successes=state.successes + 1)
        return _change(state, CLOSED, now_s) if state.successes >= rules.n_successes else state
    if failed is None:
        return state
    recent = tuple(o for o in state.outcomes if now_s - o[0] < rules.window_s)
    state = state._replace(outcomes=(*recent, (now_s, failed)))
    n, n_failed = len(state.outcomes), sum(f for _, f in state.outcomes)
    return _change(state, OPEN, now_s) if n >= rules.least_calls and n_failed >= rules.failure_frac * n else state


def wait_s(state: Breaker, rules: BreakerRules, now_s: float) -> float:
    """Seconds until an open circuit lets a probe through; 0 when it is not open."""
    return max(0.0, rules.open_s - (now_s - state.since_s)) if state.phase == OPEN else 0.0


def _change(state: Breaker, phase: str, now_s: float) -> Breaker:
    return Breaker(phase, state.generation + 1, now_s, n_tickets=state.n_tickets)
