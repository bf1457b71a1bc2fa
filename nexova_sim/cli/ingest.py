"""``nexova ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.base.errors import UsageError, suggest
from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

FilesArgument = Annotated[
    list[Path], typer.Argument(help="CSV or Parquet files of a plant, read in this order.", metavar="FILES")
]
MapFlag = Annotated[
    str | None,
    typer.Option("--map", "-m", help="Mapping file; built-in ones start with configs/ingest/.", metavar="FILE"),
]
FormatFlag = Annotated[
    str, typer.Option("--format", help="table (needs --map), or cmapss: NASA's turbofan text files.", metavar="FORMAT")
]
RulFlag = Annotated[
    Path | None, typer.Option("--rul", help="cmapss: file of true remaining lives, one per engine.", metavar="FILE")
]
EndsFlag = Annotated[
    str, typer.Option("--ends", help="cmapss: failure or cut; auto tells by the file's name.", metavar="HOW")
]
FracFlag = Annotated[
    float,
    typer.Option("--max-reject-frac", help="Refuse a file with a larger share of rejected rows.", min=0.0, max=1.0),
]


def ingest(files: FilesArgument, mapping: MapFlag = None, form: FormatFlag = "table", rul: RulFlag = None,
           ends: EndsFlag = "auto", settings: SetFlag = None, out: OutFlag = None, max_reject_frac: FracFlag = 0.2,
           overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False, as_json: JsonFlag = False,
           quiet: QuietFlag = False) -> None:  # fmt: skip
    """Turn files of a real plant into a dataset, rejecting bad rows with a reason.

    Example: nexova ingest pump.csv --map configs/ingest/generic.yaml --out results/pump
    """
    echo.configure(as_json, quiet)
    if form == "cmapss":
        _cmapss(files, (mapping, settings), (rul, ends), (out, overwrite, dry_run))
        return
    if form != "table":
        raise UsageError(f"--format {form}: {suggest(form, ('table', 'cmapss'))}")
    if mapping is None:
        raise UsageError("Missing option '--map' / '-m'; only --format cmapss does without a mapping file")
    if rul is not None or ends != "auto":
        raise UsageError("--rul and --ends belong to --format cmapss; leave them out")
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
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.report}
    echo.made(data, [done.folder], "", done.run_id)
    echo.note(
        f"{done.report['readings']:,} readings of {done.manifest.n_machines} machines; "
        f"look at them with: nexova data describe {done.folder}"
    )


def _cmapss(files: list[Path], unwanted: tuple[str | None, list[str] | None], given: tuple[Path | None, str],
            where: tuple[Path | None, bool, bool]) -> None:  # fmt: skip
    """A turbofan file; everything about it is known, so there is no mapping."""
    from nexova_sim.run import cmapss as verb

    if any(unwanted):
        raise UsageError("--format cmapss needs no --map and no --set; leave them out")
    if len(files) != 1:
        raise UsageError(f"--format cmapss takes one file, not {len(files)}; ingest each into a dataset of its own")
    (rul, ends), (out, overwrite, dry_run) = given, where
    if dry_run:
        seen = verb.preview_cmapss(files[0], rul, ends)
        echo.plan(seen)
        return
    done = verb.ingest_cmapss(files[0], rul, ends, out, overwrite)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.report}
    echo.made(data, [done.folder], "", done.run_id)
    end = "run to failure" if done.report["runs_to_failure"] else "are cut before failure"
    echo.note(f"{done.report['readings']:,} cycles of {done.report['machines']} engines, which {end}")


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
        ]
    )
