"""What a registered benchmark is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Benchmark(NamedTuple):
    """A registered bar: ``direction`` "min" means the value must be at least ``bar``, "max" at most."""

    group: str
    unit: str
    bar: float
    direction: str
    how: str
    measure: Callable[[], float | None]
