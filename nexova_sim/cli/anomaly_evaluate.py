"""``nexova anomaly evaluate``: its flags and how its result is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import ConfigFlag, DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SeedFlag, SetFlag

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset with labels that simulate or ingest wrote.")
]
ScoresFlag = Annotated[
    Path, typer.Option("--scores", help="Folder that 'nexova anomaly score' wrote for this dataset.", metavar="DIR")
]
GateFlag = Annotated[bool, typer.Option("--gate", help="Exit 1 when the gate of the rules is not met.")]
_DEFAULT = "configs/anomaly/evaluate.yaml"
_DETECTORS = ("detector", "without_rules")
_TRIVIAL = ("always", "never", "random", "threshold", "clock")
_NAMES = {"detector": "DETECTOR", "without_rules": "every flag an alarm"}


def evaluate(dataset: DatasetArgument, scores: ScoresFlag, config: ConfigFlag = _DEFAULT, settings: SetFlag = None,
             seed: SeedFlag = None, gate: GateFlag = False, out: OutFlag = None, overwrite: OverwriteFlag = False,
             dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Judge scores and alarms against the labels: events, precision, delay, beside detectors that know nothing.

    Example: nexova anomaly evaluate results/plant --scores results/scores
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.evaluation import load_evaluation
    from nexova_sim.run import anomaly_evaluate as verb

    own = [*(settings or []), *([] if seed is None else [f"seed={seed}"])]
    rules = load_evaluation(config, own)
    if gate:
        verb.check_gate(rules, config)
    if dry_run:
        plan = verb.outline(dataset, scores, rules, out)
        echo.plan(plan)
        return
    with echo.progress("evaluate") as progress:
        done = verb.evaluate(dataset, scores, rules, out, overwrite, progress)
    missing = verb.unmet(done.found) if gate else []
    if missing:
        echo.page(_told(done.found))
        echo.refuse(f"the gate is not met: {'; '.join(missing)}", str(done.folder), {"folder": str(done.folder)})
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.found}
    echo.made(data, [done.folder], _told(done.found), done.run_id)


def _told(found: dict[str, Any]) -> str:
    judged = found["judged"]
    head = (
        f"{found['about']['detector']} on {found['about']['dataset']}: {judged['n_machines']} machines, "
        f"{judged['machine_days']:,.0f} machine-days, {judged['n_faults']} faults ({judged['n_physical']} physical, "
        f"{judged['n_detectable']} of them detectable)"
    )
    return "\n\n".join([head, _rows(found), _kinds(found), _sizes(found), _verdict(found)])


def _share(value: dict[str, Any]) -> str:
    if not value["n"] or value["value"] is None:
        return f"{value['k']:.0f}/{value['n']:.0f}"
    return (f"{value['k']:.0f}/{value['n']:.0f} {100 * value['value']:.1f} % "
            f"[{100 * value['low']:.1f}, {100 * value['high']:.1f}]")  # fmt: skip


def _rows(found: dict[str, Any]) -> str:
    heads = ("", "detectable found", "alarm precision", "repeats once", "alarms/d", "delay h", "p90 h", "F1", "FAR",
             "MAR", "MCC", "AP", "VUS-PR")  # fmt: skip
    named = [(_NAMES[n], found[n]) for n in _DETECTORS if found[n]] + [(n, found["trivial"][n]) for n in _TRIVIAL]
    rows = [
        [name, _share(r["asked_recall"]), _share(r["precision"]), _share(r["precision_once"]),
         *(_short(r[k]) for k in ("alarms_per_machine_day", "delay_median_h", "delay_p90_h", "f1", "far", "mar", "mcc",
                                  "ap", "vus_pr"))]
        for name, r in named
    ]  # fmt: skip
    notes = [f"{n}: {found['trivial'][n]['words']}" for n in _TRIVIAL if n in ("random", "threshold", "clock")]
    share = f"{found['judged']['prevalence_frac']:.3f}"
    return "\n".join(
        [echo.grid(rows, heads), f"prevalence of faulty cells {share} (AP of a score that knows nothing)", *notes]
    )


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _kinds(found: dict[str, Any]) -> str:
    rows = [[r["fault"], "sensor" if r["is_sensor"] else "physical", _share(r["found"]),
             "" if r["is_sensor"] else _share(r["detectable"]), _short(r["delay_median_h"])]
            for r in found["by_fault"]]  # fmt: skip
    return echo.grid(rows, ("fault", "nature", "found", "detectable found", "delay h"))


def _sizes(found: dict[str, Any]) -> str:
    rows = [[f"{r['low']:g} to {r['high']:g}", _share(r["found"]), _share(r["detectable"])]
            for r in found["by_severity"]]  # fmt: skip
    return echo.grid(rows, ("severity", "physical found", "detectable found"))


def _verdict(found: dict[str, Any]) -> str:
    gate = found["gate"]
    if gate is None:
        return "no gate is set"
    words = (
        f"at most {gate['most_alarms_per_machine_day']:g} alarms per machine-day, precision at least "
        f"{gate['least_precision_low']:g} (Wilson's lower bound, repeats once), recall at least "
        f"{gate['least_recall']:g} of the detectable faults"
    )
    return f"gate: {words}: {'MET' if gate['is_met'] else 'NOT MET'}"
