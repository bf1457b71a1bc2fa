"""Look inside one Parquet file of a dataset: pages, schema, ranges, order, keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nexova_sim.base.errors import DataError
from nexova_sim.dataset.read import BATCH_ROWS, encoded, naming, parse_time, time_ms
from nexova_sim.schema.channels import STATUSES, TABLES, Channel
from nexova_sim.schema.manifest import FileEntry, Manifest
from nexova_sim.schema.tables import table_schema

_MAY_BE_NAN = ("readings",)  # a sensor that drops out reads NaN; nothing else may
_MAY_REPEAT = ("events", "labels")  # two things can happen to a machine at once
_LABELS = ("month", "date")  # partition labels: the beginning of the ISO text of every time below
_NO_TIME_MS = 0


class Order(NamedTuple):
    """How rows of a table are sorted: by key, then by time (None: one row per key)."""

    key: str
    time: str | None


ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "readings": Order("machine_id", "timestamp"),
        "truth": Order("machine_id", "timestamp"),
        "events": Order("machine_id", "timestamp"),
        "labels": Order("machine_id", "onset"),
        "weather": Order("factory_id", "timestamp"),
        "machines": Order("machine_id", None),
        "build": Order("machine_id", None),
        "factories": Order("factory_id", None),
    }
)


class Finding(NamedTuple):
    """One damage: the file's path below the dataset folder, and what is wrong with it."""

    path: str
    problem: str


class Run(NamedTuple):
    """Rows of one key that follow each other in a file, with their first and last time."""

    key: str
    first_ms: int
    last_ms: int


class FileReport(NamedTuple):
    """What the inspection of a file gave."""

    entry: FileEntry
    findings: tuple[Finding, ...]
    runs: tuple[Run, ...]


def inspect_file(path: Path, entry: FileEntry, manifest: Manifest) -> FileReport:
    """Read a Parquet file whole, page checksums on, and check schema, row count, values, order and keys."""
    problems: dict[str, str] = {}
    runs: list[Run] = []
    try:
        with naming(path), pq.ParquetFile(path, page_checksum_verification=True) as source:
            if source.metadata.num_rows != entry.rows:
                problems["rows"] = f"has {source.metadata.num_rows} rows, the manifest says {entry.rows}"
            schema = source.schema_arrow
            extra = tuple(manifest.extra_channels) if entry.table == "readings" else ()
            wrong = _schema_problem(schema, entry.table, extra)
            if wrong:
                problems["schema"] = wrong
            else:
                _inspect_rows(source, entry, manifest, problems, runs)
    except DataError as error:
        problems["read"] = error.message.removeprefix(f"{path}: ")
    return FileReport(entry, tuple(Finding(entry.path, p) for p in problems.values()), tuple(runs))


def _schema_problem(schema: pa.Schema, table: str, extra: tuple[str, ...]) -> str:
    wanted = table_schema(table)
    names = [*wanted.names, *extra]
    if schema.names != names:
        return f"columns are {', '.join(schema.names)}; the schema wants {', '.join(names)}"
    for item in wanted:
        if not schema.field(item.name).equals(item, check_metadata=True):
            return f"column {item.name} ({schema.field(item.name).type}): type or meaning differs from the schema"
    for name in extra:
        if not pa.types.is_floating(schema.field(name).type):
            return f"extra channel {name} is {schema.field(name).type}; extra channels are floating-point numbers"
    if schema.metadata != wanted.metadata:
        return f"schema metadata are {schema.metadata}; the schema wants {wanted.metadata}"
    return ""


def _bounds(schema: pa.Schema, table: str) -> Iterator[tuple[str, str, float, float]]:
    """(column, unit, lowest, highest valid value) of numeric columns; extra channels carry theirs as metadata."""
    for item in schema:
        if pa.types.is_floating(item.type):
            meta = {k.decode(): v.decode() for k, v in (item.metadata or {}).items()}
            own: Channel | None = next((c for c in TABLES[table] if c.name == item.name), None)
            low, high = (own.low, own.high) if own else (meta.get("low"), meta.get("high"))
            yield (
                item.name,
                meta.get("unit", ""),
                float("-inf" if low is None else low),
                float("inf" if high is None else high),
            )


def _inspect_rows(source: Any, entry: FileEntry, manifest: Manifest,  # noqa: ANN401
                  problems: dict[str, str], runs: list[Run]) -> None:  # fmt: skip
    bounds = list(_bounds(source.schema_arrow, entry.table))
    first_row = 0
    for batch in source.iter_batches(BATCH_ROWS):
        for key, text in (
            *_value_problems(batch, entry.table, bounds, first_row),
            *_order_problems(batch, entry.table, first_row, runs),
        ):
            problems.setdefault(key, text)
        first_row += batch.num_rows
    for key, text in _span_problems(entry, manifest, runs):
        problems.setdefault(key, text)


def _value_problems(
    batch: pa.RecordBatch, table: str, bounds: list[tuple[str, str, float, float]], first_row: int
) -> Iterable[tuple[str, str]]:
    for name, unit, low, high in bounds:
        column = batch.column(name)
        values = column.to_numpy(zero_copy_only=False)
        # A null becomes NaN here, so NaN proper is what remains after the nulls are taken out.
        bad = (values < low) | (values > high)
        if table not in _MAY_BE_NAN:
            bad |= np.isnan(values) & np.asarray(column.is_valid())
        if bad.any():
            row = int(np.argmax(bad))
            what = f"{name} is {values[row]:g}, valid is {low:g} to {high:g} {unit}"
            yield name, f"row {first_row + row}: {what} ({int(bad.sum())} such rows near)"
    if table in {"readings", "truth"}:
        status = batch.column("status")
        wrong = set(pc.unique(status).to_pylist()) - set(STATUSES)
        if wrong:
            yield "status", f"status {sorted(map(str, wrong))} is none of {', '.join(STATUSES)}"


def _order_problems(batch: pa.RecordBatch, table: str, first_row: int, runs: list[Run]) -> Iterable[tuple[str, str]]:
    """Check key and time order of a batch that continues ``runs``, and append what it adds to them."""
    if not batch.num_rows:
        return
    order = ORDERS[table]
    keys = batch.column(order.key)
    stamps = None if order.time is None else batch.column(order.time)
    if keys.null_count or (stamps is not None and stamps.null_count):
        yield "null", f"near row {first_row}: a row without {order.key} or {order.time or 'value'}"
        return
    keys = encoded(keys)
    names = keys.dictionary.to_pylist()
    codes = np.asarray(keys.indices).astype(np.int64)
    ms = np.full(len(codes), _NO_TIME_MS, np.int64) if stamps is None else time_ms(stamps)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    step = np.diff(ms)
    inside = np.diff(codes) == 0
    back = inside & ((step < 0) if table in _MAY_REPEAT else (step <= 0))
    if back.any():
        row = int(np.argmax(back)) + 1
        what = "doubles the row before" if step[row - 1] == 0 else "is earlier than the row before"
        yield "order", f"row {first_row + row}: {names[codes[row]]} {what}; rows are sorted by {order.key}, then time"
    done = {run.key for run in runs}
    for begin, stop in zip(starts, [*starts[1:], len(codes)], strict=True):
        key, first, last = names[codes[begin]], int(ms[begin]), int(ms[stop - 1])
        if runs and runs[-1].key == key and begin == 0:
            if first < runs[-1].last_ms or (first == runs[-1].last_ms and table not in _MAY_REPEAT):
                yield "order", f"row {first_row}: {key} is earlier than, or doubles, the row before"
            runs[-1] = Run(key, runs[-1].first_ms, last)
            continue
        if key in done:
            yield "key", f"row {first_row + int(begin)}: {key} comes twice; the rows of a key stand together"
        done.add(key)
        runs.append(Run(key, first, last))


def _span_problems(entry: FileEntry, manifest: Manifest, runs: list[Run]) -> Iterable[tuple[str, str]]:
    """Times outside the dataset's span, or outside the partition that the path names."""
    if entry.table not in {"readings", "truth"} or not runs:
        return
    first, last = min(r.first_ms for r in runs), max(r.last_ms for r in runs)
    begin, end = parse_time(manifest.start, "start"), parse_time(manifest.end, "end")
    if first < begin or last > end:
        yield (
            "span",
            f"times from {_iso(first)} to {_iso(last)} leave the dataset's span {manifest.start} to {manifest.end}",
        )
    for part in PurePosixPath(entry.path).parts[1:-1]:
        label, _, value = part.partition("=")
        if label in _LABELS and not (_iso(first).startswith(value) and _iso(last).startswith(value)):
            yield "partition", f"times from {_iso(first)} to {_iso(last)} do not belong under {part}"


def _iso(ms: int) -> str:
    return f"{np.datetime64(ms, 'ms')}Z"
