"""Record batches as CSV, NDJSON, JSON or Parquet: safe for spreadsheets, UTC times, numbers as they are stored."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from nexova_sim.dataset.write import WriteOptions, parquet_settings

# A spreadsheet takes a cell that begins like this for a formula (OWASP, "CSV Injection"). Only text cells are touched.
_FORMULA = r"^[=+\-@\t\r]"


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_simple(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_date(kind)
    )


def iso(value: datetime) -> str:
    """ISO 8601 text of a time: milliseconds when there are any, 'Z' for one that has a zone."""
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
        return iso(value) + "Z"
    digits = "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
    return value.isoformat(timespec="seconds" if not value.microsecond else digits)


def plain(value: Any) -> Any:  # noqa: ANN401
    """A JSON-safe copy of a value that Arrow gave: NaN is null, times are ISO text, whole decimals are integers."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def values_of(column: pa.Array) -> list[Any]:
    """JSON-safe values of a column; a float32 keeps its own few digits instead of the double's many."""
    if pa.types.is_float32(column.type):
        return [
            None if t is None or not math.isfinite(v := float(t)) else v for t in column.cast(pa.string()).to_pylist()
        ]
    return [plain(v) for v in column.to_pylist()]


def unique_names(names: Iterable[str]) -> list[str]:
    """Column names with a number added to those that come twice."""
    taken: list[str] = []
    for name in names:
        number, fresh = 1, name
        while fresh in taken:
            fresh, number = f"{name}_{number}", number + 1
        taken.append(fresh)
    return taken


def rows_of(batch: pa.RecordBatch) -> list[list[Any]]:
    """JSON-safe rows of a batch."""
    columns = [values_of(c) for c in batch.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def _cell_column(column: pa.Array) -> pa.Array:
    """A column as CSV wants it: text harmless for spreadsheets, nested values as JSON text."""
    if pa.types.is_dictionary(column.type):
        return _cell_column(column.dictionary).take(column.indices)
    if _is_simple(column.type):
        return column
    if not _is_text(column.type):
        values = (plain(v) for v in column.to_pylist())
        texts = (v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values)
        column = pa.array(texts, pa.string())
    column = column.cast(pa.string())
    risky = pc.match_substring_regex(column, _FORMULA)
    return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)


def csv_chunks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """CSV with a header; empty = no value, ``nan`` = not a number."""
    heads = _cell_column(pa.array(unique_names(schema.names), pa.string())).to_pylist()
    yield (",".join('"' + str(h).replace('"', '""') + '"' for h in heads) + "\n").encode()
    for batch in batches:
        cells = pa.RecordBatch.from_arrays([_cell_column(c) for c in batch.columns], names=heads)
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(cells, sink, pa_csv.WriteOptions(include_header=False, quoting_style="needed"))
        yield sink.getvalue().to_pybytes()


def _json_rows(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[list[str]]:
    keys = [json.dumps(name, ensure_ascii=False) for name in unique_names(schema.names)]
    for batch in batches:
        columns = [[f"{key}: {json.dumps(v, ensure_ascii=False)}" for v in values_of(c)]
                   for key, c in zip(keys, batch.columns, strict=True)]  # fmt: skip
        yield ["{" + ", ".join(row) + "}" for row in zip(*columns, strict=True)]


def ndjson_chunks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """One JSON object per line."""
    for rows in _json_rows(schema, batches):
        yield "".join(f"{row}\n" for row in rows).encode()


def json_chunks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """One JSON array of objects."""
    glue = "[\n"
    for rows in _json_rows(schema, batches):
        if rows:
            yield (glue + ",\n".join(rows)).encode()
            glue = ",\n"
    yield b"[]\n" if glue == "[\n" else b"\n]\n"


TEXT_FORMATS: Mapping[str, Callable[[pa.Schema, Iterable[pa.RecordBatch]], Iterator[bytes]]] = MappingProxyType(
    {"csv": csv_chunks, "ndjson": ndjson_chunks, "json": json_chunks}
)
FORMATS = (*TEXT_FORMATS, "parquet")


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], handle: IO[bytes]) -> None:
    """One Parquet file with the settings of a dataset, row group by row group."""
    options = WriteOptions()
    schema = pa.schema(
        [f.with_name(n) for f, n in zip(schema, unique_names(schema.names), strict=True)], schema.metadata
    )
    settings = parquet_settings(schema, options)
    settings.pop("row_group_size")
    with pq.ParquetWriter(handle, schema, **settings) as writer:
        held: list[pa.RecordBatch] = []
        for batch in batches:
            held.append(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            if sum(b.num_rows for b in held) >= options.row_group_rows:
                writer.write_table(pa.Table.from_batches(held, schema), options.row_group_rows)
                held = []
        writer.write_table(pa.Table.from_batches(held, schema), options.row_group_rows)
