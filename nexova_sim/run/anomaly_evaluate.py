"""``nexova anomaly evaluate``: a folder of scores and alarms against the labels of its dataset -> tables, a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.base.plain import plain
from nexova_sim.config.evaluation import EvaluateConfig
from nexova_sim.dataset.read import Dataset, naming, open_dataset, parse_time, time_ms
from nexova_sim.dataset.stage import is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry
from nexova_sim.detect.cells import covered, fold_scores, raised
from nexova_sim.detect.episodes import Spans, match
from nexova_sim.detect.evaluation import alarm_verdicts, evaluate_answer
from nexova_sim.detect.exam import Sheet, prepare
from nexova_sim.detect.judge import Answer
from nexova_sim.schema.anomaly import ALARMS_NAME, SCORES_NAME, anomaly_schema
from nexova_sim.schema.manifest import MANIFEST_NAME
from nexova_sim.schema.tables import time_array

Progress = Callable[[int, int], None]
FORMAT = "nexova-anomaly-evaluation"
EVALUATION_NAME = "evaluation.json"
ALARM_VERDICTS_NAME = "alarms_judged.parquet"
FAULTS_NAME = "faults_judged.parquet"
_ROOMS = ("base", "schema", "config", "dataset", "analyse")
_BATCH = 262_144


class Evaluation(NamedTuple):
    """What an evaluation left: its folder, id, the content of evaluation.json; ``was_there``: nothing was done."""

    folder: Path
    run_id: str
    found: dict[str, Any]
    was_there: bool


def no_progress(_done: int, _total: int) -> None:
    """Nothing to show."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder that ``score`` wrote. DataError when it is none."""
    path = folder / MANIFEST_NAME
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder}: holds no scores ({MANIFEST_NAME} is missing); write them with "
                        "'nexova anomaly score DATASET --model MODEL'") from error  # fmt: skip
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({error}); score the dataset again") from error
    if not isinstance(raw, dict) or not str(raw.get("format", "")).startswith("nexova-anomaly-scores"):
        raise DataError(f"{path}: is no manifest of scores; give the folder that 'nexova anomaly score' wrote")
    for name in (SCORES_NAME, ALARMS_NAME):
        if not (folder / name).is_file():
            raise DataError(f"{folder / name}: the file is missing; score the dataset again")
    return raw


def check_belongs(manifest: Mapping[str, Any], dataset: Dataset, folder: Path) -> None:
    """DataError when the scores were made from another dataset than ``dataset``."""
    given = manifest.get("dataset_sha256")
    own = dataset_hash(dataset)
    if given is not None and given != own:
        raise DataError(
            f"{folder}: these scores belong to another dataset ({str(given)[:12]}) than {dataset.folder} ({own[:12]}); "
            "score this dataset first"
        )


def dataset_hash(dataset: Dataset) -> str:
    """Fingerprint of a dataset: the hash of its manifest, which holds the hash of every file."""
    return hash_value(dataset.manifest.model_dump(mode="json"))


def _codes(column: pa.Array, place: Mapping[str, int], path: Path) -> np.ndarray:
    ids = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    names = ids.dictionary.to_pylist()
    unknown = [n for n in names if n not in place]
    if unknown or column.null_count:
        raise DataError(f"{path}: machine {unknown[0] if unknown else 'null'!r} is not in the dataset; score it again")
    table = np.array([place[n] for n in names] or [0], np.int64)
    codes: np.ndarray = table[np.asarray(ids.indices)]
    return codes


def _check_columns(source: pq.ParquetFile, table: str, path: Path) -> None:
    missing = [n for n in anomaly_schema(table).names if n not in source.schema_arrow.names]
    if missing:
        raise DataError(f"{path}: has no column {missing[0]!r}; score the dataset again with this version")


def scan_scores(folder: Path, ids: tuple[str, ...]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Machine, time in ms, score and flag of the scored readings, batch by batch."""
    path = folder / SCORES_NAME
    place = {name: i for i, name in enumerate(ids)}
    with naming(path), pq.ParquetFile(path) as source:
        _check_columns(source, "scores", path)
        for batch in source.iter_batches(_BATCH, columns=["machine_id", "timestamp", "score", "flag"]):
            score = batch.column(2).to_numpy(zero_copy_only=False).astype(np.float64)
            flag = batch.column(3).fill_null(False).to_numpy(zero_copy_only=False)
            yield _codes(batch.column(0), place, path), time_ms(batch.column(1)), score, flag


def read_alarms(folder: Path, ids: tuple[str, ...], end_ms: int) -> tuple[Spans, pa.Table]:
    """The alarms as spans and as they are stored; one that was never cleared stands until ``end_ms``."""
    path = folder / ALARMS_NAME
    place = {name: i for i, name in enumerate(ids)}
    with naming(path), pq.ParquetFile(path) as source:
        _check_columns(source, "alarms", path)
        table = source.read().combine_chunks()
    if not table.num_rows:
        return Spans(*(np.empty(0, np.int64),) * 3), table
    start = time_ms(table.column("raised").combine_chunks())
    end = time_ms(table.column("cleared").combine_chunks().fill_null(pa.scalar(end_ms, pa.timestamp("ms", tz="UTC"))))
    if (end < start).any():
        raise DataError(f"{path}: an alarm is cleared before it is raised; score the dataset again")
    return Spans(
        _codes(table.column("machine_id").combine_chunks(), place, path), start, np.maximum(end, start + 1)
    ), table


def evaluate(dataset_folder: Path, scores: Path, rules: EvaluateConfig, out: Path | None = None,
             overwrite: bool = False, progress: Progress = no_progress) -> Evaluation:  # fmt: skip
    """Judge the scores in ``scores`` against the labels of the dataset and write the evaluation's folder.

    The folder is whole or not there; the same inputs give the same numbers. DataError for scores of another dataset.
    """
    dataset = open_dataset(dataset_folder)
    manifest = read_manifest(scores)
    check_belongs(manifest, dataset, scores)
    config_hash, code, ident = _identity(dataset, rules, manifest)
    folder = out or _default_folder(dataset, rules, manifest)
    if not overwrite and is_same(folder, config_hash, code):
        return Evaluation(folder, ident, read_evaluation(folder), True)
    found, tables = judge_scores(dataset, scores, rules, progress)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        entries = []
        for name, table in tables.items():
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink, compression="zstd")
            write_durably(stage.folder / name, sink.getvalue().to_pybytes())
            entries.append(file_entry(stage, name))
        write_durably(stage.folder / EVALUATION_NAME, _json(found))
        entries.append(file_entry(stage, EVALUATION_NAME, 0))
        about = {"format": FORMAT, "config_hash": config_hash, "code_hash": code,
                 "files": [e.model_dump() for e in entries]}  # fmt: skip
        write_durably(stage.folder / MANIFEST_NAME, _json(about))
    return Evaluation(folder, ident, found, False)


def judge_scores(dataset: Dataset, scores: Path, rules: EvaluateConfig,
                 progress: Progress = no_progress) -> tuple[dict[str, Any], dict[str, pa.Table]]:  # fmt: skip
    """The evaluation as JSON-like values, and the judged alarms and faults as tables by file name."""
    manifest = read_manifest(scores)
    sheet = prepare(dataset, rules, progress)
    answer, flags, table, n_unscored = _answers(dataset, scores, sheet)
    found = evaluate_answer(sheet, answer, rules, flags)
    about = {
        "dataset": dataset.manifest.name,
        "detector": manifest.get("detector"),
        "model_id": manifest.get("model_id"),
        "threshold": manifest.get("threshold"),
        "budget_per_machine_day": manifest.get("budget_per_machine_day"),
        "n_unscored_cells": n_unscored,
        "rules": rules.model_dump(mode="json"),
    }
    matched = match(answer.alarms, sheet.exam.faults, sheet.exam.excuses, sheet.exam.judged, sheet.exam.rules)
    verdicts, kinds = alarm_verdicts(sheet, matched)
    judged = table.append_column("verdict", pa.array(verdicts, pa.string()))
    judged = judged.append_column("fault", pa.array(kinds, pa.string()))
    return plain({"about": about, **found}), {
        ALARM_VERDICTS_NAME: judged,
        FAULTS_NAME: _fault_table(sheet, matched.found_by, matched.delay_ms, matched.is_judged),
    }


def _answers(dataset: Dataset, scores: Path, sheet: Sheet) -> tuple[Answer, Answer, pa.Table, int]:
    """The detector's answer, the same before its post-rules, its alarms as stored, cells it gave no score."""
    end_ms = parse_time(dataset.manifest.end, "end")
    cells = sheet.exam.cells
    score, flag, n_unscored = fold_scores(scan_scores(scores, sheet.machine_ids), cells)
    alarms, table = read_alarms(scores, sheet.machine_ids, end_ms)
    return Answer(score, covered(cells, alarms), alarms), Answer(score, flag, raised(cells, flag)), table, n_unscored


def _fault_table(sheet: Sheet, found_by: np.ndarray, delay_ms: np.ndarray, is_judged: np.ndarray) -> pa.Table:
    rows = sheet.faults
    is_found = found_by >= 0
    delay_h = [d / 3.6e6 if f else None for d, f in zip(delay_ms.tolist(), is_found.tolist(), strict=True)]
    return pa.table({
        "machine_id": pa.array([sheet.machine_ids[r.machine] for r in rows], pa.string()),
        "fault": pa.array([r.fault for r in rows], pa.string()),
        "channel": pa.array([r.channel for r in rows], pa.string()),
        "onset": time_array(np.array([r.onset_ms for r in rows], np.int64)),
        "end": time_array(np.array([r.end_ms for r in rows], np.int64)),
        "severity": pa.array([r.severity for r in rows], pa.float64()),
        "running_h": pa.array([r.running_h for r in rows], pa.float64()),
        "effect_sd": pa.array([r.effect.effect_sd if r.effect else None for r in rows], pa.float64()),
        "effect_channel": pa.array([r.effect.channel if r.effect else None for r in rows], pa.string()),
        "is_detectable": pa.array([r.is_detectable for r in rows], pa.bool_()),
        "is_judged": pa.array(is_judged.tolist(), pa.bool_()),
        "is_found": pa.array(is_found.tolist(), pa.bool_()),
        "delay_h": pa.array(delay_h, pa.float64()),
    })  # fmt: skip


def _json(value: Any) -> bytes:  # noqa: ANN401
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def read_evaluation(folder: Path) -> dict[str, Any]:
    """The content of evaluation.json in ``folder``; DataError when it is damaged."""
    path = folder / EVALUATION_NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); evaluate again with --overwrite") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: is no evaluation; evaluate again with --overwrite")
    return found


def check_gate(rules: EvaluateConfig, name: str) -> None:
    """ConfigError when ``rules``, read from the file ``name``, set no gate to meet."""
    if rules.gate is None:
        raise ConfigError(f"--gate: {name} sets no gate; give a --config with a section 'gate'")


def outline(dataset_folder: Path, scores: Path, rules: EvaluateConfig, out: Path | None = None) -> dict[str, Any]:
    """What an evaluation would do, without doing it."""
    dataset = open_dataset(dataset_folder)
    manifest = read_manifest(scores)
    check_belongs(manifest, dataset, scores)
    return {
        "folder": str(out or _default_folder(dataset, rules, manifest)),
        "dataset": dataset.manifest.name,
        "detector": manifest.get("detector"),
        "labels": dataset.manifest.rows.get("labels", 0),
        "rules": rules.name,
    }


def _default_folder(dataset: Dataset, rules: EvaluateConfig, manifest: Mapping[str, Any]) -> Path:
    return Path("results") / "anomaly-evaluate" / dataset.manifest.name / _identity(dataset, rules, manifest)[2]


def _identity(dataset: Dataset, rules: EvaluateConfig, manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    """Hash of the configuration and inputs, of the code, and the run id of both."""
    config_hash = hash_value([rules.model_dump(mode="json"), dataset_hash(dataset), manifest])
    code = code_hash(*_ROOMS)
    return config_hash, code, run_id(config_hash, code)


def unmet(found: Mapping[str, Any]) -> list[str]:
    """In words, what of the gate is not met; nothing when the rules set none."""
    demand, row = found["gate"], found["detector"]
    if demand is None:
        return []
    met = demand["met"]
    low = min((row[k]["low"] or 0.0) for k in ("precision", "precision_once"))
    words = {
        "alarms_per_machine_day": f"{row['alarms_per_machine_day']:.4g} alarms per machine-day, "
                                  f"at most {demand['most_alarms_per_machine_day']:g} asked",
        "precision_low": f"alarm precision at least {low:.3f} (Wilson), {demand['least_precision_low']:g} asked",
        "recall": f"recall {row['asked_recall']['value'] or 0.0:.3f} of the detectable faults, "
                  f"{demand['least_recall']:g} asked",
    }  # fmt: skip
    return [words[name] for name, is_met in met.items() if not is_met]
