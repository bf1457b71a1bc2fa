"""The picture of a schedule: a bar per machine over the day, the site's power and the price below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nexova_sim.report.trajectory import AMBER, BLUE, FAINT, GREY, INK

_HOURS = 24.0
_LONGEST_NAME = 28
_ROW_IN, _REST_IN = 0.32, 3.4
_SHIFT_H = 8.0


class PlanPicture(NamedTuple):
    """What is drawn: ``rows`` of (machine, load fractions over the day), prices by hour, power over the day.

    ``rivals`` are other controllers' power by name.
    """

    title: str
    start_ms: int
    timezone: str
    rows: Sequence[tuple[str, np.ndarray]]
    price_usd_per_kwh: np.ndarray
    total_kw: np.ndarray
    rivals: Mapping[str, np.ndarray]


def spans(load_frac: np.ndarray) -> list[tuple[int, int, float]]:
    """Runs of equal load above zero: first step, the one after the last, load."""
    edges = np.flatnonzero(np.r_[True, np.diff(load_frac) != 0.0, True])
    return [(int(a), int(b), float(load_frac[a])) for a, b in pairwise(edges)
            if load_frac[a] > 0.0]  # fmt: skip


def _shade(load: float) -> tuple[float, float, float]:
    """From pale to full blue over loads of 0.3 to 1.1."""
    depth = 0.3 + 0.7 * min(1.0, max(0.0, (load - 0.3) / 0.8))
    red, green, blue = (1.0 - depth * (1.0 - c) for c in to_rgb(BLUE))
    return red, green, blue


def _draw_rows(axes: Axes, rows: Sequence[tuple[str, np.ndarray]]) -> None:
    for number, (_, load) in enumerate(rows):
        step_h = _HOURS / len(load)
        for first, last, value in spans(load):
            axes.barh(number, (last - first) * step_h, left=first * step_h, height=0.72, color=_shade(value), lw=0)
    names = [n if len(n) <= _LONGEST_NAME else n[: _LONGEST_NAME - 1] + "…" for n, _ in rows]
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.set_title("Machines; darker is more load")


def _draw_power(axes: Axes, picture: PlanPicture) -> None:
    for name, total in (("schedule", picture.total_kw), *picture.rivals.items()):
        hours = np.linspace(0.0, _HOURS, len(total) + 1)
        is_own = name == "schedule"
        axes.step(hours, np.r_[total, total[-1:]], where="post", color=BLUE if is_own else GREY, label=name,
                  lw=1.6 if is_own else 1.0, ls="-" if is_own else (0, (3, 2)))  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("kW")
    axes.set_title("Power of the site")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, ncols=3, frameon=False, fontsize=8)


def _draw_price(axes: Axes, price_usd_per_kwh: np.ndarray) -> None:
    price = price_usd_per_kwh
    hours = np.arange(len(price) + 1) * _HOURS / len(price)
    level = np.r_[price, price[-1:]]
    axes.fill_between(hours, level, step="post", color=AMBER, alpha=0.35, lw=0)
    axes.step(hours, level, where="post", color=AMBER)
    axes.axhline(0.0, color=GREY, lw=0.7)
    axes.set_ylim(min(0.0, 1.1 * float(price.min())), max(0.01, 1.15 * float(price.max())))
    axes.set_ylabel("$/kWh")
    axes.set_title("Price")


def plan_figure(picture: PlanPicture) -> Figure:
    """The figure of a schedule; as high as its machines need."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({
            "font.family": "DejaVu Sans", "font.size": 9.0, "axes.edgecolor": GREY, "axes.labelcolor": INK,
            "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10.0, "axes.grid": True,
            "axes.titleweight": "bold", "axes.titlelocation": "left", "grid.color": FAINT, "axes.axisbelow": True,
        })  # fmt: skip
        chart_in = max(1.2, _ROW_IN * len(picture.rows) + 0.3)
        height_in = chart_in + _REST_IN
        figure = Figure(figsize=(10.0, height_in), dpi=110)
        axes = figure.subplots(3, 1, sharex=True, gridspec_kw={
            "height_ratios": [chart_in, 1.1, 0.8], "left": 0.19, "right": 0.97, "bottom": 0.5 / height_in,
            "top": 1.0 - 0.8 / height_in, "hspace": 0.45 * 3 / height_in + 0.08})  # fmt: skip
        local = datetime.fromtimestamp(picture.start_ms / 1000.0, UTC).astimezone(ZoneInfo(picture.timezone))
        figure.text(0.015, 1.0 - 0.22 / height_in, picture.title, fontsize=13, fontweight="bold", color=INK,
                    va="center", parse_math=False)  # fmt: skip
        figure.text(0.015, 1.0 - 0.44 / height_in, f"from {local:%Y-%m-%d %H:%M}, {picture.timezone}", color=GREY,
                    va="center", parse_math=False)  # fmt: skip
        _draw_rows(axes[0], picture.rows)
        _draw_power(axes[1], picture)
        _draw_price(axes[2], picture.price_usd_per_kwh)
        for axis in axes:
            for edge in (_SHIFT_H, 2.0 * _SHIFT_H):
                axis.axvline(edge, color=GREY, lw=0.8, ls=":")
        ticks = np.arange(0.0, _HOURS + 1.0, 2.0)
        axes[2].set_xticks(ticks, [f"{int(local.hour + t) % 24:02d}:{local.minute:02d}" for t in ticks])
        axes[2].set_xlim(0.0, _HOURS)
        return figure
