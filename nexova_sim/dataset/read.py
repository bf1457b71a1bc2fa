"""Open a dataset and read rows of it: pruned by row-group statistics, batch by batch, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.schema.channels import TABLES
from nexova_sim.schema.manifest import FileEntry, Manifest, load_manifest
from nexova_sim.schema.tables import SCHEMA_VERSION, table_schema

When = str | datetime | None
BATCH_ROWS = 131_072
_SPAN = {"labels": ("onset", "end")}  # first and one-past-last instant of a row; one instant for the other tables


class Window(NamedTuple):
    """Which rows to read. ``machines`` None = all; times are milliseconds since 1970, half-open; None = unbounded."""

    machines: tuple[str, ...] | None = None
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True)
class Dataset:
    """An open dataset: its folder and its manifest. Reading methods raise DataError for a broken or missing file."""

    folder: Path
    manifest: Manifest

    def tables(self) -> tuple[str, ...]:
        """Names of the tables that have files, in schema order."""
        there = {e.table for e in self.manifest.files if e.path.endswith(".parquet")}
        return tuple(t for t in TABLES if t in there)

    def files(self, table: str) -> tuple[FileEntry, ...]:
        """Parquet files of ``table``, sorted by path; ConfigError for an unknown table, () when it has no files."""
        if table not in TABLES:
            raise ConfigError(f"table {table!r}: there is no such table; {suggest(table, TABLES)}", got=table)
        return tuple(e for e in self.manifest.files if e.table == table and e.path.endswith(".parquet"))

    def schema(self, table: str) -> pa.Schema:
        """Arrow schema of ``table`` as stored, extra channels included; the standard one when it has no files."""
        entries = self.files(table)
        if not entries:
            return table_schema(table)
        path = self.folder / entries[0].path
        with naming(path), pq.ParquetFile(path) as source:
            return source.schema_arrow

    def machine_ids(self) -> tuple[str, ...]:
        """Ids of all machines, in the order of the machines table."""
        return _machine_ids(self.folder, tuple(e.path for e in self.files("machines")))

    def scan(self, table: str = "readings", *, machines: Sequence[str] | None = None, start: When = None,
             end: When = None, columns: Sequence[str] | None = None,
             batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:  # fmt: skip
        """Rows of ``table`` as record batches of at most ``batch_rows``, by partition, then machine, then time.

        ``start``/``end`` are UTC, half-open; a label is in the window when its interval touches it. Raises ConfigError
        for an unknown table, column or machine.
        """
        window = make_window(self, machines, start, end)
        return scan_window(self, table, window, columns, batch_rows)

    def read(self, table: str = "readings", *, machines: Sequence[str] | None = None, start: When = None,
             end: When = None, columns: Sequence[str] | None = None) -> pa.Table:  # fmt: skip
        """The rows that ``scan`` yields as one table in memory."""
        batches = list(self.scan(table, machines=machines, start=start, end=end, columns=columns))
        if batches:
            return pa.Table.from_batches(batches).unify_dictionaries()
        schema = self.schema(table)
        return (schema if columns is None else pa.schema([schema.field(c) for c in columns])).empty_table()


def open_dataset(folder: str | Path) -> Dataset:
    """Open the dataset in ``folder``; DataError when it is none, its manifest is damaged or names bad paths."""
    folder = Path(folder)
    manifest = load_manifest(folder)
    if manifest.schema_version != SCHEMA_VERSION:
        raise DataError(
            f"{folder}: dataset of schema version {manifest.schema_version!r}, this version reads {SCHEMA_VERSION!r}; "
            "write the dataset again with this version"
        )
    for entry in manifest.files:
        if not is_plain_path(entry.path):
            raise DataError(
                f"{folder}: the manifest lists {entry.path!r}, which does not stay below the folder; do not trust it"
            )
    return Dataset(folder, manifest)


def is_plain_path(path: str) -> bool:
    """True for a relative path that stays below its folder and reads the same everywhere."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and not path.startswith("/")
        and "/".join(parts) == path
        and ".." not in parts
        and "\\" not in path
        and ":" not in path
        and path.isprintable()
    )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever a broken or missing data file raises into a DataError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: the file is missing, although the manifest lists it; write the dataset again"
        ) from error
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{path}: the file cannot be read ({what}); 'nexova data verify' tells what is damaged"
        ) from error


def parse_time(value: str | datetime, where: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time; UTC when it carries no offset. ConfigError names ``where``."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{where} {value!r}: not a time; write for example 2026-01-05T06:00:00Z") from error


def make_window(dataset: Dataset, machines: Sequence[str] | None, start: When, end: When) -> Window:
    """The window of these machines and times; ConfigError for an unknown machine, a bad time or start after end."""
    if machines is not None:
        known = set(dataset.machine_ids())
        for name in machines:
            if name not in known:
                raise ConfigError(
                    f"machine {name!r}: not in this dataset of {len(known)} machines; {suggest(name, known)}", got=name
                )
    first = None if start is None else parse_time(start, "start")
    last = None if end is None else parse_time(end, "end")
    if first is not None and last is not None and first >= last:
        raise ConfigError(f"start {start} must be before end {end}; the end is not part of the window")
    return Window(None if machines is None else tuple(machines), first, last)


def time_columns(table: str) -> tuple[str, str] | None:
    """The columns that place a row of ``table`` in time: (first, last); None for a table without time."""
    if table in _SPAN:
        return _SPAN[table]
    return ("timestamp", "timestamp") if any(c.name == "timestamp" for c in TABLES[table]) else None


def scan_window(dataset: Dataset, table: str, window: Window, columns: Sequence[str] | None = None,
                batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:  # fmt: skip
    """Rows of ``table`` inside ``window`` as record batches; what can be seen not to match is not read."""
    entries = dataset.files(table)
    _check_window(table, window)
    if columns is not None:
        names = dataset.schema(table).names
        for name in columns:
            if name not in names:
                raise ConfigError(f"column {name!r}: not in table {table}; {suggest(name, names)}", got=name)
    return _scan_files([dataset.folder / e.path for e in entries], table, window, columns, batch_rows)


def _check_window(table: str, window: Window) -> None:
    if window.machines is not None and all(c.name != "machine_id" for c in TABLES[table]):
        raise ConfigError(
            f"table {table}: has no machine_id, so it cannot be filtered by machine; leave the machine out"
        )
    if (window.start_ms is not None or window.end_ms is not None) and time_columns(table) is None:
        raise ConfigError(
            f"table {table}: has no time column, so it cannot be filtered by time; leave start and end out"
        )


def _scan_files(paths: Sequence[Path], table: str, window: Window, columns: Sequence[str] | None,
                batch_rows: int) -> Iterator[pa.RecordBatch]:  # fmt: skip
    needed = None
    if columns is not None:
        extra = [] if window.machines is None else ["machine_id"]
        if window.start_ms is not None or window.end_ms is not None:
            extra += time_columns(table) or ()
        needed = list(dict.fromkeys([*columns, *extra]))
    for path in paths:
        # Opened by Python: what is read from the file then lies outside Arrow's pool, which would keep the room.
        with naming(path), path.open("rb") as raw, pq.ParquetFile(raw, page_checksum_verification=True) as source:
            meta = source.metadata
            groups = [g for g in range(meta.num_row_groups) if _may_match(meta.row_group(g), table, window)]
            if not groups:
                continue
            for batch in source.iter_batches(batch_rows, groups, needed):
                kept = filter_batch(batch, table, window)
                if kept.num_rows:
                    yield kept if columns is None else kept.select(list(columns))


def _may_match(group: Any, table: str, window: Window) -> bool:  # noqa: ANN401
    """False when the statistics of a row group exclude every row of it."""
    bounds = {}
    for i in range(group.num_columns):
        column = group.column(i)
        if column.path_in_schema in {"machine_id", *(time_columns(table) or ())}:
            stats = column.statistics
            if stats is not None and stats.has_min_max:
                bounds[column.path_in_schema] = (stats.min, stats.max)
    if window.machines is not None and "machine_id" in bounds:
        low, high = bounds["machine_id"]
        if not any(low <= m <= high for m in window.machines):
            return False
    first, last = time_columns(table) or ("", "")
    if window.start_ms is not None and last in bounds and parse_time(bounds[last][1], last) < window.start_ms:
        return False
    return not (window.end_ms is not None and first in bounds and parse_time(bounds[first][0], first) >= window.end_ms)


def time_ms(column: pa.Array) -> np.ndarray:
    """Milliseconds since 1970 (int64) of a timestamp column without nulls."""
    return np.asarray(column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()))


def encoded(column: pa.Array) -> pa.DictionaryArray:
    """A text column as dictionary and indices, whichever way it is stored."""
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def filter_batch(batch: pa.RecordBatch, table: str, window: Window) -> pa.RecordBatch:
    """The rows of ``batch`` that lie in ``window``."""
    mask = np.ones(batch.num_rows, np.bool_)
    if window.machines is not None:
        ids = encoded(batch.column("machine_id"))
        wanted = np.isin(np.array(ids.dictionary.to_pylist(), object), window.machines)
        mask &= wanted[np.asarray(ids.indices)]
    if window.start_ms is not None or window.end_ms is not None:
        first, last = time_columns(table) or ("", "")
        if window.end_ms is not None:
            mask &= time_ms(batch.column(first)) < window.end_ms
        if window.start_ms is not None:
            late = time_ms(batch.column(last))
            # A label's end is one past its last instant, so a label that ends at the start does not touch the window.
            mask &= late >= window.start_ms if first == last else late > window.start_ms
    return batch if mask.all() else batch.filter(pa.array(mask))


@lru_cache(maxsize=8)
def _machine_ids(folder: Path, paths: tuple[str, ...]) -> tuple[str, ...]:
    ids: list[str] = []
    for batch in _scan_files([folder / p for p in paths], "machines", Window(), ["machine_id"], BATCH_ROWS):
        ids += batch.column(0).to_pylist()
    return tuple(ids)
