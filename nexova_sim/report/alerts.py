"""The alerts chapter of the report: load of the operators against published targets, timeline, what is unresolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.latest import SHOWN, latest_rows
from nexova_sim.report.words import clock, environment, number, percent

_MOST_OPEN = 60
_COLUMNS = ("rule", "severity_max", "acknowledged", "resolved", "resolved_by", "value", "limit", "unit", "muted_by")
_KPIS = (
    ("average_per_h", "Average per hour"), ("peak_10_min", "Most in 10 minutes"),
    ("slots_above_10_frac", "10-minute slots above 10, %"), ("hours_above_30_frac", "Hours above 30, %"),
    ("flood_frac", "Time in flood, %"), ("chattering", "Chattering tags"),
    ("stale_per_day", "Stale over 24 h, worst day"), ("top_10_frac", "Ten worst tags, % of all"),
    ("priority_frac", "Low / medium / high, %"),
)  # fmt: skip
_CSS = (
    ".al-line{display:block;width:100%;height:64px;background:var(--tint);border-radius:6px}"
    ".al-head{display:flex;flex-wrap:wrap;"
    "justify-content:space-between;gap:2px 14px;font-size:13.5px;margin:10px 0 4px}"
    ".al-src{min-width:15em;color:var(--muted)}.al-miss{color:var(--bad);font-weight:600}.al-met{color:var(--good)}"
)


class Line(NamedTuple):
    """The timeline of one operator: bars in a box of 1000 x 100, and the height of the target line."""

    operator: str
    bars: tuple[tuple[float, float, float], ...]
    target_y: float
    peak: int


def _lines(kpi: Mapping[str, Any]) -> list[Line]:
    timeline, target = kpi["timeline"], kpi["targets"]["peak_10_min"]["target"]
    lines = []
    for name, peaks in zip(timeline["operators"], timeline["peak_10_min"], strict=True):
        top = max([*peaks, target]) * 1.1
        width = 1000.0 / max(1, len(peaks))
        bars = tuple((round(k * width, 2), round(max(0.6, width * 0.86), 2), round(100.0 * v / top, 2))
                     for k, v in enumerate(peaks) if v)  # fmt: skip
        lines.append(Line(name, bars, round(100.0 - 100.0 * target / top, 2), max(peaks, default=0)))
    return lines


def figure_text(name: str, value: Any) -> str:  # noqa: ANN401
    """A KPI as the page writes it."""
    if isinstance(value, list):
        return " / ".join(percent(v) for v in value)
    if name.endswith("_frac"):
        return percent(value, 1)
    return number(value, 0 if isinstance(value, int) else 2)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _open(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The gravest, then oldest unresolved alerts, and how many there are."""
    rows: list[dict[str, Any]] = []
    n = 0
    with pq.ParquetFile(path) as source:
        for batch in source.iter_batches(columns=["machine_id", "rule", "severity_max", "raised", "acknowledged",
                                                  "resolved", "value", "limit", "unit", "muted_by"]):  # fmt: skip
            left = batch.filter(batch.column("resolved").is_null())
            n += left.num_rows
            rows += left.to_pylist()
    rows.sort(key=lambda r: (-("INFO", "WARNING", "CRITICAL").index(r["severity_max"]), r["raised"], r["machine_id"]))
    shown = [{**r, "raised": clock(_ms(r["raised"])), "acknowledged": clock(_ms(r["acknowledged"]))} for r in rows]
    return shown[:_MOST_OPEN], n


def alerts_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder that an alert run left; DataError when damaged."""
    try:
        kpi = json.loads((folder / "kpi.json").read_text(encoding="utf-8"))
        rows, n_open = _open(folder / "alerts.parquet")
        recent = latest_rows(folder / "alerts.parquet", "raised", _COLUMNS)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the alert run is damaged ({error}); run the stage 'alerts' again") from error
    table = [
        (title, figure_text(name, kpi["targets"][name]["target"]), kpi["targets"][name]["source"],
         [(figure_text(name, o["kpi"][name]), o["is_met"][name]) for o in kpi["operators"]])
        for name, title in _KPIS
    ]  # fmt: skip
    html = (
        environment()
        .get_template("alerts.html.j2")
        .render(kpi=kpi, table=table, lines=_lines(kpi), rows=rows, n_open=n_open, recent=recent, shown=SHOWN)
    )
    return Markup(html), _CSS
