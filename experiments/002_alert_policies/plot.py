"""Table and figure of the study: ``python plot.py RUNS OUT``; RUNS holds the sweep."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

KEY = "simulate.overrides.faults.rate_factor"
SHOWN = {"seed": "#c2571a", "isa18": "#1f5fa8", "isa18_nearest": "#6aa84f"}
# Where the name of a policy stands beside its point, in points.
PLACES = {"seed": (-4, 8), "episodes": (-14, 8), "deadband": (-30, -14), "on_delay": (6, 3), "off_delay": (-46, -12),
          "filter": (8, -2), "isa18": (-28, 4), "isa18_near": (8, 8), "isa18_nearest": (4, -16)}  # fmt: skip


def by_kind(axis: plt.Axes, found: pd.DataFrame) -> None:
    """Recall and chance of three policies by kind of fault, all rates and seeds together."""
    names = [c.split(".")[2] for c in found.columns if c.startswith("alerts.faults.") and c.endswith(".found")]
    kinds = sorted(k for k in names if k != "all" and not k.startswith("failure"))
    kinds += sorted(k for k in names if k.startswith("failure"))
    for number, (policy, colour) in enumerate(SHOWN.items()):
        rows = found[found["alerts.policy_name"] == policy]
        y = np.arange(len(kinds)) + (number - 1) * 0.26
        n = np.array([rows[f"alerts.faults.{k}.events"].sum() for k in kinds])
        recall = [rows[f"alerts.faults.{k}.found"].sum() for k in kinds] / n
        chance = [(rows[f"alerts.faults.{k}.chance_frac"] * rows[f"alerts.faults.{k}.events"]).sum() for k in kinds] / n
        axis.barh(y, recall, height=0.24, color=colour, label=policy)
        axis.plot(chance, y, "|", color="black", ms=7, label="by chance" if number == 2 else None)
    axis.set_yticks(range(len(kinds)), kinds, fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel="share of faults found, all rates and seeds together", xlim=(0, 1.02))


def main(runs: Path, out: Path) -> None:
    """Write table.csv and figure.png into ``out``."""
    (path,) = (runs / "sweep").glob("*/results.parquet")
    found = pd.read_parquet(path)
    # The sweep's own column alerts.policy is the file; the name that the policy goes by stands in its overrides.
    found["alerts.policy_name"] = found["alerts.overrides"].str.extract(r'"name=([a-z0-9_]+)"')[0]
    policies = list(dict.fromkeys(found["alerts.policy_name"]))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=[1.2, 1])
    lines = []
    for number, (rate, rows) in enumerate(found.groupby(KEY)):
        groups = rows.groupby("alerts.policy_name")
        mean = groups.mean(numeric_only=True).loc[policies]
        n_faults = groups["alerts.faults.all.events"].sum().loc[policies]
        recall = groups["alerts.faults.all.found"].sum().loc[policies] / n_faults
        beyond = recall - mean["alerts.faults.all.chance_frac"]
        spread = (rows["alerts.faults.all.recall_frac"] - rows["alerts.faults.all.chance_frac"]).groupby(rows["alerts.policy_name"])
        per_h = mean["alerts.per_operator_hour"]
        left.errorbar(per_h, beyond, yerr=[beyond - spread.min()[policies], spread.max()[policies] - beyond], fmt="o", ms=4,
                      elinewidth=0.5, color=f"C{number}", label=f"faults x {rate:g}, over seeds")  # fmt: skip
        steps = policies.index("isa18") + 1
        left.plot(per_h[:steps], beyond[:steps], "-", lw=0.8, color=f"C{number}")
        left.plot(per_h[steps - 1 :], beyond[steps - 1 :], ":", lw=0.8, color=f"C{number}")
        if number == 0:
            for policy in policies:
                left.annotate(policy, (per_h[policy], beyond[policy]), xytext=PLACES[policy], textcoords="offset points", fontsize=8)
        for policy in policies:
            one = mean.loc[policy]
            per_h = rows.loc[rows["alerts.policy_name"] == policy, "alerts.per_operator_hour"]
            lines.append({
                "rate of faults": f"{rate:g}", "policy": policy,
                "alarms per operator-hour": f"{one['alerts.per_operator_hour']:.3g}",
                "over seeds": f"{per_h.min():.3g} to {per_h.max():.3g}",
                "chattering": f"{one['alerts.chattering']:.1f}",
                "true alarms %": f"{100 * one['alerts.precision_frac']:.0f}",
                "faults": str(int(n_faults[policy])), "found %": f"{100 * recall[policy]:.0f}",
                "by chance %": f"{100 * one['alerts.faults.all.chance_frac']:.0f}",
                "median delay h": f"{one['alerts.faults.all.delay_median_h']:.1f}",
            })  # fmt: skip
    left.set(xscale="log", xlabel="alarms per operator-hour", ylabel="share of faults found beyond chance", xlim=(0.15, 3000))
    left.axhline(0, color="grey", lw=0.6)
    left.axvline(6, color="grey", lw=0.6, ls=":")
    left.text(6.5, 0.24, " 6 an hour: ISA-18.2's limit", fontsize=7, color="grey", va="top")
    left.legend(fontsize=8, frameon=False, loc="lower left")
    by_kind(right, found)
    right.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=4, columnspacing=1, handlelength=1)
    out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(lines).to_csv(out / "table.csv", index=False)
    figure.savefig(out / "figure.png", dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
