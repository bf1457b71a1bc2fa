"""``nexova auth``: signed tokens."""

from __future__ import annotations

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.approvals import StoreFlag
from nexova_sim.cli.flags import JsonFlag, QuietFlag
from nexova_sim.cli.users import EmailArgument

app = typer.Typer(name="auth", help="Signed tokens that say who you are.", no_args_is_help=True)


@app.command()
def token(email: EmailArgument, store: StoreFlag = None, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Print a token for a user, good for 15 minutes; put it in NEXOVA_TOKEN. Needs NEXOVA_JWT_SECRET.

    Example: nexova auth token sue@plant.example
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import auth as verb
    from nexova_sim.run.registry import Access

    grant = verb.token(Access(store), email)
    echo.result(grant._asdict(), grant.token)
    echo.note(f"{grant.email}, {grant.role}, good for 15 minutes")
