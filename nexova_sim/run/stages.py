"""The stages of ``nexova run``: a read-only registry, in the order in which they run. Later stages are added as rows.

A stage reads artifacts that earlier stages left (a file or folder named like the artifact) and leaves its own in its
folder. Its identity is its part of the configuration, the code it runs through and the identity of what it reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.base.hashing import code_hash, hash_file, hash_value
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.dataset.stage import write_durably

Progress = Callable[[int, int], None]
Metrics = Mapping[str, Any]


class Work(NamedTuple):
    """What a stage gets: a folder to write to (half-filled when resumed), the experiment, its inputs by artifact."""

    folder: Path
    resolved: ResolvedExperiment
    inputs: Mapping[str, Path]
    ids: Mapping[str, str]
    jobs: int | None
    progress: Progress


class Stage(NamedTuple):
    """A row of the registry. ``rooms`` and ``files`` (below the package) are the code that shapes what it leaves.

    ``config`` picks what of the experiment matters to it (JSON-like); ``exports`` are copied into the run's folder.
    """

    needs: tuple[str, ...]
    gives: str
    rooms: tuple[str, ...]
    files: tuple[str, ...]
    exports: tuple[str, ...]
    config: Callable[[ResolvedExperiment], Any]
    run: Callable[[Work], Metrics]


def stage_code(stage: Stage) -> str:
    """Fingerprint of the code a stage runs through."""
    package = Path(__file__).resolve().parent.parent
    return hash_value([code_hash(*stage.rooms), [hash_file(package / name) for name in stage.files]])


def check_stage(name: str, flag: str) -> None:
    """ConfigError with the nearest name when ``name`` is no stage."""
    if name not in STAGES:
        raise ConfigError(f"{flag} {name}: there is no such stage; {suggest(name, STAGES)}", got=name)


def _simulate_config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    return resolved.fleet.model_dump(mode="json") if resolved.fleet else None


def _simulate(work: Work) -> Metrics:
    from nexova_sim.run.simulate import simulate

    if work.resolved.fleet is None:
        raise ConfigError("the experiment has no section 'simulate'")
    done = simulate(work.resolved.fleet, work.folder / "dataset", work.jobs, overwrite=True, progress=work.progress)
    return {"machines": done.manifest.n_machines, "rows": done.manifest.rows}


def _describe_config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    return resolved.experiment.describe.model_dump(mode="json") if resolved.experiment.describe else None


def _plain(value: Any) -> Any:  # noqa: ANN401
    """JSON-safe copy of a description: NaN and infinity become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _describe(work: Work) -> Metrics:
    from nexova_sim.dataset.describe import describe
    from nexova_sim.dataset.read import open_dataset

    found = _plain(describe(open_dataset(work.inputs["dataset"])))
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(work.folder / "description.json", text.encode("utf-8"))
    nan = {c["name"]: c["nan"] for c in found["channels"]}
    return {
        "bytes": found["bytes"],
        "gaps": found["gaps"]["n_gaps"],
        "missing_rows": found["gaps"]["missing_rows"],
        "nan": nan,
    }


def _report_config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    experiment = resolved.experiment
    section = experiment.report.model_dump(mode="json") if experiment.report else None
    return {"name": experiment.name, "title": experiment.title, "report": section}


def _report(work: Work) -> Metrics:
    from nexova_sim.config.experiment import ReportStage
    from nexova_sim.report.html import render
    from nexova_sim.run.report_data import collect, making_of

    experiment = work.resolved.experiment
    section = experiment.report or ReportStage()
    fleet = collect(work.inputs["dataset"], work.inputs["description.json"], section, work.progress)
    is_simulated = experiment.simulate is not None
    making = making_of(work.inputs["dataset"], work.ids["dataset"], is_simulated, fleet.manifest)
    page = render(experiment.title or experiment.name, fleet, making, section.max_figures)
    data = page.html.encode("utf-8")
    write_durably(work.folder / "report.html", data)
    return {"bytes": len(data), "figures": page.n_figures, "states": page.states}


_BASE = ("base", "schema", "dataset")
STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "simulate": Stage(
            needs=(),
            gives="dataset",
            rooms=(*_BASE, "kernels", "simulate"),
            files=("run/simulate.py",),
            exports=(),
            config=_simulate_config,
            run=_simulate,
        ),
        "describe": Stage(
            needs=("dataset",),
            gives="description.json",
            rooms=_BASE,
            files=("run/stages.py",),
            exports=(),
            config=_describe_config,
            run=_describe,
        ),
        "report": Stage(
            needs=("dataset", "description.json"),
            gives="report.html",
            rooms=(*_BASE, "report"),
            files=("run/stages.py", "run/report_data.py", "report/page.html.j2", "report/page.css", "report/page.js"),
            exports=("report.html",),
            config=_report_config,
            run=_report,
        ),
    }
)
