"""``nexova forecast``: hourly energy, a week ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
_COLUMNS = ("mase", "rmsse", "wape", "mape_running", "week_kwh_frac", "msis", "coverage_frac", "crps", "mape_met_frac")


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
        plan = verb.outline(dataset, rules, False)
        echo.result(plan, "\n".join(f"{k}: {v}" for k, v in plan.items()))
        return
    done = verb.fit(dataset, rules, out, overwrite, jobs)
    found = done.result
    told = f"{found['model']} fitted to {len(found['series']) - found['left_out']} of {len(found['series'])} series"
    echo.result({"folder": str(done.folder), **found}, f"{told}, {found['fallbacks']} by a fallback\n{done.folder}",
                done.run_id)  # fmt: skip


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
        plan = verb.outline(dataset, rules, False)
        echo.result(plan, "\n".join(f"{k}: {v}" for k, v in plan.items()))
        return
    done = verb.predict(dataset, rules, out, overwrite, jobs, model)
    found = done.result
    for row in [r for r in found["series"] if r["why"]][:_MOST_ROWS]:
        echo.note(f"{row['series']}: {'left out' if row['model'] is None else 'by ' + row['model']}, {row['why']}")
    shown = sorted(found["series"], key=lambda r: -(r["week_kwh"] or 0.0))[:_MOST_ROWS]
    grid = echo.grid([[r["series"], r["level"], r["week_kwh"], r["model"]] for r in shown],
                     ["series", "level", "week, kWh", "model"])  # fmt: skip
    echo.result({"folder": str(done.folder), **found}, f"{grid}\n{done.folder}", done.run_id)


@app.command()
def backtest(dataset: DatasetArgument, config: ConfigFlag = _DEFAULT, settings: SetFlag = None, seed: SeedFlag = None,
             jobs: JobsFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
             as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Judge the models at rolling origins, the naive one always beside them.

    Example: nexova forecast backtest results/worn
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.forecast import load_forecast
    from nexova_sim.run import forecast as verb

    rules = load_forecast(config, settings or [], seed)
    if dry_run:
        plan = verb.outline(dataset, rules, True)
        echo.result(plan, "\n".join(f"{k}: {v}" for k, v in plan.items()))
        return
    with echo.progress("backtest") as progress:
        done = verb.backtest(dataset, rules, out, overwrite, jobs, progress)
    found = done.result
    echo.result({"folder": str(done.folder), **found}, f"{_page(found)}\n{done.folder}", done.run_id)


def _page(found: dict[str, Any]) -> str:
    heads = ["model", "MASE", "RMSSE", "WAPE", "MAPE running", "week kWh", "MSIS", "coverage", "CRPS",
             f"weeks under {found['gate_mape_percent']:g} %", f"{found['model']} against it"]  # fmt: skip
    rows = []
    for name, row in found["models"].items():
        gap = found["against"][name]
        told = gap["verdict"] if gap["mean"] is None or gap["se"] is None or gap["verdict"] == "same" else (
            f"{gap['mean']:+.3f} +- {2 * gap['se']:.3f}: {gap['verdict']}")  # fmt: skip
        rows.append([name, *(row[k] for k in _COLUMNS), told])
    share = found["running_hours_frac"]
    text = f"{found['origins']} origins, {found['series']} series; errors in percent count running hours only"
    text += "" if share is None else f" ({100 * share:.1f} % of the measured ones)"
    met, of = found["gate_met_machines"], found["gate_judged_machines"]
    gate = f"gate: median error of running hours below {found['gate_mape_percent']:g} %: {met} of {of} machines"
    short = [f"{n} {100 * r['fallback_frac']:.0f} %" for n, r in found["models"].items() if r["fallback_frac"] > 0.0]
    if short:
        gate += "\nforecasts made by a fallback because the history was too short: " + ", ".join(short)
    return f"{text}\n\n{echo.grid(rows, heads)}\n\n{gate}"
