"""One series through the Prophet library. Runs in processes of its own, where nothing of it reaches our output."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from typing import Any, NamedTuple

import numpy as np

PARAMETERS = ("k", "m", "delta", "beta", "sigma_obs")


class Job(NamedTuple):
    """A series to fit: local wall clock (k,) of its hours, values (k,), hours to predict (h,), Prophet's settings."""

    wall_s: np.ndarray
    energy_kwh: np.ndarray
    ahead_s: np.ndarray
    n_changepoints: int
    prior_scale: float
    samples: int
    seed: int
    with_history: bool = False


class Fitted(NamedTuple):
    """What Prophet found: parameters in its own scale, the forecast (h,) with its interval, CPU-seconds used."""

    parameters: dict[str, np.ndarray]
    scale: float
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cpu_s: float


def start_worker() -> None:
    """Send whatever the library and its compiled programs print nowhere, and import it once."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open to the end
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    import prophet  # noqa: F401


def fit_one(job: Job) -> Fitted:
    """Fit one series and forecast; the platform's settings, hourly, history predicted only when asked for."""
    import pandas as pd
    from prophet import Prophet

    start = _cpu_s()
    frame = pd.DataFrame({"ds": pd.to_datetime(job.wall_s, unit="s"), "y": job.energy_kwh})
    model = Prophet(
        yearly_seasonality=False,
        weekly_seasonality=True,
        daily_seasonality=True,
        interval_width=0.95,
        changepoint_prior_scale=job.prior_scale,
        n_changepoints=job.n_changepoints,
        uncertainty_samples=job.samples,
    )
    model.fit(frame, seed=job.seed)
    ahead = pd.DataFrame({"ds": pd.to_datetime(job.ahead_s, unit="s")})
    np.random.seed(job.seed % 2**32)  # Prophet samples its interval from the global generator
    asked = pd.concat([frame[["ds"]], ahead]) if job.with_history else ahead
    # Rows of equal time (the doubled hour in autumn) keep their order, so the tail is what was asked for.
    found: Any = model.predict(asked).tail(len(ahead))
    parameters = {name: np.asarray(model.params[name], np.float64)[0] for name in PARAMETERS}
    return Fitted(
        {name: np.atleast_1d(value) for name, value in parameters.items()},
        float(model.y_scale or 1.0),
        found["yhat"].to_numpy(np.float64),
        found["yhat_lower"].to_numpy(np.float64),
        found["yhat_upper"].to_numpy(np.float64),
        _cpu_s() - start,
    )


def _cpu_s() -> float:
    """CPU-seconds of this process and of the programs it ran."""
    used = os.times()
    return time.process_time() + used.children_user + used.children_system
