"""``nexova twin``: one machine at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SeedFlag, SetFlag

app = typer.Typer(name="twin", help="The digital twin: run it, fit it to data, follow real machines with it.",
                  no_args_is_help=True)  # fmt: skip

KindFlag = Annotated[
    str, typer.Option("--kind", help="Machine kind: a name from configs/kind, or a YAML file.", metavar="KIND")
]
ScenarioFlag = Annotated[
    str, typer.Option("--scenario", help="A name from configs/scenario, or a YAML file.", metavar="SCENARIO")
]
HoursFlag = Annotated[
    float | None, typer.Option("--hours", help="Length of the trajectory (default: as the scenario says).")
]
PhysicsFlag = Annotated[
    str | None, typer.Option("--physics", help="plant, or seed: the platform's constants.", metavar="MODE")
]
AmbientFlag = Annotated[
    float | None, typer.Option("--ambient", help="Ambient, degC, where a phase sets none (default 25).")
]
StepFlag = Annotated[
    float | None, typer.Option("--dt", help="Time step, seconds (default 60); results do not depend on it.")
]
EveryFlag = Annotated[float | None, typer.Option("--every", help="Hours from row to row (default: 1).")]
DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder that simulate or ingest wrote.")]
MachinesFlag = Annotated[
    list[str] | None, typer.Option("--machine", "-m", help="Only this machine (may be repeated).", metavar="ID")
]
TrackFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of the filter.", metavar="FILE")]
OneMachineFlag = Annotated[str, typer.Option("--machine", "-m", help="The machine.", metavar="ID")]
AtFlag = Annotated[str, typer.Option("--at", help="When, e.g. 2026-01-06T12:00:00Z.", metavar="TIME")]
ActionFlag = Annotated[
    list[str] | None,
    typer.Option("--action", help="MAINTENANCE, OFFLINE or NONE (may be repeated; default: all).", metavar="ACTION"),
]
LoadFlag = Annotated[
    float | None,
    typer.Option("--load", help="Load while running, as a share of rated power (default: as in its past).",
                 min=0.01, max=1.8, metavar="FRAC"),
]  # fmt: skip
WhatIfFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of actions and prices.", metavar="FILE")]
FilterFlag = Annotated[str, typer.Option("--track", help="YAML file of the filter.", metavar="FILE")]
FitFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of the fit.", metavar="FILE")]
FittedFlag = Annotated[list[str], typer.Option("--machine", "-m", help="The machine (may be repeated).", metavar="ID")]

_COLUMNS = ("time_h", "phase", "status", "power_kw", "temp_c", "vibration_mm_s", "wear_frac", "fatigue_frac",
            "electrical_frac", "health_percent", "risk_class", "rul_h")  # fmt: skip
_ROWS_SHOWN = 12
_MACHINES_SHOWN = 20


@app.command()
def run(kind: KindFlag, scenario: ScenarioFlag = "normal", hours: HoursFlag = None, physics: PhysicsFlag = None,
        ambient: AmbientFlag = None, dt: StepFlag = None, every: EveryFlag = None, settings: SetFlag = None,
        seed: SeedFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
        as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Take one machine through a scenario: trajectory, table, plot, and when each failure event is met.

    Example: nexova twin run --kind pump --scenario overheated --hours 500
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.scenario import TwinChoice, load_twin
    from nexova_sim.run import twin as verb

    resolved = load_twin(kind, scenario, settings or [], TwinChoice(hours, ambient, physics, dt, every, seed))
    if dry_run:
        plan = verb.outline(resolved, out)
        echo.plan(plan)
        return
    with echo.progress("twin") as progress:
        done = verb.twin(resolved, out, overwrite, progress)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    page = f"{_table(done.trajectory, done.summary['time_of_event_h'])}\n\n{_story(done.summary)}"
    echo.made(data, [done.folder], page, done.run_id)
    echo.note(f"the picture is {done.folder}/plot.png, the whole table {done.folder}/trajectory.csv")


def _table(trajectory: Any, end_h: float | None) -> str:  # noqa: ANN401
    """A dozen rows of the trajectory, evenly spaced, up to a little after the failure."""
    last = _last_shown(trajectory["time_h"].to_pylist(), end_h)
    numbers = sorted({round(n * last / (_ROWS_SHOWN - 1)) for n in range(_ROWS_SHOWN)})
    rows = trajectory.select(_COLUMNS).take(numbers).to_pylist()
    return echo.grid([[row[name] for name in _COLUMNS] for row in rows], _COLUMNS)


def _last_shown(time_h: list[float], end_h: float | None) -> int:
    """Number of the last row worth showing: the last, or the first one after the failure."""
    return next((n for n, t in enumerate(time_h) if end_h is not None and t > end_h), len(time_h) - 1)


def _story(summary: dict[str, Any]) -> str:
    """The run in words: how it ends, when each event alone would be met, and what the baseline claims."""
    if summary["first_event"] is None:
        end = "no failure within 30 years of this"
    else:
        met = summary["time_of_event_h"] <= summary["hours"]
        tense = "failed" if met else "after this trajectory it fails"
        end = f"{tense} at {summary['time_of_event_h']:,.2f} h: {summary['first_event'].replace('_', ' ')}"
    events = [
        [e["event"], e["event_state"], "yes" if e["threshold_met"] else "no", _round(e["time_of_event_h"])]
        for e in summary["events"]
    ]
    formula = (summary["rul_seed_formula_start_h"], summary["rul_seed_formula_end_h"])
    lines = [
        f"{summary['title']}, scenario {summary['scenario']}, physics {summary['physics']}, {summary['hours']:,g} h",
        end,
        f"remaining life at the start {_hours(summary['rul_start_h'])}, at the end {_hours(summary['rul_end_h'])}",
        f"the seed's formula claims {_hours(formula[0])} and {_hours(formula[1])}",
        "risk: " + ", ".join(f"{r['risk_class']} from {r['time_h']:,g} h" for r in summary["risk"][:6]),
        f"at most {summary['max_temp_c']:.1f} degC and {summary['max_vibration_mm_s']:.2f} mm/s, "
        f"energy {summary['energy_kwh']:,.0f} kWh",
        "",
        echo.grid(events, ("event", "state at the end (1 = unused)", "met", "time of event if alone, h")),
    ]
    return "\n".join(lines)


def _hours(value: float | None) -> str:
    return "beyond 30 years" if value is None else f"{value:,.1f} h"


def _round(value: float | None) -> float | int | None:
    return round(value) if value is not None and value >= 1000.0 else value


@app.command()
def calibrate(dataset: DatasetArgument, machine: FittedFlag, config: FitFlag = "configs/twin/calibrate.yaml",
              settings: SetFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False,
              dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Fit a machine's thermal, vibration and noise parameters; say which of them its readings cannot tell.

    Example: nexova twin calibrate results/tiny --machine lyon-pump-002 --out results/fit
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.calibrate import CalibrateConfig
    from nexova_sim.config.load import load
    from nexova_sim.run import calibrate as verb

    chosen = load(CalibrateConfig, config, settings or [])
    if dry_run:
        plan = verb.outline(dataset, machine, chosen, out)
        echo.plan(plan)
        return
    with echo.progress("calibrate") as progress:
        done = verb.calibrate(dataset, machine, chosen, out, overwrite, progress)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], "\n\n".join(map(_fitted, done.summary["machines"])), done.run_id)


def _fitted(fit: dict[str, Any]) -> str:
    heads = ("parameter", "unit", "fitted", "standard error", "95 % interval", "kind says")
    rows = [
        [p["name"], p["unit"], p["value"] if p["is_identifiable"] else "not identifiable", p["se"],
         f"{p['low']:.4g} to {p['high']:.4g}" if p["is_identifiable"] else None, p["nominal"]]
        for p in fit["parameters"]
    ]  # fmt: skip
    lines = [
        f"{fit['machine_id']} ({fit['kind']}), {100.0 * fit['left_out_frac']:.1f} % of readings left out as outliers"
    ]
    lines += ["", echo.grid(rows, heads), ""]
    lines += [f"{p['name']}: {p['why']}" for p in fit["parameters"] if p["why"]]
    return "\n".join([*lines, f"as a kind: {fit['kind_file']}"])


@app.command()
def track(dataset: DatasetArgument, config: TrackFlag = "configs/twin/track.yaml", machine: MachinesFlag = None,
          settings: SetFlag = None, seed: SeedFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False,
          dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Follow the hidden wear, fatigue, electrical stress and temperature of every machine from its readings.

    Example: nexova twin track results/tiny --out results/track-tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.load import load
    from nexova_sim.config.track import TrackConfig
    from nexova_sim.run import track as verb

    chosen = load(TrackConfig, config, [*(settings or []), *([] if seed is None else [f"seed={seed}"])])
    if dry_run:
        plan = verb.outline(dataset, chosen, out, machine)
        echo.plan(plan)
        return
    with echo.progress("track") as progress:
        done = verb.track(dataset, chosen, out, machine, overwrite, progress)
    for item in done.summary["skipped"]:
        echo.note(f"machine {item['machine_id']} is left out: {item['reason']}")
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], _tracked(done.summary), done.run_id)


def _tracked(summary: dict[str, Any]) -> str:
    heads = ("machine", "kind", "health %", "risk", "wear", "90 % interval", "fatigue", "electrical", "limited by",
             "p bearing fault")  # fmt: skip
    rows = [
        [r["machine_id"], r["kind"], r["health_mean"], r["risk_class"], r["wear_mean"],
         f"{r['wear_p05']:.3f} to {r['wear_p95']:.3f}", r["fatigue_mean"], r["electrical_mean"], r["limited_by"],
         r["p_bearing_fault"]]
        for r in summary["machines"][:_MACHINES_SHOWN]
    ]  # fmt: skip
    more = summary["n_machines"] - len(rows)
    lines = [echo.grid(rows, heads), *([f"({more} more in summary.json)"] if more > 0 else []), ""]
    lines.append(f"{summary['n_machines']} machines over {summary['hours']} hours, {summary['n_particles']} particles "
                 f"each, effective sample size {summary['mean_effective_samples']} on average at the end")  # fmt: skip
    return "\n".join(lines)


@app.command()
def whatif(dataset: DatasetArgument, machine: OneMachineFlag, at: AtFlag, action: ActionFlag = None,
           load: LoadFlag = None, config: WhatIfFlag = "configs/twin/whatif.yaml",
           track_config: FilterFlag = "configs/twin/track.yaml", settings: SetFlag = None, seed: SeedFlag = None,
           out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False,
           as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Branch a machine at a time: what doing nothing, maintenance or a stop would cost, and how likely it fails.

    Example: nexova twin whatif results/tiny --machine lyon-pump-001 --at 2026-01-06T12:00:00Z
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.load import load as load_config
    from nexova_sim.config.track import TrackConfig
    from nexova_sim.config.whatif import WhatIfConfig, check_actions
    from nexova_sim.run import whatif as verb

    chosen = load_config(WhatIfConfig, config, [*(settings or []), *([] if seed is None else [f"seed={seed}"])])
    choice = verb.Choice(machine, at, check_actions(action or []), load)
    following = load_config(TrackConfig, track_config)
    if dry_run:
        plan = verb.outline(dataset, choice, following, chosen, out)
        echo.plan(plan)
        return
    done = verb.what_if(dataset, choice, following, chosen, out, overwrite)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], _answer(done.summary), done.run_id)


def _answer(summary: dict[str, Any]) -> str:
    heads = ("action", "cost $", "95 % interval", "5 to 95 % of futures", "p(failure)", "95 % interval",
             "against NONE $", "95 % interval")  # fmt: skip
    rows = [
        [r["action"], r["cost_usd"], _span(r["cost_interval_usd"]), _span([r["cost_p05_usd"], r["cost_p95_usd"]]),
         r["p_failure"], " to ".join(f"{v:.4f}" for v in r["p_failure_interval"]), r["extra_usd"],
         _span(r["extra_interval_usd"])]
        for r in summary["actions"]
    ]  # fmt: skip
    line = (
        f"{summary['machine_id']} at {summary['at']}, the next {summary['horizon_h']} h in {summary['n_futures']} "
        f"futures, the same for every action; least cost: {summary['best']}"
    )
    return f"{line}\n\n{echo.grid(rows, heads)}"


def _span(pair: list[float]) -> str:
    return f"{pair[0]:,.0f} to {pair[1]:,.0f}"
