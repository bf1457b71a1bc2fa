"""Split a dataset into train, validation and test: by whole machines, or by time with a gap in between."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import canonical_json, code_hash, hash_file, hash_value
from nexova_sim.dataset.read import Dataset, Window, parse_time, scan_window, time_columns
from nexova_sim.dataset.stage import Stage, is_same, staged
from nexova_sim.dataset.write import Source, file_entry, part_path, write_manifest, write_table
from nexova_sim.schema.channels import TABLES
from nexova_sim.schema.manifest import MANIFEST_NAME, FileEntry, Manifest
from nexova_sim.schema.tables import time_array

PARTS = ("train", "validation", "test")
_ROOMS = ("base", "schema", "dataset")
_HOUR_MS = 3_600_000


class Part(NamedTuple):
    """One part of a split: its name, its machines, its span (milliseconds since 1970, half-open)."""

    name: str
    machines: tuple[str, ...]
    start_ms: int
    end_ms: int


class SplitPlan(NamedTuple):
    """How a dataset is split: ``by`` "machine" or "time", the parts, and the value that identifies the split."""

    by: str
    parts: tuple[Part, ...]
    ident: dict[str, Any]


def check_fractions(fractions: Sequence[float]) -> tuple[float, ...]:
    """Three fractions for train, validation, test that add up to 1; ConfigError otherwise."""
    if len(fractions) != len(PARTS) or not all(math.isfinite(f) and 0.0 <= f <= 1.0 for f in fractions):
        raise ConfigError(
            f"fractions {list(fractions)}: give three numbers from 0 to 1 for {', '.join(PARTS)}, e.g. 0.7,0.15,0.15"
        )
    if abs(sum(fractions) - 1.0) > 1e-6:
        raise ConfigError(f"fractions {list(fractions)}: add up to {sum(fractions):g}, they must add up to 1")
    if sum(f > 0.0 for f in fractions) < 2:
        raise ConfigError(f"fractions {list(fractions)}: at least two parts must be larger than 0")
    return tuple(float(f) for f in fractions)


def plan_by_machine(dataset: Dataset, fractions: Sequence[float], seed: int) -> SplitPlan:
    """Deal whole machines to the parts, kind by kind, so that every part has its share of every kind.

    The order within a kind is the order of sha256(seed, machine id): it depends on nothing else, also not on the other
    machines. Raises ConfigError when a part that should have machines gets none.
    """
    shares = check_fractions(fractions)
    kinds: dict[str, list[str]] = {}
    for batch in scan_window(dataset, "machines", Window(), ["machine_id", "kind"]):
        for name, kind in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            kinds.setdefault(kind or "", []).append(name)
    chosen = _deal(kinds, shares, seed)
    _not_empty(shares, [len(c) for c in chosen], "machines", sum(map(len, kinds.values())))
    start, end = _span(dataset)
    ids = dataset.machine_ids()
    parts = tuple(
        Part(name, tuple(i for i in ids if i in names), start, end)
        for name, names in zip(PARTS, chosen, strict=True)
        if names
    )
    return SplitPlan("machine", parts, {"by": "machine", "fractions": list(shares), "seed": seed})


def _deal(kinds: Mapping[str, list[str]], shares: Sequence[float], seed: int) -> list[set[str]]:
    """Machines per part. Each kind gives every part its share rounded down; seats left go where most is owed so far."""
    chosen: list[set[str]] = [set() for _ in shares]
    owed = [0.0 for _ in shares]
    for kind in sorted(kinds):
        names = sorted(kinds[kind], key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest())
        seats = [int(len(names) * share + 1e-9) for share in shares]
        rest = [len(names) * share - n for share, n in zip(shares, seats, strict=True)]
        owed = [o + r for o, r in zip(owed, rest, strict=True)]
        free = {i for i, share in enumerate(shares) if share > 0.0}
        for _ in range(len(names) - sum(seats)):
            lucky = max(free, key=lambda i: (round(owed[i], 9), -i))
            seats[lucky] += 1
            owed[lucky] -= 1.0
            free.discard(lucky)
        at = 0
        for part, n in zip(chosen, seats, strict=True):
            part.update(names[at : at + n])
            at += n
    return chosen


def plan_by_time(dataset: Dataset, fractions: Sequence[float], gap_h: float = 0.0) -> SplitPlan:
    """Cut the span into train, then validation, then test, on whole readings, ``gap_h`` hours left out at each cut.

    Raises ConfigError when a part would be shorter than one step.
    """
    shares = check_fractions(fractions)
    if not math.isfinite(gap_h) or gap_h < 0.0:
        raise ConfigError(f"--gap {gap_h}: must be a number of hours, 0 or more")
    start, end = _span(dataset)
    step = max(1, round((dataset.manifest.dt_s or 0.001) * 1000))
    if (end - start) >= 48 * _HOUR_MS:
        step = math.lcm(step, _HOUR_MS)  # whole hours keep hourly truth and weather rows with their readings
    gap = round(gap_h * _HOUR_MS)
    cuts = [start + int((end - start) * sum(shares[:i]) / step + 0.5) * step for i in range(1, len(PARTS))]
    begins = [start, *(cut + gap if cut > start else start for cut in cuts)]
    ends = [*cuts, end]
    parts = []
    for name, share, begin, stop in zip(PARTS, shares, begins, ends, strict=True):
        if share <= 0.0:
            continue
        if stop - begin < step:
            raise ConfigError(
                f"split by time: {name} would be shorter than one step; use a smaller --gap or other fractions"
            )
        parts.append(Part(name, dataset.machine_ids(), begin, stop))
    return SplitPlan("time", tuple(parts), {"by": "time", "fractions": list(shares), "gap_h": gap_h})


def _span(dataset: Dataset) -> tuple[int, int]:
    return parse_time(dataset.manifest.start, "start"), parse_time(dataset.manifest.end, "end")


def _not_empty(shares: Sequence[float], counts: Sequence[int], what: str, total: int) -> None:
    for name, share, n in zip(PARTS, shares, counts, strict=True):
        if share > 0.0 and n == 0:
            raise ConfigError(f"split: {name} would get none of the {total} {what}; use other fractions")


def write_part(dataset: Dataset, plan: SplitPlan, part: Part, out: Path, overwrite: bool = False) -> Manifest:
    """Write one part as a dataset of its own; the same split of the same dataset gives the same bytes.

    Raises ConfigError when ``out`` holds something else, DataError when the disk refuses or a part has no readings.
    """
    parent = dataset.manifest
    spec = {**plan.ident, "part": part.name, "parent": hash_file(dataset.folder / MANIFEST_NAME)}
    config, code = hash_value(spec), code_hash(*_ROOMS)
    if is_same(out, config, code):
        from nexova_sim.dataset.read import open_dataset

        return open_dataset(out).manifest
    source = Source(
        name=f"{parent.name}-{part.name}",
        source=parent.source,
        seed=parent.seed,
        start=_iso(part.start_ms),
        end=_iso(part.end_ms),
        dt_s=parent.dt_s,
        n_machines=len(part.machines),
        extra_channels=tuple(parent.extra_channels),
        config_hash=config,
        code_hash=code,
    )
    with staged(out, {"config": config, "code": code}, overwrite) as stage:
        entries = [e for table in dataset.tables() for e in _write_table_part(dataset, table, part, stage)]
        if not any(e.table == "readings" and e.rows for e in entries):
            raise DataError(f"{dataset.folder}: {part.name} would have no readings; use other fractions")
        texts = {"split.json": canonical_json({**spec, "machines": list(part.machines)}) + "\n"}
        resolved = dataset.folder / "config.resolved.yaml"
        if any(e.path == resolved.name for e in parent.files):
            texts[resolved.name] = resolved.read_text(encoding="utf-8")
        return write_manifest(stage, source, entries, texts)


def _iso(ms: int) -> str:
    text = str(np.datetime64(ms, "ms"))
    return text.removesuffix(".000") + "Z"


def _write_table_part(dataset: Dataset, table: str, part: Part, stage: Stage) -> Iterator[FileEntry]:
    """The files of ``table`` with the rows of ``part``; a table keeps at least one file, be it empty."""
    wrote = False
    for entry in dataset.files(table):
        rows = _part_rows(dataset, entry, part)
        if rows.num_rows:
            wrote = True
            yield file_entry(stage, entry.path) if entry.path in stage.done else write_table(stage, entry.path, rows)
    if not wrote and table != "readings":
        path = part_path(table, None, 0)
        yield write_table(stage, path, dataset.schema(table).empty_table())


def _part_rows(dataset: Dataset, entry: FileEntry, part: Part) -> pa.Table:
    """Rows of one file that belong to ``part``, adjusted to the part's span."""
    table = entry.table
    columns = {c.name for c in TABLES[table]}
    machines = part.machines if "machine_id" in columns else None
    timed = time_columns(table) is not None
    window = Window(machines, part.start_ms if timed else None, part.end_ms if timed else None)
    lone = Dataset(dataset.folder, dataset.manifest.model_copy(update={"files": [entry]}))
    batches = list(scan_window(lone, table, window))
    rows = pa.Table.from_batches(batches).unify_dictionaries() if batches else lone.schema(table).empty_table()
    if table in {"factories", "weather"}:
        rows = rows.filter(pc.is_in(rows["factory_id"], pa.array(_factories(dataset, part), pa.string())))
    if table == "labels":
        return _clip(rows, part)
    if part.start_ms > _span(dataset)[0]:
        if table == "events":
            return _with_first_status(lone, rows, part)
        if table in {"machines", "build"}:
            return _aged(dataset, rows, part)
    return rows


def _factories(dataset: Dataset, part: Part) -> list[str]:
    rows = dataset.read("machines", machines=part.machines, columns=["factory_id"])
    return [f for f in pc.unique(rows["factory_id"]).to_pylist() if f is not None]


def _replace(rows: pa.Table, name: str, values: Any) -> pa.Table:  # noqa: ANN401
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(at), values)


def _clip(rows: pa.Table, part: Part) -> pa.Table:
    """Labels cut to the span of the part; one that was cut at its end is still open there."""
    first, last = (time_array(np.array([ms]))[0] for ms in (part.start_ms, part.end_ms))
    early, cut = pc.less(rows["onset"], first), pc.greater(rows["end"], last)
    rows = _replace(rows, "ended_by", pc.if_else(cut, "end_of_data", rows["ended_by"]))
    rows = _replace(rows, "onset", pc.if_else(early, first, rows["onset"]))
    return _replace(rows, "end", pc.if_else(cut, last, rows["end"]))


def _with_first_status(lone: Dataset, rows: pa.Table, part: Part) -> pa.Table:
    """Events that begin, like those of any dataset, with the status in which each machine enters the span."""
    before = [batch.to_pylist() for batch in scan_window(lone, "events", Window(part.machines, None, part.start_ms))]
    latest = {r["machine_id"]: r for batch in before for r in batch if r["event"] == "status"}
    inside = rows.to_pylist()
    has_own = {r["machine_id"] for r in inside if r["event"] == "status" and _ms(r["timestamp"]) == part.start_ms}
    moment = time_array(np.array([part.start_ms])).to_pylist()[0]
    opening = [{**r, "timestamp": moment, "reason": "start"} for m, r in latest.items() if m not in has_own]
    place = {name: i for i, name in enumerate(part.machines)}
    merged = sorted([*opening, *inside], key=lambda r: (place[r["machine_id"]], r["timestamp"]))
    return pa.Table.from_pylist(merged, schema=rows.schema)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


_START_OF = {
    "runtime_start_h": ("readings", "runtime_h"),
    "wear_start_frac": ("truth", "wear_frac"),
    "fatigue_start_frac": ("truth", "fatigue_frac"),
    "electrical_start_frac": ("truth", "electrical_frac"),
}


def _aged(dataset: Dataset, rows: pa.Table, part: Part) -> pa.Table:
    """Columns that hold a state "at the start" moved to the start of the part: the first value there is in its span."""
    for column, (table, channel) in _START_OF.items():
        if column in rows.schema.names and table in dataset.tables():
            first = _first_values(dataset, table, channel, part)
            old = zip(rows["machine_id"].to_pylist(), rows[column].to_pylist(), strict=True)
            rows = _replace(rows, column, pa.array([first.get(m, value) for m, value in old], pa.float64()))
    return rows


def _first_values(dataset: Dataset, table: str, channel: str, part: Part) -> dict[str, float]:
    """First number of ``channel`` per machine in the first day of the part."""
    found: dict[str, float] = {}
    window = Window(part.machines, part.start_ms, min(part.end_ms, part.start_ms + 24 * _HOUR_MS))
    for batch in scan_window(dataset, table, window, ["machine_id", channel]):
        values = batch.column(1).to_numpy(zero_copy_only=False)
        there = np.flatnonzero(~np.isnan(values))
        codes = np.asarray(batch.column(0).indices)[there]
        names = batch.column(0).dictionary.to_pylist()
        for code, at in zip(*np.unique(codes, return_index=True), strict=True):
            found.setdefault(names[code], float(values[there[at]]))
    return found
