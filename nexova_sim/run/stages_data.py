"""The stages simulate, describe and report of ``nexova run``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.base.plain import plain
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.dataset.stage import write_durably
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


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


def _describe(work: Work) -> Metrics:
    from nexova_sim.dataset.describe import describe
    from nexova_sim.dataset.read import open_dataset

    found = plain(describe(open_dataset(work.inputs["dataset"])))
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
    from nexova_sim.run.report_data import pages_of

    experiment = work.resolved.experiment
    section = experiment.report or ReportStage()
    made = pages_of(experiment, section, work.inputs, work.ids["dataset"], work.skipped, work.progress)
    for name, text in made.texts.items():
        write_durably(work.folder / name, text.encode("utf-8"))
    size = sum(len(text.encode("utf-8")) for text in made.texts.values())
    return {"bytes": size, "figures": made.n_figures, "states": made.states}


SIMULATE = Stage(
    needs=(),
    gives="dataset",
    rooms=(*BASE_ROOMS, "kernels", "simulate"),
    files=("run/simulate.py", "run/block.py"),
    exports=(),
    config=_simulate_config,
    run=_simulate,
)
DESCRIBE = Stage(
    needs=("dataset",),
    gives="description.json",
    rooms=BASE_ROOMS,
    files=("run/stages_data.py",),
    exports=(),
    config=_describe_config,
    run=_describe,
)


def report_stage(uses: tuple[str, ...]) -> Stage:
    """The last stage; each artifact of ``uses`` that is there becomes a chapter of the page."""
    room = Path(__file__).resolve().parent.parent / "report"
    resources = sorted(p.name for p in room.iterdir() if p.is_file() and p.suffix != ".py")
    return Stage(
        needs=("dataset", "description.json"),
        gives="report.html",
        rooms=(*BASE_ROOMS, "report"),
        files=("run/stages_data.py", "run/report_data.py", *(f"report/{name}" for name in resources)),
        exports=("report.html", "report.md"),
        config=_report_config,
        run=_report,
        uses=uses,
    )
