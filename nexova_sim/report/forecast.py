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
from nexova_sim.report.forecast_figures import CSS, Fan, draw_fan, lines_by_origin
from nexova_sim.report.words import clock, environment

_MOST_FANS, _MOST_ROWS, _MOST_MACHINES, _MOST_LINES = 8, 60, 40, 6
_FAR = 2.0
_POINT = (("mase", "MASE", 3), ("rmsse", "RMSSE", 3), ("wape", "WAPE, %", -1), ("mape_running", "MAPE, %", -1),
          ("mape_median", "its median, %", -1), ("mape_met_frac", "weeks met, %", -1),
          ("week_kwh_frac", "kWh of the week, %", -1), ("week_cost_frac", "its cost, %", -1))  # fmt: skip
_BAND = (("coverage_frac", "inside, %", -1), ("width_frac", "width, %", -1), ("msis", "MSIS", 2),
         ("pinball", "pinball", 4), ("crps", "CRPS", 3))  # fmt: skip


class Bar(NamedTuple):
    """A model's MASE as a bar: its name, the number, the width in percent of the longest, whether it is the chosen."""

    name: str
    mase: float | None
    width: float
    is_own: bool


def fans(folder: Path, most: int = _MOST_FANS) -> list[Fan]:
    """Factories first, then the machines that use the most."""
    table = pq.read_table(folder / "forecast.parquet").to_pandas()
    history = pq.read_table(folder / "history.parquet").to_pandas()
    past = {str(name): part["energy_kwh"].to_numpy() for name, part in history.groupby("series", sort=False)}
    made = []
    for name, part in table.groupby("series", sort=False):
        order = (part["level"].iloc[0] != "factory", -float(part["mean_kwh"].sum()))
        made.append((order, str(name), part))
    chosen = sorted(made, key=lambda m: m[0])[:most]
    return [
        draw_fan(name, past.get(name, np.zeros(0))[-168:], [part[c].to_numpy() for c in ("mean_kwh", "low_kwh",
                 "high_kwh")], part["timestamp"].iloc[0].value // 1_000_000) for _, name, part in chosen
    ]  # fmt: skip


def bars(judged: dict[str, Any]) -> list[Bar]:
    """Every model by its MASE, the best first; models without one last."""
    rows = [(name, row["mase"]) for name, row in judged["models"].items()]
    top = max([1e-9, *(v for _, v in rows if v is not None)])
    rows.sort(key=lambda r: (r[1] is None, r[1] or 0.0))
    return [Bar(name, v, round(100.0 * (v or 0.0) / top, 2), name == judged["model"]) for name, v in rows]


def _by_origin(judged: dict[str, Any]) -> dict[str, Any] | None:
    """Lines of MASE over the origins: the best models and the chosen one; what is far off would flatten the others."""
    known = [(b.name, b.mase) for b in bars(judged) if b.mase is not None]
    if judged["origins"] < 2 or not known:
        return None
    names = [name for name, mase in known if mase <= _FAR * known[0][1]][:_MOST_LINES]
    if judged["model"] not in names:
        names = [*names[: _MOST_LINES - 1], judged["model"]]
    rows = [(name, judged["models"][name]["mase_by_origin"]) for name in names]
    svg, top, keys = lines_by_origin(rows)
    times = judged["origin_ms"]
    return {"svg": svg, "top": top, "keys": keys, "first": clock(times[0])[:10], "last": clock(times[-1])[:10]}


def forecast_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder of the stage; DataError when damaged."""
    try:
        found = json.loads((folder / "predict" / "predict.json").read_text(encoding="utf-8"))
        path = folder / "backtest" / "backtest.json"
        judged: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        page: dict[str, Any] = {"found": found, "fans": fans(folder / "predict"), "judged": judged,
                                "start": clock(found["origin_ms"]), "point": _POINT, "band": _BAND,
                                "odd": [r for r in found["series"] if r["why"]][:_MOST_ROWS]}  # fmt: skip
        if judged is not None:
            machines = sorted(judged["machines"], key=lambda m: (m["mape_running"] is None, m["mape_running"] or 0.0))
            page |= {"bars": bars(judged), "lines": _by_origin(judged), "machines": machines[:_MOST_MACHINES],
                     "n_machines": len(machines)}  # fmt: skip
        html = environment().get_template("forecast.html.j2").render(**page)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the forecast is damaged ({error}); run the stage 'forecast' again") from error
    return Markup(html), CSS
