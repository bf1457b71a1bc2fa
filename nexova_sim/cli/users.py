"""``nexova users``: the people and agents of the registry, and what their roles may do."""

from __future__ import annotations

from typing import Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.approvals import AsFlag, StoreFlag
from nexova_sim.cli.flags import JsonFlag, QuietFlag

app = typer.Typer(name="users", help="The people and agents of the registry.", no_args_is_help=True)

EmailArgument = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's address.", show_default=False)]
RoleOption = Annotated[str, typer.Option("--role", help="ADMIN, SUPERVISOR, OPERATOR or VIEWER.", show_default=False)]
FactoryOption = Annotated[str | None, typer.Option("--factory", help="His factory (default: all).", metavar="ID")]
AgentFlag = Annotated[bool, typer.Option("--agent", help="A program: may ask and stop, never decide.")]
RolesOption = Annotated[str | None, typer.Option("--roles", help="Role table of a new registry.", metavar="FILE")]
RolesArgument = Annotated[str, typer.Argument(metavar="FILE", help="Role table (YAML).", show_default=False)]


@app.command()
def add(email: EmailArgument, role: RoleOption, factory: FactoryOption = None, is_agent: AgentFlag = False,
        roles: RolesOption = None, actor: AsFlag = None, store: StoreFlag = None, as_json: JsonFlag = False,
        quiet: QuietFlag = False) -> None:  # fmt: skip
    """Enter a user. The first user of a registry is an ADMIN; the registry is made with him.

    Example: nexova users add ada@plant.example --role ADMIN
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import registry as verb

    done = verb.add_user(verb.Access(store, actor), email, role, factory, is_agent, roles)
    echo.result(done, f"{done['email']}: {done['role']}" + (" (agent)" if done["is_agent"] else ""))


@app.command("set")
def set_(email: EmailArgument, role: RoleOption, actor: AsFlag = None, store: StoreFlag = None,
         as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Give a user another role.

    Example: nexova users set oli@plant.example --role VIEWER --as ada@plant.example
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import registry as verb

    done = verb.set_user(verb.Access(store, actor), email, role)
    echo.result(done, f"{email}: {done['role_from']} -> {done['role']}")


@app.command()
def roles(table: RolesArgument, actor: AsFlag = None, store: StoreFlag = None, as_json: JsonFlag = False,
          quiet: QuietFlag = False) -> None:  # fmt: skip
    """Replace the role table of the registry.

    Example: nexova users roles configs/roles/default.yaml --as ada@plant.example
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import registry as verb

    done = verb.set_roles(verb.Access(store, actor), table)
    echo.result(done, f"role table of {table} is in force (audit entry {done['audit_entry']})")


@app.command("list")
def list_users(store: StoreFlag = None, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """The users and their roles.

    Example: nexova users list
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import registry as verb

    found = verb.users(verb.Access(store)).rows
    cells = [[r["email"], r["role"], r["factory_id"] or "all", "agent" if r["is_agent"] else "person"] for r in found]
    text = echo.grid(cells, ["user", "role", "factory", "kind"])
    echo.result({"users": list(found)}, text if found else "")
    if not found:
        echo.note("no users")
