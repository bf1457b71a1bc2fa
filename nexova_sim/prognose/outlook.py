"""The future that a machine's past suggests: the load of its week, how it varies, the ambient; all from the past."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.filter_moves import I_AMBIENT
from nexova_sim.kernels.particles import HOURS_PER_WEEK
from nexova_sim.prognose.hours import HOUR_MS, Hours

_MONDAY_MS = 4 * 24 * HOUR_MS  # 1970-01-01 was a Thursday
_LEAST_RUN = 0.5
_AMBIENT_H = 72


class Outlook(NamedTuple):
    """What is expected of a machine.

    ``week_load`` and ``ambient_c`` (168,) by UTC hour of the week from Monday 0:00; ``start_hour`` of the week;
    ``variation`` and hourly ``memory`` of the factor on the load.
    """

    week_load: np.ndarray
    ambient_c: np.ndarray
    start_hour: int
    variation: float
    memory: float


def hour_of_week(time_ms: int) -> int:
    """UTC hour of the week, 0 = Monday 0:00, of a time in milliseconds since 1970."""
    return int((time_ms - _MONDAY_MS) // HOUR_MS % HOURS_PER_WEEK)


def look_ahead(hours: Hours, machine: int, at_hour: int, usual_load: float) -> Outlook:
    """The outlook of machine number ``machine`` at the beginning of hour ``at_hour``, from the hours before it.

    An hour of the week takes the mean load of that hour in earlier weeks, else of that hour of the day, else the mean
    of all; it counts as off when the machine ran in less than half of them. Without a past: ``usual_load`` throughout.
    """
    week = (hour_of_week(hours.start_ms) + np.arange(at_hour)) % HOURS_PER_WEEK
    run, load = hours.run[machine, :at_hour], hours.load[machine, :at_hour]
    start = hour_of_week(hours.start_ms + at_hour * HOUR_MS)
    ambient = _ambient(hours.given[machine, :, I_AMBIENT], at_hour, start)
    known = np.isfinite(load) & (run > 0.0)
    if not known.any():
        return Outlook(np.full(HOURS_PER_WEEK, usual_load), ambient, start, 0.0, 0.0)
    share = _by_week(week, run, np.isfinite(run))
    planned = np.where(share >= _LEAST_RUN, _by_week(week, load, known), 0.0)
    steady = known & (run > 0.999) & (planned[week] > 0.0)
    factor = np.full(at_hour, np.nan)
    factor[steady] = load[steady] / planned[week[steady]] - 1.0
    variation, memory = _variation(factor)
    return Outlook(planned, ambient, start, variation, memory)


def _by_week(week: np.ndarray, values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Means by hour of the week; gaps take the mean of that hour of the day, then of all."""
    filled = np.where(known, values, 0.0)
    out = np.full(HOURS_PER_WEEK, filled.sum() / max(1, known.sum()))
    for period in (24, HOURS_PER_WEEK):
        total = np.bincount(week % period, filled, minlength=period)
        count = np.bincount(week % period, known, minlength=period)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)[np.arange(HOURS_PER_WEEK) % period]
        out = np.where(np.isfinite(mean), mean, out)
    return out


def _variation(factor: np.ndarray) -> tuple[float, float]:
    """Standard deviation and lag-one correlation (0 to 0.99) of a series with gaps (NaN)."""
    known = np.isfinite(factor)
    if known.sum() < 3:
        return 0.0, 0.0
    centred = factor - factor[known].mean()
    variance = float(np.mean(centred[known] ** 2))
    pairs = known[1:] & known[:-1]
    if variance <= 0.0 or not pairs.any():
        return 0.0, 0.0
    memory = float(np.mean(centred[1:][pairs] * centred[:-1][pairs])) / variance
    return min(0.5, variance**0.5), min(0.99, max(0.0, memory))


def _ambient(line: np.ndarray, at_hour: int, start: int) -> np.ndarray:
    """Mean ambient by hour of the day over the last three days before ``at_hour``, laid out over the week."""
    first = max(0, at_hour - _AMBIENT_H)
    past = line[first:at_hour] if at_hour else line[:1]
    day = (start - len(past) + np.arange(len(past))) % 24
    out = np.full(24, past.mean())
    count = np.bincount(day, minlength=24)
    out[count > 0] = (np.bincount(day, past, minlength=24) / np.maximum(count, 1))[count > 0]
    return np.tile(out, HOURS_PER_WEEK // 24)
