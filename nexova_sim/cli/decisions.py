"""``nexova decisions``: what rules, a twin or a language model would decide, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

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
LoopFlag = Annotated[bool, typer.Option("--loop", help="Carry the actions out: simulate the fleet under each policy.")]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that 'nexova decisions replay' wrote.")]
SuiteFlag = Annotated[str, typer.Option("--suite", help="YAML file of texts and inversions.", metavar="FILE")]
MostFlag = Annotated[
    float | None, typer.Option("--most", help="Exit 1 when more than this share succeeds.", min=0.0, max=1.0)
]
_WIDTH = 60


@app.command()
def replay(dataset: DatasetArgument, config: ConfigFlag = "configs/decision/default.yaml", policy: PolicyFlag = None,
           tape: CassetteFlag = None, mode: ModeFlag = "replay", settings: SetFlag = None, out: OutFlag = None,
           judge: JudgeFlag = True, loop: LoopFlag = False, overwrite: OverwriteFlag = False,
           dry_run: DryRunFlag = False, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Walk the alerts of a dataset, let each policy decide, and score every decision by re-running the twin.

    Example: nexova decisions replay results/tiny --policy seed_rules --policy twin
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.decision import load_decision
    from nexova_sim.run import decisions as verb

    resolved = load_decision(config, settings or [])
    wanted = verb.Replay(tuple(policy or ["seed_rules"]), judge, tape, mode, loop)
    if dry_run:
        plan = verb.outline(dataset, resolved, wanted, out)
        echo.plan(plan)
        return
    _note_support(resolved.decision.model, wanted.policies, mode)
    with echo.progress("decisions") as progress:
        done = verb.replay_decisions(dataset, resolved, wanted, out, overwrite, progress)
    data = {"folder": str(done.folder), "was_there": done.was_there, **done.summary}
    echo.made(data, [done.folder], _summary(done.summary), done.run_id)


def _note_support(model: Any, policies: Iterable[str], mode: str) -> None:  # noqa: ANN401 - config.decision.Model
    from nexova_sim.run.decision_models import support_note

    told = support_note(model, policies, mode)
    if told is not None:
        echo.note(told)


def _summary(found: dict[str, Any]) -> str:
    heads = {"policy": "policy", "none": "NONE", "maintenance": "MAINT.", "offline": "OFFLINE",
             "fallbacks": "fallbacks", "mean_regret_usd": "regret, USD",
             "mean_cost_executed_usd": "cost, USD"}  # fmt: skip
    names = [name for name in heads if found["policies"] and name in found["policies"][0]]
    rows = [[row[name] for name in names] for row in found["policies"]]
    blocks = [f"{found['episodes']} episodes of {found['dataset']}", echo.grid(rows, [heads[n] for n in names])]
    if found.get("loop"):
        blocks.append(_bill(found["loop"]))
    return "\n\n".join(blocks)


def _bill(rows: list[dict[str, Any]]) -> str:
    keys = {"policy": "fleet under", "n_services": "services", "n_failures": "failures", "energy_usd": "energy",
            "service_usd": "service", "failure_usd": "failure", "lost_production_usd": "lost production",
            "total_usd": "total, USD"}  # fmt: skip
    cells = [[f"{row[k]:,.0f}" if k.endswith("usd") else row[k] for k in keys] for row in rows]
    open_ends = [row["policy"] for row in rows if not row["is_settled"]]
    note = f"\nnot settled within loop.most_waves: {', '.join(open_ends)}" if open_ends else ""
    return echo.grid(cells, list(keys.values())) + note


@app.command()
def evaluate(folder: RunArgument, suite: SuiteFlag = "configs/decision/attacks.yaml", as_json: JsonFlag = False,
             quiet: QuietFlag = False) -> None:  # fmt: skip
    """Regret, agreement, claims against the twin, calibration, guidelines, attacks; writes evaluation.json.

    Example: nexova decisions evaluate results/decisions-tiny
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.attack import load_attacks
    from nexova_sim.run import decision_evaluate as verb

    found = verb.evaluate(folder, load_attacks(suite))
    echo.result(found, _evaluation(found))


@app.command()
def attack(policy: PolicyFlag = None, suite: SuiteFlag = "configs/decision/attacks.yaml",
           config: ConfigFlag = "configs/decision/default.yaml", tape: CassetteFlag = None, mode: ModeFlag = "replay",
           settings: SetFlag = None, most: MostFlag = None, as_json: JsonFlag = False,
           quiet: QuietFlag = False) -> None:  # fmt: skip
    """Texts in names, comments and logs that try to command a policy, and conditions turned over.

    Example: nexova decisions attack --policy scripted --policy scripted:obedient
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.attack import load_attacks
    from nexova_sim.config.decision import load_decision
    from nexova_sim.run.decision_attacks import attack as verb

    resolved, loaded = load_decision(config, settings or []), load_attacks(suite)
    _note_support(resolved.decision.model, policy or (), mode)
    found = [verb(loaded, name, resolved.decision, mode, tape) for name in policy or ["seed_rules"]]
    worst = max((f["success_share"] or 0.0 for f in found), default=0.0)
    if most is not None and worst > most:
        what = f"{100.0 * worst:.1f} % of the attempts changed the action; {100.0 * most:g} % is allowed"
        echo.refuse(what, _attacks(found), {"attacks": found})
    echo.result({"attacks": found}, _attacks(found))


def _attacks(found: list[dict[str, Any]]) -> str:
    rows = [[f["policy"], f["tries"], f["successes"], 100.0 * (f["success_share"] or 0.0),
             100.0 * (f["followed_share"] or 0.0)] for f in found]  # fmt: skip
    return echo.grid(rows, ["policy", "attacks", "action changed", "changed, %", "inversions followed, %"])


@app.command()
def autonomy(config: ConfigFlag = "configs/sweep/autonomy.yaml", settings: SetFlag = None, out: OutFlag = None,
             overwrite: OverwriteFlag = False, dry_run: DryRunFlag = False, as_json: JsonFlag = False,
             quiet: QuietFlag = False) -> None:  # fmt: skip
    """Cost of the fleet against approval latency and autonomy level: what a person in the loop costs and saves.

    Example: nexova decisions autonomy --config configs/sweep/autonomy.yaml --dry-run
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.autonomy import load_autonomy
    from nexova_sim.run import decision_autonomy as verb

    resolved = load_autonomy(config, settings or [])
    if dry_run:
        cells = verb.settings_of(resolved.study)
        plan = {"settings": len(cells), "seeds": len(resolved.fleets), "runs": len(cells) * len(resolved.fleets)}
        echo.plan(plan)
        return
    with echo.progress("autonomy") as progress:
        done = verb.run_autonomy(resolved, out, overwrite, progress)
    keys = ("policy", "level", "latency_h", "skill_frac", "n_services", "n_failures", "n_rejected", "total_usd")
    found = verb.means(done.rows)
    table = echo.grid([[f"{row[k]:,.0f}" if k == "total_usd" else row[k] for k in keys] for row in found], keys)
    data = {"folder": str(done.folder), "was_there": done.was_there, "means": found}
    echo.made(data, [done.folder], table, done.run_id)


def _evaluation(found: dict[str, Any]) -> str:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{100.0 * value:.1f}"

    rows = []
    for p in found["policies"]:
        saved, risk = p["saving_claims"], p["calibration"]
        rows.append([
            p["policy"], p["regret"]["mean_usd"], p["regret"]["p95_usd"], percent(p["agreement"]["share"]),
            saved["mae_usd"], saved["bias_usd"], percent(saved["wrong_sign_share"]), percent(saved["inside_share"]),
            {True: "yes", False: "no", None: ""}[risk["is_monotone"]], risk["brier"],
            percent(p["validity"]["valid_share"]),
        ])  # fmt: skip
    heads = ["policy", "regret", "p95", "best, %", "claim MAE", "bias", "lost, %", "inside, %", "risk rises", "Brier",
             "valid, %"]  # fmt: skip
    pairs = [[p["policy"], p["mean_usd"], f"{p['low_usd']:,.0f} to {p['high_usd']:,.0f}"] for p in found["pairs"]]
    blocks = [f"{found['episodes']} episodes of {found['dataset']}, USD over {found['horizon_h']} h",
              echo.grid(rows, heads)]  # fmt: skip
    if found["attacks"]:
        blocks.append(_attacks(found["attacks"]))
    if pairs:
        blocks.append(echo.grid(pairs, ["regret minus that of " + found["pairs"][0]["against"], "mean", "95 %"]))
    return "\n\n".join(blocks)


@cassette.command()
def lint(path: CassetteArgument, as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:
    """Check every line: its hash, its key, secrets, and that it still reads the same. Exit 1 when something is wrong.

    Example: nexova decisions cassette lint results/decisions.jsonl
    """
    echo.configure(as_json, quiet)
    from nexova_sim.run import cassettes as verb

    found = verb.lint(path)
    rows = [[f.key[:12] or "(file)", f.problem] for f in found]
    listed = [f._asdict() for f in found]
    if found:
        what = f"{path}: {len(found)} finding{'s' if len(found) > 1 else ''}"
        echo.refuse(what, echo.grid(rows, ["entry", "problem"]), {"findings": listed})
    echo.result({"findings": listed})
    echo.note("clean")


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
    listed = [d._asdict() for d in found]
    if found:
        what = f"{first} and {second} differ on {len(found)} question{'s' if len(found) > 1 else ''}"
        echo.refuse(what, echo.grid(rows, ["question", "what", "A", "B"]), {"differences": listed})
    echo.result({"differences": listed})
    echo.note("equal")
