"""Alert policies: rules as data, how alerts are muted, grouped and resolved, and who the operators are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.strict import Identifier, Moment, NonNegative, Positive, Strict

SEVERITIES = ("INFO", "WARNING", "CRITICAL")
MAX_RULES = 32
MAX_SECONDS = 10 * 366 * 86_400.0
Severity = Literal["INFO", "WARNING", "CRITICAL"]
Status = Literal["ONLINE", "OFFLINE", "MAINTENANCE"]
Seconds = Annotated[float, Field(ge=0.0, le=MAX_SECONDS)]
Channel = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class Level(Strict):
    """A rung of the severity ladder: ``limit`` and ``clear`` (default: the limit) in the unit of the rule's signal."""

    severity: Severity
    limit: float
    clear: float | None = None
    on_delay_s: Seconds | None = None


class AppliesTo(Strict):
    """Which machines and states a rule is for; an empty list means all."""

    kinds: list[str] = []
    factories: list[str] = []
    machines: list[str] = []
    status: Annotated[list[Status], Field(max_length=3)] = []


class Rule(Strict):
    """One rule. ``signal`` is a channel of the readings as it is, or derived from it.

    value: the channel. baseline_percent: 100 times power over ``baseline`` (name-plate power times nominal load, or the
    mean of the same hour of the week so far; ``or_nominal`` falls back to the former until a week is known). trend:
    slope of the channel per hour, weighted over ``window_s``. Then a first-order low-pass of ``filter_s``.
    ``repeat: reading`` makes every violating reading an alert of its own, as the platform does.
    """

    name: Identifier
    alert_type: Identifier
    channel: Channel
    signal: Literal["value", "baseline_percent", "trend"] = "value"
    baseline: Literal["nominal", "hour_of_week", "hour_of_week_or_nominal"] = "nominal"
    window_s: Annotated[Positive, Field(le=MAX_SECONDS)] = 3600.0
    compare: Literal["above", "below"] = "above"
    filter_s: Seconds = 0.0
    on_delay_s: Seconds = 0.0
    off_delay_s: Seconds = 0.0
    repeat: Literal["episode", "reading"] = "episode"
    levels: Annotated[list[Level], Field(min_length=1, max_length=3)]
    applies_to: AppliesTo = AppliesTo()

    @model_validator(mode="after")
    def _ladder(self) -> Rule:
        sign = 1.0 if self.compare == "above" else -1.0
        for number, level in enumerate(self.levels):
            if level.clear is not None and sign * level.clear > sign * level.limit:
                raise ValueError(f"levels.{number}: clear {level.clear:g} is beyond the limit {level.limit:g}")
        for low, high in zip(self.levels, self.levels[1:], strict=False):
            if sign * high.limit <= sign * low.limit:
                raise ValueError(f"levels: limit {high.limit:g} must be beyond {low.limit:g}, mildest level first")
            if SEVERITIES.index(high.severity) <= SEVERITIES.index(low.severity):
                raise ValueError(f"levels: {high.severity} must be graver than {low.severity}, mildest level first")
        if self.signal == "baseline_percent" and self.channel != "power_kw":
            raise ValueError(f"channel {self.channel}: a baseline is known for power_kw only")
        if self.repeat == "reading":
            delays = [self.on_delay_s, self.off_delay_s, *(level.on_delay_s or 0.0 for level in self.levels)]
            if any(delays) or any(level.clear is not None for level in self.levels):
                raise ValueError("repeat: reading judges every reading for itself, so it has no delays and no clear")
        return self


class Missing(Strict):
    """Readings that are not there or no number: timers start anew after ``max_gap_s``, alerts end by themselves."""

    max_gap_s: Annotated[Positive, Field(le=MAX_SECONDS)] = 900.0
    resolve_after_s: Annotated[Positive, Field(le=MAX_SECONDS)] = 86_400.0


class Group(Strict):
    """Alerts of one machine within ``window_s`` of an announcement belong to it, unless they are graver."""

    window_s: Annotated[Positive, Field(le=MAX_SECONDS)]


class Flap(Strict):
    """A rule raised ``raises`` times within ``window_s`` on a machine holds its alert until ``quiet_s`` of calm."""

    raises: Annotated[int, Field(ge=2, le=8)] = 3
    window_s: Annotated[Positive, Field(le=MAX_SECONDS)] = 3600.0
    quiet_s: Annotated[Positive, Field(le=MAX_SECONDS)] = 3600.0


class Shelf(Strict):
    """An operator puts alerts aside until ``until``; ``machine`` or ``rule`` left out means all."""

    machine: str | None = None
    rule: str | None = None
    start: Moment
    until: Moment
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Annotated[str, Field(max_length=500)] = ""

    @model_validator(mode="after")
    def _order(self) -> Shelf:
        if self.until <= self.start:
            raise ValueError(f"until {self.until.isoformat()} must be after start {self.start.isoformat()}")
        return self


class Acknowledge(Strict):
    """Seconds from an announcement to its acknowledgement by the operator, by severity."""

    info_s: Seconds = 3600.0
    warning_s: Seconds = 900.0
    critical_s: Seconds = 180.0


class Operators(Strict):
    """Who gets the alerts: an operator per factory, or ``count`` for the whole plant, each with an equal share."""

    per: Literal["factory", "plant"] = "factory"
    count: Annotated[int, Field(ge=1, le=1000)] = 1


class Targets(Strict):
    """Published targets of ISA-18.2, IEC 62682 and EEMUA 191, and what counts as a flood or as chattering."""

    average_per_h: Positive = 6.0
    peak_10_min: Annotated[int, Field(ge=1)] = 10
    hours_above_30_frac: NonNegative = 0.01
    slots_above_10_frac: NonNegative = 0.01
    flood_frac: NonNegative = 0.01
    flood_starts: Annotated[int, Field(ge=1)] = 10
    flood_ends: Annotated[int, Field(ge=1)] = 5
    stale_hours: Positive = 24.0
    stale_per_day: Annotated[int, Field(ge=0)] = 5
    top_10_frac: NonNegative = 0.05
    priority_frac: Annotated[list[NonNegative], Field(min_length=3, max_length=3)] = [0.80, 0.15, 0.05]
    priority_tolerance_frac: NonNegative = 0.05
    chatter_raises: Annotated[int, Field(ge=2, le=8)] = 3
    chatter_window_s: Positive = 60.0


class AlertPolicy(Strict):
    """A policy: rules and everything that happens to what they raise."""

    name: Identifier
    title: Annotated[str, Field(max_length=200)] = ""
    rules: Annotated[list[Rule], Field(min_length=1, max_length=MAX_RULES)]
    missing: Missing = Missing()
    startup_s: Seconds = 0.0
    on_stop: Literal["hold", "resolve"] = "resolve"
    critical_mutes: bool = False
    group: Group | None = None
    flap: Flap | None = None
    shelves: Annotated[list[Shelf], Field(max_length=10_000)] = []
    acknowledge: Acknowledge = Acknowledge()
    operators: Operators = Operators()
    targets: Targets = Targets()

    @model_validator(mode="after")
    def _names(self) -> AlertPolicy:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"rules: the name {name!r} stands twice")
        for number, shelf in enumerate(self.shelves):
            if shelf.rule is not None and shelf.rule not in names:
                raise ValueError(f"shelves.{number}: rule {shelf.rule!r} is none of: {', '.join(names)}")
        return self


class AlertStage(Strict):
    """The section ``alerts`` of an experiment: the policy file, and ``overrides`` of its keys (key.path=value)."""

    policy: str = "configs/alert/isa18.yaml"
    overrides: list[str] = []


def policy_path(name: str, base: Path | None = None) -> Path:
    """The YAML file of a policy: a path, or a name among the built-in ones in configs/alert."""
    is_path = "/" in name or os.sep in name or name.endswith((".yaml", ".yml"))
    return find_config(name if is_path else f"configs/alert/{name}.yaml", base)


def load_policy(name: str | Path, settings: Sequence[str] = (), base: Path | None = None) -> AlertPolicy:
    """The policy ``name`` (a path, or a name in configs/alert) with ``--set`` overrides; ConfigError when wrong."""
    path = policy_path(os.fspath(name), base)
    return build(AlertPolicy, apply_overrides(read_yaml(path), settings), str(path))


def read_stage(section: AlertStage, base: Path) -> AlertPolicy:
    """The policy that the section of an experiment names."""
    if not isinstance(section, AlertStage):
        raise ConfigError("alerts: expected a section with the key 'policy'")
    return load_policy(section.policy, section.overrides, base)
