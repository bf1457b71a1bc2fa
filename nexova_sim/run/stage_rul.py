"""The stage ``rul`` of ``nexova run``: remaining life of the dataset's machines, and how good the methods are."""

from __future__ import annotations

from typing import Any

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.rul import RulConfig
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("rul")
    return None if part is None else part.model_dump(mode="json")


def _run(work: Work) -> Metrics:
    from nexova_sim.run import rul as verb

    config = work.resolved.parts.get("rul")
    if not isinstance(config, RulConfig):
        raise ConfigError("the experiment has no section 'rul'")
    dataset, folder = work.inputs["dataset"], work.folder / "rul"
    found = verb.predict(dataset, config, out=folder / "predict", overwrite=True, progress=work.progress).result
    metrics: dict[str, Any] = {"method": found["method"], "machines": len(found["machines"])}
    try:
        judged = verb.evaluate(dataset, config, out=folder / "evaluate", overwrite=True, progress=work.progress).result
    except DataError:
        # Nothing to judge by: the predictions stand alone.
        return metrics
    for name, tables in judged["methods"].items():
        row = tables["capped"]["all"]
        metrics |= {f"{name}_rmse_h": row["rmse_h"]["value"], f"{name}_crps_h": row["crps_h"]["value"]}
    return metrics


RUL = Stage(
    needs=("dataset",),
    gives="rul",
    rooms=(*BASE_ROOMS, "kernels", "analyse", "prognose"),
    files=("config/rul.py", "config/track.py", "run/stage_rul.py", "run/rul.py", "run/rul_tracked.py", "run/plates.py"),
    exports=(),
    config=_config,
    run=_run,
)
