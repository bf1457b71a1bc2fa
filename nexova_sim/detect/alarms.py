"""Post-rules: from ratios to alarms, one per episode and lane, with the channel that drove each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.config.anomaly import PostRules
from nexova_sim.detect.anomaly import Model, Scored
from nexova_sim.detect.calibration import groups_of
from nexova_sim.detect.detector import LANES, Component
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import feature_names, prepare
from nexova_sim.detect.surroundings import Surroundings
from nexova_sim.detect.thresholds import score_of
from nexova_sim.kernels.episode import (
    E_PEAK,
    E_RAISED_MS,
    E_STANDS,
    E_WHICH,
    N_ALARM,
    N_EPISODE,
    N_RULES,
    R_CLEAR_MS,
    R_CLEAR_RATIO,
    R_HOLD_MS,
    R_START_UP_MS,
    follow,
)
from nexova_sim.schema.channels import STATUSES

_HOUR_MS, _MINUTE_MS = 3_600_000.0, 60_000.0
_READINGS_LANE = len(LANES) - 1
# Component numbers carry the driver of detectors whose components name no channel: component + 64 (driver + 1).
_PACK = 64


class Alarm(NamedTuple):
    """One alarm; times in ms since 1970, ``cleared_ms`` None while it stands at the end of the data."""

    machine: int
    raised_ms: int
    cleared_ms: int | None
    peak_ratio: float
    component: Component
    channel: str


def rules_of(post: PostRules) -> np.ndarray:
    """The rules as the kernel takes them, (N_RULES,)."""
    rules = np.zeros(N_RULES)
    rules[R_HOLD_MS], rules[R_CLEAR_MS] = post.hold_min * _MINUTE_MS, post.clear_hours * _HOUR_MS
    rules[R_CLEAR_RATIO], rules[R_START_UP_MS] = post.clear_ratio, post.start_up_min * _MINUTE_MS
    return rules


def follow_alarms(model: Model, around: Surroundings, scored: Iterable[Scored],
                  put: Callable[[Alarm], Any]) -> Iterator[Scored]:  # fmt: skip
    """Pass scored readings on, and give every alarm to ``put``: when it is cleared, or at the end when it stands."""
    parts = DETECTORS[model.config.detector].components()
    names = feature_names(model.features.channels, model.features.families)
    rules = rules_of(model.config.post)
    state = np.zeros((len(around.machine_ids), len(LANES), N_EPISODE))
    suppressed = np.isin(np.arange(len(STATUSES)), [STATUSES.index(s) for s in model.config.post.suppress])
    gaps = [k for k, c in enumerate(parts) if c.is_gap]
    group = groups_of(prepare(model.features, around, model.config), model.scale.names)
    gap_limit_h = model.scale.limit[group][:, gaps]
    for item in scored:
        rows = item.rows
        for alarm in _gap_alarms(item, parts, gap_limit_h):
            put(alarm)
        quiet = np.repeat(suppressed[rows.status][None], len(LANES), axis=0)
        quiet[_READINGS_LANE] = False
        packed = item.which.astype(np.int32) + _PACK * (item.channel.astype(np.int32) + 1)
        out = np.empty((len(LANES) * max(1, len(rows.machine)), N_ALARM))
        n = follow(rows.machine, rows.time_ms, item.ratio, packed, quiet, rules, state, out)
        for row in out[:n]:
            put(_alarm(row, parts, names))
        yield item
    for m, lane in zip(*np.nonzero(state[:, :, E_STANDS]), strict=True):
        e = state[m, lane]
        row = np.array([m, lane, e[E_RAISED_MS], np.nan, e[E_PEAK], e[E_WHICH]])
        put(_alarm(row, parts, names))


def _alarm(row: np.ndarray, parts: tuple[Component, ...], names: tuple[str, ...]) -> Alarm:
    packed = int(row[5])
    component = parts[packed % _PACK]
    driver = packed // _PACK - 1
    channel = names[driver].rsplit(".", 1)[0] if driver >= 0 else component.channel
    cleared = None if np.isnan(row[3]) else int(row[3])
    return Alarm(int(row[0]), int(row[2]), cleared, float(row[4]), component, channel)


def _gap_alarms(item: Scored, parts: tuple[Component, ...], limit_h: np.ndarray) -> Iterator[Alarm]:
    """Alarms of missing rows: raised when the wait was over the limit, as a watchdog would, cleared by the next row."""
    for i in np.flatnonzero(item.gap >= 1.0):
        m = int(item.rows.machine[i])
        gap_ms = float(item.gap[i]) * float(limit_h[m, 0]) * _HOUR_MS
        now = int(item.rows.time_ms[i])
        raised = round(now - gap_ms + limit_h[m, 0] * _HOUR_MS)
        component = next(c for c in parts if c.is_gap)
        yield Alarm(m, raised, now, float(item.gap[i]), component, component.channel)


def peak_score(alarm: Alarm, model: Model) -> float:
    """Score at the alarm's highest ratio."""
    return float(score_of(np.array([alarm.peak_ratio]), model.scale.knots)[0])
