"""``nexova approvals replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.base.errors import UsageError
from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SeedFlag, SetFlag

ScriptArgument = Annotated[
    Path, typer.Argument(metavar="SCRIPT", help="A .yaml or .csv script, or the folder of an alert run.")
]
DatasetFlag = Annotated[
    Path | None,
    typer.Option("--dataset", "-d", help="Where the machines of an alert run stand (default: one factory, 'plant').",
                 metavar="DATASET"),
]  # fmt: skip
PolicyFlag = Annotated[str, typer.Option("--policy", "-p", help="Who reviews, when, how fast.", metavar="FILE")]


def replay(script: ScriptArgument, policy: PolicyFlag = "configs/approval/default.yaml", dataset: DatasetFlag = None,
           settings: SetFlag = None, out: OutFlag = None, seed: SeedFlag = None, overwrite: OverwriteFlag = False,
           dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Play requests offline: how long they wait, how many pile up, what is denied and why.

    Example: nexova approvals replay configs/approval/example.yaml
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.approval import load_approval
    from nexova_sim.run import approvals_replay as verb
    from nexova_sim.run.approvals_script import factories_of, read_script

    part = load_approval(policy, [*(settings or []), *([f"seed={seed}"] if seed is not None else [])])
    found = verb.find_script(script)
    if dataset is not None and not found.is_dir():
        raise UsageError(f"--dataset {dataset}: a script says itself where its machines stand; leave --dataset out")
    factories = {} if dataset is None else factories_of(dataset)
    if dry_run:
        rows = read_script(found, part.policy.alerts, factories).rows
        folder = out or verb.default_folder(found, part, factories)
        echo.plan({"folder": str(folder), "attempts": len(rows)})
        return
    done = verb.replay_approvals(found, part, out, overwrite, factories)
    data = {
        "folder": str(done.folder),
        "was_there": done.was_there,
        "summary": {k: v for k, v in done.summary.items() if k != "policy"},
    }
    echo.made(data, [done.folder], _text(done.summary), done.run_id)


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f} h"


def _text(found: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [
        ["attempts", found["attempts"], f"{found['denied']} denied"],
        ["requests", found["requests"], ", ".join(f"{n} {s.lower()}" for s, n in found["outcomes"].items() if n)],
        ["lead time, median", _hours(found["lead_median_h"]), f"90 % within {_hours(found['lead_p90_h'])}"],
        ["longest", _hours(found["lead_max_h"]), f"oldest still open {_hours(found['oldest_open_h'])}"],
        ["open at once, most", found["backlog_max"], f"{found['backlog_mean']:.2f} on average"],
    ]
    text = echo.grid([[str(c) for c in row] for row in rows], ["figure", "value", ""])
    if found["reviewers"]:
        people = [[r["email"], r["decided"], round(100 * r["busy_frac"], 2)] for r in found["reviewers"]]
        text += "\n\n" + echo.grid(people, ["reviewer", "decided", "busy, % of all time"])
    if found["denials"]:
        denied = [[d["code"], d["action"], d["count"]] for d in found["denials"]]
        text += "\n\n" + echo.grid(denied, ["denied because", "action", "times"])
    return text + f"\n\naudit log {found['audit']}"
