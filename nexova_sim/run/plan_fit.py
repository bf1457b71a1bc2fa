"""Days around tomorrow: the shipped scheduler is fitted to the fleet on some, all controllers are judged on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.config.plan import PlanConfig
from nexova_sim.kernels.energy import Days, Site
from nexova_sim.schedule.controllers import Controller, play_days
from nexova_sim.schedule.modelfile import ModelFile
from nexova_sim.schedule.scenarios import fit_bids, scenarios
from nexova_sim.schedule.search import SearchPlan

FITTED = "fitted"
_SIGMA = 0.12
_JUDGED_FIRST = 10**6  # day numbers on which nothing is fitted
_QUANTILES = (0.05, 0.95)


class World(NamedTuple):
    """The site, the expected day, and the days around it on which controllers are judged."""

    site: Site
    day: Days
    judged: Days


def make_world(site: Site, day: Days, config: PlanConfig) -> World:
    """The world of a plan; the days to judge by are never those that are fitted to."""
    numbers = np.arange(_JUDGED_FIRST, _JUDGED_FIRST + config.n_scenarios, dtype=np.uint64)
    return World(site, day, scenarios(site, day, config.seed, numbers, config.work_spread_frac))


def fit_model(world: World, model: ModelFile, config: PlanConfig) -> ModelFile:
    """The bid scheduler ``model`` with its parameters fitted to the fleet of ``world`` on days around tomorrow."""
    numbers = np.arange(config.fit_days, dtype=np.uint64)
    days = scenarios(world.site, world.day, config.seed, numbers, config.work_spread_frac)
    search = SearchPlan(config.fit_iterations, config.fit_population, _SIGMA, config.seed)
    first = np.array(list(model.parameters.values()))
    found = fit_bids(world.site, first, len(model.kinds), days, search)
    made = {"search": "cma", "iterations": config.fit_iterations, "population": config.fit_population,
            "days": config.fit_days, "seed": config.seed, "from": model.made}  # fmt: skip
    values = {name: float(v) for name, v in zip(model.parameters, found, strict=True)}
    return model.model_copy(update={"parameters": values, "made": made})


def judge(world: World, controllers: Mapping[str, Controller]) -> dict[str, np.ndarray]:
    """Cost of every controller on the judged days, (n,) USD."""
    return {name: play_days(c, world.site, world.judged).paid.sum(axis=0) for name, c in controllers.items()}


def spread(usd: np.ndarray) -> dict[str, float]:
    """Mean and the range of 90 % of the days."""
    low, high = np.quantile(usd, _QUANTILES)
    return {"mean_usd": round(float(usd.mean()), 4), "low_usd": round(float(low), 4), "high_usd": round(float(high), 4)}


def compared(costs: Mapping[str, np.ndarray], own: str) -> dict[str, Any]:
    """Costs on the judged days, and what ``own`` saves against each other controller, paired by day."""
    saved = {n: usd - costs[own] for n, usd in costs.items() if n != own}
    return {
        "n_days": len(costs[own]),
        "costs": {name: spread(usd) for name, usd in costs.items()},
        "saving": {n: {**spread(usd), "days_frac": round(float((usd > 0.0).mean()), 4)} for n, usd in saved.items()},
    }
