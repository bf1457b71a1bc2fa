"""Many controllers on the same days: costs, splits, violations, paired differences, shares of what could be saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import C_SHORTAGE, Site
from nexova_sim.schedule.controllers import Played
from nexova_sim.schedule.site import COSTS
from nexova_sim.schedule.statistics import Interval, iqm, mean_interval, paired_interval

_SOME_USD = 0.01


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


def differences(entries: Sequence[Entry], baseline: str, n_resamples: int) -> list[dict[str, Any]]:
    """Every controller minus ``baseline``, paired by day, with the share of days on which it costs less."""
    costs = {e.name: costs_of(e) for e in entries}
    other = costs[baseline]
    rows = []
    for name, cost in costs.items():
        if name != baseline:
            wins = float((cost.mean(axis=0) < other.mean(axis=0)).mean())
            gap = _plain(paired_interval(cost, other, n_resamples))
            rows.append(
                {"controller": name, "minus": baseline, "usd_per_day": gap, "days_cheaper_frac": round(wins, 4)}
            )
    return rows


def day_profile(site: Site, played: Played) -> dict[str, Any]:
    """Mean site power (96,) and mean load by machine (m, 96) over the days, for a picture."""
    return {
        "power_kw": [round(float(v), 3) for v in played.power_kw.mean(axis=1)],
        "load_frac": [[round(float(v), 3) for v in row] for row in played.load_frac.mean(axis=2).T],
        "rated_kw": [float(v) for v in site.rated_kw],
    }
