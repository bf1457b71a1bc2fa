"""``nexova energy plan`` and ``explain``: their flags and how their results are told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import ConfigFlag, DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder that simulate or ingest wrote.")]
ModelFlag = Annotated[
    str | None,
    typer.Option("--model", help="Model file of energy tune or train, or bau, flat, tou.", metavar="FILE"),
]
ForecastFlag = Annotated[
    Path | None, typer.Option("--forecast", help="Folder that forecast predict wrote for the dataset.", metavar="DIR")
]
_DEFAULT = "configs/energy/plan.yaml"
_PARTS = ("energy", "demand", "start", "wear", "shortage")


def plan(dataset: DatasetArgument, model: ModelFlag = None, config: ConfigFlag = _DEFAULT, forecast: ForecastFlag = None,
         settings: SetFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
         as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """A schedule for the day after the data: table, Gantt plot, cost beside business as usual and the rule.

    Example: nexova energy plan results/tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.plan import load_plan
    from nexova_sim.run import energy_plan as verb

    resolved = load_plan(config, settings or [])
    if dry_run:
        told = verb.outline_plan(dataset, resolved, model, out, forecast)
        echo.result(told, "\n".join(f"{key}: {value}" for key, value in told.items()))
        return
    done = verb.plan(dataset, resolved, model, out, overwrite, forecast)
    for words in done.summary["assumed"]:
        echo.note(words)
    for words in done.summary["left_out"].values():
        echo.note(f"left out: {words}")
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.result(data, f"{_schedule(done.summary)}\n\n{done.folder}", done.run_id)


def _schedule(summary: dict[str, Any]) -> str:
    machines = [[m["machine_id"], m["planned_as"], m["rated_kw"], round(sum(m["work_h"]), 2), m["hours_on"],
                 m["starts"], m["energy_kwh"], m["energy_usd"], _strip(load)]
                for m, load in zip(summary["machines"], summary["load_frac"], strict=True)]  # fmt: skip
    heads = ["machine", "planned as", "rated kW", "work h", "on h", "starts", "kWh", "$", "06 to 06, an hour a sign"]
    costs = [[name, row["total_usd"], *(row[f"{p}_usd"] for p in _PARTS), row["peak_kw"],
              "" if name == summary["controller"] else round(summary["saving_usd"][name], 2)]
             for name, row in summary["costs"].items()]  # fmt: skip
    cost_heads = ["controller", "$", *_PARTS, "peak kW", "the plan saves $"]
    usual = summary["usual"]
    text = (f"as the machines usually ran: {usual['energy_kwh']:,.0f} kWh for {usual['energy_usd']:,.2f} $, highest "
            f"hour {usual['peak_kw']:,.1f} kW")  # fmt: skip
    return f"{echo.grid(machines, heads)}\n\n{echo.grid(costs, cost_heads)}\n\n{text}"


def _strip(load: list[float]) -> str:
    """A sign per hour: nothing, less than half, less than 0.9, full."""
    means = [sum(load[k : k + 4]) / 4.0 for k in range(0, len(load), 4)]
    return "".join(".-+#"[(m > 0.0) + (m >= 0.5) + (m >= 0.9)] for m in means)
