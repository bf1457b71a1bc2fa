"""What a detector is, and what it is given: one Protocol for all, state in, state out, arrays only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from nexova_sim.config.anomaly import AnomalyConfig

Params = Mapping[str, np.ndarray]
LANES = ("power_kw", "temperature_c", "vibration_mm_s", "readings")
MACHINE_LANE = 0  # detectors with one statistic use one lane


class Component(NamedTuple):
    """A statistic of a detector: the channel it speaks for, its lane of alarms, and what it means when it is high.

    ``floor``: threshold below which it is never set, in the statistic's unit. ``always``: it counts also in suppressed
    states, because it is about the readings and not about the machine. ``is_gap``: hours for which rows are missing.
    ``learns``: it is 0 until the machine has run ``twin.learn_hours``. ``is_silence``: hours without a value.
    """

    name: str
    channel: str
    lane: int
    finding: str
    floor: float = 0.0
    always: bool = False
    is_gap: bool = False
    learns: bool = False
    is_silence: bool = False


class Batch(NamedTuple):
    """n readings with their features: ``features`` (f, n) float32 in the order of the model's feature names.

    ``stats`` (N_STATS, n) float32: residuals against the twin as gathered; ``machine`` (n,) int32 of the dataset.
    """

    machine: np.ndarray
    time_ms: np.ndarray
    status: np.ndarray
    features: np.ndarray
    stats: np.ndarray


class Found(NamedTuple):
    """Statistics (k, n) float32, high = anomalous, and per reading the place of the feature that drives it (n,) int16.

    ``driver`` is -1 where the component itself says which channel it is.
    """

    statistic: np.ndarray
    driver: np.ndarray


class Detector(Protocol):
    """One detector. ``fit`` sees features of history only; ``step`` reads a batch in order and returns a new state."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    def components(self) -> tuple[Component, ...]:
        """Its statistics, in the order of ``Found.statistic``."""

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Parameters from a sample of history (f, n) float32 with NaN for missing values."""

    def start(self, params: Params, n_machines: int) -> Params:
        """State before the first reading."""

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """Take a batch; the same readings in other cuts give the same statistics, bit by bit."""


@runtime_checkable
class StreamDetector(Protocol):
    """A detector that is fitted on readings in their order, machine by machine, instead of a sample of them."""

    def fit_stream(self, batches: Iterable[Batch], names: tuple[str, ...], machine_ids: tuple[str, ...],
                   config: AnomalyConfig) -> Params:  # fmt: skip
        """Parameters from all of history, machines as in ``Batch.machine``; memory does not grow with it."""

    def lay_out(self, params: Params, machine_ids: tuple[str, ...]) -> Params:
        """Parameters for the machines of a dataset, in its order, known or never seen; what ``step`` then takes."""


def filled(features: np.ndarray) -> np.ndarray:
    """Features with missing values replaced by 0, the middle of normalised values; (f, n) float32."""
    plain: np.ndarray = np.nan_to_num(features, nan=0.0, posinf=0.0, neginf=0.0)
    return plain


def no_driver(n: int) -> np.ndarray:
    """Driver array of a detector whose components say which channel they are."""
    return np.full(n, -1, np.int16)
