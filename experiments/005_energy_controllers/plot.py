"""Tables and figure of the study: ``python plot.py RUNS OUT``; RUNS holds trainings and the comparison."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd

NAMES = {
    "bau": "business as usual", "flat": "even pace", "tou": "time of use", "rule": "seven-parameter rule",
    "bids": "scheduler, tuned", "context": "scheduler + linear policy (CMA-ES)", "ppo": "scheduler + PPO",
    "ppo_tuned": "scheduler + PPO, tuned again", "ppo_alone": "PPO from the hand-set scheduler", "sac": "scheduler + SAC", "mpc": "MPC",
    "lookahead": "scheduler + look-ahead on the twin", "perfect": "perfect information",
}  # fmt: skip
COLORS = {"ppo": "C0", "ppo_tuned": "C5", "ppo_alone": "C1", "context": "C2", "bids": "C3", "sac": "C4"}


def ranged(row: dict[str, float] | None, digits: int = 1) -> str:
    """A value with its interval."""
    if row is None or row["value"] is None:
        return ""
    return "{value:.{d}f} [{low:.{d}f}; {high:.{d}f}]".format(**row, d=digits)


def training_cpu_s(tuning: list[dict[str, Any]]) -> str:
    """Mean CPU-seconds per seed, with those of what it began from."""

    def whole(made: dict[str, Any]) -> float:
        before = made.get("scheduler", made.get("start"))
        return float(made.get("cpu_s", 0.0)) + (whole(before) if isinstance(before, dict) else 0.0)

    return f"{sum(whole(m) for m in tuning) / len(tuning):.0f}" if tuning else ""


def table(judged: dict[str, Any]) -> pd.DataFrame:
    """A row per controller."""
    gaps = {(r["controller"], r["minus"]): r["usd_per_day"] for r in judged["differences"]}
    yard = judged["yardsticks"]
    bound, best = yard.get("share_of_bound", {}), yard.get("share_of_best_known", {})
    bound = bound | {name: yard.get(f"{name}_share_of_bound") for name in ("mpc", "lookahead")}
    rows = []
    for row in (*judged["controllers"], *yard.get("programs", ())):
        name = row["controller"]
        days = {"mpc": yard.get("n_mpc_days"), "lookahead": yard.get("n_lookahead_days"),
                "perfect": yard.get("n_slow_days")}.get(name)  # fmt: skip
        rows.append({
            "controller": NAMES[name] + (f", first {days} days" if days else ""),
            "seeds": row["n_seeds"], "USD a day": ranged(row["mean_usd"]),
            "IQM": f"{row['iqm_usd']:.1f}",
            "minus the rule": ranged(gaps.get((name, "rule"))), "minus the scheduler": ranged(gaps.get((name, "bids"))),
            "minus MPC": ranged(yard.get("against_mpc", {}).get(name)),
            "minus look-ahead": ranged(yard.get("against_lookahead", {}).get(name)),
            "of the bound's saving": ranged(bound.get(name), 2), "of the best known": ranged(best.get(name), 2),
            "us a decision": f"{row['cpu_us_per_decision']:.1f}",
            "search and training, CPU-s a seed": training_cpu_s(row["tuning"]),
        })  # fmt: skip
    return pd.DataFrame(rows)


def shifted(judged: dict[str, Any]) -> pd.DataFrame:
    """Mean cost of every controller in the worlds it was not made for."""
    worlds = {"as made": judged["controllers"]} | judged["shifted"]
    return pd.DataFrame(
        {world: {NAMES[r["controller"]]: round(r["mean_usd"]["value"], 1) for r in rows}
         for world, rows in worlds.items()}
    ).rename_axis("USD a day").reset_index()  # fmt: skip


def curves(axis: plt.Axes, folder: Path, color: str, label: str) -> None:
    """Cost on the validation days against decisions, a line per seed, over where each began."""
    for number, path in enumerate(sorted(folder.glob("history-*.csv"))):
        found = pd.read_csv(path)
        axis.plot(found["decisions"] / 1e6, found["validation_usd_per_day"], color=color, lw=1,
                  label=label if number == 0 else None)  # fmt: skip


def main(runs: Path, out: Path) -> None:
    """Write table.csv, shifted.csv and figure.png into ``out``."""
    judged = json.loads((runs / "evaluate/evaluation.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    table(judged).to_csv(out / "table.csv", index=False)
    shifted(judged).to_csv(out / "shifted.csv", index=False)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained", width_ratios=(1, 1.25))
    curves(left, runs / "ppo", COLORS["ppo"], NAMES["ppo"])
    curves(left, runs / "alone", COLORS["ppo_alone"], NAMES["ppo_alone"])
    left.set(
        xlabel="million decisions", ylabel="validation days, USD a day", yscale="log", title="Learning, a line per seed"
    )
    low, high = left.get_ylim()
    ticks = [t for t in (1430, 1440, 1450, 1460, 1480, 1500, 1550, 1600) if low <= t <= high]
    left.set_yticks(ticks, [str(t) for t in ticks])
    left.minorticks_off()
    left.legend(frameon=False, fontsize=8)
    rows = [r for r in judged["differences"] if r["minus"] == "rule" and r["controller"] not in ("bau", "flat")]
    for name in ("mpc", "lookahead"):
        gap = judged["yardsticks"].get(f"against_{name}", {}).get("rule")
        if gap is not None:  # told as the rule minus it
            rows.append(
                {"controller": name, "usd_per_day": {"value": -gap["value"], "low": -gap["high"], "high": -gap["low"]}}
            )
    rows.sort(key=lambda r: -r["usd_per_day"]["value"])
    for y, row in enumerate(rows):
        gap = row["usd_per_day"]
        color = COLORS.get(row["controller"], "C7")
        right.plot([gap["low"], gap["high"]], [y, y], color=color, lw=2)
        right.plot(gap["value"], y, "o", color=color)
    right.set_yticks(range(len(rows)), [NAMES[r["controller"]] for r in rows], fontsize=8)
    right.axvline(0.0, color="k", lw=0.7)
    right.set(xlabel=f"minus the rule, USD a day ({judged['n_days']} {judged['part']} days)",
              title="Paired differences, 95 %")  # fmt: skip
    figure.savefig(out / "figure.png", dpi=100)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
