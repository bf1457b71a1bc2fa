"""Write tables as Parquet files of a dataset: one compile of settings for every table, hashes, manifest last."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.hashing import hash_file
from nexova_sim.dataset.stage import Stage, packages, sync_folder, write_durably
from nexova_sim.schema.manifest import MANIFEST_NAME, FileEntry, Manifest, dump_manifest
from nexova_sim.schema.tables import SCHEMA_VERSION


class WriteOptions(NamedTuple):
    """Parquet settings that shape the bytes."""

    row_group_rows: int = 262_144
    compression_level: int = 1


class Source(NamedTuple):
    """Where a dataset came from, for its manifest."""

    name: str
    source: str  # "simulate" or "ingest"
    seed: int | None
    start: str
    end: str
    dt_s: float | None
    n_machines: int
    extra_channels: tuple[str, ...]
    config_hash: str
    code_hash: str


def parquet_settings(schema: pa.Schema, options: WriteOptions) -> dict[str, Any]:
    """Keyword arguments for ``pyarrow.parquet.write_table``.

    Dictionaries for text and quantised readings, delta-packed timestamps, split bytes for the slowly rising hour meter,
    page checksums, statistics for pruning.
    """
    dictionary, encoding = [], {}
    for item in schema:
        if pa.types.is_timestamp(item.type):
            encoding[item.name] = "DELTA_BINARY_PACKED"
        elif item.name.startswith("runtime") or pa.types.is_float64(item.type):
            encoding[item.name] = "BYTE_STREAM_SPLIT"
        elif not pa.types.is_boolean(item.type):
            dictionary.append(item.name)
    return {
        "row_group_size": options.row_group_rows,
        "compression": "zstd",
        "compression_level": options.compression_level,
        "use_dictionary": dictionary,
        "column_encoding": encoding,
        "write_page_checksum": True,
        # Not for floats: minimum and maximum leave NaN out, and DuckDB concludes from them that there is none.
        "write_statistics": [item.name for item in schema if not pa.types.is_floating(item.type)],
        "store_schema": True,
    }


def write_table(stage: Stage, path: str, table: pa.Table, options: WriteOptions = WriteOptions()) -> FileEntry:  # noqa: B008
    """Write ``table`` to ``path`` below the staging folder, durably; returns its manifest entry."""
    target = stage.folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: a worker that was given up as lost may still be writing the same file from another machine.
    temporary = target.with_name(f"{target.name}.{uuid4().hex[:12]}.tmp")
    with temporary.open("wb") as handle:
        pq.write_table(table, handle, **parquet_settings(table.schema, options))
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(target)
    return file_entry(stage, path, table.num_rows)


def file_entry(stage: Stage, path: str, rows: int | None = None) -> FileEntry:
    """Manifest entry of a file that is complete in the staging folder."""
    target = stage.folder / path
    if rows is None:
        rows = pq.read_metadata(target).num_rows
    table = path.split("/", 1)[0]
    return FileEntry(path=path, table=table, rows=rows, bytes=target.stat().st_size, sha256=hash_file(target))


def write_manifest(stage: Stage, source: Source, entries: list[FileEntry], texts: Mapping[str, str]) -> Manifest:
    """Write the side files ``texts`` (name -> content), then the manifest over everything; returns it."""
    files = list(entries)
    for name, text in sorted(texts.items()):
        write_durably(stage.folder / name, text.encode("utf-8"))
        files.append(file_entry(stage, name, 0))
    rows: dict[str, int] = {}
    for entry in files:
        if entry.path.endswith(".parquet"):
            rows[entry.table] = rows.get(entry.table, 0) + entry.rows
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        rows=rows,
        packages=packages(),
        files=sorted(files, key=lambda e: e.path),
        **{**source._asdict(), "extra_channels": list(source.extra_channels)},
    )
    write_durably(stage.folder / MANIFEST_NAME, dump_manifest(manifest).encode("utf-8"))
    sync_folder(stage.folder)
    return manifest


def part_path(table: str, label: str | None, number: int) -> str:
    """Path of a part file below the dataset folder, hive-partitioned when ``label`` is given."""
    folder = f"{table}/{label}" if label else table
    return f"{folder}/part-{number:05d}.parquet"


@contextmanager
def batch_writer(path: Path, schema: pa.Schema, group_rows: int,
                 statistics: Sequence[str] = ()) -> Iterator[Callable[[pa.RecordBatch], None]]:  # fmt: skip
    """A function that appends batches to a Parquet file; the file has its name only when it is whole.

    Batches wait until there are ``group_rows`` rows; ``statistics`` names the columns that get them (default: all).
    """
    temporary = path.with_name(path.name + ".tmp")
    settings = {k: v for k, v in parquet_settings(schema, WriteOptions()).items() if k != "row_group_size"}
    if statistics:
        settings["write_statistics"] = list(statistics)
    waiting: list[pa.RecordBatch] = []
    with temporary.open("wb") as handle:
        with pq.ParquetWriter(handle, schema, **settings) as writer:

            def flush() -> None:
                writer.write_table(pa.Table.from_batches(waiting, schema), row_group_size=group_rows)
                waiting.clear()

            def write(batch: pa.RecordBatch) -> None:
                waiting.append(batch)
                if sum(b.num_rows for b in waiting) >= group_rows:
                    flush()

            yield write
            if waiting:
                flush()
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
