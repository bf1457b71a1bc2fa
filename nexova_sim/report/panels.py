"""What an effect plot shows: panels of lines with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Line(NamedTuple):
    """A line of an effect plot: ``x`` (n,) numbers or names, the mean (n,) and its interval (n,), (n,)."""

    label: str
    x: list[float] | list[str]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Panel(NamedTuple):
    """A panel: a metric against a key, one line per value of another key; ``is_log`` when x goes by factors."""

    metric: str
    x: str
    by: str | None
    lines: tuple[Line, ...]
    is_log: bool
