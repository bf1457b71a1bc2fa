"""The forecasters: a read-only registry, and what every one of them has to fit.

A forecaster is a function of a panel; it sees the past and the calendar, and answers with 168 hours and a 95 % band.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.forecast import ProphetSettings
from nexova_sim.forecast import blend, naive, trees
from nexova_sim.forecast.fourier import fourier_ridge
from nexova_sim.forecast.hour_of_week import hour_of_week
from nexova_sim.forecast.panel import Forecast, Panel
from nexova_sim.forecast.prophet_fit import prophet
from nexova_sim.forecast.prophet_map import prophet_map

TWO_SEASONS_H = 336


class Options(NamedTuple):
    """What a forecaster may be told besides its data."""

    prophet: ProphetSettings = ProphetSettings()
    seed: int = 0
    jobs: int | None = None
    cache: Path | None = None


class Forecaster(Protocol):
    """From a panel to the 168 hours after it. Nothing else may be read, and the panel is not changed."""

    def __call__(self, panel: Panel, options: Options) -> Forecast:
        """Forecast every series of ``panel``."""


class Model(NamedTuple):
    """A row of the registry. A reference stays as its authors made it: no zeros, no bounds of ours are put on it."""

    title: str
    least_h: int
    run: Forecaster
    is_reference: bool = False


def _prophet_map(panel: Panel, options: Options) -> Forecast:
    return prophet_map(panel, options.prophet.n_changepoints, options.prophet.changepoint_prior_scale)


def _prophet(panel: Panel, options: Options) -> Forecast:
    return prophet(panel, options.prophet, options.seed, options.jobs, options.cache)


MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "blend": Model("Blend of smoothed profiles", blend.LEAST_H, lambda panel, options: blend.blend(panel)),
        "hour_of_week": Model("Hour of week, robust ridge", 336, lambda panel, options: hour_of_week(panel)),
        "median4": Model("Median of four weeks", 336, lambda panel, options: naive.median4(panel)),
        "fourier_ridge": Model("Fourier ridge", 336, lambda panel, options: fourier_ridge(panel)),
        "prophet_map": Model("Prophet's model, exact, all machines at once", 336, _prophet_map, True),
        "prophet": Model("Prophet, the library", 336, _prophet, True),
        "seasonal_naive_24": Model("Yesterday again", 336, lambda panel, options: naive.seasonal_naive_24(panel)),
        "seasonal_naive_168": Model("Last week again", 336, lambda panel, options: naive.seasonal_naive_168(panel)),
        "hist_gradient_boosting": Model(
            "Gradient boosting, one model for all", trees.LEAST_H,
            lambda panel, options: trees.hist_gradient_boosting(panel, options.seed),
        ),
    }
)  # fmt: skip
FALLBACK = "median4"


def find_model(name: str) -> Model:
    """The model ``name``; ConfigError with the nearest name when there is none."""
    if name not in MODELS:
        raise ConfigError(f"model {name!r}: there is no such forecaster; {suggest(name, MODELS)}", got=name)
    return MODELS[name]
