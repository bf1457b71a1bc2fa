"""``nexova anomaly``: detectors fitted on history, run over datasets, explained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.anomaly_evaluate import evaluate
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

app = typer.Typer(name="anomaly", help="Anomaly detectors: fit, score, explain, evaluate.", no_args_is_help=True)
app.command()(evaluate)

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder that simulate, ingest or split wrote.")
]
ConfigFlag = Annotated[
    str, typer.Option("--config", "-c", help="YAML file; built-in ones are in configs/anomaly.", metavar="FILE")
]
ModelFlag = Annotated[Path, typer.Option("--model", "-m", help="Folder that 'anomaly fit' wrote.", metavar="MODEL")]
MachineFlag = Annotated[str, typer.Option("--machine", help="Machine to explain.", metavar="ID")]
AtFlag = Annotated[str | None, typer.Option("--at", help="Also explain this moment (UTC).", metavar="TIME")]


@app.command()
def fit(dataset: DatasetArgument, config: ConfigFlag = "configs/anomaly/default.yaml", settings: SetFlag = None,
        out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False, as_json: JsonFlag = False,
        quiet: QuietFlag = False) -> None:  # fmt: skip
    """Fit a detector on the first part of a dataset and calibrate it on the rest.

    Example: nexova anomaly fit results/tiny --config configs/anomaly/default.yaml --out results/tiny-model
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.anomaly import load_anomaly
    from nexova_sim.run import anomaly as verb

    loaded = load_anomaly(config, settings or [])
    if dry_run:
        plan = verb.outline(dataset, loaded, out)
        echo.plan(plan)
        return
    with echo.progress("fit") as progress:
        done = verb.fit_anomaly(dataset, loaded, out, overwrite, progress)
    about = done.manifest
    echo.made(
        {"folder": str(done.folder), "was_there": done.was_there, "model": about},
        [done.folder],
        f"{loaded.detector}, fitted in {about['training_s']:,.1f} CPU-s, scores a million readings in "
        f"{about['inference_s_per_million']:,.2f} CPU-s, threshold {about['metrics']['threshold']:.6f}",
        done.run_id,
    )


@app.command()
def score(dataset: DatasetArgument, model: ModelFlag, out: OutFlag = None, overwrite: OverwriteFlag = False,
          as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Score every reading of a dataset with a saved model and raise alarms.

    Example: nexova anomaly score results/tiny --model results/tiny-model --out results/tiny-scores
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import anomaly_score as verb

    with echo.progress("score") as progress:
        done = verb.score_anomaly(dataset, model, out, overwrite, progress)
    about = done.manifest
    days = about["machine_days"]
    rate = about["n_alarms"] / days if days else 0.0
    echo.made(
        {"folder": str(done.folder), "was_there": done.was_there, "scores": about},
        [done.folder],
        f"{about['n_rows']:,} readings, {about['n_flags']:,} flagged, {about['n_alarms']} alarms in "
        f"{days:,.1f} machine-days ({rate:.4f} per machine-day), {about['cpu_s']:,.1f} CPU-s",
        done.run_id,
    )


@app.command()
def explain(dataset: DatasetArgument, model: ModelFlag, machine: MachineFlag, at: AtFlag = None,
            as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Say which channel drove each alarm of a machine, and what else stood out.

    Example: nexova anomaly explain results/tiny --model results/tiny-model --machine lyon-pump-001
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import anomaly_explain as verb

    data = verb.explain_anomaly(dataset, model, machine, at)
    echo.result(data, _story(data))


def _story(data: dict[str, Any]) -> str:
    lines = [f"{data['machine_id']}: {len(data['alarms'])} alarms by {data['detector']}"]
    for alarm in data["alarms"]:
        lines.append(
            f"\n{alarm['raised']} to {alarm['cleared'] or 'the end'}: {alarm['channel']}, {alarm['finding']} "
            f"({alarm['peak_ratio']:.2f} times the threshold)"
        )
        lines += _lines(alarm["drivers"])
    if "at" in data:
        lines.append(f"\nat {data['at']['timestamp']}: score {data['at']['score']:.6f}")
        lines += _lines(data["at"]["drivers"])
    return "\n".join(lines)


def _lines(drivers: list[dict[str, Any]]) -> list[str]:
    return [f"  {d['ratio']:8.2f}  {d['detector']} ({d['channel']})" for d in drivers if d["ratio"] > 0.0]
