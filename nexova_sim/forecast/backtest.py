"""Rolling origins: every model forecasts from the same moments, knowing only what was before, and is judged after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.forecast import ForecastConfig, Tariff
from nexova_sim.forecast.forecast import forecast_at
from nexova_sim.forecast.forecasters import Options
from nexova_sim.forecast.hours import HOUR_MS, Series
from nexova_sim.forecast.metrics import METRICS, judge, paired, scales_of
from nexova_sim.forecast.panel import HORIZON_H, Forecast, wall_clock

ORACLE = "oracle_floor"
_MEAN_ONLY = ("mase", "rmsse", "wape", "mape_running", "week_kwh_frac", "week_cost_frac")
NAIVES, LEAST_ORIGINS, LEAST_TRAIN_H = ("seasonal_naive_24", "seasonal_naive_168"), 12, 336
Progress = Callable[[int, int], None]


class Backtest(NamedTuple):
    """Results of models at o origins on n series: ``values`` model -> metric -> (o, n); ``fallback_frac`` by model.

    Of the hours judged, ``n_hours`` were measured and ``n_running`` of these count for percentage errors.
    """

    models: tuple[str, ...]
    origins: tuple[int, ...]
    values: dict[str, dict[str, np.ndarray]]
    fallback_frac: dict[str, float]
    n_hours: int
    n_running: int


def origins_of(n_hours: int, config: ForecastConfig) -> tuple[int, ...]:
    """Hours at which forecasts begin, rising: the last one a week before the end, two weeks of history before each.

    DataError when there is not even one.
    """
    wanted = [n_hours - HORIZON_H - k * config.backtest.step_h for k in range(config.backtest.origins)]
    found = tuple(sorted(o for o in wanted if o >= LEAST_TRAIN_H))
    if not found:
        raise DataError(
            f"the dataset has {n_hours} hours of history; a backtest needs at least {LEAST_TRAIN_H + HORIZON_H} (two "
            "weeks to learn, one to judge): give it more days"
        )
    return found


def prices(series: Series, tariff: Tariff, origin: int) -> np.ndarray:
    """Price of each of the 168 hours after ``origin`` for every series, (n, 168) USD/kWh."""
    out = np.full((len(series.ids), HORIZON_H), tariff.price_usd_per_kwh)
    for zone in set(series.zones):
        hour = wall_clock(zone, series.start_ms + origin * HOUR_MS, HORIZON_H) // 3600 % 24
        rows = [i for i, name in enumerate(series.zones) if name == zone]
        out[np.ix_(np.array(rows), np.flatnonzero(np.isin(hour, tariff.peak_hours)))] = tariff.peak_price_usd_per_kwh
    return out


def run_backtest(series: Series, config: ForecastConfig, options: Options,
                 progress: Progress = lambda _done, _total: None, floor_kwh: np.ndarray | None = None
                 ) -> Backtest:  # fmt: skip
    """Forecast from every origin by every model of the configuration; the naive ones are always among them.

    ``floor_kwh`` (n, t), the generator's own mean, is judged like a model (``ORACLE``), without an interval.
    """
    models = tuple(dict.fromkeys([*config.backtest.models, *NAIVES]))
    origins = origins_of(series.n_hours, config)
    n = len(series.ids)
    values = {m: {k: np.full((len(origins), n), np.nan) for k in METRICS} for m in models}
    fallbacks = dict.fromkeys(models, 0)
    n_hours = n_running = 0
    for row, origin in enumerate(origins):
        begin = max(0, origin - config.train_h)
        scales = scales_of(series.energy_kwh[:, begin:origin], config.backtest.running_frac)
        actual = series.energy_kwh[:, origin : origin + HORIZON_H]
        price = prices(series, config.tariff, origin)
        n_hours += int(np.isfinite(actual).sum())
        n_running += int((np.nan_to_num(actual, nan=-np.inf) > scales.running_kwh[:, None]).sum())
        for number, model in enumerate(models):
            made = forecast_at(series, origin, model, config.train_h, options)
            fallbacks[model] += sum(name != model for name in made.made_by)
            for key, column in judge(Forecast(made.mean, made.low, made.high), actual, scales, price).items():
                values[model][key][row] = column
            progress(row * len(models) + number + 1, len(origins) * len(models))
        if floor_kwh is not None:
            mean = floor_kwh[:, origin : origin + HORIZON_H]
            found = judge(Forecast(mean, mean, mean), actual, scales, price)
            table = values.setdefault(ORACLE, {k: np.full((len(origins), n), np.nan) for k in METRICS})
            for key in _MEAN_ONLY:
                table[key][row] = found[key]
    if floor_kwh is not None:
        models, fallbacks = (*models, ORACLE), fallbacks | {ORACLE: 0}
    shares = {m: fallbacks[m] / (len(origins) * max(1, n)) for m in models}
    return Backtest(models, origins, values, shares, n_hours, n_running)


def summarise(done: Backtest, series: Series, config: ForecastConfig) -> dict[str, Any]:
    """Tables of a backtest, JSON-like: every metric of every model, differences to the chosen one, gate by machine."""
    gate = config.backtest.gate_mape_percent / 100.0
    machine = np.array([level == "machine" for level in series.levels])
    best = config.model if config.model in done.models else done.models[0]
    rows = {}
    for model in done.models:
        table = done.values[model]
        mape = table["mape_running"][:, machine]
        known = np.isfinite(mape)
        rows[model] = {
            **{key: _mean(table[key]) for key in METRICS},
            "week_kwh_median_frac": _median(table["week_kwh_frac"]),
            "mape_median": _median(mape),
            "mape_met_frac": float((mape[known] < gate).mean()) if known.any() else None,
            "fallback_frac": done.fallback_frac[model],
            "mase_by_origin": [_mean(row) for row in table["mase"]],
        }
    differences = {}
    for model in done.models:
        gap = paired(done.values[best]["mase"], done.values[model]["mase"])
        is_told = gap.n_origins >= LEAST_ORIGINS and bool(np.isfinite(gap.se))
        verdict = "same" if model == best else "not told: fewer than 12 origins" if not is_told else (
            "better" if gap.mean < -2.0 * gap.se else "worse" if gap.mean > 2.0 * gap.se else "level")  # fmt: skip
        differences[model] = {"mean": _plain(gap.mean), "se": _plain(gap.se), "verdict": verdict}
    own = done.values[best]["mape_running"]
    by_machine = [
        {"series": series.ids[i], "mape_running": _median(own[:, i]), "mase": _median(done.values[best]["mase"][:, i]),
         "is_met": None if _median(own[:, i]) is None else bool(np.nanmedian(own[:, i]) < gate)}
        for i in np.flatnonzero(machine)
    ]  # fmt: skip
    judged = [m for m in by_machine if m["is_met"] is not None]
    return {
        "model": best,
        "origins": len(done.origins),
        "series": len(series.ids),
        "origin_ms": [series.start_ms + t * HOUR_MS for t in done.origins],
        "judged_hours": done.n_hours,
        "running_hours": done.n_running,
        "running_hours_frac": done.n_running / done.n_hours if done.n_hours else None,
        "running_limit_frac": config.backtest.running_frac,
        "gate_mape_percent": config.backtest.gate_mape_percent,
        "gate_met_machines": sum(bool(m["is_met"]) for m in judged),
        "gate_judged_machines": len(judged),
        "models": rows,
        "against": differences,
        "machines": by_machine,
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
