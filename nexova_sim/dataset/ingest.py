"""Foreign files -> rows that are validated, sorted and free of doubles -> the tables of a dataset.

Three passes: ``take_in`` reads and converts, ``survey`` finds doubles and the sampling interval and decides whether the
files are fit, ``readings_parts`` yields the readings part by part. Nothing is written to a dataset before the survey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.base.errors import DataError
from nexova_sim.config.ingest import FactoryInfo, IngestMap, MachineInfo, RuntimeCount
from nexova_sim.dataset.convert import Layout, Rows, convert, understand, wanted_columns
from nexova_sim.dataset.foreign import Foreign, blocks, open_all
from nexova_sim.dataset.history import History, advance
from nexova_sim.dataset.rejects import Rejects, summary
from nexova_sim.dataset.spill import Part, Spill, load_part, plan_parts, write_spill
from nexova_sim.schema.channels import SENSED
from nexova_sim.schema.tables import status_array, table_of, table_schema, time_array

SAME_FILE = "duplicate: machine and timestamp stand earlier in the file"
OTHER_FILE = "duplicate: machine and timestamp stand in another file"
_MAX_STEPS = 100_000

Progress = Callable[[int, int], None]


class Tally(NamedTuple):
    """Counts of one file: rows with content, rows kept before doubles are known, blank lines, rows out of order."""

    n_rows: int
    n_kept: int
    n_blank: int
    n_late: int


class Intake(NamedTuple):
    """What was read: files, layout, spilled rows, sorted machine ids (``rank`` maps a code to its place), counts."""

    files: list[Foreign]
    layout: Layout
    spill: Spill
    ids: list[str]
    rank: np.ndarray
    parts: list[Part]
    rejects: Rejects
    tallies: list[Tally]
    missing: dict[str, int]


class Survey(NamedTuple):
    """What the rows are like: readings kept, span [first, last] in ms, sampling interval (None = irregular)."""

    n_rows: int
    first_ms: int
    last_ms: int
    dt_s: float | None


def take_in(paths: Sequence[Path], mapping: IngestMap, folder: Path, progress: Progress) -> Intake:
    """Read and convert all files, spilling accepted rows into ``folder``. DataError when one is broken as a whole."""
    files = open_all(paths, mapping)
    layout = understand(files, mapping)
    codes: dict[str, int] = {}
    rejects = Rejects()
    tallies: list[Tally] = []
    missing: Counter[str] = Counter()
    spill = write_spill(
        folder / "rows.arrow", _batches(files, mapping, layout, codes, rejects, (tallies, missing, progress))
    )
    ids = sorted(codes)
    rank = np.array([ids.index(name) for name in codes], np.int64)
    parts = plan_parts(spill, rank, mapping.partition)
    return Intake(files, layout, spill, ids, rank, parts, rejects, tallies, dict(missing))


def _batches(files: Sequence[Foreign], mapping: IngestMap, layout: Layout, codes: dict[str, int], rejects: Rejects,
             report: tuple[list[Tally], Counter[str], Progress]) -> Iterator[dict[str, np.ndarray]]:  # fmt: skip
    tallies, missing, progress = report
    total = sum(f.n_bytes for f in files)
    done = 0
    for file in files:
        latest = np.full(1, -1, np.int64)  # anew for every file: files may be given in any order
        before = file.path.stat()
        n_rows = n_kept = n_blank = n_late = 0
        for block in blocks(file, mapping, wanted_columns(file, mapping, layout)):
            rows: Rows = convert(block, file, mapping, layout, codes, rejects)
            n_rows += len(block.line) + len(block.bad)
            n_kept += len(rows.columns["ts"])
            n_blank += block.n_blank
            latest = np.concatenate([latest, np.full(max(0, len(codes) - len(latest)), -1, np.int64)])
            n_late += count_late(rows.columns["code"], rows.columns["ts"], latest)
            missing.update(rows.missing)
            last = int(block.offset[-1]) if len(block.offset) else 0
            progress(done + max(last, 0), total)
            yield rows.columns
        after = file.path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise DataError(f"{file.path}: changed while it was read; wait until it is complete and run again")
        if not n_rows:
            raise DataError(f"{file.path}: has a header but no rows")
        tallies.append(Tally(n_rows, n_kept, n_blank, n_late))
        done += file.n_bytes
        progress(done, total)
    if not any(t.n_kept for t in tallies):
        names = ", ".join(str(f.path) for f in files[:3])
        raise DataError(f"{names}: no row can be kept ({summary(rejects.counts())}); check the mapping file")


def count_late(code: np.ndarray, ts: np.ndarray, latest: np.ndarray) -> int:
    """Rows (n,) earlier than one of their machine before them; ``latest`` (per code, ms) is brought up to date."""
    if not len(code):
        return 0
    late = 0
    order = np.argsort(code, kind="stable")
    code, ts = code[order], ts[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    for begin, end in zip(starts, [*starts[1:], len(code)], strict=True):
        one = int(code[begin])
        peak = np.maximum.accumulate(np.r_[latest[one], ts[begin:end]])
        late += int((ts[begin:end] < peak[:-1]).sum())
        latest[one] = peak[-1]
    return late


def survey(intake: Intake, max_reject_frac: float) -> Survey:
    """Add doubles to the rejects, find span and sampling interval; DataError when a file has too many rejected rows.

    Doubles of a row in another file do not count against a file: two exports may overlap.
    """
    steps: Counter[int] = Counter()
    n_rows = 0
    last_ms: dict[int, int] = {}
    first_ms = min(b for b, _ in intake.spill.bounds)
    for part in intake.parts:
        found = load_part(intake.spill, part, intake.rank, ("line", "offset"))
        n_rows += int((~found.is_double).sum())
        _reject_doubles(intake, found.columns, found.is_double, found.kept)
        rank, ts = found.rank[~found.is_double], found.columns["ts"][~found.is_double]
        same = rank[1:] == rank[:-1]
        values, counts = np.unique(np.diff(ts)[same], return_counts=True)
        steps.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        ends = np.flatnonzero(np.r_[rank[1:] != rank[:-1], True])
        for i, j in zip(np.r_[0, ends[:-1] + 1], ends, strict=True):
            if int(rank[i]) in last_ms:
                steps[int(ts[i]) - last_ms[int(rank[i])]] += 1
            last_ms[int(rank[i])] = int(ts[j])
        if len(steps) > _MAX_STEPS:
            steps = Counter(dict(sorted(steps.items(), key=lambda item: (-item[1], item[0]))[: _MAX_STEPS // 2]))
    _check_fit(intake, max_reject_frac)
    return Survey(n_rows, first_ms, max(last_ms.values()), _interval_s(steps))


def _interval_s(steps: Counter[int]) -> float | None:
    """The interval of more than half of the steps, in seconds."""
    if not steps:
        return None
    step, count = min(steps.items(), key=lambda item: (-item[1], item[0]))
    return step / 1000.0 if 2 * count > sum(steps.values()) else None


def _reject_doubles(intake: Intake, columns: dict[str, np.ndarray], is_double: np.ndarray, kept: np.ndarray) -> None:
    file = columns["file"]
    from_other = file[kept] != file
    for mask, reason in ((is_double & ~from_other, SAME_FILE), (is_double & from_other, OTHER_FILE)):
        for number in np.unique(file[mask]):
            rows = mask & (file == number)
            code = np.full(int(rows.sum()), intake.rejects.code(reason), np.int16)
            intake.rejects.add(int(number), columns["line"][rows], columns["offset"][rows], code)


def _check_fit(intake: Intake, max_reject_frac: float) -> None:
    for file, tally in zip(intake.files, intake.tallies, strict=True):
        counts = intake.rejects.counts(file.number)
        n_bad = sum(n for reason, n in counts.items() if reason != OTHER_FILE)
        if n_bad > max_reject_frac * tally.n_rows:
            raise DataError(
                f"{file.path}: {n_bad:,} of {tally.n_rows:,} rows are rejected ({summary(counts)}), more than "
                f"--max-reject-frac {max_reject_frac:g} allows; look with --dry-run --max-reject-frac 1, or allow more",
                rejected=counts,
                rows=tally.n_rows,
            )


def new_history(mapping: IngestMap, survey_: Survey) -> History:
    """The empty history of a dataset."""
    count = mapping.runtime or RuntimeCount()
    dt_ms = max(1, round(1000.0 * (survey_.dt_s or 0.001)))
    return History(len(mapping.labels), round(count.start_h * 3_600_000.0), round(count.max_gap_s * 1000.0), dt_ms)


def readings_parts(intake: Intake, mapping: IngestMap, history: History) -> Iterator[tuple[Part, pa.Table, np.ndarray]]:
    """Every part with its readings (sorted, without doubles) and first hour-meter value per row; fills ``history``."""
    for part in intake.parts:
        found = load_part(intake.spill, part, intake.rank)
        keep = ~found.is_double
        columns, rank = {n: v[keep] for n, v in found.columns.items()}, found.rank[keep]
        counted = advance(history, rank, columns)
        if mapping.channels.runtime_h is None:
            columns["runtime_h"] = counted.astype(np.float32)
        yield part, _readings(intake, part, columns, rank), rank


def _readings(intake: Intake, part: Part, columns: dict[str, np.ndarray], rank: np.ndarray) -> pa.Table:
    extras = tuple(e.channel for e in intake.layout.extras)
    ids = pa.array(intake.ids[part.first : part.last], pa.string())
    arrays: list[Any] = [
        pa.DictionaryArray.from_arrays(pa.array((rank - part.first).astype(np.int16)), ids),
        time_array(columns["ts"]),
        *(pa.array(columns[c.name]) for c in SENSED),
        status_array(columns["status"]),
        *(pa.array(columns[c.name]) for c in extras),
    ]
    return pa.Table.from_arrays(arrays, schema=table_schema("readings", extras))


def _info(name: str, mapping: IngestMap) -> MachineInfo:
    given = mapping.machines.get(name)
    default = mapping.default_machine.model_dump()
    own = given.model_dump(exclude_none=True) if given else {}
    return MachineInfo.model_validate({**default, **own})


def machines_table(ids: list[str], mapping: IngestMap, start_h: dict[str, float]) -> pa.Table:
    """The machines: what the mapping says of them, else null; ``start_h`` is the first hour-meter value by id."""
    infos = [_info(name, mapping) for name in ids]
    plain = ("rated_kw", "nominal_load_frac", "rated_life_h", "lost_production_usd_per_h", "planned_service_usd",
             "planned_service_h", "failure_usd", "failure_h")  # fmt: skip
    baseline = [
        i.baseline_kw
        if i.baseline_kw is not None
        else i.rated_kw * i.nominal_load_frac
        if i.rated_kw and i.nominal_load_frac
        else None
        for i in infos
    ]
    return table_of(
        "machines",
        {
            "machine_id": pa.array(ids, pa.string()).dictionary_encode(),
            "name": [i.name or name for i, name in zip(infos, ids, strict=True)],
            "kind": [(i.kind or "UNKNOWN").upper() for i in infos],
            "factory_id": [i.factory or mapping.factories[0].id for i in infos],
            "baseline_kw": pa.array(baseline, pa.float64()),
            "runtime_start_h": pa.array([start_h.get(name) for name in ids], pa.float64()),
            **{key: pa.array([getattr(i, key) for i in infos], pa.float64()) for key in plain},
        },
    )


def factories_table(mapping: IngestMap) -> pa.Table:
    """The sites; one without a time zone of its own has that of the timestamps."""
    sites: list[FactoryInfo] = list(mapping.factories)
    return table_of(
        "factories",
        {
            "factory_id": [s.id for s in sites],
            "name": [s.name or s.id for s in sites],
            "latitude_deg": pa.array([s.latitude_deg for s in sites], pa.float64()),
            "longitude_deg": pa.array([s.longitude_deg for s in sites], pa.float64()),
            "timezone": [s.timezone or mapping.timestamp.timezone for s in sites],
        },
    )
