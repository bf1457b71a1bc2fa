"""The stage ``energy`` of ``nexova run``: savings in the dataset, controllers compared, a schedule for tomorrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.energy_stage import ResolvedEnergy
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.load import find_config
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.stage import write_durably
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work

_MOST_CURVES = 32


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("energy")
    if not isinstance(part, ResolvedEnergy):
        return None
    from nexova_sim.run.energy_evaluate import model_paths
    from nexova_sim.run.energy_plan import planner

    # Folders differ from machine to machine; what lies in them is what counts.
    told = part.model_dump(mode="json", exclude={"evaluate": {"folder"}, "plan": {"folder"}, "training": True})
    files = {name: [hash_file(p) for p in paths] for name, paths in model_paths(part.evaluate).items()}
    rule = find_config(part.plan.plan.rule_model, Path(part.plan.folder))
    model = planner(part.plan, None)[1]
    curves = [(p.name, hash_file(p)) for p in _curves(part.training)]
    return [told, files, hash_file(rule), None if model is None else hash_file(model), curves]


def _curves(training: str | None) -> list[Path]:
    """History files of a training or search, in order; ConfigError when the folder has none."""
    if training is None:
        return []
    found = sorted(Path(training).glob("history-*.csv"))[:_MOST_CURVES]
    if not found:
        raise ConfigError(
            f"energy.training: {training} holds no history-*.csv; give a folder of 'nexova energy tune' or 'train', "
            "or null"
        )
    return found


def _run(work: Work) -> Metrics:
    from nexova_sim.run.energy_evaluate import evaluate
    from nexova_sim.run.energy_plan import plan
    from nexova_sim.run.opportunities import find_opportunities

    part = work.resolved.parts.get("energy")
    if not isinstance(part, ResolvedEnergy):
        raise ConfigError("the experiment has no section 'energy'")
    dataset, folder = work.inputs["dataset"], work.folder / "energy"
    is_verified = part.verify and open_dataset(dataset).manifest.source == "simulate"
    found = find_opportunities(
        dataset, part.opportunities, folder / "opportunities", is_verified, overwrite=True
    ).summary
    work.progress(1, 3)
    judged = evaluate(part.evaluate, "validation", folder / "evaluate", overwrite=True).summary
    work.progress(2, 3)
    try:
        made = plan(dataset, part.plan, None, folder / "plan", True, _forecast(work)).summary
    except DataError as error:
        # A dataset that nothing can be planned from still has its opportunities.
        write_durably(folder / "no-plan.txt", f"{error}\n".encode())
        made = {"costs": {}, "controller": "", "saving_usd": {}}
    for path in _curves(part.training):
        (folder / "training").mkdir(exist_ok=True)
        write_durably(folder / "training" / path.name, path.read_bytes())
    metrics: dict[str, Any] = {"opportunities": found["n_opportunities"],
                               "saving_usd_per_year": found["saving_usd_per_year"]}  # fmt: skip
    metrics |= {f"{row['controller']}_usd_per_day": row["mean_usd"]["value"] for row in judged["controllers"]}
    for name, saved in made["saving_usd"].items():
        metrics[f"plan_saves_over_{name}_usd"] = saved
    return metrics


def _forecast(work: Work) -> Path | None:
    """The forecast of an earlier stage, when there is one and it was made."""
    folder = work.inputs.get("forecast")
    return folder if folder is not None and (folder / "predict" / "forecast.parquet").is_file() else None


ENERGY = Stage(
    needs=("dataset",),
    gives="energy",
    rooms=(*BASE_ROOMS, "kernels", "analyse", "schedule"),
    files=("config/energy_stage.py", "config/energy.py", "config/plan.py", "config/study.py", "config/opportunity.py",
           "run/stage_energy.py", "run/energy.py", "run/energy_evaluate.py", "run/energy_plan.py", "run/plan_site.py",
           "run/plan_usual.py", "run/opportunities.py", "run/opportunities_verify.py", "report/plan_figure.py"),
    exports=(),
    config=_config,
    run=_run,
    uses=("forecast",),
)  # fmt: skip
