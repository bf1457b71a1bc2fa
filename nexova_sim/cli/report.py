"""``nexova report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, OutFlag, QuietFlag, SetFlag

RunArgument = Annotated[
    Path,
    typer.Argument(
        help="Folder of a run, or of an experiment: its newest; or the first digits of a run's id, or latest.",
        metavar="RUN",
    ),
]
FormatFlag = Annotated[
    list[str] | None, typer.Option("--format", "-f", help="html or markdown; may be repeated.", metavar="FORMAT")
]


def report(run: RunArgument, formats: FormatFlag = None, settings: SetFlag = None, out: OutFlag = None,
           as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Write the report of a run again, as one HTML page or as Markdown; nothing is computed anew.

    Example: nexova report results/run/small --format markdown
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import report as verb

    with echo.progress("report") as progress:
        done = verb.write_report(run, formats or ["html"], settings or [], out, progress)
    data = {"files": [str(path) for path in done.files], "chapters": list(done.chapters), "figures": done.n_figures,
            "states": done.states}  # fmt: skip
    echo.made(data, done.files, "", done.run_id)
