"""``nexova simulate``."""

from __future__ import annotations

from typing import Annotated

import typer

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.cli import echo
from nexova_sim.cli.flags import (
    ConfigFlag,
    DryRunFlag,
    JobsFlag,
    JsonFlag,
    OutFlag,
    OverwriteFlag,
    QuietFlag,
    SeedFlag,
    SetFlag,
)

ENGINES = ("threads", "local", "dask")
EngineFlag = Annotated[
    str, typer.Option("--engine", help="threads or processes (local) here, or a dask cluster; the same bytes.")
]
SchedulerFlag = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a running Dask scheduler.", metavar="ADDRESS")
]


def simulate(
    config: ConfigFlag,
    settings: SetFlag = None,
    out: OutFlag = None,
    seed: SeedFlag = None,
    jobs: JobsFlag = None,
    engine: EngineFlag = "threads",
    scheduler: SchedulerFlag = None,
    overwrite: OverwriteFlag = False,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Simulate a plant into a labelled Parquet dataset.

    Example: nexova simulate --config configs/fleet/tiny.yaml --out results/tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.load import load_fleet
    from nexova_sim.run import simulate as verb
    from nexova_sim.run.engines import Engine

    if engine not in ENGINES:
        raise ConfigError(f"--engine {engine}: unknown; {suggest(engine, ENGINES)}", got=engine)
    if scheduler is not None and engine != "dask":
        raise ConfigError(f"--scheduler {scheduler}: goes with --engine dask only")
    spread = None if engine == "threads" else Engine(engine, jobs, scheduler)
    resolved = load_fleet(config, settings or [], seed)
    if dry_run:
        plan = verb.outline(resolved, out)
        echo.plan(plan)
        return
    with echo.progress("simulate") as progress:
        done = verb.simulate(resolved, out, jobs, overwrite, progress, spread)
    rows = done.manifest.rows
    data = {"folder": str(done.folder), "rows": rows, "was_there": done.was_there}
    echo.made(data, [done.folder], "", done.run_id)
    echo.note(f"{rows['readings']:,} readings of {done.manifest.n_machines} machines")
    echo.note(f"look at them with: nexova data describe {done.folder}")
