"""The time-of-use tariff of a day: levels by step, and what a kilowatt-hour costs at each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexova_sim.kernels.energy import NORMAL, OFF_PEAK, PEAK, STEPS, Days, Site
from nexova_sim.schedule.site import clock_hours

LEVELS = ("off-peak", "normal", "peak")


def tariff_levels(peak_hours: Sequence[int], off_peak_hours: Sequence[int]) -> np.ndarray:
    """Place in LEVELS of every step of a day from 06:00, (STEPS,) int8; a peak hour that is also off-peak is a peak."""
    hours = np.floor(clock_hours() % 24.0)
    levels = np.full(STEPS, NORMAL, np.int8)
    levels[np.isin(hours, off_peak_hours)] = OFF_PEAK
    levels[np.isin(hours, peak_hours)] = PEAK
    return levels


def planned_price(site: Site, days: Days) -> np.ndarray:
    """Price known the day before, without noise: (STEPS, n) USD/kWh."""
    price: np.ndarray = site.price_usd_per_kwh * site.tariff[days.level]
    return price
