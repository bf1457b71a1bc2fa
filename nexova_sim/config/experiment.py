"""The experiment configuration: which stages ``nexova run`` goes through, and with what settings.

A stage runs when its section is there. Every section is one field of ``ExperimentConfig``, named like its stage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, SerializeAsAny, model_validator

from nexova_sim.base.errors import ConfigError
from nexova_sim.config import alert, approval, decision
from nexova_sim.config.anomaly import AnomalyConfig, AnomalyStage, read_anomaly_stage
from nexova_sim.config.energy_stage import EnergyStage, ResolvedEnergy, read_energy_stage
from nexova_sim.config.forecast import ForecastConfig, ForecastStage, load_forecast_part
from nexova_sim.config.ingest_stage import IngestPart, IngestStage, read_ingest_stage
from nexova_sim.config.load import apply_overrides, build, find_config, load_fleet, read_yaml
from nexova_sim.config.rul import RulConfig, RulStage, load_rul_part
from nexova_sim.config.strict import Identifier, Strict
from nexova_sim.config.track import TrackConfig, TwinStage, read_twin_stage
from nexova_sim.config.types import ResolvedFleet


class SimulateStage(Strict):
    """Simulate the fleet in the file ``fleet``; ``overrides`` replaces keys of it (nested, as in the file)."""

    fleet: str
    overrides: dict[str, Any] = Field(default_factory=dict)


class DescribeStage(Strict):
    """Row counts, span, gaps and statistics per channel; has no settings."""


class ReportStage(Strict):
    """One self-contained page, as HTML and/or Markdown (``formats``).

    ``max_figures`` machines get a figure of ``n_bins`` time bins, print included; the page draws any other itself.
    """

    formats: Annotated[list[Literal["html", "markdown"]], Field(min_length=1)] = ["html"]

    max_figures: Annotated[int, Field(ge=0, le=60)] = 12
    n_bins: Annotated[int, Field(ge=48, le=1200)] = 480


class ExperimentConfig(Strict):
    """An experiment: a dataset, simulated, ingested or given, and what is done with it.

    ``unfit`` says what happens to a stage that cannot work on the dataset: refuse the experiment, or skip the stage.
    """

    name: Identifier
    title: Annotated[str, Field(max_length=200)] = ""
    dataset: str | None = None
    unfit: Literal["refuse", "skip"] = "refuse"
    simulate: SimulateStage | None = None
    ingest: IngestStage | None = None
    describe: DescribeStage | None = DescribeStage()
    alerts: alert.AlertStage | None = None
    approvals: approval.ApprovalStage | None = None
    twin: TwinStage | None = None
    rul: RulStage | None = None
    anomaly: AnomalyStage | None = None
    forecast: ForecastStage | None = None
    energy: EnergyStage | None = None
    decisions: decision.DecisionStage | None = None
    report: ReportStage | None = ReportStage()

    @model_validator(mode="after")
    def _one_dataset(self) -> ExperimentConfig:
        given = [name for name in ("simulate", "ingest", "dataset") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                "give exactly one of the section 'simulate', the section 'ingest' and 'dataset: FOLDER'; "
                f"got {' and '.join(given) or 'none'}"
            )
        return self


class ResolvedExperiment(Strict):
    """An experiment with its fleet read in, and by stage (``parts``) what other files its sections name."""

    experiment: ExperimentConfig
    fleet: ResolvedFleet | None
    parts: dict[str, SerializeAsAny[Strict]] = Field(default_factory=dict)


# Stage name -> how the files named in its section are read in; the second argument is the experiment's folder.
_PARTS: Mapping[str, Callable[[Any, Path], Strict]] = {
    "ingest": read_ingest_stage,
    "alerts": alert.read_stage,
    "approvals": approval.read_stage,
    "twin": read_twin_stage,
    "rul": load_rul_part,
    "anomaly": read_anomaly_stage,
    "forecast": load_forecast_part,
    "energy": read_energy_stage,
    "decisions": decision.read_stage,
}

_PART_TYPES: Mapping[str, type[Strict]] = {
    "ingest": IngestPart,
    "alerts": alert.AlertPolicy,
    "approvals": approval.ApprovalPart,
    "twin": TrackConfig,
    "rul": RulConfig,
    "anomaly": AnomalyConfig,
    "forecast": ForecastConfig,
    "energy": ResolvedEnergy,
    "decisions": decision.DecisionPart,
}


def restore_experiment(raw: Mapping[str, Any], where: str) -> ResolvedExperiment:
    """A resolved experiment from what ``model_dump`` made of it; no other file is read.

    Raises ConfigError that names ``where`` and the key when it is not one.
    """
    parts = raw.get("parts")
    kept = {k: v for k, v in raw.items() if k != "parts"}
    if not isinstance(parts, Mapping) or not set(parts) <= set(_PART_TYPES):
        raise ConfigError(f"{where}: parts: expected a mapping of stages ({', '.join(_PART_TYPES)}); run again")
    made = {name: build(_PART_TYPES[name], part, f"{where}: {name}") for name, part in parts.items()}
    return build(ResolvedExperiment, kept, where).model_copy(update={"parts": made})


def _settings(values: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The nested mapping ``values`` as ``key.path=value`` settings."""
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _settings(value, path + ".")
        else:
            yield f"{path}={yaml.safe_dump(value, default_flow_style=True, width=1_000_000)}"


def load_experiment(name: str | Path, settings: Sequence[str] = (), seed: int | None = None) -> ResolvedExperiment:
    """An experiment file with ``--set`` overrides and its fleet read in; ``seed`` replaces the fleet's seed.

    The fleet file is looked up from the working folder, then beside the experiment, then among the built-in ones.
    Raises ConfigError naming the file and the key.
    """
    path = find_config(os.fspath(name))
    raw = apply_overrides(read_yaml(path), settings)
    experiment = build(ExperimentConfig, raw, str(path))
    sections = {name: getattr(experiment, name) for name in _PARTS}
    parts = {name: _PARTS[name](part, path.parent) for name, part in sections.items() if part is not None}
    section = experiment.simulate
    if section is None:
        if seed is not None:
            has = "ingest" if experiment.ingest is not None else "dataset"
            raise ConfigError(f"--seed {seed}: {path} simulates nothing (it has {has!r}); leave --seed out")
        return ResolvedExperiment(experiment=experiment, fleet=None, parts=parts)
    if seed is not None:
        section = section.model_copy(update={"overrides": {**section.overrides, "seed": seed}})
        experiment = experiment.model_copy(update={"simulate": section})
    found = find_config(section.fleet, path.parent)
    try:
        fleet = load_fleet(found, list(_settings(section.overrides)))
    except ConfigError as error:
        if not section.overrides:
            raise
        raise ConfigError(f"{path}: simulate.overrides laid over {error.message}", **error.detail) from error
    return ResolvedExperiment(experiment=experiment, fleet=fleet, parts=parts)
