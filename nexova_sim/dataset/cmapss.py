"""NASA's turbofan text files (C-MAPSS, 26 columns of numbers) -> the tables of a dataset.

An engine is a machine, a cycle an hour: cycle c begins at 2000-01-01T00:00Z plus c - 1 hours, and an engine of n cycles
fails when the last one ends, n hours after its start. The settings and sensors are extra channels; of the four channels
of the house only the hour meter is there, which counts cycles. Layout and
meaning: Saxena, Goebel, Simon, Eklund, "Damage propagation modeling for aircraft engine run-to-failure simulation",
PHM 2008, and the readme that comes with the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.base.errors import DataError, suggest
from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import id_array, number_array, status_array, table_of, table_schema, time_array

START_MS = 946_684_800_000  # 2000-01-01T00:00:00Z
CYCLE_MS = 3_600_000
N_COLUMNS = 26
SETTINGS = tuple(f"setting_{n}" for n in range(1, 4))
SENSORS = tuple(f"sensor_{n:02d}" for n in range(1, 22))
EXTRAS = (
    *(Channel(name, "1", "float32", None, None, f"operational setting {name[-1]}") for name in SETTINGS),
    *(Channel(name, "1", "float32", None, None, f"sensor measurement {int(name[-2:])}") for name in SENSORS),
)
_MAX_BYTES = 500_000_000
_MAX_ENGINES = 32_767  # the machine dictionary has 16-bit codes
_MAX_CYCLES = 100_000
FACTORY = "turbofan"


class Engines(NamedTuple):
    """Trajectories of m engines, one after the other: ``length`` (m,) cycles, ``values`` (n, 24) float32.

    ``rul`` (m,) are true cycles left after the last row, 0 where the file runs to failure, None when not known.
    """

    ids: tuple[str, ...]
    length: np.ndarray
    values: np.ndarray
    rul: np.ndarray | None


def _check(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give the text file, e.g. {path}/train_FD001.txt")
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.txt")][:1000] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file; {suggest(path.name, near)}")
    size = path.stat().st_size
    if not 0 < size <= _MAX_BYTES:
        raise DataError(f"{path}: has {size} bytes; a C-MAPSS text file has from 1 to {_MAX_BYTES}")


def _numbers(path: Path, n_columns: int) -> np.ndarray:
    """The numbers of a text file, (rows, n_columns) float64; DataError names the first line that is broken."""
    _check(path)
    try:
        lines = path.read_bytes().decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte offset {error.start} is no plain text; expected lines of {n_columns} numbers"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != n_columns:
            raise DataError(
                f"{path}: line {number}: {len(words)} columns; a file of this kind has {n_columns}, separated by spaces"
            )
        try:
            rows.append([float(word) for word in words])
        except ValueError as error:
            raise DataError(f"{path}: line {number}: {error}; every column is a number") from error
    if not rows:
        raise DataError(f"{path}: holds no rows")
    values = np.array(rows)
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise DataError(f"{path}: row {int(np.argmax(bad)) + 1}: a value is not finite; remove the row or mend it")
    return values


def read_engines(path: Path, is_to_failure: bool, rul_path: Path | None = None) -> Engines:
    """The engines of a file; ``rul_path`` holds one true remaining life per engine, in the same order.

    ``is_to_failure``: the last row of every engine is its last before failure. Raises DataError for a file that is not
    what it should be: wrong columns, engines that come twice, cycles that do not count 1, 2, 3 ...
    """
    table = _numbers(path, N_COLUMNS)
    unit, cycle = table[:, 0], table[:, 1]
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    length = np.diff(np.r_[starts, len(unit)])
    expected = np.concatenate([np.arange(1, n + 1) for n in length])
    for what, wrong in (("cycle", cycle != expected), ("engine", (unit < 1) | (unit != np.round(unit)))):
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{path}: row {row + 1}: {what} {table[row, int(what == 'cycle')]:g}; the rows of an engine stand "
                "together and its cycles count 1, 2, 3 ..."
            )
    numbers = unit[starts].astype(np.int64)
    if len(np.unique(numbers)) < len(numbers):
        raise DataError(f"{path}: an engine comes twice; the rows of an engine stand together")
    if len(numbers) > _MAX_ENGINES or int(length.max()) > _MAX_CYCLES:
        raise DataError(f"{path}: more than {_MAX_ENGINES} engines or {_MAX_CYCLES} cycles of one; split the file")
    ids = tuple(f"engine-{n:03d}" for n in numbers)
    return Engines(ids, length, table[:, 2:].astype(np.float32), _remaining(rul_path, len(ids), is_to_failure))


def _remaining(rul_path: Path | None, n_engines: int, is_to_failure: bool) -> np.ndarray | None:
    if rul_path is None:
        return np.zeros(n_engines) if is_to_failure else None
    rul = _numbers(rul_path, 1)[:, 0]
    if len(rul) != n_engines:
        raise DataError(
            f"{rul_path}: {len(rul)} lines, but there are {n_engines} engines; the files do not belong together"
        )
    if (rul < 0.0).any():
        raise DataError(f"{rul_path}: line {int(np.argmax(rul < 0.0)) + 1}: a remaining life below 0")
    return rul


def _cycles(engines: Engines) -> np.ndarray:
    return np.concatenate([np.arange(1, n + 1) for n in engines.length])


def _machine(engines: Engines) -> np.ndarray:
    return np.repeat(np.arange(len(engines.ids)), engines.length)


def readings_table(engines: Engines) -> pa.Table:
    """All rows; the channels that a turbofan file does not have are NaN."""
    cycle = _cycles(engines)
    nothing = np.full(len(cycle), np.nan, np.float32)
    arrays = [
        id_array(_machine(engines), engines.ids),
        time_array(START_MS + (cycle - 1) * CYCLE_MS),
        *(number_array(c, pa.float32()) for c in (nothing, nothing, nothing, cycle.astype(np.float32))),
        status_array(np.zeros(len(cycle), np.int8)),
        *(number_array(column, pa.float32()) for column in engines.values.T),
    ]
    return pa.Table.from_arrays(arrays, schema=table_schema("readings", EXTRAS))


def _empty(name: str, n: int) -> dict[str, pa.Array]:
    """Every column of a table, unknown."""
    return {item.name: pa.nulls(n, item.type) for item in table_schema(name)}


def machines_table(engines: Engines) -> pa.Table:
    """One row per engine; nothing is known of its rating or its costs."""
    n = len(engines.ids)
    known: Mapping[str, object] = {
        "machine_id": list(engines.ids),
        "name": list(engines.ids),
        "kind": ["TURBOFAN"] * n,
        "factory_id": [FACTORY] * n,
        "runtime_start_h": np.ones(n),
    }
    return table_of("machines", {**_empty("machines", n), **known})


def factories_table() -> pa.Table:
    """The one place the engines are at, without a position."""
    return table_of("factories", {**_empty("factories", 1), "factory_id": [FACTORY], "name": ["Turbofan test data"],
                                  "timezone": ["UTC"]})  # fmt: skip


def events_table(engines: Engines, is_to_failure: bool) -> pa.Table:
    """Every engine starts; with ``is_to_failure`` it fails when its last cycle ends: what an operator would know."""
    rows: list[tuple[int, int, str, str | None, str, float | None]] = []
    for number, n in enumerate(engines.length):
        rows.append((number, START_MS, "status", "ONLINE", "start", None))
        if is_to_failure:
            rows.append((number, START_MS + int(n) * CYCLE_MS, "failure", None, "process", float(n)))
    known: Mapping[str, object] = {
        "machine_id": id_array(np.array([r[0] for r in rows], np.int16), engines.ids),
        "timestamp": time_array(np.array([r[1] for r in rows], np.int64)),
        "event": [r[2] for r in rows],
        "status": [r[3] for r in rows],
        "reason": [r[4] for r in rows],
        "value": pa.array([r[5] for r in rows], pa.float64()),
    }
    return table_of("events", {**_empty("events", len(rows)), **known})


def truth_table(engines: Engines) -> pa.Table | None:
    """True remaining life at the beginning of every cycle (hours = cycles), all else unknown; None when not known."""
    if engines.rul is None:
        return None
    cycle = _cycles(engines)
    left = np.repeat(engines.length + engines.rul, engines.length) - cycle + 1
    n = len(cycle)
    known: Mapping[str, object] = {
        "machine_id": id_array(_machine(engines), engines.ids),
        "timestamp": time_array(START_MS + (cycle - 1) * CYCLE_MS),
        "rul_h": left.astype(np.float32),
        "rul_running_h": left.astype(np.float32),
        "failure_event": ["process"] * n,
        "fault": [""] * n,
        "status": status_array(np.zeros(n, np.int8)),
    }
    return table_of("truth", {**_empty("truth", n), **known})
