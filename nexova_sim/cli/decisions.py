"""``nexova decisions``: what rules, a twin or a language model would decide, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.base.errors import CheckFailedError
from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, QuietFlag

app = typer.Typer(name="decisions", help="Decisions of language models, recorded and checked.", no_args_is_help=True)
cassette = typer.Typer(name="cassette", help="Recorded answers of a language model.", no_args_is_help=True)
app.add_typer(cassette)

CassetteArgument = Annotated[Path, typer.Argument(metavar="CASSETTE", help="File of recorded answers (JSON lines).")]
_WIDTH = 60


@cassette.command()
def lint(path: CassetteArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check every line: its hash, its key, secrets, and that it still reads the same. Exit 1 when something is wrong.

    Example: nexova decisions cassette lint results/decisions.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.lint(path)
    rows = [[f.key[:12] or "(file)", f.problem] for f in found]
    echo.result({"findings": [f._asdict() for f in found]}, echo.grid(rows, ["entry", "problem"]) if found else "clean")
    if found:
        raise CheckFailedError(f"{path}: {len(found)} finding{'s' if len(found) > 1 else ''}")


@cassette.command()
def stats(path: CassetteArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Entries by source, library, model, error and way of reading; tokens and latency.

    Example: nexova decisions cassette stats results/decisions.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.stats(path)
    rows = [["entries", "", found["entries"]]]
    for name, counts in found.items():
        if isinstance(counts, dict):
            rows += [[name, value, count] for value, count in counts.items()]
    echo.result(found, echo.grid(rows, ["what", "value", "count"]))


@cassette.command()
def diff(
    first: CassetteArgument,
    second: Annotated[Path, typer.Argument(metavar="OTHER", help="The cassette to compare with.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Questions that only one holds, and those answered differently. Exit 1 when there are any.

    Example: nexova decisions cassette diff results/a.jsonl results/b.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.compare(first, second)
    rows = [[d.key[:12], d.what, d.first[:_WIDTH], d.second[:_WIDTH]] for d in found]
    text = echo.grid(rows, ["question", "what", "A", "B"]) if found else "equal"
    echo.result({"differences": [d._asdict() for d in found]}, text)
    if found:
        raise CheckFailedError(f"{first} and {second} differ on {len(found)} question{'s' if len(found) > 1 else ''}")
