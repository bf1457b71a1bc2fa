"""The command line as a process of its own, and what it must print with --json."""

from __future__ import annotations

import json
import subprocess
import sys

TINY = "configs/fleet/tiny.yaml"


def nexova(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nexova_sim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def only_object(text: str) -> dict:
    """The one JSON object on stdout: one line, nothing else."""
    assert text.endswith("\n")
    assert text.count("\n") == 1
    value = json.loads(text)
    assert isinstance(value, dict)
    return value
