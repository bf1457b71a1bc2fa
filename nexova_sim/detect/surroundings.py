"""What the public tables say about machines: kind, name-plate power, place, local time, ambient temperature."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from nexova_sim.dataset.read import Dataset

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_DAYS = 7
CELLS = 48  # hours of a working day, then those of a weekend day, local time


class Surroundings(NamedTuple):
    """m machines: ``kind`` (m,), ``ref_kw`` (m,) float64 name-plate power, NaN when not known, ``place`` (m,) factory.

    ``zones``: IANA zone of each factory. ``ambient_c`` (factories, hours) float64 hourly means from ``start_ms`` on,
    NaN where none was measured; no hours at all when the dataset has no weather. ``expected_kw`` (m, hours) from
    ``expected_ms`` on, where a detector asks for it: power as measured in the first ``n_measured`` hours, which
    forecasts learn from, and as forecast in those after them.
    """

    machine_ids: tuple[str, ...]
    kind: tuple[str, ...]
    ref_kw: np.ndarray
    place: np.ndarray
    zones: tuple[str, ...]
    start_ms: int
    ambient_c: np.ndarray
    expected_ms: int = 0
    expected_kw: np.ndarray = np.empty((0, 0))
    n_measured: int = 0


def read_surroundings(dataset: Dataset) -> Surroundings:
    """Read the tables machines, factories and weather; what is missing stays unknown, nothing hidden is read."""
    there = dataset.tables()
    ids = dataset.machine_ids()
    machines = dataset.read("machines").to_pydict()
    factories = dataset.read("factories").to_pydict() if "factories" in there else {"factory_id": [], "timezone": []}
    names = [str(f) for f in factories["factory_id"]]
    place = {name: i for i, name in enumerate(names)}
    at = np.array([place.get(str(f), -1) for f in machines["factory_id"]], np.int64)
    ref = np.array([np.nan if v is None else float(v) for v in machines["rated_kw"]])
    start_ms, ambient = _read_weather(dataset, place) if "weather" in there and names else (0, np.empty((0, 0)))
    return Surroundings(
        ids,
        tuple(str(k) for k in machines["kind"]),
        np.where(ref > 0.0, ref, np.nan),
        at,
        tuple(str(z) for z in factories["timezone"]),
        start_ms,
        ambient,
    )


def _read_weather(dataset: Dataset, place: dict[str, int]) -> tuple[int, np.ndarray]:
    table = dataset.read("weather")
    if not table.num_rows:
        return 0, np.empty((0, 0))
    hour = table["timestamp"].cast("int64").to_numpy() // _HOUR_MS
    first, last = int(hour.min()), int(hour.max())
    ambient = np.full((len(place), last - first + 1), np.nan)
    at = np.array([place.get(str(f), -1) for f in table["factory_id"].to_pylist()])
    known = at >= 0
    ambient[at[known], hour[known] - first] = table["ambient_c"].to_numpy()[known]
    return first * _HOUR_MS, ambient


def local_cells(around: Surroundings, machine: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Cell 0..47 of each reading: its local hour, plus 24 on Saturday and Sunday; (n,) int64.

    The offset of a zone is that of noon UTC of the day, so that it depends on nothing but the timestamp.
    """
    day = time_ms // _DAY_MS
    offset = np.zeros(len(time_ms), np.int64)
    if around.zones and len(time_ms):
        days, inverse = np.unique(day, return_inverse=True)
        table = np.array([[_offset_ms(zone, int(d)) for d in days] for zone in around.zones], np.int64)
        at = around.place[machine]
        offset = np.where(at >= 0, table[np.maximum(at, 0), inverse], 0)
    hour = (time_ms + offset) // _HOUR_MS
    weekday = (hour // 24 + 3) % _DAYS  # 1 January 1970 was a Thursday
    cells: np.ndarray = hour % 24 + np.where(weekday >= 5, 24, 0)
    return cells


def _offset_ms(zone: str, day: int) -> int:
    try:
        shift = datetime.fromtimestamp(day * 86_400 + 43_200, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    except (ValueError, KeyError, OSError, OverflowError):
        return 0
    return 0 if shift is None else round(shift.total_seconds() * 1000.0)


def last_ambient(around: Surroundings, machine: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
    """Ambient mean of the last complete hour before each reading, degC, NaN where not measured; (n,) float64.

    The mean of the running hour is not known yet at the reading, so it is not used.
    """
    hours = around.ambient_c.shape[1]
    if hours == 0:
        return np.full(len(time_ms), np.nan)
    at = around.place[machine]
    number = (time_ms - around.start_ms) // _HOUR_MS - 1
    # Before the first complete hour the first one stands in.
    number = np.where(number == -1, 0, number)
    known = (at >= 0) & (number >= 0) & (number < hours)
    return np.where(known, around.ambient_c[np.maximum(at, 0), np.clip(number, 0, hours - 1)], np.nan)
