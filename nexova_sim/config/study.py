"""Studies of controllers: the site, which days are for training, validation and test, how to tune and to compare."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import apply_overrides, build, find_config, load, read_yaml
from nexova_sim.config.strict import Identifier, Positive, Strict

Part = Literal["train", "validation", "test"]
MOST_DAYS = 100_000
TRAIN_DAYS = 2**28  # of one seed
Count = Annotated[int, Field(ge=1, le=MOST_DAYS)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class StudyConfig(Strict):
    """Days by number of one stream, in disjoint ranges; ``test_sha256`` locks the test days (see evaluate --days).

    Test days begin at ``first_test_day`` of theirs, so that a study can go on with days that nobody has seen.
    """

    name: Identifier
    site: str = "configs/energy/workshop.yaml"
    stream: Annotated[int, Field(ge=0, lt=2**63)] = 20260105
    n_validation: Count = 256
    n_test: Count = 256
    first_test_day: Annotated[int, Field(ge=0, lt=2**30)] = 0
    test_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class TuneConfig(Strict):
    """One search per seed; every iteration draws ``n_days`` fresh training days that all candidates share.

    ``start`` are model files of the bid scheduler to begin from, one per seed; without them a hand-set one. The method
    ppo_tuned begins from policies of PPO shared by kind and searches the parameters of the scheduler below them anew.
    """

    study: str = "configs/energy/study.yaml"
    method: Literal["rule", "bids", "context", "ppo_tuned"]
    search: Literal["cem", "cma"] = "cma"
    iterations: Annotated[int, Field(ge=1, le=10_000)] = 150
    population: Annotated[int, Field(ge=4, le=1024)] = 32
    n_days: Count = 96
    sigma: Positive = 0.12
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=100)] = [0]
    start: list[str] = []

    @model_validator(mode="after")
    def _sound(self) -> TuneConfig:
        if self.population % 2:
            raise ValueError(f"population must be even (samples are mirrored), got {self.population}")
        if self.iterations * self.n_days > TRAIN_DAYS:
            raise ValueError(f"iterations times n_days must be at most {TRAIN_DAYS}, the training days of a seed")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds must differ from each other")
        if self.start and (self.method == "rule" or len(self.start) != len(self.seeds)):
            raise ValueError(f"start: one model file of the bid scheduler for each of {len(self.seeds)} seeds, or none")
        if self.method == "ppo_tuned" and not self.start:
            raise ValueError("start: method 'ppo_tuned' needs the model file of a trained policy for every seed")
        return self


class TrainConfig(Strict):
    """PPO or SAC on the bids of a scheduler, once per seed.

    ``start`` are the model files of tuned schedulers, bids or context, one per seed; without them training begins from
    the hand-set scheduler. ``policy`` is one network that sees everything (without a start it decides on the whole
    bids), or networks shared by the machines of a kind, ``width`` 0 making them linear. With SAC
    ``epochs`` are gradient steps per hour of all lanes.
    """

    study: str = "configs/energy/study.yaml"
    algorithm: Literal["ppo", "sac"] = "ppo"
    policy: Literal["network", "shared"] = "network"
    start: list[str] = []
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=100)] = [0]
    decisions: Annotated[int, Field(ge=1, le=10**9)] = 1_000_000
    n_envs: Annotated[int, Field(ge=1, le=4096)] = 512
    batch: Annotated[int, Field(ge=2, le=10**6)] = 4096
    epochs: Annotated[int, Field(ge=1, le=100)] = 4
    learning_rate: Positive = 7e-4
    log_std: Annotated[float, Field(ge=-5.0, le=1.0)] = -1.2
    width: Annotated[int, Field(ge=0, le=1024)] = 64
    check_every: Annotated[int, Field(ge=1, le=10**6)] = 9

    @model_validator(mode="after")
    def _paired(self) -> TrainConfig:
        if len(self.start) not in (0, len(self.seeds)) or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                f"start has {len(self.start)} model files for {len(self.seeds)} seeds; give one for each, seeds differ"
            )
        if self.algorithm == "sac" and self.policy == "shared":
            raise ValueError("policy 'shared' is for the algorithm 'ppo'; SAC learns a 'network'")
        if self.policy == "network" and self.width < 4:
            raise ValueError(f"width {self.width}: a network needs at least 4; only policy 'shared' can be linear (0)")
        if self.algorithm == "ppo" and (24 * self.n_envs) % self.batch:
            raise ValueError(f"batch must divide the {24 * self.n_envs} decisions between two updates")
        return self


class Shifted(Strict):
    """A world the controllers were not made for: ``overrides`` are key.path=value settings of the site file."""

    name: Identifier
    overrides: Annotated[list[str], Field(min_length=1)]


class LookaheadConfig(Strict):
    """Look-ahead on the twin from the first ``n_models`` of models.bids, on the first ``n_days``.

    Every hour a search of ``iterations`` times ``population`` moves of the bids over ``n_futures`` simulated futures,
    about 4 CPU-s a day and model; ``n_checked`` fresh futures say whether the move found is kept.
    """

    n_days: Count = 128
    n_models: Annotated[int, Field(ge=1, le=100)] = 1
    n_futures: Annotated[int, Field(ge=2, le=4096, multiple_of=2)] = 32
    population: Annotated[int, Field(ge=4, le=1024, multiple_of=2)] = 32
    iterations: Annotated[int, Field(ge=1, le=1000)] = 4
    n_checked: Annotated[int, Field(ge=2, le=4096, multiple_of=2)] = 128
    sigma: Annotated[float, Field(gt=0.0, le=3.0)] = 0.4
    seed: Seed = 0


class YardstickConfig(Strict):
    """The lower bound of every day; on the first ``n_days`` perfect information, about 100 CPU-s a day.

    The MPC, about 2 CPU-s a day, plays the first ``mpc_days``, or when they are fewer the days of perfect information.
    ``nodes`` bounds branch and bound in each of the windows that perfect information is searched by.
    """

    n_days: Annotated[int, Field(ge=0, le=MOST_DAYS)] = 16
    mpc_days: Annotated[int, Field(ge=0, le=MOST_DAYS)] = 0
    nodes: Annotated[int, Field(ge=1, le=100_000)] = 60
    lookahead: LookaheadConfig | None = None


class EvaluateConfig(Strict):
    """Which controllers to compare; ``models`` lists tuned files, one per seed of a method.

    Differences are paired by day, to ``baseline`` and to each of ``also_against``.
    """

    study: str = "configs/energy/study.yaml"
    controllers: Annotated[list[str], Field(min_length=1)] = ["bau", "flat", "tou", "rule", "bids"]
    models: dict[str, list[str]] = {}
    baseline: str = "rule"
    also_against: list[str] = []
    n_resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    shifted: list[Shifted] = []
    yardsticks: YardstickConfig | None = None


class ResolvedStudy(Strict):
    """A study with its site read in."""

    study: StudyConfig
    site: SiteConfig


class ResolvedTune(Strict):
    """A search with its study read in; ``folder`` is where model files are looked up."""

    tune: TuneConfig
    study: ResolvedStudy
    folder: str


class ResolvedTrain(Strict):
    """A training with its study read in; ``folder`` is where model files are looked up."""

    train: TrainConfig
    study: ResolvedStudy
    folder: str


class ResolvedEvaluate(Strict):
    """A comparison with its study and the shifted sites read in; ``folder`` is where model files are looked up."""

    evaluate: EvaluateConfig
    study: ResolvedStudy
    shifted: dict[str, SiteConfig]
    folder: str


def load_study(name: str | Path, base: Path | None = None) -> ResolvedStudy:
    """A study file and the site it names, looked up beside ``base`` too."""
    path = find_config(os.fspath(name), base)
    study = load(StudyConfig, path)
    return ResolvedStudy(study=study, site=load(SiteConfig, find_config(study.site, path.parent)))


def load_tune(name: str | Path, settings: Sequence[str] = ()) -> ResolvedTune:
    """A search file with ``--set`` overrides, its study and site."""
    path = find_config(os.fspath(name))
    tune = load(TuneConfig, path, settings)
    return ResolvedTune(tune=tune, study=load_study(tune.study, path.parent), folder=str(path.parent))


def load_train(name: str | Path, settings: Sequence[str] = ()) -> ResolvedTrain:
    """A training file with ``--set`` overrides, its study and site."""
    path = find_config(os.fspath(name))
    train = load(TrainConfig, path, settings)
    return ResolvedTrain(train=train, study=load_study(train.study, path.parent), folder=str(path.parent))


def load_evaluate(name: str | Path, settings: Sequence[str] = ()) -> ResolvedEvaluate:
    """A comparison file with ``--set`` overrides, its study, and the site of every shifted scenario."""
    path = find_config(os.fspath(name))
    evaluate = load(EvaluateConfig, path, settings)
    study = load_study(evaluate.study, path.parent)
    names = [s.name for s in evaluate.shifted]
    if len(set(names)) != len(names):
        raise ConfigError(f"{path}: shifted: names must differ from each other, got {', '.join(names)}")
    site = find_config(study.study.site, find_config(evaluate.study, path.parent).parent)
    shifted = {
        s.name: build(SiteConfig, apply_overrides(read_yaml(site), s.overrides), f"{path}: shifted {s.name}")
        for s in evaluate.shifted
    }
    return ResolvedEvaluate(evaluate=evaluate, study=study, shifted=shifted, folder=str(path.parent))
