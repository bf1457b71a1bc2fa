"""The latest rows of a long table: those of the fleet, and for each machine some more that the filter can show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.report.series import milliseconds
from nexova_sim.report.words import clock

SHOWN, MOST = 100, 2000


def latest(machine: np.ndarray, at: np.ndarray, shown: int = SHOWN, most: int = MOST) -> np.ndarray:
    """Places of the latest rows, newest first: the ``shown`` newest of all, then older ones, ``most`` in all.

    ``machine`` (n,) are codes, ``at`` (n,) times. Older ones are taken in turn: the newest of every machine that is
    left, then the next of every machine, so that no machine stays without its latest.
    """
    order = np.lexsort((np.arange(len(at)), -at))
    first, rest = order[:shown], order[shown:]
    by_machine = np.argsort(machine[rest], kind="stable")
    codes = machine[rest][by_machine]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else np.zeros(0, np.int64)
    rank = np.empty(len(rest), np.int64)
    rank[by_machine] = np.arange(len(rest)) - np.repeat(starts, np.diff(np.r_[starts, len(codes)]))
    chosen = np.sort(np.argsort(rank, kind="stable")[: max(0, most - len(first))])
    places: np.ndarray = np.r_[first, rest[chosen]]
    return places


def latest_rows(path: Path, time: str, columns: Sequence[str], shown: int = SHOWN) -> list[dict[str, Any]]:
    """Rows of a Parquet file with a ``machine_id``, the latest by the column ``time`` first, as ``latest`` picks them.

    Only the chosen rows are ever held as a whole; times become text.
    """
    keys = pq.read_table(path, columns=["machine_id", time])
    names = keys["machine_id"].cast(pa.string()).combine_chunks().dictionary_encode()
    picked = latest(names.indices.to_numpy(), milliseconds(keys[time].combine_chunks()), shown)
    wanted, parts, first = np.sort(picked), [], 0
    with pq.ParquetFile(path) as source:
        for batch in source.iter_batches(columns=[*dict.fromkeys(("machine_id", time, *columns))]):
            inside = wanted[(wanted >= first) & (wanted < first + batch.num_rows)] - first
            parts += batch.take(pa.array(inside)).to_pylist()
            first += batch.num_rows
    back = np.argsort(np.argsort(picked))
    return [_written(parts[k]) for k in back.tolist()]


def _written(row: dict[str, Any]) -> dict[str, Any]:
    return {key: clock(round(v.timestamp() * 1000)) if hasattr(v, "timestamp") else v for key, v in row.items()}
