"""The picture of an autonomy study: cost of the fleet against approval latency, a panel per policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nexova_sim.report.trajectory import BLUE, GREY, INK, RED, TEAL

_COLOURS = (BLUE, RED, TEAL)


def autonomy_figure(means: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """``means`` as ``run.decision_autonomy.means`` gives them; thousands of USD over the span of the fleet."""
    policies = [p for p in dict.fromkeys(row["policy"] for row in means) if p != "never"]
    figure = Figure(figsize=(4.6 * max(1, len(policies)) + 0.6, 4.4), dpi=130)
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", color=INK)
    never = next((row["total_usd"] for row in means if row["policy"] == "never"), None)
    for n, policy in enumerate(policies):
        axes = figure.add_subplot(1, len(policies), n + 1)
        _panel(axes, [row for row in means if row["policy"] == policy], never)
        axes.set_ylim(0.0, 1.05 * max(row["total_usd"] for row in means) / 1e3)
        axes.set_title(policy)
        axes.set_xlabel("approval latency, h")
        if n == 0:
            axes.set_ylabel("cost of the fleet, thousand USD")
    figure.subplots_adjust(left=0.09, right=0.98, top=0.84, bottom=0.3, wspace=0.22)
    handles, labels = figure.axes[0].get_legend_handles_labels() if figure.axes else ([], [])
    figure.legend(handles, labels, loc="lower left", ncols=3, fontsize=8, frameon=False, bbox_to_anchor=(0.05, 0.0))
    return figure


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]], never_usd: float | None) -> None:
    if never_usd is not None:
        axes.axhline(never_usd / 1e3, color=GREY, linewidth=1.0, linestyle=":", label="nothing is ever done")
    for row in rows:
        if row["latency_h"] == 0.0:
            axes.axhline(row["total_usd"] / 1e3, color=INK, linewidth=1.2, linestyle="--", label="everything at once")
    lines = dict.fromkeys((row["level"], row["skill_frac"]) for row in rows if row["latency_h"] > 0.0)
    levels = list(dict.fromkeys(level for level, _ in lines))
    for level, skill in lines:
        own = sorted((r for r in rows if (r["level"], r["skill_frac"]) == (level, skill) and r["latency_h"] > 0.0),
                     key=lambda r: float(r["latency_h"]))  # fmt: skip
        text = f"at once: {level}; reviewer sees {100.0 * skill:.0f} %"
        axes.plot([r["latency_h"] for r in own], [r["total_usd"] / 1e3 for r in own], marker="o", markersize=3.5,
                  color=_COLOURS[levels.index(level) % len(_COLOURS)], linestyle="-" if skill > 0.0 else (0, (4, 2)),
                  label=text)  # fmt: skip
    axes.set_xscale("symlog", linthresh=1.0)
    ticks = sorted({float(r["latency_h"]) for r in rows if r["latency_h"] > 0.0})
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
