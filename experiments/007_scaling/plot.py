"""Table and figure of the study: ``python plot.py RUNS OUT``; RUNS holds the sweeps machines, days and dt."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

SWEEPS = {
    "machines": ("simulate.overrides.factories.0.machines.pump", "machines"),
    "days": ("simulate.overrides.days", "days"),
    "dt": ("simulate.overrides.dt_s", "seconds between readings"),
}


def read(folder: Path, key: str) -> pd.DataFrame:
    """Least CPU-seconds over the replicates at every point of a sweep; the other replicate paid for warming up."""
    (path,) = folder.glob("*/results.parquet")
    rows = pd.read_parquet(path).rename(columns={key: "x", "simulate.rows.readings": "readings"})
    return rows.groupby("x", as_index=False).agg(cpu_s=("cpu_s", "min"), readings=("readings", "mean"))


def main(runs: Path, out: Path) -> None:
    """Write table.csv and figure.png into ``out``."""
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.3), layout="constrained")
    lines = []
    for axis, (name, (key, label)) in zip(axes, SWEEPS.items(), strict=True):
        found = read(runs / name, key)
        x = found["x"] * 2 if name == "machines" else found["x"]
        million = found["readings"] / 1e6
        slope, fixed = np.polyfit(million, found["cpu_s"], 1)
        axis.loglog(x, found["cpu_s"], "o", color="#1f5fa8", label="measured")
        axis.loglog(
            x, fixed + slope * million, "-", color="#c2571a", label=f"{fixed:.2f} s + {slope:.3f} s per million"
        )
        axis.set(xlabel=label, ylabel="CPU-seconds" if name == "machines" else "")
        axis.set_xticks(x, [f"{v:g}" for v in x])
        axis.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
        axis.minorticks_off()
        axis.legend(fontsize=7, frameon=False, loc="upper right" if name == "dt" else "upper left")
        for value, cpu_s, readings in zip(x, found["cpu_s"], million, strict=True):
            lines.append((name, f"{value:g}", f"{readings:.3f}", f"{cpu_s:.2f}", f"{cpu_s / readings:.3f}"))
        lines.append((name, "fit", "", f"{fixed:.2f} fixed", f"{slope:.3f}"))
    out.mkdir(parents=True, exist_ok=True)
    columns = ["varied", "value", "million readings", "CPU-s", "CPU-s per million"]
    pd.DataFrame(lines, columns=columns).to_csv(out / "table.csv", index=False)
    figure.savefig(out / "figure.png", dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
