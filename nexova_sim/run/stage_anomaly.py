"""The stage ``anomaly`` of ``nexova run``: a detector fitted on the experiment's dataset, its scores and alarms."""

from __future__ import annotations

from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("anomaly")
    return None if part is None else part.model_dump(mode="json")


def _run(work: Work) -> Metrics:
    from nexova_sim.run.anomaly import fit_anomaly
    from nexova_sim.run.anomaly_score import score_anomaly

    config = work.resolved.parts.get("anomaly")
    if not isinstance(config, AnomalyConfig):
        raise ConfigError("the experiment has no section 'anomaly'")
    dataset, model = work.inputs["dataset"], work.folder / "model"
    fitted = fit_anomaly(dataset, config, model, overwrite=True)
    scored = score_anomaly(dataset, model, work.folder / "anomaly", overwrite=True, progress=work.progress)
    about = scored.manifest
    return {
        "detector": config.detector,
        "model_id": fitted.run_id,
        **{key: about[key] for key in ("threshold", "n_rows", "n_flags", "n_alarms", "machine_days")},
    }


ANOMALY = Stage(
    needs=("dataset",),
    gives="anomaly",
    rooms=(*BASE_ROOMS, "kernels", "analyse", "detect"),
    files=("config/anomaly.py", "run/stage_anomaly.py", "run/anomaly.py", "run/anomaly_score.py"),
    exports=(),
    config=_config,
    run=_run,
)
