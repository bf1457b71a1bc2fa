"""From a dataset to hourly energy per machine and per factory: the series that are forecast.

The energy of an hour is its mean measured power over the whole hour, so that readings at unequal distances, in any
order or twice, weigh by the time they stand for. An hour measured for less than a given share is missing. A factory is
a series of its own: the sum of its machines, a missing machine-hour counted as the same hour of the week before; where
machines worth more than a tenth of the factory's usual energy are missing, the factory's hour is missing too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.config.forecast import ForecastConfig, PlannedCalendar
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import Dataset
from nexova_sim.forecast.panel import Panel, fill_gaps, make_calendar, zone_of

HOUR_MS = 3_600_000
_MOST_MISSING = 0.1
_REACH_H = 8760


class Series(NamedTuple):
    """n hourly series on one grid of UTC hours from ``start_ms``: ``energy_kwh`` (n, t), NaN where not measured.

    ``levels`` machine or factory, ``factory`` the factory each belongs to, ``zones`` its time zone, ``holidays`` its
    planned days off. ``stops`` (n, t + 168) marks hours of planned stops, also after the end.
    """

    start_ms: int
    ids: tuple[str, ...]
    levels: tuple[str, ...]
    factory: tuple[str, ...]
    zones: tuple[str, ...]
    holidays: tuple[tuple[date, ...], ...]
    energy_kwh: np.ndarray
    stops: np.ndarray

    @property
    def n_hours(self) -> int:
        """Hours of history."""
        return int(self.energy_kwh.shape[1])


def read_series(dataset: Dataset, config: ForecastConfig, planned: Mapping[str, tuple[date, ...]] | None = None,
                progress: Callable[[int, int], None] = lambda _done, _total: None) -> Series:  # fmt: skip
    """Hourly energy of every machine, and the factories' sums when the config asks for them.

    ``planned``: holidays by factory that are known of the dataset; those of the configuration come first.
    Only whole hours are taken: what is after the last full hour of the dataset is left out. Raises DataError when there
    is not one hour, ConfigError for a planned stop or time zone that fits nothing here.
    """
    grid = gather(dataset, 3600.0, ("power_kw",), progress=progress)
    with np.errstate(invalid="ignore", divide="ignore"):
        energy = np.where(grid.covered_frac >= config.min_covered_frac, grid.energy_kwh / grid.covered_frac, np.nan)
    if energy.size == 0 or not np.isfinite(energy).any():
        raise DataError(
            f"{dataset.folder}: no hour with valid power readings, nothing to forecast; see 'nexova data describe'"
        )
    rows = dataset.read("machines", columns=["machine_id", "factory_id"]).to_pylist()
    home = {row["machine_id"]: row["factory_id"] or "" for row in rows}
    zones = {row["factory_id"]: row["timezone"] or "UTC" for row in dataset.read("factories").to_pylist()}
    factories = tuple(home.get(name, "") for name in grid.machine_ids)
    if config.timezone is not None:
        zone_of(config.timezone)
        zones = dict.fromkeys(factories, config.timezone)
    known = {name: list(days) for name, days in (planned or {}).items() if name in factories}
    holidays = known | config.calendar.holidays
    config = config.model_copy(update={"calendar": config.calendar.model_copy(update={"holidays": holidays})})
    return assemble(grid.start_ms, grid.machine_ids, factories, energy, config, zones)


def assemble(start_ms: int, ids: Sequence[str], factories: Sequence[str], energy_kwh: np.ndarray,
             config: ForecastConfig, zones: Mapping[str, str] | None = None) -> Series:  # fmt: skip
    """Series from hourly energy (n, t) of machines: planned calendar applied, factories' sums appended.

    ``start_ms`` is the UTC time of the first hour; a factory without a zone is in UTC.
    """
    zones = zones or {}
    known = tuple(dict.fromkeys(factories))
    _check_calendar(config.calendar, ids, known)
    n_hours = energy_kwh.shape[1]
    stops = _stops(config.calendar, start_ms, n_hours, ids, factories)
    holidays = {name: tuple(config.calendar.holidays.get(name, ())) for name in known}
    names, levels, where = list(ids), ["machine"] * len(ids), list(factories)
    parts, masks = [np.asarray(energy_kwh, np.float64)], [stops]
    if "factory" in config.levels:
        for name in known:
            mine = [i for i, factory in enumerate(factories) if factory == name]
            zone = zones.get(name, "UTC")
            total = _sum(start_ms, parts[0][mine], zone, holidays[name])
            names.append(name)
            levels.append("factory")
            where.append(name)
            parts.append(total[None])
            masks.append(np.asarray(stops[mine].all(axis=0))[None])
    keep = [i for i, level in enumerate(levels) if level in config.levels]
    picked = [where[i] for i in keep]
    return Series(
        start_ms, tuple(names[i] for i in keep), tuple(levels[i] for i in keep), tuple(picked),
        tuple(zones.get(name, "UTC") for name in picked), tuple(holidays[name] for name in picked),
        np.concatenate(parts)[keep], np.concatenate(masks)[keep],
    )  # fmt: skip


def _sum(start_ms: int, energy_kwh: np.ndarray, zone: str, holidays: tuple[date, ...]) -> np.ndarray:
    """Energy of a factory (t,) from its machines' (m, t)."""
    panel = Panel(("",) * len(energy_kwh), energy_kwh, make_calendar(zone, start_ms, energy_kwh.shape[1], holidays))
    filled = fill_gaps(panel)
    missing = np.asarray(np.isnan(energy_kwh))
    usual = np.zeros(len(filled))
    for i in range(len(filled)):
        values = energy_kwh[i, ~missing[i]]
        usual[i] = values.mean() if len(values) else 0.0
    lost = (usual[:, None] * missing).sum(axis=0) / max(usual.sum(), 1e-12)
    return np.where((lost <= _MOST_MISSING) & ~missing.all(axis=0), np.asarray(filled.sum(axis=0)), np.nan)


def _check_calendar(calendar: PlannedCalendar, ids: Sequence[str], factories: Sequence[str]) -> None:
    for name in calendar.holidays:
        if name not in factories:
            raise ConfigError(f"calendar.holidays: there is no factory {name!r} here; {suggest(name, factories)}")
    for number, stop in enumerate(calendar.stops):
        for key, given, allowed in (("factory", stop.factory, factories), ("machine", stop.machine, ids)):
            if given is not None and given not in allowed:
                raise ConfigError(
                    f"calendar.stops.{number}.{key}: {given!r} is not in this dataset; {suggest(given, allowed)}"
                )


def _stops(calendar: PlannedCalendar, start_ms: int, n_hours: int, ids: Sequence[str],
           factories: Sequence[str]) -> np.ndarray:  # fmt: skip
    """Mask (n, t + 8760): hours that lie in a planned stop, up to a year after the end."""
    mask = np.zeros((len(ids), n_hours + _REACH_H), bool)
    for stop in calendar.stops:
        first = round((stop.start.timestamp() * 1000 - start_ms) / HOUR_MS)
        last = round((stop.end.timestamp() * 1000 - start_ms) / HOUR_MS)
        rows = [i for i, name in enumerate(ids) if stop.machine == name or stop.factory == factories[i]]
        mask[rows, max(first, 0) : max(last, 0)] = True
    return mask


def place_hours(time_ms: np.ndarray, energy_kwh: np.ndarray) -> tuple[int, np.ndarray]:
    """One hourly series from rows in any order: the UTC time of its first hour and its energy (t,), gaps as NaN.

    Hours given more than once take the mean of what was given. Raises DataError when there is no row or a time is not
    on the hour.
    """
    if len(time_ms) == 0:
        raise DataError("hourly energy: no rows; give at least one hour")
    if (time_ms % HOUR_MS).any():
        wrong = int(time_ms[np.flatnonzero(time_ms % HOUR_MS)[0]])
        raise DataError(f"hourly energy: time {wrong} ms is not on the hour; give the start of each hour, UTC")
    first = int(time_ms.min())
    place = (time_ms - first) // HOUR_MS
    known = np.isfinite(energy_kwh)
    total = np.bincount(place[known], energy_kwh[known], minlength=int(place.max()) + 1)
    count = np.bincount(place[known], minlength=len(total))
    with np.errstate(invalid="ignore"):
        return first, np.where(count > 0, total / count, np.nan)
