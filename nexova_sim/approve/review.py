"""What a replay shows: lead time, backlog, denials, outcomes, and how busy the reviewers were."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from nexova_sim.approve.replay import Asked, Played
from nexova_sim.approve.workflow import APPROVED, HOUR_MS, PENDING, REJECTED, STATES

_LINE_POINTS = 240
_DECIDED = (APPROVED, REJECTED)


def lead_hours(asked: list[Asked]) -> np.ndarray:
    """Hours from submission to the decision of every decided request, (n,)."""
    return np.array(
        [(a.ended_ms - a.submitted_ms) / HOUR_MS for a in asked if a.state in _DECIDED and a.ended_ms is not None]
    )


def backlog(played: Played) -> tuple[np.ndarray, np.ndarray]:
    """Moments (n,) ms at which the number of open requests changed, and that number from then on, (n,)."""
    changes: Counter[int] = Counter()
    for a in played.asked:
        changes[a.submitted_ms] += 1
        if a.ended_ms is not None:
            changes[a.ended_ms] -= 1
    times = np.array(sorted(changes), dtype=np.int64)
    return times, np.cumsum([changes[t] for t in times.tolist()], dtype=np.int64)


def backlog_mean(played: Played) -> float:
    """Open requests averaged over the time of the replay."""
    times, waiting = backlog(played)
    if len(times) == 0 or played.end_ms <= played.start_ms:
        return 0.0
    widths = np.diff(np.append(times, played.end_ms))
    return float((waiting * widths).sum() / (played.end_ms - played.start_ms))


def timeline(played: Played) -> dict[str, Any]:
    """The most open requests in each of at most 240 equal spans."""
    times, waiting = backlog(played)
    span = max(1, played.end_ms - played.start_ms)
    n = min(_LINE_POINTS, span)
    edges = played.start_ms + span * np.arange(n + 1) // n
    carried = np.concatenate([[0], waiting])
    most = []
    for low, high in pairwise(edges):
        first, last = np.searchsorted(times, low, "right"), np.searchsorted(times, high, "left")
        most.append(int(carried[first : last + 1].max()))
    return {"start_ms": played.start_ms, "end_ms": played.end_ms, "most_open": most}


def _quantile(values: np.ndarray, share: float) -> float | None:
    return round(float(np.quantile(values, share)), 4) if values.size else None


def summarise(played: Played) -> dict[str, Any]:
    """The figures of a replay, JSON-like."""
    lead = lead_hours(played.asked)
    denials = Counter((t.verdict.denial.code, t.attempt.action) for t in played.tried if t.verdict.denial is not None)
    outcomes = Counter(a.state for a in played.asked)
    still = [(played.end_ms - a.submitted_ms) / HOUR_MS for a in played.asked if a.state == PENDING]
    span_ms = max(1, played.end_ms - played.start_ms)
    _, waiting = backlog(played)
    return {
        "attempts": len(played.tried),
        "denied": sum(denials.values()),
        "denials": [{"code": c, "action": a, "count": n} for (c, a), n in denials.most_common()],
        "requests": len(played.asked),
        "outcomes": {state: outcomes.get(state, 0) for state in STATES},
        "lead_median_h": _quantile(lead, 0.5),
        "lead_p90_h": _quantile(lead, 0.9),
        "lead_max_h": _quantile(lead, 1.0),
        "lead_mean_h": round(float(lead.mean()), 4) if lead.size else None,
        "backlog_mean": round(backlog_mean(played), 4),
        "backlog_max": int(waiting.max()) if waiting.size else 0,
        "oldest_open_h": round(max(still), 4) if still else None,
        "reviewers": [
            {"email": email, "decided": sum(a.by == email for a in played.asked),
             "busy_frac": round(ms / span_ms, 6)} for email, ms in played.worked_ms.items()
        ],
        "lead_histogram": histogram(lead),
        "timeline": timeline(played),
    }  # fmt: skip


_EDGES_H = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 48.0, 96.0, 168.0)


def histogram(lead: np.ndarray) -> dict[str, Any]:
    """How many requests were decided within each span of hours; the last span has no end."""
    counts, _ = np.histogram(lead, bins=[*_EDGES_H, np.inf])
    return {"edges_h": list(_EDGES_H), "counts": counts.tolist()}
