"""``nexova alerts``: run a policy over a dataset, its KPIs, and two policies side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nexova_sim.alert.compare import alert_changes, event_changes, make_episodes
from nexova_sim.alert.detection import Found, Truth, add_found, detection, new_found, read_truth
from nexova_sim.alert.engine import Alerts, Pass, alerts_batch, collect_alerts, stream_alerts
from nexova_sim.alert.kpi import Console, Span, add_alerts, make_console, new_tally, summarise
from nexova_sim.alert.rules import Compiled, compile_policy
from nexova_sim.base.errors import DataError, suggest
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.alert import AlertPolicy
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.dataset.rows import scan_rows
from nexova_sim.dataset.stage import is_same, staged, write_durably
from nexova_sim.dataset.write import batch_writer, file_entry
from nexova_sim.run.records import read_result
from nexova_sim.schema.alerts import alerts_schema
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
FORMAT = "nexova-alert-run"
ROOMS = ("base", "config", "kernels", "schema", "dataset", "alert", "run")
ALERTS, KPI = "alerts.parquet", "kpi.json"
_ROW_GROUP = 262_144
# Statistics of 16 columns would cost a quarter of the writing; rows are sought by these.
_SOUGHT_BY = ("machine_id", "raised", "resolved")
_LINE_POINTS = 240


class AlertResult(NamedTuple):
    """What a run of a policy left behind."""

    folder: Path
    run_id: str
    kpi: dict[str, Any]
    was_there: bool


class Judged(NamedTuple):
    """A policy's run over a dataset in numbers: its KPIs, and what was found of the truth (None without labels)."""

    kpi: dict[str, Any]
    found: Found | None


def span_of(dataset: Dataset) -> Span:
    """The time a dataset covers and the usual distance between readings."""
    manifest = dataset.manifest
    reading_s = manifest.dt_s or _usual_step_s(dataset)
    return Span(parse_time(manifest.start, "start"), parse_time(manifest.end, "end"), round(reading_s * 1000.0))


def _usual_step_s(dataset: Dataset) -> float:
    """Median distance between readings of a machine in the first batch; a minute when it has too few."""
    for rows in scan_rows(dataset, ("power_kw",), batch_rows=8192):
        steps = np.diff(rows.time_ms)[rows.machine[1:] == rows.machine[:-1]]
        if len(steps):
            return float(np.median(steps)) / 1000.0
    return 60.0


def run_hash(dataset: Dataset, policy: AlertPolicy) -> str:
    """Hash of everything the bytes of a run depend on besides code."""
    files = [[f.path, f.sha256] for f in dataset.manifest.files]
    return hash_value([policy.model_dump(mode="json"), files, dataset.manifest.start, dataset.manifest.end])


def default_folder(dataset: Dataset, policy: AlertPolicy, results: Path = Path("results")) -> Path:
    """Where a run goes when no ``--out`` is given: results/alerts/<policy>-<dataset>/<run id>."""
    ident = run_id(run_hash(dataset, policy), code_hash(*ROOMS))
    return results / "alerts" / f"{policy.name}-{dataset.manifest.name}" / ident


def outline(source: str | Path, policy: AlertPolicy, out: Path | None = None) -> dict[str, Any]:
    """What a run would do, without doing it; finds unknown channels, machines and kinds."""
    dataset = open_dataset(source)
    compiled = compile_policy(policy, dataset)
    return {
        "folder": str(out or default_folder(dataset, policy)),
        "policy": policy.name,
        "rules": [r.name for r in policy.rules],
        "channels": list(compiled.channels),
        "machines": len(compiled.machines.ids),
        "readings": dataset.manifest.rows.get("readings", 0),
        "operators": list(make_console(policy.operators, compiled.machines).names),
    }


def run_alerts(source: str | Path, policy: AlertPolicy, out: Path | None = None, overwrite: bool = False,
               progress: Progress = lambda _done, _total: None) -> AlertResult:  # fmt: skip
    """Put a dataset through ``policy``: alerts.parquet, kpi.json, the resolved policy and a manifest in one folder.

    Memory does not grow with the readings. Same dataset and policy give the same bytes; a run that is there is read.
    """
    dataset = open_dataset(source)
    compiled = compile_policy(policy, dataset)
    config_hash, code = run_hash(dataset, policy), code_hash(*ROOMS)
    folder, ident = out or default_folder(dataset, policy), run_id(config_hash, code)
    if not overwrite and is_same(folder, config_hash, code):
        return AlertResult(folder, ident, read_kpi(folder), True)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        with batch_writer(stage.folder / ALERTS, alerts_schema(), _ROW_GROUP, _SOUGHT_BY) as write:
            judged = judge(dataset, compiled, write, progress)
        text = yaml.safe_dump(policy.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        write_durably(stage.folder / "policy.resolved.yaml", text.encode("utf-8"))
        plain = json.dumps(judged.kpi, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_durably(stage.folder / KPI, plain.encode("utf-8"))
        names = ((ALERTS, judged.kpi["alerts"]), (KPI, 0), ("policy.resolved.yaml", 0))
        files = [file_entry(stage, name, rows).model_dump() for name, rows in names]
        manifest = {"format": FORMAT, "config_hash": config_hash, "code_hash": code, "files": files,
                    "machines": list(compiled.machines.ids)}  # fmt: skip
        write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return AlertResult(folder, ident, judged.kpi, False)


def judge(dataset: Dataset, compiled: Compiled, write: Callable[[pa.RecordBatch], None],
          progress: Progress = lambda _done, _total: None) -> Judged:  # fmt: skip
    """One pass: every alert goes to ``write`` as rows of the alerts table, and into the KPIs."""
    policy, span = compiled.policy, span_of(dataset)
    console, truth = make_console(policy.operators, compiled.machines), read_truth(dataset)
    tally = new_tally(console, span, len(policy.rules), policy.targets)
    found = None if truth is None else new_found(truth)
    last = Pass(0, np.zeros((len(compiled.machines.ids), len(policy.rules)), np.int64))
    n_all = dataset.manifest.rows.get("readings", 0)

    def tell(now: Pass) -> None:
        nonlocal last
        last = now
        progress(now.n_readings, n_all)

    for part in stream_alerts(compiled, dataset, tell=tell):
        add_alerts(tally, part, console, span, policy.targets)
        if truth is not None and found is not None:
            add_found(found, truth, part, span)
        write(alerts_batch(compiled, part, span.end_ms))
    kpi = summarise(tally, console, span, policy, compiled.machines)
    kpi = {"dataset": dataset.manifest.name, "start": dataset.manifest.start, "end": dataset.manifest.end,
           "readings": last.n_readings, **kpi, "blind": _blind(compiled, last),
           "timeline": _timeline(tally.slots, console, span)}  # fmt: skip
    if truth is not None and found is not None:
        kpi["detection"] = detection(found, truth, span)
    return Judged(kpi, found)


def _blind(compiled: Compiled, done: Pass) -> list[dict[str, Any]]:
    """Rules that could judge no reading of a machine they are for: a limit that never fires must not look like calm."""
    rows = []
    for r, rule in enumerate(compiled.policy.rules):
        never = [compiled.machines.ids[m] for m in np.flatnonzero(done.n_seen[:, r] == 0)]
        wanted = rule.applies_to
        if never and not (wanted.kinds or wanted.factories or wanted.machines):
            rows.append({"rule": rule.name, "machines": len(never), "first": never[:5]})
    return rows


def _timeline(slots: np.ndarray, console: Console, span: Span) -> dict[str, Any]:
    """Announcements per operator in at most 240 equal bins of whole hours."""
    hours = -(-slots.shape[1] // 6)
    width = -(-hours // _LINE_POINTS)
    edges = np.arange(0, slots.shape[1], 6 * width)
    counts = np.add.reduceat(slots, edges, axis=1)
    peaks = np.maximum.reduceat(slots, edges, axis=1)
    return {"start_ms": span.start_ms, "end_ms": span.end_ms, "bin_h": width, "operators": list(console.names),
            "announced": counts.tolist(), "peak_10_min": peaks.tolist()}  # fmt: skip


def read_kpi(folder: Path) -> dict[str, Any]:
    """The KPIs of a run; DataError when the folder holds none."""
    return read_result(folder, KPI, (FORMAT, "no alert run; give the folder that 'nexova alerts run' wrote"))


def read_alerts(folder: Path, is_open: bool = False, machine: str | None = None) -> pa.Table:
    """The alerts of a run, newest first, or only those still open, or those of one machine.

    DataError for a machine that the run does not know; a known machine may have no alerts.
    """
    read_kpi(folder)
    path = folder / ALERTS
    if machine is not None:
        _check_machine(folder, machine)
    chosen = [] if machine is None else [("machine_id", "=", machine)]
    try:
        table = pq.read_table(path, filters=chosen or None)
        if is_open:
            table = table.filter(table["resolved"].is_null())
        raised = np.asarray(table["raised"].cast(pa.int64()))
        names = np.array(table["machine_id"].to_pylist(), object).astype(str)
        return table.take(pa.array(np.lexsort((names, -raised))))
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error}); make the run anew with --overwrite") from error


def _check_machine(folder: Path, machine: str) -> None:
    known = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8")).get("machines")
    if isinstance(known, list) and machine not in known:  # runs of an earlier version do not list their machines
        raise DataError(f"{folder}: has no machine {machine!r}; {suggest(machine, map(str, known))}")


def missed_targets(kpi: dict[str, Any]) -> list[str]:
    """Targets that an operator's figures miss, as text."""
    return [
        f"{row['operator']}: {name}" for row in kpi["operators"] for name, is_met in row["is_met"].items() if not is_met
    ]


def compare_policies(source: str | Path, first: AlertPolicy, second: AlertPolicy,
                     progress: Progress = lambda _done, _total: None) -> dict[str, Any]:  # fmt: skip
    """Two policies on one dataset: KPIs of both, alerts gained and lost, true events missed, delay.

    Memory grows with the number of alerts.
    """
    dataset = open_dataset(source)
    span, truth = span_of(dataset), read_truth(dataset)
    sides = []
    compiled = [compile_policy(policy, dataset) for policy in (first, second)]
    channels = tuple(dict.fromkeys(r.channel for one in compiled for r in one.policy.rules))
    for one in compiled:
        alerts, judged = _keep(dataset, one, truth, span, progress)
        sides.append((judged, make_episodes(one, channels, alerts, span.end_ms)))
    (a, episodes_a), (b, episodes_b) = sides
    result = {
        "dataset": dataset.manifest.name,
        "policies": [first.name, second.name],
        "kpi": [{k: v for k, v in side.kpi.items() if k != "timeline"} for side in (a, b)],
        "fewer_times": a.kpi["per_operator_hour"] / b.kpi["per_operator_hour"] if b.kpi["announced"] else None,
        "alerts": alert_changes(episodes_a, episodes_b),
    }
    if truth is not None and a.found is not None and b.found is not None:
        result["events"] = event_changes(truth, a.found, b.found)
    return result


def _keep(dataset: Dataset, compiled: Compiled, truth: Truth | None, span: Span,
          progress: Progress) -> tuple[Alerts, Judged]:  # fmt: skip
    """A policy's alerts in memory, and its figures."""
    policy = compiled.policy
    console = make_console(policy.operators, compiled.machines)
    tally = new_tally(console, span, len(policy.rules), policy.targets)
    found = None if truth is None else new_found(truth)
    n_all = dataset.manifest.rows.get("readings", 0)
    alerts = collect_alerts(stream_alerts(compiled, dataset, tell=lambda now: progress(now.n_readings, n_all)))
    add_alerts(tally, alerts, console, span, policy.targets)
    kpi = summarise(tally, console, span, policy, compiled.machines)
    if truth is not None and found is not None:
        add_found(found, truth, alerts, span)
        kpi["detection"] = detection(found, truth, span)
    return alerts, Judged(kpi, found)


def load_both(first: str, second: str, settings: Sequence[str] = ()) -> tuple[AlertPolicy, AlertPolicy]:
    """Two policy files with the same ``--set`` overrides."""
    from nexova_sim.config.alert import load_policy

    return load_policy(first, settings), load_policy(second, settings)
