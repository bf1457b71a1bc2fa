"""The ``nexova`` command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from nexova_sim import __version__
from nexova_sim.base.errors import EXIT_OK, EXIT_USAGE
from nexova_sim.cli import echo
from nexova_sim.cli.bench import bench
from nexova_sim.cli.data import app as data
from nexova_sim.cli.exits import report_failure
from nexova_sim.cli.ingest import ingest
from nexova_sim.cli.run import run as experiment
from nexova_sim.cli.simulate import simulate
from nexova_sim.cli.twin import app as twin

app = typer.Typer(
    name="nexova",
    help="The offline laboratory for industrial machine fleets.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(simulate)
app.command()(bench)
app.command()(ingest)
app.command("run")(experiment)
app.add_typer(twin)
app.add_typer(data)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Simulate plants, ingest real ones, and test decisions on them before anything touches a machine."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line ``arguments`` and return the exit code."""
    echo.configure("--json" in arguments, False)
    try:
        status = app(args=list(arguments), standalone_mode=False, prog_name="nexova")
        sys.stdout.flush()
    except BaseException as error:  # the one place where everything ends
        # typer carries its own copy of click in some versions, so its exceptions are known by what they can do.
        explain = getattr(error, "format_message", None)
        if explain is not None:
            verb = "".join(f" {word}" for word in _verbs(arguments))
            echo.failure("USAGE", f"{explain()} (see: nexova{verb} --help)", {})
            return EXIT_USAGE
        return report_failure(KeyboardInterrupt() if type(error).__name__ == "Abort" else error)
    return int(status or EXIT_OK)


def _verbs(arguments: Sequence[str]) -> list[str]:
    words = []
    for word in arguments[:2]:
        if word.startswith("-"):
            break
        words.append(word)
    return words[:1]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))
