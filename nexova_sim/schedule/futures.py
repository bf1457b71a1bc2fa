"""Days that may follow from what is known at a step: everything before it as it was, everything after it drawn anew."""

from __future__ import annotations

import zlib

import numpy as np

from nexova_sim.kernels.energy import (
    D_AMBIENT_C,
    D_AMBIENT_KEEP,
    D_AMBIENT_KICK,
    D_AMBIENT_SPAN,
    D_BASE_KEEP,
    D_BASE_KICK,
    D_BASE_KW,
    D_BASE_MIN_KW,
    D_OUTAGE_P,
    D_OUTAGE_SPAN,
    D_OUTAGE_STEPS,
    D_PRICE_KEEP,
    D_PRICE_KICK,
    P_AMBIENT_C,
    P_BASE_KW,
    P_NOISE_LOG,
    P_PRICE,
    STEPS,
    Days,
    Site,
)
from nexova_sim.schedule.site import pick_days


def draw_futures(site: Site, days: Days, i: int, k: int, n: int, seed: int) -> Days:
    """``n`` (even) continuations of day ``i`` of a batch from step ``k`` on, by the site's own laws (Site.draw).

    Tariff and quotas of the day are known. Price noise, base load and ambient go on from where they are, in mirrored
    pairs; outages that are under way end, and others begin, as likely as the law says given that they have not yet.
    Nothing after ``k`` is read, and the draws depend on ``seed``, ``k`` and the day alone, wherever it is in a batch.
    """
    rng = np.random.default_rng(own_seed(days, i, k, seed))
    drawn = pick_days(days, np.full(n, i))
    half = rng.standard_normal((3, STEPS - k, n // 2))
    z = np.concatenate([half, -half], axis=2)
    z[:, 0] = 0.0
    _continue(site, drawn, k, z)
    _draw_outages(site, drawn, k, rng)
    return drawn


def own_seed(days: Days, i: int, k: int, seed: int) -> list[int]:
    """Seed of what is drawn for day ``i`` at step ``k``, from its quotas, which are known and its own."""
    return [seed, k, zlib.crc32(np.ascontiguousarray(days.quota_h[:, :, i], "<f8").tobytes())]


def _continue(site: Site, drawn: Days, k: int, z: np.ndarray) -> None:
    """The profile after step ``k`` with the innovations ``z`` (3, STEPS - k, n), of which the first are zero."""
    d, profile = site.draw, drawn.profile
    mean_c = _mean_ambient_c(site, profile[: k + 1, P_AMBIENT_C, 0] - site.hour[: k + 1, 3])
    noise = profile[k, P_NOISE_LOG].copy()
    base = profile[k, P_BASE_KW] - d[D_BASE_KW] - site.hour[k, 2]
    warmth = profile[k, P_AMBIENT_C] - mean_c - site.hour[k, 3]
    for s in range(k + 1, STEPS):
        noise = d[D_PRICE_KEEP] * noise + d[D_PRICE_KICK] * z[0, s - k]
        base = d[D_BASE_KEEP] * base + d[D_BASE_KICK] * z[1, s - k]
        warmth = d[D_AMBIENT_KEEP] * warmth + d[D_AMBIENT_KICK] * z[2, s - k]
        profile[s, P_NOISE_LOG] = noise
        profile[s, P_PRICE] = site.price_usd_per_kwh * site.tariff[drawn.level[s]] * np.exp(noise)
        profile[s, P_BASE_KW] = np.maximum(d[D_BASE_MIN_KW], d[D_BASE_KW] + site.hour[s, 2] + base)
        profile[s, P_AMBIENT_C] = mean_c + site.hour[s, 3] + warmth


def _mean_ambient_c(site: Site, seen_c: np.ndarray) -> float:
    """Mean of the day that fits ``seen_c``, an AR(1) series around it that began at it: generalised least squares."""
    d = site.draw
    gone = 1.0 - d[D_AMBIENT_KEEP]
    steps = seen_c[1:] - d[D_AMBIENT_KEEP] * seen_c[:-1]
    fitted = (seen_c[0] + gone * steps.sum()) / (1.0 + gone * gone * len(steps))
    return float(np.clip(fitted, d[D_AMBIENT_C], d[D_AMBIENT_C] + d[D_AMBIENT_SPAN]))


def _draw_outages(site: Site, drawn: Days, k: int, rng: np.random.Generator) -> None:
    """Outages after step ``k``; one that has ended stays the only one of its machine."""
    d, (m, n) = site.draw, drawn.start.shape[1:]
    u = rng.random((3, m, n))
    first, last = drawn.outage
    has_begun = (first <= k) & (last > first)
    ahead = (STEPS - 1 - k) / STEPS
    p = d[D_OUTAGE_P] * ahead / (1.0 - d[D_OUTAGE_P] * (1.0 - ahead))
    begins = k + 1.0 + np.floor(u[1] * (STEPS - 1 - k))
    ends = begins + d[D_OUTAGE_STEPS] + np.floor(u[2] * (d[D_OUTAGE_SPAN] + 1.0))
    happens = u[0] < p
    # Lengths are uniform over whole steps, so one that has lasted is uniform over those still possible.
    least = np.maximum(d[D_OUTAGE_STEPS], k + 1.0 - first)
    most = d[D_OUTAGE_STEPS] + d[D_OUTAGE_SPAN]
    lasts = first + least + np.floor(u[2] * np.maximum(most - least + 1.0, 1.0))
    is_over = has_begun & (last <= k)
    drawn.outage[0] = np.where(has_begun, first, np.where(happens, begins, 0.0))
    drawn.outage[1] = np.where(is_over, last, np.where(has_begun, lasts, np.where(happens, ends, 0.0)))
