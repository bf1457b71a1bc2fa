"""Accepted rows on disk between reading and writing, so that files in any order need little memory.

Every block is sorted by time and memory-mapped; a part of the dataset then takes its slice of every block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.base.errors import DataError

DAY_MS = 86_400_000
PART_ROWS = (
    3_000_000  # most rows of a part file, and of a month of one block of machines before the partition is by day
)
BLOCK_MACHINES = 16  # as in simulated datasets


class Spill(NamedTuple):
    """Spilled blocks: the file, first and last time of every block, rows per (day, machine code)."""

    path: Path
    bounds: list[tuple[int, int]]
    counts: Counter[tuple[int, int]]


class Part(NamedTuple):
    """A file of the dataset to be: partition label, number, span [begin, end) in ms, machine ranks [first, last)."""

    label: str
    number: int
    begin_ms: int
    end_ms: int
    first: int
    last: int


class Sorted(NamedTuple):
    """Rows of a part by machine then time: arrays (n,) by name, rank of the machine, and which rows repeat a kept one.

    ``is_double`` rows have the machine and time of the row ``kept`` (index), which came first in the input.
    """

    columns: dict[str, np.ndarray]
    rank: np.ndarray
    is_double: np.ndarray
    kept: np.ndarray


def write_spill(path: Path, batches: Iterable[dict[str, np.ndarray]]) -> Spill:
    """Write blocks of rows (arrays by name, with ``ts`` in ms and ``code``) to ``path``; DataError if none."""
    bounds: list[tuple[int, int]] = []
    counts: Counter[tuple[int, int]] = Counter()
    writer: Any = None
    try:
        for columns in batches:
            ts = columns["ts"]
            if not len(ts):
                continue
            if np.any(ts[1:] < ts[:-1]):
                order = np.argsort(ts, kind="stable")
                columns = {name: values[order] for name, values in columns.items()}  # noqa: PLW2901
                ts = columns["ts"]
            batch = pa.record_batch([pa.array(v) for v in columns.values()], names=list(columns))
            writer = writer or pa.ipc.new_file(str(path), batch.schema)
            writer.write_batch(batch)
            bounds.append((int(ts[0]), int(ts[-1])))
            keys, n = np.unique(ts // DAY_MS * 65_536 + columns["code"], return_counts=True)
            counts.update({(int(k) // 65_536, int(k) % 65_536): int(c) for k, c in zip(keys, n, strict=True)})
    finally:
        if writer is not None:
            with suppress(pa.ArrowException):
                writer.close()
    if not bounds:
        raise DataError("no row of the files can be kept; check the mapping file")
    return Spill(path, bounds, counts)


def plan_parts(spill: Spill, rank: np.ndarray, partition: str) -> list[Part]:
    """Part files by month or day (UTC), then by blocks of machines; depends on the rows only."""
    months: Counter[str] = Counter()
    for (day, _), n in spill.counts.items():
        months[_date(day).strftime("%Y-%m")] += n
    n_blocks = -(-len(rank) // BLOCK_MACHINES)
    by_day = partition == "day" or (partition == "auto" and max(months.values()) > PART_ROWS * n_blocks)
    periods: dict[tuple[str, int, int], Counter[int]] = {}
    for (day, code), n in sorted(spill.counts.items()):
        periods.setdefault(_period(day, by_day), Counter())[int(rank[code])] += n
    parts = []
    for (label, begin, end), rows in periods.items():
        for number, (first, last) in enumerate(_machine_blocks(rows, len(rank))):
            parts.append(Part(label, number, begin, end, first, last))
    return parts


def _date(day: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _period(day: int, by_day: bool) -> tuple[str, int, int]:
    moment = _date(day)
    if by_day:
        return f"date={moment:%Y-%m-%d}", day * DAY_MS, (day + 1) * DAY_MS
    first = moment.replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return f"month={first:%Y-%m}", int(first.timestamp()) * 1000, int(after.timestamp()) * 1000


def _machine_blocks(rows: Counter[int], n_machines: int) -> list[tuple[int, int]]:
    """Runs of machines with at most PART_ROWS rows together (at least one machine each); they cover all with rows."""
    if sum(rows.values()) <= PART_ROWS:
        return [(0, n_machines)]
    blocks: list[tuple[int, int]] = []
    first, total = min(rows), 0
    for machine in sorted(rows):
        if total and total + rows[machine] > PART_ROWS:
            blocks.append((first, machine))
            first, total = machine, 0
        total += rows[machine]
    return [*blocks, (first, n_machines)]


def load_part(spill: Spill, part: Part, rank: np.ndarray, names: Sequence[str] | None = None) -> Sorted:
    """Rows of a part, sorted by machine, time, order of input; ``names`` are the columns wanted (None = all)."""
    pieces: list[dict[str, np.ndarray]] = []
    is_all = part.first == 0 and part.last == len(rank)
    with pa.memory_map(str(spill.path)) as source:
        reader = pa.ipc.open_file(source)
        wanted = [*dict.fromkeys(["ts", "code", "file", *(names if names is not None else reader.schema.names)])]
        for number, (begin, end) in enumerate(spill.bounds):
            if end < part.begin_ms or begin >= part.end_ms:
                continue
            batch = reader.get_batch(number)
            ts = batch.column("ts").to_numpy()
            i, j = np.searchsorted(ts, [part.begin_ms, part.end_ms])
            here = {n: batch.column(n).to_numpy()[i:j] for n in wanted}
            if not is_all:
                mine = rank[here["code"]]
                mask = (mine >= part.first) & (mine < part.last)
                here = {n: v[mask] for n, v in here.items()}
            pieces.append(here)
        columns = {n: np.concatenate([p[n] for p in pieces]) for n in wanted}
    ranks, ts = rank[columns["code"]], columns["ts"]
    if np.any((ranks[1:] < ranks[:-1]) | ((ranks[1:] == ranks[:-1]) & (ts[1:] < ts[:-1]))):
        order = np.lexsort((ts, ranks))
        columns = {n: v[order] for n, v in columns.items()}
        ranks, ts = ranks[order], columns["ts"]
    is_double = np.zeros(len(ts), bool)
    is_double[1:] = (ranks[1:] == ranks[:-1]) & (ts[1:] == ts[:-1])
    kept = np.maximum.accumulate(np.where(is_double, 0, np.arange(len(ts))))
    return Sorted(columns, ranks, is_double, kept)
