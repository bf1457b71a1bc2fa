"""Table and figure of the study: ``python plot.py RUNS OUT``; RUNS holds the sweep."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

KEY = "forecast.overrides"


def weeks(settings: str) -> float:
    """The length of history in weeks from the value of the axis, such as ["train_h=336"]."""
    return next(int(s.removeprefix("train_h=")) for s in json.loads(settings) if s.startswith("train_h=")) / 168


def main(runs: Path, out: Path) -> None:
    """Write table.csv and figure.png into ``out``."""
    (path,) = (runs / "sweep").glob("*/results.parquet")
    found = pd.read_parquet(path)
    found["weeks"] = found[KEY].map(weeks)
    models = [c.removeprefix("forecast.").removesuffix("_mase") for c in found.columns if c.endswith("_mase")]
    best = {m: found[f"forecast.{m}_mase"].mean() for m in models}
    lines = []
    figure, axis = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    for number, model in enumerate(sorted(models, key=best.__getitem__)):
        rows = found.groupby("weeks")[f"forecast.{model}_mase"]
        axis.plot(rows.mean().index, rows.mean(), "o-", ms=4, color=f"C{number}", label=model)
        axis.fill_between(rows.mean().index, rows.min(), rows.max(), color=f"C{number}", alpha=0.15)
        for length, values in rows:
            lines.append((model, f"{length:g}", f"{values.mean():.3f}", f"{values.min():.3f} to {values.max():.3f}"))
    axis.set(
        xlabel="weeks of history", ylabel="MASE (less is better)", yscale="log", xticks=sorted(set(found["weeks"]))
    )
    ticks = [0.7, 1, 1.5, 2, 3, 4]
    axis.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines, columns=["model", "weeks of history", "MASE", "over seeds"]).to_csv(
        out / "table.csv", index=False
    )
    figure.savefig(out / "figure.png", dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
