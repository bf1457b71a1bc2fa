"""The forecast chapter: the week ahead with its interval, and how the models did at former origins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.words import clock, environment

_MOST_FANS, _MOST_ROWS = 8, 60
_CSS = (
    ".fo-fan{display:block;width:100%;height:120px;background:var(--tint);border-radius:6px}"
    ".fo-head{display:flex;flex-wrap:wrap;justify-content:space-between;gap:2px 14px;"
    "font-size:13.5px;margin:10px 0 4px}"
)


class Fan(NamedTuple):
    """A series as paths in a box of 1000 x 100: the past, the band, the mean, where now is, and the week's energy."""

    name: str
    past: str
    band: str
    mean: str
    now_x: float
    top_kwh: float
    week_kwh: float


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A polyline that is interrupted where y is NaN."""
    parts, is_down = [], False
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if np.isnan(b):
            is_down = False
            continue
        parts.append(f"{'L' if is_down else 'M'}{a:.1f},{b:.1f}")
        is_down = True
    return "".join(parts)


def fans(folder: Path, most: int = _MOST_FANS) -> list[Fan]:
    """Factories first, then the machines that use the most."""
    table = pq.read_table(folder / "forecast.parquet").to_pandas()
    history = pq.read_table(folder / "history.parquet").to_pandas()
    past = {str(name): part["energy_kwh"].to_numpy() for name, part in history.groupby("series", sort=False)}
    made = []
    for name, part in table.groupby("series", sort=False):
        before = past.get(str(name), np.zeros(0))[-168:]
        mean, low, high = (part[c].to_numpy() for c in ("mean_kwh", "low_kwh", "high_kwh"))
        n = len(before) + len(mean)
        top = float(np.nanmax(np.concatenate([before, high, [1e-9]]))) * 1.05
        x = 1000.0 * (np.arange(n) + 0.5) / max(1, n)
        ahead = x[len(before) :]
        y = [100.0 - 100.0 * v / top for v in (before, mean, low, high)]
        band = _path(np.r_[ahead, ahead[::-1]], np.r_[y[3], y[2][::-1]]) + "Z"
        fan = Fan(
            str(name), _path(x[: len(before)], y[0]), band, _path(ahead, y[1]), float(ahead[0]), top, float(mean.sum())
        )
        made.append((part["level"].iloc[0] != "factory", -fan.week_kwh, fan))
    return [fan for _, _, fan in sorted(made, key=lambda m: m[:2])[:most]]


def forecast_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder of the stage; DataError when damaged."""
    try:
        found = json.loads((folder / "predict" / "predict.json").read_text(encoding="utf-8"))
        path = folder / "backtest" / "backtest.json"
        judged: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        page = {"found": found, "fans": fans(folder / "predict"), "judged": judged, "start": clock(found["origin_ms"]),
                "odd": [r for r in found["series"] if r["why"]][:_MOST_ROWS]}  # fmt: skip
        html = environment().get_template("forecast.html.j2").render(**page)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the forecast is damaged ({error}); run the stage 'forecast' again") from error
    return Markup(html), _CSS
