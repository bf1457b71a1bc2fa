"""Patience with a service, on a clock that only moves when somebody waits on it."""

import threading

import pytest

from nexova_sim.decide.breaker import CLOSED, OPEN, BreakerRules
from nexova_sim.decide.clock import RealClock, VirtualClock
from nexova_sim.decide.model import ERROR_CODES, NOT_ITS_FAULT, TRANSIENT, ModelError
from nexova_sim.decide.retry import Line, RateRules, RetryRules

CALM = BreakerRules(least_calls=1000)


class Service:
    """Fails as told, then answers; every attempt takes ``takes_s``."""

    def __init__(self, clock, failures, takes_s=0.0):
        self.clock, self.failures, self.takes_s, self.timeouts = clock, list(failures), takes_s, []

    def __call__(self, timeout_s):
        self.timeouts.append(timeout_s)
        self.clock.wait(min(self.takes_s, timeout_s))
        if self.takes_s > timeout_s:
            raise ModelError("TIMEOUT", "late")
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def line(clock, retry=None, breaker=CALM, rate=None, draw=lambda: 1.0):
    return Line(retry or RetryRules(), breaker, rate or RateRules(10_000), clock, draw)


def test_a_passing_failure_is_waited_out():
    clock = VirtualClock()
    answer, how = line(clock).call(Service(clock, [ModelError("UNAVAILABLE", "x")] * 2))
    assert answer == "answer" and how.attempts == 3 and how.elapsed_s == clock.now_s() == 0.5 + 1.0


def test_waits_are_a_uniform_share_of_a_growing_step_with_a_limit():
    rules = RetryRules(n_attempts=8, total_s=1e6, first_s=0.5, most_s=4.0)
    for share in (0.0, 0.25, 1.0):
        clock = VirtualClock()
        line(clock, rules, draw=lambda share=share: share).call(Service(clock, [ModelError("TIMEOUT", "x")] * 7))
        assert clock.now_s() == pytest.approx(share * (0.5 + 1 + 2 + 4 + 4 + 4 + 4))


def test_what_the_service_asks_for_is_the_least_wait():
    clock = VirtualClock()
    line(clock, draw=lambda: 0.0).call(Service(clock, [ModelError("RATE_LIMIT", "x", 429, 17.0)]))
    assert clock.now_s() == 17.0


@pytest.mark.parametrize("code", sorted(NOT_ITS_FAULT))
def test_what_cannot_succeed_is_not_repeated(code):
    clock = VirtualClock()
    service = Service(clock, [ModelError(code, "x")] * 5)
    with pytest.raises(ModelError) as caught:
        line(clock).call(service)
    assert caught.value.code == code and len(service.timeouts) == 1 and clock.now_s() == 0.0
    assert set(ERROR_CODES) == TRANSIENT | NOT_ITS_FAULT and not TRANSIENT & NOT_ITS_FAULT


def test_attempts_have_an_end_and_the_last_error_is_told():
    clock = VirtualClock()
    service = Service(clock, [ModelError("UNAVAILABLE", str(n)) for n in range(9)])
    with pytest.raises(ModelError, match="UNAVAILABLE: 3"):
        line(clock).call(service)
    assert len(service.timeouts) == 4


def test_there_is_a_limit_per_attempt_and_one_in_all():
    clock = VirtualClock()
    rules = RetryRules(n_attempts=50, attempt_s=20.0, total_s=50.0, first_s=0.0, most_s=0.0)
    service = Service(clock, [], takes_s=100.0)
    with pytest.raises(ModelError, match="TIMEOUT"):
        line(clock, rules).call(service)
    assert service.timeouts == [20.0, 20.0, 10.0] and clock.now_s() == 50.0


def test_a_wait_beyond_the_limit_is_not_begun():
    clock = VirtualClock()
    with pytest.raises(ModelError, match="RATE_LIMIT"):
        line(clock).call(Service(clock, [ModelError("RATE_LIMIT", "x", 429, 3600.0)]))
    assert clock.now_s() == 0.0


def test_an_open_circuit_refuses_without_asking_and_lets_a_probe_through_later():
    clock = VirtualClock()
    rules = BreakerRules(least_calls=3, open_s=30.0, n_successes=1)
    shared = line(clock, RetryRules(n_attempts=1), rules)
    broken = Service(clock, [ModelError("UNAVAILABLE", "x")] * 100)
    for _ in range(10):
        with pytest.raises(ModelError):
            shared.call(broken)
    assert len(broken.timeouts) == 3 and shared.phase == OPEN
    with pytest.raises(ModelError, match="circuit") as caught:
        shared.call(broken)
    assert caught.value.retry_after_s == 30.0
    clock.wait(30.0)
    assert shared.call(Service(clock, []))[0] == "answer" and shared.phase == CLOSED


def test_a_bug_in_the_attempt_does_not_hold_the_probe():
    clock = VirtualClock()
    shared = line(clock, RetryRules(n_attempts=1), BreakerRules(least_calls=1, open_s=1.0, n_successes=1))
    with pytest.raises(ModelError):
        shared.call(Service(clock, [ModelError("TIMEOUT", "x")]))
    clock.wait(1.0)

    def bug(_timeout_s):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shared.call(bug)
    assert shared.call(Service(clock, []))[0] == "answer"


def test_calls_keep_to_their_own_rate():
    clock = VirtualClock()
    shared = line(clock, RetryRules(total_s=1e6), rate=RateRules(10, 60.0))
    starts = []
    for _ in range(35):
        shared.call(lambda _timeout_s: starts.append(clock.now_s()))
    assert starts == [0.0] * 10 + [60.0] * 10 + [120.0] * 10 + [180.0] * 5
    short = line(clock, RetryRules(total_s=30.0), rate=RateRules(1, 60.0))
    short.call(Service(clock, []))
    with pytest.raises(ModelError, match="own limit of 1 calls") as caught:
        short.call(Service(clock, []))
    assert caught.value.code == "RATE_LIMIT" and caught.value.retry_after_s == 60.0


def test_threads_share_one_line():
    clock = VirtualClock()
    shared = line(clock, RetryRules(n_attempts=1), BreakerRules(least_calls=10, n_probes=1))
    answers = []

    def work():
        for _ in range(200):
            answers.append(shared.call(lambda _timeout_s: 1)[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sum(answers) == 800 and shared.phase == CLOSED


def test_the_real_clock_runs_forward():
    clock = RealClock()
    before = clock.now_s()
    clock.wait(0.0)
    clock.wait(-1.0)
    assert clock.now_s() >= before
