"""``nexova doctor``."""

from __future__ import annotations

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, QuietFlag


def doctor(as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Say whether this installation works: versions, extras, cores, memory, disk, cache, and a self-test.

    The self-test simulates a tiny plant twice and compares every byte. Exit 1 when something is wrong; the last column
    says what to do. What is merely absent (an extra, Chromium, PostgreSQL) is no fault.

    Example: nexova doctor
    """
    echo.configure(as_json, quiet)
    from nexova_sim.base.errors import EXIT_CHECK_FAILED
    from nexova_sim.run import doctor as verb

    findings = verb.examine(lambda text: echo.note(f"doctor: {text} ..."))
    rows = [(f.topic, f.name, f.state, f.value, f.remedy) for f in findings]
    wrong = [f for f in findings if f.state == verb.WRONG]
    echo.result([f._asdict() for f in findings], echo.grid(rows, ("what", "", "state", "found", "do")))
    echo.note(f"{len(wrong)} wrong" if wrong else "all well")
    if wrong:
        raise typer.Exit(EXIT_CHECK_FAILED)
