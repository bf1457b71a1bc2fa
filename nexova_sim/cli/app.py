"""The ``nexova`` command."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from nexova_sim import __version__
from nexova_sim.base.errors import EXIT_OK, DataError, NexovaError, UsageError, suggest
from nexova_sim.cli import echo
from nexova_sim.cli.alerts import app as alerts
from nexova_sim.cli.anomaly import app as anomaly
from nexova_sim.cli.approvals import app as approvals
from nexova_sim.cli.audit import app as audit
from nexova_sim.cli.auth import app as auth
from nexova_sim.cli.bench import bench
from nexova_sim.cli.chat import chat
from nexova_sim.cli.completion import answer_shell, completion
from nexova_sim.cli.data import app as data
from nexova_sim.cli.decisions import app as decisions
from nexova_sim.cli.doctor import doctor
from nexova_sim.cli.energy import app as energy
from nexova_sim.cli.events import app as events
from nexova_sim.cli.exits import report_failure
from nexova_sim.cli.forecast import app as forecast
from nexova_sim.cli.ingest import ingest
from nexova_sim.cli.machines import app as machines
from nexova_sim.cli.models import app as models
from nexova_sim.cli.readable import make_readable
from nexova_sim.cli.report import report
from nexova_sim.cli.rul import app as rul
from nexova_sim.cli.run import run as experiment
from nexova_sim.cli.runs import app as runs
from nexova_sim.cli.simulate import simulate
from nexova_sim.cli.sweep import sweep
from nexova_sim.cli.twin import app as twin
from nexova_sim.cli.users import app as users
from nexova_sim.cli.values import refuse_empty

app = typer.Typer(
    name="nexova",
    help="The offline laboratory for industrial machine fleets.",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command()(simulate)
app.command()(bench)
app.command()(chat)
app.command()(ingest)
app.command("run")(experiment)
app.command()(report)
app.command()(sweep)
app.add_typer(twin)
app.add_typer(data)
app.add_typer(energy)
app.add_typer(forecast)
app.add_typer(decisions)
app.add_typer(alerts)
app.add_typer(events)
app.add_typer(approvals)
app.add_typer(machines)
app.add_typer(users)
app.add_typer(auth)
app.add_typer(audit)
app.add_typer(anomaly)
app.add_typer(models)
app.add_typer(rul)
app.command()(doctor)
app.command()(completion)
app.add_typer(runs)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


VersionFlag = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context, version: VersionFlag = False) -> None:
    """Simulate plants, ingest real ones, and test decisions on them before anything touches a machine."""
    if context.invoked_subcommand is None:
        raise UsageError(f"a verb is missing; choose one of: {', '.join(sorted(_verbs(context)))} (see: nexova --help)")


def root_command() -> Any:  # noqa: ANN401 - typer's and click's commands
    """The whole command line as one command: its help made readable, empty values refused."""
    return refuse_empty(make_readable(typer.main.get_command(app)))


def run(arguments: Sequence[str]) -> int:
    """Run the command line ``arguments`` and return the exit code."""
    echo.configure("--json" in arguments, False)
    try:
        # Not app(): its main() would swallow Ctrl-C and a closed pipe before they can be told in our words.
        command = root_command()
        with command.make_context("nexova", list(arguments)) as context:
            status = command.invoke(context)
        sys.stdout.flush()
    except BaseException as error:  # the one place where everything ends
        if isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError):
            return report_failure(error.__context__)  # typer's own answer to a closed pipe is exit 1
        return _end(error)
    return int(status or EXIT_OK)


def _end(error: BaseException) -> int:
    # typer carries its own copy of click in some versions, so its exceptions are known by what they can do.
    name = type(error).__name__
    try:
        if name == "Exit":
            sys.stdout.flush()
            return int(getattr(error, "exit_code", EXIT_OK))
        explain = getattr(error, "format_message", None)
        if explain is not None:
            return report_failure(_usage(error, explain()))
    except OSError as closed:
        return report_failure(closed)
    return report_failure(KeyboardInterrupt() if name == "Abort" else error)


def _verbs(context: Any) -> list[str]:  # noqa: ANN401 - typer's and click's contexts
    return list(getattr(getattr(context, "command", None), "commands", ()))


def _usage(error: BaseException, message: str) -> NexovaError:
    context = getattr(error, "ctx", None)
    if unreadable := re.search(r"path '(.*)' is not readable", message, re.IGNORECASE | re.DOTALL):
        return DataError(f"{unreadable[1]}: cannot be read: permission denied; give a copy that you may read")
    path = context.command_path if context is not None else "nexova"
    if type(error).__name__ == "NoArgsIsHelpError":  # a group without its command: its message is the whole help text
        message = f"{path}: a command is missing; {suggest('', _verbs(context))}"
    elif unknown := re.match(r"No such command '(.*?)'", message, re.DOTALL):
        message = f"unknown command {unknown[1]!r}; {suggest(unknown[1], _verbs(context))}"
    return UsageError(f"{message} (see: {path} --help)")


def main() -> None:
    """Entry point of the console script."""
    echo.open_streams()
    answered = answer_shell(root_command)
    sys.exit(run(sys.argv[1:]) if answered is None else answered)
