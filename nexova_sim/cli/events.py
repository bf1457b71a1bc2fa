"""``nexova events``: a dataset as a live stream."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.cli import echo

app = typer.Typer(name="events", help="A dataset as the platform's stream of server events.", no_args_is_help=True)

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder that simulate, ingest or split wrote.")
]
SpeedFlag = Annotated[str, typer.Option("--speed", help="Event time against real time: 60x, or max.", metavar="N")]
TypesFlag = Annotated[
    str, typer.Option("--types", help="Event types, by comma; batch_update bundles the others over 2 s.", metavar="A,B")
]
ChannelsFlag = Annotated[str, typer.Option("--channels", help="Machines and topics (alerts, ...).", metavar="A,B")]
PolicyFlag = Annotated[str, typer.Option("--policy", "-p", help="Policy of the alerts.", metavar="POLICY")]
ApprovalsFlag = Annotated[Path | None, typer.Option("--approvals", help="Approval changes.", metavar="FILE")]
ForecastsFlag = Annotated[Path | None, typer.Option("--forecasts", help="Finished forecasts.", metavar="FILE")]
DecisionsFlag = Annotated[Path | None, typer.Option("--decisions", help="Decisions.", metavar="FILE")]
StartFlag = Annotated[str | None, typer.Option("--start", help="First time, ISO 8601.", metavar="TIME")]
EndFlag = Annotated[str | None, typer.Option("--end", help="Time to stop before.", metavar="TIME")]


@app.callback()
def events() -> None:
    """A dataset as the platform's stream of server events."""
    # A group with one command would otherwise be that command itself.
    echo.configure(False, False)


@app.command()
def replay(dataset: DatasetArgument, speed: SpeedFlag = "max", types: TypesFlag = "", channels: ChannelsFlag = "",
           policy: PolicyFlag = "configs/alert/isa18.yaml", approvals: ApprovalsFlag = None,
           forecasts: ForecastsFlag = None, decisions: DecisionsFlag = None, start: StartFlag = None,
           end: EndFlag = None) -> None:  # fmt: skip
    """Server events as NDJSON on stdout in order of event time, one JSON object a line.

    Example: nexova events replay results/tiny --speed max --types machine_alert,machine_status
    """
    from nexova_sim.config.alert import load_policy
    from nexova_sim.run import events as verb

    how = verb.Replay(_words(types), _words(channels), verb.parse_speed(speed), start, end)
    sources = verb.Sources(load_policy(policy), approvals, forecasts, decisions)
    verb.replay(dataset, sys.stdout.buffer, how, sources)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
