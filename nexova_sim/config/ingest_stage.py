"""The section ``ingest`` of an experiment: files of a plant and the mapping file that says how to read them."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Annotated

from pydantic import Field

from nexova_sim.base.errors import DataError
from nexova_sim.config.ingest import IngestMap, load_map
from nexova_sim.config.load import find_config
from nexova_sim.config.strict import Frac, Strict


class IngestStage(Strict):
    """Read ``files`` (CSV or Parquet; ``*`` and ``?`` stand for many) through the mapping file ``map``.

    Both are looked up from the working folder, then beside the experiment; ``overrides`` (key.path=value) go on top of
    the mapping. A file of which more than ``max_reject_frac`` is rejected is refused.
    """

    files: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    map: str
    overrides: list[str] = []
    max_reject_frac: Frac = 0.2


class IngestPart(Strict):
    """The section with its mapping read in and its files found, as absolute paths in the order of reading."""

    map: IngestMap
    files: list[str]
    max_reject_frac: float


def read_ingest_stage(section: IngestStage, base: Path) -> IngestPart:
    """What the section of an experiment names; ConfigError for the mapping, DataError when a file is not there."""
    rules = load_map(find_config(section.map, base), section.overrides)
    files = [str(path.absolute()) for name in section.files for path in _find_files(name, base)]
    doubled = sorted({name for name in files if files.count(name) > 1})
    if doubled:
        raise DataError(f"ingest.files: {doubled[0]} is named twice; name each file once")
    return IngestPart(map=rules, files=files, max_reject_frac=section.max_reject_frac)


def _find_files(name: str, base: Path) -> list[Path]:
    for folder in (Path(), base):
        place = folder / name
        if place.is_file():
            return [place]
        if any(mark in name for mark in "*?["):
            found = sorted(p for p in map(Path, glob.glob(str(place))) if p.is_file())  # noqa: PTH207 - any root
            if found:
                return found
    raise DataError(f"ingest.files: {name}: no such file, neither from the working folder nor beside the experiment")
