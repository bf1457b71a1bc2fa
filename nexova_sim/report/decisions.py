"""The decisions chapter of the report: who decided what when, at what regret, and what claims were worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.latest import MOST, SHOWN, latest
from nexova_sim.report.words import clock, environment, number

_MOST_POINTS = 500
_COLOUR = {"MAINTENANCE": "var(--warning)", "OFFLINE": "var(--critical)"}
_CHIPS = {"MAINTENANCE": "warning", "OFFLINE": "critical"}
_CSS = (
    ".de-row{display:grid;grid-template-columns:minmax(110px,170px) 1fr;gap:4px 12px;align-items:center;margin:3px 0;"
    "font-size:13.5px}.de-row svg{display:block;width:100%;height:18px;background:var(--tint);border-radius:4px}"
    ".de-axis{display:flex;justify-content:space-between;font-size:12.5px;color:var(--muted)}"
    ".de-stub{color:var(--muted);font-size:12.5px}.de-plot text{font-size:12px;fill:var(--muted)}"
)


class Point(NamedTuple):
    """A claim: place of the claimed and of the true saving in the plot, and the colour of its policy."""

    x: float
    y: float
    colour: str


class Scatter(NamedTuple):
    """A plot of claims in a box of ``width`` x ``height``, with its axes' ticks (place, text) and the line y = x."""

    width: int
    height: int
    points: tuple[Point, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    equal: tuple[float, float, float, float]
    zero_y: float


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between ``low`` and ``high``, at most ``most`` + 1 of them."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    size = 10.0 ** np.floor(np.log10(rough))
    step = float(next(size * k for k in (1, 2, 5, 10) if size * k >= rough))
    return [float(v) for v in np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step + 0.0]


def scatter(claimed: np.ndarray, true: np.ndarray, colours: Sequence[str], width: int, height: int) -> Scatter:
    """Claimed (across) against true saving (up), USD; both (n,)."""
    x_low, x_high = 0.0, max(float(claimed.max(initial=0.0)), 1.0) * 1.03
    y_low, y_high = min(float(true.min(initial=0.0)), 0.0), max(float(true.max(initial=0.0)), 1.0)
    y_low, y_high = y_low - 0.04 * (y_high - y_low), y_high + 0.04 * (y_high - y_low)
    left, bottom = 56.0, 26.0

    def across(value: float) -> float:
        return round(left + (value - x_low) / (x_high - x_low) * (width - left - 8.0), 1)

    def up(value: float) -> float:
        return round((height - bottom) - (value - y_low) / (y_high - y_low) * (height - bottom - 8.0), 1)

    points = tuple(Point(across(c), up(t), k) for c, t, k in zip(claimed, true, colours, strict=True))
    ends = (max(x_low, y_low), min(x_high, y_high))
    return Scatter(
        width, height, points,
        tuple((across(v), number(v)) for v in ticks(x_low, x_high, 3 if width < 500 else 6)),
        tuple((up(v), number(v)) for v in ticks(y_low, y_high, 5)),
        (across(ends[0]), up(ends[0]), across(ends[1]), up(ends[1])), up(0.0),
    )  # fmt: skip


def timeline(at_ms: Sequence[int], actions: Sequence[str], span: tuple[int, int]) -> list[tuple[float, str]]:
    """Places 0..1000 and colours of the decisions that act."""
    length = max(1, span[1] - span[0])
    return [(round(1000.0 * (t - span[0]) / length, 1), _COLOUR[a]) for t, a in zip(at_ms, actions, strict=True)
            if a in _COLOUR]  # fmt: skip


def decisions_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder of a replay; DataError when damaged."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        table = pq.read_table(folder / "decisions.parquet")
        table = table.filter(pa.compute.equal(table["repeat"], 0))
        path = folder / "evaluation.json"
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the decisions are damaged ({error}); run the stage 'decisions' again") from error
    names = list(dict.fromkeys(table["policy"].to_pylist()))
    colours = {name: f"var(--series{n % 8})" for n, name in enumerate(names)}
    at = np.asarray(table["created_at"].cast(pa.int64()))
    span = (int(at.min()), int(at.max())) if len(at) else (0, 1)
    rows = []
    for name in names:
        own = table.filter(pa.compute.equal(table["policy"], name))
        times = np.asarray(own["created_at"].cast(pa.int64())).tolist()
        rows.append((name, timeline(times, own["action_executed"].to_pylist(), span)))
    stub = "scripted" in set(table["source"].to_pylist())
    html = environment().get_template("decisions.html.j2").render(
        summary=summary, rows=rows, span=[clock(t) for t in span], found=found, plots=_plots(table, colours),
        colours={name: colours[name] for name in _claimants(table)}, has_stub=stub,
        policies=names, asked=asked(table, names), shown=SHOWN, marks=_CHIPS,
    )  # fmt: skip
    return Markup(html), _CSS


def asked(table: pa.Table, policies: Sequence[str]) -> list[dict[str, Any]]:
    """What each policy decided about the latest alerts, newest first, and what the judge would have done."""
    columns = ["machine_id", "created_at", "alert_id", "anomaly_type", "policy", "action_taken", "action_best",
               "is_clear", "p_fail_none"]  # fmt: skip
    rows: dict[tuple[str, Any], dict[str, Any]] = {}
    for row in table.select(columns).to_pylist():
        about = rows.setdefault((row["alert_id"], row["created_at"]), {**row, "actions": dict.fromkeys(policies, "")})
        about["actions"][row["policy"]] = row["action_taken"]
    found = list(rows.values())
    codes = np.unique([row["machine_id"] for row in found], return_inverse=True)[1]
    at = np.array([round(row["created_at"].timestamp() * 1000) for row in found], np.int64)
    return [{**found[k], "at": clock(int(at[k]))} for k in latest(codes, at, SHOWN, MOST).tolist()]


def _claimants(table: pa.Table) -> list[str]:
    """Policies that claim a saving, in the order of the table."""
    claimed = table.filter(pa.compute.greater(table["claimed_saving_usd"], 0.0))
    return list(dict.fromkeys(claimed["policy"].to_pylist()))


def _plots(table: pa.Table, colours: dict[str, str]) -> list[tuple[str, Scatter]]:
    """The scatter of claims, wide and narrow; empty when nobody claimed anything or nothing was judged."""
    claimed = np.array(table["claimed_saving_usd"].to_numpy(zero_copy_only=False), float)
    true = np.array(table["saving_true_usd"].cast(pa.float64()).to_numpy(zero_copy_only=False), float)
    made = np.flatnonzero((claimed > 0.0) & np.isfinite(true))
    if not len(made):
        return []
    made = made[:: max(1, -(-len(made) // _MOST_POINTS))]
    policies: list[Any] = table["policy"].to_pylist()
    chosen = [colours[policies[n]] for n in made]
    sizes = (("wide", 900, 360), ("narrow", 340, 300))
    return [(name, scatter(claimed[made], true[made], chosen, w, h)) for name, w, h in sizes]
