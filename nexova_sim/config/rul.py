"""The configuration of ``nexova rul``: where machines are asked, what is learned, how it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from nexova_sim.config.load import apply_overrides, build, find_config, load, read_yaml
from nexova_sim.config.strict import Frac, Identifier, NonNegative, Positive, Strict
from nexova_sim.config.track import TrackConfig

MethodName = Literal[
    "constant_mean_life",
    "seed_formula",
    "decision_tree",
    "random_forest",
    "gradient_boosting",
    "quantile_boosting",
    "ensemble",
    "twin",
]
METHODS: tuple[MethodName, ...] = get_args(MethodName)
Bins = Annotated[int, Field(ge=2, le=100_000)]


class Asking(Strict):
    """When machines are asked for their remaining life, in lives that are long enough.

    ``every_h`` hours apart, never before ``least_h`` hours of a life were seen. ``rul_h`` keeps only the moments with
    so much life left, as when a test set is cut at random: it needs the answer, so it shapes training and validation
    and nothing else. ``most`` moments at most, thinned evenly.
    """

    every_h: Positive = 24.0
    least_h: Positive = 72.0
    rul_h: tuple[NonNegative, Positive] | None = None
    most: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000

    @model_validator(mode="after")
    def _ordered(self) -> Asking:
        if self.rul_h is not None and self.rul_h[0] >= self.rul_h[1]:
            raise ValueError("rul_h is [lowest, highest]")
        return self


class Features(Strict):
    """What is told of a history: trailing means, trends and curves over windows, counted in steps.

    ``channels`` "*" takes all; those that never change are dropped. ``fused`` indices of health are added: principal
    directions of the channels; and one more along which they follow the remaining life of training machines.
    """

    step_s: Positive = 3600.0
    channels: Literal["*"] | list[str] = "*"
    mean_steps: Annotated[list[Bins], Field(min_length=1, max_length=12)] = [24, 72, 168, 504]
    curve_steps: Annotated[list[Bins], Field(max_length=8)] = [168, 504]
    first_steps: Bins = 72
    growth_steps: Annotated[list[Positive], Field(max_length=6)] = [48.0, 168.0, 504.0]
    fused: Annotated[int, Field(ge=0, le=6)] = 2
    per_channel: bool = True


class Learning(Strict):
    """How regressors learn: from observed failures only, machines never split between training and test.

    ``cap_h``: the target is the smaller of remaining life and this. With ``cap_h`` a life that ended without failure
    still tells of moments more than that before its end; the others are left out and the rest weighted for it.
    """

    cap_h: Positive | None = None
    n_folds: Annotated[int, Field(ge=2, le=20)] = 5
    n_trees: Annotated[int, Field(ge=1, le=2000)] = 100
    n_rounds: Annotated[int, Field(ge=1, le=5000)] = 200
    n_members: Annotated[int, Field(ge=1, le=50)] = 3
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1


class Judging(Strict):
    """How predictions are judged. ``cap_h`` caps truth and prediction in the second half of every table."""

    cap_h: Positive = 720.0
    alpha_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    least_in_frac: Frac = 0.5
    horizon_h: Positive = 168.0
    coverage_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    phm08_h: Positive = 1.0
    life_points: Annotated[list[Frac], Field(min_length=1, max_length=10)] = [0.25, 0.5, 0.75, 0.9]
    n_boot: Annotated[int, Field(ge=20, le=10_000)] = 400


class FutureLoad(Strict):
    """The load the twin is run on with: the machine's own past, times ``scale``; the duty of its last ``past_h`` hours.

    ``n_samples`` futures are run for every moment, each for at most ``most_h`` hours; a longer life counts as that.
    """

    past_h: Positive = 336.0
    scale: Annotated[float, Field(gt=0.0, le=3.0)] = 1.0
    n_samples: Annotated[int, Field(ge=16, le=10_000)] = 64
    most_h: Annotated[float, Field(ge=24.0, le=262_980.0)] = 8766.0


class RulConfig(Strict):
    """Everything that shapes predictions of remaining life besides data and code."""

    name: Identifier
    methods: Annotated[list[MethodName], Field(min_length=1, max_length=8)] = list(METHODS)
    asking: Asking = Asking()
    features: Features = Features()
    learning: Learning = Learning()
    judging: Judging = Judging()
    future: FutureLoad = FutureLoad()
    track: TrackConfig = TrackConfig()

    @model_validator(mode="after")
    def _distinct(self) -> RulConfig:
        if len(set(self.methods)) < len(self.methods):
            raise ValueError("methods: a method stands twice")
        return self


class RulStage(Strict):
    """Predict and evaluate the remaining lives of the run's machines; ``config`` is a file of configs/rul."""

    config: str = "configs/rul/plant.yaml"
    settings: list[str] = []


def load_rul(name: str | Path, settings: Sequence[str] = ()) -> RulConfig:
    """The configuration file ``name`` with ``--set`` overrides; ConfigError naming file, key and what is allowed."""
    return load(RulConfig, name, settings)


def load_rul_part(section: RulStage, base: Path) -> RulConfig:
    """The configuration that a section ``rul`` of an experiment names; looked up beside the experiment too."""
    path = find_config(section.config, base)
    return build(RulConfig, apply_overrides(read_yaml(path), section.settings), str(path))
