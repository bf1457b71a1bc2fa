"""``nexova sweep``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, QuietFlag, SetFlag

if TYPE_CHECKING:
    from nexova_sim.run.sweep import Failure

_MOST_LINES = 40
SweepArgument = Annotated[str, typer.Argument(help="YAML file; built-in ones start with configs/.", metavar="FILE")]
ProcessesFlag = Annotated[
    int | None, typer.Option("--jobs", "-j", help="Processes to use (default: all cores).", min=1, max=4096)
]
EngineFlag = Annotated[str, typer.Option("--engine", help="local: processes here; dask: a Dask cluster.")]
SchedulerFlag = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a running Dask scheduler.", metavar="ADDRESS")
]
FailFastFlag = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first failed trial.")]


def sweep(config: SweepArgument, settings: SetFlag = None, out: OutFlag = None, jobs: ProcessesFlag = None,
          engine: EngineFlag = "local", scheduler: SchedulerFlag = None, fail_fast: FailFastFlag = False,
          dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Run an experiment at every point of a design; trials that are there are not run again.

    Example: nexova sweep configs/sweep/fault_rate.yaml
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.sweep import load_sweep
    from nexova_sim.run import sweep as verb
    from nexova_sim.run.engines import Engine, check_engine
    from nexova_sim.run.trial import read_trial

    resolved, chosen = load_sweep(config, settings or []), Engine(engine, jobs, scheduler)
    check_engine(chosen)
    if dry_run:
        root = out or verb.default_root(resolved)
        rows = verb.plan_sweep(resolved, out)
        plan = [{"trial": r.task.ident, "seed": r.task.seed, "settings": list(r.task.settings),
                 "state": "to run" if read_trial(root, r.task.ident) is None else "cached"} for r in rows]  # fmt: skip
        lines = [[p["trial"], p["state"], p["seed"], " ".join(map(str, p["settings"]))] for p in plan]  # type: ignore[arg-type]
        echo.result({"trials": plan}, echo.grid(lines, ["trial", "state", "seed", "settings"]))
        return
    with echo.progress("sweep") as progress:
        watch = verb.Watch(progress, _show_failure)
        done = verb.run_sweep(resolved, out, chosen, fail_fast, watch)
    echo.note(
        f"{done.n_ran} trials ran, {done.n_cached} were there, {len(done.failures)} failed; {done.cpu_s:.1f} CPU-s"
    )
    for pattern in done.unmatched:
        echo.note(
            f"metrics: {pattern!r} fits nothing that the trials measured; 'nexova runs show' lists what a run has"
        )
    data = {"unmatched": list(done.unmatched), "folder": str(done.folder),
            "n_ran": done.n_ran, "n_cached": done.n_cached, "cpu_s": done.cpu_s,
            "failures": [f._asdict() for f in done.failures], "summary": done.summary}  # fmt: skip
    rows_shown = done.summary[:_MOST_LINES]
    heads = list(rows_shown[0]) if rows_shown else []
    text = echo.grid([[row[h] for h in heads] for row in rows_shown], heads) if rows_shown else ""
    if len(done.summary) > _MOST_LINES:
        text += f"\n... {len(done.summary) - _MOST_LINES} more rows in {done.folder / verb.SUMMARY}"
    if done.failures:
        echo.page(text)
        total = done.n_ran + done.n_cached + len(done.failures)
        what = f"{len(done.failures)} of {total} trials failed; run again to repeat only these"
        echo.refuse(what, str(done.folder), data)
    echo.made(data, [done.folder], text, done.sweep_id)


def _show_failure(failure: Failure) -> None:
    """A failure is shown when it happens."""
    settings = " ".join(failure.settings)
    echo.note(f"failed: trial {failure.ident} ({settings} seed={failure.seed}): {failure.error}")
