"""Follow the hidden state of every machine of a dataset from what a plant would see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.config.kinds import KindConfig
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.config.track import TrackConfig
from nexova_sim.kernels.filter import track_machine
from nexova_sim.kernels.filter_cloud import N_OUT
from nexova_sim.kernels.filter_moves import I_AMBIENT, FilterSettings, begin_particles
from nexova_sim.kernels.particles import FILTER_START, N_PARTICLE, Q_TEMP
from nexova_sim.kernels.random import stream_key
from nexova_sim.kernels.rows import MachineParams
from nexova_sim.prognose.hours import Hours


class Plate(NamedTuple):
    """What is known of a machine before any reading: its kind, and its hour meter at the start."""

    machine_id: str
    kind: KindConfig
    runtime_h: float


class Tracked(NamedTuple):
    """A followed machine.

    ``rows`` (hours + 1, N_OUT): row h is the beginning of hour h. ``clouds`` (k, n, N_PARTICLE) are of equal weight, at
    ``kept_hours`` (k,).
    """

    machine_id: str
    rows: np.ndarray
    kept_hours: np.ndarray
    clouds: np.ndarray


def filter_settings(config: TrackConfig) -> FilterSettings:
    """The part of the configuration the kernels see."""
    return FilterSettings(*(float(getattr(config, name)) for name in FilterSettings._fields))


def machine_key(name: str) -> np.uint64:
    """64 bits that stand for a machine's name, so that it meets the same chance in every company (FNV-1a)."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return np.uint64(value)


def parameter_column(kind: KindConfig, physics: str = "plant") -> np.ndarray:
    """Nominal parameters of a kind as the kernels take them, (N_PARAMS,)."""
    row = nominal_parameters(kind, physics)
    return np.array([row[name] for name in MachineParams._fields])


def track_fleet(hours: Hours, plates: Sequence[Plate], config: TrackConfig, physics: str = "plant",
                progress: Callable[[int, int], None] = lambda _done, _total: None) -> Iterator[Tracked]:  # fmt: skip
    """Follow one machine after the other; equal readings and settings give equal results, whatever the company."""
    settings = filter_settings(config)
    place = {name: n for n, name in enumerate(hours.machine_ids)}
    n_hours = hours.given.shape[1]
    every = config.keep_every_h
    kept = np.unique(np.r_[np.arange(every, n_hours, every) if every else np.zeros(0, np.int64), n_hours]).astype(
        np.int64
    )
    columns: dict[int, np.ndarray] = {}
    for number, plate in enumerate(plates):
        params = columns.setdefault(id(plate.kind), parameter_column(plate.kind, physics))
        given = hours.given[place[plate.machine_id]]
        key = machine_key(plate.machine_id)
        particles = np.empty((N_PARTICLE, config.n_particles * config.n_start_factor))
        start = np.uint64(stream_key(np.uint64(config.seed), key, FILTER_START))
        begin_particles(params, plate.kind.nominal_load_frac, plate.runtime_h, settings, start, particles)
        particles[Q_TEMP] = given[0, I_AMBIENT]
        rows = np.empty((n_hours + 1, N_OUT))
        clouds = np.empty((len(kept), config.n_particles, N_PARTICLE))
        key = np.uint64(stream_key(np.uint64(config.seed), key, FILTER_START + 100))
        track_machine(params, particles, given, settings, key, rows, kept, clouds)
        yield Tracked(plate.machine_id, rows, kept, clouds)
        progress(number + 1, len(plates))


def plates_of(
    machine_ids: Sequence[str], kinds: Mapping[str, KindConfig], runtime_h: Mapping[str, float]
) -> list[Plate]:
    """Plates of machines in the given order."""
    return [Plate(m, kinds[m], runtime_h[m]) for m in machine_ids]
