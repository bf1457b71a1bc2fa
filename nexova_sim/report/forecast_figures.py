"""Pictures of the forecast chapter as inline SVG that stretches with the page; words stand beside it as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape

_W, _H = 1000.0, 100.0
_HOUR_MS, _DAY_H = 3_600_000, 24
_COLORS = tuple(f"--series{n}" for n in range(8))

CSS = (
    ".fo-fan{display:block;width:100%;height:130px;background:var(--tint);border-radius:6px}"
    ".fo-lines{display:block;width:100%;height:170px;background:var(--tint);border-radius:6px}"
    ".fo-head{display:flex;flex-wrap:wrap;justify-content:space-between;gap:2px 14px;"
    "font-size:13.5px;margin:14px 0 4px}.fo-head:first-of-type{margin-top:2px}"
    ".fo-days{position:relative;height:17px;font-size:11.5px;color:var(--muted)}"
    ".fo-days span{position:absolute;top:0;padding-left:3px;white-space:nowrap}.fo-days small{font-size:11.5px}"
    ".fo-ends{display:flex;justify-content:space-between;font-size:12px;color:var(--muted)}"
    ".fo-bars{display:grid;grid-template-columns:minmax(120px,210px) 1fr 4em;gap:5px 12px;align-items:center;"
    "font-size:13.5px;margin:0 0 6px}.fo-bars .n{text-align:right}"
    ".fo-bars i{display:block;height:12px;border-radius:3px;background:var(--series7);opacity:.55;min-width:2px}"
    ".fo-bars .own{font-weight:650}.fo-bars i.own{background:var(--series0);opacity:1}"
    "@media (max-width:760px){.fo-days small{display:none}.fo-bars{grid-template-columns:minmax(96px,130px) 1fr 3.2em;"
    "gap:5px 8px}.fo-fan{height:110px}}"
)


class Fan(NamedTuple):
    """A series: the picture, its days as (left in percent, weekday, day of month), the top of the axis and the week."""

    name: str
    svg: Markup
    days: tuple[tuple[float, str, str], ...]
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


def _svg(kind: str, label: str, inner: str) -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {_W:g} {_H:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{inner}</svg>')  # fmt: skip


def _line(x: float, y: float, other: tuple[float, float], style: str) -> str:
    return (f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{other[0]:.1f}" y2="{other[1]:.1f}" {style} '
            'vector-effect="non-scaling-stroke"/>')  # fmt: skip


def draw_fan(name: str, before: np.ndarray, week: Sequence[np.ndarray], origin_ms: int) -> Fan:
    """The past (p,) and mean, low and high (h,) of a series in one picture; the axis begins at 0, or below it."""
    mean, low, high = week
    n = len(before) + len(mean)
    values = np.concatenate([before[np.isfinite(before)], high, low, [0.0]])
    least, most = float(values.min()), float(values.max())
    top = most + 0.05 * max(most - least, 1e-9)

    def y(v: np.ndarray) -> np.ndarray:
        return np.asarray(_H - _H * (v - least) / (top - least))

    x = _W * (np.arange(n) + 0.5) / max(1, n)
    ahead, now = x[len(before) :], _W * len(before) / max(1, n)
    start_ms = origin_ms - len(before) * _HOUR_MS
    first = -(start_ms // _HOUR_MS) % _DAY_H
    grid = 'stroke="var(--line)"'
    marks, days = [], []
    for h in range(first, n, _DAY_H):
        marks.append(_line(_W * h / n, 0.0, (_W * h / n, _H), grid))
        day = datetime.fromtimestamp((start_ms + h * _HOUR_MS) / 1000, UTC)
        if n - h >= _DAY_H // 2:
            days.append((round(100.0 * h / n, 2), day.strftime("%a")[:2], str(day.day)))
    marks.append(_line(0.0, _H / 2, (_W, _H / 2), grid))
    stroke = 'fill="none" vector-effect="non-scaling-stroke"'
    band = _path(np.r_[ahead, ahead[::-1]], np.r_[y(high), y(low)[::-1]])
    inner = (
        "".join(marks)
        + f'<path d="{band}Z" fill="var(--series0)" opacity="0.25"/>'
        + f'<path d="{_path(x[: len(before)], y(before))}" {stroke} stroke="var(--muted)" stroke-width="1.3"/>'
        + f'<path d="{_path(ahead, y(mean))}" {stroke} stroke="var(--series0)" stroke-width="1.7"/>'
        + _line(now, 0.0, (now, _H), 'stroke="var(--ink)" stroke-dasharray="3 3"')
    )
    label = f"Energy of {name}: the week before and the forecast with its interval"
    return Fan(name, _svg("fo-fan", label, inner), tuple(days), top, float(mean.sum()))


def lines_by_origin(rows: Sequence[tuple[str, Sequence[float | None]]]) -> tuple[Markup, float, list[tuple[str, str]]]:
    """A line per model over the origins, from 0 to a top; the picture, the top, and names with their colours."""
    known = [v for _, values in rows for v in values if v is not None]
    top = 1.05 * max([1e-9, *known])
    parts = [_line(0.0, _H / 2, (_W, _H / 2), 'stroke="var(--line)"')]
    keys = [(name, _COLORS[number % len(_COLORS)]) for number, (name, _) in enumerate(rows)]
    for (_, values), (_, color) in reversed(list(zip(rows, keys, strict=True))):
        y = np.array([np.nan if v is None else _H * (1.0 - v / top) for v in values])
        x = _W * (np.arange(len(y)) + 0.5) / max(1, len(y))
        parts.append(f'<path d="{_path(x, y)}" fill="none" stroke="var({color})" stroke-width="1.8" '
                     'stroke-linejoin="round" vector-effect="non-scaling-stroke"/>')  # fmt: skip
    return _svg("fo-lines", "Error of each model at each origin", "".join(parts)), top, keys
