"""Many controllers on the same days: costs, splits, violations, paired differences, shares of what could be saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import C_SHORTAGE, Site
from nexova_sim.schedule.controllers import Played
from nexova_sim.schedule.site import COSTS
from nexova_sim.schedule.statistics import Interval, iqm, mean_interval, paired_interval, share_interval
from nexova_sim.schedule.yardstick import Yardsticks

_SOME_USD = 0.01
_BOUND_SLACK_USD = 1e-3  # tolerance of the solver


class Entry(NamedTuple):
    """A method in a comparison: one play of the days per training seed (one for a method without training)."""

    name: str
    plays: Sequence[Played]
    made: Sequence[Mapping[str, Any]]


def costs_of(entry: Entry) -> np.ndarray:
    """Cost by seed and day, (seeds, n) USD."""
    return np.stack([p.paid.sum(axis=0) for p in entry.plays])


def _plain(interval: Interval) -> dict[str, float | None]:
    return {k: round(v, 4) if np.isfinite(v) else None for k, v in interval._asdict().items()}


def describe_entry(entry: Entry, n_resamples: int) -> dict[str, Any]:
    """Row of a controller: mean with interval, interquartile mean, split, shortages, trips, CPU, budget."""
    cost = costs_of(entry)
    split = np.mean([p.paid.mean(axis=1) for p in entry.plays], axis=0)
    n_runs, n_days = cost.shape
    return {
        "controller": entry.name,
        "n_seeds": n_runs,
        "mean_usd": _plain(mean_interval(cost, n_resamples)),
        "iqm_usd": round(iqm(cost), 4),
        "by_seed_usd": [round(float(c), 4) for c in cost.mean(axis=1)],
        "split_usd": {name: round(float(v), 4) for name, v in zip(COSTS, split, strict=True)},
        "shortage_days_frac": round(float(np.mean([p.paid[C_SHORTAGE] > _SOME_USD for p in entry.plays])), 4),
        "trips_per_day": round(float(np.mean([p.n_trips for p in entry.plays])), 4),
        "peak_kw": round(float(np.mean([p.peak_kw for p in entry.plays])), 2),
        "cpu_us_per_decision": round(1e6 * sum(p.cpu_s for p in entry.plays) / (n_runs * n_days * 96), 3),
        "tuning": [dict(m) for m in entry.made],
    }


def _ancestors(made: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """How what a run began from was made, and what that began from."""
    while isinstance(before := made.get("scheduler", made.get("start")), Mapping):
        yield before
        made = before


def is_descended(entry: Entry, other: Entry) -> bool:
    """Whether every run of ``entry`` began from the run of ``other`` with the same place."""
    return len(entry.made) == len(other.made) > 0 and all(
        dict(b) in [dict(x) for x in _ancestors(a)] for a, b in zip(entry.made, other.made, strict=True)
    )


def differences(entries: Sequence[Entry], baseline: str, n_resamples: int) -> list[dict[str, Any]]:
    """Every controller minus ``baseline``, paired by day, with the share of days on which it costs less.

    Training seeds are paired, too, where the one was made from the other.
    """
    base = next(e for e in entries if e.name == baseline)
    other = costs_of(base)
    rows = []
    for entry in entries:
        if entry.name == baseline:
            continue
        cost, has_pairs = costs_of(entry), is_descended(entry, base)
        gap = paired_interval(cost, other, n_resamples, has_paired_seeds=has_pairs)
        row: dict[str, Any] = {
            "controller": entry.name, "minus": baseline, "usd_per_day": _plain(gap),
            "days_cheaper_frac": round(float((cost.mean(axis=0) < other.mean(axis=0)).mean()), 4),
            "has_paired_seeds": has_pairs,
        }  # fmt: skip
        if has_pairs:
            row["by_seed_usd"] = [round(float(v), 3) for v in (cost - other).mean(axis=1)]
        rows.append(row)
    return rows


def against_yardsticks(entries: Sequence[Entry], found: Yardsticks, n_resamples: int) -> dict[str, Any]:
    """Bound, perfect information, MPC and look-ahead beside the controllers; shares are of what ``bau`` could save.

    ``below_bound`` counts days and seeds on which a controller is cheaper than the bound, which must be none.
    """
    costs = {e.name: costs_of(e) for e in entries}
    bound = found.bound_usd[None]
    played = {**costs, **_program_costs(found)}
    below = sum(int((cost < bound[:, : cost.shape[1]] - _BOUND_SLACK_USD).sum()) for cost in played.values())
    out: dict[str, Any] = {"bound_usd": _plain(mean_interval(bound, n_resamples)), "below_bound": below}
    dear = costs.get("bau")
    if dear is not None:
        out["share_of_bound"] = {
            name: _plain(share_interval(cost, dear, bound, n_resamples)) for name, cost in costs.items()
        }
    out |= _against_programs(costs, found, n_resamples)
    if found.perfect is None or found.mpc is None:
        return out
    out["programs"].append(describe_entry(Entry("perfect", [found.perfect], ()), n_resamples))
    perfect = found.perfect.paid.sum(axis=0)[None]
    n = out["n_slow_days"] = perfect.shape[1]
    early = {name: cost[:, :n] for name, cost in played.items()}
    best = np.min([perfect[0], *(cost.min(axis=0) for cost in early.values())], axis=0)[None]
    out["best_known_usd"] = _plain(mean_interval(best, n_resamples))
    if dear is not None:
        out["share_of_best_known"] = {
            name: _plain(share_interval(cost, dear[:, :n], best, n_resamples)) for name, cost in early.items()
        }
    return out


def _program_costs(found: Yardsticks) -> dict[str, np.ndarray]:
    """Costs (runs, days) of what plans ahead and was played: MPC and look-ahead."""
    ahead = {"lookahead": np.stack([p.paid.sum(axis=0) for p in found.lookahead])} if found.lookahead else {}
    return ({} if found.mpc is None else {"mpc": found.mpc.paid.sum(axis=0)[None]}) | ahead


def _against_programs(costs: Mapping[str, np.ndarray], found: Yardsticks, n_resamples: int) -> dict[str, Any]:
    """MPC and look-ahead on the days they played, and everybody minus each of them on the days both did."""
    played = _program_costs(found)
    if not played:
        return {}
    entries = {"mpc": [] if found.mpc is None else [found.mpc], "lookahead": list(found.lookahead)}
    out: dict[str, Any] = {"programs": [describe_entry(Entry(name, entries[name], ()), n_resamples) for name in played]}
    for name, other in played.items():
        out[f"n_{name}_days"] = other.shape[1]
        gaps = {}
        for rival, cost in {**costs, **played}.items():
            n = min(cost.shape[1], other.shape[1])
            if rival != name:
                gaps[rival] = _plain(paired_interval(cost[:, :n], other[:, :n], n_resamples))
        out[f"against_{name}"] = gaps
        if "bau" in costs:
            n = other.shape[1]
            early_bound = found.bound_usd[None, :n]
            share = share_interval(other, costs["bau"][:, :n], early_bound, n_resamples)
            out[f"{name}_share_of_bound"] = _plain(share)
    return out


def day_profile(site: Site, played: Played) -> dict[str, Any]:
    """Mean site power (96,) and mean load by machine (m, 96) over the days, for a picture."""
    return {
        "power_kw": [round(float(v), 3) for v in played.power_kw.mean(axis=1)],
        "load_frac": [[round(float(v), 3) for v in row] for row in played.load_frac.mean(axis=2).T],
        "rated_kw": [float(v) for v in site.rated_kw],
    }
