"""Figures as inline SVG: the same data give the same bytes, and every colour is a CSS variable of the page.

Matplotlib draws with one marker colour per role; the markers are replaced by ``var(--role)``, so that light, dark and
print share one drawing. Text from data never reaches matplotlib: it lays out a plain token, and the token is replaced
by the escaped text, so that no name can break the figure or the page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from nexova_sim.report.layout import DAY_MS, FaultGroup, FaultSpan, fault_groups, merged, time_ticks
from nexova_sim.report.states import MAINTENANCE, NO_DATA, STATE_KEYS, Run

_ROLES = (
    *("ink", "muted", "line", "power", "temp", "vib", "fault", "sensor", "card"),
    *STATE_KEYS,
    *(f"series{i}" for i in range(8)),
)
_COLOURS = {role: f"#0a{i:02x}f7" for i, role in enumerate(_ROLES)}
_STYLE = {
    "svg.hashsalt": "nexova",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 11.0,
    "axes.linewidth": 0.8,
    "hatch.linewidth": 1.6,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": False,
}
_LONG = re.compile(r"-?\d+\.\d{3,}")
_CHAR_PX = 6.3


class Envelope(NamedTuple):
    """One channel over the bins: lowest, highest, mean reading, each shape (b,); NaN where nothing was read."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray


class MachineView(NamedTuple):
    """Everything the figure of one machine shows."""

    edges_ms: np.ndarray
    power: Envelope
    temperature: Envelope
    vibration: Envelope
    runs: Sequence[Run]
    faults: Sequence[FaultSpan]
    failures_ms: Sequence[int]
    baseline_kw: float


def _days(ms: Any) -> Any:  # noqa: ANN401
    return np.asarray(ms, np.float64) / DAY_MS


def _has(envelope: Envelope) -> bool:
    return bool(np.isfinite(envelope.mean).any())


def machine_figure(view: MachineView, width_px: int, key: str = "") -> str:
    """SVG of one machine: faults, power and temperature on two axes, vibration, state band; ``width_px`` wide.

    ``key`` (letters and digits) keeps the ids inside apart from those of other figures on the page.
    """
    texts: list[str] = []
    span_ms = int(view.edges_ms[-1] - view.edges_ms[0])
    longest = max((len(f.name) for f in view.faults), default=0)
    groups = fault_groups(view.faults, round(((longest + 4) * _CHAR_PX) / (width_px - 92) * span_ms))
    heights = {
        "faults": 17.0 * (1 + max((g.lane for g in groups), default=-1)),
        "main": 95.0 * (_has(view.power) + _has(view.temperature)),
        "vibration": 78.0 if _has(view.vibration) else 0.0,
        "state": 13.0,
    }
    heights = {name: h for name, h in heights.items() if h}
    with mpl.rc_context(_STYLE):
        figure, axes = _stack(heights, width_px, view.edges_ms)
        if "faults" in axes:
            _draw_faults(axes["faults"], view, groups, texts)
        if "main" in axes:
            _draw_main(axes["main"], view)
        if "vibration" in axes:
            _draw_envelope(axes["vibration"], view, view.vibration, "vib")
            top = float(np.nanmax(view.vibration.high))
            axes["vibration"].set_ylim(0.0, max(top * 1.12, 0.1))
            axes["vibration"].yaxis.set_major_locator(MaxNLocator(3))
            _name_axis(axes["vibration"], "Vibration, mm/s", "vib")
        _draw_state(axes["state"], view)
        for name in ("main", "vibration"):
            if name in axes:
                _mark(axes[name], view)
        return _svg(figure, texts, key)


def power_figure(edges_ms: np.ndarray, lines: Sequence[tuple[str, np.ndarray]], width_px: int, key: str = "") -> str:
    """SVG of the mean power per bin, one line per (name, kW of shape (b,)), at most eight lines; ``width_px`` wide."""
    texts: list[str] = []
    with mpl.rc_context(_STYLE):
        figure, axes = _stack({"power": 200.0}, width_px, edges_ms)
        ax = axes["power"]
        x = _days((edges_ms[:-1] + edges_ms[1:]) / 2)
        for number, (_name, kw) in enumerate(lines[:8]):
            colour = _COLOURS[f"series{number}"]
            ax.plot(x, kw, color=colour, linewidth=1.6, solid_joinstyle="round")
            alone = _alone(kw)
            ax.plot(x[alone], kw[alone], ".", color=colour, markersize=5.0, markeredgewidth=0.0)
        ax.set_ylim(bottom=0.0)
        ax.yaxis.set_major_locator(MaxNLocator(4))
        _name_axis(ax, "Mean power, kW", "muted")
        return _svg(figure, texts, key)


def _stack(heights: dict[str, float], width_px: int, edges_ms: np.ndarray) -> tuple[Figure, dict[str, Any]]:
    """A figure of axes above one another with one time axis, sizes in pixels."""
    gap, top, bottom = 25.0, 16.0, 34.0
    left, right = 46.0, 46.0
    height = top + bottom + sum(heights.values()) + gap * (len(heights) - 1)
    figure = Figure(figsize=(width_px / 72, height / 72), dpi=72)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    ticks = time_ticks(int(edges_ms[0]), int(edges_ms[-1]), max(3, width_px // 62))
    axes = {}
    y = height - top
    for name, h in heights.items():
        y -= h
        ax = figure.add_axes((left / width_px, y / height, 1 - (left + right) / width_px, h / height))
        y -= gap
        ax.set_xlim(_days(edges_ms[0]), _days(edges_ms[-1]))
        ax.patch.set_visible(False)
        for side in ("top", "right", "left"):
            ax.spines[side].set_visible(False)
        ax.spines["bottom"].set_color(_COLOURS["line"])
        ax.tick_params(colors=_COLOURS["muted"], length=0, labelsize=11, pad=5)
        ax.grid(True, color=_COLOURS["line"], linewidth=0.7)
        ax.set_axisbelow(True)
        ax.set_xticks([_days(ms) for ms, _ in ticks], [label for _, label in ticks])
        ax.tick_params(axis="x", labelbottom=name == list(heights)[-1])
        axes[name] = ax
    return figure, axes


def _name_axis(ax: Any, text: str, role: str, right: bool = False, y: float = 1.0) -> None:  # noqa: ANN401
    """Quantity and unit above an axis, in the colour of its line, instead of a turned label."""
    ax.annotate(text, (1.0 if right else 0.0, y), xycoords="axes fraction", xytext=(40 if right else -40, 4),
                textcoords="offset points", ha="right" if right else "left", va="bottom",
                color=_COLOURS[f"{role}"], fontsize=11, annotation_clip=False)  # fmt: skip


def _alone(values: np.ndarray) -> np.ndarray:
    """Mask of the bins between two gaps: they have no neighbour to draw a line or a band to."""
    known = np.isfinite(values)
    mask: np.ndarray = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
    return mask


def _draw_envelope(ax: Any, view: MachineView, envelope: Envelope, role: str) -> None:  # noqa: ANN401
    x = _days((view.edges_ms[:-1] + view.edges_ms[1:]) / 2)
    ax.fill_between(x, envelope.low, envelope.high, color=_COLOURS[role], alpha=0.22, linewidth=0.0)
    ax.plot(x, envelope.mean, color=_COLOURS[role], linewidth=1.2, solid_joinstyle="round")
    alone = _alone(envelope.mean)
    if alone.any():
        ax.vlines(x[alone], envelope.low[alone], envelope.high[alone], color=_COLOURS[role], alpha=0.4, linewidth=1.2)
        ax.plot(x[alone], envelope.mean[alone], ".", color=_COLOURS[role], markersize=4.0, markeredgewidth=0.0)


def _draw_main(ax: Any, view: MachineView) -> None:  # noqa: ANN401
    """Power in the lower half against the left axis, temperature in the upper half against the right one."""
    other = ax.twinx()
    for side in ("top", "right", "left", "bottom"):
        other.spines[side].set_visible(False)
    for patch in (ax.patch, other.patch):
        patch.set_visible(False)
    other.tick_params(colors=_COLOURS["muted"], length=0, labelsize=11, pad=5)
    if _has(view.power):
        most = max(float(np.nanmax(view.power.high)), 0.1)
        _draw_envelope(ax, view, view.power, "power")
        ax.set_ylim(0.0, most * (2.12 if _has(view.temperature) else 1.05))
        ax.yaxis.set_major_locator(_ticks(0.0, most))
        if 0.0 < view.baseline_kw < most:
            ax.axhline(view.baseline_kw, color=_COLOURS["power"], linewidth=0.9, linestyle=(0, (4, 4)))
        _name_axis(ax, "Power, kW", "power", y=0.5 if _has(view.temperature) else 1.0)
    else:
        ax.set_yticks([])
    if _has(view.temperature):
        low, high = float(np.nanmin(view.temperature.low)), float(np.nanmax(view.temperature.high))
        low, high = np.floor(low / 10.0) * 10.0, max(high, low + 5.0)
        _draw_envelope(other, view, view.temperature, "temp")
        other.set_ylim(low - (1.3 if _has(view.power) else 0.0) * (high - low), high + 0.02 * (high - low))
        other.yaxis.set_major_locator(_ticks(low, high))
        _name_axis(other, "Temperature, °C", "temp", right=True)
    else:
        other.set_yticks([])


def _ticks(low: float, high: float) -> FixedLocator:
    """A few round ticks inside [low, high] only: the other half of the axis belongs to the other quantity."""
    values = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return FixedLocator([float(v) for v in values if low - 1e-9 <= v <= high + 1e-9])


def _draw_faults(ax: Any, view: MachineView, groups: Sequence[FaultGroup], texts: list[str]) -> None:  # noqa: ANN401
    ax.set_ylim(max(g.lane for g in groups) + 1, 0)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines["bottom"].set_visible(False)
    first, last = int(view.edges_ms[0]), int(view.edges_ms[-1])
    for group in groups:
        role = "sensor" if group.spans[0].is_sensor else "fault"
        pieces = merged(group.spans, int(view.edges_ms[1] - first))
        for onset, end in pieces:
            x = _days([max(onset, first), min(end, last)])
            ax.plot(x, [group.lane + 0.9] * 2, color=_COLOURS[role], linewidth=2.6, solid_capstyle="butt")
        onset, end = max(pieces[0][0], first), min(pieces[-1][1], last)
        ends_late = onset > first + 0.72 * (last - first)
        texts.append(group.label)
        ax.annotate(
            f"@@{len(texts) - 1}@@",
            (_days(end if ends_late else onset), group.lane + 0.74),
            va="bottom",
            ha="right" if ends_late else "left",
            fontsize=11,
            color=_COLOURS[role],
            annotation_clip=False,
        )


def _draw_state(ax: Any, view: MachineView) -> None:  # noqa: ANN401
    ax.set_ylim(0.0, 1.0)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines["bottom"].set_visible(False)
    for run in view.runs:
        if run.state == NO_DATA:
            continue
        look = {"facecolor": _COLOURS[STATE_KEYS[run.state]], "linewidth": 0.0}
        if run.state == MAINTENANCE:
            look |= {"facecolor": _COLOURS["card"], "hatch": "////", "edgecolor": _COLOURS["maintenance"]}
        ax.fill_between(_days([view.edges_ms[run.first], view.edges_ms[run.last]]), 0.0, 1.0, **look)


def _mark(ax: Any, view: MachineView) -> None:  # noqa: ANN401
    """Fault spans as a tint behind the readings, failures as a line."""
    first, last = int(view.edges_ms[0]), int(view.edges_ms[-1])
    for role, is_sensor in (("fault", False), ("sensor", True)):
        spans = [f for f in view.faults if f.is_sensor is is_sensor]
        for onset, end in merged(spans, int(view.edges_ms[1] - first)):
            x = _days([max(onset, first), min(end, last)])
            ax.axvspan(x[0], x[1], color=_COLOURS[role], alpha=0.09, linewidth=0.0, zorder=0)
    for at_ms in view.failures_ms:
        ax.axvline(_days(at_ms), color=_COLOURS["critical"], linewidth=1.6)


def _short(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _svg(figure: Figure, texts: Sequence[str], key: str) -> str:
    """The figure as an SVG element that scales with its container; tokens replaced by escaped ``texts``."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r' width="[^"]*pt"| height="[^"]*pt"| xmlns(:xlink)?="[^"]*"| version="1.1"', "", svg, count=5)
    svg = re.sub(r"<style.*?</style>|font-family: [^;]*; | transform=\"rotate\(-0 [^\"]*\"", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\b(?:d|x|y|transform)="[^"]*"', lambda m: _LONG.sub(_short, m[0]), svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{key}", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    for role, colour in _COLOURS.items():
        svg = svg.replace(colour, f"var(--{role})")
    return re.sub(r"@@(\d+)@@", lambda m: escape(texts[int(m[1])]), svg)
