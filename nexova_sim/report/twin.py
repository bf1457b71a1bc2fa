"""The twin chapter of the report: hidden wear of the worst machines over time, and where every machine stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.words import environment

_SHOWN_ROWS, _MOST_ROWS = 40, 2000
_SHOWN_PLOTS, _MOST_PLOTS = 6, 60
_POINTS = 180
_CSS = (
    ".tw-plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:14px}"
    ".tw-plots figure{margin:0;min-width:0}.tw-plots figcaption{display:flex;justify-content:space-between;gap:8px;"
    "font-size:13px;margin-bottom:4px}.tw-line{display:block;width:100%;height:96px;background:var(--tint);"
    "border-radius:6px}.tw-bar{width:120px;height:12px;display:block}"
    ".tw-axis{display:flex;justify-content:space-between;font-size:12px;color:var(--muted)}"
)


class Course(NamedTuple):
    """Wear of a machine over time in a box of 1000 x 100: the band of its interval and its mean as SVG points."""

    machine_id: str
    band: str
    mean: str
    top: float
    first_ms: int
    last_ms: int


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.2f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def course(machine_id: str, table: pa.Table) -> Course:
    """The course of one machine from its rows of the state table, thinned to what can be seen."""
    n = table.num_rows
    pick = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int))
    mean, low, high = (np.minimum(table[f"wear_{p}"].to_numpy()[pick], 1.0) for p in ("mean", "p05", "p95"))
    top = max(0.1, float(np.ceil(10.0 * high.max()) / 10.0))
    x = 1000.0 * pick / max(1, n - 1)
    upper, lower = 100.0 - 100.0 * high / top, 100.0 - 100.0 * low / top
    time = table["timestamp"].combine_chunks().cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy()
    band = _points(np.r_[x, x[::-1]], np.r_[upper, lower[::-1]])
    return Course(machine_id, band, _points(x, 100.0 - 100.0 * mean / top), top, int(time[0]), int(time[-1]))


def _row(machine: dict[str, Any]) -> dict[str, Any]:
    beliefs = {"bearing fault": machine["p_bearing_fault"], "imbalance": machine["p_imbalance"],
               "lost cooling": machine["p_lost_cooling"]}  # fmt: skip
    return {
        **machine,
        "bar": tuple(100.0 * min(1.0, max(0.0, machine[f"wear_{p}"])) for p in ("p05", "mean", "p95")),
        "beliefs": [(name, p) for name, p in beliefs.items() if p >= 0.05],
    }


def twin_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder that tracking left; DataError when damaged."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        worst = sorted(summary["machines"], key=lambda m: -m["wear_mean"])[:_MOST_PLOTS]
        names = [m["machine_id"] for m in worst]
        columns = ["machine_id", "timestamp", "wear_mean", "wear_p05", "wear_p95"]
        state = pq.read_table(folder / "state.parquet", columns=columns, filters=[("machine_id", "in", names)])
        ids = np.array(state["machine_id"].to_pylist(), object)
        courses = [course(name, state.filter(pa.array(ids == name))) for name in names]
        rows = [_row(m) for m in summary["machines"][:_MOST_ROWS]]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the tracked state is damaged ({error}); run the stage 'twin' again") from error
    html = environment().get_template("twin.html.j2").render(s=summary, courses=courses, rows=rows,
                                                             shown=_SHOWN_ROWS, shown_plots=_SHOWN_PLOTS)  # fmt: skip
    return Markup(html), _CSS
