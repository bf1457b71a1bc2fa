"""``nexova events``: replay a dataset as the platform's server events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from nexova_sim.alert.engine import collect_alerts, stream_alerts
from nexova_sim.alert.events import (
    TYPES,
    Chosen,
    Clock,
    WallClock,
    batch_lines,
    choose,
    event_statuses,
    paced,
    stream_lines,
)
from nexova_sim.alert.lines import Lines, alert_lines, in_order, join_lines, no_lines, part_of, side_line
from nexova_sim.alert.rules import compile_policy
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.alert import AlertPolicy
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time

_TIMES = ("timestamp", "decided_at", "decidedAt", "created_at", "createdAt", "time")
_MACHINES = ("machineId", "machine_id", "machine")


class Sink(Protocol):
    """Where events go: any binary stream."""

    def write(self, data: bytes, /) -> object:
        """Take ``data``."""
        ...

    def flush(self) -> None:
        """Pass it on."""
        ...


class Sources(NamedTuple):
    """Where events that readings do not hold come from; None leaves their kind out."""

    policy: AlertPolicy | None = None
    approvals: Path | None = None
    forecasts: Path | None = None
    decisions: Path | None = None


class Replay(NamedTuple):
    """How to replay: event types, channels, event seconds per second (None: as fast as it goes), and the window."""

    types: Sequence[str] = ()
    channels: Sequence[str] = ()
    speed: float | None = None
    start: str | None = None
    end: str | None = None


def parse_speed(text: str) -> float | None:
    """``60x`` is 60, ``max`` is None; ConfigError for anything else."""
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0.0 < speed < 1e9:
        raise ConfigError(f"--speed {text!r}: write for example 60x, or max")
    return speed


def replay(source: str | Path, out: Sink, how: Replay, sources: Sources, clock: Clock = WallClock()) -> int:  # noqa: B008
    """Write the events of a dataset to ``out`` as NDJSON in order of event time; returns the number of bytes.

    Nothing is computed ahead of what ``out`` takes but one slab of time, so a slow reader only slows it down.
    """
    dataset = open_dataset(source)
    chosen = choose(dataset, how.types, how.channels)
    start_ms = parse_time(how.start or dataset.manifest.start, "--start")
    end_ms = parse_time(how.end or dataset.manifest.end, "--end")
    if start_ms >= end_ms:
        raise ConfigError("--start must be before --end")
    others = part_of(_others(dataset, chosen, sources), start_ms, end_ms)
    parts = stream_lines(dataset, chosen, others, start_ms, end_ms)
    n = 0
    for data in paced(batch_lines(parts) if chosen.is_batched else parts, how.speed, clock):
        out.write(data)
        n += len(data)
        if how.speed is not None:
            out.flush()
    out.flush()
    return n


def _others(dataset: Dataset, chosen: Chosen, sources: Sources) -> Lines:
    parts = [event_statuses(dataset, chosen)]
    if sources.policy is not None and "machine_alert" in chosen.types:
        compiled = compile_policy(sources.policy, dataset)
        end_ms = parse_time(dataset.manifest.end, "end")
        found = collect_alerts(stream_alerts(compiled, dataset))
        keep = [chosen.wants("machine_alert", name) for name in compiled.machines.ids]
        mask = np.array(keep, np.bool_)[found.code[:, 0]]
        parts.append(
            alert_lines(compiled, type(found)(*(x[mask] for x in found)), end_ms, TYPES.index("machine_alert"))
        )
    for kind, path in zip(TYPES[3:], (sources.approvals, sources.forecasts, sources.decisions), strict=True):
        if path is not None and kind in chosen.types:
            parts.append(side_events(kind, path, chosen))
    return in_order(join_lines(parts))


def side_events(kind: str, path: Path, chosen: Chosen) -> Lines:
    """Events of ``kind`` from a file (.json, .ndjson, .jsonl, .csv, .parquet) or a folder of such files.

    Every record has a machine (machineId or machine_id) and a time (timestamp, decidedAt or createdAt).
    """
    times, texts = [], []
    for number, record in enumerate(_records(path), start=1):
        machine = next((record[k] for k in _MACHINES if record.get(k)), None)
        when = next((record[k] for k in _TIMES if record.get(k)), None)
        if machine is None or when is None:
            raise DataError(f"{path}: record {number}: needs a machine ({_MACHINES[0]}) and a time ({_TIMES[0]})")
        try:
            ms = parse_time(when if hasattr(when, "timestamp") else str(when), "timestamp")
        except ConfigError as error:
            raise DataError(f"{path}: record {number}: {error.message}") from error
        if chosen.wants(kind, str(machine)):
            times.append(ms)
            payload = {k: v for k, v in record.items() if k not in (*_MACHINES, "timestamp")}
            texts.append(side_line(kind, str(machine), payload, str(np.datetime64(ms, "ms")) + "Z"))
    if not times:
        return no_lines()
    rank = np.full(len(times), TYPES.index(kind), np.int8)
    return Lines(np.array(times, np.int64), rank, pa.array(texts, pa.large_string()))


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    files = sorted(p for p in path.iterdir() if p.suffix in _READERS) if path.is_dir() else [path]
    for file in files:
        if file.suffix not in _READERS:
            raise ConfigError(f"{file}: cannot be read; give one of {', '.join(_READERS)}")
        try:
            rows = _READERS[file.suffix](file)
        except (OSError, ValueError, pa.ArrowException, RecursionError) as error:
            raise DataError(f"{file}: cannot be read ({error})") from error
        for row in rows:
            if not isinstance(row, dict):
                raise DataError(f"{file}: every record must be an object with machineId and timestamp")
            yield row


def _read_json(path: Path) -> list[Any]:
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, list) else [value]


def _read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _read_csv(path: Path) -> list[Any]:
    import csv

    with path.open(encoding="utf-8-sig", newline="") as handle:
        return list(csv.DictReader(handle))


def _read_parquet(path: Path) -> list[Any]:
    import pyarrow.parquet as pq

    return list(pq.read_table(path).to_pylist())


_READERS = {".json": _read_json, ".ndjson": _read_lines, ".jsonl": _read_lines, ".csv": _read_csv,
            ".parquet": _read_parquet}  # fmt: skip
