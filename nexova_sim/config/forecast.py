"""Configuration of ``nexova forecast``: model, training window, planned calendar, tariff, backtest, gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.strict import Day, Identifier, Moment, Positive, Strict

ModelName = Literal[
    "blend",
    "prophet_map",
    "prophet",
    "hour_of_week",
    "fourier_ridge",
    "median4",
    "seasonal_naive_24",
    "seasonal_naive_168",
    "hist_gradient_boosting",
]
Level = Literal["machine", "factory"]
MODEL_NAMES: tuple[str, ...] = get_args(ModelName)


class PlannedStop(Strict):
    """A stop that is known beforehand: all machines of ``factory``, or one ``machine``, from ``start`` to ``end``."""

    factory: str | None = None
    machine: str | None = None
    start: Moment
    end: Moment

    @model_validator(mode="after")
    def _one_place(self) -> PlannedStop:
        if (self.factory is None) == (self.machine is None):
            raise ValueError("give either 'factory' or 'machine'")
        if self.start >= self.end:
            raise ValueError("'start' must be before 'end'")
        return self


class PlannedCalendar(Strict):
    """What is planned: by factory the days that run like a Sunday, and stops. Outages do not belong here.

    ``from_dataset`` takes the holidays of factories not named in ``holidays`` from the configuration that a simulated
    dataset was made from, since a plant knows them beforehand.
    """

    from_dataset: bool = True
    holidays: dict[str, list[Day]] = Field(default_factory=dict)
    stops: tuple[PlannedStop, ...] = ()


class Tariff(Strict):
    """Price of energy by local hour of day; the default is flat."""

    price_usd_per_kwh: Positive = 0.12
    peak_price_usd_per_kwh: Positive = 0.12
    peak_hours: tuple[Annotated[int, Field(ge=0, le=23)], ...] = ()


class ProphetSettings(Strict):
    """The platform's settings of Prophet, for the library and for ``prophet_map``."""

    n_changepoints: Annotated[int, Field(ge=0, le=100)] = 25
    changepoint_prior_scale: Positive = 0.05
    uncertainty_samples: Annotated[int, Field(ge=100, le=10_000)] = 1000
    cache: bool = True


class BacktestConfig(Strict):
    """Rolling origins, the last one a horizon before the end. No model is called better on fewer than 12 origins.

    ``floor_replicas`` lives of a simulated fleet make the oracle floor; 0 leaves it out.
    """

    origins: Annotated[int, Field(ge=1, le=400)] = 12
    step_h: Annotated[int, Field(ge=1, le=672)] = 168
    models: tuple[ModelName, ...] = (
        "blend", "hour_of_week", "median4", "fourier_ridge", "prophet_map", "seasonal_naive_24",
    )  # fmt: skip
    gate_mape_percent: Positive = 5.0
    floor_replicas: Annotated[int, Field(ge=0, le=1000)] = 16
    running_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05


class ForecastConfig(Strict):
    """A forecast: hourly energy for each series, ``horizon_h`` hours ahead, with a 95 % interval."""

    name: Identifier = "default"
    model: ModelName = "blend"
    horizon_h: Annotated[int, Field(ge=1, le=168)] = 168
    train_h: Annotated[int, Field(ge=336, le=26_280)] = 1440
    levels: tuple[Level, ...] = ("machine", "factory")
    min_covered_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    timezone: str | None = None
    residual_days: Annotated[int, Field(ge=0, le=90)] = 14
    seed: Annotated[int, Field(ge=0)] = 0
    calendar: PlannedCalendar = PlannedCalendar()
    tariff: Tariff = Tariff()
    prophet: ProphetSettings = ProphetSettings()
    backtest: BacktestConfig = BacktestConfig()

    @model_validator(mode="after")
    def _levels(self) -> ForecastConfig:
        if not self.levels:
            raise ValueError("levels: name 'machine', 'factory' or both")
        return self


class ForecastStage(Strict):
    """The stage of ``nexova run``: settings in the file ``config``, with ``overrides`` (key.path=value) on top.

    ``backtest: false`` only forecasts.
    """

    config: str = "configs/forecast/default.yaml"
    overrides: list[str] = []
    backtest: bool = True


def load_forecast(name: str | Path, settings: Sequence[str] = (), seed: int | None = None,
                  base: Path | None = None) -> ForecastConfig:  # fmt: skip
    """Read a forecast file with ``--set`` overrides; ``seed`` replaces its seed. ConfigError names file and key."""
    path = find_config(str(name), base)
    raw = apply_overrides(read_yaml(path), settings)
    if seed is not None:
        raw = {**raw, "seed": seed}
    return build(ForecastConfig, raw, str(path))


def load_forecast_part(section: ForecastStage, base: Path) -> ForecastConfig:
    """The configuration that the section ``forecast`` of an experiment names."""
    return load_forecast(section.config, section.overrides, base=base)
