"""Empty values: refused by every flag and argument of every command but those that are empty when left out."""

from __future__ import annotations

import pytest

from nexova_sim.base.errors import EXIT_USAGE
from nexova_sim.cli.app import root_command, run
from nexova_sim.cli.values import refuse_empty


def leaves(node, words=()):
    inner = getattr(node, "commands", {})
    if not inner:
        yield words, [p for p in node.params if not getattr(p, "is_flag", False)]
    for name, command in inner.items():
        yield from leaves(command, (*words, name))


def given(parameter, value: str) -> list[str]:
    return [parameter.opts[0], value] if parameter.param_type_name == "option" else [value]


ROOT = root_command()
COMMANDS = [(words, params) for words, params in leaves(ROOT) if params]


@pytest.fixture
def made_once(monkeypatch):
    """The command line is built once, not for each of several hundred values."""
    monkeypatch.setattr("nexova_sim.cli.app.root_command", lambda: ROOT)


@pytest.mark.parametrize(("words", "params"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_an_empty_value_is_refused(words, params, made_once, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, tried in enumerate(params):
        if tried.default == "":
            continue
        empty = " " * (number % 3)
        others = [p for p in params if p.required and p is not tried]
        line = [word for p in (tried, *others) for word in given(p, empty if p is tried else "1")]
        assert run([*words, *line]) == EXIT_USAGE, line
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith(f"error: nexova {' '.join(words)}: ") and "got" in told.err, told.err
        assert ("empty text" if empty == "" else "only blanks") in told.err
        assert tried.required or "leave" in told.err
    assert list(tmp_path.iterdir()) == []


def test_the_working_folder_is_not_written_into(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for verb in ("run -c configs/experiment/small.yaml", "sweep configs/sweep/fault_rate.yaml", "twin run --kind pump"):
        assert run([*verb.split(), "--out", ""]) == EXIT_USAGE
        assert "--out: got an empty text; give a folder ('.' is the working folder), or leave --out out" in (
            capsys.readouterr().err
        )
    assert list(tmp_path.iterdir()) == []


def test_what_is_empty_when_left_out_may_be_given_empty(tmp_path, capsys):
    assert run(["events", "replay", str(tmp_path / "none"), "--types", "", "--channels", ""]) == 3
    assert "got an empty" not in capsys.readouterr().err


def test_refuse_empty_guards_a_parameter_once_per_command():
    class Flag:
        is_flag, default = True, False

    class Node:
        params = (Flag(),)

    node = Node()
    assert refuse_empty(node) is node
    assert not hasattr(node.params[0], "process_value")
