"""Follow the hidden state of every machine of a dataset from what a plant would see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.config.kinds import KindConfig
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.config.track import TrackConfig
from nexova_sim.kernels.filter import track_machine
from nexova_sim.kernels.filter_cloud import N_OUT
from nexova_sim.kernels.filter_moves import I_AMBIENT, I_TEMP_VAR, I_VIB_VAR, FilterSettings, begin_particles
from nexova_sim.kernels.particles import FILTER_START, N_PARTICLE, Q_TEMP
from nexova_sim.kernels.random import stream_key
from nexova_sim.kernels.rows import MachineParams
from nexova_sim.prognose.hours import Hours

LEAST_HOURS = 24  # of readings that tell something, to be followed at all


class Plate(NamedTuple):
    """What is known of a machine before any reading: its kind, and its hour meter at the start (None = unknown)."""

    machine_id: str
    kind: KindConfig
    runtime_h: float | None


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


def untold(given: np.ndarray, least: int = LEAST_HOURS) -> str | None:
    """Why the hours of a machine, (hours, N_INPUTS), are not enough to follow it; None when ``least`` tell enough."""
    n_vib, n_temp = int((given[:, I_VIB_VAR] > 0.0).sum()), int((given[:, I_TEMP_VAR] > 0.0).sum())
    for name, n in (("vibration", n_vib), ("temperature", n_temp)):
        if n < least:
            return f"{n} hours with a {name} that tells something, {least} are needed (constant or missing?)"
    return None


def kept_hours(n_hours: int, every_h: int | None) -> np.ndarray:
    """Hours at which clouds are kept: every ``every_h`` (None = never) and the end, (k,) int64, rising."""
    regular = np.arange(every_h, n_hours, every_h) if every_h else np.zeros(0, np.int64)
    return np.append(regular, n_hours).astype(np.int64)


def track_one(given: np.ndarray, plate: Plate, config: TrackConfig, kept: np.ndarray) -> Tracked:
    """Follow one machine through its hours ``given`` (hours, N_INPUTS), keeping its cloud at ``kept`` (k,) hours.

    Depends on nothing but its arguments: the same machine in another company gives the same numbers.
    """
    settings = filter_settings(config)
    if plate.runtime_h is None:
        settings = settings._replace(known_frac=0.0)
    params = parameter_column(plate.kind, config.physics)
    key = machine_key(plate.machine_id)
    particles = np.empty((N_PARTICLE, config.n_particles * config.n_start_factor))
    start = np.uint64(stream_key(np.uint64(config.seed), key, FILTER_START))
    begin_particles(params, plate.kind.nominal_load_frac, plate.runtime_h or 0.0, settings, start, particles)
    particles[Q_TEMP] = given[0, I_AMBIENT]
    rows = np.empty((len(given) + 1, N_OUT))
    clouds = np.empty((len(kept), config.n_particles, N_PARTICLE))
    # Its own name for the run, so that no number of the start is used again.
    key = np.uint64(stream_key(np.uint64(config.seed), key, FILTER_START + 100))
    track_machine(params, particles, given, settings, key, rows, kept, clouds)
    return Tracked(plate.machine_id, rows, kept, clouds)


def track_fleet(hours: Hours, plates: Sequence[Plate], config: TrackConfig,
                progress: Callable[[int, int], None] = lambda _done, _total: None) -> Iterator[Tracked]:  # fmt: skip
    """Follow one machine after the other; the hours must hold every plate's machine."""
    place = {name: n for n, name in enumerate(hours.machine_ids)}
    kept = kept_hours(hours.given.shape[1], config.keep_every_h)
    for number, plate in enumerate(plates):
        yield track_one(hours.given[place[plate.machine_id]], plate, config, kept)
        progress(number + 1, len(plates))
