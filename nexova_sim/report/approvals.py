"""The approvals chapter of the report: how long requests waited, how many piled up, what was denied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.latest import SHOWN, latest_rows
from nexova_sim.report.words import clock, environment

_MOST_ROWS = 60
_COLUMNS = ("subject", "revision", "submitted_by", "ended", "state", "decided_by", "lead_h")
_COLOURS = {"APPROVED": "healthy", "REJECTED": "critical", "WITHDRAWN": "offline", "EXPIRED": "warning",
            "PENDING": "maintenance"}  # fmt: skip
_CSS = (
    ".ap-line{display:block;width:100%;height:90px;background:var(--tint);border-radius:6px}"
    ".ap-bars th,.ap-bars td{border:0;padding:1px 8px 1px 0;white-space:nowrap}.ap-bars td:nth-child(2){width:70%}"
    ".ap-two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:14px}.ap-bar{display:block;height:14px;border-radius:3px;background:var(--series0)}"
)


class Bar(NamedTuple):
    """A bar of the lead-time histogram: its span in words, how many, its width in percent of the longest."""

    label: str
    n_requests: int
    width: float


def _label(low: float, high: float | None) -> str:
    def words(hours: float) -> str:
        return f"{hours * 60:.0f} min" if hours < 1 else f"{hours:.0f} h"

    return f"over {words(low)}" if high is None else f"up to {words(high)}"


def bars(histogram: dict[str, Any]) -> list[Bar]:
    """The histogram without its empty ends."""
    edges, counts = histogram["edges_h"], histogram["counts"]
    made = [_label(low, edges[k + 1] if k + 1 < len(edges) else None) for k, low in enumerate(edges)]
    filled = [k for k, n in enumerate(counts) if n]
    if not filled:
        return []
    top = max(counts)
    span = range(filled[0], filled[-1] + 1)
    return [Bar(made[k], counts[k], round(100.0 * counts[k] / top, 2)) for k in span]


def _points(timeline: dict[str, Any]) -> str:
    """The backlog as a stepped area in a box of 1000 x 100."""
    most = timeline["most_open"]
    top = max([*most, 1]) * 1.1
    width = 1000.0 / len(most)
    steps = "".join(f"H{k * width:.1f}V{100 - 100 * n / top:.2f}H{(k + 1) * width:.1f}" for k, n in enumerate(most))
    return f"M0,100{steps}V100Z"


def _open(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Requests that are open at the end, oldest first, and how many there are."""
    table = pq.read_table(path, filters=[("state", "==", "PENDING")])
    rows = table.slice(0, _MOST_ROWS).to_pylist()
    return [{**r, "submitted": clock(round(r["submitted"].timestamp() * 1000))} for r in rows], table.num_rows


def approvals_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder a replay left; DataError when damaged."""
    try:
        found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        rows, n_open = _open(folder / "requests.parquet")
        recent = latest_rows(folder / "requests.parquet", "submitted", _COLUMNS)
        outcomes = [(state, found["outcomes"][state], colour) for state, colour in _COLOURS.items()]
        html = (
            environment()
            .get_template("approvals.html.j2")
            .render(found=found, outcomes=outcomes, bars=bars(found["lead_histogram"]), path=_points(found["timeline"]),
                    rows=rows, n_open=n_open, recent=recent, shown=SHOWN, colours=_COLOURS, line=found["timeline"])
        )  # fmt: skip
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise DataError(f"{folder}: the replay is damaged ({error}); run the stage 'approvals' again") from error
    return Markup(html), _CSS
