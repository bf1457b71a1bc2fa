"""``nexova alerts``: what a set of alert rules would have done, and whether people could have lived with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

app = typer.Typer(name="alerts", help="Alert rules replayed over a dataset.", no_args_is_help=True)

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder that simulate, ingest or split wrote.")
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that 'nexova alerts run' wrote.")]
PolicyFlag = Annotated[
    str, typer.Option("--policy", "-p", help="YAML file, or a name in configs/alert.", metavar="POLICY")
]
DatasetFlag = Annotated[Path, typer.Option("--dataset", "-d", help="Dataset to compare on.", metavar="DATASET")]
FirstArgument = Annotated[str, typer.Argument(metavar="A", help="Policy to start from.")]
SecondArgument = Annotated[str, typer.Argument(metavar="B", help="Policy to change to.")]
OpenFlag = Annotated[bool, typer.Option("--open", help="Only alerts not resolved at the end of the data.")]
MachineFlag = Annotated[str | None, typer.Option("--machine", "-m", help="Only this machine.", metavar="ID")]
LimitFlag = Annotated[int, typer.Option("--limit", help="Rows at most.", min=1, max=100_000, metavar="N")]
CheckFlag = Annotated[bool, typer.Option("--check", help="Exit 1 when a target is missed.")]

_KPIS = {"average_per_h": ("average per hour", 1.0), "peak_10_min": ("peak in 10 min", 1.0),
         "slots_above_10_frac": ("slots above 10, %", 100.0), "hours_above_30_frac": ("hours above 30, %", 100.0),
         "flood_frac": ("time in flood, %", 100.0), "chattering": ("chattering tags", 1.0),
         "stale_per_day": ("stale, worst day", 1.0), "top_10_frac": ("ten worst tags, %", 100.0),
         "priority_frac": ("low/medium/high, %", 100.0)}  # fmt: skip


@app.command()
def run(dataset: DatasetArgument, policy: PolicyFlag = "configs/alert/isa18.yaml", settings: SetFlag = None,
        out: OutFlag = None, overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False, as_json: JsonFlag = False,
        quiet: QuietFlag = False) -> None:  # fmt: skip
    """Put a dataset through a policy: alerts table and KPIs.

    Example: nexova alerts run results/tiny --policy configs/alert/isa18.yaml
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.alert import load_policy
    from nexova_sim.run import alerts as verb

    loaded = load_policy(policy, settings or [])
    if dry_run:
        plan = verb.outline(dataset, loaded, out)
        echo.plan(plan)
        return
    with echo.progress("alerts") as progress:
        done = verb.run_alerts(dataset, loaded, out, overwrite, progress)
    _note_blind(done.kpi)
    data = {"folder": str(done.folder), "was_there": done.was_there, "kpi": done.kpi}
    echo.made(data, [done.folder], _summary(done.kpi), done.run_id)


@app.command()
def kpi(folder: RunArgument, check: CheckFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """KPIs per operator beside the published targets, and recall, precision and delay where faults are labelled.

    Example: nexova alerts kpi results/alerts-tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import alerts as verb

    found = verb.read_kpi(folder)
    missed = verb.missed_targets(found)
    _note_blind(found)
    if check and missed:
        what = f"{folder}: {len(missed)} targets are missed: {', '.join(missed[:12])}"
        echo.refuse(what, _summary(found), {"missed": missed})
    echo.result({**found, "missed": missed}, _summary(found))


@app.command("list")
def list_alerts(folder: RunArgument, is_open: OpenFlag = False, machine: MachineFlag = None, limit: LimitFlag = 50,
                as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """The alerts of a run, newest first; --open shows what is still unresolved.

    Example: nexova alerts list results/alerts-tiny --open
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import alerts as verb
    from nexova_sim.run.data import show_rows

    table = verb.read_alerts(folder, is_open, machine)
    names = ["raised", "machine_id", "rule", "severity_max", "value", "limit", "unit", "acknowledged", "resolved"]
    shown = show_rows(table if as_json else table.select(names), limit)
    data = {"columns": shown.columns, "rows": shown.rows, "n": table.num_rows}
    echo.result(data, echo.grid(shown.rows, shown.columns))
    if shown.is_cut:
        echo.note(f"the newest {limit} of {table.num_rows} alerts; --limit N shows more")


@app.command()
def compare(first: FirstArgument, second: SecondArgument, dataset: DatasetFlag, settings: SetFlag = None,
            as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Two policies on one dataset: alerts gained and lost, true events missed, delay.

    Example: nexova alerts compare configs/alert/seed.yaml configs/alert/isa18.yaml --dataset results/tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import alerts as verb

    a, b = verb.load_both(first, second, settings or [])
    with echo.progress("compare") as progress:
        done = verb.compare_policies(dataset, a, b, progress)
    echo.result(done, _compared(done))


def _note_blind(kpi: dict[str, Any]) -> None:
    for row in kpi.get("blind", ()):
        some = ", ".join(row["first"]) + (", ..." if row["machines"] > len(row["first"]) else "")
        echo.note(f"rule {row['rule']} could judge no reading of {row['machines']} machines: {some}")


def _figure(name: str, value: Any) -> str:  # noqa: ANN401
    scale = _KPIS[name][1]
    if isinstance(value, list):
        return "/".join(f"{v * scale:.0f}" for v in value)
    return f"{value * scale:,.4g}"


def _summary(kpi: dict[str, Any]) -> str:
    heads = ["per operator", "target", *(row["operator"] for row in kpi["operators"][:8])]
    rows = []
    for name, (title, _) in _KPIS.items():
        cells = [
            _figure(name, row["kpi"][name]) + ("" if row["is_met"][name] else " *") for row in kpi["operators"][:8]
        ]
        rows.append([title, _figure(name, kpi["targets"][name]["target"]), *cells])
    blocks = [
        f"{kpi['policy']} on {kpi.get('dataset', '')}: {kpi['alerts']:,} alerts, {kpi['announced']:,} announcements, "
        f"{kpi['per_operator_hour']:,.4g} per operator and hour, {kpi['open']:,} open at the end",
        echo.grid(rows, heads) + "\n* misses the target",
    ]
    if "detection" in kpi:
        blocks.append(_detection(kpi["detection"]))
    return "\n\n".join(blocks)


def _detection(found: dict[str, Any]) -> str:
    keys = ("kind", "events", "found", "recall_frac", "chance_frac", "delay_median_h", "delay_p90_h")
    table = echo.grid([[row[key] for key in keys] for row in found["kinds"]], keys)
    shares = [found["precision_frac"], found["precision_with_failures_frac"]]
    words = ["-" if v is None else f"{100.0 * v:.1f} %" for v in shares]
    return f"{table}\nannouncements within a labelled fault {words[0]}, also in the week before a failure {words[1]}"


def _compared(done: dict[str, Any]) -> str:
    a, b = done["policies"]
    rows = [[title, *(_worst(side, name) for side in done["kpi"])] for name, (title, _) in _KPIS.items()]
    rows.insert(0, ["announced per operator-hour", *(f"{side['per_operator_hour']:,.4g}" for side in done["kpi"])])
    blocks = [echo.grid(rows, ["worst operator", a, b])]
    fewer = done["fewer_times"]
    blocks.append("" if fewer is None else f"{b} announces {fewer:,.4g} times less than {a}")
    blocks.append("\n".join(f"{key.replace('_', ' ')}: {value:,}" for key, value in done["alerts"].items()))
    if "events" in done:
        blocks.append("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in done["events"].items()))
        blocks += [f"{side['policy']}\n{_detection(side['detection'])}" for side in done["kpi"]]
    return "\n\n".join(block for block in blocks if block)


def _worst(side: dict[str, Any], name: str) -> str:
    values = [row["kpi"][name] for row in side["operators"]]
    return _figure(name, max(values, key=lambda v: v[-1] if isinstance(v, list) else v))
