"""Readings, scores and flags folded into cells: a machine in a time bin. What all detectors are judged on alike.

Cells stand by machine, then time, and only where a machine has readings: so a bench with short runs months apart takes
no more room than its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.detect.episodes import Spans, merged


class Cells(NamedTuple):
    """c cells of m machines: ``machine`` (c,), ``start_ms`` (c,) of the bin, ``starts`` (m + 1,) where machines begin.

    ``online_frac`` (c,) share of readings with status ONLINE; ``mean`` (channels, c), NaN where nothing valid was read.
    """

    bin_ms: int
    machine: np.ndarray
    start_ms: np.ndarray
    starts: np.ndarray
    online_frac: np.ndarray
    mean: np.ndarray


class Batch(NamedTuple):
    """n readings: ``machine`` (n,), ``time_ms`` (n,), ``is_online`` (n,), ``values`` (channels, n)."""

    machine: np.ndarray
    time_ms: np.ndarray
    is_online: np.ndarray
    values: np.ndarray


def _key(machine: np.ndarray, time_ms: np.ndarray, bin_ms: int) -> np.ndarray:
    # 2**42 bins of 1 ms are 139 years: machine and bin fit one sortable integer.
    key: np.ndarray = (machine.astype(np.int64) << 42) | (time_ms // bin_ms)
    return key


def _runs(key: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.r_[True, key[1:] != key[:-1]])


def fold(batches: Iterable[Batch], bin_ms: int, n_machines: int, n_channels: int) -> Cells:
    """Fold readings, in any order of batches, into cells; memory grows with cells."""
    keys, sums = [np.empty(0, np.int64)], [np.empty((2 + 2 * n_channels, 0))]
    for batch in batches:
        if not len(batch.machine):
            continue
        key = _key(batch.machine, batch.time_ms, bin_ms)
        at = _runs(key)
        valid = np.isfinite(batch.values)
        rows = [np.diff(np.r_[at, len(key)]), np.add.reduceat(batch.is_online.astype(np.int64), at)]
        for c in range(n_channels):
            rows += [np.add.reduceat(np.where(valid[c], batch.values[c], 0.0).astype(np.float64), at),
                     np.add.reduceat(valid[c].astype(np.int64), at)]  # fmt: skip
        keys.append(key[at])
        sums.append(np.array(rows, np.float64))
    key, total = np.concatenate(keys), np.concatenate(sums, axis=1)
    order = np.argsort(key, kind="stable")
    key, total = key[order], total[:, order]
    at = _runs(key) if len(key) else np.empty(0, np.int64)
    total = np.add.reduceat(total, at, axis=1) if len(key) else total
    key = key[at]
    machine = key >> 42
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(total[3::2] > 0, total[2::2] / total[3::2], np.nan)
        online = total[1] / total[0]
    starts = np.searchsorted(machine, np.arange(n_machines + 1))
    return Cells(bin_ms, machine, (key & ((1 << 42) - 1)) * bin_ms, starts, online, mean)


def select(cells: Cells, keep: np.ndarray) -> Cells:
    """The cells where ``keep`` (c,) holds."""
    machine = cells.machine[keep]
    starts = np.searchsorted(machine, np.arange(len(cells.starts)))
    return Cells(cells.bin_ms, machine, cells.start_ms[keep], starts, cells.online_frac[keep], cells.mean[:, keep])


def fold_scores(batches: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
                cells: Cells) -> tuple[np.ndarray, np.ndarray, int]:  # fmt: skip
    """Highest score (c,) and whether any reading was flagged (c,) per cell, from (machine, time_ms, score, flag).

    A cell without a score, or with NaN only, has score 0 and no flag: a detector cannot choose what it is asked. The
    third value is the number of such cells.
    """
    own = _key(cells.machine, cells.start_ms, cells.bin_ms)
    score = np.full(len(own), -np.inf)
    flag = np.zeros(len(own), np.bool_)
    for machine, time_ms, values, flags in batches:
        if not len(machine) or not len(own):
            continue
        key = _key(machine, time_ms, cells.bin_ms)
        at = _runs(key)
        place = np.minimum(np.searchsorted(own, key[at]), len(own) - 1)
        known = own[place] == key[at]
        clean = np.where(np.isfinite(values), values, -np.inf)
        np.maximum.at(score, place[known], np.maximum.reduceat(clean, at)[known])
        np.logical_or.at(flag, place[known], np.logical_or.reduceat(flags, at)[known])
    missing = ~np.isfinite(score)
    return np.where(missing, 0.0, score), flag & ~missing, int(np.count_nonzero(missing))


def covered(cells: Cells, spans: Spans) -> np.ndarray:
    """True (c,) for cells that a span of their machine touches."""
    out = np.zeros(len(cells.machine), np.bool_)
    whole = merged(spans)
    for who, low, high in zip(whole.machine.tolist(), whole.start_ms.tolist(), whole.end_ms.tolist(), strict=True):
        own = cells.start_ms[cells.starts[who] : cells.starts[who + 1]]
        first = cells.starts[who] + np.searchsorted(own, low - cells.bin_ms, side="right")
        last = cells.starts[who] + np.searchsorted(own, high, side="left")
        out[first:last] = True
    return out


def raised(cells: Cells, flag: np.ndarray) -> Spans:
    """Alarms of a detector that has only flags (c,): one per run of flagged cells of a machine."""
    if not len(flag):
        return Spans(*(np.empty(0, np.int64),) * 3)
    edge = np.r_[True, cells.machine[1:] != cells.machine[:-1]]
    first = np.flatnonzero(flag & (edge | ~np.r_[False, flag[:-1]]))
    last = np.flatnonzero(flag & (np.r_[edge[1:], True] | ~np.r_[flag[1:], False]))
    return Spans(cells.machine[first], cells.start_ms[first], cells.start_ms[last] + cells.bin_ms)


def machine_spans(cells: Cells) -> Iterator[tuple[int, slice]]:
    """The machines that have cells, with their place in the arrays."""
    for m in range(len(cells.starts) - 1):
        if cells.starts[m] < cells.starts[m + 1]:
            yield m, slice(int(cells.starts[m]), int(cells.starts[m + 1]))


def channel_rows(cells: Cells, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Every channel with its means (c,)."""
    yield from zip(names, cells.mean, strict=True)
