"""The control: a fixed piece of work that nothing in this house can make faster or slower.

Its CPU-seconds, measured right before and after a benchmark, say how fast this machine is just now. It holds what the
benchmarks hold (interpreter, arithmetic on arrays in and out of the cache, integer work in C) and uses none of our
kernels, so a slower kernel cannot hide behind it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import numpy as np

_REPEATS = 3


def _interpreter() -> int:
    total = 0
    for k in range(120_000):
        total = (total * 31 + k) % 1_000_003
    return total


def _hashing() -> bytes:
    return hashlib.blake2b(bytes(6_000_000)).digest()


def control_cpu() -> float:
    """CPU-seconds of the control, each part the least of three; about a hundredth of a second on a fast core."""
    small, large = np.linspace(0.1, 1.0, 20_000), np.linspace(0.1, 1.0, 1_000_000)

    def cached() -> float:
        return float(sum((small * small + 0.5).sum() for _ in range(200)))

    def streamed() -> float:
        return float((large * 1.5 + large).sum())

    parts: tuple[Callable[[], object], ...] = (_interpreter, _hashing, cached, streamed)
    return sum(_least(part) for part in parts)


def _least(part: Callable[[], object]) -> float:
    spent = []
    for _ in range(_REPEATS):
        start = time.process_time()
        part()
        spent.append(time.process_time() - start)
    return min(spent)
