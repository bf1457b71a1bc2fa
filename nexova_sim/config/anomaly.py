"""The anomaly configuration: detector, features, calibration, post-rules. What ``nexova anomaly fit`` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.strict import Frac, Identifier, NonNegative, Positive, Strict

DetectorName = Literal[
    "twin_residual",
    "isolation_forest",
    "robust_z",
    "mewma",
    "pca_t2q",
    "forecast_residual",
    "half_space_trees",
    "level_shift",
]
Status = Literal["ONLINE", "OFFLINE", "MAINTENANCE"]


class TwinWatch(Strict):
    """Hours over which residuals against the twin are gathered and baselines learnt; ``heat_*`` as in the twin."""

    fast_hours: Positive = 1.0
    slow_hours: Positive = 8.0
    surge_hours: Positive = 3.0
    learn_hours: Positive = 24.0
    up_hours: Positive = 72.0
    down_hours: Positive = 48.0
    hold_min: Positive = 12.0
    heat_gain_mm_s_per_k: NonNegative = 0.05
    heat_knee_c: float = 70.0
    tau_min: list[Positive] = [10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 45.0, 60.0]


class Features(Strict):
    """Rolling features over ``window_readings``; ``families`` of features that detectors other than the twin see.

    A gap longer than ``gap_min`` starts the windows anew. ``outlier_sigmas`` bounds normalised values. ``by_state``:
    loaded, idling and stopped have normal values of their own; false where load cycles from reading to reading.
    """

    families: list[Literal["z", "mean", "std", "rate", "ratio", "twin"]] = ["z", "mean", "std", "ratio", "twin"]
    window_readings: Annotated[int, Field(ge=2, le=1440)] = 30
    gap_min: Positive = 60.0
    outlier_sigmas: Positive = 12.0
    by_state: bool = True


class ForestSettings(Strict):
    """Isolation Forest as in the platform document: 100 trees, contamination 0.05, seed 42."""

    trees: Annotated[int, Field(ge=1, le=1000)] = 100
    contamination: Annotated[float, Field(gt=0.0, le=0.5)] = 0.05
    max_samples: Annotated[int, Field(ge=2, le=4096)] = 256
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42


class MewmaSettings(Strict):
    """Multivariate EWMA: weight of the newest reading, shrinkage of the covariance towards its diagonal."""

    weight: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    shrink: Frac = 0.1


class PcaSettings(Strict):
    """Principal components that explain this share of the variance; the rest is Q."""

    explained_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9


class HalfSpaceSettings(Strict):
    """Half-space trees: number, depth, readings per window of mass, mass that ends a descent."""

    trees: Annotated[int, Field(ge=1, le=200)] = 25
    depth: Annotated[int, Field(ge=2, le=12)] = 8
    window: Annotated[int, Field(ge=10, le=1_000_000)] = 20_000
    least_mass: Annotated[int, Field(ge=1)] = 200
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 7


class LevelShiftSettings(Strict):
    """Readings over which a level follows its channel, and a trend the level; the share of that left in a fault."""

    follow_readings: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    trend_readings: Annotated[int, Field(ge=2, le=100_000_000)] = 1000
    held_frac: Frac = 0.02


class Calibration(Strict):
    """``budget``: ``fit_frac`` of the time span is fitted, the rest (held out) sets scores and thresholds.

    ``highest``: all of a history known to be normal is fitted, and its highest statistic is the threshold: for
    histories too short to hold a part out or to tell a rate of alarms from. ``budget_per_machine_day`` is the rate of
    false alarms asked for (``budget`` only); ``max_fit_rows`` bounds the fitted sample.
    """

    threshold: Literal["budget", "highest"] = "budget"
    fit_frac: Annotated[float, Field(gt=0.05, lt=0.95)] = 0.5
    budget_per_machine_day: Annotated[float, Field(gt=0.0, le=100_000.0)] = 0.002
    max_fit_rows: Annotated[int, Field(ge=50, le=5_000_000)] = 200_000


class PostRules(Strict):
    """From flags to alarms: persistence, clearing, suppression. One alarm per episode and channel."""

    hold_min: NonNegative = 5.0
    clear_hours: NonNegative = 6.0
    clear_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    start_up_min: NonNegative = 30.0
    suppress: list[Status] = ["OFFLINE", "MAINTENANCE"]


class AnomalyConfig(Strict):
    """A detector with everything it needs.

    ``expected``: the power a residual is taken against, the weekly habit or the forecast made the day before.
    """

    name: Identifier
    detector: DetectorName = "twin_residual"
    expected: Literal["week", "day_ahead"] = "week"
    channels: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = None
    features: Features = Features()
    twin: TwinWatch = TwinWatch()
    forest: ForestSettings = ForestSettings()
    mewma: MewmaSettings = MewmaSettings()
    pca: PcaSettings = PcaSettings()
    half_space: HalfSpaceSettings = HalfSpaceSettings()
    level_shift: LevelShiftSettings = LevelShiftSettings()
    calibration: Calibration = Calibration()
    post: PostRules = PostRules()

    @model_validator(mode="after")
    def _no_counter(self) -> AnomalyConfig:
        if self.channels is not None and "runtime_h" in self.channels:
            raise ValueError(
                "channels: runtime_h is no feature: an hour meter always leaves its training range; leave it out"
            )
        if not self.features.families:
            raise ValueError("features: families must name at least one family")
        return self


class AnomalyStage(Strict):
    """The section ``anomaly`` of an experiment: the detector's file, and ``overrides`` of its keys (key.path=value).

    ``evaluate`` names the rules by which scores are judged when the dataset has labels; None judges nothing.
    """

    config: str = "configs/anomaly/default.yaml"
    overrides: list[str] = []
    evaluate: str | None = "configs/anomaly/evaluate.yaml"


def load_anomaly(name: str | Path, settings: Sequence[str] = (), base: Path | None = None) -> AnomalyConfig:
    """The configuration ``name`` (a path, or a name in configs/anomaly) with overrides; ConfigError when wrong."""
    text = os.fspath(name)
    is_path = "/" in text or os.sep in text or text.endswith((".yaml", ".yml"))
    path = find_config(text if is_path else f"configs/anomaly/{text}.yaml", base)
    return build(AnomalyConfig, apply_overrides(read_yaml(path), settings), str(path))


def read_anomaly_stage(section: AnomalyStage, base: Path) -> AnomalyConfig:
    """The configuration that the section of an experiment names."""
    return load_anomaly(section.config, section.overrides, base)
