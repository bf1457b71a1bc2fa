"""The sweep configuration: an experiment, axes over its keys, replicates by seed, what is drawn from the results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.strict import Identifier, Strict

MOST_TRIALS = 100_000
Scalar = bool | int | float | str | None
Key = Annotated[str, Field(min_length=1, max_length=400)]


class Range(Strict):
    """``steps`` values from ``low`` to ``high``, both included, evenly spaced or by equal factors (log)."""

    low: float | int
    high: float | int
    steps: Annotated[int, Field(ge=2, le=10_000)]
    scale: Literal["linear", "log"] = "linear"
    integer: bool = False

    @model_validator(mode="after")
    def _rising(self) -> Range:
        _check_span(self.low, self.high, self.scale)
        return self


class Random(Strict):
    """Draws between ``low`` and ``high``; all random axes of a sweep are drawn together (Latin hypercube)."""

    low: float | int
    high: float | int
    scale: Literal["linear", "log"] = "linear"
    integer: bool = False

    @model_validator(mode="after")
    def _rising(self) -> Random:
        _check_span(self.low, self.high, self.scale)
        return self


class ListAxis(Strict):
    """One key of the experiment and the values it takes."""

    key: Key
    values: Annotated[tuple[Any, ...], Field(min_length=1, max_length=10_000)]


class Axis(Strict):
    """One of: ``key`` with ``values``, ``range`` or ``random``; or ``zip``, lists that advance together."""

    key: Key | None = None
    values: Annotated[tuple[Any, ...] | None, Field(min_length=1, max_length=10_000)] = None
    range: Range | None = None
    random: Random | None = None
    zip: Annotated[tuple[ListAxis, ...] | None, Field(min_length=2, max_length=50)] = None

    @model_validator(mode="after")
    def _one_form(self) -> Axis:
        forms = [n for n in ("values", "range", "random", "zip") if getattr(self, n) is not None]
        if len(forms) != 1:
            raise ValueError(f"give exactly one of values, range, random, zip; got {', '.join(forms) or 'none'}")
        if (self.key is None) != (self.zip is not None):
            raise ValueError("'key' goes with values, range or random; the lists of a zip name their own keys")
        if self.zip is not None and len({len(part.values) for part in self.zip}) > 1:
            sizes = ", ".join(f"{part.key} {len(part.values)}" for part in self.zip)
            raise ValueError(f"the lists of a zip must be equally long; got {sizes}")
        return self

    def set_keys(self) -> tuple[str, ...]:
        """The keys this axis sets."""
        return tuple(part.key for part in self.zip) if self.zip is not None else (str(self.key),)


class Effect(Strict):
    """A panel of the effect plot: the metric against the key ``x``, one line per value of the key ``by``."""

    metric: Key
    x: Key
    by: Key | None = None


class SweepConfig(Strict):
    """A sweep: every combination of the axes, ``replicates`` times with the seeds ``seed``, ``seed`` + 1, ...

    ``seed`` None leaves the experiment's own seed (one replicate). ``metrics`` are patterns (``alerts.*``) of the
    metrics to keep; ``with_report`` writes a report for every trial.
    """

    name: Identifier
    title: Annotated[str, Field(max_length=200)] = ""
    experiment: str
    axes: Annotated[tuple[Axis, ...], Field(max_length=20)] = ()
    samples: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    replicates: Annotated[int, Field(ge=1, le=10_000)] = 1
    metrics: Annotated[tuple[Key, ...], Field(min_length=1, max_length=200)] = ("*",)
    effects: Annotated[tuple[Effect, ...], Field(max_length=12)] = ()
    with_report: bool = False

    @model_validator(mode="after")
    def _together(self) -> SweepConfig:
        keys = self.set_keys()
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"axes: the key {key!r} stands twice")
        is_random = any(axis.random is not None for axis in self.axes)
        if is_random and self.samples is None:
            raise ValueError("samples: random axes need the number of draws, e.g. samples: 20")
        if not is_random and self.samples is not None:
            raise ValueError("samples: there is no random axis to draw from; leave it out")
        if self.replicates > 1 and self.seed is None:
            raise ValueError("seed: replicates need a first seed, e.g. seed: 1")
        for number, effect in enumerate(self.effects):
            for shown in (effect.x, effect.by):
                if shown is not None and shown not in keys:
                    raise ValueError(
                        f"effects.{number}: {shown!r} is no axis; the axes are: {', '.join(keys) or 'none'}"
                    )
        return self

    def set_keys(self) -> list[str]:
        """The keys that the axes set, in their order."""
        return [key for axis in self.axes for key in axis.set_keys()]


class ResolvedSweep(NamedTuple):
    """A sweep with the experiment file it means, found."""

    config: SweepConfig
    experiment: Path


def load_sweep(name: str | Path, settings: Sequence[str] = ()) -> ResolvedSweep:
    """A sweep file with ``--set`` overrides; its experiment is looked up like all configuration files."""
    path = find_config(os.fspath(name))
    config = build(SweepConfig, apply_overrides(read_yaml(path), settings), str(path))
    experiment = find_config(config.experiment, path.parent)
    _check_seeds(config, path, experiment)
    return ResolvedSweep(config, experiment)


_SEED_KEY = "simulate.overrides.seed"


def _check_seeds(config: SweepConfig, path: Path, experiment: Path) -> None:
    """Refuse seeds over an experiment that simulates nothing, two that set the same, and an axis that is no key."""
    keys = config.set_keys()
    given = [f"the axis {key!r}" for key in ("seed", _SEED_KEY) if key in keys]
    given += [] if config.seed is None else [f"seed: {config.seed} with replicates: {config.replicates}"]
    if not given:
        return
    raw = read_yaml(experiment)
    source = next((name for name in ("ingest", "dataset") if raw.get(name) is not None), None)
    simulates = raw.get("simulate") is not None or any(k.startswith("simulate") and k != _SEED_KEY for k in keys)
    if source is not None and not simulates:
        raise ConfigError(
            f"{path}: got {' and '.join(given)}, but {experiment} begins with {source!r} and simulates nothing, so no "
            f"seed changes its data; seeds are allowed over an experiment with the section 'simulate'; leave "
            f"{'them' if len(given) > 1 else 'it'} out and vary other keys of the experiment, or one of its stages"
        )
    if "seed" in keys:
        raise ConfigError(
            f"{path}: axes: got the axis 'seed', which is no key of an experiment; the seed of its plant is varied by "
            f"seed and replicates of the sweep (seed: 1, replicates: 5) or by the axis {_SEED_KEY!r}; use one of these"
        )
    if len(given) > 1:
        raise ConfigError(
            f"{path}: got {' and '.join(given)}, which set the same seed; one of them is allowed, leave the other out"
        )


def _check_span(low: float, high: float, scale: str) -> None:
    if not low < high:
        raise ValueError(f"low must be below high, got {low} and {high}")
    if scale == "log" and low <= 0:
        raise ValueError(f"scale log needs low above 0, got {low}")
