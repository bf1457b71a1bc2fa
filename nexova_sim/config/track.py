"""How machines are followed from their readings; what ``nexova twin track`` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.strict import Frac, NonNegative, Positive, Strict


class TrackConfig(Strict):
    """State estimation from hourly means.

    ``spread_frac`` is how far builds differ (+-), ``known_frac`` the belief that wear is as old as the hour meter says.
    ``tail`` is the degrees of freedom of the sensor noise (0 = normal). A bearing begins to grind itself down at up to
    ``most_extra_per_h`` with ``switch_per_h``; faults end with ``end_per_h``. Readings further out than ``surprise``
    variances (smoothed) make particles look for another explanation. ``roughen`` moves resampled particles by that
    share of the cloud's spread; ``widen`` makes up for the variance that resampling loses, in units of what it loses
    of a quantity that no reading tells. ``trial_h`` hours long ``n_start_factor`` times as many particles are kept.
    """

    method: Literal["particle"] = "particle"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    n_particles: Annotated[int, Field(ge=16, le=65_536)] = 200
    keep_every_h: Annotated[int, Field(ge=1, le=87_660)] | None = None
    kind_folder: str = "configs/kind"
    physics: Literal["plant", "seed"] = "plant"
    ambient_c: Annotated[float, Field(ge=-60.0, le=60.0)] = 25.0
    spread_frac: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    known_frac: Frac = 0.8
    tail: Annotated[float, Field(ge=0.0, le=1000.0)] = 8.0
    roughen: Annotated[float, Field(ge=0.0, le=0.9)] = 0.2
    widen: Annotated[float, Field(ge=0.0, le=20.0)] = 3.0
    wear_noise_per_sqrt_h: Annotated[float, Field(ge=0.0, le=0.1)] = 7e-4
    switch_per_h: Annotated[float, Field(gt=0.0, le=0.5)] = 1e-3
    end_per_h: Annotated[float, Field(ge=0.0, le=0.5)] = 0.007
    most_extra_per_h: Positive = 0.01
    fatigue_per_lost_cooling_h: NonNegative = 0.025
    surprise: NonNegative = 6.0
    ess_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    temp_noise_k: Annotated[float, Field(ge=0.0, le=20.0)] = 0.7
    trial_h: NonNegative = 48.0
    n_start_factor: Annotated[int, Field(ge=1, le=50)] = 10


class TwinStage(Strict):
    """The section ``twin`` of an experiment: the file of the filter, and ``overrides`` of its keys (key.path=value)."""

    config: str = "configs/twin/track.yaml"
    overrides: list[str] = []


def read_twin_stage(section: TwinStage, base: Path) -> TrackConfig:
    """The filter settings that the section of an experiment names; ConfigError when wrong."""
    path = find_config(section.config, base)
    return build(TrackConfig, apply_overrides(read_yaml(path), section.overrides), str(path))
