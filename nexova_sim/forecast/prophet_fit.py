"""The Prophet library over many series: worker processes, and fits kept by the hash of what they were made from."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import numpy as np

from nexova_sim.base.errors import DataError, need_extra
from nexova_sim.base.hashing import hash_value
from nexova_sim.config.forecast import ProphetSettings
from nexova_sim.forecast.panel import HORIZON_H, Forecast, Panel
from nexova_sim.forecast.prophet_worker import Fitted, Job, fit_one, start_worker


def default_cache() -> Path:
    """Where fits are kept: beside the compiled kernels in the user's cache folder (or NEXOVA_CACHE_DIR)."""
    root = os.environ.get("NEXOVA_CACHE_DIR")
    if root:
        return Path(root) / "prophet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nexova_sim" / "prophet"


def prophet(panel: Panel, settings: ProphetSettings, seed: int, jobs: int | None = None,
            cache: Path | None = None) -> Forecast:  # fmt: skip
    """Fit every series with the library, or take its former fit when its data and settings have not changed.

    Raises MissingExtraError when Prophet is not installed, DataError when a worker dies.
    """
    tasks = make_jobs(panel, settings, seed)
    folder = (cache or default_cache()) if settings.cache else None
    fitted = fit_all(tasks, jobs, folder)
    return Forecast(*(np.stack([getattr(f, name) for f in fitted]) for name in ("mean", "low", "high")))


def make_jobs(panel: Panel, settings: ProphetSettings, seed: int) -> list[Job]:
    """One job per series; hours without a value are left out, as Prophet expects."""
    wall = panel.calendar.wall_s
    n_past = panel.energy_kwh.shape[1]
    made = []
    for row in panel.energy_kwh:
        there = np.isfinite(row)
        made.append(
            Job(wall[:n_past][there], row[there], wall[n_past : n_past + HORIZON_H], settings.n_changepoints,
                settings.changepoint_prior_scale, settings.uncertainty_samples, seed)
        )  # fmt: skip
    return made


def job_hash(job: Job) -> str:
    """Hash of everything a fit depends on: data, hours, settings, seed, version of the library."""
    arrays = [np.ascontiguousarray(a).tobytes().hex() for a in (job.wall_s, job.energy_kwh, job.ahead_s)]
    rest = [job.n_changepoints, job.prior_scale, job.samples, job.seed, job.with_history, version("prophet")]
    return hash_value([arrays, rest])


def fit_all(tasks: Sequence[Job], jobs: int | None = None, cache: Path | None = None) -> list[Fitted]:
    """Fit every job in fresh worker processes, those in ``cache`` left out; in the order given."""
    if importlib.util.find_spec("prophet") is None:
        raise need_extra("prophet", "forecast", "the model 'prophet'")
    paths = [None if cache is None else cache / f"{job_hash(task)}.json" for task in tasks]
    found = [None if path is None else _load(path) for path in paths]
    open_tasks = [i for i, fitted in enumerate(found) if fitted is None]
    if open_tasks:
        n_workers = min(jobs or len(os.sched_getaffinity(0)), len(open_tasks))
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(n_workers, context, start_worker) as pool:
                for i, fitted in zip(open_tasks, pool.map(fit_one, [tasks[i] for i in open_tasks]), strict=True):
                    found[i] = fitted
                    path = paths[i]
                    if path is not None:
                        _store(path, fitted)
        except BrokenProcessPool as error:
            raise DataError(
                "a process that fits Prophet died: out of memory, killed, or the calling script is not guarded by "
                "if __name__ == '__main__'; run again with fewer --jobs, fits that were finished are kept"
            ) from error
    return [fitted for fitted in found if fitted is not None]


def _load(path: Path) -> Fitted | None:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        parameters = {name: np.array(value) for name, value in raw["parameters"].items()}
        mean, low, high = (np.array(raw[name], np.float64) for name in ("mean", "low", "high"))
        return Fitted(parameters, float(raw["scale"]), mean, low, high, 0.0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _store(path: Path, fitted: Fitted) -> None:
    """Keep a fit; a cache that cannot be written is no reason to fail."""
    raw = {
        "parameters": {name: value.tolist() for name, value in fitted.parameters.items()},
        "scale": fitted.scale,
        **{name: getattr(fitted, name).tolist() for name in ("mean", "low", "high")},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(raw), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        return
