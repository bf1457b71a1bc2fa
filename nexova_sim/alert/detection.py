"""Announcements against what really happened: recall, precision and delay by fault kind, and what chance would give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.alert.engine import NONE, Alerts
from nexova_sim.alert.kpi import Span
from nexova_sim.dataset.read import Dataset, time_ms
from nexova_sim.kernels.alert_tally import ANNOUNCED, MACHINE, REANNOUNCED

LEAD_MS = 7 * 86_400_000  # an alert within a week before a failure is one that could have been acted upon
N_SHIFTS = 20
_FAR = np.iinfo(np.int64).max
_STRIDE = 1 << 43  # ms in 278 years: keys machine * _STRIDE + time sort by machine, then time


class Truth(NamedTuple):
    """n things that happened: ``machine`` (n,), ``onset_ms`` and ``end_ms`` (n,) half-open, ``kind`` (n,) text.

    Faults from the labels; failures with the week before them, kind "failure: <event>".
    """

    machine: np.ndarray
    onset_ms: np.ndarray
    end_ms: np.ndarray
    kind: tuple[str, ...]

    @property
    def is_failure(self) -> np.ndarray:
        """Mask of the failures, (n,)."""
        return np.array([k.startswith("failure: ") for k in self.kind], np.bool_)


class Found(NamedTuple):
    """What ``add_found`` collects: ``first_ms`` (1 + shifts, n) earliest announcement in each interval, shifted or not.

    ``counts`` (3,): announcements, those in a labelled fault, those in one or in the week before a failure.
    """

    first_ms: np.ndarray
    counts: np.ndarray


def read_truth(dataset: Dataset) -> Truth | None:
    """Labelled faults and failures of a dataset; None when nothing is labelled."""
    if not dataset.files("labels"):
        return None
    place = {name: m for m, name in enumerate(dataset.machine_ids())}
    labels = dataset.read("labels").combine_chunks()
    if not labels.num_rows:
        return None
    machine = [place[name] for name in labels["machine_id"].to_pylist()]
    onset, end = _ms(labels["onset"]), _ms(labels["end"])
    kind = [str(k) for k in labels["fault"].to_pylist()]
    if dataset.files("events"):
        events = dataset.read("events", columns=["machine_id", "timestamp", "event", "reason"]).combine_chunks()
        rows = [k for k, what in enumerate(events["event"].to_pylist()) if what == "failure"]
        names, reasons, at = events["machine_id"].to_pylist(), events["reason"].to_pylist(), _ms(events["timestamp"])
        machine += [place[names[k]] for k in rows]
        kind += [f"failure: {reasons[k]}" for k in rows]
        onset, end = np.r_[onset, at[rows] - LEAD_MS], np.r_[end, at[rows]]
    return Truth(np.array(machine, np.int64), onset, end, tuple(kind))


def _ms(column: Any) -> np.ndarray:  # noqa: ANN401
    chunks = column.chunks if hasattr(column, "chunks") else [column]
    return np.concatenate([np.empty(0, np.int64), *(time_ms(chunk) for chunk in chunks)])


def new_found(truth: Truth) -> Found:
    """Nothing found yet."""
    return Found(np.full((1 + N_SHIFTS, len(truth.kind)), _FAR, np.int64), np.zeros(3, np.int64))


def _shifted(truth: Truth, span: Span) -> np.ndarray:
    """Onsets (1 + shifts, n): where they are, then moved on by parts of the span, going round at its end."""
    length = max(1, span.end_ms - span.start_ms)
    moved_ms = np.arange(1 + N_SHIFTS)[:, None] * length // (N_SHIFTS + 1)
    onset: np.ndarray = span.start_ms + (truth.onset_ms - span.start_ms + moved_ms) % length
    onset[0] = truth.onset_ms
    return onset


def _told(alerts: Alerts) -> np.ndarray:
    """Sorted keys (machine, time) of what operators are told: first announcements, and again when graver."""
    base = alerts.code[:, MACHINE] * _STRIDE
    first, again = alerts.time[:, ANNOUNCED], alerts.time[:, REANNOUNCED]
    keys = np.concatenate([(base + at)[at != NONE] for at in (first, again)])
    return np.sort(keys, kind="stable")  # nearly sorted as they come, which a stable sort makes use of


def add_found(found: Found, truth: Truth, alerts: Alerts, span: Span) -> None:
    """Take the announcements of ``alerts`` into account."""
    keys = _told(alerts)
    if not len(keys):
        return
    base = truth.machine * _STRIDE
    low = base + _shifted(truth, span)
    next_key = keys[np.minimum(np.searchsorted(keys, low), len(keys) - 1)]
    hit = (next_key >= low) & (next_key < low + (truth.end_ms - truth.onset_ms))
    np.minimum(found.first_ms, np.where(hit, next_key - base, _FAR), out=found.first_ms)
    faults = ~truth.is_failure
    found.counts[0] += len(keys)
    found.counts[1] += _inside(keys, truth, faults)
    found.counts[2] += _inside(keys, truth, np.ones(len(faults), np.bool_))


def _inside(keys: np.ndarray, truth: Truth, chosen: np.ndarray) -> int:
    """How many of the sorted ``keys`` lie in one of the chosen intervals."""
    base = truth.machine[chosen] * _STRIDE
    low, high = (np.searchsorted(keys, base + edge[chosen]) for edge in (truth.onset_ms, truth.end_ms))
    place = np.r_[low, high]
    change = np.r_[np.ones(len(low), np.int64), -np.ones(len(high), np.int64)]
    order = np.argsort(place, kind="stable")
    is_in = np.cumsum(change[order])[:-1] > 0
    return int(np.diff(place[order])[is_in].sum())


def _row(kind: str, onset: np.ndarray, first: np.ndarray, shifted: np.ndarray) -> dict[str, Any]:
    there = first != _FAR
    delay_h = (first[there] - onset[there]) / 3.6e6
    return {
        "kind": kind,
        "events": len(first),
        "found": int(there.sum()),
        "recall_frac": float(there.mean()),
        "chance_frac": float((shifted != _FAR).mean()),
        "delay_median_h": float(np.median(delay_h)) if there.any() else None,
        "delay_p90_h": float(np.quantile(delay_h, 0.9)) if there.any() else None,
    }


def detection(found: Found, truth: Truth, span: Span) -> dict[str, Any]:
    """Recall, delay and chance level of all faults and by kind; precision over all announcements.

    A fault is found when something is announced about its machine while it lasts. ``chance_frac`` is the recall of the
    same announcements for the same faults at ``N_SHIFTS`` other times: what is found without knowing anything.
    """
    onset = truth.onset_ms
    kinds = sorted(set(truth.kind), key=lambda k: (k.startswith("failure: "), k))
    masks = {kind: np.array([k == kind for k in truth.kind], np.bool_) for kind in kinds}
    faults = ~truth.is_failure
    groups = {"all faults": faults, **masks}
    rows = [
        _row(kind, onset[mask], found.first_ms[0][mask], found.first_ms[1:, mask])
        for kind, mask in groups.items()
        if mask.any()
    ]
    n = int(found.counts[0])
    return {
        "kinds": rows,
        "announced": n,
        "precision_frac": int(found.counts[1]) / n if n else None,
        "precision_with_failures_frac": int(found.counts[2]) / n if n else None,
        "failure_lead_h": LEAD_MS / 3.6e6,
    }
