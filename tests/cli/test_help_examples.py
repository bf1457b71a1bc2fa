"""Every example of every --help, run as it stands in an empty folder; and every --help can be read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from nexova_sim.cli.app import root_command, run
from nexova_sim.cli.readable import make_readable

EXAMPLE = re.compile(r"^ *(nexova .*)$", re.MULTILINE)
# Those that cost more than a few CPU-seconds: here they are only planned, the slow suite runs them.
LONG = ("run", "sweep", "energy evaluate", "energy tune", "energy train", "rul evaluate", "forecast backtest",
        "decisions autonomy", "bench help_start", "doctor", "rul predict", "anomaly evaluate",
        "energy plan")  # fmt: skip
TOKEN = "NEXOVA_JWT_SECRET"
WORN = "simulate -c configs/fleet/worn.yaml -o {}"
RECORD = "decisions replay results/tiny -p scripted --no-judge --mode record"
SMALL = ("run -c configs/experiment/small.yaml --set simulate.overrides.days=1 --set alerts=null --set report=null "
         "-o results/run/small")  # fmt: skip
# What must be there before an example can run.
BEFORE = {
    "report": ["run -c configs/experiment/small.yaml"],
    "runs show": [SMALL],
    "runs diff": [f"{SMALL} --seed 8"],
    "decisions evaluate": ["decisions replay results/tiny -p never -p seed_rules -o results/decisions-tiny"],
    "decisions cassette lint": [f"{RECORD} --cassette results/decisions.jsonl -o results/recorded"],
    "decisions cassette diff": [f"{RECORD} --cassette results/a.jsonl -o results/ra",
                                f"{RECORD} --cassette results/b.jsonl -o results/rb"],
    "alerts kpi": ["alerts run results/tiny -o results/alerts-tiny"],
    "forecast fit": [WORN.format("results/worn")],
    "rul predict": [WORN.format("results/plant")],
    "anomaly evaluate": ["anomaly fit results/plant -o results/model",
                         "anomaly score results/plant --model results/model -o results/scores"],
    "machines add": [f"users add {n}@plant.example --role {role} --as ada@plant.example"
                     for n, role in (("sue", "SUPERVISOR"), ("oli", "OPERATOR"))],
    "approvals reject": ["machines add press-2 --kind PUMP --factory lyon --as oli@plant.example",
                         "approvals submit press-2 --as oli@plant.example"],
    "approvals withdraw": ["approvals submit press-2 --as oli@plant.example"],
}  # fmt: skip
# Groups whose examples follow one another in this order; all others stand by themselves.
FIRST = ("simulate", "users add", "machines add", "approvals submit", "approvals approve", "approvals reject",
         "approvals withdraw", "anomaly fit", "anomaly score", "alerts run", "rul predict")  # fmt: skip
LAST = ("users set", "users roles", "machines set", "auth token")
EXPORT = "timestamp,machine,power_kw,temperature_c,vibration_mm_s\n" + "".join(
    f"2026-01-01T00:{m:02d}:00Z,p1,{10 + m % 3},50.5,1.2\n" for m in range(60)
)


def walk(node, words=()):
    yield " ".join(words), node
    for name, inner in getattr(node, "commands", {}).items():
        yield from walk(inner, (*words, name))


def examples() -> list[str]:
    """Every example, those that others need first."""
    found = [line for _, node in walk(root_command()) for line in EXAMPLE.findall(node.help or "")]

    def place(line: str) -> tuple[int, int]:
        rank = [n for n, start in enumerate(FIRST) if line.startswith(f"nexova {start}")]
        return (1, rank[0]) if rank else (3, 0) if any(line.startswith(f"nexova {s}") for s in LAST) else (2, 0)

    return sorted(found, key=place)


def is_long(line: str) -> bool:
    return any(line == f"nexova {start}" or line.startswith(f"nexova {start} ") for start in LONG)


def prepare(line: str) -> None:
    for start, commands in BEFORE.items():
        if line.startswith(f"nexova {start}"):
            for command in commands:
                assert run([*shlex.split(command), *(["--quiet"] if "add" not in command else [])]) == 0, command


def check_example(line: str, monkeypatch, more: tuple[str, ...] = ()) -> None:
    if "auth token" in line:
        monkeypatch.setenv(TOKEN, "0123456789abcdef" * 4)
    assert run([*shlex.split(line)[1:], *more]) == 0, line


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """An empty folder, its only file an export of a real plant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pump.csv").write_text(EXPORT)
    return tmp_path


def flags_of(line: str) -> set[str]:
    """The flags of the command that an example calls."""
    node = root_command()
    for word in shlex.split(line)[1:]:
        inner = getattr(node, "commands", {})
        if word not in inner:
            break
        node = inner[word]
    return {flag for parameter in node.params for flag in parameter.opts}


def check_streams(line: str, capsys) -> str:
    """What was written is named on stdout and nothing else; with --json there is one JSON document, whatever comes.

    Returns what was told on stderr.
    """
    told, people = capsys.readouterr()
    if "--out" in flags_of(line) and "--dry-run" not in line:
        assert told and all(Path(path).exists() for path in told.splitlines()), f"{line}\n{told}"
    if "--json" in flags_of(line):
        run([*shlex.split(line)[1:], "--json"])
        told, more = capsys.readouterr()
        people += more
        assert told.count("\n") == 1, f"{line}\n{told}"
        assert json.loads(told)["status"] in ("success", "error")
    return people


def test_every_example_runs(empty, monkeypatch, capsys):
    lines = examples()
    assert len(lines) >= 55
    errors = ""
    for line in lines:
        if not is_long(line):
            prepare(line)
            errors += capsys.readouterr().err
            check_example(line, monkeypatch)
            errors += check_streams(line, capsys)
        elif not line.startswith(("nexova bench", "nexova doctor")):  # these have no plan and write nothing
            prepare(line)
            check_example(line, monkeypatch, ("--dry-run",))
    assert "Traceback" not in errors + capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("line", [line for line in examples() if is_long(line)])
def test_every_long_example_runs(line, empty, monkeypatch):
    for command in ("simulate -c configs/fleet/tiny.yaml -o results/tiny", WORN.format("results/plant"),
                    WORN.format("results/worn")):  # fmt: skip
        assert run([*shlex.split(command), "--quiet"]) == 0
    prepare(line)
    check_example(line, monkeypatch)


@pytest.mark.parametrize(("words", "node"), [pytest.param(w, n, id=w or "nexova") for w, n in walk(root_command())])
def test_help_can_be_read(words, node, capsys):
    assert run([*words.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 200
    assert "..." not in told.replace("[ARGS]...", "").replace("{FILES}...", "").replace("postgresql://...", "").replace(
        ", ...", "").replace("(alerts, ...)", "")  # fmt: skip
    assert " range>" not in told and "list[" not in told.replace("FILES <list[Path]>", "")
    if getattr(node, "commands", None):
        assert told.count("\n") >= 8
        return
    assert EXAMPLE.search(told), f"{words}: no example"
    assert all(line.count("  --") == 0 or "  " in line.strip() for line in told.splitlines())
    for option in node.params:
        assert option.help or option.param_type_name == "argument", f"{words}: {option.name} says nothing"


def test_make_readable_keeps_an_example_on_its_line():
    class Node:
        help = "Do a thing\nwell.\n\nExample: nexova thing --with a\n  --and b"
        short_help = None
        params = ()

    node = make_readable(Node())
    assert node.short_help == "Do a thing well."
    assert node.help.endswith("\b\nExample:\n  nexova thing --with a --and b")
