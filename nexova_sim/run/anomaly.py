"""``nexova anomaly fit | score | explain``: dataset -> model folder; dataset and model -> scores and alarms; why."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.analyse.models import read_model_manifest, write_model
from nexova_sim.base.errors import ConfigError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.rows import channel_names
from nexova_sim.dataset.stage import is_same, staged
from nexova_sim.detect.anomaly import fit_model, split_time
from nexova_sim.detect.anomaly_model import KIND, load_anomaly_model, to_arrays
from nexova_sim.detect.thresholds import threshold_score

Progress = Callable[[int, int], None]
ROOMS = ("base", "config", "kernels", "schema", "dataset", "analyse", "forecast", "detect")


class FitResult(NamedTuple):
    """A fitted model: its folder, id and manifest; ``was_there``: nothing was done."""

    folder: Path
    run_id: str
    manifest: dict[str, Any]
    was_there: bool


def no_progress(_done: int, _total: int) -> None:
    """Nothing to show."""


def dataset_hash(dataset: Dataset) -> str:
    """Fingerprint of a dataset: the hash of its manifest, which holds the hash of every file."""
    return hash_value(dataset.manifest.model_dump(mode="json"))


def fit_hash(dataset: Dataset, config: AnomalyConfig) -> str:
    """Hash of everything a model depends on besides code."""
    return hash_value([config.model_dump(mode="json"), dataset_hash(dataset)])


def default_model_folder(dataset: Dataset, config: AnomalyConfig, results: Path = Path("results")) -> Path:
    """Where a model goes when no ``--out`` is given: results/anomaly/<detector name>-<dataset>/<run id>."""
    ident = run_id(fit_hash(dataset, config), code_hash(*ROOMS))
    return results / "anomaly" / f"{config.name}-{dataset.manifest.name}" / ident


def check_channels(dataset: Dataset, config: AnomalyConfig) -> None:
    """ConfigError when the configuration names a channel that the dataset does not have."""
    known = channel_names(dataset)
    for name in config.channels or ():
        if name not in known:
            from nexova_sim.base.errors import suggest

            raise ConfigError(f"channels: {name!r} is not in {dataset.folder}; {suggest(name, known)}", got=name)


def outline(source: str | Path, config: AnomalyConfig, out: Path | None = None) -> dict[str, Any]:
    """What a fit would do, without doing it."""
    dataset = open_dataset(source)
    check_channels(dataset, config)
    return {
        "folder": str(out or default_model_folder(dataset, config)),
        "detector": config.detector,
        "channels": list(config.channels or channel_names(dataset)),
        "machines": len(dataset.machine_ids()),
        "readings": dataset.manifest.rows.get("readings", 0),
        "held_out_from_ms": split_time(dataset, config),
        "budget_per_machine_day": config.calibration.budget_per_machine_day,
    }


def fit_anomaly(source: str | Path, config: AnomalyConfig, out: Path | None = None, overwrite: bool = False,
                progress: Progress = no_progress) -> FitResult:  # fmt: skip
    """Fit a detector on the first part of a dataset, calibrate it on the rest, save it; labels are not read.

    The same dataset, configuration and code need no second fit. Raises DataError for fewer than 50 readings,
    ConfigError for an unknown channel.
    """
    dataset = open_dataset(source)
    check_channels(dataset, config)
    config_hash, code = fit_hash(dataset, config), code_hash(*ROOMS)
    folder, ident = out or default_model_folder(dataset, config), run_id(config_hash, code)
    if not overwrite and is_same(folder, config_hash, code):
        return FitResult(folder, ident, read_model_manifest(folder), True)
    began = time.process_time()
    model = fit_model(dataset, config, progress)
    training_s = time.process_time() - began
    limits = {name.removeprefix("kind:"): [float(v) for v in row] for name, row in
              zip(model.scale.names, model.scale.limit, strict=True)}  # fmt: skip
    about = {
        "kind": KIND,
        "name": config.name,
        "model_id": ident,
        "config": config.model_dump(mode="json"),
        "data": {"name": dataset.manifest.name, "sha256": dataset_hash(dataset), "start": dataset.manifest.start,
                 "end": dataset.manifest.end, "held_out_from_ms": split_time(dataset, config),
                 "readings": dataset.manifest.rows.get("readings", 0)},
        "config_hash": config_hash,
        "code_hash": code,
        "metrics": {"threshold": float(threshold_score(model.scale.knots)), "held_out_sample": len(model.scale.knots),
                    "limits": limits},
        "training_s": round(training_s, 3),
        "inference_s_per_million": round(_inference_s(dataset, model), 3),
    }  # fmt: skip
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        manifest = write_model(stage, to_arrays(model), about)
    return FitResult(folder, ident, manifest, False)


def _inference_s(dataset: Dataset, model: Any) -> float:  # noqa: ANN401
    """CPU-seconds to read and score a million readings, measured on the first ones of the dataset."""
    from itertools import islice

    from nexova_sim.dataset.rows import scan_rows
    from nexova_sim.detect.anomaly import score_rows, surroundings_of

    around = surroundings_of(dataset, model.config)
    began, n = time.process_time(), 0
    for item in score_rows(model, around, islice(scan_rows(dataset, model.features.channels), 4)):
        n += len(item.score)
    return (time.process_time() - began) / max(1, n) * 1e6


def load_model(folder: str | Path) -> Any:  # noqa: ANN401
    """The saved model in ``folder``; DataError when a byte of it was changed since."""
    return load_anomaly_model(Path(folder))[0]
