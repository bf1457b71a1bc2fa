"""The picture of one machine's trajectory: temperature, vibration, damage, health and remaining life over time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

GREEN, AMBER, RED, GREY = "#10b981", "#f59e0b", "#ef4444", "#6b7280"
INK, FAINT = "#1f2937", "#e5e7eb"
BLUE, VIOLET, TEAL = "#2563eb", "#7c3aed", "#0891b2"
BANDS = ((80.0, 100.0, GREEN, "healthy"), (60.0, 80.0, AMBER, "warning"), (0.0, 60.0, RED, "critical"))
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "nexova",
    "svg.fonttype": "path",
    "path.simplify": True,
}
_LIMITS = {"temp_c": ((75.0, AMBER), (85.0, RED)), "vibration_mm_s": ((2.5, AMBER), (4.0, RED))}
_DAMAGE = (
    ("wear_frac", "bearing wear", BLUE),
    ("fatigue_frac", "thermal fatigue", RED),
    ("electrical_frac", "electrical stress", VIOLET),
)
COLUMNS = (
    "time_h",
    "temp_c",
    "ambient_c",
    "vibration_mm_s",
    *(name for name, _, _ in _DAMAGE),
    "health_percent",
    "rul_h",
    "rul_seed_formula_h",
)
# Fixed places instead of a layout engine, which would take as long as the drawing.
_PLACE = {"left": 0.095, "right": 0.93, "top": 0.905, "bottom": 0.065, "hspace": 0.36}
_MANY_ROWS = 600
_TAIL = 1.25  # how much of the standstill after a failure is shown, relative to the life before it


class Picture(NamedTuple):
    """What the figure says besides the curves."""

    title: str
    subtitle: str
    end_h: float | None  # time of the first event, None = none known
    event: str | None


def _shown(columns: Mapping[str, np.ndarray], end_h: float | None) -> tuple[dict[str, np.ndarray], bool]:
    """The columns up to a little after the failure, and whether something was left out."""
    time_h = columns["time_h"]
    last_h = time_h[-1] if end_h is None else max(_TAIL * end_h, time_h[min(1, len(time_h) - 1)])
    keep = time_h <= last_h
    return {name: columns[name][keep] for name in COLUMNS}, not keep.all()


def _mark_failure(axis: Axes, picture: Picture, right: float, is_labelled: bool) -> None:
    if picture.end_h is None or picture.end_h > right:
        return
    axis.axvspan(picture.end_h, right, color=GREY, alpha=0.10, lw=0)
    axis.axvline(picture.end_h, color=INK, lw=1.1, ls=(0, (4, 2)))
    if is_labelled:
        text = f"{(picture.event or '').replace('_', ' ')} failure at {picture.end_h:,.1f} h"
        side = "right" if picture.end_h > 0.3 * right else "left"
        axis.annotate(text, (picture.end_h, 1.0), xycoords=("data", "axes fraction"), ha=side, va="bottom",
                      xytext=(0, 3), textcoords="offset points", fontsize=8.5, color=INK)  # fmt: skip


def _draw_sensed(axis: Axes, time_h: np.ndarray, values: np.ndarray, name: str, color: str) -> None:
    axis.plot(time_h, values, color=color, lw=1.6 if len(values) < _MANY_ROWS else 0.9)
    top = float(np.nanmax(values))
    sides = ("top", "bottom")
    for (level, shade), side in zip(_LIMITS[name], sides, strict=True):
        if level < 1.6 * top:
            axis.axhline(level, color=shade, lw=1.0, ls=(0, (5, 3)))
            axis.annotate(f"{level:g}", (1.0, level), xycoords=("axes fraction", "data"), xytext=(3, 0),
                          textcoords="offset points", va=side, fontsize=7.5, color=shade)  # fmt: skip


def _held(time_h: np.ndarray, values: np.ndarray, end_h: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Time and vibration with the drop at the failure drawn where it happens, not from row to row."""
    if end_h is None or not time_h[0] < end_h < time_h[-1]:
        return time_h, values
    at = int(np.searchsorted(time_h, end_h))
    return np.insert(time_h, at, [end_h, end_h]), np.insert(values, at, [values[at - 1], values[at]])


def _draw_health(axis: Axes, time_h: np.ndarray, health: np.ndarray) -> None:
    low = 0.0 if np.nanmin(health) < 55.0 else 50.0
    for bottom, top, color, word in BANDS:
        axis.axhspan(max(bottom, low), top, color=color, alpha=0.13, lw=0)
        axis.annotate(word, (1.0, (max(bottom, low) + top) / 2), xycoords=("axes fraction", "data"), xytext=(3, 0),
                      textcoords="offset points", va="center", fontsize=7.5, color=color)  # fmt: skip
    axis.plot(time_h, health, color=INK)
    axis.set_ylim(low, 100.0)


def _draw_life(axis: Axes, time_h: np.ndarray, rul_h: np.ndarray, formula_h: np.ndarray) -> None:
    """Remaining life, on a logarithmic axis when it spans more than a decade and a half; ends at the failure."""
    for values, color, width, dashes, label in (
        (formula_h, GREY, 1.2, "--", "seed formula"),
        (rul_h, TEAL, 1.6, "-", "by running on to failure"),
    ):
        axis.plot(time_h, np.where(values > 0.0, values, np.nan), color=color, lw=width, ls=dashes, label=label)
    positive = np.concatenate([rul_h[rul_h > 0.0], formula_h[formula_h > 0.0]])
    if len(positive) and positive.max() > 30.0 * positive.min():
        axis.set_yscale("log")
        axis.set_ylim(max(0.1, 0.5 * float(positive.min())), 2.0 * float(positive.max()))
        axis.minorticks_off()
    else:
        axis.set_ylim(bottom=0.0)
    axis.yaxis.set_major_formatter("{x:,g}")


def _legend(axis: Axes) -> None:
    axis.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, ncols=3, frameon=False, fontsize=8)


def _draw(axes: Sequence[Axes], shown: Mapping[str, np.ndarray], picture: Picture) -> None:
    time_h, right = shown["time_h"], float(shown["time_h"][-1])
    axes[0].plot(time_h, shown["ambient_c"], color=GREY, lw=1.0, ls=":", label="ambient")
    _draw_sensed(axes[0], time_h, shown["temp_c"], "temp_c", RED)
    _draw_sensed(axes[1], *_held(time_h, shown["vibration_mm_s"], picture.end_h), "vibration_mm_s", BLUE)
    for name, label, color in _DAMAGE:
        axes[2].plot(time_h, shown[name], color=color, label=label)
    axes[2].set_ylim(0.0, 1.05)
    _draw_health(axes[3], time_h, shown["health_percent"])
    _draw_life(axes[4], time_h, shown["rul_h"], shown["rul_seed_formula_h"])
    heads = (
        ("Temperature", "°C"),
        ("Vibration, RMS", "mm/s"),
        ("Damage, 1 = failed", "0 to 1"),
        ("Health", "%"),
        ("Remaining life", "h"),
    )
    for n, (axis, (title, unit)) in enumerate(zip(axes, heads, strict=True)):
        axis.set_title(title)
        axis.set_ylabel(unit)
        axis.yaxis.set_label_coords(-0.072, 0.5)
        _mark_failure(axis, picture, right, n == 0)
    for n in (2, 4):
        _legend(axes[n])
    axes[4].set_xlabel("hours since the start")
    axes[4].set_xlim(float(time_h[0]), right)


def trajectory_figure(columns: Mapping[str, np.ndarray], picture: Picture) -> Figure:
    """Figure of a trajectory; ``columns`` are COLUMNS of the trajectory table, (n_rows,) float64 each, NaN = none.

    Standstill long after a failure is left out (a note at the foot says so).
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        shown, is_cut = _shown(columns, picture.end_h)
        figure = Figure(figsize=(9.0, 9.6), dpi=110)
        figure.text(
            0.015, 0.975, picture.title, fontsize=13, fontweight="bold", parse_math=False, color=INK, va="center"
        )
        figure.text(0.015, 0.949, picture.subtitle, fontsize=9, parse_math=False, color=GREY, va="center")
        if is_cut:
            last_h = columns["time_h"][-1]
            note = f"The machine stands still from its failure on; rows up to {last_h:,.0f} h are in the table."
            figure.text(0.015, 0.012, note, fontsize=8, color=GREY, va="center")
        _draw(list(figure.subplots(5, 1, sharex=True, gridspec_kw=_PLACE)), shown, picture)
        return figure


def figure_bytes(figure: Figure, form: str) -> bytes:
    """The figure as "png" or "svg"; equal figures give equal bytes with equal library versions."""
    buffer = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # A title in a script that the font lacks is drawn with boxes; that is no reason to speak up.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        if form == "png":
            FigureCanvasAgg(figure)
            figure.savefig(buffer, format="png", metadata={"Software": None})
        elif form == "svg":
            FigureCanvasSVG(figure)
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        else:
            raise ValueError(f"form must be 'png' or 'svg', got {form!r}")
    return buffer.getvalue()
