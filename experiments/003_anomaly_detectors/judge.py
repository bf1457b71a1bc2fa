"""Every detector fitted on one plant and judged on others: ``python judge.py RUNS [small]``; leaves folders below RUNS."""

from __future__ import annotations

import sys
from pathlib import Path

import nexova_sim as nx

HERE = Path(__file__).parent
# The first is the detectors' default: false alarms asked for on normal history, per machine-day.
BUDGETS = ("0.002", "0.05")
DETECTORS = ("default", "robust_z", "mewma", "pca_t2q", "half_space_trees", "forecast_residual", "isolation_forest")


def main(runs: Path, is_small: bool) -> None:
    """Fit, score, evaluate; what is there is not made again."""
    less = ["days=16", *(f"factories.0.machines.{k}={n}" for k, n in (("pump", 2), ("motor", 1), ("compressor", 0), ("conveyor", 1)))]
    seeds, detectors = ((1,), ("default", "robust_z")) if is_small else ((1, 2, 3), DETECTORS)
    rules = nx.load_evaluation("configs/anomaly/evaluate.yaml", ["n_random=20", "n_bootstrap=20"])
    normal = nx.simulate_fleet(nx.load_fleet(HERE / "fit.yaml", less if is_small else []), runs / "normal").folder
    plants = {}
    for seed in seeds:
        fleet = nx.load_fleet(HERE / "judged.yaml", [f"seed={seed}", *(less if is_small else [])])
        plants[seed] = nx.simulate_fleet(fleet, runs / f"plant-{seed}").folder
    for name in detectors:
        for budget in BUDGETS:
            config = nx.load_anomaly(f"configs/anomaly/{name}.yaml", [f"calibration.budget_per_machine_day={budget}"])
            model = nx.fit_anomaly(normal, config, runs / "models" / f"{name}-{budget}").folder
            for seed, plant in plants.items():
                place = f"{name}/{budget}/{seed}"
                scores = nx.score_anomaly(plant, model, runs / "scores" / place).folder
                nx.evaluate_anomalies(plant, scores, rules, runs / "judged" / place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] == ["small"])
