"""Settings of ``nexova energy plan``: the site whose rules hold, and what is assumed where a dataset does not tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexova_sim.config.energy import Hour, SiteConfig
from nexova_sim.config.load import find_config, load
from nexova_sim.config.strict import Frac, NonNegative, Strict

Rival = Literal["bau", "flat", "tou", "rule"]
Price = Annotated[float, Field(ge=-100.0, le=100.0)]


class PlanConfig(Strict):
    """A schedule for the day after a dataset (configs/energy/plan.yaml)."""

    site: str = "configs/energy/workshop.yaml"
    factory: str | None = None
    most_machines: Annotated[int, Field(ge=1, le=64)] = 12
    other_kind: str = "motor"
    contract_frac: NonNegative = 0.107
    other_load_kw: NonNegative = 0.0
    peak_hours: Annotated[list[Hour], Field(max_length=24)] | None = None
    prices_usd_per_kwh: Annotated[list[Price], Field(max_length=24)] = []
    most_quota_frac: Annotated[float, Field(gt=0.0, le=1.1)] = 0.95
    stock_h: NonNegative = 0.0
    repair_h: Annotated[float, Field(ge=0.0, le=24.0)] = 8.0
    model: str = "configs/energy/models/bids-1.json"
    compare: Annotated[list[Rival], Field(max_length=4)] = ["bau", "flat", "tou", "rule"]
    rule_model: str = "configs/energy/models/rule-0.json"
    fit_iterations: Annotated[int, Field(ge=0, le=1000)] = 40
    fit_population: Annotated[int, Field(ge=4, le=256)] = 16
    fit_days: Annotated[int, Field(ge=1, le=1000)] = 24
    n_scenarios: Annotated[int, Field(ge=1, le=10_000)] = 64
    work_spread_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    least_seen_frac: Frac = 0.1

    @model_validator(mode="after")
    def _whole(self) -> PlanConfig:
        if self.prices_usd_per_kwh and len(self.prices_usd_per_kwh) != 24:
            raise ValueError(
                f"prices_usd_per_kwh has {len(self.prices_usd_per_kwh)} prices; give 24, the first for 06:00, or none"
            )
        if self.fit_population % 2:
            raise ValueError(f"fit_population must be even (samples are mirrored), got {self.fit_population}")
        if len(set(self.compare)) != len(self.compare):
            raise ValueError("compare: a controller stands twice")
        return self


class ResolvedPlan(Strict):
    """A plan file with its site read in; ``folder`` is where model files are looked up."""

    plan: PlanConfig
    site: SiteConfig
    folder: str


def load_plan(name: str | Path, settings: Sequence[str] = (), base: Path | None = None) -> ResolvedPlan:
    """A plan file with ``--set`` overrides and the site it names. ConfigError names file and key."""
    path = find_config(os.fspath(name), base)
    plan = load(PlanConfig, path, settings)
    site = load(SiteConfig, find_config(plan.site, path.parent))
    return ResolvedPlan(plan=plan, site=site, folder=str(path.parent))
