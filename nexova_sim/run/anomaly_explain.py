"""``nexova anomaly explain``: what drove the alarms of one machine, statistic by statistic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.dataset.read import open_dataset, parse_time
from nexova_sim.dataset.rows import Rows, scan_rows
from nexova_sim.detect.alarms import Alarm, follow_alarms
from nexova_sim.detect.anomaly import Model, judge, lane_table, stream, surroundings_of
from nexova_sim.detect.anomaly_model import load_anomaly_model
from nexova_sim.detect.calibration import groups_of
from nexova_sim.detect.detector import Found
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import prepare
from nexova_sim.detect.surroundings import Surroundings
from nexova_sim.detect.thresholds import ratios, score_of

_WHOLE_FLEET = ("half_space_trees",)  # learns from the stream of all machines
_TOP = 5


def explain_anomaly(
    source: str | Path, model_folder: str | Path, machine: str, at: str | None = None
) -> dict[str, Any]:
    """Alarms of ``machine``, each with its statistics over their thresholds at its height; or the same ``at`` a time.

    Raises ConfigError for an unknown machine or a time at which it has no reading.
    """
    dataset = open_dataset(source)
    model, _ = load_anomaly_model(Path(model_folder))
    around = surroundings_of(dataset, model.config)
    if machine not in around.machine_ids:
        raise ConfigError(
            f"--machine {machine}: not in this dataset; {suggest(machine, around.machine_ids)}", got=machine
        )
    moment = None if at is None else parse_time(at, "--at")
    code = around.machine_ids.index(machine)
    wanted = None if model.config.detector in _WHOLE_FLEET else (machine,)
    rows, found = _collect(scan_rows(dataset, model.features.channels, machines=wanted), model, around, code)
    if not len(rows.machine):
        raise ConfigError(f"--machine {machine}: has no readings in {dataset.folder}; choose another one")
    parts = DETECTORS[model.config.detector].components()
    group = groups_of(prepare(model.features, around, model.config), model.scale.names)
    scored = judge(rows, found, model.scale, (parts, lane_table(parts), group))
    alarms: list[Alarm] = []
    for _ in follow_alarms(model, around, [scored], alarms.append):
        pass
    limit = model.scale.limit[group[code]][:, None]
    over = ratios(found.statistic, limit)
    data: dict[str, Any] = {"machine_id": machine, "detector": model.config.detector, "alarms": []}
    for alarm in sorted(alarms, key=lambda a: a.raised_ms):
        end = alarm.cleared_ms if alarm.cleared_ms is not None else int(rows.time_ms[-1])
        span = np.flatnonzero((rows.time_ms >= alarm.raised_ms) & (rows.time_ms <= end))
        top = span[np.argmax(over[:, span].max(axis=0))] if len(span) else len(rows.time_ms) - 1
        data["alarms"].append(
            {
                "raised": _iso(alarm.raised_ms),
                "cleared": None if alarm.cleared_ms is None else _iso(alarm.cleared_ms),
                "channel": alarm.channel,
                "detector": alarm.component.name,
                "finding": alarm.component.finding,
                "peak_ratio": alarm.peak_ratio,
                "peak_at": _iso(int(rows.time_ms[top])),
                "drivers": _drivers(over[:, top], model),
            }
        )
    if moment is not None:
        data["at"] = _at(rows, over, moment, model, machine)
    return data


def _collect(batches: Any, model: Model, around: Surroundings, code: int) -> tuple[Rows, Found]:  # noqa: ANN401
    prepared = prepare(model.features, around, model.config)
    kept: list[Rows] = []
    statistic, driver = [], []
    for rows, _batch, found in stream(batches, prepared, DETECTORS[model.config.detector], model.params):
        mine = rows.machine == code
        kept.append(Rows(rows.machine[mine], rows.time_ms[mine], rows.values[:, mine], rows.status[mine]))
        statistic.append(found.statistic[:, mine])
        driver.append(found.driver[mine])
    if not kept:
        n = len(DETECTORS[model.config.detector].components())
        nothing = Rows(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 0), np.float32), np.empty(0, np.int8))
        return nothing, Found(np.empty((n, 0), np.float32), np.empty(0, np.int16))
    rows = Rows(*(np.concatenate([k[i] for k in kept], axis=-1) for i in range(4)))
    return rows, Found(np.concatenate(statistic, axis=1), np.concatenate(driver))


def _drivers(over: np.ndarray, model: Model) -> list[dict[str, Any]]:
    parts = DETECTORS[model.config.detector].components()
    order = np.argsort(-over)[:_TOP]
    return [{"detector": parts[k].name, "channel": parts[k].channel, "finding": parts[k].finding,
             "ratio": float(over[k])} for k in order]  # fmt: skip


def _at(rows: Rows, over: np.ndarray, moment: int, model: Model, machine: str) -> dict[str, Any]:
    before = np.flatnonzero(rows.time_ms <= moment)
    if not len(before):
        raise ConfigError(f"--at: {machine} has no reading at or before {_iso(moment)}; choose a later time")
    i = int(before[-1])
    values = {
        c: None if np.isnan(v) else float(v) for c, v in zip(model.features.channels, rows.values[:, i], strict=True)
    }
    score = float(score_of(over[:, i].max(keepdims=True), model.scale.knots)[0])
    return {"timestamp": _iso(int(rows.time_ms[i])), "score": score, "values": values,
            "drivers": _drivers(over[:, i], model)}  # fmt: skip


def _iso(ms: int) -> str:
    return str(np.datetime64(ms, "ms").astype("datetime64[s]")) + "Z"
