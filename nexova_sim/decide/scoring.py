"""How good decisions were: regret, agreement, claims, calibration, consistency, guidelines, cost of asking.

Every function takes the columns of n decisions of one policy as arrays (the decisions table) and is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from nexova_sim.decide.decision import ACTIONS, PATHS, RISK_LEVELS

Columns = Mapping[str, np.ndarray]
_BOOT = 2000
_BAR_SE = 1.96


def regret(columns: Columns) -> dict[str, float]:
    """Mean, 95th percentile and largest regret, USD per decision."""
    values = columns["regret_usd"]
    return {"mean_usd": float(values.mean()), "p95_usd": float(np.quantile(values, 0.95)),
            "max_usd": float(values.max())}  # fmt: skip


def paired_bootstrap(first: np.ndarray, second: np.ndarray, seed: int) -> dict[str, float]:
    """Mean of first - second over paired situations (n,), with its 95 % percentile interval."""
    difference = first - second
    rng = np.random.default_rng(seed)
    n = len(difference)
    means = np.array([difference[rng.integers(0, n, n)].mean() for _ in range(_BOOT)])
    low, high = np.quantile(means, [0.025, 0.975])
    return {"mean_usd": float(difference.mean()), "low_usd": float(low), "high_usd": float(high)}


def agreement(columns: Columns) -> dict[str, float | int | None]:
    """Share of decisions that are the best action, where the best two differ by more than 2 standard errors."""
    clear = columns["is_clear"].astype(bool)
    same = columns["action_taken"][clear] == columns["action_best"][clear]
    return {"share": float(same.mean()) if clear.any() else None, "n_clear": int(clear.sum()),
            "n_tied": int((~clear).sum())}  # fmt: skip


def claims(claimed: np.ndarray, true: np.ndarray, se: np.ndarray | None) -> dict[str, float | int | None]:
    """Claimed against true USD where something was claimed: error, bias, share that promised a gain and lost.

    ``inside_share`` is the share inside the 95 % interval of the judge; None without ``se``.
    """
    made = claimed > 0.0
    if not made.any():
        return {"n": 0, "mae_usd": None, "bias_usd": None, "wrong_sign_share": None, "inside_share": None}
    error = claimed[made] - true[made]
    inside = None if se is None else float((np.abs(error) <= _BAR_SE * se[made]).mean())
    return {"n": int(made.sum()), "mae_usd": float(np.abs(error).mean()), "bias_usd": float(error.mean()),
            "wrong_sign_share": float((true[made] <= 0.0).mean()), "inside_share": inside}  # fmt: skip


def calibration(columns: Columns) -> dict[str, Any]:
    """True chance of failure behind each risk level, whether it rises with the level, and the Brier score.

    The forecast of a level is its own mean chance; ``brier_flat`` is that of one chance for all, so the difference
    over ``brier_flat`` is what the levels are worth.
    """
    p, level = columns["p_fail_none"], columns["risk_level"]
    means = {name: float(p[level == name].mean()) for name in RISK_LEVELS if (level == name).any()}
    said = np.array([means[name] for name in level])
    known = list(means.values())
    brier, flat = (float(np.mean(q * q - 2.0 * q * p + p)) for q in (said, p.mean()))
    return {
        "p_fail": means,
        "n": {name: int((level == name).sum()) for name in RISK_LEVELS},
        "is_monotone": all(a <= b for a, b in pairwise(known)) if len(known) > 1 else None,
        "brier": brier,
        "brier_flat": flat,
    }


def consistency(columns: Columns) -> dict[str, float | int | None]:
    """Share of questions that got one action over all repeats, and the mean entropy of the actions in bits."""
    groups: dict[str, list[str]] = {}
    for alert, action in zip(columns["alert_id"], columns["action_taken"], strict=True):
        groups.setdefault(str(alert), []).append(str(action))
    asked = [group for group in groups.values() if len(group) > 1]
    if not asked:
        return {"repeats": 1, "same_share": None, "entropy_bits": None}
    entropy = []
    for group in asked:
        shares = np.array([group.count(a) for a in ACTIONS if a in group]) / len(group)
        entropy.append(float(-(shares * np.log2(shares)).sum()))
    same = float(np.mean([len(set(group)) == 1 for group in asked]))
    return {"repeats": max(len(group) for group in asked), "same_share": same, "entropy_bits": float(np.mean(entropy))}


def validity(columns: Columns) -> dict[str, Any]:
    """How the answers of a model were read; None for policies that are no model."""
    path = columns["path"]
    if (path == "rule").all():
        return {"valid_share": None, "paths": {}}
    paths = {name: int((path == name).sum()) for name in PATHS}
    return {"valid_share": float((path != "failed").mean()), "paths": paths,
            "fallback_share": float(columns["is_fallback"].astype(bool).mean())}  # fmt: skip


def guidelines(columns: Columns, hot_c: float, high_percent: float, shaking_mm_s: float) -> dict[str, Any]:
    """For the three guidelines: how often each applied and was kept, and what keeping it cost against the best."""
    action, risk = columns["action_taken"], columns["risk_level"]
    power = columns["power_percent"] > high_percent
    hot = (columns["temperature_c"] > hot_c) & ~power
    shaking = columns["vibration_mm_s"] > shaking_mm_s
    kept = {"power": (power, action == "OFFLINE"), "temperature": (hot, action == "MAINTENANCE"),
            "vibration": (shaking, risk != "INFO")}  # fmt: skip
    rules = {name: {"n": int(applies.sum()), "kept_share": float(ok[applies].mean()) if applies.any() else None}
             for name, (applies, ok) in kept.items()}  # fmt: skip
    any_action = power | hot
    obeyed = (power & (action == "OFFLINE")) | (hot & (action == "MAINTENANCE"))
    costly = obeyed & (columns["regret_usd"] > 0.0) & columns["is_clear"].astype(bool)
    return {"rules": rules, "compliant_but_costly_share": float(costly.sum() / obeyed.sum()) if obeyed.any() else None,
            "compliant_regret_usd": float(columns["regret_usd"][obeyed].mean()) if obeyed.any() else None,
            "n_action_rules": int(any_action.sum())}  # fmt: skip


def asking(columns: Columns, input_usd: float | None, output_usd: float | None) -> dict[str, float | None]:
    """Latency in ms, tokens and USD per decision; prices are per million tokens, None = no price known."""
    latency = columns["latency_ms"][np.isfinite(columns["latency_ms"])]
    n_in, n_out = (float(np.nansum(columns[k])) for k in ("tokens_in", "tokens_out"))
    n = len(columns["latency_ms"])
    usd = None if input_usd is None or output_usd is None else (n_in * input_usd + n_out * output_usd) / 1e6 / n
    quantiles = [float(np.quantile(latency, q)) if len(latency) else None for q in (0.5, 0.95)]
    return {"latency_p50_ms": quantiles[0], "latency_p95_ms": quantiles[1], "tokens_in": n_in / n,
            "tokens_out": n_out / n, "usd_per_decision": usd}  # fmt: skip
