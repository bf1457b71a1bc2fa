"""Lives of machines as their operator knows them: histories on a grid of steps, and when each life began and ended.

Only public tables are read (readings, events, machines). A life runs from the start of the data, or from the end of
maintenance that restored something, to a failure, to a service (then the rest is not known: censored) or to the end of
the data (censored too).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.rul import Asking, Features
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import Dataset, parse_time, time_ms
from nexova_sim.dataset.rows import channel_names

HOUR_MS = 3_600_000.0
_PLATE = ("rated_kw", "nominal_load_frac", "baseline_kw", "rated_life_h")


class Histories(NamedTuple):
    """Readings of m machines in b steps of ``step_ms``: ``values`` (channels, m, b) float32, NaN while not running.

    ``age_h`` (m, b) float64: hour meter, the last value carried on; ``online_frac`` (m, b) float32: share of the step
    running; ``n_steps`` (m,) one past the last step with a reading; ``kind`` (m,) text; ``plate`` (m, 4) float64:
    name-plate data, NaN where unknown.
    """

    machine_ids: tuple[str, ...]
    channels: tuple[str, ...]
    start_ms: int
    step_ms: int
    values: np.ndarray
    age_h: np.ndarray
    online_frac: np.ndarray
    n_steps: np.ndarray
    kind: np.ndarray
    plate: np.ndarray


class Lives(NamedTuple):
    """l lives: ``machine`` (l,) places, ``begin_ms``, ``end_ms`` (l,) int64, ``is_failure`` (l,) bool."""

    machine: np.ndarray
    begin_ms: np.ndarray
    end_ms: np.ndarray
    is_failure: np.ndarray


class Cuts(NamedTuple):
    """n moments at which a machine is asked: ``life`` and ``machine`` (n,), ``step`` (n,) the last step that is known.

    ``time_ms`` (n,) is the end of that step. ``target_h`` (n,): hours to the failure when it was observed, else NaN;
    ``seen_h`` (n,): hours from the moment to the end of the life, whatever ended it.
    """

    life: np.ndarray
    machine: np.ndarray
    step: np.ndarray
    time_ms: np.ndarray
    target_h: np.ndarray
    seen_h: np.ndarray


def take(cuts: Cuts, keep: np.ndarray) -> Cuts:
    """The cuts that a mask or index array keeps."""
    return Cuts(*(column[keep] for column in cuts))


def read_histories(dataset: Dataset, features: Features) -> Histories:
    """Gather the readings of a dataset; DataError when it has no channel to learn from."""
    names = channel_names(dataset) if features.channels == "*" else tuple(features.channels)
    grid = gather(dataset, features.step_s, (*names, "runtime_h"))
    running = grid.online_frac > 0.5
    values = np.where(running, grid.mean[:-1], np.nan)
    has_any = np.asarray(np.isfinite(values).any(axis=(1, 2)))
    if not has_any.any():
        raise DataError(f"{dataset.folder}: no channel holds a number while machines run; nothing to predict from")
    kept = tuple(name for name, there in zip(names, has_any, strict=True) if there)
    plates = dataset.read("machines", columns=["kind", *_PLATE])
    plate = np.column_stack([plates[name].to_numpy(zero_copy_only=False).astype(float) for name in _PLATE])
    kind = np.array(plates["kind"].to_pylist(), object).astype(str)
    return Histories(grid.machine_ids, kept, grid.start_ms, grid.step_ms, values[has_any], _carried(grid.mean[-1]),
                     np.nan_to_num(grid.online_frac), _ends(grid.online_frac), kind, plate)  # fmt: skip


def _carried(values: np.ndarray) -> np.ndarray:
    """Each row (m, b) with gaps filled by the last value before; 0 before the first."""
    place = np.where(np.isfinite(values), np.arange(values.shape[1])[None, :], -1)
    last = np.maximum.accumulate(place, axis=1)
    filled = np.take_along_axis(np.nan_to_num(values).astype(np.float64), np.maximum(last, 0), axis=1)
    return np.where(last >= 0, filled, 0.0)


def _ends(online_frac: np.ndarray) -> np.ndarray:
    """One past the last step with a reading, (m,) int64."""
    there = np.isfinite(online_frac)
    ends: np.ndarray = np.where(there.any(axis=1), there.shape[1] - np.argmax(there[:, ::-1], axis=1), 0)
    return ends


def read_lives(dataset: Dataset, histories: Histories, until_ms: int | None = None) -> Lives:
    """Lives of all machines as events tell them; with ``until_ms`` nothing that happens later is known.

    A machine that no longer reports is followed to its last reading only.
    """
    start_ms = parse_time(dataset.manifest.start, "start")
    end_ms = parse_time(dataset.manifest.end, "end")
    if until_ms is not None:
        end_ms = min(end_ms, until_ms)
    place = {name: i for i, name in enumerate(dataset.machine_ids())}
    changes: list[list[tuple[int, str, bool]]] = [[] for _ in place]
    for batch in dataset.scan("events", columns=["machine_id", "timestamp", "event", "restored"]):
        ids, events, restored = (batch.column(i).to_pylist() for i in (0, 2, 3))
        for name, ms, event, parts in zip(ids, time_ms(batch.column(1)), events, restored, strict=True):
            if event != "status" and ms <= end_ms:
                changes[place[name]].append((int(ms), event, bool(parts)))
    rows: list[tuple[int, int, int, bool]] = []
    for machine, known in enumerate(changes):
        seen_ms = histories.start_ms + int(histories.n_steps[machine]) * histories.step_ms
        rows += _lives_of(machine, sorted(known), start_ms, min(end_ms, seen_ms))
    table = np.array(rows, np.int64).reshape(-1, 4)
    return Lives(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(bool))


def _lives_of(
    machine: int, known: list[tuple[int, str, bool]], start_ms: int, end_ms: int
) -> list[tuple[int, int, int, bool]]:
    """(machine, begin, end, is failure) of one machine's lives, from its events in order."""
    rows = []
    begin: int | None = start_ms
    for ms, event, has_restored in known:
        if begin is not None and (event == "failure" or (event == "maintenance_start" and has_restored)):
            rows.append((machine, begin, ms, event == "failure"))
            begin = None
        elif begin is None and event == "maintenance_end":
            begin = ms
    if begin is not None and begin < end_ms:
        rows.append((machine, begin, end_ms, False))
    return rows


def steps_of(histories: Histories, lives: Lives) -> tuple[np.ndarray, np.ndarray]:
    """First whole step of every life and one past its last whole step, (l,) int64 each."""
    first = -(-(lives.begin_ms - histories.start_ms) // histories.step_ms)
    last = (lives.end_ms - histories.start_ms) // histories.step_ms
    return np.clip(first, 0, None), np.clip(last, 0, histories.values.shape[2])


def regular_cuts(histories: Histories, lives: Lives, asking: Asking) -> Cuts:
    """Moments ``every_h`` apart in every life, from ``least_h`` after its first step on, at most ``most``."""
    first, last = steps_of(histories, lives)
    step_h = histories.step_ms / HOUR_MS
    every, least = max(1, round(asking.every_h / step_h)), max(1, round(asking.least_h / step_h))
    pieces = [np.arange(f + least - 1, e, every) for f, e in zip(first, last, strict=True)]
    life = np.repeat(np.arange(len(pieces)), [len(p) for p in pieces])
    cuts = cuts_at(histories, lives, life, np.concatenate([*pieces, np.zeros(0, np.int64)]).astype(np.int64))
    if asking.rul_h is not None:
        low, high = asking.rul_h
        cuts = take(cuts, lives.is_failure[cuts.life] & (cuts.seen_h >= low) & (cuts.seen_h <= high))
    if len(cuts.life) > asking.most:
        cuts = take(cuts, np.linspace(0, len(cuts.life) - 1, asking.most).round().astype(np.int64))
    return cuts


def last_cuts(histories: Histories, lives: Lives) -> Cuts:
    """The last known moment of every machine that is alive at the end; at least one whole step must be known."""
    first, last = steps_of(histories, lives)
    newest = np.full(len(histories.machine_ids), -1, np.int64)
    for number in range(len(first)):
        if last[number] > first[number] and not lives.is_failure[number]:
            newest[lives.machine[number]] = number
    life = newest[newest >= 0]
    return cuts_at(histories, lives, life, last[life] - 1)


def cuts_at(histories: Histories, lives: Lives, life: np.ndarray, step: np.ndarray) -> Cuts:
    """Cuts after the given steps (n,) of lives (n,)."""
    time = histories.start_ms + (step + 1) * histories.step_ms
    seen_h = (lives.end_ms[life] - time) / HOUR_MS
    return Cuts(life, lives.machine[life], step, time, np.where(lives.is_failure[life], seen_h, np.nan), seen_h)
