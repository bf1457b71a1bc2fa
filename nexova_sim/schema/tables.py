"""Arrow schemas derived from the channel table, with units and meaning in the field metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from nexova_sim.schema.channels import STATUSES, TABLES, Channel

SCHEMA_VERSION = "1"
TIME = pa.timestamp("ms", tz="UTC")

_TYPES: Mapping[str, Any] = {
    "id": pa.dictionary(pa.int16(), pa.string()),
    "status": pa.dictionary(pa.int8(), pa.string()),
    "word": pa.dictionary(pa.int8(), pa.string()),
    "int32": pa.int32(),
    "time": TIME,
    "text": pa.string(),
    "bool": pa.bool_(),
    "float32": pa.float32(),
    "float64": pa.float64(),
}

_NUMPY: Mapping[Any, type[np.generic]] = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    TIME: np.int64,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
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


def number_array(values: np.ndarray, kind: pa.DataType, is_null: np.ndarray | None = None) -> pa.Array:
    """Arrow array over the memory of a NumPy array (n,), without a copy when the type fits; ``is_null`` (n,) bool.

    Built from buffers, because ``pyarrow.array`` imports pandas, a third of the start-up time of a simulation.
    """
    data = np.ascontiguousarray(values, _NUMPY[kind])
    validity = None
    if is_null is not None and is_null.any():
        validity = pa.py_buffer(np.packbits(~is_null, bitorder="little"))
    return pa.Array.from_buffers(kind, len(data), [validity, pa.py_buffer(data)])


def flag_array(values: np.ndarray) -> pa.Array:
    """Arrow booleans of a mask (n,)."""
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def text_array(values: Iterable[str | None]) -> pa.Array:
    """Arrow strings; None is null."""
    builder = pa.lib.StringBuilder()
    builder.append_values(list(values))
    return builder.finish()


def id_array(codes: np.ndarray, names: Sequence[str]) -> pa.DictionaryArray:
    """Machine ids as a dictionary: ``codes`` (n,) integers into ``names``."""
    return pa.DictionaryArray.from_arrays(number_array(codes, pa.int16()), text_array(names))


def status_array(codes: np.ndarray) -> pa.DictionaryArray:
    """Status column from an array (n,) of codes."""
    return pa.DictionaryArray.from_arrays(number_array(codes, pa.int8()), text_array(STATUSES))


def time_array(ms: np.ndarray) -> pa.Array:
    """UTC timestamps from an int64 array (n,) of milliseconds since 1970."""
    return number_array(ms, TIME)


def _column(value: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401
    if isinstance(value, (pa.Array, pa.ChunkedArray)):
        return value if value.type == kind else value.cast(kind)
    if pa.types.is_string(kind):
        return text_array(value)
    if kind in _NUMPY:
        return number_array(np.asarray(value), kind)
    if pa.types.is_boolean(kind):
        return flag_array(np.asarray(value, bool))
    return pa.array(value).cast(kind)


def table_of(name: str, columns: Mapping[str, Any], extra: tuple[Channel, ...] = ()) -> pa.Table:
    """Arrow table ``name`` from arrays or lists by column name; a missing column is an error, values are cast."""
    schema = table_schema(name, extra)
    return pa.Table.from_arrays([_column(columns[item.name], item.type) for item in schema], schema=schema)
