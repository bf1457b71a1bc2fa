"""``nexova run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import ConfigFlag, DryRunFlag, JobsFlag, JsonFlag, OutFlag, QuietFlag, SeedFlag, SetFlag

if TYPE_CHECKING:
    from nexova_sim.run.experiment import StageRun

OnlyFlag = Annotated[
    str | None, typer.Option("--only", help="Run this stage only; its inputs must be there.", metavar="STAGE")
]
FromFlag = Annotated[
    str | None, typer.Option("--from", help="Run this stage and those after it anew.", metavar="STAGE")
]


def run(config: ConfigFlag, settings: SetFlag = None, out: OutFlag = None, seed: SeedFlag = None, jobs: JobsFlag = None,
        only: OnlyFlag = None, first: FromFlag = None, dry_run: DryRunFlag = False, as_json: JsonFlag = False,
        quiet: QuietFlag = False) -> None:  # fmt: skip
    """Run an experiment stage by stage into a report; what is there already is not made again.

    Example: nexova run --config configs/experiment/quickstart.yaml
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.experiment import load_experiment
    from nexova_sim.run import experiment as verb

    resolved = load_experiment(config, settings or [], seed)
    selection = verb.Selection(only, first)
    if dry_run:
        plan = verb.plan_experiment(resolved, out, selection)
        rows = [[s.name, s.state, s.why, str(s.folder)] for s in plan]
        echo.result({"stages": [_row(s) for s in plan]}, echo.grid(rows, ["stage", "state", "why", "folder"]))
        return
    with echo.progress("run") as progress:
        done = verb.run_experiment(resolved, out, selection, jobs, lambda _stage, part, of: progress(part, of))
    for stage in done.stages:
        cost = {"ran": f"{stage.cpu_s:.1f} CPU-seconds", "skipped": stage.why}.get(stage.state, "nothing to do")
        echo.note(f"{stage.name:<9} {stage.state:<7} {cost}")
    shown = done.exports or (done.folder,)
    data = {
        "folder": str(done.folder),
        "exports": [str(path) for path in done.exports],
        "stages": [_row(stage) | {"cpu_s": stage.cpu_s, "metrics": stage.metrics} for stage in done.stages],
    }
    echo.made(data, shown, "", done.run_id)


def _row(stage: StageRun) -> dict[str, object]:
    """A stage as data."""
    return {"name": stage.name, "id": stage.id, "state": stage.state, "why": stage.why, "folder": str(stage.folder)}
