"""The reference of every command, made from the commands themselves: ``python -m nexova_sim.cli.reference FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nexova_sim.cli.app import root_command

_WIDTH = 100
_HEAD = """# Commands

Made from the commands themselves by `make docs`; a test fails when it no longer fits. Flags that mean the same in every
verb, streams and exit codes: see README, "Every verb". `nexova VERB --help` prints the same on a terminal.
"""


def _walk(node: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer's commands
    yield " ".join(words), node
    for name, inner in node.commands.items() if hasattr(node, "commands") else ():
        yield from _walk(inner, (*words, name))


def _help(name: str, node: Any) -> str:  # noqa: ANN401
    context = node.context_class(node, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH,
                                 help_option_names=["-h", "--help"])  # fmt: skip
    text: str = node.get_help(context)
    return "\n".join(line.rstrip() for line in text.splitlines())


def reference() -> str:
    """The whole reference as Markdown: a list of commands, then the help of each."""
    found = list(_walk(root_command(), ("nexova",)))
    index = [f"- [`{name}`](#{name.replace(' ', '-')}): {node.short_help}" for name, node in found[1:]]
    parts = [f"## {name}\n\n```text\n{_help(name, node)}\n```" for name, node in found]
    return "\n".join([_HEAD, *index, "", "\n\n".join(parts), ""])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
