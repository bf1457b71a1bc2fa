"""Cells of foreign columns to numbers and instants, with a verdict per cell instead of an exception."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nexova_sim.base.errors import DataError
from nexova_sim.config.ingest import TimestampMap

OK, MISSING, UNREADABLE, NOT_FINITE, AMBIGUOUS, NONEXISTENT, OUT_OF_SPAN = range(7)

_DAY_MS = 86_400_000
_LATEST_MS = 7_258_118_400_000  # 2200-01-01
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?([Zz]|[+-]\d\d(:?\d\d)?))?)?$"  # time is optional
_INFINITE = r"(?i)^[+-]?(inf(inity)?|nan)$"


class Numbers(NamedTuple):
    """Values (float64, NaN = none) and a verdict per cell (int8): OK, MISSING, UNREADABLE or NOT_FINITE."""

    values: np.ndarray
    verdict: np.ndarray


class Times(NamedTuple):
    """Milliseconds since 1970 UTC (int64, 0 where there is none) and a verdict per cell (int8)."""

    ms: np.ndarray
    verdict: np.ndarray


def as_text(column: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Text column without spaces around the cells; null where the cell is one of ``missing``."""
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    text = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.is_in(text, value_set=pa.array(list(missing), pa.string())), None, text)


def is_text(kind: Any) -> bool:  # noqa: ANN401
    """True for Arrow types that hold text, also dictionary-encoded."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def is_number(kind: Any) -> bool:  # noqa: ANN401
    """True for Arrow types that hold numbers or booleans."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def numbers(column: pa.Array, decimal: str, missing: Sequence[str]) -> Numbers:
    """Numbers of a text or numeric column, in plain decimal notation: no thousands marks, units, hex or '_'."""
    if not is_text(column.type):
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64).copy()
        # Parquet writers use NaN and null alike for "no value".
        verdict = np.where(np.isnan(values), MISSING, np.where(np.isinf(values), NOT_FINITE, OK)).astype(np.int8)
        values[verdict != OK] = np.nan
        return Numbers(values, verdict)
    text = as_text(column, missing)
    is_missing = text.is_null().to_numpy(zero_copy_only=False)
    unreadable = np.zeros(len(text), bool)
    if decimal == ",":
        # A point beside a decimal comma is a thousands mark: 1.234 would be wrong by a factor of 1000.
        unreadable = pc.match_substring(text, ".").fill_null(False).to_numpy(zero_copy_only=False)
        text = pc.replace_substring(text, ",", ".")
    try:
        parsed = text.cast(pa.float64())
    except pa.ArrowInvalid:
        plain = pc.match_substring_regex(text, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$").fill_null(False)
        infinite = pc.match_substring_regex(text, _INFINITE).fill_null(False)
        unreadable |= ~pc.or_(plain, infinite).to_numpy(zero_copy_only=False) & ~is_missing
        parsed = pc.if_else(pc.or_(plain, infinite), text, None).cast(pa.float64())
    values = np.asarray(parsed.to_numpy(zero_copy_only=False), np.float64).copy()
    verdict = np.where(
        is_missing, MISSING, np.where(unreadable, UNREADABLE, np.where(np.isfinite(values), OK, NOT_FINITE))
    )
    values[verdict != OK] = np.nan
    return Numbers(values, verdict.astype(np.int8))


def times(columns: Sequence[pa.Array], rule: TimestampMap, missing: Sequence[str], where: str) -> Times:
    """Instants of the rows by ``rule``; local times that DST makes ambiguous or skips get a verdict of their own."""
    kind = columns[0].type
    if len(columns) == 1 and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return _typed(columns[0], rule)
    if rule.format.startswith("unix_"):
        if not (is_text(kind) or is_number(kind)):
            raise DataError(f"{where}: timestamp.format is {rule.format!r}, but the column holds {kind}")
        found = numbers(columns[0], ".", missing)
        scale = 1000.0 if rule.format == "unix_s" else 1.0
        with np.errstate(invalid="ignore"):
            ms = np.rint(np.nan_to_num(found.values) * scale)
        verdict = np.where(found.verdict == NOT_FINITE, UNREADABLE, found.verdict).astype(np.int8)
        return _finish(np.clip(ms, -1e15, 1e15).astype(np.int64), verdict, rule)
    if not all(is_text(c.type) for c in columns):
        kinds = ", ".join(str(c.type) for c in columns)
        raise DataError(
            f"{where}: timestamp.format {rule.format!r} reads text, but the column holds {kinds}; "
            "set format: unix_s or unix_ms"
        )
    parts = [as_text(c, missing) for c in columns]
    text = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, " ")
    return _text(text, rule)


def _typed(column: pa.Array, rule: TimestampMap) -> Times:
    has_zone = pa.types.is_timestamp(column.type) and column.type.tz is not None
    verdict = np.where(column.is_null().to_numpy(zero_copy_only=False), MISSING, OK).astype(np.int8)
    micro = column.cast(pa.timestamp("us", tz=column.type.tz if has_zone else None), safe=False)
    wall = np.asarray(micro.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    if has_zone:
        return _finish(wall // 1000, verdict, rule)
    utc, verdict = _localise(_midnight(wall, rule), verdict, rule.timezone)
    return _finish(utc // 1000, verdict, rule)


def _text(text: pa.Array, rule: TimestampMap) -> Times:
    import pandas as pd

    verdict = np.where(text.is_null().to_numpy(zero_copy_only=False), MISSING, OK).astype(np.int8)
    if rule.format == "iso":
        shaped = pc.match_substring_regex(text, _ISO).fill_null(False)
        has_offset = (
            pc.match_substring_regex(text, r":\d\d([.,]\d+)? ?([Zz]|[+-]\d\d(:?\d\d)?)$")
            .fill_null(False)
            .to_numpy(zero_copy_only=False)
        )
        # pandas reads a comma before the fraction only as a point.
        text = pc.if_else(shaped, pc.replace_substring(pc.utf8_upper(text), ",", "."), None)
        form = "ISO8601"
    else:
        has_offset = np.full(len(text), "%z" in rule.format)
        form = rule.format
    series = pd.Series(text.to_pylist(), dtype=object)
    # utc=True reads a time without offset as if it were UTC: the wall clock, which is then localised.
    stamps = pd.DatetimeIndex(pd.to_datetime(series, format=form, errors="coerce", utc=True))
    unread = np.asarray(stamps.isna()) & (verdict == OK)
    verdict[unread] = UNREADABLE
    wall = np.where(verdict == OK, stamps.tz_localize(None).as_unit("us").asi8, 0)
    utc, local_verdict = _localise(_midnight(wall, rule), verdict, rule.timezone)
    wall = np.where(has_offset, wall, utc)
    return _finish(wall // 1000, np.where(has_offset, verdict, local_verdict).astype(np.int8), rule)


def _midnight(wall_us: np.ndarray, rule: TimestampMap) -> np.ndarray:
    day_us = _DAY_MS * 1000
    return np.where(wall_us % day_us == 0, wall_us + day_us, wall_us) if rule.midnight == "end" else wall_us


def _localise(wall_us: np.ndarray, verdict: np.ndarray, timezone: str) -> tuple[np.ndarray, np.ndarray]:
    """UTC microseconds of wall-clock times; ambiguous and skipped ones get their verdict."""
    if timezone == "UTC":
        return wall_us, verdict
    import pandas as pd

    wall = pd.DatetimeIndex(wall_us.astype("datetime64[us]"))
    local = wall.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
    lost = np.asarray(local.isna())
    utc = np.where(lost, 0, local.as_unit("us").asi8)
    if lost.any():
        some = wall[lost]
        doubled = ~np.asarray(some.tz_localize(timezone, ambiguous=np.ones(len(some), bool), nonexistent="NaT").isna())
        fresh = np.where(doubled, AMBIGUOUS, NONEXISTENT)
        verdict = verdict.copy()
        verdict[lost] = np.where(verdict[lost] == OK, fresh, verdict[lost])
    return utc, verdict


def _finish(ms: np.ndarray, verdict: np.ndarray, rule: TimestampMap) -> Times:
    ms = ms + round(rule.shift_s * 1000.0)
    outside = (verdict == OK) & ((ms < 0) | (ms >= _LATEST_MS))
    verdict = np.where(outside, OUT_OF_SPAN, verdict).astype(np.int8)
    return Times(np.where(verdict == OK, ms, 0), verdict)
