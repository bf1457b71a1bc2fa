"""``nexova audit``: the record of every attempt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.base.errors import ConfigError
from nexova_sim.cli import echo
from nexova_sim.cli.approvals import StoreFlag
from nexova_sim.cli.flags import JsonFlag, OverwriteFlag, QuietFlag

app = typer.Typer(name="audit", help="The record of every attempt, allowed or denied.", no_args_is_help=True)

AnchorFlag = Annotated[
    str | None, typer.Option("--anchor", help="An anchor kept elsewhere, or a file with it.", metavar="COUNT:HEAD")
]
ToFlag = Annotated[Path | None, typer.Option("--to", help="File to write (default: stdout).", metavar="FILE")]
FormFlag = Annotated[str | None, typer.Option("--format", "-f", help="csv or ndjson.", metavar="NAME")]
_LISTED = 50


@app.command()
def verify(anchor: AnchorFlag = None, store: StoreFlag = None, as_json: JsonFlag = False,
           quiet: QuietFlag = False) -> None:  # fmt: skip
    """Check that nothing was edited, removed, swapped, repeated, cut off or written anew; exit 1 when it was.

    Example: nexova audit verify
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import audit as verb
    from nexova_sim.run.registry import Access

    done = verb.audit_verify(Access(store), anchor)
    if done.findings:
        shown = "\n".join(f"entry {f.seq or '-'}: {f.problem}" for f in done.findings[:_LISTED])
        listed = [f._asdict() for f in done.findings[:_LISTED]]
        what = f"the record is not as it was written: {len(done.findings)} findings, the first: "
        echo.refuse(what + done.findings[0].problem, shown, {"n_findings": len(done.findings), "findings": listed})
    covered = "no anchor outside the registry" if done.covered is None else f"{done.covered} vouched for outside"
    echo.result({**done._asdict(), "findings": []})
    echo.note(f"whole: {done.n_entries} entries, {covered}")


@app.command()
def head(store: StoreFlag = None, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Print the anchor of the record, to keep elsewhere and give to verify later.

    Example: nexova audit head
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import audit as verb
    from nexova_sim.run.registry import Access

    found = verb.audit_head(Access(store))
    count, _, digest = found.partition(":")
    echo.result({"count": int(count), "head": digest, "anchor": found}, found)


@app.command()
def export(to: ToFlag = None, form: FormFlag = None, overwrite: OverwriteFlag = False, store: StoreFlag = None,
           as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Copy the record as CSV (no cell is a formula) or NDJSON (exact).

    Example: nexova audit export --to results/audit.csv
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import audit as verb
    from nexova_sim.run.registry import Access

    target = None if to is None or str(to) == "-" else to
    chosen = verb.audit_format(target, form)
    if target is None:
        if as_json:
            raise ConfigError("--json: standard output is taken by the record; give --to a file")
        verb.audit_export(Access(store), sys.stdout, chosen)
        return
    n_rows = verb.save_export(Access(store), target, chosen, overwrite)
    echo.result({"file": str(target), "rows": n_rows}, str(target))
    echo.note(f"{n_rows:,} entries")
