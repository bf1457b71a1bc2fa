"""Time as something that is passed in: tests and replays let hours pass without waiting."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A monotonic clock in seconds that can be waited on."""

    def now_s(self) -> float:
        """Seconds since some fixed instant, never running backward."""

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass."""


class RealClock(Clock):
    """The machine's monotonic clock."""

    def now_s(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(max(0.0, seconds))


class VirtualClock(Clock):
    """A clock that only moves when somebody waits on it or advances it."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now_s(self) -> float:
        """Seconds on this clock."""
        return self._now_s

    def wait(self, seconds: float) -> None:
        """Move on at once."""
        self._now_s += max(0.0, seconds)
