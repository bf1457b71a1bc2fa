"""``nexova ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

FilesArgument = Annotated[
    list[Path], typer.Argument(help="CSV or Parquet files of a plant, read in this order.", metavar="FILES...")
]
MapFlag = Annotated[
    str, typer.Option("--map", "-m", help="Mapping file; built-in ones start with configs/ingest/.", metavar="FILE")
]
FracFlag = Annotated[
    float,
    typer.Option("--max-reject-frac", help="Refuse a file with a larger share of rejected rows.", min=0.0, max=1.0),
]


def ingest(files: FilesArgument, mapping: MapFlag, settings: SetFlag = None, out: OutFlag = None,
           max_reject_frac: FracFlag = 0.2, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
           as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Turn files of a real plant into a dataset, rejecting bad rows with a reason.

    Example: nexova ingest pump.csv --map configs/ingest/generic.yaml --out results/pump
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.ingest import load_map
    from nexova_sim.run import ingest as verb

    rules = load_map(mapping, settings or [])
    with echo.progress("ingest") as progress:
        if dry_run:
            seen = verb.preview(files, rules, max_reject_frac, progress=progress)
        else:
            done = verb.ingest(files, rules, out, max_reject_frac, overwrite, progress)
    if dry_run:
        _tell(seen, "")
        echo.result(seen, _page(seen))
        return
    _tell(done.report, f" (see {done.folder}/rejects)")
    if done.was_there:
        echo.note(f"{done.folder}: this dataset is there already, nothing to do")
    echo.result({"folder": str(done.folder), "was_there": done.was_there, **done.report}, f"{done.folder}", done.run_id)
    echo.note(
        f"{done.report['readings']:,} readings of {done.manifest.n_machines} machines; "
        f"look at them with: nexova data describe {done.folder}"
    )


def _tell(report: dict[str, Any], where: str) -> None:
    """Everything that was not taken over as it stood, on stderr."""
    for line in report["notes"]:
        echo.note(f"note: {line}")
    for name, count in report["missing"].items():
        if 0 < count < report["readings"]:
            echo.note(f"note: {name}: {count:,} cells without a value")
    if report["out_of_order"]:
        echo.note(f"note: {report['out_of_order']:,} rows out of order, sorted")
    if report["blank_lines"]:
        echo.note(f"note: {report['blank_lines']:,} blank lines skipped")
    if report["rejected"]:
        echo.note(f"{report['rejected']:,} rows rejected{where}:")
    for reason, count in sorted(report["reasons"].items(), key=lambda item: (-item[1], item[0])):
        echo.note(f"  {count:>10,}  {reason}")


def _page(report: dict[str, Any]) -> str:
    """The preview for people: columns, span, machines, counts, first rows."""
    columns = [[name, " x ".join(c["columns"]), c["unit"], c["stored_as"]] for name, c in report["channels"].items()]
    columns += [[f"label {fault}", column, "", ""] for fault, column in report["labels"].items()]
    machines = report["machines"]
    shown = ", ".join(machines[:10]) + (", ..." if len(machines) > 10 else "")
    interval = "irregular" if report["dt_s"] is None else f"{report['dt_s']:g} s"
    rows = report["rows"]
    heads = list(rows[0])
    return "\n".join(
        [
            echo.grid(columns, ["channel", "column", "unit", "stored as"]),
            "",
            f"span: {report['first']} to {report['last']}, interval {interval}",
            f"machines: {len(machines)} ({shown})",
            f"readings: {report['readings']:,}, rejected: {report['rejected']:,}, "
            f"out of order: {report['out_of_order']:,}",
            "",
            echo.grid([[row[h] for h in heads] for row in rows], heads),
            "",
            "dry run: nothing was written",
        ]
    )
