"""The results of a sweep over its replicates: mean, standard deviation and 95 % interval of every metric per point."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from nexova_sim.config.sweep import Effect, SweepConfig
from nexova_sim.report.panels import Line, Panel

COLUMNS = ("point", "replicate", "seed", "trial", "status", "error", "cpu_s", "wall_s")
_MOST_PANELS = 6


def interval(values: np.ndarray) -> tuple[float, float, float, int]:
    """Mean, ends of the 95 % t-interval of the mean, and how many values were finite; NaN ends for fewer than two."""
    from scipy import stats

    kept = values[np.isfinite(values)]
    n = kept.size
    if n == 0:
        return np.nan, np.nan, np.nan, 0
    mean = float(kept.mean())
    if n == 1:
        return mean, np.nan, np.nan, 1
    half = float(stats.t.ppf(0.975, n - 1) * kept.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half, n


def metric_names(table: pa.Table, keys: list[str]) -> list[str]:
    """The numeric columns that are metrics."""
    return [
        f.name
        for f in table.schema
        if f.name not in COLUMNS
        and f.name not in keys
        and (pa.types.is_integer(f.type) or pa.types.is_floating(f.type))
    ]


def summarise(table: pa.Table, keys: list[str]) -> pd.DataFrame:
    """A row per point and metric: the keys, metric, n, mean, sd, low_95, high_95."""
    frame = table.to_pandas()
    rows = []
    for _, group in frame.groupby("point", sort=True):
        first = group.iloc[0]
        for name in metric_names(table, keys):
            values = group[name].to_numpy(float)
            mean, low, high, n = interval(values)
            sd = float(np.nanstd(values, ddof=1)) if n > 1 else np.nan
            rows.append({**{k: first[k] for k in keys}, "metric": name, "n": n, "mean": mean, "sd": sd, "low_95": low,
                         "high_95": high})  # fmt: skip
    return pd.DataFrame(rows, columns=[*keys, "metric", "n", "mean", "sd", "low_95", "high_95"])


def effect_panels(table: pa.Table, config: SweepConfig) -> tuple[Panel, ...]:
    """What to draw: the configured effects, else the first metrics that vary against the first axis."""
    keys = config.set_keys()
    if not keys:
        return ()
    metrics = metric_names(table, keys)
    chosen = [e for e in config.effects if e.metric in metrics]
    if not config.effects:
        frame = table.to_pandas()
        varied = [m for m in metrics if frame[m].nunique() > 1]
        by = next((k for k in keys[1:] if 1 < frame[k].nunique() <= 8), None)
        chosen = [Effect(metric=m, x=keys[0], by=by) for m in varied[:_MOST_PANELS]]
    return tuple(_panel(table.to_pandas(), effect, config) for effect in chosen)


def _panel(frame: pd.DataFrame, effect: Effect, config: SweepConfig) -> Panel:
    span = next((a.range or a.random for a in config.axes if a.key == effect.x), None)
    groups = [("", frame)] if effect.by is None else [(str(v), g) for v, g in frame.groupby(effect.by, sort=True)]
    lines = []
    for label, group in groups:
        points = [(x, interval(part[effect.metric].to_numpy(float))) for x, part in group.groupby(effect.x, sort=True)]
        numeric = pd.api.types.is_numeric_dtype(frame[effect.x]) and not pd.api.types.is_bool_dtype(frame[effect.x])
        x = [float(str(v)) for v, _ in points] if numeric else [str(v) for v, _ in points]
        mean, low, high = (np.array([p[i] for _, p in points]) for i in range(3))
        lines.append(Line(label, x, mean, low, high))
    return Panel(effect.metric, effect.x, effect.by, tuple(lines), span is not None and span.scale == "log")
