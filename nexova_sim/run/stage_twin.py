"""The stage ``twin`` of ``nexova run``: the hidden state of every machine of the experiment's dataset."""

from __future__ import annotations

from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.track import TrackConfig
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("twin")
    return None if part is None else part.model_dump(mode="json")


def _run(work: Work) -> Metrics:
    from nexova_sim.run.track import track

    config = work.resolved.parts.get("twin")
    if not isinstance(config, TrackConfig):
        raise ConfigError("the experiment has no section 'twin'")
    done = track(work.inputs["dataset"], config, work.folder / "twin", overwrite=True, progress=work.progress)
    machines = done.summary["machines"]
    return {
        "n_machines": done.summary["n_machines"],
        "n_skipped": len(done.summary["skipped"]),
        "n_critical": sum(m["risk_class"] == "CRITICAL" for m in machines),
        "worst_health_percent": min((m["health_mean"] for m in machines), default=None),
        "mean_effective_samples": done.summary["mean_effective_samples"],
    }


TWIN = Stage(
    needs=("dataset",),
    gives="twin",
    rooms=(*BASE_ROOMS, "kernels", "prognose"),
    files=("config/track.py", "run/stage_twin.py", "run/track.py", "run/plates.py"),
    exports=(),
    config=_config,
    run=_run,
)
