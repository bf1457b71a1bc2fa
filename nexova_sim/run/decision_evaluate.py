"""``nexova decisions evaluate``: every measure of the decisions in a replay's folder, and the attack suites."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import DataError
from nexova_sim.config.attack import AttackConfig
from nexova_sim.config.decision import DecisionConfig, ResolvedDecision
from nexova_sim.config.load import build, read_yaml
from nexova_sim.dataset.read import naming
from nexova_sim.dataset.stage import write_durably
from nexova_sim.decide import scoring
from nexova_sim.decide.policy import check_policy
from nexova_sim.run.decision_attacks import attack
from nexova_sim.run.decisions import TABLE, read_summary

EVALUATION = "evaluation.json"


def read_decisions(folder: Path) -> pa.Table:
    """The decisions table of a replay; DataError when the folder holds none."""
    read_summary(folder)
    with naming(folder / TABLE):
        return pq.read_table(folder / TABLE)


def read_config(folder: Path) -> ResolvedDecision:
    """The configuration a replay was made with."""
    path = folder / "config.resolved.yaml"
    if not path.is_file():
        raise DataError(f"{path}: missing; replay the decisions again with --overwrite")
    return build(ResolvedDecision, read_yaml(path), str(path))


def columns_of(table: pa.Table) -> dict[str, np.ndarray]:
    """The columns of a decisions table as arrays; numbers float64 with NaN for null."""
    found = {}
    for field in table.schema:
        column = table[field.name]
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type):
            found[field.name] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        else:
            found[field.name] = np.array(column.to_pylist(), object)
    return found


def evaluate(folder: Path, suite: AttackConfig | None = None) -> dict[str, Any]:
    """Every measure by policy; also written as evaluation.json beside the table. DataError without judged decisions.

    ``suite`` is tried on the policies that need neither a dataset nor a cassette; the others go through ``attack``.
    """
    summary, table, config = read_summary(folder), read_decisions(folder), read_config(folder).decision
    if not summary["is_judged"]:
        raise DataError(f"{folder}: these decisions were not judged (or there are none); replay with --judge")
    parts = {name: columns_of(table.filter(pa.compute.equal(table["policy"], name)))
             for name in dict.fromkeys(table["policy"].to_pylist())}  # fmt: skip
    policies = [score(name, columns, config) for name, columns in parts.items()]
    found = {"dataset": summary["dataset"], "config": summary["config"], "horizon_h": summary["horizon_h"],
             "episodes": summary["episodes"], "policies": policies, "pairs": _pairs(parts, config),
             "loop": summary.get("loop", []),
             "attacks": [attack(suite, name, config) for name in parts if suite is not None and _is_free(name)],
             }  # fmt: skip
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(folder / EVALUATION, text.encode("utf-8"))
    return found


def _is_free(policy: str) -> bool:
    return check_policy(policy) not in ("twin", "gemini")


def score(name: str, columns: Mapping[str, np.ndarray], config: DecisionConfig) -> dict[str, Any]:
    """The measures of one policy; repeats count for consistency alone."""
    first = {key: values[columns["repeat"] == 0] for key, values in columns.items()}
    rules = config.rules
    price = next((p for p in config.model.prices if str(first["model"][0] or "").startswith(p.model)), None)
    return {
        "policy": name,
        "n": len(first["regret_usd"]),
        "regret": scoring.regret(first),
        "agreement": scoring.agreement(first),
        "saving_claims": scoring.claims(first["claimed_saving_usd"], first["saving_true_usd"],
                                        first["saving_se_usd"]),
        "prevented_claims": scoring.claims(first["claimed_prevented_usd"], first["prevented_true_usd"], None),
        "calibration": scoring.calibration(first),
        "consistency": scoring.consistency(columns),
        "validity": scoring.validity(first),
        "guidelines": scoring.guidelines(first, rules.maintenance_above_c, rules.offline_above_percent,
                                         rules.warning_above_mm_s),
        "asking": scoring.asking(first, price.input_usd_per_million if price else None,
                                 price.output_usd_per_million if price else None),
    }  # fmt: skip


def _pairs(parts: Mapping[str, Mapping[str, np.ndarray]], config: DecisionConfig) -> list[dict[str, Any]]:
    """Every policy against the first on the same situations: difference of regret with its interval."""
    regrets = {name: c["regret_usd"][c["repeat"] == 0] for name, c in parts.items()}
    names = list(regrets)
    return [{"policy": name, "against": names[0], **scoring.paired_bootstrap(regrets[name], regrets[names[0]],
                                                                             config.seed)}
            for name in names[1:]]  # fmt: skip
