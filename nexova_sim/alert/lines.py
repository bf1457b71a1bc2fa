"""Server events as lines of NDJSON, formatted column by column: one Python object per event would cost ten times more.

Names and units are the platform's: power in kW, temperature in degC, vibration in mm/s, runtime in h.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nexova_sim.alert.engine import NONE, Alerts, acknowledged_ms
from nexova_sim.alert.rules import Compiled
from nexova_sim.dataset.rows import Rows
from nexova_sim.kernels import alert_tally as e
from nexova_sim.schema.alerts import SEVERITIES
from nexova_sim.schema.channels import STATUSES

FIELDS: Mapping[str, str] = {
    "power_kw": "power", "temperature_c": "temperature", "vibration_mm_s": "vibration", "runtime_h": "runtime",
}  # fmt: skip


class Lines(NamedTuple):
    """n events: ``time_ms`` (n,) int64, ``rank`` (n,) int8 (order at one instant), ``text`` n JSON objects."""

    time_ms: np.ndarray
    rank: np.ndarray
    text: pa.Array


def no_lines() -> Lines:
    """No event."""
    return Lines(np.empty(0, np.int64), np.empty(0, np.int8), pa.array([], pa.large_string()))


def quoted(names: Sequence[str]) -> list[str]:
    """JSON strings of ``names``, plain ASCII."""
    return [json.dumps(name) for name in names]


def _pick(codes: np.ndarray, texts: Sequence[str]) -> pa.Array:
    return pa.array(list(texts), pa.large_string()).take(pa.array(codes.astype(np.int64)))


def stamps(ms: np.ndarray) -> pa.Array:
    """ISO 8601 text of times, in quotes; ``null`` for ``NONE``."""
    moments, place = np.unique(ms, return_inverse=True)
    texts = np.datetime_as_string(np.maximum(moments, 0).astype("datetime64[ms]"))
    return _pick(place, [f'"{t}Z"' if m != NONE else "null" for t, m in zip(texts.tolist(), moments, strict=True)])


def numbers(values: np.ndarray) -> pa.Array:
    """Shortest decimal text of float32 values; ``null`` for what is no number."""
    array = pa.array(values, pa.float32(), mask=~np.isfinite(values))
    return array.cast(pa.large_string()).fill_null("null")


def _join(parts: Sequence[pa.Array | str]) -> pa.Array:
    wide = [pa.scalar(p, pa.large_string()) if isinstance(p, str) else p for p in parts]
    return pc.binary_join_element_wise(*wide, pa.scalar("", pa.large_string()))


def sensor_lines(rows: Rows, channels: Sequence[str], machine_ids: Sequence[str], rank: int) -> Lines:
    """A ``sensor_update`` for every reading."""
    ids = quoted(machine_ids)
    head = [f'{{"type":"sensor_update","machineId":{name},"data":{{"machineId":{name}' for name in ids]
    parts: list[pa.Array | str] = [_pick(rows.machine, head)]
    for channel, values in zip(channels, rows.values, strict=True):
        parts += [f',"{FIELDS.get(channel, channel)}":', numbers(values)]
    when = stamps(rows.time_ms)
    parts += [',"timestamp":', when, '},"timestamp":', when, "}"]
    return Lines(rows.time_ms, np.full(len(rows.time_ms), rank, np.int8), _join(parts))


def status_lines(machine: np.ndarray, time_ms: np.ndarray, status: np.ndarray, machine_ids: Sequence[str],
                 rank: int) -> Lines:  # fmt: skip
    """A ``machine_status`` for every change of status."""
    head = [f'{{"type":"machine_status","machineId":{name},"status":"' for name in quoted(machine_ids)]
    parts = [_pick(machine, head), _pick(status, STATUSES), '","timestamp":', stamps(time_ms), "}"]
    return Lines(time_ms, np.full(len(time_ms), rank, np.int8), _join(parts))


def alert_lines(compiled: Compiled, alerts: Alerts, end_ms: int, rank: int) -> Lines:
    """A ``machine_alert`` for everything the operator is told: announced, announced again, resolved."""
    told = alerts.time[:, e.ANNOUNCED] != NONE
    kept = Alerts(*(part[told] for part in alerts))
    done = [no_lines()]
    for column, state in ((e.ANNOUNCED, "announced"), (e.REANNOUNCED, "escalated"), (e.RESOLVED, "resolved")):
        mask = kept.time[:, column] != NONE
        if mask.any():
            done.append(_alert_lines(compiled, Alerts(*(part[mask] for part in kept)), column, state, end_ms))
    lines = join_lines(done)
    return lines._replace(rank=np.full(len(lines.time_ms), rank, np.int8))


def _alert_lines(compiled: Compiled, alerts: Alerts, column: int, state: str, end_ms: int) -> Lines:
    rules, code, time = compiled.policy.rules, alerts.code, alerts.time
    ids = quoted(compiled.machines.ids)
    names = [n[1:-1] for n in ids]
    severity = code[:, e.SEVERITY if state == "announced" else e.HIGHEST]
    units = [f" {json.dumps(u)[1:-1]}" for u in compiled.units]
    says = [f"{r.name}: {r.signal.replace('_', ' ')} of {r.channel} " for r in rules]
    about = [f'"}},"state":"{state}","timestamp":']
    raised = pa.array(time[:, e.RAISED]).cast(pa.large_string())
    parts: list[pa.Array | str] = [
        '{"type":"machine_alert","alert":{"id":"', _pick(code[:, e.MACHINE], names), "/",
        _pick(code[:, e.RULE], [r.name for r in rules]), "/", raised,
        '","machineId":', _pick(code[:, e.MACHINE], ids),
        ',"alertType":"', _pick(code[:, e.RULE], [r.alert_type for r in rules]),
        '","severity":"', _pick(severity, SEVERITIES),
        '","createdAt":', stamps(time[:, e.RAISED]),
        ',"acknowledgedAt":', stamps(_past(acknowledged_ms(compiled.policy, alerts, end_ms), time[:, column])),
        ',"resolvedAt":', stamps(time[:, e.RESOLVED]) if state == "resolved" else "null",
        ',"message":"', _pick(code[:, e.RULE], says),
        numbers(alerts.value[:, 0].astype(np.float32)), _pick(code[:, e.RULE], units), ", limit ",
        numbers(alerts.value[:, 2].astype(np.float32)), _pick(code[:, e.RULE], units),
        *about, stamps(time[:, column]), "}",
    ]  # fmt: skip
    text = _join(parts)
    return Lines(time[:, column], np.zeros(len(code), np.int8), text)


def _past(ms: np.ndarray, now_ms: np.ndarray) -> np.ndarray:
    """What is still to come at the time of the event is not told in it."""
    known: np.ndarray = np.where(ms <= now_ms, ms, NONE)
    return known


def side_line(kind: str, machine_id: str, payload: Mapping[str, Any], stamp: str) -> str:
    """One event of another source: approval_status, forecast_ready or ai_decision."""
    key = {"approval_status": "status", "forecast_ready": "forecast", "ai_decision": "decision"}[kind]
    value = payload.get("status") if kind == "approval_status" else payload.get(key, dict(payload))
    return json.dumps(
        {"type": kind, "machineId": machine_id, key: value, "timestamp": stamp}, separators=(",", ":"), default=str
    )


def join_lines(parts: Sequence[Lines]) -> Lines:
    """All events of ``parts``, one after the other."""
    if not parts:
        return no_lines()
    text = pa.chunked_array([p.text.cast(pa.large_string()) for p in parts]).combine_chunks()
    return Lines(np.concatenate([p.time_ms for p in parts]), np.concatenate([p.rank for p in parts]), text)


def in_order(lines: Lines) -> Lines:
    """By time, then rank, then as they stood."""
    order = np.lexsort((lines.rank, lines.time_ms))
    return Lines(lines.time_ms[order], lines.rank[order], lines.text.take(pa.array(order)))


def part_of(lines: Lines, low_ms: int, high_ms: int) -> Lines:
    """The events with low <= time < high of lines in order of time."""
    a, b = np.searchsorted(lines.time_ms, [low_ms, high_ms])
    return Lines(lines.time_ms[a:b], lines.rank[a:b], lines.text.slice(a, b - a))


def to_bytes(lines: Lines) -> bytes:
    """NDJSON of the events."""
    if not len(lines.time_ms):
        return b""
    joined = pc.binary_join(
        pa.LargeListArray.from_arrays(pa.array([0, len(lines.time_ms)], pa.int64()), lines.text),
        pa.scalar("\n", pa.large_string()),
    )
    return bytes(memoryview(joined[0].as_buffer())) + b"\n"
