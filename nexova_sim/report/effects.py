"""The effect plot of a sweep: a panel per metric, the mean over replicates with its 95 % interval, a line per group."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nexova_sim.report.panels import Panel
from nexova_sim.report.trajectory import _STYLE, BLUE, GREY, INK, RED, TEAL, VIOLET

_COLORS = (BLUE, "#d97706", TEAL, RED, VIOLET, "#4d7c0f", "#be185d", INK)


def effects_figure(panels: Sequence[Panel], title: str) -> Figure:
    """Two panels in a row; the names of keys and metrics are drawn as they are (no math)."""
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(5.2 * columns + 0.6, 3.3 * rows + 0.8), dpi=110, layout="constrained")
        figure.suptitle(
            _short(title, 90), x=0.01, ha="left", fontsize=13, fontweight="bold", parse_math=False, color=INK
        )
        axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axis, panel in zip(axes, panels, strict=False):
            _draw(axis, panel)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        return figure


def _draw(axis: Axes, panel: Panel) -> None:
    names = list(dict.fromkeys(str(x) for line in panel.lines for x in line.x if isinstance(x, str)))
    for number, line in enumerate(panel.lines):
        color = _COLORS[number % len(_COLORS)]
        x = np.array([names.index(v) if isinstance(v, str) else v for v in line.x], float)
        # Lines of names stand side by side, so that their intervals can be told apart.
        shift = (number - (len(panel.lines) - 1) / 2) * min(0.12, 0.6 / len(panel.lines)) if names else 0.0
        label = _short(line.label, 30) if panel.by else None
        if names:
            reach = np.vstack([line.mean - line.low, line.high - line.mean])
            axis.errorbar(x + shift, line.mean, np.nan_to_num(reach), fmt="o", color=color, capsize=3, label=label)
        else:
            axis.fill_between(x, line.low, line.high, color=color, alpha=0.18, linewidth=0)
            axis.plot(x, line.mean, "o-", color=color, markersize=3.5, label=label)
    if names:
        axis.set_xticks(range(len(names)))
        axis.set_xticklabels([_short(n, 24) for n in names], parse_math=False,
                             rotation=20 if max(map(len, names)) > 10 else 0,
                             ha="right" if max(map(len, names)) > 10 else "center")  # fmt: skip
    elif panel.is_log:
        axis.set_xscale("log")
    axis.set_title(_short(panel.metric, 52), parse_math=False)
    axis.set_xlabel(_short(panel.x, 60), parse_math=False, color=GREY)
    if panel.by:
        legend = axis.legend(title=_short(panel.by, 40), fontsize=8, title_fontsize=8, frameon=False)
        for text in [*legend.get_texts(), legend.get_title()]:
            text.set_parse_math(False)


def _short(text: str, most: int) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in text)
    return shown if len(shown) <= most else "..." + shown[-(most - 3) :]
