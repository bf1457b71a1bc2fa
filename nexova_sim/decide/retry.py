"""Calling a provider with patience: full jitter, Retry-After, a limit per attempt and in all, a breaker, a rate.

The platform's retry repeats what cannot succeed, has no jitter, no deadline and ignores what the service asks for. Full
jitter: wait a uniform share of the exponential step (Brooker, "Exponential backoff and jitter", 2015).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from nexova_sim.decide.breaker import Breaker, BreakerRules, admit, settle, wait_s
from nexova_sim.decide.clock import Clock
from nexova_sim.decide.model import NOT_ITS_FAULT, TRANSIENT, ModelError

T = TypeVar("T")


class RetryRules(NamedTuple):
    """At most ``n_attempts`` within ``total_s``; waits grow from ``first_s`` to ``most_s``; ``attempt_s`` per try."""

    n_attempts: int = 4
    attempt_s: float = 20.0
    total_s: float = 60.0
    first_s: float = 0.5
    most_s: float = 20.0


class RateRules(NamedTuple):
    """At most ``n_calls`` in any ``window_s`` seconds."""

    n_calls: int = 60
    window_s: float = 60.0


class Outcome(NamedTuple):
    """How a patient call went: attempts made, seconds from first to last."""

    attempts: int
    elapsed_s: float


@dataclass(frozen=True)
class Line:
    """The one line to a service: everybody who calls it shares its breaker and its rate. Safe between threads.

    ``draw`` gives uniform numbers in [0, 1) for the jitter.
    """

    retry: RetryRules
    breaker: BreakerRules
    rate: RateRules
    clock: Clock
    draw: Callable[[], float]
    _memory: list[Breaker] = field(default_factory=lambda: [Breaker()])
    _starts: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def phase(self) -> str:
        """Phase of the breaker."""
        return self._memory[0].phase

    def call(self, attempt: Callable[[float], T]) -> tuple[T, Outcome]:
        """``attempt(timeout_s)`` until it answers; ModelError of the last try when it never does."""
        began = self.clock.now_s()
        end = began + self.retry.total_s
        last: ModelError | None = None
        for number in range(self.retry.n_attempts):
            self._wait_for_rate(end, last)
            left = end - self.clock.now_s()
            if left <= 0.0:
                break
            try:
                answer = self._once(attempt, min(self.retry.attempt_s, left))
                return answer, Outcome(number + 1, self.clock.now_s() - began)
            except ModelError as error:
                last = error
                if error.code not in TRANSIENT or number + 1 == self.retry.n_attempts:
                    break
                wait = self._pause_s(number, error)
                if self.clock.now_s() + wait >= end:
                    break
                self.clock.wait(wait)
        raise last or ModelError("TIMEOUT", f"no attempt fits into {self.retry.total_s:g} s")

    def _pause_s(self, number: int, error: ModelError) -> float:
        step = min(self.retry.most_s, self.retry.first_s * 2.0**number)
        # What the service asks for is a lower limit; jitter on top keeps callers from coming back together.
        return (error.retry_after_s or 0.0) + self.draw() * step

    def _once(self, attempt: Callable[[float], T], timeout_s: float) -> T:
        with self._lock:
            now = self.clock.now_s()
            self._memory[0], ticket = admit(self._memory[0], self.breaker, now)
            if ticket is None:
                left = wait_s(self._memory[0], self.breaker, now)
                raise ModelError("UNAVAILABLE", "the circuit to the service is open", retry_after_s=left or None)
        failed: bool | None = None
        try:
            answer = attempt(timeout_s)
            failed = False
            return answer
        except ModelError as error:
            failed = None if error.code in NOT_ITS_FAULT else True
            raise
        finally:
            with self._lock:
                self._memory[0] = settle(self._memory[0], self.breaker, ticket, failed, self.clock.now_s())

    def _wait_for_rate(self, end: float, last: ModelError | None) -> None:
        while True:
            with self._lock:
                now = self.clock.now_s()
                while self._starts and now - self._starts[0] >= self.rate.window_s:
                    self._starts.popleft()
                if len(self._starts) < self.rate.n_calls:
                    self._starts.append(now)
                    return
                wait = self._starts[0] + self.rate.window_s - now
            if now + wait >= end:
                raise last or ModelError("RATE_LIMIT", f"the own limit of {self.rate.n_calls} calls is used up",
                                         retry_after_s=wait)  # fmt: skip
            self.clock.wait(wait)
