"""A finished forecast as arrays, for whoever plans with it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import DataError

FORECAST_NAME = "forecast.parquet"
_COLUMNS = ("mean_kwh", "low_kwh", "high_kwh")


class Week(NamedTuple):
    """n series from ``start_ms`` (UTC) on, hour by hour: ``mean``, ``low``, ``high`` (n, h) kWh.

    ``levels`` says machine or factory; the energy of an hour in kWh is its mean power in kW.
    """

    start_ms: int
    ids: tuple[str, ...]
    levels: tuple[str, ...]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def read_forecast(folder: str | Path) -> Week:
    """The forecast that ``nexova forecast predict`` or the stage left in ``folder``; DataError when there is none."""
    base = Path(folder)
    path = next((p for p in (base / FORECAST_NAME, base / "predict" / FORECAST_NAME) if p.is_file()), None)
    if path is None:
        raise DataError(f"{base}: holds no {FORECAST_NAME}; 'nexova forecast predict' writes one")
    try:
        table = pq.read_table(path, columns=["series", "level", "timestamp", *_COLUMNS])
        names = table["series"].to_pylist()
        ids = tuple(dict.fromkeys(names))
        h = len(names) // max(1, len(ids))
        arrays = [table[c].to_numpy().reshape(len(ids), h) for c in _COLUMNS]
        time_ms = table["timestamp"].cast("int64").to_numpy()
        levels = tuple(table["level"].to_pylist()[::h]) if h else ()
    except (OSError, pa.ArrowException, ValueError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error}); make it anew with 'nexova forecast predict'") from error
    if not len(time_ms):
        raise DataError(f"{path}: no series could be forecast; see predict.json beside it for the reasons")
    return Week(int(time_ms[0]), ids, levels, *arrays)


def expected_kw(week: Week, ids: tuple[str, ...]) -> np.ndarray:
    """Mean power (h,) in kW of the named series together; DataError naming those that are not there."""
    place = {name: i for i, name in enumerate(week.ids)}
    missing = [name for name in ids if name not in place]
    if missing:
        raise DataError(f"the forecast has no series {missing[0]!r}; it has {len(place)}, among them {week.ids[0]!r}")
    total: np.ndarray = week.mean[[place[name] for name in ids]].sum(axis=0)
    return total
