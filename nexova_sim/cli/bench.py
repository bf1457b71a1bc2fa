"""``nexova bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, QuietFlag


def bench(
    name: Annotated[str | None, typer.Argument(help="A benchmark or group; all when left out.")] = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure the bars of this project on this machine; exit 1 when one is missed.

    Example: nexova bench kernel_rate
    """
    echo.configure(as_json, quiet)
    from nexova_sim.base.errors import EXIT_CHECK_FAILED
    from nexova_sim.run import bench as verb

    with echo.progress("bench") as progress:
        results = verb.bench(name, progress)
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = [
        (r.name, r.value, r.unit, f"{'>=' if r.direction == 'min' else '<='} {r.bar:g}", words[r.ok]) for r in results
    ]
    text = echo.grid(rows, ("benchmark", "value", "unit", "bar", "verdict"))
    echo.result([r._asdict() for r in results], f"{text}\n\n{verb.machine()}")
    if any(r.ok is False for r in results):
        raise typer.Exit(EXIT_CHECK_FAILED)
