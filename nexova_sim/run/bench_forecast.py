"""Measurements behind the group ``forecast`` of ``nexova bench``."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from nexova_sim.config.forecast import ProphetSettings
from nexova_sim.forecast.blend import blend
from nexova_sim.forecast.panel import Panel, make_calendar
from nexova_sim.forecast.prophet_fit import fit_all, make_jobs
from nexova_sim.forecast.prophet_map import fit_map, log_posterior, make_design, prophet_map
from nexova_sim.run.benchmark import Benchmark

_MONDAY_MS = 1_767_571_200_000
_DAYS = 60


class Match(NamedTuple):
    """``prophet_map`` beside the library: CPU-seconds per machine of the library, machines won, largest difference."""

    library_cpu_s: float
    won_frac: float
    most_frac: float


def fleet_panel(n: int, days: int = _DAYS, seed: int = 1) -> Panel:
    """Hourly energy of ``n`` machines with shifts, weekends, slow drift and noise; no gaps."""
    random = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    hour, day = hours % 24, hours // 24 % 7
    begin = random.integers(4, 9, n)[:, None]
    length = random.choice([8, 16, 24], n)[:, None]
    on = ((hour - begin) % 24 < length) & ((day < 5) | (random.random(n) < 0.3)[:, None])
    size = random.uniform(5.0, 80.0, n)[:, None]
    drift = 1.0 + 0.1 * np.cumsum(random.normal(0, 0.02, (n, len(hours))), axis=1) / np.sqrt(24)
    energy = size * (0.15 + 0.85 * on) * drift * np.exp(random.normal(0, 0.06, (n, len(hours))))
    ids = tuple(f"m{i}" for i in range(n))
    return Panel(ids, energy, make_calendar("Europe/Berlin", _MONDAY_MS, len(hours)))


def _best(n: int, run: object) -> float:
    panel = fleet_panel(n)
    warm = Panel(panel.ids[:2], panel.energy_kwh[:2], panel.calendar)
    run(warm)  # type: ignore[operator]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    spent = []
    # The bar is for one thread; a second one of the linear algebra mostly waits, and its waiting would count.
    with threadpool_limits(1):
        for _ in range(3):
            began = time.process_time()
            run(panel)  # type: ignore[operator]
            spent.append(time.process_time() - began)
    return min(spent) * 1000.0 / n


@cache
def blend_cpu(n: int = 1000) -> float:
    """CPU-seconds for 1000 machines x 60 days -> 168 h with intervals."""
    return _best(n, blend)


@cache
def map_cpu(n: int = 1000) -> float:
    """The same by ``prophet_map``."""
    return _best(n, prophet_map)


@cache
def match(n: int = 20) -> Match | None:
    """Fit ``n`` machines by the library and by ours; None where Prophet is not installed."""
    if importlib.util.find_spec("prophet") is None:
        return None
    settings = ProphetSettings(cache=False)
    panel = fleet_panel(n)
    found = fit_all(make_jobs(panel, settings, 0), 1, None)
    ours = prophet_map(panel, settings.n_changepoints, settings.changepoint_prior_scale)
    t = panel.energy_kwh.shape[1]
    seen = np.arange(t)
    design = make_design(panel.calendar.wall_s, t, seen, settings.n_changepoints)
    fit = fit_map(design, panel.energy_kwh, seen, settings.changepoint_prior_scale)
    won, gaps = 0, []
    for i, theirs in enumerate(found):
        p = theirs.parameters
        theta = np.concatenate([p["k"], p["m"], p["delta"], p["beta"]])
        y, scale = panel.energy_kwh[i] / theirs.scale, settings.changepoint_prior_scale
        # Prophet writes the trend with offsets that keep it continuous, which are our ramps.
        other = log_posterior(design, seen, y, theta, float(p["sigma_obs"][0]), scale)
        own = log_posterior(design, seen, y, fit.theta[i], float(fit.sigma[i]), scale)
        won += own >= other - 1e-3
        gaps.append(np.abs(ours.mean[i] - theirs.mean).max() / np.abs(theirs.mean).max())
    return Match(float(np.mean([f.cpu_s for f in found])), won / n, float(max(gaps)))


def map_ratio() -> float | None:
    """CPU-seconds of the library over ours, per machine, in one run."""
    found = match()
    return None if found is None else found.library_cpu_s / (map_cpu() / 1000.0)


def map_won() -> float | None:
    """Share of machines on which our log posterior is at least the library's less 0.001."""
    found = match()
    return None if found is None else found.won_frac


def map_gap() -> float | None:
    """Largest difference of the two forecasts, percent of the largest forecast."""
    found = match()
    return None if found is None else 100.0 * found.most_frac


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "forecast_blend": Benchmark("forecast", "CPU-s per 1000 machines", 0.6, "max",
            "60 days hourly to 168 h with 95 % intervals, one thread", blend_cpu),
        "forecast_prophet_map": Benchmark("forecast", "CPU-s per 1000 machines", 0.4, "max",
            "the same by Prophet's model solved for all machines at once", map_cpu),
        "forecast_prophet_ratio": Benchmark("forecast", "x", 800.0, "min",
            "CPU time of the library per machine (20 machines, platform's settings) over ours", map_ratio),
        "forecast_prophet_posterior": Benchmark("forecast", "share of machines", 0.95, "min",
            "log posterior of prophet_map at least the library's less 0.001", map_won),
        "forecast_prophet_gap": Benchmark("forecast", "%", 1.5, "max",
            "largest difference of the two forecasts, of the largest forecast", map_gap),
    }
)  # fmt: skip
