"""Two policies on one dataset: alerts gained and lost, true events missed, delay."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.alert.detection import Found, Truth
from nexova_sim.alert.engine import NONE, Alerts
from nexova_sim.alert.rules import Compiled
from nexova_sim.kernels import alert_tally as e

_STRIDE = 1 << 43  # ms in 278 years
_FAR = np.iinfo(np.int64).max


class Episodes(NamedTuple):
    """Alerts of one policy joined where they touch: n stretches of time, sorted; ``tag`` is machine x channel.

    ``n_alerts`` (n,) alerts in each; ``n_announced`` how many of all alerts were announced.
    """

    tag: np.ndarray
    start_ms: np.ndarray
    end_ms: np.ndarray
    n_alerts: np.ndarray
    n_announced: int


def make_episodes(compiled: Compiled, channels: tuple[str, ...], alerts: Alerts, end_ms: int) -> Episodes:
    """The alerts of one policy as episodes; ``channels`` numbers the channels of both policies alike."""
    number = np.array([channels.index(rule.channel) for rule in compiled.policy.rules], np.int64)
    tag = alerts.code[:, e.MACHINE] * len(channels) + number[alerts.code[:, e.RULE]]
    start = alerts.time[:, e.RAISED]
    end = np.where(alerts.time[:, e.RESOLVED] == NONE, end_ms, alerts.time[:, e.RESOLVED])
    order = np.lexsort((start, tag))
    low, high = (tag * _STRIDE + start)[order], (tag * _STRIDE + end)[order]
    reach = np.maximum.accumulate(high) if len(high) else high
    begins = np.flatnonzero(np.r_[True, low[1:] > reach[:-1]]) if len(low) else np.empty(0, np.int64)
    ends = np.r_[begins[1:], len(low)][: len(begins)]
    last = reach[ends - 1] if len(begins) else reach
    first = low[begins]
    n_announced = int((alerts.time[:, e.ANNOUNCED] != NONE).sum())
    return Episodes(first // _STRIDE, first % _STRIDE, last - first // _STRIDE * _STRIDE, ends - begins, n_announced)


def without_match(mine: Episodes, other: Episodes) -> np.ndarray:
    """Mask of my episodes that no episode of the other policy on the same machine and channel touches."""
    low, high = mine.tag * _STRIDE + mine.start_ms, mine.tag * _STRIDE + mine.end_ms
    starts, ends = other.tag * _STRIDE + other.start_ms, other.tag * _STRIDE + other.end_ms
    if not len(starts):
        return np.ones(len(low), np.bool_)
    k = np.searchsorted(starts, high, side="right") - 1
    touches: np.ndarray = (k >= 0) & (ends[np.maximum(k, 0)] >= low)
    return ~touches


def event_changes(truth: Truth, a: Found, b: Found) -> dict[str, Any]:
    """True faults each policy found that the other missed, and how much later the second tells of those both found."""
    faults = ~truth.is_failure
    first_a, first_b = a.first_ms[0][faults], b.first_ms[0][faults]
    has_a, has_b = first_a != _FAR, first_b != _FAR
    both = has_a & has_b
    later_h = (first_b[both] - first_a[both]) / 3.6e6
    kinds = np.array(truth.kind, object)[faults]
    missed: dict[str, int] = {}
    for kind in kinds[has_a & ~has_b]:
        missed[kind] = missed.get(kind, 0) + 1
    return {
        "events": int(faults.sum()),
        "found_a": int(has_a.sum()),
        "found_b": int(has_b.sum()),
        "found_by_both": int(both.sum()),
        "missed_by_b_only": int((has_a & ~has_b).sum()),
        "missed_by_a_only": int((has_b & ~has_a).sum()),
        "missed_by_b_kinds": dict(sorted(missed.items())),
        "later_median_h": float(np.median(later_h)) if len(later_h) else None,
        "later_p90_h": float(np.quantile(later_h, 0.9)) if len(later_h) else None,
    }


def alert_changes(a: Episodes, b: Episodes) -> dict[str, Any]:
    """Alerts and episodes that only one of the policies has: ``lost`` of the first, ``gained`` by the second."""
    lost, gained = without_match(a, b), without_match(b, a)
    return {
        "alerts_a": int(a.n_alerts.sum()),
        "alerts_b": int(b.n_alerts.sum()),
        "announced_a": a.n_announced,
        "announced_b": b.n_announced,
        "episodes_a": len(a.tag),
        "episodes_b": len(b.tag),
        "episodes_lost": int(lost.sum()),
        "alerts_lost": int(a.n_alerts[lost].sum()),
        "episodes_gained": int(gained.sum()),
        "alerts_gained": int(b.n_alerts[gained].sum()),
    }
