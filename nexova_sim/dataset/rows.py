"""Readings as plain arrays, batch by batch in constant memory: what every engine that streams over a dataset reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.dataset.read import Dataset, When, make_window, scan_window, time_ms
from nexova_sim.schema.channels import STATUSES

CHANNELS = ("power_kw", "temperature_c", "vibration_mm_s")
ROWS = 131_072
_KEPT_BATCHES = 4


class Rows(NamedTuple):
    """A batch of n readings; those of a machine stand together, and its time never runs backward between batches.

    ``machine`` (n,) int32: place in ``Dataset.machine_ids()``. ``time_ms`` (n,) int64 since 1970, UTC. ``values``
    (channels, n) float32, NaN where there is no number. ``status`` (n,) int8: place in ``schema.channels.STATUSES``.
    """

    machine: np.ndarray
    time_ms: np.ndarray
    values: np.ndarray
    status: np.ndarray


def channel_names(dataset: Dataset) -> tuple[str, ...]:
    """Every numeric channel of the readings, the standard ones first, ``runtime_h`` left out."""
    schema = dataset.schema("readings")
    numeric = [f.name for f in schema if pa.types.is_floating(f.type) and f.name != "runtime_h"]
    return (*(c for c in CHANNELS if c in numeric), *(c for c in numeric if c not in CHANNELS))


def scan_rows(dataset: Dataset, channels: Sequence[str] = CHANNELS, *, machines: Sequence[str] | None = None,
              start: When = None, end: When = None, batch_rows: int = ROWS) -> Iterator[Rows]:  # fmt: skip
    """The readings as ``Rows`` of at most ``batch_rows``; machine codes count in ``dataset.machine_ids()`` always.

    Raises ConfigError for an unknown channel, machine or time, DataError for a damaged file.
    """
    known = channel_names(dataset)
    for name in channels:
        if name not in (*known, "runtime_h"):
            raise ConfigError(f"channel {name!r}: not in this dataset; {suggest(name, known)}", got=name)
    place = {name: i for i, name in enumerate(dataset.machine_ids())}
    window = make_window(dataset, machines, start, end)
    columns = ["machine_id", "timestamp", *channels, "status"]
    pool = pa.default_memory_pool()
    # Memory must not grow with the number of batches: each is let go before the next is read, and the pool is told now
    # and then to give back what it keeps of them, because one leaves holes that the next does not fit into.
    for number, batch in enumerate(scan_window(dataset, "readings", window, columns, batch_rows)):
        rows = _rows(batch, place, len(channels))
        del batch
        if number % _KEPT_BATCHES == 0:
            pool.release_unused()
        yield rows
        del rows


def read_rows(dataset: Dataset, channels: Sequence[str] = CHANNELS, *, machines: Sequence[str] | None = None,
              start: When = None, end: When = None) -> Rows:  # fmt: skip
    """All that ``scan_rows`` yields as one batch in memory, sorted by machine, then time."""
    parts = list(scan_rows(dataset, channels, machines=machines, start=start, end=end))
    if not parts:
        return Rows(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((len(channels), 0), np.float32),
                    np.empty(0, np.int8))  # fmt: skip
    machine = np.concatenate([p.machine for p in parts])
    # Stable, so each machine keeps its order in time.
    order = np.argsort(machine, kind="stable")
    return Rows(
        machine[order],
        np.concatenate([p.time_ms for p in parts])[order],
        np.concatenate([p.values for p in parts], axis=1)[:, order],
        np.concatenate([p.status for p in parts])[order],
    )


def runs(rows: Rows) -> np.ndarray:
    """Where each machine's readings begin in a batch, and its length at the end: (k + 1,) int64."""
    inner = np.flatnonzero(rows.machine[1:] != rows.machine[:-1]) + 1
    return np.concatenate([[0], inner, [len(rows.machine)]]) if len(rows.machine) else np.zeros(1, np.int64)


def _codes(column: pa.Array, place: dict[str, int], what: str, kind: type[np.integer] = np.int32) -> np.ndarray:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    if column.null_count:
        raise DataError(f"readings: {column.null_count} rows without {what}; 'nexova data verify' tells what is wrong")
    try:
        table = np.array([place[name] for name in column.dictionary.to_pylist()], kind)
    except KeyError as error:
        raise DataError(
            f"readings: {what} {error} is not known; the dataset does not fit together, write it again"
        ) from error
    codes: np.ndarray = table[np.asarray(column.indices)]
    return codes


_STATUS_PLACE = {name: i for i, name in enumerate(STATUSES)}


def _rows(batch: pa.RecordBatch, place: dict[str, int], n_channels: int) -> Rows:
    values = np.empty((n_channels, batch.num_rows), np.float32)
    for number in range(n_channels):
        column = batch.column(2 + number)
        values[number] = column.to_numpy(zero_copy_only=False)  # an Arrow null becomes NaN
    status = _codes(batch.column(2 + n_channels), _STATUS_PLACE, "status", np.int8)
    return Rows(_codes(batch.column(0), place, "machine"), time_ms(batch.column(1)), values, status)
