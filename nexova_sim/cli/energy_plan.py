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


def plan(dataset: DatasetArgument, model: ModelFlag = None, config: ConfigFlag = _DEFAULT,
         forecast: ForecastFlag = None, settings: SetFlag = None, out: OutFlag = None,
         overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
         as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """A schedule for the day after the data: table, Gantt plot, cost beside business as usual and the rule.

    Example: nexova energy plan results/tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.plan import load_plan
    from nexova_sim.run import energy_plan as verb

    resolved = load_plan(config, settings or [])
    if dry_run:
        echo.plan(verb.outline_plan(dataset, resolved, model, out, forecast))
        return
    done = verb.plan(dataset, resolved, model, out, overwrite, forecast)
    for words in done.summary["assumed"]:
        echo.note(words)
    for words in done.summary["left_out"].values():
        echo.note(f"left out: {words}")
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], _schedule(done.summary), done.run_id)


def _schedule(summary: dict[str, Any]) -> str:
    machines = [[m["machine_id"], m["planned_as"], m["rated_kw"], round(sum(m["work_h"]), 2), m["hours_on"],
                 m["starts"], m["energy_kwh"], m["energy_usd"], _strip(load)]
                for m, load in zip(summary["machines"], summary["load_frac"], strict=True)]  # fmt: skip
    heads = ["machine", "planned as", "rated kW", "work h", "on h", "starts", "kWh", "$", "06 to 06, an hour a sign"]
    costs = [[name, row["total_usd"], *(row[f"{p}_usd"] for p in _PARTS), row["peak_kw"],
              *_saved(summary, name)] for name, row in summary["costs"].items()]  # fmt: skip
    n_days = summary["scenarios"]["n_days"]
    cost_heads = ["controller", "$", *_PARTS, "peak kW", "the plan saves $", f"on {n_days} days like it, $"]
    usual = summary["usual"]
    text = (f"as the machines usually ran: {usual['energy_kwh']:,.0f} kWh, energy {usual['energy_usd']:,.1f} $, demand "
            f"{usual['demand_usd']:,.1f} $ (highest hour {usual['peak_kw']:,.1f} kW)")  # fmt: skip
    return f"{echo.grid(machines, heads)}\n\n{echo.grid(costs, cost_heads)}\n\n{text}"


def _saved(summary: dict[str, Any], name: str) -> tuple[str, str]:
    """What the plan saves against a controller on the day, and its mean and the range of 90 % of days like it."""
    if name == summary["controller"]:
        return "", ""
    row = summary["scenarios"]["saving"][name]
    return (f"{summary['saving_usd'][name]:.2f}",
            f"{row['mean_usd']:.2f} [{row['low_usd']:.2f}, {row['high_usd']:.2f}]")  # fmt: skip


def _strip(load: list[float]) -> str:
    """A sign per hour: nothing, less than half, less than 0.9, full."""
    means = [sum(load[k : k + 4]) / 4.0 for k in range(0, len(load), 4)]
    return "".join(".-+#"[(m > 0.0) + (m >= 0.5) + (m >= 0.9)] for m in means)


SourceArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="Folder that energy plan wrote, or a dataset.")]
MachineFlag = Annotated[str, typer.Option("--machine", "-m", help="Machine of the plan.", metavar="ID")]
TimeFlag = Annotated[str, typer.Option("--time", "-t", help="16:15 on the factory's clock, or a moment.")]
HoursFlag = Annotated[float, typer.Option("--hours", help="How long the opposite is forced in the replay.")]


def explain(source: SourceArgument, machine: MachineFlag, time: TimeFlag, hours: HoursFlag = 1.0,
            model: ModelFlag = None, config: ConfigFlag = _DEFAULT, settings: SetFlag = None,
            as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Why a machine runs or stands at a time of the plan, and what the opposite would cost over the day.

    Example: nexova energy explain results/tiny --machine lyon-pump-001 --time 16:15
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.plan import load_plan
    from nexova_sim.run.energy_explain import explain as verb

    told = verb(source, load_plan(config, settings or []), machine, time, hours, model)
    echo.result(told, _explained(told))


def _explained(told: dict[str, Any]) -> str:
    state = f"runs at {told['load_frac']:.2f} of rated load, {told['power_kw']:.1f} kW" if told["is_on"] else "stands"
    lines = [f"{told['machine_id']} {state}, {told['temp_c']:.1f} C, at {told['price_usd_per_kwh']:g} $/kWh"]
    lines += [f"  {words}" for words in told["why"]]
    if "admission" in told:
        heads = ["place", "machine", "urgency", "asked", "asked kW", "room kW", "granted", "granted kW"]
        rows = [list(row.values()) for row in told["admission"]]
        lines += ["", f"cap {told['cap']['cap_kw']:g} kW, base load {told['cap']['base_kw']:g} kW", "",
                  echo.grid(rows, heads)]  # fmt: skip
    other = told["counterfactual"]
    gap = other["difference_usd"]
    if not other["was_possible"]:
        return "\n".join([*lines, "", "the opposite is not possible: the machine may not be switched then"])
    what = "standing" if told["is_on"] else f"running at {other['forced_frac']:.2f}"
    parts = ", ".join(f"{part} {gap[f'{part}_usd']:+.2f}" for part in _PARTS if abs(gap[f"{part}_usd"]) >= 0.005)
    lines += ["", f"{what} for {other['hours']:g} h instead, the rest of the day replayed: {gap['total_usd']:+.2f} $"
              + (f" ({parts})" if parts else "")]  # fmt: skip
    return "\n".join(lines)
