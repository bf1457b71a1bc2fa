"""The points of a sweep: every combination of its axes, as settings of the experiment's keys."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.sweep import MOST_TRIALS, Axis, Random, Range, SweepConfig

Point = dict[str, Any]


def design(config: SweepConfig) -> list[Point]:
    """Points of the sweep, each key -> value; the last axis varies fastest, random axes are drawn after the others.

    Raises ConfigError above ``MOST_TRIALS`` trials (points times replicates).
    """
    fixed = [_points(axis) for axis in config.axes if axis.random is None]
    random = [axis for axis in config.axes if axis.random is not None]
    n = math.prod(len(points) for points in fixed) * (config.samples or 1) * config.replicates
    if n > MOST_TRIALS:
        raise ConfigError(f"axes: {n} trials; at most {MOST_TRIALS} are allowed, thin out the axes or the replicates")
    if random:
        fixed.append(draw(random, config.samples or 1, config.seed or 0))
    return [{k: v for part in parts for k, v in part.items()} for parts in itertools.product(*fixed)]


def _points(axis: Axis) -> list[Point]:
    if axis.zip is not None:
        return [{part.key: part.values[i] for part in axis.zip} for i in range(len(axis.zip[0].values))]
    values = spaced(axis.range) if axis.range is not None else list(axis.values or ())
    return [{str(axis.key): value} for value in values]


def spaced(span: Range) -> list[float | int]:
    """The values of a range; whole numbers without repetition when ``integer``."""
    low, high = float(span.low), float(span.high)
    found = np.geomspace(low, high, span.steps) if span.scale == "log" else np.linspace(low, high, span.steps)
    # Twelve digits: 0.1 + 2 * 0.1 shall be 0.3, in the table and in the trial's identity.
    if span.integer:
        return list(dict.fromkeys(round(v) for v in found.tolist()))
    return [float(f"{v:.12g}") for v in found.tolist()]


def draw(axes: Sequence[Axis], samples: int, seed: int) -> list[Point]:
    """``samples`` points of the random axes, drawn together as a Latin hypercube: each axis is covered evenly."""
    from scipy.stats import qmc

    unit = qmc.LatinHypercube(len(axes), rng=np.random.default_rng([seed, 0x5EED])).random(samples)
    points: list[Point] = [{} for _ in range(samples)]
    for column, axis in enumerate(axes):
        span = axis.random
        assert span is not None
        for point, share in zip(points, unit[:, column].tolist(), strict=True):
            point[str(axis.key)] = _place(span, share)
    return points


def _place(span: Random, share: float) -> float | int:
    low, high = float(span.low), float(span.high)
    if span.integer:
        # Each whole number from low to high has the same chance.
        return min(int(low + share * (high - low + 1)), int(high))
    value = low * (high / low) ** share if span.scale == "log" else low + share * (high - low)
    return float(f"{value:.12g}")


def settings_of(point: Mapping[str, Any]) -> tuple[str, ...]:
    """The point as ``--set`` overrides."""
    import yaml

    return tuple(
        f"{key}={yaml.safe_dump(value, default_flow_style=True, width=1_000_000).removesuffix('...' + chr(10)).strip()}"
        for key, value in point.items()
    )
