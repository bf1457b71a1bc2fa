"""The flags that mean the same in every verb."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFlag = Annotated[
    str, typer.Option("--config", "-c", help="YAML file; built-in ones start with configs/.", metavar="FILE")
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a key: key.path=value. May be repeated.", metavar="KEY=VALUE"),
]
OutFlag = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write.", metavar="DIR")]
SeedFlag = Annotated[int | None, typer.Option("--seed", help="Override the seed.", min=0)]
JobsFlag = Annotated[int | None, typer.Option("--jobs", "-j", help="Threads to use (default: all cores).", min=1)]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would be done, write nothing.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")]
OverwriteFlag = Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")]
