"""``nexova models``: saved models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, QuietFlag

app = typer.Typer(name="models", help="Saved models: list, show, verify.", no_args_is_help=True)

RootArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to look in (default: results).")]
ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved model.")]
_COLUMNS = ("folder", "kind", "name", "model_id", "data", "training_s", "inference_s_per_million", "state")


@app.command("list")
def list_models(root: RootArgument = Path("results"), as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Every model below a folder.

    Example: nexova models list results
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import models as verb

    rows = verb.list_models(root)
    echo.result(rows, echo.grid([[row[name] for name in _COLUMNS] for row in rows], _COLUMNS) if rows else "")
    if not rows:
        echo.note(f"{root}: no model; 'nexova anomaly fit' makes one")


@app.command()
def show(model: ModelArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """What a model is: configuration, data, metrics, times.

    Example: nexova models show results/tiny-model
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import models as verb

    data = verb.show_model(model)
    echo.result(data, "\n".join(f"{key}: {value}" for key, value in data.items()), str(data["model_id"]))


@app.command()
def verify(model: ModelArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check every file of a model against its manifest; exit 1 when one was changed.

    Example: nexova models verify results/tiny-model
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import models as verb

    data = verb.verify_model(model)
    echo.result(data, "", str(data["model_id"]))
    echo.note(f"{data['folder']}: whole, {data['files']} files")
