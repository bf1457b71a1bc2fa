"""``nexova sweep``: an experiment at every point of a design, on processes or a cluster; running again resumes.

results/sweep/<name>/trials/<id>.json is the record of a trial and runs/ what its stages left, shared by the trials;
results/sweep/<name>/<sweep id>/ holds the results table, the summary over replicates, the effect plot.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nexova_sim.base.errors import CheckFailedError, NexovaError
from nexova_sim.base.hashing import run_id
from nexova_sim.config.sweep import ResolvedSweep
from nexova_sim.dataset.stage import explain_os_error, write_durably
from nexova_sim.run.design import Point, design, settings_of
from nexova_sim.run.engines import Engine, run_tasks
from nexova_sim.run.pool import Done, Task
from nexova_sim.run.provenance import provenance
from nexova_sim.run.records import RUN_FORMAT, SWEEP_FORMAT, check_place
from nexova_sim.run.summary import COLUMNS, effect_panels, summarise
from nexova_sim.run.trial import Trial, TrialTask, identity, read_trial, run_trial, wanted

RESULTS, SUMMARY, EFFECTS = "results.parquet", "summary.csv", "effects"


class Row(NamedTuple):
    """A line of the results: a point, its replicate and seed, and the identity of the trial that answers it."""

    number: int
    point: Point
    replicate: int
    task: TrialTask


class Failure(NamedTuple):
    """A trial that gave no result, and why."""

    ident: str
    settings: tuple[str, ...]
    seed: int | None
    error: str


class SweepResult(NamedTuple):
    """What a sweep left: its folder, how many trials ran, were there already, failed; the summary rows.

    ``unmatched`` are patterns of ``metrics`` that fit nothing the trials measured.
    """

    folder: Path
    sweep_id: str
    n_ran: int
    n_cached: int
    failures: tuple[Failure, ...]
    summary: list[dict[str, Any]]
    cpu_s: float
    unmatched: tuple[str, ...] = ()


class Watch(NamedTuple):
    """What the caller sees while it runs: ``progress(done, total)`` and every failure at once."""

    progress: Callable[[int, int], None] = lambda _done, _total: None
    failed: Callable[[Failure], None] = lambda _failure: None


def default_root(sweep: ResolvedSweep, results: Path = Path("results")) -> Path:
    """Where a sweep goes when no ``--out`` is given: results/sweep/<name>."""
    return results / "sweep" / sweep.config.name


def plan_sweep(sweep: ResolvedSweep, out: Path | None = None) -> list[Row]:
    """Every line of the results with its trial. Every configuration is checked here, before anything runs.

    Raises ConfigError naming the first point that does not fit. Writes nothing.
    """
    config, root = sweep.config, out or default_root(sweep)
    check_place(root, (RUN_FORMAT, SWEEP_FORMAT))
    rows: list[Row] = []
    for number, point in enumerate(design(config)):
        settings = settings_of(point)
        for replicate in range(config.replicates):
            seed = None if config.seed is None else config.seed + replicate
            task = TrialTask("", str(sweep.experiment), settings, seed, str(root), config.with_report)
            try:
                ident = identity(task)
            except NexovaError as error:
                raise type(error)(f"point {number} ({', '.join(settings) or 'no axis'}): {error.message}") from error
            rows.append(Row(number, point, replicate, task._replace(ident=ident)))
    return rows


def run_sweep(sweep: ResolvedSweep, out: Path | None = None, engine: Engine = Engine(), fail_fast: bool = False,  # noqa: B008
              watch: Watch = Watch()) -> SweepResult:  # fmt: skip # noqa: B008
    """Run what is not there yet, then write the tables. Failed trials are tried again by the next run.

    Raises ConfigError before anything runs when a point does not fit; CheckFailedError with ``fail_fast`` at the first
    failure, with all finished trials kept.
    """
    started = datetime.now(UTC)
    root = out or default_root(sweep)
    rows = plan_sweep(sweep, root)
    trials: dict[str, Trial] = {}
    missing: dict[str, TrialTask] = {}
    for row in rows:
        ident = row.task.ident
        found = trials.get(ident) or read_trial(root, ident)
        if found is not None:
            trials[ident] = found
        else:
            missing.setdefault(ident, row.task)
    n_cached = len(trials)
    failures: list[Failure] = []
    total = n_cached + len(missing)
    watch.progress(n_cached, total)
    outcomes = run_tasks(run_trial, [Task(ident, task) for ident, task in missing.items()], engine)
    for number, done in enumerate(outcomes, n_cached + 1):
        if done.error is None:
            trials[done.key] = done.value
        else:
            failures.append(_failure(missing[done.key], done))
            watch.failed(failures[-1])
            if fail_fast:
                outcomes.close()  # type: ignore[attr-defined]
                raise CheckFailedError(
                    f"trial {done.key} failed: {done.error}; stopped by --fail-fast after {number} of {total} trials, "
                    "run again to resume", failed=[failures[-1]._asdict()])  # fmt: skip
        watch.progress(number, total)
    try:
        return _write(sweep, root, rows, trials, tuple(failures), n_cached, started)
    except OSError as error:
        raise explain_os_error(error, root) from error


def _failure(task: TrialTask, done: Done) -> Failure:
    return Failure(done.key, task.settings, task.seed, str(done.error))


def _write(sweep: ResolvedSweep, root: Path, rows: list[Row], trials: Mapping[str, Trial],
           failures: tuple[Failure, ...], n_cached: int, started: datetime) -> SweepResult:  # fmt: skip
    """The folder of the sweep, from the records of its trials."""
    config = sweep.config
    ident = run_id(config.model_dump(mode="json"), [row.task.ident for row in rows])
    folder = root / ident
    folder.mkdir(parents=True, exist_ok=True)
    table = results_table(rows, trials, {f.ident: f.error for f in failures}, config.metrics)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_durably(folder / RESULTS, sink.getvalue().to_pybytes())
    found = summarise(table, config.set_keys())
    write_durably(folder / SUMMARY, found.to_csv(index=False).encode())
    _draw(folder, sweep, table)
    cpu_s = round(sum(t.cpu_s for t in trials.values()), 3)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_durably(folder / "config.resolved.yaml", text.encode())
    n_ran = len(trials) - n_cached
    summary = [{str(k): v for k, v in row.items()} for row in found.to_dict("records")]
    stages = [{"name": "sweep", "id": ident, "state": "ran", "why": f"{n_ran} trials ran, {n_cached} were there",
               "cpu_s": cpu_s}]  # fmt: skip
    made = provenance(started, ident, config.seed, stages)
    record = {"format": SWEEP_FORMAT, "sweep_id": ident, "name": config.name,
              "trials": sorted({r.task.ident for r in rows}),
              "failures": [f._asdict() for f in failures], **made}  # fmt: skip
    write_durably(folder / "manifest.json", (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    names = {name for trial in trials.values() for name in trial.metrics}
    unmatched = tuple(p for p in config.metrics if trials and not any(wanted(name, (p,)) for name in names))
    return SweepResult(folder, ident, n_ran, n_cached, failures, summary, cpu_s, unmatched)


def _draw(folder: Path, sweep: ResolvedSweep, table: pa.Table) -> None:
    panels = effect_panels(table, sweep.config)
    if panels:
        from nexova_sim.report.effects import effects_figure
        from nexova_sim.report.trajectory import figure_bytes

        figure = effects_figure(panels, sweep.config.title or sweep.config.name)
        for form in ("png", "svg"):
            write_durably(folder / f"{EFFECTS}.{form}", figure_bytes(figure, form))


def results_table(rows: list[Row], trials: Mapping[str, Trial], errors: Mapping[str, str],
                  patterns: tuple[str, ...]) -> pa.Table:  # fmt: skip
    """One row per point and replicate: COLUMNS, then a column per key and per metric (null where there is none)."""
    lines = []
    for row in rows:
        trial = trials.get(row.task.ident)
        error = errors.get(row.task.ident)
        lead = (row.number, row.replicate, row.task.seed, row.task.ident, "failed" if trial is None else "ok", error,
                trial.cpu_s if trial else None, trial.wall_s if trial else None)  # fmt: skip
        metrics = {k: v for k, v in trial.metrics.items() if wanted(k, patterns)} if trial else {}
        point = {k: v if isinstance(v, (bool, int, float, str)) or v is None else json.dumps(v, sort_keys=True)
                 for k, v in row.point.items()}  # fmt: skip
        lines.append(dict(zip(COLUMNS, lead, strict=True)) | point | metrics)
    names = list(dict.fromkeys(name for line in lines for name in line))
    return pa.table({name: _column([line.get(name) for line in lines]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    """A column of one type: numbers where all are, else text."""
    there = [v for v in values if v is not None]
    if all(isinstance(v, bool) for v in there) or all(isinstance(v, str) for v in there):
        return pa.array(values)
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in there):
        if any(isinstance(v, float) for v in there):
            return pa.array([None if v is None else float(v) for v in values], pa.float64())
        return pa.array(values, pa.int64())
    return pa.array([None if v is None else json.dumps(v) for v in values])
