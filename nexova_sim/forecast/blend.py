"""The default forecaster: robust smoothed profiles with and without a level, four weeks' median and yesterday, weighed.

Candidates are weighed per horizon day by a softmax of their errors at daily inner origins; nothing is selected. Bands
are conformal on the same days. Everything happens in one kernel, a series at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.forecast.panel import HORIZON_H, Forecast, Panel, fill_gaps
from nexova_sim.kernels.blend import blend_fleet

BURN_IN_H = 336
_MOST_DAYS, _LEAST_DAYS = 35, 7
LEAST_H = BURN_IN_H + (_LEAST_DAYS + 6) * 24
# Gain of the profile by hour and weekend, of its deviations by hour of week, of the level; damping per day; clip.
CANDIDATES = (
    ("slow profile", (0.05, 0.10, 0.00, 0.00, 2.0)),
    ("fast profile", (0.35, 0.35, 0.00, 0.00, 2.0)),
    ("profile, slow level", (0.20, 0.35, 0.01, 0.98, 2.0)),
    ("fast profile, slow level", (0.35, 0.20, 0.01, 0.98, 2.0)),
    ("profile, fast level", (0.20, 0.20, 0.10, 0.98, 4.0)),
    ("fast profile, faster level", (0.35, 0.20, 0.20, 0.98, 4.0)),
)
NAMES = (*(name for name, _ in CANDIDATES), "median of 4 weeks", "yesterday")
_SOFTMAX, _WINSOR, _INFLATE, _SHRINK, _TAIL = 8.0, 3.0, 1.05, 0.4, 0.02


class Blend(NamedTuple):
    """A forecast and the weights behind it, (n, candidates, 7 horizon days)."""

    forecast: Forecast
    weight: np.ndarray


def blend_with_weights(panel: Panel) -> Blend:
    """Forecast every series of at least ``LEAST_H`` hours. A missing hour updates nothing and is judged by nobody."""
    y = np.ascontiguousarray(fill_gaps(panel), np.float64)
    n, n_hours = y.shape
    days = min(_MOST_DAYS, max(_LEAST_DAYS, (n_hours - BURN_IN_H) // 24 - 6))
    rules = np.array([(BURN_IN_H, *rule) for _, rule in CANDIDATES])
    settings = np.array([_SOFTMAX, _WINSOR, _INFLATE, _SHRINK, _TAIL, days])
    weight = np.empty((n, len(NAMES), 7))
    band = np.empty((n, 3, HORIZON_H))
    there = np.isfinite(panel.energy_kwh).astype(np.uint8)
    blend_fleet(y, there, panel.calendar.cell, panel.calendar.back, rules, settings, weight, band)
    return Blend(Forecast(band[:, 0], band[:, 1], band[:, 2]), weight)


def blend(panel: Panel) -> Forecast:
    """The forecast of ``blend_with_weights``."""
    return blend_with_weights(panel).forecast
