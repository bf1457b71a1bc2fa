"""``nexova energy``: find savings, tune and train controllers, evaluate them, plan tomorrow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

app = typer.Typer(name="energy", help="Energy: find savings, schedule machines, tell how far from the optimum.",
                  no_args_is_help=True)  # fmt: skip

DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder that simulate or ingest wrote.")]
VerifyFlag = Annotated[
    bool, typer.Option("--verify", help="Simulate the fleet again with each measure and state the true saving.")
]
RulesFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of limits and prices.", metavar="FILE")]

_SHOWN = 20


@app.command()
def opportunities(dataset: DatasetArgument, verify: VerifyFlag = False,
                  config: RulesFlag = "configs/energy/opportunities.yaml", settings: SetFlag = None,
                  out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
                  as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Find oversized, overheated and peak-heavy machines; what a measure saves, costs and how sure that is.

    Example: nexova energy opportunities results/tiny --set window_hours=40
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.load import load
    from nexova_sim.config.opportunity import OpportunityConfig
    from nexova_sim.run import opportunities as verb

    rules = load(OpportunityConfig, config, settings or [])
    if dry_run:
        plan = verb.outline(dataset, rules, out, verify)
        echo.result(plan, "\n".join(f"{key}: {value}" for key, value in plan.items()))
        return
    with echo.progress("opportunities") as progress:
        done = verb.find_opportunities(dataset, rules, out, verify, overwrite, progress)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.result(data, f"{_found(done.summary)}\n\n{done.folder}", done.run_id)


def _found(summary: dict[str, Any]) -> str:
    heads = ["machine", "type", "measured", "saving $/year", "cost $", "payback years", "confidence"]
    keys = ["machine_id", "type", "metric_frac", "saving_usd_per_year", "cost_usd", "payback_years", "confidence_frac"]
    if summary["is_verified"]:
        heads.append("true $/year")
        keys.append("true_saving_usd_per_year")
    rows = [[row[key] for key in keys] for row in summary["opportunities"][:_SHOWN]]
    phases = ", ".join(f"{n} in {name}" for name, n in summary["phases"].items() if n)
    lines = [f"learning window {summary['window_hours']} h: machines {phases}"]
    if rows:
        lines += ["", echo.grid(rows, heads)]
    if summary["n_opportunities"] > _SHOWN:
        lines.append(f"({summary['n_opportunities'] - _SHOWN} more in opportunities.json)")
    total = f"{summary['n_opportunities']} opportunities, estimated {summary['saving_usd_per_year']:,.0f} $/year"
    if summary["is_verified"]:
        total += f"; simulated again: {summary['true_saving_usd_per_year']:,.0f} $/year"
    return "\n".join([*lines, "", total])
