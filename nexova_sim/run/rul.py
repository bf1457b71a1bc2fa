"""``nexova rul``: remaining life of a dataset's machines by every method, and how good the methods are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import yaml

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.base.plain import plain
from nexova_sim.config.rul import RulConfig
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry, write_table
from nexova_sim.prognose.life_judge import judge
from nexova_sim.prognose.life_metrics import central
from nexova_sim.prognose.life_truth import read_truth
from nexova_sim.prognose.lives import last_cuts, read_histories, read_lives, regular_cuts
from nexova_sim.prognose.prognosis import Forecast, Study, Tracked, cross_forecast, forecast_other
from nexova_sim.run.rul_tracked import TRACKED_METHODS, track_study, why_not_tracked
from nexova_sim.schema.manifest import MANIFEST_NAME
from nexova_sim.schema.tables import time_array

Progress = Callable[[int, int], None]
FORMAT = "nexova-rul"
_ROOMS = ("base", "config", "kernels", "schema", "dataset", "analyse", "prognose", "run")
_COSTS = ("failure_usd", "failure_h", "lost_production_usd_per_h")
_PREFERRED = ("twin", "ensemble", "gradient_boosting", "random_forest", "quantile_boosting", "decision_tree")


class RulResult(NamedTuple):
    """What a verb left: its folder, and the content of its result file (predict.json or evaluate.json)."""

    folder: Path
    run_id: str
    result: dict[str, Any]
    was_there: bool


class _Job(NamedTuple):
    verb: str
    folder: Path
    ident: str
    config_hash: str
    code: str


def no_progress(done: int, total: int) -> None:
    """Progress callback that shows nothing."""


def _job(verb: str, inputs: Mapping[str, Any], config: RulConfig, out: Path | None) -> _Job:
    config_hash = hash_value({"verb": verb, "config": config.model_dump(mode="json"), **inputs})
    code = code_hash(*_ROOMS)
    ident = run_id(config_hash, code)
    return _Job(verb, out or Path("results") / f"rul-{verb}" / config.name / ident, ident, config_hash, code)


def _open(folder: Path, train: Path | None) -> tuple[Dataset, Dataset | None]:
    if train is not None and train.resolve() == folder.resolve():
        raise ConfigError(f"--train {train}: is the dataset itself; leave --train out, folds keep machines apart then")
    return open_dataset(folder), None if train is None else open_dataset(train)


def _study(dataset: Dataset, config: RulConfig, is_last: bool, until_ms: int | None = None) -> Study:
    histories = read_histories(dataset, config.features)
    lives = read_lives(dataset, histories, until_ms)
    cuts = last_cuts(histories, lives) if is_last else regular_cuts(histories, lives, config.asking)
    if not len(cuts.life):
        why = "every machine is down at that moment" if is_last else "no life is long enough for asking.least_h"
        raise DataError(f"{dataset.folder}: no moment to ask at: {why}")
    return Study(histories, lives, cuts)


def _same_channels(dataset: Dataset, study: Study, other: Study) -> Study:
    """``study`` with the channels of ``other``, in its order; DataError when one is missing."""
    missing = [c for c in other.histories.channels if c not in study.histories.channels]
    if missing:
        raise DataError(f"{dataset.folder}: has no channel {missing[0]!r}, which the training dataset has")
    order = [study.histories.channels.index(c) for c in other.histories.channels]
    histories = study.histories._replace(channels=other.histories.channels, values=study.histories.values[order])
    return study._replace(histories=histories)


def _forecasts(
    opened: tuple[Dataset, Dataset | None], asked: Study, config: RulConfig, until_ms: int | None, progress: Progress
) -> dict[str, Forecast]:
    """Forecasts at the cuts of ``asked``, trained on the other dataset, or on this one up to ``until_ms``."""
    dataset, other = opened
    train = _study(other or dataset, config, False, None if other else until_ms)
    if other is not None:
        asked = _same_channels(dataset, asked, train)
    tracked = (_track(other or dataset, train, config), _track(dataset, asked, config))
    return forecast_other(train, asked, config, tracked, progress)


def _track(dataset: Dataset, study: Study, config: RulConfig) -> Tracked | None:
    return track_study(dataset, study, config) if set(config.methods) & set(TRACKED_METHODS) else None


def _left_out(dataset: Dataset, config: RulConfig, made: Mapping[str, Forecast]) -> dict[str, str]:
    return {name: why_not_tracked(dataset) for name in config.methods if name not in made}


def evaluate(folder: Path | str, config: RulConfig, train: Path | None = None, out: Path | None = None,
             overwrite: bool = False, progress: Progress = no_progress) -> RulResult:  # fmt: skip
    """Judge every method on a dataset; without ``train`` by folds of machines at regular moments of their lives.

    With ``train`` methods learn from that dataset and every machine of ``folder`` is asked once, at its last known
    moment. True lives are the truth table's where there is one, else the observed failures. Raises DataError when too
    little is known to learn or to judge.
    """
    dataset, other = _open(Path(folder), train)
    inputs = {"dataset": _identity(dataset), "train": other and _identity(other)}
    job = _job("evaluate", inputs, config, out)
    if not overwrite and is_same(job.folder, job.config_hash, job.code):
        return RulResult(job.folder, job.ident, _stored(job), True)
    study = _study(dataset, config, other is not None)
    truth = read_truth(dataset, study.cuts)
    if other is None:
        forecasts = cross_forecast(study, config, _track(dataset, study, config), progress)
    else:
        forecasts = _forecasts((dataset, other), study, config, None, progress)
    if truth is None and not np.isfinite(study.cuts.target_h).any():
        raise DataError(
            f"{dataset.folder}: holds neither true remaining lives nor a failure, so nothing can be judged; "
            "'nexova rul predict' needs neither (for turbofan files add --rul when ingesting)"
        )
    result = judge(study, forecasts, truth, config)
    how = "last known moment of every machine" if other else f"{config.learning.n_folds} folds of machines"
    result |= {"name": config.name, "how": how, "left_out": _left_out(dataset, config, forecasts), **inputs}
    _write(job, config, result, _table(study, forecasts, config, truth), overwrite)
    return RulResult(job.folder, job.ident, plain(result), False)


def predict(folder: Path | str, config: RulConfig, train: Path | None = None, at: str | None = None,
            out: Path | None = None, overwrite: bool = False,
            progress: Progress = no_progress) -> RulResult:  # fmt: skip
    """Remaining life of every machine that is alive at time ``at`` (default: the end), as a distribution per method.

    Nothing later than ``at`` is used, and neither truth nor labels. Without ``train`` methods learn from the lives this
    dataset shows up to then. Raises DataError when too few lives are known, ConfigError for a time outside the data.
    """
    dataset, other = _open(Path(folder), train)
    until_ms = None if at is None else parse_time(at, "--at")
    start_ms, end_ms = (parse_time(t, "time") for t in (dataset.manifest.start, dataset.manifest.end))
    if until_ms is not None and not start_ms < until_ms <= end_ms:
        raise ConfigError(
            f"--at {at}: outside the data, which last from {dataset.manifest.start} to {dataset.manifest.end}"
        )
    inputs = {"dataset": _identity(dataset), "train": other and _identity(other), "at": until_ms}
    job = _job("predict", inputs, config, out)
    if not overwrite and is_same(job.folder, job.config_hash, job.code):
        return RulResult(job.folder, job.ident, _stored(job), True)
    study = _study(dataset, config, True, until_ms)
    forecasts = _forecasts((dataset, other), study, config, until_ms, progress)
    method = next(name for name in (*_PREFERRED, *forecasts) if name in forecasts)
    result = {
        "name": config.name,
        "method": method,
        "horizon_h": config.judging.horizon_h,
        "coverage_frac": config.judging.coverage_frac,
        "left_out": _left_out(dataset, config, forecasts),
        "machines": _fleet(dataset, study, forecasts[method], config),
        **inputs,
    }
    _write(job, config, result, _table(study, forecasts, config, None), overwrite)
    return RulResult(job.folder, job.ident, plain(result), False)


def outline(folder: Path | str, config: RulConfig, train: Path | None = None, at: str | None = None) -> dict[str, Any]:
    """What a verb would do, without learning or writing: lives, moments and methods; errors as the verb's."""
    dataset, other = _open(Path(folder), train)
    until_ms = None if at is None else parse_time(at, "--at")
    taught = _study(other or dataset, config, False, None if other else until_ms)
    return {
        "dataset": str(folder),
        "train": str(train or folder),
        "machines": len(dataset.machine_ids()),
        "channels": list(taught.histories.channels),
        "lives to learn from": len(taught.lives.machine),
        "of them with a failure": int(taught.lives.is_failure.sum()),
        "moments to learn from": len(taught.cuts.life),
        "methods": list(config.methods),
    }


def _identity(dataset: Dataset) -> str:
    return hash_value([dataset.manifest.config_hash, dataset.manifest.code_hash, dataset.manifest.rows])[:12]


def _fleet(dataset: Dataset, study: Study, forecast: Forecast, config: RulConfig) -> list[dict[str, Any]]:
    """Machines by expected cost of doing nothing over the horizon: chance of failure times repair and lost production.

    By chance of failure where costs are not known.
    """
    table = dataset.read("machines", columns=["machine_id", "kind", *_COSTS])
    usd, hours, lost = (table[name].to_numpy(zero_copy_only=False).astype(float) for name in _COSTS)
    cost = (usd + hours * lost)[study.cuts.machine] * forecast.p_fail
    low, high = central(forecast.quantile_h, config.judging.coverage_frac)
    rows = [
        {
            "machine_id": study.histories.machine_ids[machine],
            "kind": str(study.histories.kind[machine]),
            "rul_h": float(forecast.point_h[n]),
            "low_h": float(low[n]),
            "high_h": float(high[n]),
            "p_fail": float(forecast.p_fail[n]),
            "cost_of_waiting_usd": float(cost[n]),
        }
        for n, machine in enumerate(study.cuts.machine)
    ]
    return sorted(rows, key=lambda r: (-np.nan_to_num(r["cost_of_waiting_usd"]), -r["p_fail"], r["rul_h"]))


def _table(study: Study, forecasts: Mapping[str, Forecast], config: RulConfig, truth_h: np.ndarray | None) -> pa.Table:
    """One row per method and moment: point, quantiles, probability of failure within the horizon, truth if known."""
    n = len(study.cuts.life)
    ids = np.array(study.histories.machine_ids, object)[study.cuts.machine].tolist()
    parts = []
    for name, forecast in forecasts.items():
        low, high = central(forecast.quantile_h, config.judging.coverage_frac)
        columns: dict[str, Any] = {
            "method": [name] * n,
            "machine_id": ids,
            "timestamp": time_array(study.cuts.time_ms),
            "rul_h": pa.array(forecast.point_h),
            "low_h": pa.array(low),
            "median_h": pa.array((forecast.quantile_h[:, 49] + forecast.quantile_h[:, 50]) / 2.0),
            "high_h": pa.array(high),
            "p_fail_raw": pa.array(forecast.p_raw),
            "p_fail": pa.array(forecast.p_fail),
        }
        if truth_h is not None:
            columns["true_rul_h"] = pa.array(truth_h, from_pandas=True)
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _write(job: _Job, config: RulConfig, result: Mapping[str, Any], table: pa.Table, overwrite: bool) -> None:
    with staged(job.folder, {"config": job.config_hash, "code": job.code}, overwrite) as stage:
        entries = [write_table(stage, "predictions.parquet", table)]
        texts = {
            f"{job.verb}.json": json.dumps(plain(result), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
            "config.resolved.yaml": yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False),
        }
        for name, text in texts.items():
            write_durably(stage.folder / name, text.encode())
            entries.append(file_entry(stage, name, 0))
        _write_manifest(stage, job, [e.model_dump() for e in entries])


def _write_manifest(stage: Stage, job: _Job, files: list[dict[str, Any]]) -> None:
    manifest = {
        "format": FORMAT,
        "verb": job.verb,
        "config_hash": job.config_hash,
        "code_hash": job.code,
        "files": files,
    }
    write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def _stored(job: _Job) -> dict[str, Any]:
    path = job.folder / f"{job.verb}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); make it anew with --overwrite") from error
    return found
