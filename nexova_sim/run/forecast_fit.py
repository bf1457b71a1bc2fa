"""``nexova forecast fit``: a fitted forecaster in a folder, used again as long as the data are the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import DataError, NexovaError
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.config.load import build
from nexova_sim.forecast.forecast import FleetForecast
from nexova_sim.forecast.hours import Series
from nexova_sim.forecast.panel import HORIZON_H
from nexova_sim.schema.manifest import MANIFEST_NAME

MODEL_NAME, FITTED_NAME = "model.json", "fitted.parquet"
MODEL_FORMAT = "nexova-forecast-model"


class FittedModel(NamedTuple):
    """A fitted forecaster: its configuration, the hash of the data it saw, and what it says from their end on."""

    config: ForecastConfig
    data_hash: str
    ids: tuple[str, ...]
    forecast: FleetForecast


def series_hash(series: Series) -> str:
    """SHA-256 over everything a forecaster sees of the data: names, hours, energy, stops, zones and holidays."""
    digest = hashlib.sha256()
    names = [series.start_ms, series.ids, series.levels, series.zones, [[str(d) for d in h] for h in series.holidays]]
    digest.update(json.dumps(names).encode())
    digest.update(np.ascontiguousarray(series.energy_kwh, "<f8").tobytes())
    digest.update(np.packbits(series.stops).tobytes())
    return digest.hexdigest()


def model_text(series: Series, made: FleetForecast, config: ForecastConfig) -> str:
    """The content of model.json."""
    about = {
        "format": MODEL_FORMAT, "model": config.model, "data_hash": series_hash(series), "origin_ms": made.origin_ms,
        "n_hours": series.n_hours, "config": config.model_dump(mode="json"),
        "series": [{"id": i, "level": level, "made_by": by, "why": why} for i, level, by, why in
                   zip(series.ids, series.levels, made.made_by, made.why, strict=True)],
    }  # fmt: skip
    return json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def fitted_table(series: Series, made: FleetForecast) -> pa.Table:
    """All 168 hours of every series, NaN where none could be made: series, hour, mean, low, high."""
    n = len(series.ids)
    return pa.table({
        "series": pa.array(np.repeat(series.ids, HORIZON_H).tolist(), pa.string()),
        "hour": np.tile(np.arange(HORIZON_H, dtype=np.int16), n),
        "mean_kwh": made.mean.ravel(), "low_kwh": made.low.ravel(), "high_kwh": made.high.ravel(),
    })  # fmt: skip


def load_fitted(folder: Path) -> FittedModel:
    """A model folder; DataError when it is none, or was changed after it was written."""
    place = folder / MODEL_NAME
    if not place.is_file():
        raise DataError(f"{folder}: is no fitted forecaster, {MODEL_NAME} is missing; run 'nexova forecast fit'")
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        for entry in manifest["files"]:
            if hash_file(folder / entry["path"]) != entry["sha256"]:
                raise DataError(f"{folder / entry['path']}: was changed after it was written; fit again")
        about: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        config = build(ForecastConfig, about["config"], str(place))
        ids = tuple(row["id"] for row in about["series"])
        table = pq.read_table(folder / FITTED_NAME)
        mean, low, high = (table[c].to_numpy().reshape(-1, HORIZON_H) for c in ("mean_kwh", "low_kwh", "high_kwh"))
        if len(mean) != len(ids):
            raise DataError(f"{folder}: {FITTED_NAME} has other series than {MODEL_NAME}; fit again")
        made = FleetForecast(int(about["origin_ms"]), mean, low, high, tuple(row["made_by"] for row in about["series"]),
                             tuple(row["why"] for row in about["series"]))  # fmt: skip
        return FittedModel(config, str(about["data_hash"]), ids, made)
    except NexovaError:
        raise
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: damaged model ({error}); run 'nexova forecast fit --overwrite'") from error
