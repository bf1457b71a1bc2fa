"""Ambient temperature and demand of a factory: climate from latitude or configuration, AR(1) weather, or a CSV."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from nexova_sim.config.types import Climate, Factory
from nexova_sim.kernels.climate import add_ar1, fill_wave
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.random import DEMAND, WEATHER, normals

_STATIONARY_COUNTER = 2**32 - 1
_WARMEST_HOUR_NORTH = 200 * 24.0  # 20 July
_WARMEST_HOUR_SOUTH = 17 * 24.0
_WARMEST_HOUR_OF_DAY = 15.0


class Wave(NamedTuple):
    """mean, annual amplitude, hour of its peak, daily amplitude, hour of its peak (see kernels.climate.fill_wave)."""

    mean: float
    annual: float
    annual_peak_h: float
    daily: float
    daily_peak_h: float


def climate_wave(climate: Climate, latitude_deg: float) -> Wave:
    """Outdoor climate from the latitude, moved indoors.

    Zonal means at sea level: 27 degC at the equator falling with the square of the latitude to -19 at the poles, annual
    amplitude 0.32 K per degree beyond the tropics (fits of the zonal means in Hartmann, Global Physical Climatology,
    2016, ch. 2, to about 3 K). A building adds ``indoor_offset_k`` and lets
    ``1 - indoor_damping_frac`` of the swings in.
    """
    lat = abs(latitude_deg)
    mean = climate.mean_c if climate.mean_c is not None else 27.0 - 46.0 * (lat / 90.0) ** 2
    annual = climate.annual_amplitude_k if climate.annual_amplitude_k is not None else max(1.0, 0.32 * (lat - 15.0))
    daily = climate.daily_amplitude_k if climate.daily_amplitude_k is not None else 4.0
    keep = 1.0 - climate.indoor_damping_frac
    peak = _WARMEST_HOUR_NORTH if latitude_deg >= 0 else _WARMEST_HOUR_SOUTH
    return Wave(mean + climate.indoor_offset_k, annual * keep, peak, daily * keep, _WARMEST_HOUR_OF_DAY)


def year_hour(second: int, longitude_deg: float) -> float:
    """Hours since 1 January 00:00 local solar time of an instant (s since 1970, UTC)."""
    moment = datetime.fromtimestamp(second, UTC)
    begin = datetime(moment.year, 1, 1, tzinfo=UTC)
    return (moment - begin).total_seconds() / 3600.0 + longitude_deg / 15.0


class Process(NamedTuple):
    """An AR(1) process on the slot grid: its key and its state just before each period."""

    key: np.uint64
    memory: float
    deviation: float
    before: tuple[float, ...]


def scan_process(key: np.uint64, deviation: float, hours: float, slot_h: float, bounds: list[int]) -> Process:
    """Prepare an AR(1) process so that each period [bounds[i], bounds[i+1]) can be computed alone."""
    memory = exp64(-slot_h / hours)
    first = np.empty(1, np.float32)
    normals(key, _STATIONARY_COUNTER, first)
    state = deviation * float(first[0])
    before = []
    for begin, end in pairwise(bounds):
        before.append(state)
        state = add_ar1(key, begin, memory, deviation, state, np.zeros(end - begin))
    return Process(key, memory, deviation, tuple(before))


class FactoryWeather(NamedTuple):
    """What is needed to compute a factory's ambient temperature and demand in any period."""

    wave: Wave
    weather: Process
    demand: Process
    demand_wave: Wave


def factory_weather(factory: Factory, keys: np.ndarray, slot_h: float, bounds: list[int]) -> FactoryWeather:
    """Prepare the weather and demand of ``factory``; ``keys`` (N_STREAMS,) uint64 are its streams."""
    c, d = factory.climate, factory.demand
    keep = 1.0 - c.indoor_damping_frac
    return FactoryWeather(
        climate_wave(c, factory.latitude_deg),
        scan_process(keys[WEATHER], c.variation_k * keep, c.variation_hours, slot_h, bounds),
        scan_process(keys[DEMAND], d.variation_frac, d.variation_hours, slot_h, bounds),
        Wave(1.0, d.annual_amplitude_frac, d.peak_day * 24.0, 0.0, 0.0),
    )


def ambient(weather: FactoryWeather, period: int, first_slot: int, start_h: float, slot_h: float, n: int) -> np.ndarray:
    """Ambient temperature (degC) of ``n`` slots of a period, (n,) float64, kept within -60 to 60.

    ``start_h`` is the hour of the year of slot 0.
    """
    out = np.empty(n)
    fill_wave(start_h, slot_h, first_slot, np.array(weather.wave), out)
    p = weather.weather
    add_ar1(p.key, first_slot, p.memory, p.deviation, p.before[period], out)
    return np.clip(out, -60.0, 60.0)


def demand(weather: FactoryWeather, period: int, first_slot: int, start_h: float, slot_h: float, n: int) -> np.ndarray:
    """Demand factor (about 1, at least 0.1) of ``n`` slots of a period, (n,) float64; ``start_h`` as in ``ambient``."""
    out = np.empty(n)
    fill_wave(start_h, slot_h, first_slot, np.array(weather.demand_wave), out)
    p = weather.demand
    add_ar1(p.key, first_slot, p.memory, p.deviation, p.before[period], out)
    return np.maximum(out, 0.1)
