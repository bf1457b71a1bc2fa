"""Table and figure of the study: ``python plot.py RUNS OUT``; RUNS holds the sweep."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

KEY = "simulate.overrides.faults.rate_factor"
NAMES = {"twin": "#1f5fa8", "decision_tree": "#6aa84f", "constant_mean_life": "#888888", "seed_formula": "#c2571a"}


def main(runs: Path, out: Path) -> None:
    """Write table.csv and figure.png into ``out``."""
    (path,) = (runs / "sweep").glob("*/results.parquet")
    found = pd.read_parquet(path)
    lines = []
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
    for axis, score in zip(axes, ("rmse_h", "crps_h"), strict=True):
        for name, colour in NAMES.items():
            groups = found.groupby(KEY)[f"rul.{name}_{score}"]
            axis.plot(found[KEY], found[f"rul.{name}_{score}"], "o", ms=3, color=colour, alpha=0.6)
            axis.plot(groups.mean().index, groups.mean(), "-", color=colour, label=name)
        axis.set(xlabel="rate of faults (1 = as usual)", ylabel=f"{score[:-2].upper()}, hours", ylim=(0, None))
    axes[0].legend(fontsize=8, frameon=False)
    for rate, rows in found.groupby(KEY):
        for name in NAMES:
            rmse, crps = rows[f"rul.{name}_rmse_h"], rows[f"rul.{name}_crps_h"]
            lines.append((f"{rate:g}", name, f"{rmse.mean():.1f}", f"{rmse.min():.1f} to {rmse.max():.1f}",
                          f"{crps.mean():.1f}", f"{crps.min():.1f} to {crps.max():.1f}"))  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    columns = ["rate of faults", "method", "RMSE h", "RMSE over seeds", "CRPS h", "CRPS over seeds"]
    pd.DataFrame(lines, columns=columns).to_csv(out / "table.csv", index=False)
    figure.savefig(out / "figure.png", dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
