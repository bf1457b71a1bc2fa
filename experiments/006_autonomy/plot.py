"""Tables and figures of the study: ``python plot.py RUNS OUT``; RUNS holds the sweep and the autonomy study."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

AT_ONCE = {"offline": "OFFLINE", "none": "nothing"}
RATE = "simulate.overrides.faults.rate_factor"
JUDGED = "decisions.judged."


def policies(runs: Path, out: Path) -> None:
    """table_policies.csv and policies.png: regret and claims, means over the seeds with least and greatest."""
    (path,) = (runs / "replay").glob("*/results.parquet")
    found = pd.read_parquet(path)
    names = list(dict.fromkeys(c.removeprefix(JUDGED).rpartition(".")[0] for c in found.columns if c.startswith(JUDGED)))
    rates = sorted(found[RATE].unique())
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.6), layout="constrained")
    lines = []
    for number, rate in enumerate(rates):
        rows = found[found[RATE] == rate]
        of = lambda name, what, rows=rows: rows.get(f"{JUDGED}{name}.{what}", pd.Series(np.nan, rows.index)).astype(float)  # noqa: E731
        for name in names:
            regret, claims = of(name, "regret_usd"), int(of(name, "n_claims").sum())
            text = lambda what, scale=1.0, name=name, of=of: f"{scale * of(name, what).mean():.0f}"  # noqa: E731
            lines.append({
                "rate of faults": f"{rate:g}", "policy": name, "decisions": str(int(rows["decisions.episodes"].sum())),
                "regret USD": f"{regret.mean():.0f}", "over seeds": f"{regret.min():.0f} to {regret.max():.0f}",
                "95 % below": text("regret_p95_usd"), "best action %": text("agreement_frac", 100.0),
                "claims": str(claims), "claim off by USD": text("claim_error_usd") if claims else "",
                "claim too high by USD": text("claim_bias_usd") if claims else "",
                "claimed gains that lost %": text("claimed_gain_lost_frac", 100.0) if claims else "",
            })  # fmt: skip
        y = np.arange(len(names)) + (number - (len(rates) - 1) / 2) * 0.36
        mean = [of(n, "regret_usd").mean() for n in names]
        spread = [[m - of(n, "regret_usd").min() for m, n in zip(mean, names, strict=True)],
                  [of(n, "regret_usd").max() - m for m, n in zip(mean, names, strict=True)]]  # fmt: skip
        left.barh(y, mean, height=0.34, xerr=spread, error_kw={"lw": 0.8}, color=f"C{number}", label=f"faults x {rate:g}")
        right.plot([100 * of(n, "agreement_frac").mean() for n in names], mean, "o", color=f"C{number}", label=f"faults x {rate:g}")
        if number == len(rates) - 1:
            for n, m in zip(names, mean, strict=True):
                right.annotate(n, (100 * of(n, "agreement_frac").mean(), m), xytext=(5, 3), textcoords="offset points", fontsize=7)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set(xlabel="mean regret, USD per decision, and its range over seeds")
    left.legend(fontsize=8, frameon=False, loc="lower right")
    right.set(xlabel="chose the best action, % of the clear cases", ylabel="mean regret, USD", ylim=(0, None), xlim=(-5, 118))
    pd.DataFrame(lines).to_csv(out / "table_policies.csv", index=False)
    figure.savefig(out / "policies.png", dpi=90)


def autonomy(runs: Path, out: Path) -> None:
    """table.csv (mean cost over the seeds, thousand USD) and figure.png."""
    found = pd.read_csv(runs / "autonomy" / "autonomy.csv")
    cost = (found.groupby(["policy", "level", "skill_frac", "latency_h"])["total_usd"].mean() / 1e3).round(0)
    lines = []
    for (policy, level, skill), _ in cost.groupby(["policy", "level", "skill_frac"], sort=False):
        if level in AT_ONCE and policy != "never":
            waits = {f"{h:g} h": f"{v:.0f}" for h, v in cost[policy, level, skill].items()}
            free = cost[policy, "all"].iloc[0]
            lines.append({"policy": policy, "at once": AT_ONCE[level], "reviewer sees": f"{skill:.0%}",
                          "everything at once": f"{free:.0f}", **waits})  # fmt: skip
    table = pd.DataFrame(lines).sort_values(["policy", "at once", "reviewer sees"], ascending=[False, True, True])
    table.to_csv(out / "table.csv", index=False)
    shutil.copy(runs / "autonomy" / "plot.png", out / "figure.png")


def main(runs: Path, out: Path) -> None:
    """Write both tables and figures into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    policies(runs, out)
    autonomy(runs, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
