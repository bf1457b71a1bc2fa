"""The section ``energy`` of an experiment: opportunities, a comparison of controllers, and a plan for tomorrow."""

from __future__ import annotations

from pathlib import Path

from nexova_sim.config.load import find_config, load
from nexova_sim.config.opportunity import OpportunityConfig
from nexova_sim.config.plan import ResolvedPlan, load_plan
from nexova_sim.config.strict import Strict
from nexova_sim.config.study import ResolvedEvaluate, load_evaluate


class EnergyOverrides(Strict):
    """Settings (key.path=value) on top of each of the three files."""

    opportunities: list[str] = []
    evaluate: list[str] = []
    plan: list[str] = []


class EnergyStage(Strict):
    """Three files and their ``overrides``; ``verify`` simulates each measure again, where the dataset was simulated.

    ``training`` is a folder that energy tune or train wrote: its learning curves go into the report; those of the
    shipped policies by default.
    """

    opportunities: str = "configs/energy/opportunities.yaml"
    evaluate: str = "configs/energy/evaluate_quick.yaml"
    plan: str = "configs/energy/plan.yaml"
    overrides: EnergyOverrides = EnergyOverrides()
    verify: bool = False
    training: str | None = "configs/energy/models"


class ResolvedEnergy(Strict):
    """The section with its files read in."""

    opportunities: OpportunityConfig
    evaluate: ResolvedEvaluate
    plan: ResolvedPlan
    verify: bool
    training: str | None


def read_energy_stage(section: EnergyStage, base: Path) -> ResolvedEnergy:
    """What the section of an experiment names; ConfigError naming file and key when it is wrong."""
    found = find_config(section.evaluate, base)
    return ResolvedEnergy(
        opportunities=load(OpportunityConfig, find_config(section.opportunities, base),
                           section.overrides.opportunities),
        evaluate=load_evaluate(found, section.overrides.evaluate),
        plan=load_plan(section.plan, section.overrides.plan, base),
        verify=section.verify,
        training=None if section.training is None else str(find_config(section.training, base)),
    )  # fmt: skip
