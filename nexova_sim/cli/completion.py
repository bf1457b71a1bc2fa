"""``nexova completion``: verbs, flags and choices offered by the shell on the tabulator key."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

from nexova_sim.base.errors import UsageError, suggest
from nexova_sim.cli import echo

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_NEXOVA_COMPLETE"


def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish.", metavar="SHELL")],
) -> None:
    """Print the script that teaches a shell to complete the words of nexova.

    For this terminal only: source <(nexova completion bash). For good: append the output to ~/.bashrc or ~/.zshrc, or
    write it to ~/.config/fish/completions/nexova.fish.

    Example: nexova completion bash
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    if shell not in SHELLS:
        raise UsageError(f"nexova completion: unknown shell {shell!r}; {suggest(shell, SHELLS)}")
    echo.configure(False, False)
    echo.result(None, get_completion_script(prog_name="nexova", complete_var=VARIABLE, shell=shell))


def answer_shell(make_command: Callable[[], Any]) -> int | None:
    """Answer a shell that asks for completions through the environment; None when none asks."""
    instruction = os.environ.get(VARIABLE)
    if not instruction:
        return None
    from typer.completion import completion_init, shell_complete  # type: ignore[attr-defined]

    completion_init()
    return int(shell_complete(make_command(), {}, "nexova", VARIABLE, instruction))
