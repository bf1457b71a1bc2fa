"""``nexova runs verify``: make a run again in a temporary folder, and compare every file of every stage."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import CheckFailedError, ConfigError, DataError
from nexova_sim.base.hashing import hash_file
from nexova_sim.dataset.stage import explain_os_error
from nexova_sim.run.experiment import identify, run_experiment
from nexova_sim.run.records import read_json, read_manifest, read_resolved
from nexova_sim.run.runs import Run, StageState, find_run, stage_states

# The second copy needs the room of the first, and while a stage is written a little more.
_ROOM_FACTOR, _ROOM_BYTES = 1.2, 50_000_000


# Measured times that some stages keep among their results, and hashes that follow from them; every file of a list of
# files is compared by itself.
_COSTS = frozenset({"cpu_s", "wall_s", "training_s", "inference_s_per_million", "cpu_us_per_decision",
                    "manifest_sha256", "files"})  # fmt: skip
_SHOWS_COSTS = "report"


class Verified(NamedTuple):
    """What a verification found. ``differs``: one line per file that is not the same, with the reason.

    ``timed``: files that differ in measured times only, and the report that shows these times.
    """

    folder: Path
    run_id: str
    is_same_code: bool
    files: int
    bytes: int
    differs: tuple[str, ...]
    timed: tuple[str, ...]


def differs_in_costs(first: Path, second: Path) -> bool:
    """Whether two JSON files are equal but for measured times."""
    if first.suffix != ".json":
        return False
    one, other = read_json(first), read_json(second)
    return one is not None and other is not None and _timeless(one) == _timeless(other)


def _timeless(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _timeless(part) for key, part in value.items() if key not in _COSTS}
    return [_timeless(part) for part in value] if isinstance(value, list) else value


def verify_run(address: str, root: Path = Path("results"), jobs: int | None = None, scratch: Path | None = None,
               watch: Callable[[str, int, int], None] | None = None) -> Verified:  # fmt: skip
    """Run the experiment of a run again, in a folder below ``scratch`` (default: the system's) that is removed.

    Raises CheckFailedError (exit 1) that lists what differs; DataError when the run or its inputs are not there or the
    disk has no room for a second copy.
    """
    run = find_run(address, root)
    if run.kind != "run":
        raise ConfigError(f"{run.folder}: is a {run.kind}; verify the runs of its trials one by one (below its runs/)")
    resolved = read_resolved(run.folder)
    stages = [s for s in stage_states(run) if s.state != "skipped"]
    place = scratch or Path(tempfile.gettempdir())
    _check_room(place, sum(s.bytes for s in stages))
    is_same_code = identify(resolved) == run.ident
    differs: list[str] = []
    timed: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="nexova-verify-", dir=place) as name:
            again = run_experiment(resolved, Path(name), jobs=jobs, watch=watch)
            made = {stage.name: stage.folder for stage in again.stages if stage.state != "skipped"}
            for stage in stages:
                lines, costs = compare_stage(stage, made.get(stage.name))
                if stage.name == _SHOWS_COSTS and timed and not differs:
                    lines, costs = [], costs + lines
                differs += lines
                timed += costs
            differs += _exports(run, stages, [path.name for path in again.exports])
    except OSError as error:
        raise explain_os_error(error, place) from error
    found = Verified(run.folder, run.ident, is_same_code, sum(s.files for s in stages), sum(s.bytes for s in stages),
                     tuple(differs), tuple(timed))  # fmt: skip
    if differs:
        why = "" if is_same_code else "; it was made by other code or inputs than are here now, which may be the reason"
        shown = "; ".join(differs[:20]) + (f"; ... {len(differs) - 20} more" if len(differs) > 20 else "")
        message = f"{run.folder}: {len(differs)} of {found.files} files differ{why}: {shown}"
        raise CheckFailedError(message, **found._asdict() | {"folder": str(found.folder)})
    return found


def _check_room(place: Path, n_bytes: int) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise explain_os_error(error, place) from error
    need = int(n_bytes * _ROOM_FACTOR) + _ROOM_BYTES
    if free < need:
        raise DataError(
            f"{place}: {free / 1e6:.0f} MB are free and {need / 1e6:.0f} MB are needed to make the run again; free "
            "some space or give another folder with --scratch"
        )


def _listed(folder: Path) -> dict[str, str] | None:
    """Path and hash of every file as the manifest of a stage tells them; None when there is none that is readable."""
    try:
        return {str(f["path"]): str(f["sha256"]) for f in (read_manifest(folder) or {})["files"]}
    except (KeyError, TypeError):
        return None


def compare_stage(stage: StageState, again: Path | None) -> tuple[list[str], list[str]]:
    """One line per file of a stage that is damaged or not the same in ``again``; those that differ in times apart."""
    first, second = _listed(stage.folder), None if again is None else _listed(again)
    if first is None or second is None:
        return [f"{stage.name}: {'not there any more' if first is None else 'could not be made again'}"], []
    found: list[str] = []
    timed: list[str] = []
    assert again is not None
    for path in sorted({*first, *second}):
        target = stage.folder / path
        if path in first and (not target.is_file() or hash_file(target) != first[path]):
            found.append(f"{stage.name}/{path}: damaged since it was written")
        elif path not in second:
            found.append(f"{stage.name}/{path}: is not made any more")
        elif path not in first:
            found.append(f"{stage.name}/{path}: is new")
        elif first[path] != second[path]:
            lines = timed if differs_in_costs(target, again / path) else found
            lines.append(f"{stage.name}/{path}: {first[path][:12]} was, {second[path][:12]} is")
    return found, timed


def _exports(run: Run, stages: list[StageState], names: list[str]) -> list[str]:
    """Lines for the files copied beside the run's records that are not what their stage left."""
    found = []
    for name in names:
        ours = run.folder / name
        left = [hashes[name] for stage in stages if name in (hashes := _listed(stage.folder) or {})]
        if not ours.is_file() or hash_file(ours) not in left:
            found.append(f"{name}: {'differs' if ours.is_file() else 'is missing'}")
    return found
