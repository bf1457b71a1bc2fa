"""What a program of the rest of a day is made from: everything that will happen, or what can be expected of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.energy import (
    D_AMBIENT_C,
    D_AMBIENT_KEEP,
    D_AMBIENT_SPAN,
    D_BASE_KEEP,
    D_BASE_KICK,
    D_BASE_KW,
    D_BASE_MIN_KW,
    D_OUTAGE_SPAN,
    D_OUTAGE_STEPS,
    D_PRICE_KEEP,
    P_AMBIENT_C,
    P_BASE_KW,
    P_NOISE_LOG,
    P_PRICE,
    S_HOLD,
    S_ON,
    S_STOCK_H,
    S_TEMP_C,
    S_TRIP,
    STEPS,
    Days,
    Site,
    State,
)


class Outlook(NamedTuple):
    """The rest of a day from step ``k`` on in h periods of ``n_steps`` (h,) steps each, and where its machines are.

    ``price_usd_per_kwh`` (h,), ``base_kw`` (h,), ``ambient_c`` (h,), ``free_frac`` (m, h) part of the period without
    outage or trip, ``quota_h`` (SHIFTS, m); ``temp_c``, ``is_on``, ``hold``, ``stock_h`` (m,) at ``k``; ``peak_kw`` so
    far.
    """

    k: int
    n_steps: np.ndarray
    price_usd_per_kwh: np.ndarray
    base_kw: np.ndarray
    ambient_c: np.ndarray
    free_frac: np.ndarray
    quota_h: np.ndarray
    temp_c: np.ndarray
    is_on: np.ndarray
    hold: np.ndarray
    stock_h: np.ndarray
    peak_kw: float


def full_outlook(days: Days, i: int, state: State, k: int = 0) -> Outlook:
    """Everything day ``i`` of a batch at step ``k`` will still bring: perfect information."""
    steps = np.arange(k, STEPS)
    first, last = days.outage[0, :, i, None], days.outage[1, :, i, None]
    is_free = ~((steps >= first) & (steps < last))
    s = state.machine[:, :, i]
    is_free &= steps >= k + s[S_TRIP][:, None]
    profile = days.profile[k:, :, i]
    return Outlook(k, np.ones(STEPS - k), profile[:, P_PRICE].copy(), profile[:, P_BASE_KW].copy(),
                   profile[:, P_AMBIENT_C].copy(), is_free.astype(float), days.quota_h[:, :, i].copy(),
                   s[S_TEMP_C].copy(), s[S_ON].copy(), s[S_HOLD].copy(), s[S_STOCK_H].copy(),
                   float(state.peak_kw[i]))  # fmt: skip


def expected_outlook(site: Site, days: Days, i: int, state: State, k: int, margin: float) -> Outlook:
    """What can be expected at step ``k`` of day ``i``: tariff and quotas are known, the rest fades to its mean.

    Price noise, base load and ambient are AR(1) and decay from where they are. The base load is raised by ``margin``
    standard deviations of its forecast error, since its peaks cost more than its troughs save. An outage that has begun
    is expected to last its mean, at least one step more; those to come are not expected. Nothing after ``k`` is read.
    """
    d = site.draw
    steps = np.arange(k, STEPS)
    ahead = steps - k
    now = days.profile[k, :, i]
    noise = now[P_NOISE_LOG] * d[D_PRICE_KEEP] ** ahead
    price = site.price_usd_per_kwh * site.tariff[days.level[k:, i]] * np.exp(noise)
    usual = d[D_BASE_KW] + site.hour[k:, 2]
    keep = d[D_BASE_KEEP] ** ahead
    spread = d[D_BASE_KICK] * np.sqrt((1.0 - keep**2) / max(1.0 - d[D_BASE_KEEP] ** 2, 1e-9))
    base = np.maximum(d[D_BASE_MIN_KW], usual + keep * (now[P_BASE_KW] - usual[0]) + margin * spread)
    base[0] = now[P_BASE_KW]
    mean_c = d[D_AMBIENT_C] + 0.5 * d[D_AMBIENT_SPAN]
    swing = site.hour[k:, 3]
    gone = d[D_AMBIENT_KEEP] ** ahead
    ambient = mean_c + swing + (0.5 + 0.5 * gone) * (now[P_AMBIENT_C] - mean_c - swing[0])
    s = state.machine[:, :, i]
    is_free = steps >= np.maximum(_outage_end(site, days, i, k), k + s[S_TRIP])[:, None]
    return Outlook(k, np.ones(STEPS - k), price, base, ambient, is_free.astype(float), days.quota_h[:, :, i].copy(),
                   s[S_TEMP_C].copy(), s[S_ON].copy(), s[S_HOLD].copy(), s[S_STOCK_H].copy(),
                   float(state.peak_kw[i]))  # fmt: skip


def _outage_end(site: Site, days: Days, i: int, k: int) -> np.ndarray:
    """Step at which the outages that are under way at ``k`` are expected to end, (m,); ``k`` for those that are not."""
    first, last = days.outage[0, :, i], days.outage[1, :, i]
    is_out = (first <= k) & (k < last)
    expected = first + site.draw[D_OUTAGE_STEPS] + 0.5 * site.draw[D_OUTAGE_SPAN]
    end: np.ndarray = np.where(is_out, np.maximum(expected, k + 1), k)
    return end


def coarse(view: Outlook, near: int, block: int) -> Outlook:
    """The outlook with its steps after the first ``near`` in blocks of ``block`` steps of the clock, as means."""
    h = len(view.n_steps)
    step = view.k + np.arange(h)
    begins = np.flatnonzero((np.arange(h) <= near) | (step % block == 0))
    n = np.diff(np.append(begins, h)).astype(float)

    def mean(values: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.add.reduceat(values, begins, axis=-1) / n
        return found

    return view._replace(n_steps=n, price_usd_per_kwh=mean(view.price_usd_per_kwh), base_kw=mean(view.base_kw),
                         ambient_c=mean(view.ambient_c), free_frac=mean(view.free_frac))  # fmt: skip
