"""What a flag or argument may not be, whichever command it belongs to."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from nexova_sim.base.errors import UsageError

# What a value is called in the help -> what it is.
_WANTED = MappingProxyType({
    "DIR": "a folder ('.' is the working folder)", "FOLDER": "a folder ('.' is the working folder)",
    "DATASET": "the folder of a dataset", "RUN": "the folder of a run", "MODEL": "the folder of a model",
    "PLAN": "the folder of a plan", "FILE": "a file", "FILES": "files", "SCRIPT": "a file", "CASSETTE": "a file",
})  # fmt: skip


def refuse_empty(command: Any) -> Any:  # noqa: ANN401 - typer's and click's commands
    """Make ``command`` and all below it refuse empty values, of which a path would mean the working folder.

    Only a parameter that is empty when left out takes one. Returns ``command``.
    """
    for parameter in command.params:
        if not getattr(parameter, "is_flag", False) and parameter.default != "":
            _guard(parameter)
    for inner in getattr(command, "commands", {}).values():
        refuse_empty(inner)
    return command


def _guard(parameter: Any) -> None:  # noqa: ANN401
    process = parameter.process_value

    def guarded(context: Any, value: Any) -> Any:  # noqa: ANN401
        for text in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(text, str) and not text.strip():
                raise UsageError(_words(parameter, text, context.command_path))
        return process(context, value)

    parameter.process_value = guarded


def _words(parameter: Any, text: str, path: str) -> str:  # noqa: ANN401
    is_option = parameter.param_type_name == "option"
    name = max(parameter.opts, key=len) if is_option else str(parameter.metavar or parameter.name)
    got = "only blanks" if text else "an empty text"
    wanted = _WANTED.get(str(parameter.metavar), "a value")
    remedy = "" if parameter.required else f", or leave {name} out"
    return f"{path}: {name}: got {got}; give {wanted}{remedy} (see: {path} --help)"
