"""``nexova anomaly score``: a model over a dataset -> scores.parquet, alarms.parquet and a manifest."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.rows import channel_names, scan_rows
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.dataset.write import WriteOptions, file_entry, parquet_settings, write_table
from nexova_sim.detect.alarms import Alarm, follow_alarms, peak_score
from nexova_sim.detect.anomaly import Model, Scored, score_rows, surroundings_of
from nexova_sim.detect.anomaly_model import load_anomaly_model
from nexova_sim.detect.calibration import groups_of
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import prepare
from nexova_sim.detect.surroundings import read_surroundings
from nexova_sim.detect.thresholds import threshold_score
from nexova_sim.kernels.residual import A_STEP_H, missing_h
from nexova_sim.run.anomaly import ROOMS, dataset_hash, no_progress
from nexova_sim.schema.anomaly import ALARMS_NAME, SCORE_FORMAT, SCORES_NAME, anomaly_schema
from nexova_sim.schema.manifest import MANIFEST_NAME
from nexova_sim.schema.tables import id_array, number_array, text_array, time_array

_DAY_MS = 86_400_000.0
_ROW_GROUP = 262_144


class ScoreResult(NamedTuple):
    """Scores and alarms of a dataset: their folder and manifest; ``was_there``: nothing was done."""

    folder: Path
    run_id: str
    manifest: dict[str, Any]
    was_there: bool


def score_hash(dataset: Dataset, about: dict[str, Any]) -> str:
    """Hash of everything the scores depend on besides code."""
    return hash_value([dataset_hash(dataset), about["files"]])


def score_anomaly(source: str | Path, model_folder: str | Path, out: Path | None = None, overwrite: bool = False,
                  progress: Callable[[int, int], None] = no_progress) -> ScoreResult:  # fmt: skip
    """Score every reading of a dataset and raise alarms; memory does not grow with the readings.

    Machines need not be known to the model. Raises DataError when the model was changed or is of
    readings so much quicker that each one here would be a gap, ConfigError when the dataset
    lacks one of its channels.
    """
    dataset = open_dataset(source)
    model, found = load_anomaly_model(Path(model_folder))
    about = dict(found)
    missing = [c for c in model.features.channels if c not in channel_names(dataset)]
    if missing:
        raise ConfigError(
            f"{dataset.folder}: lacks the channel {missing[0]!r} that the model was fitted on; fit a model on data "
            "like this"
        )
    _check_cadence(dataset, model)
    config_hash, code = score_hash(dataset, about), code_hash(*ROOMS)
    ident = run_id(config_hash, code)
    folder = out or Path("results") / "anomaly" / f"scores-{about['name']}-{dataset.manifest.name}" / ident
    if not overwrite and is_same(folder, config_hash, code):
        return ScoreResult(folder, ident, json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8")), True)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        made = _write(stage, dataset, model, progress)
        manifest = {
            "format": SCORE_FORMAT,
            "detector": model.config.detector,
            "model_id": about["model_id"],
            "model_sha256": about["files"][0]["sha256"],
            "dataset": dataset.manifest.name,
            "dataset_sha256": dataset_hash(dataset),
            "config": about["config"],
            "threshold": float(threshold_score(model.scale.knots)),
            "budget_per_machine_day": model.config.calibration.budget_per_machine_day,
            "start": dataset.manifest.start,
            "end": dataset.manifest.end,
            "n_machines": dataset.manifest.n_machines,
            "config_hash": config_hash,
            "code_hash": code,
            **made,
        }
        text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        write_durably(stage.folder / MANIFEST_NAME, text.encode("utf-8"))
    return ScoreResult(folder, ident, manifest, False)


def _check_cadence(dataset: Dataset, model: Model) -> None:
    """Refuse data so much slower than the model's that every reading would count as a gap; DataError."""
    gaps = [k for k, c in enumerate(DETECTORS[model.config.detector].components()) if c.is_gap]
    if not gaps or dataset.manifest.dt_s is None:
        return
    prepared = prepare(model.features, read_surroundings(dataset), model.config)
    usual_h, limit_h = prepared.twin[:, A_STEP_H], model.scale.limit[groups_of(prepared, model.scale.names)][:, gaps[0]]
    step_h = dataset.manifest.dt_s / 3600.0
    if all(missing_h(step_h, u) >= limit for u, limit in zip(usual_h, limit_h, strict=True)):
        raise DataError(
            f"{dataset.folder}: has a reading every {dataset.manifest.dt_s:g} s, so that each would count as a gap for "
            f"this model, fitted on one every {float(np.median(usual_h)) * 3600.0:g} s; fit a model on data like this"
        )


def _write(stage: Stage, dataset: Dataset, model: Model, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Write both tables; returns counts, times and the files for the manifest."""
    around = surroundings_of(dataset, model.config)
    threshold = threshold_score(model.scale.knots)
    alarms: list[Alarm] = []
    n_all, n, flags, steps_ms = dataset.manifest.rows.get("readings", 0), 0, 0, 0.0
    last = np.full(len(around.machine_ids), -1, np.int64)
    began = time.process_time()
    with _writing(stage) as write:
        readings = scan_rows(dataset, model.features.channels)
        for item in follow_alarms(model, around, score_rows(model, around, readings), alarms.append):
            flag = item.score >= threshold
            write(_scores(item, flag, around.machine_ids))
            n, flags = n + len(flag), flags + int(flag.sum())
            steps_ms += _covered_ms(item, last)
            progress(n, n_all)
    cpu_s = time.process_time() - began
    table = alarms_table(alarms, model, around.machine_ids)
    files = [file_entry(stage, SCORES_NAME, n).model_dump(),
             write_table(stage, ALARMS_NAME, table, WriteOptions()).model_dump()]  # fmt: skip
    return {"machine_days": round(steps_ms / _DAY_MS, 4), "n_rows": n, "n_flags": flags, "n_alarms": len(alarms),
            "cpu_s": round(cpu_s, 3), "files": files}  # fmt: skip


def _covered_ms(item: Scored, last: np.ndarray) -> float:
    """Machine time from each machine's previous reading to the last of this batch; ``last`` (m,) is moved on."""
    total = 0.0
    m, t = item.rows.machine, item.rows.time_ms
    bounds = np.flatnonzero(np.r_[True, m[1:] != m[:-1], True]) if len(m) else np.zeros(1, np.int64)
    for a, b in pairwise(bounds):
        begin = t[a] if last[m[a]] < 0 else last[m[a]]
        total += float(t[b - 1] - begin)
        last[m[a]] = t[b - 1]
    return total


def _scores(item: Scored, flag: np.ndarray, ids: tuple[str, ...]) -> pa.RecordBatch:
    schema = anomaly_schema("scores")
    bits = np.packbits(flag, bitorder="little")
    columns = [id_array(item.rows.machine, ids), time_array(item.rows.time_ms),
               number_array(item.score, pa.float32()),
               pa.Array.from_buffers(pa.bool_(), len(flag), [None, pa.py_buffer(bits)])]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def alarms_table(alarms: list[Alarm], model: Model, ids: tuple[str, ...]) -> pa.Table:
    """The alarms as the table of the schema, by machine, then time raised."""
    alarms = sorted(alarms, key=lambda a: (a.machine, a.raised_ms, a.component.lane))
    standing = np.array([a.cleared_ms is None for a in alarms], bool)
    schema = anomaly_schema("alarms")
    cleared = np.array([a.cleared_ms or 0 for a in alarms], np.int64)
    columns = [
        id_array(np.array([a.machine for a in alarms], np.int64), ids),
        time_array(np.array([a.raised_ms for a in alarms], np.int64)),
        number_array(cleared, schema.field("cleared").type, standing),
        number_array(np.array([peak_score(a, model) for a in alarms], np.float32), pa.float32()),
        text_array([a.channel for a in alarms]),
        text_array([a.component.name for a in alarms]),
        text_array([a.component.finding for a in alarms]),
        number_array(np.array([a.peak_ratio for a in alarms], np.float32), pa.float32()),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


@contextmanager
def _writing(stage: Stage) -> Iterator[Callable[[pa.RecordBatch], None]]:
    """A writer of the scores table that takes batches and is durable at the end."""
    target = stage.folder / SCORES_NAME
    temporary = target.with_name(target.name + ".tmp")
    schema = anomaly_schema("scores")
    settings = parquet_settings(schema, WriteOptions())
    settings.pop("row_group_size")
    # Scores are all different: a dictionary of them would only cost.
    settings["use_dictionary"] = ["machine_id"]
    settings["column_encoding"] = {"timestamp": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT"}
    with temporary.open("wb") as handle:
        with pq.ParquetWriter(handle, schema, **settings) as writer:
            yield lambda batch: writer.write_batch(batch, _ROW_GROUP)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(target)


def read_alarms(folder: str | Path) -> pa.Table:
    """The alarms in a folder of scores; DataError when it is none."""
    path = Path(folder) / ALARMS_NAME
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: cannot be read ({error}); score the dataset again") from error
