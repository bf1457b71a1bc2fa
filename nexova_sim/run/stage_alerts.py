"""The stage ``alerts`` of ``nexova run``: the experiment's policy over its dataset."""

from __future__ import annotations

from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.alert import AlertPolicy
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("alerts")
    return None if part is None else part.model_dump(mode="json")


def _run(work: Work) -> Metrics:
    from nexova_sim.run.alerts import run_alerts

    policy = work.resolved.parts.get("alerts")
    if not isinstance(policy, AlertPolicy):
        raise ConfigError("the experiment has no section 'alerts'")
    done = run_alerts(work.inputs["dataset"], policy, work.folder / "alerts", overwrite=True, progress=work.progress)
    kpi = done.kpi
    keys = ("policy", "alerts", "announced", "open", "per_operator_hour", "chattering")
    return {key: kpi[key] for key in keys} | _found(kpi.get("detection"))


def _found(detection: dict[str, Any] | None) -> dict[str, Any]:
    """What was found of the labelled faults, by kind and of all; nothing where nothing is labelled."""
    if detection is None:
        return {}
    keys = ("events", "found", "recall_frac", "chance_frac", "delay_median_h")
    rows = {row["kind"].removesuffix(" faults").replace(": ", "_"): row for row in detection["kinds"]}
    kinds = {kind: {key: row[key] for key in keys} for kind, row in rows.items()}
    return {"precision_frac": detection["precision_frac"], "faults": kinds}


ALERTS = Stage(
    needs=("dataset",),
    gives="alerts",
    rooms=(*BASE_ROOMS, "kernels", "alert"),
    files=("config/alert.py", "run/stage_alerts.py", "run/alerts.py"),
    exports=(),
    config=_config,
    run=_run,
)
