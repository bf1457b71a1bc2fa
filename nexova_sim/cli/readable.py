"""Help that a person can read: examples on one line that can be copied, whole summaries, plain names of values."""

from __future__ import annotations

import re
from typing import Any

_EXAMPLE = re.compile(r"\n\nExample: (.*?)(?=\n\n|\Z)", re.DOTALL)


def make_readable(command: Any) -> Any:  # noqa: ANN401 - typer's and click's commands
    """Give ``command`` and all below it readable help; returns it."""
    text = command.help or ""
    command.help = _EXAMPLE.sub(lambda found: f"\n\n\b\nExample:\n  {' '.join(found[1].split())}", text)
    # Without a short help the parent's list cuts the first paragraph to what fits on its line.
    command.short_help = " ".join(text.partition("\n\n")[0].split())
    for parameter in command.params:
        if getattr(parameter, "metavar", "") is None and not getattr(parameter, "is_flag", False):
            parameter.metavar = _value_name(parameter)
    for inner in getattr(command, "commands", {}).values():
        make_readable(inner)
    return command


def _value_name(parameter: Any) -> str | None:  # noqa: ANN401
    if parameter.param_type_name != "option":
        return None
    kind = str(getattr(getattr(parameter, "type_descriptor", None), "annotation", getattr(parameter, "type", "")))
    return "N" if re.search("int|float", kind, re.IGNORECASE) else "TEXT"
