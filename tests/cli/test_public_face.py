"""``import nexova_sim as nx``: every verb of the command line can be called from Python, by names that exist."""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType

import pytest

import nexova_sim as nx

CLI = Path(nx.__file__).parent / "cli"
PUBLIC = {(target.partition(":")[0], target.partition(":")[2] or name): name for name, target in nx._PUBLIC.items()}


def is_command(function: ast.FunctionDef) -> bool:
    """Whether typer makes a command of it: it is decorated, or has the flags that every verb has."""
    decorated = any(".command" in ast.unparse(d) for d in function.decorator_list)
    return decorated or any(a.annotation and "QuietFlag" in ast.unparse(a.annotation) for a in function.args.args)


def commands() -> list[tuple[str, ast.FunctionDef, dict[str, ast.FunctionDef]]]:
    """Every command as (where, its function, the functions of its file)."""
    found = []
    for path in sorted(CLI.glob("*.py")):
        functions = {
            n.name: n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)
        }
        found += [(f"{path.stem}.{name}", f, functions) for name, f in functions.items() if is_command(f)]
    return found


def reached(
    function: ast.FunctionDef, siblings: dict[str, ast.FunctionDef], seen: tuple[str, ...] = ()
) -> set[tuple[str, str]]:
    """(module, function) of the package that a command calls, also through functions of its own file."""
    modules: dict[str, str] = {}
    names: dict[str, tuple[str, str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nexova_sim.run"):
            for alias in node.names:
                where = alias.asname or alias.name
                modules[where] = f"{node.module}.{alias.name}"
                names[where] = (str(node.module), alias.name)
    calls: set[tuple[str, str]] = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in modules:
            calls.add((modules[called.value.id], called.attr))
        elif isinstance(called, ast.Name) and called.id in names:
            calls.add(names[called.id])
        elif isinstance(called, ast.Name) and called.id in siblings and called.id not in seen:
            calls |= reached(siblings[called.id], siblings, (*seen, called.id))
    return calls


@pytest.mark.parametrize(("function", "siblings"), [row[1:] for row in commands()], ids=[row[0] for row in commands()])
def test_every_command_can_be_called_from_python(function, siblings):
    calls = reached(function, siblings)
    assert calls
    verbs = [PUBLIC[call] for call in calls if call in PUBLIC and not PUBLIC[call][0].isupper()]
    assert verbs, f"none of {sorted(calls)} is in nexova_sim._PUBLIC"


def test_all_commands_are_seen():
    from tests.cli.test_contract import commands as of_typer

    every = of_typer()
    leaves = [words for words in every if not any(other[: len(words)] == words for other in every if other != words)]
    # completion prints a script for a shell and asks nothing of the package.
    assert len(commands()) == len(leaves) - 1


@pytest.mark.parametrize("name", sorted(nx._PUBLIC))
def test_name_exists(name):
    value = getattr(nx, name)
    assert callable(value)
    assert not isinstance(value, ModuleType)
    assert value.__doc__
    assert name in nx.__all__
    # A name that a room bears would turn into the room as soon as something imports it.
    assert not (Path(nx.__file__).parent / name).exists()


def test_unknown_name_is_told():
    with pytest.raises(AttributeError, match=r"no attribute 'simulte'; public names: .*simulate_fleet"):
        _ = nx.simulte
