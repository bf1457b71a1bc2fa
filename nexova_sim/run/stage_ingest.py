"""The stage ``ingest`` of ``nexova run``: files of a real plant instead of a simulation."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.ingest_stage import IngestPart
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


@lru_cache(maxsize=4096)
def _digest(name: str, _n_bytes: int, _changed_ns: int) -> str:
    return hash_file(Path(name))


def ingest_inputs(part: IngestPart) -> list[list[str]]:
    """Name and SHA-256 of every file, in the order of reading; where a file lies does not matter."""
    found = []
    for name in part.files:
        try:
            about = Path(name).stat()
            found.append([Path(name).name, _digest(name, about.st_size, about.st_mtime_ns)])
        except OSError as error:
            raise DataError(f"ingest.files: {name}: cannot be read: {error.strerror}") from error
    return found


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("ingest")
    if not isinstance(part, IngestPart):
        return None
    told = part.model_dump(mode="json", exclude={"files"})
    return told | {"files": ingest_inputs(part)}


def _run(work: Work) -> Metrics:
    from nexova_sim.run.ingest import ingest

    part = work.resolved.parts.get("ingest")
    if not isinstance(part, IngestPart):
        raise ConfigError("the experiment has no section 'ingest'")
    done = ingest(part.files, part.map, work.folder / "dataset", part.max_reject_frac, True, work.progress)
    report = done.report
    return {
        "machines": done.manifest.n_machines,
        "rows": done.manifest.rows,
        "rejected": report["rejected"],
        "out_of_order": report["out_of_order"],
    }


INGEST = Stage(
    needs=(),
    gives="dataset",
    rooms=(*BASE_ROOMS, "config"),
    files=("run/stage_ingest.py", "run/ingest.py"),
    exports=(),
    config=_config,
    run=_run,
)
