"""``nexova energy``: find savings, tune and train controllers, evaluate them, plan tomorrow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.energy_plan import explain, plan
from nexova_sim.cli.flags import DryRunFlag, JobsFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

app = typer.Typer(name="energy", help="Energy: find savings, schedule machines, tell how far from the optimum.",
                  no_args_is_help=True)  # fmt: skip

DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder that simulate or ingest wrote.")]
VerifyFlag = Annotated[
    bool, typer.Option("--verify", help="Simulate the fleet again with each measure and state the true saving.")
]
RulesFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of limits and prices.", metavar="FILE")]

TuneConfigFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of the search.", metavar="FILE")]
TrainConfigFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of the training.", metavar="FILE")]
EvaluateConfigFlag = Annotated[str, typer.Option("--config", "-c", help="YAML file of the comparison.", metavar="FILE")]
LogFlag = Annotated[
    Path | None, typer.Option("--tensorboard", help="Folder for the learner's own curves.", metavar="DIR")
]
PartFlag = Annotated[
    str, typer.Option("--days", help="validation, or test: opens the locked test days.", metavar="PART")
]

_SHOWN = 20
app.command()(plan)
app.command()(explain)


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
        echo.plan(verb.outline(dataset, rules, out, verify))
        return
    with echo.progress("opportunities") as progress:
        done = verb.find_opportunities(dataset, rules, out, verify, overwrite, progress)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], _found(done.summary), done.run_id)


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


@app.command()
def tune(config: TuneConfigFlag, settings: SetFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False,
         dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Search the parameters of a controller on training days, once per seed; the best on validation is model.json.

    Example: nexova energy tune --config configs/energy/tune_rule.yaml --set iterations=3 --set seeds=[0]
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.study import load_tune
    from nexova_sim.run import energy_tune as verb

    resolved = load_tune(config, settings or [])
    if dry_run:
        echo.plan(verb.outline_tune(resolved, out))
        return
    with echo.progress("tune") as progress:
        done = verb.tune(resolved, out, overwrite, progress)
    heads = ("seed", "validation $/day", "where it began $/day", "CPU s")
    rows = [[m["seed"], m["validation_usd_per_day"], m["start_usd_per_day"], m["cpu_s"]]
            for m in done.summary["runs"]]  # fmt: skip
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    page = f"{echo.grid(rows, heads)}\n\nbest: seed {done.summary['best_seed']}"
    echo.made(data, [done.folder], page, done.run_id)
    echo.note(f"the model is {done.folder}/model.json")


@app.command()
def train(config: TrainConfigFlag = "configs/energy/train_ppo.yaml", settings: SetFlag = None, out: OutFlag = None,
          overwrite: OverwriteFlag = False, tensorboard: LogFlag = None, dry_run: DryRunFlag = False,
          as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Train PPO or SAC on the bids of a scheduler, once per seed; a killed training goes on where it was.

    Example: nexova energy train --set decisions=2000 --set n_envs=16 --set batch=192
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.study import load_train
    from nexova_sim.run import energy_train as verb

    resolved = load_train(config, settings or [])
    if dry_run:
        echo.plan(verb.outline_train(resolved, out))
        return
    with echo.progress("train") as progress:
        done = verb.train(resolved, out, overwrite, progress, tensorboard)
    heads = ("seed", "validation $/day", "scheduler alone $/day", "decisions", "CPU s")
    rows = [[m["seed"], m["validation_usd_per_day"], m["scheduler_usd_per_day"], m["decisions"], m["cpu_s"]]
            for m in done.summary["runs"]]  # fmt: skip
    for run in done.summary["failed"]:
        echo.note(f"seed {run['seed']} failed: {run['reason']}")
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], echo.grid(rows, heads), done.run_id)


@app.command()
def evaluate(config: EvaluateConfigFlag = "configs/energy/evaluate_quick.yaml", days: PartFlag = "validation",
             settings: SetFlag = None, jobs: JobsFlag = None, out: OutFlag = None, overwrite: OverwriteFlag = False,
             dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Compare controllers on the same held-out days, with 95 % intervals over seeds and days.

    Example: nexova energy evaluate
    """
    echo.configure(as_json, quiet)
    from nexova_sim.base.errors import UsageError, suggest
    from nexova_sim.config.study import load_evaluate
    from nexova_sim.run import energy_evaluate as verb

    part = next((p for p in verb.PARTS if p == days), None)
    if part is None:
        raise UsageError(f"--days {days!r}: {suggest(days, verb.PARTS)}")
    resolved = load_evaluate(config, settings or [])
    if dry_run:
        echo.plan(verb.outline_evaluate(resolved, part, out))
        return
    with echo.progress("evaluate") as progress:
        done = verb.evaluate(resolved, part, out, overwrite, progress, jobs or 1)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], _compared(done.summary), done.run_id)


def _ranged(row: dict[str, float | None], digits: int = 1) -> str:
    values = (row["value"], row["low"], row["high"])
    if None in values:
        return ""
    return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*values, d=digits)


def _compared(summary: dict[str, Any]) -> str:
    gaps = {row["controller"]: row for row in summary["differences"] if row["minus"] == summary["baseline"]}
    heads = ["controller", "seeds", "$/day", f"minus {summary['baseline']}", "energy", "demand", "start", "wear",
             "short", "us/decision"]  # fmt: skip
    rows = [
        [row["controller"], row["n_seeds"], _ranged(row["mean_usd"]),
         _ranged(gaps[row["controller"]]["usd_per_day"]) if row["controller"] in gaps else "",
         *(round(v, 1) for v in row["split_usd"].values()), row["cpu_us_per_decision"]]
        for row in summary["controllers"]
    ]  # fmt: skip
    lines = [f"{summary['n_days']} {summary['part']} days of study {summary['study']}, 95 % intervals", "",
             echo.grid(rows, heads)]  # fmt: skip
    for row in summary["differences"]:
        if row["minus"] != summary["baseline"]:
            lines.append(f"{row['controller']} minus {row['minus']}: {_ranged(row['usd_per_day'])}")
    for name, row in summary["stochastic"].items():
        lines.append(f"{name} with the noise it learnt with: {_ranged(row['mean_usd'])}")
    lines += _measured(summary.get("yardsticks"))
    for name, world in summary["shifted"].items():
        means = ", ".join(f"{row['controller']} {row['mean_usd']['value']:.1f}" for row in world)
        lines.append(f"shifted to {name}: {means}")
    return "\n".join(lines)


def _measured(found: dict[str, Any] | None) -> list[str]:
    """Lines about bound, perfect information, MPC and look-ahead."""
    if found is None:
        return []
    lines = [f"lower bound: {_ranged(found['bound_usd'])}; plays below it: {found['below_bound']}"]
    shares = ", ".join(f"{name} {row['value']:.3f}" for name, row in found.get("share_of_bound", {}).items())
    lines.append(f"share of the saving from bau to the bound: {shares}")
    if "programs" not in found:
        return lines
    n_days = {"mpc": found.get("n_mpc_days", 0), "lookahead": found.get("n_lookahead_days", 0),
              "perfect": found.get("n_slow_days", 0)}  # fmt: skip
    lines += [f"{row['controller']} on the first {n_days[row['controller']]} days: {_ranged(row['mean_usd'])}, "
              f"{row['cpu_us_per_decision']:,.0f} us/decision" for row in found["programs"]]  # fmt: skip
    for other in ("mpc", "lookahead"):
        lines += [f"{name} minus {other} on the days both played: {_ranged(row)}"
                  for name, row in found.get(f"against_{other}", {}).items()]  # fmt: skip
    days = f"on the first {n_days['perfect']} days"
    best = found.get("share_of_best_known", {})
    lines += [f"share of the best known saving {days}: {name} {_ranged(row, 3)}" for name, row in best.items()]
    return lines
