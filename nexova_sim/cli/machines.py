"""``nexova machines``: the machines of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.base.errors import UsageError
from nexova_sim.cli import echo
from nexova_sim.cli.approvals import AsFlag, MachineArgument, StoreFlag
from nexova_sim.cli.flags import JsonFlag, QuietFlag

app = typer.Typer(name="machines", help="The machines of the registry.", no_args_is_help=True)

SomeMachine = Annotated[str | None, typer.Argument(metavar="MACHINE", help="Machine id.", show_default=False)]
KindOption = Annotated[str | None, typer.Option("--kind", help="PUMP, MOTOR, COMPRESSOR, CONVEYOR or another.")]
FactoryOption = Annotated[str | None, typer.Option("--factory", help="Factory it stands in.", metavar="ID")]
NameOption = Annotated[str | None, typer.Option("--name", help="Display name (default: the id).")]
FromOption = Annotated[Path | None, typer.Option("--from", help="Every machine of this dataset.", metavar="DATASET")]
StatusOption = Annotated[str | None, typer.Option("--status", help="Only ONLINE, OFFLINE or MAINTENANCE.")]
StatusArgument = Annotated[str, typer.Argument(metavar="STATUS", help="ONLINE, OFFLINE or MAINTENANCE.")]


@app.command()
def add(machine: SomeMachine = None, kind: KindOption = None, factory: FactoryOption = None, name: NameOption = None,
        dataset: FromOption = None, email: AsFlag = None, store: StoreFlag = None, as_json: JsonFlag = False,
        quiet: QuietFlag = False) -> None:  # fmt: skip
    """Enter a machine, or all of a dataset. It is OFFLINE until its registration is approved.

    Example: nexova machines add press-1 --kind MOTOR --factory lyon --as oli@plant.example
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import registry as verb

    access = verb.Access(store, email)
    if dataset is not None:
        if any(given is not None for given in (machine, kind, factory, name)):
            raise UsageError("--from DATASET says everything; leave MACHINE, --kind, --factory and --name out")
        done = verb.add_machines_of(access, dataset)
        echo.result(done, f"{done['added']} machines added, {done['known']} were registered already")
        return
    if machine is None or kind is None or factory is None:
        raise UsageError("give MACHINE with --kind and --factory, or --from DATASET (see: nexova machines add --help)")
    done = verb.add_machine(access, machine, kind, factory, name)
    echo.result(done, f"{machine}: {done['status_to']} (audit entry {done['audit_entry']})")


@app.command("set")
def set_(machine: MachineArgument, status: StatusArgument, email: AsFlag = None, store: StoreFlag = None,
         as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Set the status of a machine; ONLINE only when it is approved.

    Example: nexova machines set press-1 OFFLINE --as oli@plant.example
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import approvals as verb
    from nexova_sim.run.registry import Access

    done = verb.set_status(Access(store, email), machine, status)
    echo.result(done, f"{machine}: {done['status_to']} (audit entry {done['audit_entry']})")


@app.command("list")
def list_machines(status: StatusOption = None, store: StoreFlag = None, as_json: JsonFlag = False,
          quiet: QuietFlag = False) -> None:  # fmt: skip
    """The machines, their status and the state of their registration.

    Example: nexova machines list --status online
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import registry as verb

    found = verb.machines(verb.Access(store), status).rows
    cells = [[r["id"], r["name"], r["kind"], r["factory_id"], r["status"], r["registration"]] for r in found]
    heads = ["machine", "name", "kind", "factory", "status", "registration"]
    echo.result({"machines": list(found)}, echo.grid(cells, heads) if found else "")
    if not found:
        echo.note("no machines")
