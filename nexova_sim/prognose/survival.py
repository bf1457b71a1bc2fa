"""Survival from lives of which many are censored: Kaplan-Meier with late entry, residual life, censoring weights.

Source: Klein and Moeschberger, Survival Analysis, 2nd ed., sections 4.2 and 4.6; weights by the inverse probability of
censoring: Robins and Rotnitzky 1992.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Survival(NamedTuple):
    """A step function: ``time_h`` (k,) rising, ``left_frac`` (k,) alive just after; ``tail_per_h`` the rate beyond."""

    time_h: np.ndarray
    left_frac: np.ndarray
    tail_per_h: float


def kaplan_meier(entry_h: np.ndarray, exit_h: np.ndarray, is_event: np.ndarray) -> Survival:
    """Survival over age from lives seen from ``entry_h`` to ``exit_h`` (n,); beyond the last event at the mean rate."""
    time_h = np.unique(exit_h[is_event])
    at_risk = np.array([int(((entry_h < t) & (exit_h >= t)).sum()) for t in time_h], float)
    events = np.array([int((is_event & (exit_h == t)).sum()) for t in time_h], float)
    # The last ones at risk all failing would end the curve at 0 for one early death when nobody else is that old.
    factor = np.where(events < at_risk, 1.0 - events / np.maximum(at_risk, 1.0), 0.5)
    total = float(np.maximum(exit_h - entry_h, 0.0).sum())
    rate = max(float(is_event.sum()), 0.5) / total if total > 0.0 else 1.0
    return Survival(time_h, np.cumprod(factor), rate)


def alive_at(survival: Survival, age_h: np.ndarray) -> np.ndarray:
    """Share alive at ages (n,); beyond the last event it falls at the tail's rate."""
    if not len(survival.time_h):
        return np.exp(-survival.tail_per_h * np.asarray(age_h, float))
    place = np.searchsorted(survival.time_h, age_h, side="right")
    steps = np.concatenate([[1.0], survival.left_frac])[place]
    beyond = np.maximum(np.asarray(age_h, float) - survival.time_h[-1], 0.0)
    found: np.ndarray = steps * np.exp(-survival.tail_per_h * beyond)
    return found


def mean_life_h(survival: Survival) -> float:
    """Mean of the survival function, its exponential tail included, in hours."""
    edges = np.concatenate([[0.0], survival.time_h])
    left = np.concatenate([[1.0], survival.left_frac])
    return float((np.diff(edges) * left[:-1]).sum() + left[-1] / survival.tail_per_h)


def residual_quantiles(survival: Survival, age_h: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles (n, k) of the hours left to those alive at ``age_h`` (n,)."""
    edges = np.concatenate([[0.0], survival.time_h])
    left = np.concatenate([[1.0], survival.left_frac])
    wanted = alive_at(survival, age_h)[:, None] * (1.0 - levels)[None, :]
    # First age at which no more than the wanted share is alive; beyond the last event, along the tail.
    place = np.searchsorted(-left, -wanted, side="left")
    with np.errstate(divide="ignore"):
        tail = edges[-1] + np.log(np.maximum(left[-1], 1e-300) / np.maximum(wanted, 1e-300)) / survival.tail_per_h
    age = np.where(place < len(left), edges[np.minimum(place, len(left) - 1)], tail)
    found: np.ndarray = np.maximum(age - np.asarray(age_h, float)[:, None], 0.0)
    return found


def known_targets(target_h: np.ndarray, seen_h: np.ndarray, cap_h: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Targets min(remaining life, cap) (n,), NaN where censoring hides them, and their weights (n,), 0 there.

    A weight is one over the probability that a moment is followed that long, from the Kaplan-Meier curve of censoring.
    Without a cap only observed failures tell, and they are not weighted: say so where it matters.
    """
    failed = np.isfinite(target_h)
    if cap_h is None:
        return target_h.copy(), failed.astype(float)
    reached = seen_h >= cap_h
    target = np.where(reached, cap_h, target_h)
    known = reached | failed
    censored = ~failed & ~reached
    curve = kaplan_meier(np.full(len(seen_h), -1.0), np.minimum(seen_h, cap_h), censored)
    # Just before the time itself: being censored at the very moment of failure hides nothing.
    followed = alive_at(curve._replace(tail_per_h=0.0), np.where(known, np.minimum(seen_h, cap_h), 0.0) - 1e-9)
    return target, np.where(known, 1.0 / np.maximum(followed, 0.05), 0.0)
