"""Foreign rows to rows of the house: columns, units, and a reason for every row that cannot be kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nexova_sim.base.errors import DataError, suggest
from nexova_sim.base.units import to_house
from nexova_sim.config.ingest import ENERGY_KWH, HOUSE_UNITS, ChannelMap, ExtraColumn, IngestMap
from nexova_sim.config.strict import ID_PATTERN
from nexova_sim.dataset import parse
from nexova_sim.dataset.foreign import Block, Foreign, blocks
from nexova_sim.dataset.rejects import Rejects
from nexova_sim.schema.channels import SENSED, STATUSES, TABLES, Channel

MAX_MACHINES = 32_767  # the machine dictionary has 16-bit codes
_SAMPLE_ROWS = 1000
_NUMERIC_FRAC = 0.8
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_TIME_REASONS = {
    parse.MISSING: "timestamp: missing",
    parse.UNREADABLE: "timestamp: unreadable",
    parse.AMBIGUOUS: "timestamp: ambiguous (clocks set back)",
    parse.NONEXISTENT: "timestamp: does not exist (clocks set forward)",
    parse.OUT_OF_SPAN: "timestamp: outside 1970 to 2200",
}


class Extra(NamedTuple):
    """A foreign channel that is kept: its column and its channel in the readings."""

    column: str
    channel: Channel


class Layout(NamedTuple):
    """What the files hold, as understood: extra channels, columns left out and why, notes for the user."""

    extras: tuple[Extra, ...]
    left_out: dict[str, str]
    notes: tuple[str, ...]


class Rows(NamedTuple):
    """Accepted rows of a block: arrays (n,) by name, plus how many cells of each channel were missing."""

    columns: dict[str, np.ndarray]
    missing: dict[str, int]


def safe_name(column: str) -> str:
    """A channel name (lower case, digits, underscores, beginning with a letter) made from any column name."""
    name = re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")[:50]
    return name if name[:1].isalpha() else f"x_{name}".rstrip("_")


def required_columns(mapping: IngestMap) -> dict[str, str]:
    """Columns that every file must have, with the key of the mapping file that asks for each."""
    need = dict.fromkeys(mapping.timestamp.columns, "timestamp.column")
    if mapping.machine.column:
        need.setdefault(mapping.machine.column, "machine.column")
    for name, rule in mapping.channels.given().items():
        for column in rule.columns:
            need.setdefault(column, f"channels.{name}")
    if mapping.status.column:
        need.setdefault(mapping.status.column, "status.column")
    for label in mapping.labels:
        if not label.optional:
            need.setdefault(label.column, "labels")
    for item in mapping.extra:
        column = item if isinstance(item, str) else item.column
        if column != "*":
            need.setdefault(column, "extra")
    return need


def check_columns(file: Foreign, mapping: IngestMap) -> None:
    """DataError naming the mapped columns that ``file`` lacks, with the nearest name it has."""
    lost = [(name, key) for name, key in required_columns(mapping).items() if name not in file.columns]
    if not lost:
        return
    have = [c for c in file.columns if c]
    hint = ""
    if len(file.columns) == 1 and not file.is_parquet:
        found = next((d for d in (";", "\t", ",", "|") if d in file.columns[0]), None)
        hint = f"; the header is one column: is it separated by {found!r}? Then set delimiter" if found else ""
    lines = [f"{file.path}: has no column {name!r} ({key}); {_nearest(name, have)}" for name, key in lost[:5]]
    raise DataError("\n".join(lines) + hint, missing=[name for name, _ in lost])


def _nearest(name: str, have: list[str]) -> str:
    same = next((c for c in have if c.casefold() == name.casefold()), None)
    return f"did you mean {same!r}?" if same else suggest(name, have)


def understand(files: Sequence[Foreign], mapping: IngestMap) -> Layout:
    """Decide what becomes of every column of every file; DataError when a file does not fit the mapping."""
    for file in files:
        check_columns(file, mapping)
    everywhere = {c: None for file in files for c in file.columns if c}
    for name in mapping.drop:
        if name not in everywhere:
            raise DataError(f"drop: no file has a column {name!r}; {suggest(name, everywhere)}")
    used = {*required_columns(mapping), *mapping.drop, *(label.column for label in mapping.labels)}
    explicit = [ExtraColumn(column=e) if isinstance(e, str) else e for e in mapping.extra if e != "*"]
    left_out = dict.fromkeys(mapping.drop, "dropped by the mapping")
    found = [c for c in everywhere if c not in used]
    numeric, why = _numeric(files, mapping, found) if "*" in mapping.extra else ([], dict.fromkeys(found, "not mapped"))
    left_out |= why
    taken = {c.name for c in TABLES["readings"]}
    extras = []
    for item in [*explicit, *(ExtraColumn(column=c) for c in numeric)]:
        name = item.name or _unique(safe_name(item.column), taken)
        if name in taken:
            raise DataError(f"extra: the name {name!r} (column {item.column!r}) is taken; choose another name")
        taken.add(name)
        meaning = f"column {item.column!r} of the source"
        extras.append(Extra(item.column, Channel(name, item.unit, "float32", None, None, meaning)))
    notes = [
        f"no column for {name}: stored as missing (NaN)"
        for name in ("power_kw", "temperature_c", "vibration_mm_s")
        if name not in mapping.channels.given()
    ]
    if mapping.channels.runtime_h is None:
        notes.append("no column for runtime_h: counted from the time that rows are ONLINE")
    notes += [
        f"no file has the label column {m.column!r}: no {m.fault} labels"
        for m in mapping.labels
        if m.column not in everywhere
    ]
    notes += [f"column {name!r} left out: {reason}" for name, reason in left_out.items() if name not in mapping.drop]
    return Layout(tuple(extras), left_out, tuple(notes))


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{n}" for n in range(2, len(taken) + 3) if f"{name}_{n}" not in taken)


def _numeric(files: Sequence[Foreign], mapping: IngestMap, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Columns of ``names`` that hold numbers, judged by the first rows of every file, and why the others do not."""
    good = dict.fromkeys(names, 0)
    filled = dict.fromkeys(names, 0)
    for file in files:
        here = [n for n in names if n in file.columns]
        with closing(blocks(file, mapping, here)) as source:
            block = next(source, None) if here else None
        if block is None:
            continue
        for name in here:
            column = block.columns[name].slice(0, _SAMPLE_ROWS)
            if not (parse.is_text(column.type) or parse.is_number(column.type)):
                filled[name] += len(column) - column.null_count
                continue
            verdict = parse.numbers(column, mapping.decimal, mapping.missing).verdict
            good[name] += int((verdict == parse.OK).sum())
            filled[name] += int((verdict != parse.MISSING).sum())
    numeric = [n for n in names if filled[n] and good[n] >= _NUMERIC_FRAC * filled[n]]
    why = {n: "not numeric" if filled[n] else "empty" for n in names if n not in numeric}
    return numeric, why


def wanted_columns(file: Foreign, mapping: IngestMap, layout: Layout) -> list[str]:
    """Columns of ``file`` that are read."""
    names = [*required_columns(mapping), *(m.column for m in mapping.labels), *(e.column for e in layout.extras)]
    return [n for n in dict.fromkeys(names) if n in file.columns]


def _house_values(name: str, rule: ChannelMap, parts: list[np.ndarray]) -> np.ndarray:
    values = parts[0] * rule.factor if len(parts) == 1 else parts[0] * parts[1] * rule.factor
    if rule.interval_s is not None:
        return values * (ENERGY_KWH[rule.unit] * 3600.0 / rule.interval_s)
    return np.asarray(to_house(values, rule.unit, HOUSE_UNITS[name], f"channels.{name}.unit"))


@dataclass(frozen=True)
class _Judge:
    """The first reason against each row of a block (n_rows,), as codes of ``rejects``; 0 = none."""

    reason: np.ndarray
    rejects: Rejects

    def against(self, mask: np.ndarray, reason: str) -> None:
        """Note ``reason`` for the rows in ``mask`` (n_rows,) that nothing speaks against so far."""
        fresh = mask & (self.reason == 0)
        if fresh.any():
            self.reason[fresh] = self.rejects.code(reason)


def convert(
    block: Block, file: Foreign, mapping: IngestMap, layout: Layout, codes: dict[str, int], rejects: Rejects
) -> Rows:
    """Rows of the house from a block; what cannot be kept goes to ``rejects``, new machines get a code in ``codes``."""
    n_rows = len(block.line)
    judge = _Judge(np.zeros(n_rows, np.int16), rejects)
    ids, id_index = _machines(block, file, mapping, judge)
    stamps = parse.times(
        [block.columns[c] for c in mapping.timestamp.columns], mapping.timestamp, mapping.missing, str(file.path)
    )
    for verdict, reason in _TIME_REASONS.items():
        judge.against(stamps.verdict == verdict, reason)
    columns: dict[str, np.ndarray] = {"ts": stamps.ms}
    for channel in (*SENSED, *(e.channel for e in layout.extras)):
        columns[channel.name] = _channel(channel, block, mapping, layout, judge)
    columns["status"] = _status(block, mapping, columns["power_kw"], judge)
    for number, label in enumerate(mapping.labels):
        columns[f"label{number}"] = (
            _label(block, mapping, number, judge) if label.column in block.columns else np.zeros(n_rows, np.int8)
        )
    keep = judge.reason == 0
    columns["code"] = _codes(ids, id_index, keep, codes)
    columns |= {"line": block.line, "offset": block.offset, "file": np.full(n_rows, file.number, np.int32)}
    refused = ~keep
    rejects.add(file.number, block.line[refused], block.offset[refused], judge.reason[refused])
    if block.bad:
        line, offset = (np.array([b[i] for b in block.bad], np.int64) for i in (0, 1))
        rejects.add(file.number, line, offset, np.array([rejects.code(b[2]) for b in block.bad], np.int16))
    kept = {name: values if keep.all() else values[keep] for name, values in columns.items()}
    missing = {c.name: int(np.isnan(kept[c.name]).sum()) for c in (*SENSED, *(e.channel for e in layout.extras))}
    return Rows(kept, missing)


def _texts(column: Any) -> tuple[list[str | None], np.ndarray]:  # noqa: ANN401
    """Distinct texts of a column and, per row, the index of its text."""
    text = pc.utf8_trim_whitespace(column.cast(pa.string())).dictionary_encode(null_encoding="encode")
    return text.dictionary.to_pylist(), np.asarray(text.indices.to_numpy(zero_copy_only=False), np.int64)


def _machines(block: Block, file: Foreign, mapping: IngestMap, judge: _Judge) -> tuple[list[str | None], np.ndarray]:
    source = mapping.machine
    if source.column is None:
        return [machine_of_file(file, mapping)], np.zeros(len(block.line), np.int64)
    raw, index = _texts(block.columns[source.column])
    judge.against(
        np.isin(index, [i for i, r in enumerate(raw) if r is None or r in mapping.missing]), "machine: missing"
    )
    names = [None if r is None else source.rename.get(r, r) for r in raw]
    valid = [n is not None and ID_PATTERN.fullmatch(n) is not None for n in names]
    judge.against(
        ~np.array(valid, bool)[index], "machine: not a valid id (letters, digits, '_' and '-'; see machine.rename)"
    )
    return names, index


def machine_of_file(file: Foreign, mapping: IngestMap) -> str:
    """The machine that all rows of ``file`` belong to; DataError when its name does not tell."""
    source = mapping.machine
    if source.constant is not None:
        return source.constant
    match = re.search(str(source.file_name), file.path.name)
    raw = (match.group(1) if match else None) or ""
    name = source.rename.get(raw, raw)
    if not ID_PATTERN.fullmatch(name):
        what = (
            f"gives {raw!r}, which is not a valid id (letters, digits, '_' and '-'); add it to machine.rename"
            if match
            else "does not fit"
        )
        raise DataError(f"{file.path}: machine.file_name {source.file_name!r} {what}")
    return name


def _codes(ids: list[str | None], index: np.ndarray, keep: np.ndarray, codes: dict[str, int]) -> np.ndarray:
    table: np.ndarray = np.zeros(len(ids) + 1, np.int16)
    for i in np.unique(index[keep]):
        name = ids[int(i)]
        if name is None:
            continue
        table[i] = codes.setdefault(name, len(codes))
        if len(codes) > MAX_MACHINES:
            raise DataError(
                f"more than {MAX_MACHINES} machines; is machine.column the right column? One of its values is {name!r}"
            )
    return np.asarray(table[index])


def _cells(column: str, block: Block, mapping: IngestMap, what: str, judge: _Judge) -> np.ndarray:
    array = block.columns[column]
    if not (parse.is_text(array.type) or parse.is_number(array.type)):
        raise DataError(f"column {column!r} ({what}) holds {array.type}, not numbers; map another column")
    found = parse.numbers(array, mapping.decimal, mapping.missing)
    judge.against(found.verdict == parse.UNREADABLE, f"{what}: not a number")
    judge.against(found.verdict == parse.NOT_FINITE, f"{what}: not finite")
    return found.values


def _channel(channel: Channel, block: Block, mapping: IngestMap, layout: Layout, judge: _Judge) -> np.ndarray:
    """Values of a channel as float32 in the unit of the house; NaN = missing."""
    rule = mapping.channels.given().get(channel.name)
    names = rule.columns if rule else tuple(e.column for e in layout.extras if e.channel.name == channel.name)
    if not names or any(n not in block.columns for n in names):
        return np.full(len(block.line), np.nan, np.float32)
    parts = [_cells(name, block, mapping, channel.name, judge) for name in names]
    with np.errstate(over="ignore", invalid="ignore"):
        values = _house_values(channel.name, rule, parts) if rule else parts[0]
    low = -_FLOAT32_MAX if channel.low is None else channel.low
    high = _FLOAT32_MAX if channel.high is None else channel.high
    outside = (values < low) | (values > high)
    span = "outside what can be stored" if channel.low is None else f"outside {low:g} to {high:g} {channel.unit}"
    judge.against(outside, f"{channel.name}: {span}")
    return np.where(outside, np.nan, values).astype(np.float32)


def _status(block: Block, mapping: IngestMap, power_kw: np.ndarray, judge: _Judge) -> np.ndarray:
    rule = mapping.status
    if rule.offline_below_kw is not None:
        return np.where(power_kw < rule.offline_below_kw, STATUSES.index("OFFLINE"), STATUSES.index("ONLINE")).astype(
            np.int8
        )
    if rule.column is None:
        return np.full(len(block.line), STATUSES.index("ONLINE"), np.int8)
    raw, index = _texts(block.columns[rule.column])
    wanted = [rule.values.get(r or "", rule.other) for r in raw]
    table = np.array([-1 if w is None else STATUSES.index(w) for w in wanted], np.int8)
    status: np.ndarray = table[index]
    judge.against(status < 0, "status: text not listed in status.values")
    return status


def _label(block: Block, mapping: IngestMap, number: int, judge: _Judge) -> np.ndarray:
    rule = mapping.labels[number]
    column = block.columns[rule.column]
    if rule.active is not None:
        raw, index = _texts(column)
        return np.asarray(np.array([r in rule.active for r in raw], np.int8)[index])
    values = _cells(rule.column, block, mapping, f"label {rule.fault}", judge)
    return np.asarray(np.nan_to_num(values) != 0.0, np.int8)
