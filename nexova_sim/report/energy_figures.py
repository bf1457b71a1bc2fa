"""Pictures of the energy chapter as inline SVG that stretches with the page; words stand beside it as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

_W, _H = 1000.0, 100.0
_SHIFTS = 3
_PALE, _FULL = 0.3, 1.1  # loads of the palest and of the fullest colour
CURVE_COLORS = tuple(f"--series{n}" for n in range(8))

CSS = (
    ".en-gantt{display:grid;grid-template-columns:minmax(90px,190px) 1fr;gap:3px 12px;align-items:center;"
    "font-size:13px}"
    ".en-gantt>span{overflow-wrap:anywhere;line-height:1.2}.en-gantt small,.en-cost small{white-space:nowrap}"
    ".en-do{min-width:15em}"
    ".en-row{display:block;width:100%;height:18px;background:var(--tint);border-radius:3px}"
    ".en-lines{display:block;width:100%;height:120px;background:var(--tint);border-radius:6px}.en-lines.low{height:64px}"
    ".en-clock{display:flex;justify-content:space-between;font-size:12px;color:var(--muted)}"
    ".en-axis{display:flex;justify-content:space-between;flex-wrap:wrap;gap:2px 14px;font-size:13px;margin:10px 0 3px}"
    ".en-cost{display:grid;grid-template-columns:minmax(110px,180px) 1fr 200px;gap:3px 12px;"
    "align-items:center;font-size:13.5px;margin:6px 0}.en-cost .n{text-align:right}"
    ".en-stack{display:block;width:100%;height:14px;border-radius:3px}"
    "@media (max-width:760px){.en-gantt{grid-template-columns:1fr;gap:1px}.en-gantt .en-row{margin-bottom:5px}"
    ".en-gantt>span.en-blank{display:none}.en-cost{grid-template-columns:1fr auto}"
    ".en-cost .en-bar{grid-column:1/-1;order:1;margin-bottom:4px}}"
)


class Line(NamedTuple):
    """Values over a day, drawn as steps of equal length in a colour of the page."""

    values: Sequence[float]
    color: str
    is_dashed: bool


class Drawn(NamedTuple):
    """A picture with the ends of its vertical axis."""

    svg: Markup
    low: float
    high: float


class Learned(NamedTuple):
    """Learning curves: the picture, the names with their colours, the last point of progress."""

    drawn: Drawn
    names: tuple[tuple[str, str], ...]
    last: float


def _svg(kind: str, width: float, height: float, label: str, inner: str) -> Markup:
    return Markup(
        f'<svg class="{kind}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{inner}</svg>')  # fmt: skip


def gantt(load_frac: Sequence[float], label: str) -> Markup:
    """A strip of one machine's day: fuller colour is more load, nothing where it stands; marks between the shifts."""
    n = max(1, len(load_frac))
    parts, start = [], 0
    for k in range(1, len(load_frac) + 1):
        if k < len(load_frac) and load_frac[k] == load_frac[start]:
            continue
        load = load_frac[start]
        if load > 0.0:
            depth = 0.35 + 0.65 * min(1.0, max(0.0, (load - _PALE) / (_FULL - _PALE)))
            parts.append(f'<rect x="{_W * start / n:.1f}" y="2" width="{_W * (k - start) / n:.1f}" height="16" '
                         f'shape-rendering="crispEdges" fill="var(--series0)" opacity="{depth:.2f}"/>')  # fmt: skip
        start = k
    return _svg("en-row", _W, 20.0, label, "".join(parts) + _marks(20.0))


def _marks(height: float) -> str:
    return "".join(
        f'<line x1="{_W * s / _SHIFTS:.1f}" x2="{_W * s / _SHIFTS:.1f}" y1="0" y2="{height:g}" stroke="var(--muted)" '
        f'stroke-dasharray="2 3" vector-effect="non-scaling-stroke"/>' for s in range(1, _SHIFTS))  # fmt: skip


def _steps(values: Sequence[float], low: float, high: float) -> str:
    """A staircase through ``values`` in the box."""
    points, n = [], max(1, len(values))
    for k, value in enumerate(values):
        y = _H * (1.0 - (value - low) / (high - low))
        points.append(f"{_W * k / n:.1f},{y:.1f} {_W * (k + 1) / n:.1f},{y:.1f}")
    return " ".join(points)


def day_lines(lines: Sequence[Line], label: str) -> Drawn:
    """Staircases over a day on one axis that begins at 0, or below it for negative values."""
    values = [v for line in lines for v in line.values] or [0.0]
    low, high = min(0.0, *values), max(0.0, *values)
    high = low + 1.05 * (high - low) if high > low else low + 1.0
    parts = []
    for line in reversed(lines):
        dash = ' stroke-dasharray="5 4"' if line.is_dashed else ""
        parts.append(f'<polyline points="{_steps(line.values, low, high)}" fill="none" stroke="var({line.color})" '
                     f'stroke-width="1.8" vector-effect="non-scaling-stroke"{dash}/>')  # fmt: skip
    if low < 0.0:
        y = _H * (1.0 + low / (high - low))
        parts.append(f'<line x1="0" x2="1000" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--muted)" '
                     f'vector-effect="non-scaling-stroke"/>')  # fmt: skip
    return Drawn(_svg("en-lines", _W, _H, label, _marks(_H) + "".join(parts)), low, high)


def stacked(split: Sequence[float], colors: Sequence[str], top: float, label: str) -> Markup:
    """A bar of the parts of a cost; ``top`` is the cost that fills the whole width."""
    parts, x = [], 0.0
    for value, color in zip(split, colors, strict=True):
        width = _W * max(0.0, value) / top if top > 0.0 else 0.0
        parts.append(f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="14" fill="var({color})"/>')
        x += width
    return _svg("en-stack", _W, 14.0, label, "".join(parts))


def learning(curves: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> Learned:
    """Cost a day against progress, a curve per seed."""
    values = [v for _, _, y in curves for v in y]
    low, high = min(values), max(values)
    pad = 0.05 * (high - low) or 1.0
    low, high = low - pad, high + pad
    last = max(max(x) for _, x, _ in curves) or 1.0
    parts, names = [], []
    for n, (name, xs, ys) in enumerate(curves):
        color = CURVE_COLORS[n % len(CURVE_COLORS)]
        spots = " ".join(f"{_W * x / last:.1f},{_H * (1.0 - (y - low) / (high - low)):.1f}"
                         for x, y in zip(xs, ys, strict=True))  # fmt: skip
        parts.append(f'<polyline points="{spots}" fill="none" stroke="var({color})" stroke-width="1.6" '
                     f'vector-effect="non-scaling-stroke"/>')  # fmt: skip
        names.append((name, color))
    drawn = Drawn(_svg("en-lines", _W, _H, "Cost a day while learning", "".join(parts)), low, high)
    return Learned(drawn, tuple(names), last)
