"""What a plant knows of its machines hour by hour: load, running share, ambient, means of sensors, services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.kinds import KindConfig
from nexova_sim.dataset.read import Dataset, parse_time, time_ms
from nexova_sim.dataset.rows import CHANNELS, scan_rows
from nexova_sim.kernels.filter_moves import (
    I_AMBIENT,
    I_LOAD,
    I_RESTORE,
    I_RUN,
    I_TEMP,
    I_TEMP_VAR,
    I_VIB,
    I_VIB_VAR,
    N_INPUTS,
)
from nexova_sim.kernels.hours import add_hours
from nexova_sim.schema.channels import COMPONENTS

HOUR_MS = 3_600_000
_MOST_CELLS = 20_000_000
_POWER, _TEMP, _VIB = range(3)
_FEW = 10  # readings below which the spread of an hour says less than the kind's own noise
_STUCK = 0.02  # a spread below this share of the sensor's noise is a sensor that repeats itself
_FLOOR_MM_S = 0.01
_FLOOR_K = 0.2
_BLIND_K = 5.0


class Hours(NamedTuple):
    """m machines in b hours from ``start_ms``: ``given`` (m, b, N_INPUTS), columns I_* of ``kernels.filter``.

    ``load`` (m, b) is the mean load fraction while running as measured, NaN where it was not; ``run`` (m, b) the share
    of the hour in which the machine ran, NaN without rows. What is NaN there is filled in in ``given``.
    """

    start_ms: int
    machine_ids: tuple[str, ...]
    given: np.ndarray
    load: np.ndarray
    run: np.ndarray


class Moments(NamedTuple):
    """Sums of readings by hour; see ``kernels.hours``."""

    start_ms: int
    sums: np.ndarray
    counts: np.ndarray
    rows: np.ndarray


def gather_moments(dataset: Dataset, machines: Sequence[str] | None = None,
                   progress: Callable[[int, int], None] = lambda _done, _total: None) -> Moments:  # fmt: skip
    """Sums, squares and counts of power, temperature and vibration by machine and hour, in one pass over the readings.

    Raises ConfigError for an unknown machine, DataError when the span times the machines is too large.
    """
    manifest = dataset.manifest
    start_ms = parse_time(manifest.start, "start") // HOUR_MS * HOUR_MS
    n_hours = max(1, -(-(parse_time(manifest.end, "end") - start_ms) // HOUR_MS))
    n_machines = len(dataset.machine_ids())
    if n_machines * n_hours > _MOST_CELLS:
        raise DataError(f"{n_machines} machines times {n_hours} hours do not fit; split the dataset in time first")
    sums = np.zeros((2, len(CHANNELS), n_machines, n_hours))
    counts = np.zeros((len(CHANNELS), n_machines, n_hours), np.int32)
    rows = np.zeros((2, n_machines, n_hours), np.int32)
    always = np.array([False, True, False])
    done, n_all = 0, manifest.rows.get("readings", 0)
    for batch in scan_rows(dataset, machines=machines):
        hour = (batch.time_ms - start_ms) // HOUR_MS
        add_hours(batch.machine, hour, batch.values, batch.status, always, sums, counts, rows)
        done += len(hour)
        progress(done, n_all)
    return Moments(start_ms, sums, counts, rows)


def ambient_by_machine(dataset: Dataset, start_ms: int, n_hours: int) -> np.ndarray:
    """Measured ambient temperature of every machine's factory by hour, (m, n_hours) degC; NaN where none is known."""
    factory = dict(
        zip(*dataset.read("machines", columns=["machine_id", "factory_id"]).to_pydict().values(), strict=True)
    )
    weather = dataset.read("weather") if "weather" in dataset.tables() else None
    by_factory: dict[str, np.ndarray] = {}
    if weather is not None and weather.num_rows:
        names = np.array(weather["factory_id"].to_pylist(), object)
        hour = (time_ms(weather["timestamp"].combine_chunks()) - start_ms) // HOUR_MS
        value = weather["ambient_c"].to_numpy().astype(float)
        for name in dict.fromkeys(names):
            line = np.full(n_hours, np.nan)
            own = (names == name) & (hour >= 0) & (hour < n_hours)
            line[hour[own]] = value[own]
            by_factory[name] = fill_forward(line)
    unknown = np.full(n_hours, np.nan)
    return np.array([by_factory.get(factory[m], unknown) for m in dataset.machine_ids()])


def fill_forward(values: np.ndarray) -> np.ndarray:
    """Copy of ``values`` (n,) in which NaN takes the last number before it, or the first one after."""
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values.copy()
    at = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    filled: np.ndarray = values[known[np.maximum(at, 0)]]
    return filled


def restored_bits(dataset: Dataset, start_ms: int, n_hours: int) -> np.ndarray:
    """Component bits that maintenance had renewed by the beginning of each hour, (m, n_hours) int64."""
    out = np.zeros((len(dataset.machine_ids()), n_hours), np.int64)
    if "events" not in dataset.tables():
        return out
    place = {name: i for i, name in enumerate(dataset.machine_ids())}
    events = dataset.read("events", columns=["machine_id", "timestamp", "event", "restored"])
    times = time_ms(events["timestamp"].combine_chunks())
    bits = {name: 1 << n for n, name in enumerate(COMPONENTS)}
    ids, what, restored = (events[c].to_pylist() for c in ("machine_id", "event", "restored"))
    for n in range(events.num_rows):
        hour = -((start_ms - times[n]) // HOUR_MS)
        if what[n] == "maintenance_end" and restored[n] and 0 <= hour < n_hours:
            for name in restored[n].split("+"):
                out[place[ids[n]], hour] |= bits.get(name, 0)
    return out


def make_hours(dataset: Dataset, kinds: Mapping[str, KindConfig], ambient_c: float = 25.0,
               machines: Sequence[str] | None = None,
               progress: Callable[[int, int], None] = lambda _done, _total: None) -> Hours:  # fmt: skip
    """The hours of every machine of ``dataset``; ``kinds`` by machine id. Reads only what a plant would see.

    ``ambient_c`` stands where no weather is known, with little trust in temperatures then. A sensor that repeats itself
    for an hour, and every sensor while the machine ran only part of the hour, says nothing.
    """
    moments = gather_moments(dataset, machines, progress)
    n_hours = moments.rows.shape[2]
    mean, spread = hourly_means(moments)
    rated = np.array([kinds[m].rated_kw if m in kinds else 1.0 for m in dataset.machine_ids()])[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        run = np.where(moments.rows[0] > 0, moments.rows[1] / moments.rows[0], np.nan)
    noise = np.array([_noise(kinds[m]) if m in kinds else (0.0, 0.0, 0.0) for m in dataset.machine_ids()]).T[:, :, None]
    n = moments.counts
    stuck = (n >= _FEW) & (spread < _STUCK * noise)
    scatter = np.where(n >= _FEW, np.maximum(spread, noise), noise)
    error = np.where(n > 0, scatter / np.sqrt(np.maximum(n, 1)), np.inf)
    usable = (n > 0) & ~stuck
    load = np.where(usable[_POWER] & (moments.rows[1] > 0), mean[_POWER] / rated, np.nan)
    ambient = ambient_by_machine(dataset, moments.start_ms, n_hours)
    blind = ~np.isfinite(ambient)
    given = np.zeros((*run.shape, N_INPUTS))
    given[..., I_RUN] = np.array([fill_forward(line) for line in run])
    given[..., I_RUN] = np.where(np.isfinite(given[..., I_RUN]), given[..., I_RUN], 0.0)
    given[..., I_LOAD] = np.where(given[..., I_RUN] > 0.0, _filled_load(load), 0.0)
    given[..., I_AMBIENT] = np.where(blind, ambient_c, ambient)
    whole = (run > 0.999) & np.isfinite(load)
    load_error = error[_POWER] / rated
    rise = np.array([kinds[m].thermal.rise_at_rated_k if m in kinds else 1.0 for m in dataset.machine_ids()])[:, None]
    rated_vib = np.array([kinds[m].vibration.rated_mm_s if m in kinds else 1.0 for m in dataset.machine_ids()])[:, None]
    temp_var = error[_TEMP] ** 2 + (rise * np.where(whole, load_error, 0.0)) ** 2 + _FLOOR_K**2
    temp_var += np.where(blind, _BLIND_K**2, 0.0)
    vib_var = error[_VIB] ** 2 + (rated_vib * load_error) ** 2 + _FLOOR_MM_S**2
    seen_temp, seen_vib = usable[_TEMP] & (whole | (run == 0.0)), usable[_VIB] & whole
    for column, seen, value in ((I_TEMP, seen_temp, mean[_TEMP]), (I_TEMP_VAR, seen_temp, temp_var),
                                (I_VIB, seen_vib, mean[_VIB]), (I_VIB_VAR, seen_vib, vib_var)):  # fmt: skip
        given[..., column] = np.where(seen, value, 0.0)
    given[..., I_RESTORE] = restored_bits(dataset, moments.start_ms, n_hours)
    return Hours(moments.start_ms, dataset.machine_ids(), given, load, run)


def hourly_means(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel by hour, (c, m, h) each; NaN without readings."""
    n = moments.counts
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(n > 0, moments.sums[0] / n, np.nan)
        variance = np.where(n > 1, (moments.sums[1] / n - mean**2) * n / np.maximum(n - 1, 1), np.nan)
    return mean, np.sqrt(np.maximum(np.nan_to_num(variance), 0.0))


def _noise(kind: KindConfig) -> tuple[float, float, float]:
    """Standard deviation of single readings of power, temperature and vibration at usual load."""
    power = kind.sensors.power_kw.noise + kind.sensors.power_kw.noise_frac * kind.rated_kw * kind.nominal_load_frac
    return power, kind.sensors.temperature_c.noise, kind.sensors.vibration_mm_s.noise


def _filled_load(load: np.ndarray) -> np.ndarray:
    """Loads with gaps filled by the machine's mean, 0 for a machine of which no load was ever seen."""
    known = np.isfinite(load)
    usual = np.where(known, load, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(known, load, usual[:, None])
