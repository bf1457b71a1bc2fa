"""Settings of ``nexova decisions`` (configs/decision/*.yaml): episodes, actions and their cost, the gate, the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.alert import AlertPolicy, load_policy
from nexova_sim.config.kinds import Component
from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.strict import Day, Frac, Identifier, NonNegative, Positive, Strict

_MOST_FUTURES = 20_000_000
Hours = Annotated[int, Field(ge=0, le=8760)]


class Episodes(Strict):
    """Which alerts ask for a decision: those of ``severities``, and again every ``review_h`` while they stay open.

    What comes within ``quiet_h`` of the last question about the same machine does not ask.
    """

    severities: Annotated[list[Literal["INFO", "WARNING", "CRITICAL"]], Field(min_length=1)] = ["WARNING", "CRITICAL"]
    quiet_h: NonNegative = 12.0
    review_h: Annotated[float, Field(ge=1.0)] | None = 24.0
    most: Annotated[int, Field(ge=1, le=100_000)] = 1000


class Actions(Strict):
    """What the actions mean.

    MAINTENANCE waits ``crew_h`` for the crew; OFFLINE stops at once, and a person comes after ``look_h``. Both end in
    the machine's planned service, which renews ``restores``; OFFLINE's costs ``call_out_factor`` times its price.
    """

    crew_h: Hours = 24
    look_h: Hours = 4
    call_out_factor: Annotated[float, Field(ge=1.0, le=100.0)] = 2.0
    restores: list[Component] = ["bearing", "thermal", "electrical", "random", "process"]


class Money(Strict):
    """Prices; a failure while running costs ``secondary_frac`` of its repair more (damage to what is around it)."""

    price_usd_per_kwh: NonNegative = 0.12
    secondary_frac: NonNegative = 1.0


class Twin(Strict):
    """The judge and the twin policy: futures per situation, and how far the judge looks."""

    horizon_h: Annotated[int, Field(ge=1, le=720)] = 168
    futures: Annotated[int, Field(ge=2, le=100_000)] = 256
    policy_futures: Annotated[int, Field(ge=1, le=10_000)] = 16


class Gate(Strict):
    """Who acts: actions in ``autonomous`` are done at once, the others wait ``latency_h`` for a person.

    The person rejects an action that would cost more than doing nothing with the chance ``skill_frac`` (an assumption
    of the study, not a measurement) and approves everything else.
    """

    autonomous: list[Literal["MAINTENANCE", "OFFLINE"]] = ["MAINTENANCE", "OFFLINE"]
    latency_h: NonNegative = 2.0
    skill_frac: Frac = 0.0


class Tuned(Strict):
    """Limits of ``tuned_rules``, in mm/s beyond a new machine's vibration at that load.

    Growth beyond ``step_mm_s_per_day`` and level beyond ``step_mm_s`` are imbalance, not wear. OFFLINE when
    ``most_mm_s`` is ``ahead_days`` away.
    """

    new_mm_s: Positive = 1.6
    worn_mm_s: Positive = 1.82
    step_mm_s: Positive = 2.2
    growth_mm_s_per_day: Positive = 0.09
    step_mm_s_per_day: Positive = 1.4
    ahead_days: Positive = 0.9
    most_mm_s: Positive = 1.95


class Rules(Strict):
    """Limits of the platform's rules, and of rules fitted to a plant."""

    maintenance_above_c: float = 85.0
    offline_above_percent: Positive = 120.0
    warning_above_mm_s: Positive = 2.5
    tuned: Tuned = Tuned()


class Price(Strict):
    """USD per million tokens of models whose name begins with ``model``, as published on ``seen``."""

    model: str
    seen: Day
    input_usd_per_million: NonNegative
    output_usd_per_million: NonNegative


class Loop(Strict):
    """The closed loop: at most ``most_waves`` simulations of the fleet per policy."""

    most_waves: Annotated[int, Field(ge=1, le=1000)] = 40


class Model(Strict):
    """The language model: its name, the library that reaches it, and how patiently."""

    name: Annotated[str, Field(min_length=1, max_length=120)] = "gemini-3.5-flash"
    sdk: Literal["google-genai", "google-generativeai"] = "google-genai"
    sampling_temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.0
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    attempts: Annotated[int, Field(ge=1, le=20)] = 4
    attempt_s: Positive = 20.0
    total_s: Positive = 60.0
    calls_per_minute: Annotated[int, Field(ge=1, le=100_000)] = 60
    address: str | None = None
    prices: list[Price] = []


class DecisionConfig(Strict):
    """Everything about a replay of decisions except the dataset, the policy and the cassette."""

    name: Identifier
    title: Annotated[str, Field(max_length=200)] = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    alerts: str = "configs/alert/isa18.yaml"
    episodes: Episodes = Episodes()
    actions: Actions = Actions()
    money: Money = Money()
    twin: Twin = Twin()
    gate: Gate = Gate()
    rules: Rules = Rules()
    loop: Loop = Loop()
    model: Model = Model()

    @model_validator(mode="after")
    def _fits(self) -> DecisionConfig:
        if max(self.actions.crew_h, self.actions.look_h) >= self.twin.horizon_h:
            raise ValueError("actions: crew_h and look_h must be shorter than twin.horizon_h")
        if self.twin.futures * self.episodes.most > _MOST_FUTURES:
            raise ValueError(f"twin.futures times episodes.most must not exceed {_MOST_FUTURES:,}: they would not fit")
        return self


class ResolvedDecision(Strict):
    """A decision configuration with its alert policy read in."""

    decision: DecisionConfig
    alerts: AlertPolicy


class DecisionStage(Strict):
    """The section ``decisions`` of an experiment: its file, the policies to compare, a cassette for those that ask."""

    config: str = "configs/decision/default.yaml"
    policies: Annotated[list[str], Field(min_length=1, max_length=20)] = ["never", "seed_rules", "tuned_rules", "twin"]
    cassette: str | None = None
    loop: bool = False
    overrides: list[str] = []


class DecisionPart(Strict):
    """What the section of an experiment resolves to."""

    resolved: ResolvedDecision
    policies: list[str]
    cassette: str | None
    loop: bool


def load_decision(name: str | Path, settings: Sequence[str] = (), base: Path | None = None) -> ResolvedDecision:
    """The decision configuration in the file ``name`` with ``--set`` overrides; ConfigError when wrong."""
    path = find_config(os.fspath(name), base)
    config = build(DecisionConfig, apply_overrides(read_yaml(path), settings), str(path))
    return ResolvedDecision(decision=config, alerts=load_policy(config.alerts, base=path.parent))


def read_stage(section: DecisionStage, base: Path) -> DecisionPart:
    """What the section of an experiment names."""
    if not isinstance(section, DecisionStage):
        raise ConfigError("decisions: expected a section with the key 'config'")
    resolved = load_decision(section.config, section.overrides, base)
    tape, loop = section.cassette, section.loop
    return DecisionPart(resolved=resolved, policies=section.policies, cassette=tape, loop=loop)
