"""A single day put together from what is known of it the evening before, for the scheduling model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.energy import (
    NORMAL,
    OFF_PEAK,
    P_AMBIENT_C,
    P_BASE_KW,
    P_NOISE_LOG,
    P_PRICE,
    PEAK,
    SHIFTS,
    STEPS,
    Days,
    Site,
)
from nexova_sim.schedule.site import empty_days

_PER_HOUR = 4
_LEAST_NOISE, _MOST_NOISE = -0.5, 0.5
_BAND = 0.5  # standard deviations around the mean price that count as normal


class Outlook(NamedTuple):
    """What tomorrow is expected to bring, by hour from 06:00.

    ``price_usd_per_kwh``, ``base_kw``, ``ambient_c`` (24,); ``level`` (24,) places in Site.tariff; ``quota_h``
    (SHIFTS, m); ``start_temp_c``, ``stock_h``, ``out_h`` (m,): hours for which a machine stands from 06:00 on.
    """

    price_usd_per_kwh: np.ndarray
    level: np.ndarray
    base_kw: np.ndarray
    ambient_c: np.ndarray
    quota_h: np.ndarray
    start_temp_c: np.ndarray
    stock_h: np.ndarray
    out_h: np.ndarray


def price_levels(price_usd_per_kwh: np.ndarray) -> np.ndarray:
    """Place in Site.tariff of every price: half a standard deviation above the mean is peak, below it off-peak."""
    mean, band = price_usd_per_kwh.mean(), _BAND * price_usd_per_kwh.std()
    levels = np.full(len(price_usd_per_kwh), NORMAL, np.int8)
    levels[price_usd_per_kwh > mean + band] = PEAK
    levels[price_usd_per_kwh < mean - band] = OFF_PEAK
    return levels


def tariff_of(price_usd_per_kwh: np.ndarray, level: np.ndarray, mean_usd_per_kwh: float) -> np.ndarray:
    """Mean price of each level over ``mean_usd_per_kwh``, (3,); a level without hours counts like the mean."""
    return np.array([
        price_usd_per_kwh[level == n].mean() / mean_usd_per_kwh if (level == n).any() else 1.0 for n in range(3)
    ])  # fmt: skip


def make_day(site: Site, outlook: Outlook) -> Days:
    """The day as a batch of one; a price that differs from its level's is handed on as the level's surprise."""
    m = len(site.rated_kw)
    day = empty_days(m, 1)
    level = np.repeat(outlook.level, _PER_HOUR)
    price = np.repeat(outlook.price_usd_per_kwh, _PER_HOUR)
    planned = site.price_usd_per_kwh * site.tariff[level]
    noise = np.zeros(STEPS)
    is_plain = (price > 0.0) & (planned > 0.0)
    noise[is_plain] = np.log(price[is_plain] / planned[is_plain])
    noise[~is_plain] = np.where(price < planned, _LEAST_NOISE, 0.0)[~is_plain]
    day.profile[:, P_PRICE, 0] = price
    day.profile[:, P_BASE_KW, 0] = np.repeat(outlook.base_kw, _PER_HOUR)
    day.profile[:, P_AMBIENT_C, 0] = np.repeat(outlook.ambient_c, _PER_HOUR)
    day.profile[:, P_NOISE_LOG, 0] = np.clip(noise, _LEAST_NOISE, _MOST_NOISE)
    day.level[:, 0] = level
    day.quota_h[:, :, 0] = outlook.quota_h.reshape(SHIFTS, m)
    day.outage[0] = 0.0
    day.outage[1, :, 0] = np.round(outlook.out_h * _PER_HOUR)
    day.start[0, :, 0], day.start[1, :, 0] = outlook.start_temp_c, outlook.stock_h
    return day


def load_from_power(share: np.ndarray, fixed: float, square: float, most: float) -> np.ndarray:
    """Load fraction 0..``most`` at which power over rating is ``share``: the part-load curve read backwards."""
    linear = 1.0 - fixed - square
    y = np.maximum(share - fixed, 0.0)
    if square < 1e-9:
        load = y / max(linear, 1e-9)
    else:
        load = (-linear + np.sqrt(linear * linear + 4.0 * square * y)) / (2.0 * square)
    return np.minimum(load, most)
