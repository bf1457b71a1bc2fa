"""The stage ``forecast`` of ``nexova run``: energy of the week after the data, and how good the models were before."""

from __future__ import annotations

from typing import Any

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part, section = resolved.parts.get("forecast"), resolved.experiment.forecast
    if part is None or section is None:
        return None
    return {"forecast": part.model_dump(mode="json"), "backtest": section.backtest}


def _run(work: Work) -> Metrics:
    from nexova_sim.run import forecast as verb

    config, section = work.resolved.parts.get("forecast"), work.resolved.experiment.forecast
    if not isinstance(config, ForecastConfig) or section is None:
        raise ConfigError("the experiment has no section 'forecast'")
    dataset, folder = work.inputs["dataset"], work.folder / "forecast"
    found = verb.predict(dataset, config, folder / "predict", overwrite=True, jobs=work.jobs).result
    metrics: dict[str, Any] = {k: found[k] for k in ("model", "left_out", "fallbacks")}
    if not section.backtest:
        return metrics
    try:
        judged = verb.backtest(dataset, config, folder / "backtest", overwrite=True, jobs=work.jobs,
                               progress=work.progress).result  # fmt: skip
    except DataError:
        # Too short to judge by its own past; the forecast stands alone.
        return metrics
    return metrics | {f"{name}_mase": row["mase"] for name, row in judged["models"].items()}


FORECAST = Stage(
    needs=("dataset",),
    gives="forecast",
    rooms=(*BASE_ROOMS, "kernels", "simulate", "forecast"),
    files=("config/forecast.py", "run/stage_forecast.py", "run/forecast.py", "run/forecast_calendar.py",
           "run/forecast_fit.py", "run/forecast_floor.py", "run/opportunities_verify.py"),
    exports=(),
    config=_config,
    run=_run,
)  # fmt: skip
