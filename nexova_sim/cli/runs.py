"""``nexova runs``: which runs there are, what they were, how two differ, whether one can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JobsFlag, JsonFlag, QuietFlag

app = typer.Typer(name="runs", help="Runs and sweeps: list, show, diff, verify.", no_args_is_help=True)

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to look in (default: results).")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, first digits of its id, or latest.")]
FirstArgument = Annotated[str, typer.Argument(metavar="A", help="Run, sweep, stage, dataset: folder, or id of a run.")]
SecondArgument = Annotated[str, typer.Argument(metavar="B", help="What to compare it with.")]
RootFlag = Annotated[Path, typer.Option("--root", help="Where ids are looked up.", metavar="DIR")]
ScratchFlag = Annotated[
    Path | None, typer.Option("--scratch", help="Where the second copy is made, then removed.", metavar="DIR")
]
_COLUMNS = ("id", "kind", "name", "when", "stages", "git", "cpu_s", "state", "checked", "folder")
_MOST = 60


@app.command("list")
def list_runs(root: FolderArgument = Path("results"), as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Every run and sweep below a folder, latest first.

    The state is told from what the column 'checked' names; no file is read. 'nexova runs verify' compares the bytes.

    Example: nexova runs list results
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import runs as verb

    rows = verb.list_runs(root)
    lines = [[" ".join(r[c]) if c == "stages" else r[c] for c in _COLUMNS] for r in rows]
    echo.result(rows, echo.grid(lines, _COLUMNS) if rows else "")
    if not rows:
        echo.note(f"{root}: no run; 'nexova run' makes one")


@app.command()
def show(run: RunArgument, root: RootFlag = Path("results"), as_json: JsonFlag = False,
         quiet: QuietFlag = False) -> None:  # fmt: skip
    """What a run was: configuration, stages, metrics, provenance.

    Example: nexova runs show latest
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import runs as verb
    from nexova_sim.run.runs_diff import flat

    data = verb.show_run(run, root)
    lines = [f"{key}: {data[key]}" for key in ("id", "kind", "name", "when", "git", "state", "checked", "folder")]
    if data["kind"] == "run":
        heads = ["name", "ident", "state", "files", "bytes"]
        lines += ["", echo.grid([[s[h] for h in heads] for s in data["stages"]], heads)]
    for title in ("config", "metrics", "provenance"):
        rows = [[key, "" if value is None else value] for key, value in flat(data.get(title) or {})]
        lines += ["", echo.grid(rows, [title, "value"])] if rows and rows[0][0] else []
    echo.result(data, "\n".join(lines), str(data["id"]))


@app.command()
def diff(a: FirstArgument, b: SecondArgument, root: RootFlag = Path("results"), as_json: JsonFlag = False,
         quiet: QuietFlag = False) -> None:  # fmt: skip
    """What differs between two runs in configuration, code, inputs, metrics; nothing else is shown.

    Example: nexova runs diff latest~1 latest
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run.runs_diff import diff_runs

    found = diff_runs(a, b, root)
    data = {**found._asdict(), "differences": [d._asdict() for d in found.differences]}
    rows = [[d.part, d.key, _short(d.a), _short(d.b), _percent(d.change_frac)] for d in found.differences]
    echo.result(data, echo.grid(rows, ["part", "key", "a", "b", "change"]) if rows else "")
    n_all = len(rows) + found.n_same
    echo.note(f"{len(rows)} of {n_all} values differ" if rows else f"no difference in {n_all} values")


def _percent(frac: float | None) -> str:
    return "" if frac is None else f"{100.0 * frac:+.2f} %"


def _short(value: Any) -> str:  # noqa: ANN401
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MOST else text[: _MOST - 3] + "..."


@app.command()
def verify(run: RunArgument, root: RootFlag = Path("results"), jobs: JobsFlag = None, scratch: ScratchFlag = None,
           as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Make a run again in a temporary folder and compare every file; exit 1 with the list of what differs.

    Example: nexova runs verify latest
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run.runs_verify import verify_run

    with echo.progress("verify") as progress:
        found = verify_run(run, root, jobs, scratch, lambda _stage, part, of: progress(part, of))
    data = {**found._asdict(), "folder": str(found.folder)}
    echo.result(data, "", found.run_id)
    echo.note(f"{found.folder}: made again, {found.files} files, the same bytes")
    if found.timed:
        echo.note(f"{len(found.timed)} of them differ in measured times only: {'; '.join(found.timed[:8])}")
    if not found.is_same_code:
        echo.note("it was made by other code than is here now, with the same outcome")
