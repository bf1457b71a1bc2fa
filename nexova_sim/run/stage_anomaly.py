"""The stage ``anomaly`` of ``nexova run``: a detector fitted on the experiment's dataset, its scores and alarms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.anomaly import AnomalyConfig, AnomalyStage
from nexova_sim.config.evaluation import load_evaluation
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.stage import write_durably
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part, section = resolved.parts.get("anomaly"), resolved.experiment.anomaly
    if part is None or section is None:
        return None
    rules = None if section.evaluate is None else load_evaluation(section.evaluate).model_dump(mode="json")
    return {"anomaly": part.model_dump(mode="json"), "evaluate": rules}


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
    metrics: dict[str, Any] = {
        "detector": config.detector,
        "model_id": fitted.run_id,
        **{key: about[key] for key in ("threshold", "n_rows", "n_flags", "n_alarms", "machine_days")},
    }
    return metrics | _evaluation(dataset, work.folder / "anomaly", work.resolved.experiment.anomaly)


def _evaluation(source: Path, folder: Path, section: AnomalyStage | None) -> dict[str, Any]:
    """Judge the scores against the labels, where there are any to judge by; leaves evaluation.json beside them."""
    from nexova_sim.run.anomaly_evaluate import EVALUATION_NAME, judge_scores

    dataset = open_dataset(source)
    if section is None or section.evaluate is None or "labels" not in dataset.tables():
        return {}
    if dataset.manifest.source != "simulate" and dataset.manifest.rows.get("labels", 0) == 0:
        # A plant that labels no fault has not said that there was none: every alarm would count as false.
        return {}
    try:
        found, _ = judge_scores(dataset, folder, load_evaluation(section.evaluate))
    except DataError:
        # Nothing is left to judge after the learning time; the scores stand alone.
        return {}
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(folder / EVALUATION_NAME, text.encode())
    row = found["detector"]
    return {
        "precision_frac": row["precision"]["value"],
        "recall_frac": row["event_recall"]["value"],
        "vus_pr": row["vus_pr"],
    }


ANOMALY = Stage(
    needs=("dataset",),
    gives="anomaly",
    rooms=(*BASE_ROOMS, "kernels", "analyse", "forecast", "detect"),
    files=(
        "config/anomaly.py",
        "run/stage_anomaly.py",
        "run/anomaly.py",
        "run/anomaly_score.py",
        "config/evaluation.py",
        "run/anomaly_evaluate.py",
    ),
    exports=(),
    config=_config,
    run=_run,
)
