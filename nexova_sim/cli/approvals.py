"""``nexova approvals``: requests for approval and decisions on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.approvals_replay import replay
from nexova_sim.cli.flags import JsonFlag, QuietFlag

app = typer.Typer(name="approvals", help="Who may do what: requests, decisions, replay.", no_args_is_help=True)

app.command()(replay)

AsFlag = Annotated[str | None, typer.Option("--as", help="Who you are in a local registry.", metavar="EMAIL")]
StoreFlag = Annotated[
    str | None,
    typer.Option("--store", help="Registry: a file or postgresql://... (default: NEXOVA_STORE, results/registry.db).",
                 metavar="STORE"),
]  # fmt: skip
MachineArgument = Annotated[str, typer.Argument(metavar="MACHINE", help="Machine id.", show_default=False)]
SubjectFlag = Annotated[
    str | None, typer.Option("--subject", help="REGISTRATION (default), or a status that needs an approval.")
]
RevisionFlag = Annotated[int | None, typer.Option("--revision", help="The revision you looked at.", min=0)]
CommentFlag = Annotated[str, typer.Option("--comment", help="A word on it; a rejection needs one.", metavar="TEXT")]
StateFlag = Annotated[list[str] | None, typer.Option("--state", help="Only in this state. May be repeated.")]


def _told(done: dict[str, Any]) -> str:
    """An allowed attempt in one line."""
    line = f"{done['machine_id']} {done['subject']} revision {done['revision']}: {done['state_to']}"
    return f"{line}, machine {done['status_to']} (audit entry {done['audit_entry']})"


def _tried(store: str | None, email: str | None, action: str, machine: str, subject: str | None,
           revision: int | None, comment: str) -> None:  # fmt: skip
    from nexova_sim.run import approvals as verb
    from nexova_sim.run.registry import Access

    done = verb.attempt(Access(store, email), action, machine, subject, revision, comment)
    echo.result(done, _told(done))


@app.command()
def submit(machine: MachineArgument, email: AsFlag = None, subject: SubjectFlag = None, revision: RevisionFlag = None,
           comment: CommentFlag = "", store: StoreFlag = None, as_json: JsonFlag = False,
           quiet: QuietFlag = False) -> None:  # fmt: skip
    """Ask for the approval of a machine, or of a change of its status.

    Example: nexova approvals submit press-1 --as oli@plant.example
    """
    echo.configure(as_json, quiet)
    _tried(store, email, "submit", machine, subject, revision, comment)


@app.command()
def approve(machine: MachineArgument, email: AsFlag = None, subject: SubjectFlag = None, revision: RevisionFlag = None,
            comment: CommentFlag = "", store: StoreFlag = None, as_json: JsonFlag = False,
            quiet: QuietFlag = False) -> None:  # fmt: skip
    """Approve the open request of a machine; nobody approves an own one.

    Example: nexova approvals approve press-1 --as sue@plant.example
    """
    echo.configure(as_json, quiet)
    _tried(store, email, "approve", machine, subject, revision, comment)


@app.command()
def reject(machine: MachineArgument, email: AsFlag = None, subject: SubjectFlag = None, revision: RevisionFlag = None,
           comment: CommentFlag = "", store: StoreFlag = None, as_json: JsonFlag = False,
           quiet: QuietFlag = False) -> None:  # fmt: skip
    """Reject the open request of a machine and say why.

    Example: nexova approvals reject press-2 --as sue@plant.example --comment "guard is missing"
    """
    echo.configure(as_json, quiet)
    _tried(store, email, "reject", machine, subject, revision, comment)


@app.command()
def withdraw(machine: MachineArgument, email: AsFlag = None, subject: SubjectFlag = None,
             revision: RevisionFlag = None, comment: CommentFlag = "", store: StoreFlag = None,
             as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Take an own open request back.

    Example: nexova approvals withdraw press-2 --as oli@plant.example
    """
    echo.configure(as_json, quiet)
    _tried(store, email, "withdraw", machine, subject, revision, comment)


@app.command()
def expire(email: AsFlag = None, store: StoreFlag = None, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Let every request expire that has waited longer than the role table allows.

    Example: nexova approvals expire --as sue@plant.example
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import approvals as verb
    from nexova_sim.run.registry import Access

    done = verb.expire(Access(store, email))
    echo.result({"expired": done}, "\n".join(_told(row) for row in done))
    if not done:
        echo.note("no request is overdue")


def _when(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _grid(rows: list[dict[str, Any]]) -> str:
    heads = ["machine", "subject", "revision", "state", "submitted by", "at", "decided by", "at", "comment"]
    cells = [
        [r["machine_id"], r["subject"], r["revision"], r["status"], r["submitter"], _when(r["created_ms"]),
         r["decider"], _when(r["decided_ms"]), r["decision_comment"] or r["comments"]]
        for r in rows
    ]  # fmt: skip
    return echo.grid(cells, heads)


@app.command("list")
def list_approvals(states: StateFlag = None, store: StoreFlag = None, as_json: JsonFlag = False,
          quiet: QuietFlag = False) -> None:  # fmt: skip
    """Requests in order of submission.

    Example: nexova approvals list --state pending
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import approvals as verb
    from nexova_sim.run.registry import Access

    found = list(verb.approvals(Access(store), states or ()).rows)
    echo.result({"approvals": found}, _grid(found) if found else "")
    if not found:
        echo.note("no requests")


@app.command()
def show(machine: MachineArgument, store: StoreFlag = None, as_json: JsonFlag = False,
         quiet: QuietFlag = False) -> None:  # fmt: skip
    """A machine and all its requests.

    Example: nexova approvals show press-1
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run.registry import Access, show_machine

    found = show_machine(Access(store), machine)
    row = found["machine"]
    head = f"{row['id']} ({row['name']}, {row['kind']}, {row['factory_id']}): {row['status']}, {row['registration']}"
    echo.result(found, head + ("\n\n" + _grid(found["approvals"]) if found["approvals"] else ""))
