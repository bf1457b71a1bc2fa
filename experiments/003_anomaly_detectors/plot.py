"""Table and figure of the study: ``python plot.py RUNS OUT``; RUNS holds the evaluations that judge.py left."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

TRIVIAL = {"threshold": "best level of one channel (labels)", "clock": "best stretch of time (labels)",
           "random": "the twin residual's alarms at random", "always": "an alarm for ever"}  # fmt: skip
# The detector of configs/anomaly/default.yaml by its own name.
NAMES = {"default": "twin_residual"}
BANDS = ("0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1")


def share(parts: list[dict[str, Any]]) -> float:
    """Found over asked, over all plants together, in percent; NaN where nothing was asked."""
    n = sum(p["n"] for p in parts)
    return 100 * sum(p["k"] for p in parts) / n if n else float("nan")


def pooled(rows: list[dict[str, Any]], days: list[float]) -> dict[str, float]:
    """The figures of one detector over all plants together; means where nothing can be counted together."""
    delays = [r["delay_median_h"] for r in rows if r["delay_median_h"] is not None]
    return {
        "detectable found %": share([r["asked_recall"] for r in rows]),
        "all found %": share([r["event_recall"] for r in rows]),
        "true alarms %": share([r["precision"] for r in rows]),
        "alarms per machine-day": sum(r["alarms_per_machine_day"] * d for r, d in zip(rows, days, strict=True)) / sum(days),
        "median delay h": float(np.mean(delays)) if delays else float("nan"),
        "VUS-PR": float(np.mean([r["vus_pr"] for r in rows])),
    }  # fmt: skip


def by_band(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Shares found by band of severity, a list over the plants."""
    out: dict[str, list[dict[str, Any]]] = {band: [] for band in BANDS}
    for one in found:
        for row in one["by_severity"]:
            out[f"{row['low']:g}-{row['high']:g}"].append(row["found"])
    return out


def by_kind(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Shares found by kind of fault, physical kinds first, a list over the plants."""
    out: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        for row in sorted(one["by_fault"], key=lambda r: (r["is_sensor"], r["fault"])):
            out.setdefault(row["fault"], []).append(row["found"])
    return out


def text(value: float, digits: int) -> str:
    """A number, or nothing where there is none."""
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def line(name: str, budget: str, figures: dict[str, float], bands: dict[str, list[dict[str, Any]]] | None) -> dict[str, str]:
    """A line of the table."""
    digits = {"alarms per machine-day": 3, "median delay h": 1, "VUS-PR": 2}
    shown = {f"severity {b}: found %": "" if bands is None else text(share(bands[b]), 0) for b in BANDS}
    return {"detector": NAMES.get(name, name), "budget": budget, **{k: text(v, digits.get(k, 0)) for k, v in figures.items()}, **shown}


def main(runs: Path, out: Path) -> None:
    """Write table.csv and figure.png into ``out``."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for path in sorted((runs / "judged").glob("*/*/*/evaluation.json")):
        name, budget, _ = path.relative_to(runs / "judged").parts[:3]
        found.setdefault((name, budget), []).append(json.loads(path.read_text(encoding="utf-8")))
    lines, recall = [], {}
    for (name, budget), each in found.items():
        days = [e["judged"]["machine_days"] for e in each]
        figures = pooled([e["detector"] for e in each], days)
        lines.append(line(name, budget, figures, by_band(each)))
        recall[NAMES.get(name, name), budget] = figures["detectable found %"]
    lines.sort(key=lambda row: (float(row["budget"]), -recall[row["detector"], row["budget"]]))
    first = found["default", lines[0]["budget"]]
    days = [e["judged"]["machine_days"] for e in first]
    for key, words in TRIVIAL.items():
        lines.append(line(words, "", pooled([e["trivial"][key] for e in first], days), None))
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(out / "table.csv", index=False)
    draw(found, out)


def draw(found: dict[tuple[str, str], list[dict[str, Any]]], out: Path) -> None:
    """Recall against severity at both budgets, and by kind at the default one."""
    names, budgets = list(dict.fromkeys(n for n, _ in found)), sorted({b for _, b in found}, key=float)
    figure = plt.figure(figsize=(11, 6.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=[1, 0.9])
    for column, budget in enumerate(budgets):
        axis = figure.add_subplot(grid[0, column])
        for number, name in enumerate(names):
            bands = by_band(found[name, budget])
            axis.plot(BANDS, [share(bands[b]) for b in BANDS], "o-", ms=4, color=f"C{number}", label=NAMES.get(name, name))
        level = [e["trivial"]["threshold"]["event_recall"] for e in found[names[0], budget]]
        axis.axhline(share(level), color="black", ls=":", lw=1, label="best level (labels), all faults")
        axis.set(xlabel="severity", ylabel="physical faults found, %", ylim=(-3, 103))
        axis.set_title(f"{budget} false alarms per machine-day asked for", fontsize=10)
    axis.legend(fontsize=7, frameon=False, ncols=2)
    axis = figure.add_subplot(grid[1, :])
    kinds = list(by_kind(found[names[0], budgets[0]]))
    table = np.array([[share(by_kind(found[n, b])[k]) for k in kinds] for n in names for b in budgets])
    image = axis.imshow(table, aspect="auto", cmap="Blues", vmin=0, vmax=100)
    for (y, x), value in np.ndenumerate(table):
        axis.text(x, y, text(value, 0), ha="center", va="center", fontsize=7, color="white" if value > 60 else "black")
    axis.set_xticks(range(len(kinds)), kinds, fontsize=8)
    axis.set_yticks(range(len(table)), [f"{NAMES.get(n, n)}, {b}" for n in names for b in budgets], fontsize=7)
    axis.set_title("found by kind of fault, %", fontsize=10)
    figure.colorbar(image, ax=axis, shrink=0.9)
    figure.savefig(out / "figure.png", dpi=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
