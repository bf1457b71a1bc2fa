"""Completion, asked for by a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from nexova_sim.cli.app import root_command, run
from nexova_sim.cli.completion import SHELLS, VARIABLE, answer_shell

ASK = """
source "$1"
COMP_WORDS=({words})
COMP_CWORD={place}
COMP_LINE="{words}"
_nexova_completion nexova
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    """A ``nexova`` on the path, and the script that completes it."""
    program = tmp_path / "nexova"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nexova_sim "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(["nexova", "completion", "bash"], capture_output=True, text=True, check=True)
    assert VARIABLE in done.stdout
    script = tmp_path / "script"
    script.write_text(done.stdout)
    return script


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("words", "expected"), [
    ("nexova twi", {"twin"}), ("nexova twin ca", {"calibrate"}), ("nexova simulate --dr", {"--dry-run"}),
    ("nexova no-such", set()),
])  # fmt: skip
def test_bash_completes(command, words, expected):
    ask = ASK.format(words=words, place=len(words.split()) - 1)
    done = subprocess.run(["bash", "--norc", "-c", ask, "bash", command], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_its_script(shell, capsys):
    assert run(["completion", shell]) == 0
    told = capsys.readouterr()
    assert "nexova" in told.out and f"complete_{shell}" in told.out and told.err == ""


def test_an_unknown_shell_is_refused(capsys):
    assert run(["completion", "tcsh"]) == 2
    assert "choose one of: bash, fish, zsh" in capsys.readouterr().err


def test_nothing_is_answered_when_no_shell_asks(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert answer_shell(root_command) is None
    monkeypatch.setenv(VARIABLE, "complete_tcsh")
    assert answer_shell(root_command) == 1
