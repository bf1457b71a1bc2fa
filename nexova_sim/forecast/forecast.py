"""A forecast of a whole fleet at one origin: groups that share their hours, fallbacks series by series, planned stops.

Only hours before the origin reach a model. A series that a model cannot handle gets a stated fallback or is left out
with the reason, while the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import NexovaError
from nexova_sim.forecast.forecasters import FALLBACK, MODELS, TWO_SEASONS_H, Options, find_model
from nexova_sim.forecast.hours import HOUR_MS, Series
from nexova_sim.forecast.naive import hour_of_day
from nexova_sim.forecast.panel import HORIZON_H, Forecast, Panel, make_calendar

_LEAST_H = 24
_RECENT_H, _LEAST_RECENT_H = 672, 168
_OFF_SHARE = 0.05


class FleetForecast(NamedTuple):
    """Forecast of n series from ``origin_ms`` (UTC) on: ``mean``, ``low``, ``high`` (n, 168) kWh, NaN when left out.

    ``made_by`` names the model behind each series ("" = none); ``why`` says why it is not the one asked for, or "".
    """

    origin_ms: int
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    made_by: tuple[str, ...]
    why: tuple[str, ...]


def forecast_at(series: Series, origin: int, model: str, train_h: int, options: Options) -> FleetForecast:
    """Forecast every series from hour number ``origin`` of the grid on, from at most ``train_h`` hours before it."""
    begin = max(0, origin - train_h)
    window = np.where(series.stops[:, begin:origin], np.nan, series.energy_kwh[:, begin:origin])
    n = len(series.ids)
    out = Forecast(*(np.full((n, HORIZON_H), np.nan) for _ in range(3)))
    made_by, why, starts = _choose(window, model)
    for start, name, rows in _groups(series, starts, made_by):
        panel_start = series.start_ms + (begin + start) * HOUR_MS
        calendar = make_calendar(series.zones[rows[0]], panel_start, origin - begin - start, series.holidays[rows[0]])
        panel = Panel(tuple(series.ids[i] for i in rows), window[rows, start:], calendar)
        found, used, reason = _run(panel, name, options)
        if used != name:
            for i in rows:
                made_by[i], why[i] = used, reason
        for target, values in zip(out, found, strict=True):
            target[rows] = values
    _apply_stops(series, begin, origin, out)
    return FleetForecast(series.start_ms + origin * HOUR_MS, *out, tuple(made_by), tuple(why))


def _choose(window: np.ndarray, model: str) -> tuple[list[str], list[str], np.ndarray]:
    """By series: the model to use, why not the one asked for, and where its history starts in the window (n,)."""
    least_h = find_model(model).least_h
    there = np.isfinite(window)
    count = there.sum(axis=1)
    first = np.where(count > 0, there.argmax(axis=1), window.shape[1])
    recent = there[:, -_RECENT_H:].sum(axis=1)
    # A start on a multiple of a day keeps groups few; the hours before the first one are dropped, not filled.
    length = window.shape[1] - first
    made_by, why = [], []
    for i in range(len(window)):
        name, reason = model, ""
        if count[i] == 0:
            name, reason = "", "no valid hour in the training window"
        elif count[i] < _LEAST_H:
            name, reason = "", f"only {count[i]} valid hours, at least {_LEAST_H} are needed"
        elif count[i] < TWO_SEASONS_H or length[i] < TWO_SEASONS_H:
            name, reason = "hour_of_day", f"{count[i]} valid hours are shorter than two weeks"
        elif recent[i] < _LEAST_RECENT_H:
            name, reason = "hour_of_day", f"only {recent[i]} valid hours in the last four weeks"
        elif length[i] < least_h:
            name, reason = FALLBACK, f"{length[i]} hours of history, {model} needs {least_h}"
        made_by.append(name)
        why.append(reason)
    return made_by, why, first


def _groups(series: Series, starts: np.ndarray, made_by: Sequence[str]) -> list[tuple[int, str, list[int]]]:
    """Rows that share model, first hour, zone and holidays: they share a calendar and one call of the model."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, name in enumerate(made_by):
        if name:
            groups.setdefault((int(starts[i]), name, series.zones[i], series.holidays[i]), []).append(i)
    return [(int(str(key[0])), str(key[1]), rows) for key, rows in groups.items()]


def _run(panel: Panel, name: str, options: Options) -> tuple[Forecast, str, str]:
    """The forecast of a group, which model made it, and why it is not the one asked for."""
    if name == "hour_of_day":
        return _bounded(panel, hour_of_day(panel)), name, ""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    row = MODELS[name]
    try:
        # Threads of the linear algebra sum in another order, so that the last digits would depend on the machine.
        with threadpool_limits(1):
            found = row.run(panel, options)
    except (np.linalg.LinAlgError, ArithmeticError, ValueError, RuntimeError) as error:
        if isinstance(error, NexovaError):
            raise
        found = MODELS[FALLBACK].run(panel, options)
        return _bounded(panel, found), FALLBACK, f"{name} failed: {type(error).__name__}"
    return (found if row.is_reference else _bounded(panel, found)), name, ""


def _bounded(panel: Panel, found: Forecast) -> Forecast:
    """No negative energy where there never was any; zero where the last four same hours of the week were all zero."""
    y = panel.energy_kwh
    n_hours = y.shape[1]
    floor = np.where(np.nanmin(y, axis=1) >= 0.0, 0.0, -np.inf)[:, None]
    back = panel.calendar.back[n_hours:]
    is_zero = (y[:, back] == 0.0).all(axis=2)
    mean = np.where(is_zero, 0.0, np.maximum(found.mean, floor))
    return Forecast(mean, np.minimum(np.maximum(found.low, floor), mean), np.maximum(found.high, mean))


def _apply_stops(series: Series, begin: int, origin: int, out: Forecast) -> None:
    """Hours of planned stops take the level met in former planned stops, else the lowest twentieth of the history."""
    ahead = series.stops[:, origin : origin + HORIZON_H]
    for i in np.flatnonzero(ahead.any(axis=1)):
        past = series.energy_kwh[i, begin:origin]
        known = past[np.isfinite(past)]
        if len(known) == 0:
            continue
        stopped = past[series.stops[i, begin:origin] & np.isfinite(past)]
        if len(stopped) < 3:
            stopped = known[known <= np.quantile(known, _OFF_SHARE)]
        hours = ahead[i]
        out.mean[i, hours] = np.median(stopped)
        out.low[i, hours], out.high[i, hours] = stopped.min(), stopped.max()
