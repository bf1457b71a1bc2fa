"""A dataset with labels turned into an exam: cells, faults with their size, excuses, the span that is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import yaml

from nexova_sim.base.errors import DataError
from nexova_sim.config.evaluation import EvaluateConfig
from nexova_sim.config.load import build
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.dataset.read import Dataset
from nexova_sim.dataset.rows import channel_names, scan_rows
from nexova_sim.detect.cells import Batch, Cells, covered, fold, machine_spans, select
from nexova_sim.detect.detectable import HOUR_S, Effect, Setting, effect_of
from nexova_sim.detect.episodes import Rules, Spans, spans_of
from nexova_sim.detect.judge import Exam

HOUR_MS = 3_600_000
_HALF = 0.5


class FaultRow(NamedTuple):
    """A labelled fault: place of its machine, kind, severity, hours the machine ran with it, its effect.

    ``effect`` is None where it cannot be told: a sensor fault, or a dataset that does not say its physics.
    """

    machine: int
    fault: str
    channel: str | None
    onset_ms: int
    end_ms: int
    severity: float
    is_sensor: bool
    running_h: float
    effect: Effect | None
    is_detectable: bool


class Sheet(NamedTuple):
    """An exam with the names behind its numbers."""

    exam: Exam
    machine_ids: tuple[str, ...]
    channels: tuple[str, ...]
    faults: tuple[FaultRow, ...]
    knows_physics: bool
    n_failures: int


def time_of(value: Any) -> int:  # noqa: ANN401
    """Milliseconds since 1970 of a timestamp from a table."""
    moment: datetime = value
    return round(moment.timestamp() * 1000)


def prepare(dataset: Dataset, rules: EvaluateConfig,
            progress: Callable[[int, int], None] = lambda _done, _total: None) -> Sheet:  # fmt: skip
    """Read readings, labels and events of ``dataset``. DataError when it has no labels or nothing is left to judge."""
    if "labels" not in dataset.tables():
        raise DataError(
            f"{dataset.folder}: has no labels, so nothing can be judged; 'nexova anomaly score' works without"
        )
    ids, channels = dataset.machine_ids(), channel_names(dataset)
    bin_ms = max(1, round(rules.bin_s * 1000.0))
    cells = fold(_batches(dataset, channels, progress), bin_ms, len(ids), len(channels))
    judged = _judged(cells, round(rules.skip_h * HOUR_MS))
    if not len(judged.machine):
        raise DataError(
            f"{dataset.folder}: no machine has readings after skip_h = {rules.skip_h:g} h; judge a longer dataset or "
            "lower it with --set skip_h=..."
        )
    rows = _faults(dataset, rules, ids, cells)
    faults = spans_of([(r.machine, r.onset_ms, r.end_ms) for r in rows])
    excuses, n_failures = _excuses(dataset, rules, ids, rows)
    kept = select(cells, covered(cells, judged) & (cells.online_frac >= _HALF))
    exam = Exam(
        kept, covered(kept, faults), faults, np.array([r.is_detectable for r in rows], np.bool_), excuses, judged,
        Rules(round(rules.lead_h * HOUR_MS), round(rules.tail_h * HOUR_MS)), tuple(range(rules.vus_bins + 1)),
    )  # fmt: skip
    return Sheet(exam, ids, channels, tuple(rows), _physics(dataset) is not None, n_failures)


def _batches(dataset: Dataset, channels: Sequence[str], progress: Callable[[int, int], None]) -> Iterator[Batch]:
    total, done = dataset.manifest.rows.get("readings", 0), 0
    for rows in scan_rows(dataset, channels):
        yield Batch(rows.machine, rows.time_ms, rows.status == 0, rows.values)
        done += len(rows.machine)
        progress(done, total)


def _judged(cells: Cells, skip_ms: int) -> Spans:
    spans = []
    for m, own in machine_spans(cells):
        start = int(cells.start_ms[own.start]) + skip_ms
        end = int(cells.start_ms[own.stop - 1]) + cells.bin_ms
        if start < end:
            spans.append((m, start, end))
    return spans_of(spans)


def _physics(dataset: Dataset) -> ResolvedFleet | None:
    """The configuration of a simulated dataset; None for one that was ingested."""
    path = dataset.folder / "config.resolved.yaml"
    if not dataset.manifest.source.startswith("simulate") or not path.is_file():
        return None
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return build(ResolvedFleet, raw, str(path))


def _settings(dataset: Dataset, fleet: ResolvedFleet) -> Mapping[str, Setting]:
    sites = {f.id: f for f in fleet.fleet.factories}
    kinds = {kind.kind: kind for kind in fleet.kinds.values()}
    table = dataset.read("machines", columns=("machine_id", "kind", "factory_id")).to_pylist()
    return {
        row["machine_id"]: Setting(
            kinds[row["kind"].lower()], sites[row["factory_id"]], float(fleet.fleet.dt_s), fleet.fleet.load_interval_s
        )
        for row in table
    }


def _faults(dataset: Dataset, rules: EvaluateConfig, ids: Sequence[str], cells: Cells) -> list[FaultRow]:
    fleet = _physics(dataset)
    settings = _settings(dataset, fleet) if fleet else {}
    place = {name: i for i, name in enumerate(ids)}
    rows = []
    for label in dataset.read("labels").to_pylist():
        if label["fault"] in rules.leave_out:
            continue
        machine, onset, end = place[label["machine_id"]], time_of(label["onset"]), time_of(label["end"])
        running_h = _running_h(cells, machine, onset, end)
        severity = 1.0 if label["severity"] is None else float(label["severity"])
        is_sensor = bool(label["is_sensor_fault"])
        kind = fleet.fault_kinds.get(label["fault"]) if fleet else None
        effect = None
        if kind is not None and kind.effect is not None:
            effect = effect_of(settings[label["machine_id"]], kind, severity, running_h, rules.least_effect_sd)
        # Where the physics is not told, every fault that is not the sensor's is asked for.
        is_asked = not is_sensor if effect is None else effect.hours >= rules.least_effect_h and effect.hours > 0.0
        rows.append(FaultRow(machine, label["fault"], label["channel"], onset, end, severity, is_sensor, running_h,
                             effect, is_asked and not is_sensor))  # fmt: skip
    return sorted(rows, key=lambda r: (r.machine, r.onset_ms, r.fault))


def _running_h(cells: Cells, machine: int, onset_ms: int, end_ms: int) -> float:
    """Hours of [onset, end) in which the machine was ONLINE, by the shares of its bins."""
    own = slice(int(cells.starts[machine]), int(cells.starts[machine + 1]))
    start = cells.start_ms[own]
    overlap = np.clip(np.minimum(start + cells.bin_ms, end_ms) - np.maximum(start, onset_ms), 0, None)
    return float(np.sum(overlap * cells.online_frac[own])) / 1000.0 / HOUR_S


def _excuses(
    dataset: Dataset, rules: EvaluateConfig, ids: Sequence[str], rows: Sequence[FaultRow]
) -> tuple[Spans, int]:
    """Times in which an alarm outside every fault is counted apart, and the number of failures."""
    end_ms = 1 << 60
    place = {name: i for i, name in enumerate(ids)}
    repairs: dict[int, list[int]] = {}
    failures: list[tuple[int, int]] = []
    for event in dataset.read("events").to_pylist() if "events" in dataset.tables() else []:
        who = place.get(event["machine_id"], -1)
        if event["event"] == "maintenance_end":
            repairs.setdefault(who, []).append(time_of(event["timestamp"]))
        elif event["event"] == "failure":
            failures.append((who, time_of(event["timestamp"])))

    def repaired_ms(who: int, after_ms: int) -> int:
        return min((t for t in repairs.get(who, ()) if t > after_ms), default=end_ms)

    lead_ms = round(rules.failure_lead_h * HOUR_MS)
    spans = [(who, at - lead_ms, repaired_ms(who, at)) for who, at in failures]
    spans += [(r.machine, r.end_ms, repaired_ms(r.machine, r.end_ms)) for r in rows if r.fault in rules.lasting]
    return spans_of(spans), len(failures)
