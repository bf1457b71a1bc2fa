"""``nexova data``: describe, verify, query, head, export and split a dataset."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa

from nexova_sim.base.errors import ConfigError
from nexova_sim.dataset import describe as describe_dataset
from nexova_sim.dataset import export as files
from nexova_sim.dataset.check import CheckResult, Progress, check
from nexova_sim.dataset.encode import rows_of, unique_names
from nexova_sim.dataset.query import MAX_SQL_CHARS, MEMORY_MB, run_sql
from nexova_sim.dataset.read import Dataset, make_window, open_dataset, scan_window
from nexova_sim.dataset.split import PARTS, plan_by_machine, plan_by_time, write_part

__all__ = ["Dataset", "Selection", "Shown", "describe", "export", "head", "open_dataset", "query", "query_to",
           "read_sql", "show_rows", "split", "verify"]  # fmt: skip

Source = str | Path | Dataset
FRACTIONS = (0.7, 0.15, 0.15)


class Selection(NamedTuple):
    """Which rows and columns: table, machines (None = all), UTC window [start, end), columns (None = all)."""

    table: str = "readings"
    machines: Sequence[str] | None = None
    start: str | datetime | None = None
    end: str | datetime | None = None
    columns: Sequence[str] | None = None


class Shown(NamedTuple):
    """Rows for a person or an envelope: column names, JSON-safe rows, and whether there are more than these."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool


def _open(source: Source) -> Dataset:
    return source if isinstance(source, Dataset) else open_dataset(source)


def describe(dataset: Source) -> dict[str, Any]:
    """Row counts, span, gaps, statistics per channel, status shares, faults, events and machines of a dataset."""
    return describe_dataset.describe(_open(dataset))


def verify(
    folder: str | Path, is_quick: bool = False, jobs: int | None = None, progress: Progress | None = None
) -> CheckResult:
    """Check every file, byte and row of a dataset; ``is_quick`` reads no data pages. DataError when it is none."""
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs {jobs}: must be at least 1")
    return check(Path(folder), is_quick, jobs or len(os.sched_getaffinity(0)), progress)


def read_sql(text: str) -> str:
    """The SQL that an argument means: the text itself, ``@FILE`` for a file's content, ``-`` for standard input."""
    if text == "-":
        return sys.stdin.read(MAX_SQL_CHARS + 1)
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    try:
        with path.open(encoding="utf-8-sig") as handle:
            return handle.read(MAX_SQL_CHARS + 1)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        what = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"query {text}: cannot read the file {path} ({what})") from error


def query(dataset: Source, sql: str, limit: int | None = None, memory_mb: int = MEMORY_MB) -> pa.Table:
    """The rows of one SELECT over the views readings, machines, events, labels, truth, build, factories, weather."""
    with run_sql(_open(dataset), sql, memory_mb) as (schema, batches):
        names = unique_names(schema.names)
        return pa.Table.from_batches(_first(batches, limit), schema).rename_columns(names)


def query_to(dataset: Source, sql: str, to: Path | IO[bytes], kind: str | None = None, limit: int | None = None,
             memory_mb: int = MEMORY_MB, overwrite: bool = False) -> int:  # fmt: skip
    """Stream the rows of a SELECT into a file (by its ending or ``kind``) or an open stream; returns their number."""
    source = _open(dataset)
    wanted = _prepare(source, to, kind, overwrite)
    with run_sql(source, sql, memory_mb) as (schema, batches):
        return _put(schema, _first(batches, limit), wanted, to, overwrite)


def head(dataset: Source, table: str = "readings", n_rows: int = 10, machine: str | None = None) -> pa.Table:
    """The first rows of a table, of one machine when ``machine`` is given."""
    if n_rows < 1:
        raise ConfigError(f"--rows {n_rows}: must be at least 1")
    source = _open(dataset)
    schema, batches = _select(source, Selection(table, None if machine is None else (machine,)), min(n_rows, 65_536))
    return pa.Table.from_batches(_first(batches, n_rows), schema)


def export(dataset: Source, to: str | Path | IO[bytes], selection: Selection = Selection(), kind: str | None = None,  # noqa: B008
           overwrite: bool = False) -> int:  # fmt: skip
    """Save the selected rows as one CSV, NDJSON, JSON (gzip when it ends in .gz) or Parquet file; returns their number.

    The file is there whole or not at all. Raises ConfigError when it exists and ``overwrite`` is False.
    """
    source = _open(dataset)
    target = Path(to) if isinstance(to, str) else to
    wanted = _prepare(source, target, kind, overwrite)
    schema, batches = _select(source, selection, 65_536)
    return _put(schema, batches, wanted, target, overwrite)


def split(dataset: Source, out: str | Path, by: str = "machine", fractions: Sequence[float] = FRACTIONS, seed: int = 1,
          gap_h: float = 0.0, overwrite: bool = False) -> dict[str, Any]:  # fmt: skip
    """Split a dataset into datasets ``out``/train, /validation, /test; returns folder, rows, machines, span of each.

    ``by`` "machine": whole machines, each part with its share of every kind, dealt by a hash of ``seed`` and id.
    ``by`` "time": consecutive spans, ``gap_h`` hours left out at each cut. Same dataset and arguments, same bytes.
    """
    source, place = _open(dataset), Path(out)
    if by not in {"machine", "time"}:
        raise ConfigError(f"--by {by!r}: choose machine or time")
    if by == "machine" and gap_h:
        raise ConfigError("--gap: only a split by time has a gap; leave it out or use --by time")
    if source.folder.resolve() in (place.resolve(), *place.resolve().parents):
        raise ConfigError(f"--out {place}: lies inside the dataset, which would no longer verify; choose another place")
    plan = plan_by_machine(source, fractions, seed) if by == "machine" else plan_by_time(source, fractions, gap_h)
    parts: dict[str, Any] = {}
    for part in sorted(plan.parts, key=lambda p: PARTS.index(p.name)):
        manifest = write_part(source, plan, part, place / part.name, overwrite)
        parts[part.name] = {
            "folder": str(place / part.name),
            "n_machines": manifest.n_machines,
            "readings": manifest.rows["readings"],
            "start": manifest.start,
            "end": manifest.end,
        }
    return parts


def show_rows(table: pa.Table, limit: int | None = None) -> Shown:
    """The first ``limit`` rows of a table as JSON-safe values."""
    rows = [row for batch in table.slice(0, limit).to_batches() for row in rows_of(batch)]
    return Shown(unique_names(table.schema.names), rows, limit is not None and table.num_rows > limit)


def _select(source: Dataset, selection: Selection, batch_rows: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    window = make_window(source, selection.machines, selection.start, selection.end)
    batches = scan_window(source, selection.table, window, selection.columns, batch_rows)
    schema = source.schema(selection.table)
    if selection.columns is not None:
        schema = pa.schema([schema.field(c) for c in selection.columns], schema.metadata)
    return schema, batches


def _first(batches: Iterable[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    """Batches up to ``limit`` rows in all; what lies behind is not read."""
    if limit is not None and limit < 0:
        raise ConfigError(f"--limit {limit}: must be 0 or more")
    left = limit
    for batch in batches:
        if left is None:
            yield batch
            continue
        if left > 0:
            yield batch.slice(0, left)
        left -= batch.num_rows
        if left <= 0:
            return


def _prepare(source: Dataset, to: Path | IO[bytes], kind: str | None, overwrite: bool) -> str:
    """The format to write, once the target is known to be free."""
    if not isinstance(to, Path):
        return files.format_of(None, kind)
    files.check_target(to, overwrite, source)
    return files.format_of(to, kind)


def _put(schema: pa.Schema, batches: Iterable[pa.RecordBatch], kind: str, to: Path | IO[bytes], overwrite: bool) -> int:
    if isinstance(to, Path):
        return files.save_rows(schema, batches, kind, to, overwrite)
    return files.send_rows(schema, batches, kind, to)
