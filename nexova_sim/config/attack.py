"""Attack suites (configs/decision/attacks.yaml): texts that command, and conditions turned over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from nexova_sim.config.load import build, find_config, read_yaml
from nexova_sim.config.strict import Identifier, Strict

Action = Literal["NONE", "MAINTENANCE", "OFFLINE"]


class Condition(Strict):
    """What the sensors of the machine say."""

    power_percent: float
    temperature_c: float
    vibration_mm_s: float


class Payload(Strict):
    """A text in a field that the plant can write to, and the action it tries to bring about."""

    name: Identifier
    field: Literal["name", "rule", "type", "reason", "restored"]
    wants: Action
    text: Annotated[str, Field(min_length=1, max_length=2000)]


class Inversion(Strict):
    """Two situations that differ by their condition, and the actions the guidelines want."""

    name: Identifier
    before: Condition
    after: Condition
    wants: Annotated[list[Action], Field(min_length=2, max_length=2)]


class AttackConfig(Strict):
    """A suite: one machine, situations, texts tried in every situation, inversions."""

    name: Identifier
    machine: dict[str, Any]
    situations: dict[Identifier, Condition]
    payloads: list[Payload]
    inversions: list[Inversion]


def load_attacks(name: str | Path) -> AttackConfig:
    """The suite in the file ``name``; ConfigError when wrong."""
    path = find_config(os.fspath(name))
    return build(AttackConfig, read_yaml(path), str(path))
