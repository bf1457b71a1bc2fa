"""The autonomy study (configs/sweep/autonomy.yaml): what a person in the loop costs and saves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nexova_sim.config.decision import ResolvedDecision, load_decision
from nexova_sim.config.load import apply_overrides, build, find_config, load_fleet, read_yaml
from nexova_sim.config.strict import Frac, Identifier, NonNegative, Strict
from nexova_sim.config.types import ResolvedFleet

Level = list[Literal["MAINTENANCE", "OFFLINE"]]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class AutonomyConfig(Strict):
    """Policies x autonomy levels x latencies x skills of the reviewer x seeds of the fleet."""

    name: Identifier
    title: Annotated[str, Field(max_length=200)] = ""
    fleet: str
    fleet_settings: list[str] = []
    decision: str = "configs/decision/default.yaml"
    decision_settings: list[str] = []
    policies: Annotated[list[str], Field(min_length=1, max_length=10)]
    levels: Annotated[dict[Identifier, Level], Field(min_length=1, max_length=6)]
    latency_h: Annotated[list[NonNegative], Field(min_length=1, max_length=12)]
    skill_frac: Annotated[list[Frac], Field(min_length=1, max_length=6)] = [0.0]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=50)]


class ResolvedAutonomy(Strict):
    """A study with the files that it names read in; the fleet is resolved once for every seed."""

    study: AutonomyConfig
    decision: ResolvedDecision
    fleets: list[ResolvedFleet]


def load_autonomy(name: str | Path, settings: Sequence[str] = ()) -> ResolvedAutonomy:
    """The study in the file ``name`` with ``--set`` overrides; ConfigError when wrong."""
    path = find_config(os.fspath(name))
    study = build(AutonomyConfig, apply_overrides(read_yaml(path), settings), str(path))
    fleet = find_config(study.fleet, path.parent)
    fleets = [load_fleet(fleet, [*study.fleet_settings, f"seed={seed}"]) for seed in study.seeds]
    decision = load_decision(study.decision, study.decision_settings, path.parent)
    return ResolvedAutonomy(study=study, decision=decision, fleets=fleets)
