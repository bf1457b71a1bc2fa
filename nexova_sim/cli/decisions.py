"""``nexova decisions``: what rules, a twin or a language model would decide, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nexova_sim.base.errors import CheckFailedError
from nexova_sim.cli import echo
from nexova_sim.cli.flags import DryRunFlag, JsonFlag, OutFlag, OverwriteFlag, QuietFlag, SetFlag

app = typer.Typer(name="decisions", help="Decisions of language models, recorded and checked.", no_args_is_help=True)
cassette = typer.Typer(name="cassette", help="Recorded answers of a language model.", no_args_is_help=True)
app.add_typer(cassette)

CassetteArgument = Annotated[Path, typer.Argument(metavar="CASSETTE", help="File of recorded answers (JSON lines).")]
DatasetArgument = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder that 'nexova simulate' wrote.")]
ConfigFlag = Annotated[
    str, typer.Option("--config", "-c", help="YAML file; built-in ones are in configs/decision.", metavar="FILE")
]
PolicyFlag = Annotated[
    list[str] | None,
    typer.Option("--policy", "-p", metavar="NAME", help="Who decides; may be repeated: seed_rules, tuned_rules, never, "
                 "always:ACTION, random, twin, gemini, scripted."),
]  # fmt: skip
JudgeFlag = Annotated[bool, typer.Option("--judge/--no-judge", help="Score every decision on the twin.")]
CassetteFlag = Annotated[
    Path | None, typer.Option("--cassette", help="File of recorded answers, for gemini and scripted.", metavar="FILE")
]
ModeFlag = Annotated[
    str, typer.Option("--mode", help="replay (no network), record (what is missing), rerecord, live.", metavar="MODE")
]
_WIDTH = 60


@app.command()
def replay(dataset: DatasetArgument, config: ConfigFlag = "configs/decision/default.yaml", policy: PolicyFlag = None,
           tape: CassetteFlag = None, mode: ModeFlag = "replay", settings: SetFlag = None, out: OutFlag = None,
           judge: JudgeFlag = True, overwrite: OverwriteFlag = False,
           dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Walk the alerts of a dataset, let each policy decide, and score every decision by re-running the twin.

    Example: nexova decisions replay results/tiny --policy seed_rules --policy twin
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.decision import load_decision
    from nexova_sim.run import decisions as verb

    resolved = load_decision(config, settings or [])
    wanted = verb.Replay(tuple(policy or ["seed_rules"]), judge, tape, mode)
    if dry_run:
        plan = verb.outline(dataset, resolved, wanted, out)
        echo.result(plan, "\n".join(f"{key}: {value}" for key, value in plan.items()))
        return
    with echo.progress("decisions") as progress:
        done = verb.replay_decisions(dataset, resolved, wanted, out, overwrite, progress)
    if done.was_there:
        echo.note(f"{done.folder}: these decisions are there already, nothing to do")
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.result(data, f"{_summary(done.summary)}\n\n{done.folder}", done.run_id)


def _summary(found: dict[str, Any]) -> str:
    heads = {"policy": "policy", "none": "NONE", "maintenance": "MAINT.", "offline": "OFFLINE",
             "fallbacks": "fallbacks", "mean_regret_usd": "regret, USD",
             "mean_cost_executed_usd": "cost, USD"}  # fmt: skip
    names = [name for name in heads if found["policies"] and name in found["policies"][0]]
    rows = [[row[name] for name in names] for row in found["policies"]]
    return f"{found['episodes']} episodes of {found['dataset']}\n\n{echo.grid(rows, [heads[n] for n in names])}"


@cassette.command()
def lint(path: CassetteArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check every line: its hash, its key, secrets, and that it still reads the same. Exit 1 when something is wrong.

    Example: nexova decisions cassette lint results/decisions.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.lint(path)
    rows = [[f.key[:12] or "(file)", f.problem] for f in found]
    echo.result({"findings": [f._asdict() for f in found]}, echo.grid(rows, ["entry", "problem"]) if found else "clean")
    if found:
        raise CheckFailedError(f"{path}: {len(found)} finding{'s' if len(found) > 1 else ''}")


@cassette.command()
def stats(path: CassetteArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Entries by source, library, model, error and way of reading; tokens and latency.

    Example: nexova decisions cassette stats results/decisions.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.stats(path)
    rows = [["entries", "", found["entries"]]]
    for name, counts in found.items():
        if isinstance(counts, dict):
            rows += [[name, value, count] for value, count in counts.items()]
    echo.result(found, echo.grid(rows, ["what", "value", "count"]))


@cassette.command()
def diff(
    first: CassetteArgument,
    second: Annotated[Path, typer.Argument(metavar="OTHER", help="The cassette to compare with.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Questions that only one holds, and those answered differently. Exit 1 when there are any.

    Example: nexova decisions cassette diff results/a.jsonl results/b.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.compare(first, second)
    rows = [[d.key[:12], d.what, d.first[:_WIDTH], d.second[:_WIDTH]] for d in found]
    text = echo.grid(rows, ["question", "what", "A", "B"]) if found else "equal"
    echo.result({"differences": [d._asdict() for d in found]}, text)
    if found:
        raise CheckFailedError(f"{first} and {second} differ on {len(found)} question{'s' if len(found) > 1 else ''}")
