"""The engine: a compiled policy over readings, batch by batch. Any chunking, down to one reading, gives the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.alert.rules import Compiled
from nexova_sim.config.alert import AlertPolicy
from nexova_sim.dataset.read import Dataset, When, parse_time
from nexova_sim.dataset.rows import Rows, scan_rows
from nexova_sim.kernels import alert_state as c
from nexova_sim.kernels.alert_state import AlertState
from nexova_sim.kernels.alert_tally import (
    ANNOUNCED,
    FLAPPING,
    HIGHEST,
    MACHINE,
    MUTED,
    N_HELD,
    RAISED,
    RESOLVED_WHY,
    RULE,
    SEVERITY,
    split_alerts,
)
from nexova_sim.kernels.alerts import close_rules, run_rules
from nexova_sim.schema.alerts import MUTED_BY, RESOLVED_BY, SEVERITIES, alerts_schema
from nexova_sim.schema.tables import flag_array, number_array, text_array

NONE = int(c.NONE)
Progress = Callable[[int, int], None]


class Alerts(NamedTuple):
    """n alerts as arrays; the columns are named in ``kernels.alert_tally``.

    ``time`` (n, 6) int64 ms, ``NONE`` where there is none; ``value`` (n, 3): when raised, furthest, limit; ``code``
    (n, 8) int64.
    """

    time: np.ndarray
    value: np.ndarray
    code: np.ndarray


class Pass(NamedTuple):
    """What one pass over a dataset counts besides its alerts; ``n_seen`` (m, r): readings each rule could judge."""

    n_readings: int
    n_seen: np.ndarray


def first_state(compiled: Compiled) -> AlertState:
    """The state before the first reading: nothing open, nothing known."""
    n_m, n_r = len(compiled.machines.ids), len(compiled.policy.rules)
    rule = np.zeros((n_m, n_r + 1, c.N_RULE_STATE))
    rule[:, :-1, [c.LAST, c.BEGIN, c.CLEAR_SINCE]] = NONE
    rule[:, :-1, c.SINCE :] = NONE
    rule[:, -1, c.STATUS] = -1.0
    rule[:, -1, [c.RUNNING_SINCE, c.GROUP_UNTIL, c.HOUR]] = NONE
    return AlertState(rule, np.zeros((n_m if compiled.learns else 0, c.N_WEEK, 2)))


def _room(n: int, former: np.ndarray | None = None) -> np.ndarray:
    """Room for ``n`` alerts, the ``former`` one when it is large enough."""
    # Untouched pages cost nothing: the room is for the worst case, the use is for what happens.
    room = np.empty((n + 1, c.N_OUT)) if former is None or len(former) <= n else former
    room[-1, 0] = 0.0
    return room


def _taken(room: np.ndarray) -> Alerts:
    n = int(room[-1, 0])
    time, value, code = np.empty((6, n), np.int64), np.empty((3, n)), np.empty((8, n), np.int64)
    split_alerts(room[:n], time, value, code)
    return Alerts(time.T, value.T, code.T)


def advance(compiled: Compiled, state: AlertState, rows: Rows) -> tuple[AlertState, Alerts]:
    """Put ``rows`` (channels as in ``compiled.channels``) through the rules: the state after, the alerts that ended.

    The state given stays as it is.
    """
    room = _room(len(rows.machine) * len(compiled.policy.rules))
    return _advance(compiled, state, rows, room)


def _advance(compiled: Compiled, state: AlertState, rows: Rows, room: np.ndarray) -> tuple[AlertState, Alerts]:
    after = AlertState(*(part.copy() for part in state))
    run_rules(compiled.rules, rows.machine, rows.time_ms, rows.values, rows.status, after, room)
    return after, _taken(room)


def finish(compiled: Compiled, state: AlertState, end_ms: int) -> Alerts:
    """The alerts still open when the data end at ``end_ms`` (``RESOLVED`` is ``NONE``, or when they fell silent)."""
    after = AlertState(*(part.copy() for part in state))
    room = _room(int(after.rule[:, :-1, c.ACTIVE].sum()))
    close_rules(compiled.rules.table, float(end_ms), after.rule, room)
    return _taken(room)


def run_batches(compiled: Compiled, batches: Iterable[Rows], end_ms: int,
                tell: Callable[[Pass], None] = lambda _done: None) -> Iterator[Alerts]:  # fmt: skip
    """The alerts of readings that come in ``batches``, as they end; those still open come last."""
    state, n, room = first_state(compiled), 0, _room(0)
    for rows in batches:
        room = _room(len(rows.machine) * len(compiled.policy.rules), room)
        state, found = _advance(compiled, state, rows, room)
        n += len(rows.machine)
        del rows  # before the next ones are read
        if len(found.code):
            yield found
        tell(Pass(n, state.rule[:, :-1, c.N_SEEN].astype(np.int64)))
    last = finish(compiled, state, end_ms)
    if len(last.code):
        yield last


def stream_alerts(compiled: Compiled, dataset: Dataset, end: When = None,
                  tell: Callable[[Pass], None] = lambda _done: None) -> Iterator[Alerts]:  # fmt: skip
    """The alerts of a whole dataset (up to ``end``) in constant memory, as they end, machine by machine."""
    end_ms = parse_time(dataset.manifest.end if end is None else end, "end")
    batches = scan_rows(dataset, compiled.channels, end=end)
    return run_batches(compiled, batches, end_ms, tell)


def collect_alerts(parts: Iterable[Alerts]) -> Alerts:
    """All alerts of ``parts`` in memory, by time raised, then machine, then rule."""
    empty = Alerts(np.empty((0, 6), np.int64), np.empty((0, 3)), np.empty((0, 8), np.int64))
    found = [empty, *parts]
    time, value, code = (np.concatenate([part[k] for part in found]) for k in range(3))
    order = np.lexsort((code[:, RULE], code[:, MACHINE], time[:, RAISED]))
    return Alerts(time[order], value[order], code[order])


def acknowledged_ms(policy: AlertPolicy, alerts: Alerts, end_ms: int) -> np.ndarray:
    """When the operator acknowledged each alert, ``NONE`` for one never announced or only after ``end_ms``."""
    latency = policy.acknowledge
    late_ms = np.array([latency.info_s, latency.warning_s, latency.critical_s]) * 1000.0
    told = alerts.time[:, ANNOUNCED]
    at = told + np.round(late_ms[alerts.code[:, SEVERITY]]).astype(np.int64)
    done: np.ndarray = np.where((told == NONE) | (at >= end_ms), NONE, at)
    return done


_names = lru_cache(maxsize=64)(text_array)


def _words(codes: np.ndarray, names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(number_array(codes, pa.int8()), _names(names))


def alerts_batch(compiled: Compiled, alerts: Alerts, end_ms: int) -> pa.RecordBatch:
    """The alerts as rows of the alerts table (schema.alerts), in the order given."""
    rules, code = compiled.policy.rules, alerts.code
    rule = code[:, RULE]
    kinds = pa.DictionaryArray.from_arrays(
        number_array(code[:, MACHINE], pa.int16()), text_array(compiled.machines.ids)
    )
    schema = alerts_schema()
    stamp = schema.field("raised").type

    def moment(ms: np.ndarray) -> pa.Array:
        return number_array(ms, stamp, ms == NONE)

    times = {name: moment(alerts.time[:, k]) for k, name in enumerate(
        ("onset", "raised", "announced", "reannounced", "escalated", "resolved"))}  # fmt: skip
    values = {name: number_array(alerts.value[:, k], pa.float32()) for k, name in enumerate(
        ("value", "extreme", "limit"))}  # fmt: skip
    columns = {
        **times, **values, "machine_id": kinds,
        "rule": _words(rule, tuple(r.name for r in rules)),
        "alert_type": _words(rule, tuple(r.alert_type for r in rules)),
        "channel": _words(rule, tuple(r.channel for r in rules)),
        "unit": _words(rule, compiled.units),
        "severity": _words(code[:, SEVERITY], SEVERITIES),
        "severity_max": _words(code[:, HIGHEST], SEVERITIES),
        "acknowledged": moment(acknowledged_ms(compiled.policy, alerts, end_ms)),
        "muted_by": _words(code[:, MUTED], MUTED_BY),
        "resolved_by": _words(code[:, RESOLVED_WHY], RESOLVED_BY),
        "is_flapping": flag_array(code[:, FLAPPING] != 0),
        "n_readings": number_array(code[:, N_HELD], pa.int32()),
    }  # fmt: skip
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
