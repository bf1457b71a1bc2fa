"""``nexova forecast``: hourly energy, a week ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JobsFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SeedFlag, SetFlag

app = typer.Typer(name="forecast", help="Energy forecasts: fit, predict, backtest.", no_args_is_help=True)

DatasetArgument = Annotated[Path, typer.Argument(help="Folder of a dataset.", metavar="DATASET")]
ConfigFlag = Annotated[
    str, typer.Option("--config", "-c", help="YAML file; built-in ones are in configs/forecast.", metavar="FILE")
]
_DEFAULT = "configs/forecast/default.yaml"
_MOST_ROWS = 30


ModelFlag = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="Folder that 'forecast fit' wrote; in place of --config.", metavar="DIR"),
]


@app.command()
def fit(dataset: DatasetArgument, config: ConfigFlag = _DEFAULT, settings: SetFlag = None, seed: SeedFlag = None,
        jobs: JobsFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
        as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Fit a forecaster and keep it; 'forecast predict --model' uses it until the data change.

    Example: nexova forecast fit results/worn
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.forecast import load_forecast
    from nexova_sim.run import forecast as verb

    rules = load_forecast(config, settings or [], seed)
    if dry_run:
        echo.plan(verb.outline(dataset, rules, False))
        return
    done = verb.fit(dataset, rules, out, overwrite, jobs)
    found = done.result
    told = f"{found['model']} fitted to {len(found['series']) - found['left_out']} of {len(found['series'])} series"
    page = f"{told}, {found['fallbacks']} by a fallback"
    echo.made({"folder": str(done.folder), "was_there": done.was_there, **found}, [done.folder], page, done.run_id)


@app.command()
def predict(dataset: DatasetArgument, config: ConfigFlag = _DEFAULT, settings: SetFlag = None, seed: SeedFlag = None,
            model: ModelFlag = None, jobs: JobsFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False,
            dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Forecast every machine and factory for the week after the data, with 95 % intervals.

    Example: nexova forecast predict results/worn
    """
    echo.configure(as_json, quiet)
    from nexova_sim.base.errors import UsageError
    from nexova_sim.config.forecast import load_forecast
    from nexova_sim.run import forecast as verb

    if model is not None and (settings or seed is not None or config != _DEFAULT):
        raise UsageError(
            "--model: a fitted model brings its own settings; leave out --config, --set and --seed, or fit again"
        )
    rules = load_forecast(config, settings or [], seed)
    if dry_run:
        echo.plan(verb.outline(dataset, rules, False))
        return
    done = verb.predict(dataset, rules, out, overwrite, jobs, model)
    found = done.result
    if str(found["fit"]).startswith("again"):
        echo.note(f"--model {model}: was fitted to other data; its settings were fitted anew to these")
    for row in [r for r in found["series"] if r["why"]][:_MOST_ROWS]:
        echo.note(f"{row['series']}: {'left out' if row['model'] is None else 'by ' + row['model']}, {row['why']}")
    shown = sorted(found["series"], key=lambda r: -(r["week_kwh"] or 0.0))[:_MOST_ROWS]
    grid = echo.grid([[r["series"], r["level"], r["week_kwh"], r["model"]] for r in shown],
                     ["series", "level", "week, kWh", "model"])  # fmt: skip
    echo.made({"folder": str(done.folder), "was_there": done.was_there, **found}, [done.folder], grid, done.run_id)


@app.command()
def backtest(dataset: DatasetArgument, config: ConfigFlag = _DEFAULT, settings: SetFlag = None, seed: SeedFlag = None,
             jobs: JobsFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
             as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Judge the models at rolling origins, the naive one always beside them.

    Example: nexova forecast backtest results/worn
    """
    echo.configure(as_json, quiet)
    from nexova_sim.cli.forecast_page import backtest_page
    from nexova_sim.config.forecast import load_forecast
    from nexova_sim.run import forecast as verb

    rules = load_forecast(config, settings or [], seed)
    if dry_run:
        echo.plan(verb.outline(dataset, rules, True))
        return
    with echo.progress("backtest") as progress:
        done = verb.backtest(dataset, rules, out, overwrite, jobs, progress)
    found = done.result
    echo.made(
        {"folder": str(done.folder), "was_there": done.was_there, **found},
        [done.folder],
        backtest_page(found),
        done.run_id,
    )
