"""What machines usually do at each hour of the week, and what tomorrow is: its hours, weather, forecast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import DataError
from nexova_sim.dataset.grid import TimeGrid
from nexova_sim.dataset.read import Dataset, parse_time
from nexova_sim.dataset.rows import scan_rows

HOURS, FIRST_HOUR = 24, 6
HOUR_MS = 3_600_000
_WEATHER_DAYS = 7
_LATE_H = 6
_WEEK_H, _LEAST_WEEKS = 168, 2
_STATUS_WORDS = ("running", "standing", "maintenance")


class Tomorrow(NamedTuple):
    """The day from the first local 06:00 after the data: its beginning, and hour of the week of its 24 hours."""

    start_ms: int
    timezone: str
    week_hours: np.ndarray


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a factory; DataError when there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DataError(f"factories: unknown time zone {name!r}; write the dataset again") from error


def _week_hour(ms: float, zone: ZoneInfo) -> int:
    moment = datetime.fromtimestamp(ms / 1000.0, UTC).astimezone(zone)
    return 24 * moment.weekday() + moment.hour


def tomorrow_of(dataset: Dataset, timezone: str) -> Tomorrow:
    """The scheduling day after ``dataset`` in ``timezone``."""
    zone = zone_of(timezone)
    end_ms = parse_time(dataset.manifest.end, "end")
    end = datetime.fromtimestamp(end_ms / 1000.0, UTC).astimezone(zone)
    start = end.replace(hour=FIRST_HOUR, minute=0, second=0, microsecond=0)
    if start < end:
        start = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    start_ms = int(start.timestamp()) * 1000
    hours = np.array([_week_hour(start_ms + HOUR_MS * h, zone) for h in range(HOURS)])
    return Tomorrow(start_ms, timezone, hours)


def week_hours(grid: TimeGrid, timezone: str) -> np.ndarray:
    """Local hour of the week, 0 Monday midnight, of every bin of an hourly grid, (b,)."""
    zone = zone_of(timezone)
    return np.array([_week_hour(grid.start_ms + grid.step_ms * b, zone) for b in range(grid.energy_kwh.shape[1])])


def usual(values: np.ndarray, week_hour: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean of hourly ``values`` (m, b) at the hours of the week ``wanted`` (h,): (m, h).

    Where that hour of the week was never seen, the hour of the day stands in, then the mean; NaN without any value.
    """
    seen = np.isfinite(values)
    filled = np.where(seen, values, 0.0)
    total, count = filled.sum(axis=1), seen.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        out = np.repeat((total / count)[:, None], len(wanted), axis=1)
        for h, hour in enumerate(wanted.tolist()):
            for which in (week_hour % 24 == hour % 24, week_hour == hour):
                n = seen[:, which].sum(axis=1)
                out[:, h] = np.where(n > 0, filled[:, which].sum(axis=1) / n, out[:, h])
    return out


def wandering_kw(power_kw: np.ndarray, week_hour: np.ndarray) -> float | None:
    """Standard deviation of the sum of hourly powers (m, b) around its hour-of-week mean; None below two weeks.

    The mean is taken from the same n weeks, so the variance is enlarged by n / (n - 1).
    """
    n_weeks = power_kw.shape[1] / _WEEK_H
    if n_weeks < _LEAST_WEEKS:
        return None
    total = np.nansum(power_kw, axis=0)
    means = usual(total[None], week_hour, np.arange(_WEEK_H))[0]
    return float(np.std(total - means[week_hour]) * np.sqrt(n_weeks / (n_weeks - 1.0)))


def last_statuses(dataset: Dataset) -> dict[str, str]:
    """Status of each machine in its last reading of the last hours of the data: running, standing or maintenance."""
    since = parse_time(dataset.manifest.end, "end") - _LATE_H * HOUR_MS
    ids = dataset.machine_ids()
    found = {}
    for rows in scan_rows(dataset, ("power_kw",), start=datetime.fromtimestamp(since / 1000.0, UTC)):
        last = np.r_[rows.machine[1:] != rows.machine[:-1], True] if len(rows.machine) else np.zeros(0, bool)
        for j, status in zip(rows.machine[last].tolist(), rows.status[last].tolist(), strict=True):
            found[ids[j]] = _STATUS_WORDS[status]
    return found


def expected_ambient_c(dataset: Dataset, factory: str, day: Tomorrow) -> np.ndarray | None:
    """Ambient temperature of the day's hours as in the last week of weather at that hour, (24,); None without any."""
    if "weather" not in dataset.tables():
        return None
    table = dataset.read("weather")
    mine = np.array([name == factory for name in table.column("factory_id").to_pylist()], bool)
    at = table.column("timestamp").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
    ambient = table.column("ambient_c").to_numpy(zero_copy_only=False).astype(float)
    mine &= np.isfinite(ambient) & (at >= parse_time(dataset.manifest.end, "end") - _WEATHER_DAYS * HOURS * HOUR_MS)
    if not mine.any():
        return None
    zone = zone_of(day.timezone)
    hours = np.array([_week_hour(ms, zone) for ms in at[mine].tolist()])
    expected: np.ndarray = usual(ambient[mine][None], hours, day.week_hours)[0]
    return expected


def read_forecast(folder: Path, day: Tomorrow) -> dict[str, np.ndarray]:
    """Forecast energy by series for the hours of the day, (24,) kWh each; series that do not cover it are left out.

    Raises DataError when the folder holds no forecast, or none of the day.
    """
    places = (folder / "forecast.parquet", folder / "predict" / "forecast.parquet")
    path = next((p for p in places if p.is_file()), places[0])
    try:
        table = pq.read_table(path, columns=["series", "timestamp", "mean_kwh"])
        at = table.column("timestamp").cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
        mean = table.column("mean_kwh").to_numpy(zero_copy_only=False).astype(float)
        names = table.column("series").to_pylist()
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise DataError(f"{path}: is no forecast ({error}); 'nexova forecast predict' writes one") from error
    hour = (at - day.start_ms) // HOUR_MS
    found: dict[str, np.ndarray] = {}
    for name, h, kwh in zip(names, hour.tolist(), mean.tolist(), strict=True):
        if 0 <= h < HOURS:
            found.setdefault(name, np.full(HOURS, np.nan))[h] = kwh
    whole = {name: np.maximum(kwh, 0.0) for name, kwh in found.items() if np.isfinite(kwh).all()}
    if not whole:
        raise DataError(f"{path}: does not cover the day to plan; forecast the dataset that is planned")
    return whole
