"""Scenarios as data: the phases one machine goes through and the state it starts in; what ``nexova twin run`` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil, gcd
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.kinds import KindConfig
from nexova_sim.config.load import apply_overrides, build, find_config, load_kind, read_yaml
from nexova_sim.config.strict import ID_PATTERN, Identifier, NonNegative, Positive, Strict

MAX_HOURS = 30 * 8766
MAX_ROWS = 300_000
MAX_STEPS = 100_000_000
USUAL_ROWS = 2000
SLOT_S = 300  # inputs are constant for that long at most, so that an event is found to within a second or so


def _span(value: float) -> float:
    if value > MAX_HOURS:
        raise ValueError(f"at most {MAX_HOURS} h (30 years), because every part has come to its end by then")
    if round(value * 60.0) < 1 or abs(value * 60.0 - round(value * 60.0)) > 0.05:
        raise ValueError("must be a whole number of minutes, e.g. 0.25 or 8")
    return value


Span = Annotated[Positive, AfterValidator(_span)]
Ambient = Annotated[float, Field(ge=-60.0, le=60.0)]
Start = Annotated[float, Field(ge=0.0, lt=1.0)]


class Phase(Strict):
    """Constant conditions for some hours; load 0 is a stopped machine. Damage per running hour adds to the physics."""

    name: Annotated[str, Field(max_length=64)] = ""
    hours: Span | None = None
    load_frac: Annotated[float, Field(ge=0.0, le=2.0)]
    cooling_frac: Annotated[float, Field(ge=0.05, le=1.0)] = 1.0
    wear_per_h: Annotated[NonNegative, Field(le=100.0)] = 0.0
    fatigue_per_h: Annotated[NonNegative, Field(le=100.0)] = 0.0
    vibration_mm_s: Annotated[NonNegative, Field(le=100.0)] = 0.0
    ambient_c: Ambient | None = None


class StartState(Strict):
    """State at time 0; ``temp_c`` left out means the first ambient temperature."""

    wear_frac: Start = 0.0
    fatigue_frac: Start = 0.0
    electrical_frac: Start = 0.0
    runtime_h: NonNegative = 0.0
    temp_c: Annotated[float, Field(ge=-60.0, le=400.0)] | None = None


class Scenario(Strict):
    """Phases one after the other; with ``repeat`` they start over, without it the last one lasts for ever.

    ``hours`` is how long the trajectory is; remaining life is found by running on beyond it. ``random_failures`` lets
    the kind's Weibull hazard strike (drawn from the seed); without it only damage and rated life end the machine.
    """

    name: Identifier
    title: Annotated[str, Field(max_length=200)] = ""
    hours: Span = 500.0
    ambient_c: Ambient = 25.0
    repeat: bool = False
    random_failures: bool = False
    start: StartState = StartState()
    phases: Annotated[list[Phase], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        for number, phase in enumerate(self.phases):
            if phase.hours is None and (self.repeat or number < len(self.phases) - 1):
                why = "the phases repeat" if self.repeat else "another phase follows"
                raise ValueError(
                    f"phases.{number}: 'hours' is missing; only a last phase may be without, and here {why}"
                )
        if self.cycle_min > MAX_HOURS * 60:
            raise ValueError(f"the phases last {self.cycle_min / 60.0:g} h together; at most {MAX_HOURS} h (30 years)")
        return self

    @property
    def phase_min(self) -> list[int]:
        """Length of every phase with a length, minutes."""
        return [round(p.hours * 60.0) for p in self.phases if p.hours is not None]

    @property
    def cycle_min(self) -> int:
        """Length of all phases with a length together, minutes."""
        return sum(self.phase_min)


class ResolvedTwin(Strict):
    """One machine and one scenario: everything a trajectory depends on, in one value."""

    physics: Literal["plant", "seed"] = "plant"
    dt_s: Annotated[float, Field(ge=1.0, le=3600.0)] = 60.0
    every_h: Span | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    kind_name: Identifier
    kind: KindConfig
    scenario: Scenario

    @model_validator(mode="after")
    def _feasible(self) -> ResolvedTwin:
        hours, life = self.scenario.hours, self.kind.damage.rated_life_h
        if self.scenario.start.runtime_h >= life:
            raise ValueError(f"scenario.start.runtime_h must be below the rated life of {life:g} h")
        if self.sample_min > round(hours * 60.0):
            raise ValueError(
                f"every_h ({self.sample_min / 60.0:g}) is longer than the run of {hours:g} h; take a smaller one"
            )
        if hours * 60.0 / self.sample_min > MAX_ROWS:
            n_rows = hours * 60.0 / self.sample_min
            raise ValueError(f"every_h: {n_rows:,.0f} rows; at most {MAX_ROWS:,}, take a longer --every")
        if hours * 3600.0 / self.dt_s > MAX_STEPS:
            n_steps = hours * 3600.0 / self.dt_s
            raise ValueError(f"dt_s: {n_steps:,.0f} steps; at most {MAX_STEPS:,}, take a larger --dt or fewer --hours")
        return self

    @property
    def sample_min(self) -> int:
        """Minutes from row to row: as asked, else an hour, or more when that would be over 2000 rows."""
        if self.every_h is not None:
            return round(self.every_h * 60.0)
        return min(round(self.scenario.hours * 60.0), 60 * ceil(self.scenario.hours / USUAL_ROWS))

    @property
    def slot_s(self) -> int:
        """Seconds of a slot: the longest that fits phases, rows and the end, and is not above 300 or the time step."""
        spans = [*self.scenario.phase_min, round(self.scenario.hours * 60.0), self.sample_min]
        common = 60 * gcd(*spans)
        longest = max(SLOT_S, int(self.dt_s))
        return max(d for d in range(1, min(longest, common) + 1) if common % d == 0)

    @property
    def step_s(self) -> float:
        """Seconds of a step: the longest that divides a slot and is not above ``dt_s``."""
        return self.slot_s / ceil(self.slot_s / self.dt_s)


class TwinChoice(NamedTuple):
    """What a caller of ``load_twin`` may choose, not yet checked; None leaves the default or what the scenario says."""

    hours: float | None = None
    ambient_c: float | None = None
    physics: str | None = None
    dt_s: float | None = None
    every_h: float | None = None
    seed: int | None = None


_NO_CHOICE = TwinChoice()


def _is_path(name: str) -> bool:
    return "/" in name or os.sep in name or name.endswith((".yaml", ".yml"))


def _load_any_kind(name: str) -> tuple[str, KindConfig]:
    if _is_path(name):
        path = find_config(name)
        return path.stem, load_kind(path.stem, path.parent)
    folder = find_config("configs/kind")
    if not ID_PATTERN.fullmatch(name):
        raise ConfigError(
            f"unknown machine kind {name[:80]!r}; {suggest(name[:80], sorted(p.stem for p in folder.glob('*.yaml')))}"
        )
    return name, load_kind(name.lower(), folder)


def scenario_path(name: str) -> Path:
    """The YAML file of a scenario: a path, or a name among the built-in ones in configs/scenario."""
    if _is_path(name):
        return find_config(name)
    folder = find_config("configs/scenario")
    names = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in names:
        raise ConfigError(
            f"unknown scenario {name[:80]!r}; {suggest(name[:80], names)}, or give the path of a YAML file"
        )
    return folder / f"{name}.yaml"


def load_scenario(name: str) -> Scenario:
    """The scenario ``name`` (a name among configs/scenario, or a path)."""
    path = scenario_path(name)
    return build(Scenario, read_yaml(path), str(path))


def load_twin(kind: str, scenario: str, settings: Sequence[str] = (), choice: TwinChoice = _NO_CHOICE) -> ResolvedTwin:
    """One machine of ``kind`` in ``scenario`` (names or paths), with ``--set`` overrides and then ``choice``.

    Overrides address the whole ``ResolvedTwin``: ``scenario.start.wear_frac=0.5``, ``kind.rated_kw=18.5``.
    Raises ConfigError for anything unknown, impossible or out of range.
    """
    try:
        kind_name, machine = _load_any_kind(kind)
        raw: dict[str, Any] = {
            "kind_name": kind_name.lower(),
            "kind": machine.model_dump(mode="json"),
            "scenario": load_scenario(scenario).model_dump(mode="json"),
        }
    except OSError as error:
        raise ConfigError(
            f"--kind {kind[:80]} --scenario {scenario[:80]}: cannot be looked up: {error.strerror}"
        ) from error
    raw = apply_overrides(raw, settings)
    given = {key: value for key, value in choice._asdict().items() if value is not None}
    for key in ("hours", "ambient_c"):
        if key in given and isinstance(raw["scenario"], dict):
            raw["scenario"][key] = given.pop(key)
    return build(ResolvedTwin, {**raw, **given}, "nexova twin run")
