"""Arrow schemas derived from the channel table, with units and meaning in the field metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from nexova_sim.schema.channels import STATUSES, TABLES, Channel

SCHEMA_VERSION = "1"

_TYPES: Mapping[str, Any] = {
    "id": pa.dictionary(pa.int16(), pa.string()),
    "status": pa.dictionary(pa.int8(), pa.string()),
    "time": pa.timestamp("ms", tz="UTC"),
    "text": pa.string(),
    "bool": pa.bool_(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}


def field(row: Channel) -> pa.Field:
    """Arrow field of a channel; unit, meaning and valid range travel in its metadata."""
    metadata = {"unit": row.unit, "meaning": row.meaning}
    if row.low is not None:
        metadata["low"] = repr(row.low)
    if row.high is not None:
        metadata["high"] = repr(row.high)
    return pa.field(row.name, _TYPES[row.dtype], metadata=metadata)


def table_schema(table: str, extra: tuple[Channel, ...] = ()) -> pa.Schema:
    """Arrow schema of a table, with ``extra`` channels appended (ingested sensors)."""
    return pa.schema(
        [field(row) for row in (*TABLES[table], *extra)],
        metadata={"nexova_table": table, "nexova_schema_version": SCHEMA_VERSION},
    )


def status_array(codes: Any) -> pa.DictionaryArray:  # noqa: ANN401
    """Status column from an int8 array of codes (any length)."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(STATUSES))


def time_array(ms: Any) -> pa.Array:  # noqa: ANN401
    """UTC timestamps from an int64 array of milliseconds since 1970."""
    return pa.array(ms, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def table_of(name: str, columns: Mapping[str, Any], extra: tuple[Channel, ...] = ()) -> pa.Table:
    """Arrow table ``name`` from arrays or lists by column name; missing columns are an error, values are cast."""
    schema = table_schema(name, extra)
    arrays = []
    for item in schema:
        value = columns[item.name]
        if not isinstance(value, (pa.Array, pa.ChunkedArray)):
            value = pa.array(value, None if pa.types.is_dictionary(item.type) else item.type)
        arrays.append(value if value.type == item.type else value.cast(item.type))
    return pa.Table.from_arrays(arrays, schema=schema)
