"""Table of the study: ``python plot.py RUNS OUT``; RUNS holds autonomy.csv and its figure."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pandas as pd

AT_ONCE = {"offline": "OFFLINE", "none": "nothing"}


def main(runs: Path, out: Path) -> None:
    """Write table.csv (mean cost over the seeds, thousand USD) and figure.png into ``out``."""
    found = pd.read_csv(runs / "autonomy.csv")
    cost = (found.groupby(["policy", "level", "skill_frac", "latency_h"])["total_usd"].mean() / 1e3).round(0)
    lines = []
    for (policy, level, skill), _ in cost.groupby(["policy", "level", "skill_frac"], sort=False):
        if level in AT_ONCE and policy != "never":
            waits = {f"{h:g} h": f"{v:.0f}" for h, v in cost[policy, level, skill].items()}
            free = cost[policy, "all"].iloc[0]
            lines.append({"policy": policy, "at once": AT_ONCE[level], "reviewer sees": f"{skill:.0%}",
                          "everything at once": f"{free:.0f}", **waits})  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(lines).sort_values(["policy", "at once", "reviewer sees"], ascending=[False, True, True])
    table.to_csv(out / "table.csv", index=False)
    shutil.copy(runs / "plot.png", out / "figure.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
