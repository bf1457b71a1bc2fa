"""Twin residual: what load, ambient and habit do not explain, gathered over hours; and what is wrong with readings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.detect.detector import Batch, Component, Found, Params, no_driver
from nexova_sim.kernels.residual import Q_POWER_FAST, Q_SURGE

_POWER, _TEMP, _VIB, _READINGS = range(4)
_CHANNELS = ("power_kw", "temperature_c", "vibration_mm_s")
_SHORT = ("power", "temperature", "vibration")
_STUCK_RUN, _QUIET_H, _SPIKES = 8.0, 1.0 / 6.0, 1.5

COMPONENTS: tuple[Component, ...] = (
    Component("temperature", _CHANNELS[1], _TEMP, "warmer than load and ambient explain", 0.5, learns=True),
    Component("temperature_slow", _CHANNELS[1], _TEMP, "for hours warmer than load and ambient explain", 0.25,
              learns=True),
    Component("vibration", _CHANNELS[2], _VIB, "vibrates more than its load explains", 0.02, learns=True),
    Component("vibration_slow", _CHANNELS[2], _VIB, "for hours vibrates more than its load explains", 0.01,
              learns=True),
    Component("power", _CHANNELS[0], _POWER, "draws more than usual at this hour", 0.1, learns=True),
    Component("power_slow", _CHANNELS[0], _POWER, "for hours draws more than usual", 0.05, learns=True),
    Component("power_surge", _CHANNELS[0], _POWER, "surges above its usual highest power", 0.025, learns=True),
    *(Component(f"stuck_{s}", c, i, "sensor repeats one value", _STUCK_RUN)
      for i, (s, c) in enumerate(zip(_SHORT, _CHANNELS, strict=True))),
    *(Component(f"dropout_{s}", c, _READINGS, "sensor reports no value", _QUIET_H, always=True, is_silence=True)
      for s, c in zip(_SHORT, _CHANNELS, strict=True)),
    *(Component(f"spike_{s}", c, i, "single wild readings", _SPIKES)
      for i, (s, c) in enumerate(zip(_SHORT, _CHANNELS, strict=True))),
    Component("gap", "readings", _READINGS, "rows are missing", _QUIET_H, always=True, is_gap=True),
)  # fmt: skip


@dataclass(frozen=True)
class TwinResidual:
    """All statistics of the watch over the twin; nothing to fit beyond the baselines that every model has."""

    name: str = "twin_residual"

    def components(self) -> tuple[Component, ...]:
        """Seven gathered residuals, then three sensor faults on each channel, then missing rows."""
        return COMPONENTS

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Nothing: the baselines are fitted with the features."""
        return {}

    def start(self, params: Params, n_machines: int) -> Params:
        """Nothing: the watch's own state holds all."""
        return {}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """The statistics as the watch gathered them."""
        return state, Found(batch.stats, no_driver(batch.stats.shape[1]))


@dataclass(frozen=True)
class ForecastResidual:
    """Power against what the hour of the week makes usual: level over an hour, over many, and surges above it."""

    name: str = "forecast_residual"

    def components(self) -> tuple[Component, ...]:
        """The three statistics of power."""
        return COMPONENTS[Q_POWER_FAST : Q_SURGE + 1]

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Nothing: the weekly profile is fitted with the baselines."""
        return {}

    def start(self, params: Params, n_machines: int) -> Params:
        """Nothing: the watch's own state holds all."""
        return {}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """The statistics of power as the watch gathered them."""
        return state, Found(batch.stats[Q_POWER_FAST : Q_SURGE + 1], no_driver(batch.stats.shape[1]))
