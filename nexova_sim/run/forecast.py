"""``nexova forecast predict | backtest``: hourly energy, a week ahead, and how good that is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.forecast.backtest import Backtest, origins_of, run_backtest, summarise
from nexova_sim.forecast.forecast import FleetForecast, forecast_at
from nexova_sim.forecast.forecasters import Options, find_model
from nexova_sim.forecast.hours import HOUR_MS, Series
from nexova_sim.forecast.output import FORECAST_NAME as FORECAST
from nexova_sim.forecast.residual import Residuals, day_ahead
from nexova_sim.run.forecast_calendar import planned_series
from nexova_sim.run.forecast_fit import FITTED_NAME, MODEL_NAME, fitted_table, load_fitted, model_text, series_hash
from nexova_sim.run.forecast_floor import floor_energy
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
FORMAT = "nexova-forecast"
BACKTEST, HISTORY, RESIDUALS, READY = "backtest.parquet", "history.parquet", "residuals.parquet", "ready.ndjson"
ROOMS = ("base", "config", "kernels", "schema", "simulate", "dataset", "forecast", "run")
_HISTORY_H = 336


class ForecastResult(NamedTuple):
    """What a verb left: its folder and the content of predict.json or backtest.json."""

    folder: Path
    run_id: str
    result: dict[str, Any]
    was_there: bool


def no_progress(_done: int, _total: int) -> None:
    """Nothing to show."""


def _identity(verb: str, dataset: Dataset, config: ForecastConfig) -> tuple[str, str]:
    seen = hash_value(dataset.manifest.model_dump(mode="json"))
    return hash_value([verb, config.model_dump(mode="json"), seen]), code_hash(*ROOMS)


def _options(config: ForecastConfig, jobs: int | None) -> Options:
    return Options(config.prophet, config.seed, jobs)


def fit(source: str | Path, config: ForecastConfig, out: Path | None = None, overwrite: bool = False,
        jobs: int | None = None) -> ForecastResult:  # fmt: skip
    """Fit the forecaster of a configuration to a dataset; ``predict`` takes the folder as its ``model``.

    Raises DataError when no hour is there.
    """
    dataset = open_dataset(source)
    find_model(config.model)
    hashes = _identity("fit", dataset, config)
    folder, ident = _place("fit", dataset, hashes, out), run_id(*hashes)
    if not overwrite and is_same(folder, *hashes):
        return ForecastResult(folder, ident, read_result(folder, "fit"), True)
    series = planned_series(dataset, config)
    made = forecast_at(series, series.n_hours, config.model, config.train_h, _options(config, jobs))
    result = _told(series, made, config) | {"data_hash": series_hash(series)}
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        _write_table(stage, FITTED_NAME, fitted_table(series, made))
        write_durably(stage.folder / MODEL_NAME, model_text(series, made, config).encode())
        _finish(stage, "fit", config, result, hashes, (FITTED_NAME, MODEL_NAME))
    return ForecastResult(folder, ident, result, False)


def predict(source: str | Path, config: ForecastConfig, out: Path | None = None, overwrite: bool = False,
            jobs: int | None = None, model: Path | None = None) -> ForecastResult:  # fmt: skip
    """Forecast every series of a dataset from its end on; forecast.parquet has one row per series and hour.

    With the folder of a fitted ``model`` its configuration is used, and its fit when the data are still those it was
    fitted to; else it is fitted anew. Beside the forecast stand the residuals of the last days' day-ahead forecasts and
    a ``forecast_ready`` event per machine for ``nexova events replay``. A series that cannot be forecast is left out
    and named with the reason. Raises DataError when no hour is there.
    """
    dataset = open_dataset(source)
    fitted = None if model is None else load_fitted(model)
    config = config if fitted is None else fitted.config
    find_model(config.model)
    hashes = _identity("predict" if fitted is None else f"predict {fitted.data_hash}", dataset, config)
    folder, ident = _place("predict", dataset, hashes, out), run_id(*hashes)
    if not overwrite and is_same(folder, *hashes):
        return ForecastResult(folder, ident, read_result(folder, "predict"), True)
    series = planned_series(dataset, config)
    options = _options(config, jobs)
    is_same_data = fitted is not None and fitted.data_hash == series_hash(series)
    made = (fitted.forecast if fitted is not None and is_same_data else
            forecast_at(series, series.n_hours, config.model, config.train_h, options))  # fmt: skip
    gone = day_ahead(series, config.model, config.train_h, options, config.residual_days)
    result = _told(series, made, config) | {
        "fit": "new" if fitted is None else "kept" if is_same_data else "again: the data have changed",
        "residual_hours": gone.z.shape[1],
        "residual_model": gone.model,
    }
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        _write_table(stage, FORECAST, _rows(series, made, config))
        _write_table(stage, HISTORY, _history(series))
        _write_table(stage, RESIDUALS, _gone(series, gone))
        write_durably(stage.folder / READY, ready_events(series, made, config).encode())
        _finish(stage, "predict", config, result, hashes, (FORECAST, HISTORY, RESIDUALS, READY))
    return ForecastResult(folder, ident, result, False)


def backtest(source: str | Path, config: ForecastConfig, out: Path | None = None, overwrite: bool = False,
             jobs: int | None = None, progress: Progress = no_progress) -> ForecastResult:  # fmt: skip
    """Judge the models of the configuration at rolling origins; nothing from after an origin is used.

    Raises DataError when the dataset is shorter than three weeks.
    """
    dataset = open_dataset(source)
    hashes = _identity("backtest", dataset, config)
    folder, ident = _place("backtest", dataset, hashes, out), run_id(*hashes)
    if not overwrite and is_same(folder, *hashes):
        return ForecastResult(folder, ident, read_result(folder, "backtest"), True)
    series = planned_series(dataset, config)
    floor = floor_energy(dataset, series, config.backtest.floor_replicas)
    done = run_backtest(series, config, _options(config, jobs), progress, floor)
    result = summarise(done, series, config)
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        _write_table(stage, BACKTEST, _judged(series, done))
        _finish(stage, "backtest", config, result, hashes, (BACKTEST,))
    return ForecastResult(folder, ident, result, False)


def outline(source: str | Path, config: ForecastConfig, is_backtest: bool) -> dict[str, Any]:
    """What a verb would do, without doing it."""
    dataset = open_dataset(source)
    series = planned_series(dataset, config)
    plan: dict[str, Any] = {"model": config.model, "series": len(series.ids), "hours": series.n_hours}
    return plan | ({"origins": len(origins_of(series.n_hours, config)), "models": list(config.backtest.models)}
                   if is_backtest else {})  # fmt: skip


def _place(verb: str, dataset: Dataset, hashes: tuple[str, str], out: Path | None) -> Path:
    return out or Path("results") / f"forecast-{verb}" / dataset.manifest.name / run_id(*hashes)


def _told(series: Series, made: FleetForecast, config: ForecastConfig) -> dict[str, Any]:
    """The forecast in numbers: energy of the week by series, what was left out or made by a fallback."""
    rows = []
    for i, name in enumerate(series.ids):
        week = [None if not np.isfinite(v[i]).all() else round(float(v[i].sum()), 3) for v in (made.mean,)]
        rows.append({"series": name, "level": series.levels[i], "week_kwh": week[0], "model": made.made_by[i] or None,
                     "why": made.why[i] or None})  # fmt: skip
    fallbacks = sum(bool(r["model"] and r["why"]) for r in rows)
    return {"model": config.model, "origin_ms": made.origin_ms, "horizon_h": config.horizon_h, "series": rows,
            "left_out": sum(r["model"] is None for r in rows), "fallbacks": fallbacks}  # fmt: skip


def _time(ms: np.ndarray) -> pa.Array:
    return pa.array(ms, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def _rows(series: Series, made: FleetForecast, config: ForecastConfig) -> pa.Table:
    """Long table: series, level, timestamp (start of the hour, UTC), mean, low, high in kWh, model."""
    kept = [i for i, name in enumerate(made.made_by) if name]
    h = config.horizon_h
    hours = made.origin_ms + HOUR_MS * np.arange(h)
    flat = [np.asarray(v[kept, :h]).ravel() for v in (made.mean, made.low, made.high)]
    return pa.table({
        "series": pa.array(np.repeat([series.ids[i] for i in kept], h).tolist(), pa.string()),
        "level": pa.array(np.repeat([series.levels[i] for i in kept], h).tolist(), pa.string()),
        "timestamp": _time(np.tile(hours, len(kept))),
        "mean_kwh": flat[0], "low_kwh": flat[1], "high_kwh": flat[2],
        "model": pa.array(np.repeat([made.made_by[i] for i in kept], h).tolist(), pa.string()),
    })  # fmt: skip


def _history(series: Series) -> pa.Table:
    """The last two weeks of every series, for pictures."""
    n = min(_HISTORY_H, series.n_hours)
    hours = series.start_ms + HOUR_MS * np.arange(series.n_hours - n, series.n_hours)
    return pa.table({
        "series": pa.array(np.repeat(series.ids, n).tolist(), pa.string()),
        "timestamp": _time(np.tile(hours, len(series.ids))),
        "energy_kwh": series.energy_kwh[:, -n:].ravel(),
    })  # fmt: skip


def _gone(series: Series, gone: Residuals) -> pa.Table:
    """Long table: series, timestamp, energy measured, its day-ahead forecast, and z of their difference."""
    n, h = gone.z.shape
    hours = gone.start_ms + HOUR_MS * np.arange(h)
    energy = series.energy_kwh[:, series.n_hours - h :]
    return pa.table({
        "series": pa.array(np.repeat(series.ids, h).tolist(), pa.string()),
        "timestamp": _time(np.tile(hours, n)),
        "energy_kwh": energy.ravel(), "mean_kwh": gone.mean_kwh.ravel(), "z": gone.z.ravel(),
    })  # fmt: skip


def ready_events(series: Series, made: FleetForecast, config: ForecastConfig) -> str:
    """One line of JSON per machine that was forecast, in the shape ``nexova events replay --forecasts`` reads.

    The event's time is the last moment of the data: with them the forecast is there.
    """
    about = {
        "timestamp": str(np.datetime64(made.origin_ms - 1, "ms")) + "Z",
        "origin": str(np.datetime64(made.origin_ms, "ms")) + "Z",
        "stepHours": 1,
        "intervalPercent": 95,
    }
    bands = (("meanKwh", made.mean), ("lowKwh", made.low), ("highKwh", made.high))
    lines = []
    for i, name in enumerate(series.ids):
        if series.levels[i] == "machine" and made.made_by[i]:
            columns = {key: [round(float(v), 4) for v in values[i, : config.horizon_h]] for key, values in bands}
            event = {"machineId": name, **about, "model": made.made_by[i], **columns}
            lines.append(json.dumps(event, ensure_ascii=False, allow_nan=False))
    return "".join(f"{line}\n" for line in lines)


def _judged(series: Series, done: Backtest) -> pa.Table:
    """One row per model, origin and series with every metric."""
    o, n = len(done.origins), len(series.ids)
    starts = _time(np.repeat([series.start_ms + t * HOUR_MS for t in done.origins], n))
    parts = []
    for model in done.models:
        columns = {key: values.ravel() for key, values in done.values[model].items()}
        parts.append(pa.table({"model": pa.array([model] * (o * n)), "origin": starts,
                               "series": pa.array(list(series.ids) * o), **columns}))  # fmt: skip
    return pa.concat_tables(parts)


def _write_table(stage: Stage, name: str, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_durably(stage.folder / name, sink.getvalue().to_pybytes())


def _finish(stage: Stage, verb: str, config: ForecastConfig, result: dict[str, Any], hashes: tuple[str, str],
            tables: tuple[str, ...]) -> None:  # fmt: skip
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(stage.folder / f"{verb}.json", text.encode())
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_durably(stage.folder / "config.resolved.yaml", settings.encode())
    names = (*tables, f"{verb}.json", "config.resolved.yaml")
    paths = [stage.folder / name for name in names]
    files = [{"path": p.name, "bytes": p.stat().st_size, "sha256": hash_file(p)} for p in paths]
    record = {"format": FORMAT, "verb": verb, "config_hash": hashes[0], "code_hash": hashes[1], "files": files}
    write_durably(stage.folder / MANIFEST_NAME, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def read_result(folder: Path, verb: str) -> dict[str, Any]:
    """predict.json or backtest.json of a folder; DataError when it is damaged."""
    path = folder / f"{verb}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); make it anew with --overwrite") from error
    return found
