"""SQL over a dataset with DuckDB: one view per table, one statement per query, nothing else to read or write."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import duckdb
import pyarrow as pa

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset.check import check
from nexova_sim.dataset.read import Dataset
from nexova_sim.schema.channels import TABLES
from nexova_sim.schema.tables import table_schema

MEMORY_MB = 1024
MAX_SQL_CHARS = 1_000_000
_BATCH_ROWS = 65_536
_KINDS = {
    pa.bool_(): "BOOLEAN",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.timestamp("ms", tz="UTC"): "TIMESTAMPTZ",
}
_SQL_FAULTS = (
    "Parser",
    "Binder",
    "Catalog",
    "Conversion",
    "Permission",
    "Out of Memory",
    "Out of Range",
    "Not implemented",
)


class QueryError(ConfigError):
    """The SQL is wrong, or asks for what a query may not do (exit 2)."""

    code = "SQL"


def _name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _view(dataset: Dataset, table: str) -> tuple[str, list[str]]:
    """The statement that makes the view of ``table``, and the files it reads; an empty view when there are none."""
    entries = dataset.files(table)
    schema = dataset.schema(table) if entries else table_schema(table)
    if not entries:
        columns = ", ".join(f"NULL::{_KINDS.get(f.type, 'VARCHAR')} AS {_name(f.name)}" for f in schema)
        return f"CREATE VIEW {table} AS SELECT {columns} WHERE false", []
    paths = [str((dataset.folder / e.path).resolve()) for e in entries]
    # A sensor that reports nothing is NaN in the files and NULL here, as one NaN would swallow every mean and maximum.
    floats = {item.name for item in schema if pa.types.is_floating(item.type)}
    chosen = [
        f"if(isnan({_name(c)}), NULL, {_name(c)}) AS {_name(c)}" if c in floats and table == "readings" else _name(c)
        for c in schema.names
    ]
    # DuckDB's own hive partitioning would also read a folder above the dataset that is called key=value.
    below = f"substr(filename, {len(str(dataset.folder.resolve())) + 2})"
    keys = [part.split("=", 1)[0] for part in PurePosixPath(entries[0].path).parts[:-1] if "=" in part]
    chosen += [f"regexp_extract({below}, {_text(f'/{re.escape(key)}=([^/]*)/')}, 1) AS {_name(key)}" for key in keys]
    source = f"read_parquet([{', '.join(map(_text, paths))}], hive_partitioning = false, filename = true)"
    return f"CREATE VIEW {table} AS SELECT {', '.join(chosen)} FROM {source}", paths


@contextmanager
def connected(dataset: Dataset, memory_mb: int = MEMORY_MB) -> Iterator[Any]:
    """A DuckDB connection that sees the dataset's tables as views and can touch nothing else; times are UTC.

    Spills to a temporary folder that is removed at the end. Raises DataError when a file of the dataset is broken.
    """
    if memory_mb < 64:
        raise ConfigError(f"memory {memory_mb} MB: at least 64 MB are needed")
    # Without python_enable_replacements = false a query could read this process's Python variables by name.
    settings = {"autoload_known_extensions": "false", "autoinstall_known_extensions": "false",
                "python_enable_replacements": "false", "memory_limit": f"{memory_mb}MB"}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="nexova-sql-") as spill:
        connection = duckdb.connect(":memory:", config=settings)
        try:
            connection.execute(f"SET temp_directory = {_text(spill)}")
            connection.execute("SET TimeZone = 'UTC'")
            allowed: list[str] = []
            for table in TABLES:
                statement, paths = _view(dataset, table)
                allowed += paths
                try:
                    connection.execute(statement)
                except duckdb.Error as error:
                    raise _broken(dataset, str(error)) from error
            connection.execute(f"SET allowed_paths = [{', '.join(map(_text, allowed))}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield connection
        finally:
            connection.close()


@contextmanager
def run_sql(
    dataset: Dataset, sql: str, memory_mb: int = MEMORY_MB
) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """Schema and record batches of one SELECT over the dataset's views, streamed while the context is open.

    Raises QueryError (exit 2) with DuckDB's message for wrong SQL, DataError for a broken file.
    """
    with connected(dataset, memory_mb) as connection:
        _check(connection, sql)
        with _explained(dataset):
            relation = connection.sql(sql)
            if relation is None:
                raise QueryError("query: this statement gives no rows; write a SELECT")
            reader = relation.to_arrow_reader(_BATCH_ROWS)
            schema = reader.schema

        def batches() -> Iterator[pa.RecordBatch]:
            while True:
                with _explained(dataset):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch

        yield schema, batches()


def _check(connection: Any, sql: str) -> None:  # noqa: ANN401
    """One statement that only reads, or QueryError."""
    if len(sql) > MAX_SQL_CHARS:
        raise QueryError(f"query: {len(sql)} characters, at most {MAX_SQL_CHARS} are allowed")
    if "\0" in sql:
        raise QueryError("query: holds a NUL character")
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(f"query: {_message(error)}") from error
    if len(statements) != 1:
        raise QueryError(f"query: {len(statements)} statements; write exactly one SELECT")
    kind = statements[0].type.name
    if kind != "SELECT":
        raise QueryError(
            f"query: {kind} is not allowed, a dataset is only read; write a SELECT (save results with --to FILE)"
        )


@contextmanager
def _explained(dataset: Dataset) -> Iterator[None]:
    """Turn DuckDB's errors, also those that come through Arrow's stream, into ours."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError, RuntimeError) as error:
        text = _message(error)
        if not text.startswith(_SQL_FAULTS):
            # DuckDB does not always say which file it choked on, and some SQL mistakes sound like damage.
            findings = check(dataset.folder, is_quick=True).findings
            if findings:
                raise _broken(dataset, f"{findings[0].path}: {findings[0].problem}; {text}") from error
        if text.startswith("Out of Memory"):
            text = text.splitlines()[0] + "; give it more with --memory MB, or select less"
        raise QueryError(f"query: {text}") from error


def _message(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _broken(dataset: Dataset, text: str) -> DataError:
    return DataError(f"{dataset.folder}: a file cannot be read ({text}); 'nexova data verify' tells what is damaged")
