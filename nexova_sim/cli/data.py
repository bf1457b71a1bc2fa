"""``nexova data``: look at, check, query, export and split a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.base.errors import ConfigError
from nexova_sim.cli import echo
from nexova_sim.cli.flags import JobsFlag, JsonFlag, OverwriteFlag, QuietFlag

_SHOWN_ROWS = 1000
_LISTED_FINDINGS = 100

app = typer.Typer(name="data", help="Describe, verify, query, export and split datasets.", no_args_is_help=True)

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder that simulate, ingest or split wrote.")
]
TableFlag = Annotated[
    str, typer.Option("--table", "-t", help="readings, machines, events, labels, truth, ...", metavar="NAME")
]
StartFlag = Annotated[
    str | None, typer.Option("--start", help="First time, ISO 8601; UTC if it says no zone.", metavar="TIME")
]
EndFlag = Annotated[str | None, typer.Option("--end", help="Time to stop before.", metavar="TIME")]
LimitFlag = Annotated[int | None, typer.Option("--limit", help="Rows at most (a table: 1000).", min=0, metavar="N")]
MemoryFlag = Annotated[int, typer.Option("--memory", help="Memory the query may use.", min=64, metavar="MB")]
FormatFlag = Annotated[str, typer.Option("--format", "-f", help="table, csv, json, ndjson or parquet.", metavar="NAME")]
SqlArgument = Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; @FILE reads a file, - standard input.")]
QuickFlag = Annotated[bool, typer.Option("--quick", help="Names, sizes and sha256 only; no look inside.")]
RowsFlag = Annotated[int, typer.Option("--rows", "-n", help="Number of rows.", min=1, max=100_000)]
PartsFlag = Annotated[Path, typer.Option("--out", "-o", help="Folder of the parts.", metavar="DIR")]
ByFlag = Annotated[str, typer.Option("--by", help="machine (whole machines, by kind) or time.", metavar="HOW")]
SharesFlag = Annotated[str, typer.Option("--fractions", help="Shares of train,validation,test.", metavar="A,B,C")]
DealFlag = Annotated[int, typer.Option("--seed", help="Decides which machines go where.", min=0)]
GapFlag = Annotated[float, typer.Option("--gap", help="Hours left out at each cut in time.", metavar="H")]
ToOption = typer.Option("--to", help="File to write; '-' is standard output.", metavar="FILE")
MachineOption = typer.Option("--machine", "-m", help="Only this machine.", metavar="ID")


def _note_cut(is_cut: bool, n_rows: int) -> None:
    if is_cut:
        echo.note(f"only the first {n_rows} rows are shown; --limit N shows more, --to FILE saves all")


@app.command()
def describe(dataset: DatasetArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Row counts, span, gaps, statistics per channel, status shares, faults and machines.

    Example: nexova data describe results/tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import data as verb

    about = verb.describe(dataset)
    echo.result(about, _described(about))


def _described(about: dict[str, Any]) -> str:
    gaps = about["gaps"]
    seed = "" if about["seed"] is None else f", seed {about['seed']}"
    grid = "no readings" if gaps["step_s"] is None else f"{gaps['step_s']:g} s"
    grid += "" if gaps["is_step_given"] else " (estimated)"
    missing = f"{gaps['missing_rows']} rows in {gaps['n_gaps']} gaps"
    if gaps["longest_on"]:
        missing += f", the longest {gaps['longest_s'] / 3600.0:g} h on {gaps['longest_on']}"
    facts = [
        f"dataset   {about['name']} ({about['source']}{seed})",
        f"span      {about['start']} to {about['end']}",
        f"grid      {grid}",
        f"machines  {about['n_machines']}",
        f"size      {about['bytes'] / 1e6:,.1f} MB",
        f"missing   {missing}",
    ]
    keys = ("name", "unit", "count", "nan", "min", "mean", "std", "p05", "median", "p95", "max")
    blocks = [
        "\n".join(facts),
        echo.grid([[table, n] for table, n in about["rows"].items()], ["table", "rows"]),
        echo.grid([[row[key] for key in keys] for row in about["channels"]], ["channel", *keys[1:]]),
        echo.grid([[s, f"{100.0 * share:.2f} %"] for s, share in about["status_frac"].items()], ["status", "share"]),
        echo.grid([[m["factory_id"], m["kind"], m["n"]] for m in about["machines"]], ["factory", "kind", "machines"]),
    ]
    for key in ("faults", "events"):
        if about[key]:
            blocks.append(echo.grid([[name, n] for name, n in about[key].items()], [key.removesuffix("s"), "rows"]))
    return "\n\n".join(blocks)


@app.command()
def verify(dataset: DatasetArgument, is_quick: QuickFlag = False, jobs: JobsFlag = None, as_json: JsonFlag = False,
           quiet: QuietFlag = False) -> None:  # fmt: skip
    """Check every file, byte and row against the manifest and the schema; exit 1 names what is damaged.

    Example: nexova data verify results/tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import data as verb

    with echo.progress("verify") as progress:
        done = verb.verify(dataset, is_quick, jobs, progress)
    if done.findings:
        paths = list(dict.fromkeys(f.path for f in done.findings))
        names = ", ".join(paths[:5]) + (", ..." if len(paths) > 5 else "")
        listed = [f._asdict() for f in done.findings[:_LISTED_FINDINGS]]
        what = f"{len(done.findings)} problems found in {names}; write the dataset again or restore it from a copy"
        shown = "\n".join(f"{f.path}: {f.problem}" for f in done.findings)
        echo.refuse(f"{dataset}: {what}", shown, {"n_findings": len(done.findings), "findings": listed})
    how = "names, sizes and sha256" if done.is_quick else "every byte and row"
    n_rows = sum(done.rows.values())
    data = {**done._asdict(), "folder": str(done.folder), "findings": []}
    echo.result(data)
    echo.note(f"{done.folder}: whole; {done.n_files} files, {done.n_bytes:,} bytes, {n_rows:,} rows ({how})")


@app.command()
def query(dataset: DatasetArgument, sql: SqlArgument, form: FormatFlag = "",
          to: Annotated[Path | None, ToOption] = None, limit: LimitFlag = None, memory_mb: MemoryFlag = 1024,
          overwrite: OverwriteFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """SQL (DuckDB) over the views readings, machines, events, labels, truth, build, factories, weather; times in UTC.

    Example: nexova data query results/tiny "SELECT machine_id, avg(power_kw) AS mean_kw FROM readings GROUP BY ALL"
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import data as verb

    text = verb.read_sql(sql)
    target = None if to is None or str(to) == "-" else to
    if target is not None:
        if form == "table":
            raise ConfigError("--format table: is for the screen; choose csv, json, ndjson or parquet for a file")
        n_rows = verb.query_to(dataset, text, target, form or None, limit, memory_mb, overwrite)
        echo.result({"file": str(target), "rows": n_rows}, str(target))
        echo.note(f"{n_rows:,} rows")
        return
    if form in {"", "table"} or as_json:
        most = _SHOWN_ROWS if limit is None else limit
        shown = verb.show_rows(verb.query(dataset, text, most + 1, memory_mb), most)
        data = {"columns": shown.columns, "rows": shown.rows, "is_cut": shown.is_cut}
        echo.result(data, echo.grid(shown.rows, shown.columns))
        _note_cut(shown.is_cut and limit is None, most)
        return
    verb.query_to(dataset, text, sys.stdout.buffer, form, limit, memory_mb)


@app.command()
def head(dataset: DatasetArgument, table: TableFlag = "readings", n_rows: RowsFlag = 10,
         machine: Annotated[str | None, MachineOption] = None, as_json: JsonFlag = False,
         quiet: QuietFlag = False) -> None:  # fmt: skip
    """The first rows of a table.

    Example: nexova data head results/tiny --table events --rows 5
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import data as verb

    shown = verb.show_rows(verb.head(dataset, table, n_rows, machine))
    echo.result({"columns": shown.columns, "rows": shown.rows}, echo.grid(shown.rows, shown.columns))


@app.command()
def export(dataset: DatasetArgument, to: Annotated[Path, ToOption], table: TableFlag = "readings",
           machines: Annotated[list[str] | None, MachineOption] = None, start: StartFlag = None, end: EndFlag = None,
           overwrite: OverwriteFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Save rows of a table; the ending says how: .csv, .csv.gz, .ndjson, .json, .parquet. Standard output gets CSV.

    Example: nexova data export results/tiny --machine lyon-pump-001 --to results/pump.csv.gz
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import data as verb

    chosen = verb.Selection(table, machines or None, start, end)
    if str(to) == "-":
        if as_json:
            raise ConfigError("--json: standard output is taken by --to -; give --to a file")
        verb.export(dataset, sys.stdout.buffer, chosen)
        return
    n_rows = verb.export(dataset, to, chosen, None, overwrite)
    echo.result({"file": str(to), "rows": n_rows}, str(to))
    echo.note(f"{n_rows:,} rows")


@app.command()
def split(dataset: DatasetArgument, out: PartsFlag, by: ByFlag = "machine", fractions: SharesFlag = "0.7,0.15,0.15",
          seed: DealFlag = 1, gap_h: GapFlag = 0.0, overwrite: OverwriteFlag = False,
          as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Split a dataset into train, validation and test datasets, without leakage.

    Example: nexova data split results/tiny --by time --gap 2 --out results/parts
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import data as verb

    try:
        shares = [float(part) for part in fractions.split(",")]
    except ValueError as error:
        raise ConfigError(f"--fractions {fractions!r}: give three numbers, e.g. 0.7,0.15,0.15") from error
    parts = verb.split(dataset, out, by, shares, seed, gap_h, overwrite)
    rows = [[name, p["n_machines"], p["readings"], p["start"], p["end"], p["folder"]] for name, p in parts.items()]
    page = echo.grid(rows, ["part", "machines", "readings", "start", "end", "folder"])
    echo.made(parts, [p["folder"] for p in parts.values()], page)
