"""Describe a dataset in one pass and constant memory: counts, span, gaps, statistics, status, faults, machines."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.dataset.read import Dataset, Window, parse_time, scan_window, time_ms
from nexova_sim.dataset.tally import Tally, add_values, new_tally, summary
from nexova_sim.schema.channels import SENSED

_BATCH_ROWS = 524_288
_NEVER = np.iinfo(np.int64).min


class Clock(NamedTuple):
    """The grid that readings should fall on; ``is_given`` False when the step was guessed from the data."""

    start_ms: int
    end_ms: int
    step_ms: int
    is_given: bool


class Coverage(NamedTuple):
    """Per machine (arrays of n_machines, int64): rows, first and last time, gaps, missing rows, longest gap in ms."""

    rows: np.ndarray
    first_ms: np.ndarray
    last_ms: np.ndarray
    n_gaps: np.ndarray
    missing: np.ndarray
    longest_ms: np.ndarray


def describe(dataset: Dataset) -> dict[str, Any]:
    """Everything ``nexova data describe`` shows, as a JSON-like value. Raises DataError for a broken file."""
    manifest = dataset.manifest
    names = dataset.machine_ids()
    extra = tuple(manifest.extra_channels)
    tallies = {name: new_tally() for name in (*(c.name for c in SENSED), *extra)}
    statuses: Counter[str] = Counter()
    coverage = Coverage(*(np.zeros(len(names), np.int64) for _ in Coverage._fields))
    coverage.first_ms[:] = coverage.last_ms[:] = _NEVER
    place = {name: i for i, name in enumerate(names)}
    clock: Clock | None = None
    for batch in scan_window(dataset, "readings", Window(), None, _BATCH_ROWS):
        for name, tally in tallies.items():
            tallies[name] = add_values(tally, batch.column(name).to_numpy(zero_copy_only=False))
        _count_codes(batch.column("status"), statuses)
        codes, stamps = _codes(batch.column("machine_id"), place), time_ms(batch.column("timestamp"))
        clock = clock or _clock(dataset, codes, stamps)
        _cover(coverage, clock, codes, stamps)
    return {
        "name": manifest.name,
        "source": manifest.source,
        "seed": manifest.seed,
        "start": manifest.start,
        "end": manifest.end,
        "dt_s": manifest.dt_s,
        "n_machines": manifest.n_machines,
        "bytes": sum(e.bytes for e in manifest.files),
        "rows": {t: manifest.rows[t] for t in dataset.tables()},
        "channels": _channels(dataset, tallies),
        "status_frac": {s: n / max(1, statuses.total()) for s, n in sorted(statuses.items())},
        "gaps": _gaps(names, coverage, clock),
        "faults": _count_rows(dataset, "labels", "fault"),
        "events": _count_rows(dataset, "events", "event"),
        "machines": _machines(dataset),
    }


def _codes(column: pa.Array, place: dict[str, int]) -> np.ndarray:
    """Position of each row's machine in the machines table; an id that is not there is left out as -1."""
    lookup = np.array([place.get(name, -1) for name in column.dictionary.to_pylist()], np.int64)
    codes: np.ndarray = lookup[np.asarray(column.indices)]
    return codes


def _count_codes(column: pa.Array, counts: Counter[str]) -> None:
    found = np.bincount(np.asarray(column.indices.drop_null()), minlength=len(column.dictionary))
    for name, n in zip(column.dictionary.to_pylist(), found.tolist(), strict=True):
        if n:
            counts[name] += n


def _clock(dataset: Dataset, codes: np.ndarray, stamps: np.ndarray) -> Clock:
    manifest = dataset.manifest
    start, end = parse_time(manifest.start, "start"), parse_time(manifest.end, "end")
    if manifest.dt_s is not None:
        return Clock(start, end, max(1, round(manifest.dt_s * 1000)), True)
    steps = np.diff(stamps)[np.diff(codes) == 0]
    return Clock(start, end, max(1, int(np.median(steps))) if len(steps) else 1, False)


def _cover(coverage: Coverage, clock: Clock, codes: np.ndarray, stamps: np.ndarray) -> None:
    """Count a batch, sorted by machine then time, into ``coverage``; batches of a machine come in the order of time."""
    starts = np.flatnonzero(np.diff(codes, prepend=-2))
    stops = np.append(starts[1:], len(codes))
    for begin, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        machine = int(codes[begin])
        if machine < 0:
            continue
        run = stamps[begin:stop]
        before = int(coverage.last_ms[machine])
        steps = np.diff(run, prepend=run[0] - clock.step_ms if before == _NEVER else before)
        wide = steps[steps * 2 > 3 * clock.step_ms]
        if len(wide):
            coverage.n_gaps[machine] += len(wide)
            coverage.missing[machine] += int((np.rint(wide / clock.step_ms) - 1).sum())
            coverage.longest_ms[machine] = max(int(coverage.longest_ms[machine]), int(wide.max()) - clock.step_ms)
        if before == _NEVER:
            coverage.first_ms[machine] = run[0]
        coverage.last_ms[machine] = run[-1]
        coverage.rows[machine] += stop - begin


def _at_the_ends(coverage: Coverage, clock: Clock) -> Coverage:
    """``coverage`` with the rows missing before a machine's first and after its last reading counted as gaps too."""
    never = coverage.first_ms == _NEVER
    before = np.where(never, clock.end_ms - clock.start_ms, coverage.first_ms - clock.start_ms)
    after = np.where(never, 0, clock.end_ms - clock.step_ms - coverage.last_ms)
    gaps, missing, longest = coverage.n_gaps.copy(), coverage.missing.copy(), coverage.longest_ms.copy()
    for edge in (before, after):
        n_rows = np.maximum(0, edge // clock.step_ms)
        gaps += n_rows > 0
        missing += n_rows
        longest = np.maximum(longest, n_rows * clock.step_ms)
    return coverage._replace(n_gaps=gaps, missing=missing, longest_ms=longest)


def _gaps(names: tuple[str, ...], coverage: Coverage, clock: Clock | None) -> dict[str, Any]:
    if clock is None:
        return {"step_s": None, "is_step_given": False, "n_gaps": 0, "missing_rows": 0, "longest_s": 0.0,
                "longest_on": None, "by_machine": []}  # fmt: skip
    if clock.is_given:
        coverage = _at_the_ends(coverage, clock)
    worst = int(np.argmax(coverage.longest_ms))
    by_machine = [
        {
            "machine_id": name,
            "rows": int(coverage.rows[i]),
            "first": _iso(int(coverage.first_ms[i])),
            "last": _iso(int(coverage.last_ms[i])),
            "n_gaps": int(coverage.n_gaps[i]),
            "missing_rows": int(coverage.missing[i]),
            "longest_s": float(coverage.longest_ms[i]) / 1000.0,
        }
        for i, name in enumerate(names)
    ]
    return {
        "step_s": clock.step_ms / 1000.0,
        "is_step_given": clock.is_given,
        "n_gaps": int(coverage.n_gaps.sum()),
        "missing_rows": int(coverage.missing.sum()),
        "longest_s": float(coverage.longest_ms[worst]) / 1000.0,
        "longest_on": names[worst] if coverage.longest_ms[worst] > 0 else None,
        "by_machine": by_machine,
    }


def _iso(ms: int) -> str | None:
    return None if ms == _NEVER else f"{np.datetime64(ms, 'ms')}Z"


def _channels(dataset: Dataset, tallies: dict[str, Tally]) -> list[dict[str, Any]]:
    schema = dataset.schema("readings")
    rows = []
    for name, tally in tallies.items():
        unit = (schema.field(name).metadata or {}).get(b"unit", b"").decode()
        rows.append({"name": name, "unit": unit, **summary(tally)})
    return rows


def _count_rows(dataset: Dataset, table: str, column: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for batch in scan_window(dataset, table, Window(), [column]):
        counts.update(batch.column(0).to_pylist())
    return dict(sorted(counts.items()))


def _machines(dataset: Dataset) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str]] = Counter()
    for batch in scan_window(dataset, "machines", Window(), ["factory_id", "kind"]):
        factories, kinds = batch.column(0).to_pylist(), batch.column(1).to_pylist()
        counts.update((f or "", k or "") for f, k in zip(factories, kinds, strict=True))
    return [{"factory_id": f, "kind": k, "n": n} for (f, k), n in sorted(counts.items())]
