"""``nexova rul``: remaining life, predicted and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import ConfigFlag, DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SeedFlag, SetFlag

app = typer.Typer(name="rul", help="Remaining life of machines: predict it, judge predictions.", no_args_is_help=True)

DatasetArgument = Annotated[Path, typer.Argument(help="Folder of a dataset.", metavar="DATASET")]
TrainFlag = Annotated[
    Path | None, typer.Option("--train", help="Dataset to learn from (default: DATASET itself).", metavar="DIR")
]
AtFlag = Annotated[
    str | None, typer.Option("--at", help="Moment of the prediction, UTC (default: the end of the data).")
]
_PLANT = "configs/rul/plant.yaml"
_FIGURES = ("rmse_h", "mae_h", "bias_h", "phm08", "crps_h", "coverage_frac", "width_h", "alpha_lambda_frac")
_MOST_ROWS = 20


@app.command()
def predict(dataset: DatasetArgument, config: ConfigFlag = _PLANT, train: TrainFlag = None, at: AtFlag = None,
            settings: SetFlag = None, seed: SeedFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False,
            dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Remaining life of every machine as a distribution, by every method, and who fails soonest at what cost.

    Example: nexova rul predict results/plant --config configs/rul/plant.yaml
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.rul import load_rul
    from nexova_sim.run import rul as verb

    rules = load_rul(config, _settings(settings, seed))
    if dry_run:
        echo.plan(verb.outline(dataset, rules, train, at))
        return
    with echo.progress("rul") as progress:
        done = verb.predict(dataset, rules, train, at, out, overwrite, progress)
    _tell(done)
    found = done.result
    rows = [[m["machine_id"], m["kind"], m["rul_h"], m["low_h"], m["high_h"], m["p_fail"], m["cost_of_waiting_usd"]]
            for m in found["machines"][:_MOST_ROWS]]  # fmt: skip
    heads = (
        "machine",
        "kind",
        "rul h",
        "from h",
        "to h",
        f"fails within {found['horizon_h']:g} h",
        "cost of waiting $",
    )
    rest = len(found["machines"]) - len(rows)
    text = f"{echo.grid(rows, heads)}\n" + (f"... and {rest} more\n" if rest > 0 else "")
    page = f"{text}\nby method {found['method']}"
    echo.made({"folder": str(done.folder), "was_there": done.was_there, **found}, [done.folder], page, done.run_id)


@app.command()
def evaluate(dataset: DatasetArgument, config: ConfigFlag = _PLANT, train: TrainFlag = None, settings: SetFlag = None,
             seed: SeedFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
             as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Judge every method and baseline: errors, scores, intervals, probabilities, capped and uncapped.

    Example: nexova rul evaluate results/plant --config configs/rul/plant.yaml
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.rul import load_rul
    from nexova_sim.run import rul as verb

    rules = load_rul(config, _settings(settings, seed))
    if dry_run:
        echo.plan(verb.outline(dataset, rules, train, None))
        return
    with echo.progress("rul") as progress:
        done = verb.evaluate(dataset, rules, train, out, overwrite, progress)
    _tell(done)
    echo.made(
        {"folder": str(done.folder), "was_there": done.was_there, **done.result},
        [done.folder],
        _page(done.result),
        done.run_id,
    )


def _settings(settings: list[str] | None, seed: int | None) -> list[str]:
    return [*(settings or []), *([] if seed is None else [f"learning.seed={seed}"])]


def _tell(done: Any) -> None:  # noqa: ANN401
    for name, why in done.result["left_out"].items():
        echo.note(f"note: {name} is left out: {why}")


def _page(found: dict[str, Any]) -> str:
    """The evaluation for people: one table per group of moments, every method in each, uncapped then capped."""
    pages = [f"{found['cuts']:,} moments of {found['lives']} lives, {found['how']}; truth: {found['truth']}"]
    methods = found["methods"]
    groups = list(next(iter(methods.values()))["uncapped"])
    for label in ("uncapped", "capped"):
        for group in groups:
            rows = [_line(name, tables[label][group]) for name, tables in methods.items()]
            if not any(row[1] for row in rows):
                continue
            head = f"{label} at {found['cap_h']:g} h, {group}" if label == "capped" else f"{label}, {group}"
            heads = ("method", "moments", "RMSE h", "90 % interval", "MAE h", "bias h", "PHM08 mean", "PHM08 sum",
                     "CRPS h", f"in {100 * found['coverage_frac']:g} %", "width h", "alpha-lambda")  # fmt: skip
            pages.append(f"\n{head}\n{echo.grid(rows, heads)}")
    rows = [[name, t["prognostic_horizon_h"]["value"], t["prognostic_horizon_h"]["lives"], *_brier(t["chance"])]
            for name, t in methods.items()]  # fmt: skip
    last = (
        "method",
        "prognostic horizon h",
        "lives",
        f"Brier {found['horizon_h']:g} h raw",
        "calibrated",
        "base rate",
    )
    return "\n".join(pages) + f"\n\n{echo.grid(rows, last)}"


def _line(name: str, row: dict[str, Any]) -> list[Any]:
    rmse = row["rmse_h"]
    interval = "" if rmse["low"] is None else f"{rmse['low']:,.4g} to {rmse['high']:,.4g}"
    others = [row[key]["value"] for key in _FIGURES[1:]]
    return [name, row["cuts"], rmse["value"], interval, *others[:3], row["phm08_sum"], *others[3:]]


def _brier(chance: dict[str, Any]) -> list[float | None]:
    if "brier" not in chance:
        return [None, None, None]
    return [chance["brier"][key]["value"] for key in ("raw", "calibrated", "base_rate")]
