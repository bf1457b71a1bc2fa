"""``nexova bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, QuietFlag

if TYPE_CHECKING:
    from nexova_sim.run.bench_reference import Reference
    from nexova_sim.run.benchmark import BenchResult


def bench(
    name: Annotated[
        str | None, typer.Argument(help="A benchmark or a group of them; all when left out.", metavar="NAME")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only those that cost a few CPU-seconds each.")] = False,
    list_only: Annotated[bool, typer.Option("--list", help="Say what would be measured and how; measure nothing.")] = (
        False
    ),
    compare: Annotated[
        Path | None,
        typer.Option("--compare", help="Gate: exit 1 when one grew worse than in this file.", metavar="FILE"),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Make these figures the reference (--compare's file when given).")
    ] = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure the bars of this project on this machine.

    Exit 1 when a bar is missed or a benchmark fails; with --compare, when one grew worse than the file says, by more
    than noise (bars are shown, but belong to one machine). Times are compared after division by a control measured in
    the same run, so the file may come from another machine. Groups and names: nexova bench --list.

    Example: nexova bench help_start

    Example: nexova bench --list
    """
    echo.configure(as_json, quiet)
    from nexova_sim.base.errors import EXIT_CHECK_FAILED
    from nexova_sim.run import bench as verb
    from nexova_sim.run import bench_reference as gate

    if list_only:
        _tell_list(verb.pick(name, quick))
        return
    if accept:
        gate.check_writable(compare or gate.REFERENCE)
    reference = gate.read_reference(compare) if compare is not None and (compare.exists() or not accept) else None
    doubt = verb.no_doubt if reference is None else gate.doubts(reference)
    started_s = verb.spent_cpu()
    results: list[BenchResult] = []

    def told(result: BenchResult) -> None:
        results.append(result)
        echo.note(_line(result))

    try:
        verb.bench(name, quick, told, doubt)
    except KeyboardInterrupt:
        if not as_json:
            echo.result(None, _table(results))  # what was measured is not lost
        raise
    is_all = name is None and not quick
    if accept:
        gate.accept(compare or gate.REFERENCE, results, is_all)
    if reference is None:
        echo.result([r._asdict() for r in results], _table(results))
        echo.note(verb.summary(results, started_s))
        is_bad = any(r.ok is False for r in results)
    else:
        is_bad = _tell_compared(results, reference, is_all, verb.summary(results, started_s))
    if accept:
        echo.note(f"accepted: {compare or gate.REFERENCE}")
        is_bad = False
    if is_bad:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _bar(row: Any) -> str:  # noqa: ANN401 - a benchmark or a result
    return f"{'>=' if row.direction == 'min' else '<='} {row.bar:g}"


def _line(result: BenchResult) -> str:
    from nexova_sim.run.benchmark import verdict

    value = "" if result.value is None else f"{result.value:.4g} {result.unit}, "
    what = f" ({result.error})" if result.error else ""
    return f"{result.name}: {value}bar {_bar(result)}: {verdict(result)}{what} [{result.cpu_s:.1f} CPU-s]"


def _table(results: list[BenchResult]) -> str:
    from nexova_sim.run.benchmark import verdict

    rows = [(r.name, r.value, r.unit, _bar(r), verdict(r)) for r in results]
    return echo.grid(rows, ("benchmark", "value", "unit", "bar", "verdict"))


def _tell_list(names: list[str]) -> None:
    from nexova_sim.run.bench import BENCHMARKS, QUICK
    from nexova_sim.run.benchmark import nature_of, slack_of

    items = [(name, BENCHMARKS[name]) for name in names]
    data = [
        {"name": n, "group": b.group, "unit": b.unit, "bar": b.bar, "direction": b.direction, "how": b.how,
         "nature": nature_of(b), "slack": slack_of(b), "is_quick": n in QUICK}
        for n, b in items
    ]  # fmt: skip
    rows = [(b.group, n, _bar(b), b.unit, "quick" if n in QUICK else "", b.how) for n, b in items]
    echo.result(data, echo.grid(rows, ("group", "benchmark", "bar", "unit", "cost", "how")))


def _tell_compared(results: list[BenchResult], reference: Reference, is_all: bool, summary: str) -> bool:
    """Print results beside the reference; True when the gate is not passed."""
    from nexova_sim.run import bench_reference as gate

    compared = gate.compare_all(results, reference, is_all)
    is_passed, other = gate.passes(compared), gate.other_machine(reference)
    beside = {c.name: c._asdict() for c in compared}
    data = [{**r._asdict(), "compared": beside.pop(r.name)} for r in results]
    data += [{"name": name, "value": None, "ok": None, "compared": gone} for name, gone in beside.items()]
    rows = [(c.name, c.verdict.upper() if c.verdict in gate.BAD else c.verdict, c.words) for c in compared]
    echo.result(data, f"{_table(results)}\n\n{echo.grid(rows, ('benchmark', 'beside the reference', 'how'))}")
    echo.note(summary)
    if other:
        echo.note("measured under other conditions than the reference: " + "; ".join(map(": ".join, other.items())))
    echo.note("gate passed" if is_passed else "gate NOT passed")
    return not is_passed
