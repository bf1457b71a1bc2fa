"""Highest statistics of blocks of held-out time, and an even sample of them: what thresholds and scores are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from nexova_sim.dataset.read import Dataset, parse_time
from nexova_sim.dataset.rows import Rows
from nexova_sim.detect.detector import Batch, Found
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import Prepared
from nexova_sim.detect.thresholds import DAY_MS
from nexova_sim.schema.channels import STATUSES

_MOST_SAMPLE = 200_000
_WANTED_BLOCKS = 40
_LEAST_MS = 60_000.0


class Extremes(NamedTuple):
    """``maxima`` (k, b) of blocks of ``block_ms``, of ``machine`` (b,); ``sample`` (k, n) of ``sample_machine`` (n,).

    Only readings outside suppressed states count, except for statistics that always do. ``heard`` (channels, m): the
    machine has a reading of the channel, at whatever time.
    """

    maxima: np.ndarray
    machine: np.ndarray
    block_ms: float
    sample: np.ndarray
    sample_machine: np.ndarray
    n_rows: int
    heard: np.ndarray


def block_length_ms(span_ms: float, n_machines: int) -> float:
    """A day, or less when the held-out span is so short that there would be fewer than forty blocks."""
    return max(_LEAST_MS, min(DAY_MS, span_ms * n_machines / _WANTED_BLOCKS))


def collect(dataset: Dataset, found: Iterable[tuple[Rows, Batch, Found]], prepared: Prepared,
            split_ms: int) -> Extremes:  # fmt: skip
    """Gather extremes and a sample from the readings at and after ``split_ms``."""
    end_ms = parse_time(dataset.manifest.end, "end")
    m = len(prepared.twin)
    block_ms = block_length_ms(max(1, end_ms - split_ms), m)
    n_blocks = max(1, int(np.ceil((end_ms - split_ms) / block_ms)))
    parts = DETECTORS[prepared.config.detector].components()
    always = np.array([c.always for c in parts])
    highest = np.full((len(parts), m * n_blocks), -np.inf, np.float32)
    count = np.zeros(m * n_blocks, np.int64)
    counted = np.isin(np.arange(len(STATUSES)), [STATUSES.index(s) for s in prepared.config.post.suppress], invert=True)
    every = max(1, dataset.manifest.rows["readings"] // _MOST_SAMPLE)
    sample, machines, n = [], [], 0
    heard = np.zeros((len(prepared.params.channels), m), bool)
    for rows, _batch, statistic in found:
        for c, values in enumerate(rows.values):
            heard[c, rows.machine[np.isfinite(values)]] = True
        held = rows.time_ms >= split_ms
        if not held.any():
            continue
        runs = counted[rows.status]
        z = np.where(np.isnan(statistic.statistic), 0.0, statistic.statistic)
        block = np.clip((rows.time_ms - split_ms) // block_ms, 0, n_blocks - 1).astype(np.int64)
        cell = rows.machine * np.int64(n_blocks) + block
        use = np.flatnonzero(held)
        cell, z, runs = cell[use], z[:, use], runs[use]
        begins = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
        for k in range(len(parts)):
            top = np.maximum.reduceat(z[k] if always[k] else np.where(runs, z[k], -np.inf), begins)
            np.maximum.at(highest[k], cell[begins], top)
        np.add.at(count, cell[begins], np.add.reduceat(runs, begins, dtype=np.int64))
        running = np.flatnonzero(runs)
        n += len(running)
        sample.append(z[:, running[::every]])
        machines.append(rows.machine[use][running[::every]])
    typical = np.median(count[count > 0]) if (count > 0).any() else 1.0
    # A block of few readings has a low maximum, which a law of maxima must not see; the highest of all is not harmed.
    share = 0.25 if prepared.config.calibration.threshold == "budget" else 0.0
    keep = count >= max(1.0, share * typical)
    maxima = np.where(np.isfinite(highest[:, keep]), highest[:, keep], np.nan)
    machine = np.repeat(np.arange(m), n_blocks)[keep]
    empty = np.empty((len(parts), 0), np.float32)
    return Extremes(maxima, machine, block_ms, np.concatenate(sample, axis=1) if sample else empty,
                    np.concatenate(machines) if machines else np.empty(0, np.int64), n, heard)  # fmt: skip
