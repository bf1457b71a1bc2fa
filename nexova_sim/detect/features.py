"""Features of readings as a chain of streaming steps: clean, watch the twin, normalise, roll, set in ratio.

Each step takes a batch and its own state, looks only backward, and keeps per machine all it needs, so that features do
not depend on how a stream is cut. The hour meter is never among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.config.anomaly import AnomalyConfig, TwinWatch
from nexova_sim.dataset.rows import Rows
from nexova_sim.detect.baselines import MAD, Baselines, choose_twin
from nexova_sim.detect.day_ahead import forecast_log_load, measured_level
from nexova_sim.detect.detector import Batch
from nexova_sim.detect.surroundings import Surroundings, last_ambient, local_cells
from nexova_sim.kernels import residual as r
from nexova_sim.kernels.windows import WindowState, roll
from nexova_sim.schema.channels import TABLES

STANDARD = ("power_kw", "temperature_c", "vibration_mm_s")
N_STATES = 3  # loaded, idling, stopped
_LEAST_ROWS = 50
_TWIN_ROWS = (2, 0, 1)  # residuals of power, temperature, vibration
_TWIN_SIGMA = (r.A_SIGMA_POWER, r.A_SIGMA_TEMP, r.A_SIGMA_VIB)
_RANGE = {c.name: (c.low, c.high) for c in TABLES["readings"]}


class FeatureParams(NamedTuple):
    """What the steps need: channels, families, baselines, and normal values by name, state and channel (g, 3, c)."""

    channels: tuple[str, ...]
    families: tuple[str, ...]
    baselines: Baselines
    centre: np.ndarray
    scale: np.ndarray


class Prepared(NamedTuple):
    """Parameters laid out for the machines of one dataset."""

    params: FeatureParams
    around: Surroundings
    twin: np.ndarray
    usual_row: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    settings: np.ndarray
    config: AnomalyConfig
    level: np.ndarray


class FeatureState(NamedTuple):
    """State of all steps: the watch (m, N_WATCH) and the windows."""

    watch: np.ndarray
    window: WindowState


def feature_names(channels: Sequence[str], families: Sequence[str]) -> tuple[str, ...]:
    """Names ``channel.family`` in the order of the rows of ``Batch.features``."""
    own = [f"{c}.{f}" for f in ("z", "mean", "std", "rate") if f in families for c in channels]
    return (*own, *(f"{c}.{f}" for f in ("ratio", "twin") if f in families for c in STANDARD))


def watch_settings(twin: TwinWatch) -> np.ndarray:
    """The watch's settings as its kernel takes them, (N_SETTINGS,)."""
    g = np.zeros(r.N_SETTINGS)
    g[r.G_FAST_H], g[r.G_SLOW_H], g[r.G_SURGE_H] = twin.fast_hours, twin.slow_hours, twin.surge_hours
    g[r.G_LEARN_H], g[r.G_UP_H], g[r.G_DOWN_H] = twin.learn_hours, twin.up_hours, twin.down_hours
    g[r.G_HOLD_H] = twin.hold_min / 60.0
    g[r.G_HEAT_GAIN], g[r.G_HEAT_KNEE_C] = twin.heat_gain_mm_s_per_k, twin.heat_knee_c
    return g


def clean(values: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    """Values (c, n) with infinite ones and those outside a channel's valid range made NaN."""
    values = np.where(np.isfinite(values), values, np.nan)
    for i, name in enumerate(channels):
        low, high = _RANGE.get(name, (None, None))
        with np.errstate(invalid="ignore"):
            if low is not None and high is not None:
                values[i] = np.where((values[i] >= low) & (values[i] <= high), values[i], np.nan)
    return values


def operating_state(rows: Rows, twin: np.ndarray, by_state: bool = True) -> np.ndarray:
    """0 loaded, 1 idling, 2 stopped, by status and power against the machine's loaded level; (n,) int64.

    All 0 without ``by_state``.
    """
    if not by_state:
        return np.zeros(len(rows.machine), np.int64)
    with np.errstate(invalid="ignore"):
        idles = rows.values[0] < twin[rows.machine, r.A_LOAD_FRAC] * twin[rows.machine, r.A_REF_KW]
    return np.where(rows.status == 0, np.where(idles, 1, 0), 2)


def fit_normal(sample: Rows, baselines: Baselines, around: Surroundings,
               by_state: bool = True) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Median and robust spread (g, 3, c) by machine, kind and fleet and by operating state, from a sample of history.

    What too few readings speak for is taken from the kind, then the fleet, then the loaded state.
    """
    twin, _ = choose_twin(baselines, around)
    state = operating_state(sample, twin, by_state)
    kind = np.array([f"kind:{k}" for k in around.kind], object)
    n_channels = len(sample.values)
    centre = np.full((len(baselines.names), N_STATES, n_channels), np.nan)
    scale = np.full_like(centre, np.nan)
    place = {name: i for i, name in enumerate(baselines.names)}
    groups: dict[str, np.ndarray] = {"*": np.ones(len(state), bool)}
    groups |= {k: kind[sample.machine] == k for k in sorted(set(kind))}
    groups |= {around.machine_ids[m]: sample.machine == m for m in np.unique(sample.machine)}
    for name, mask in groups.items():
        for s in range(N_STATES):
            rows = sample.values[:, mask & (state == s)]
            for c in range(n_channels):
                known = rows[c][np.isfinite(rows[c])]
                if len(known) >= _LEAST_ROWS:
                    centre[place[name], s, c] = np.median(known)
                    scale[place[name], s, c] = MAD * np.median(np.abs(known - centre[place[name], s, c]))
    return _inherit(centre, scale, baselines, around)


def _inherit(centre: np.ndarray, scale: np.ndarray, baselines: Baselines,
             around: Surroundings) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    place = {name: i for i, name in enumerate(baselines.names)}
    fleet = place["*"]
    for s in range(N_STATES):
        empty = ~np.isfinite(centre[fleet, s])
        centre[fleet, s, empty], scale[fleet, s, empty] = centre[fleet, 0, empty], scale[fleet, 0, empty]
    parents = {place[f"kind:{k}"]: fleet for k in set(around.kind)}
    parents |= {place[i]: place[f"kind:{k}"] for i, k in zip(around.machine_ids, around.kind, strict=True)}
    for child, parent in parents.items():
        empty = ~np.isfinite(centre[child])
        centre[child][empty], scale[child][empty] = centre[parent][empty], scale[parent][empty]
    least = np.maximum(1e-3 * np.abs(centre), 1e-6)
    # A channel that hardly moves in a state (zero vibration when stopped) must not turn rounding into sigmas.
    usual = np.where(np.isfinite(scale[fleet, 0]), 0.1 * scale[fleet, 0], 1.0)
    return np.nan_to_num(centre), np.nan_to_num(np.maximum(np.maximum(scale, usual), least), nan=1.0)


def prepare(params: FeatureParams, around: Surroundings, config: AnomalyConfig) -> Prepared:
    """Lay the parameters out for the machines of ``around``; one never seen gets those of its kind or the fleet."""
    twin, usual_row = choose_twin(params.baselines, around)
    place = {name: i for i, name in enumerate(params.baselines.names)}
    at = [place.get(i, place.get(f"kind:{k}", place["*"]))
          for i, k in zip(around.machine_ids, around.kind, strict=True)]  # fmt: skip
    level = twin[:, r.A_LEVEL]
    if around.expected_kw.size:
        level = measured_level(around, twin, params.baselines.usual[usual_row])
    return Prepared(params, around, twin, usual_row, params.centre[at], params.scale[at], watch_settings(config.twin),
                    config, level)  # fmt: skip


def begin(prepared: Prepared) -> FeatureState:
    """State before the first reading of any machine."""
    m, c = len(prepared.twin), len(prepared.params.channels)
    watch = np.empty((m, r.N_WATCH))
    r.begin_watch(prepared.twin, watch)
    size = prepared.config.features.window_readings
    window = WindowState(np.full((m, c, size), np.nan, np.float32), np.zeros((m, c, 3)), np.zeros((m, 2), np.int64))
    return FeatureState(watch, window)


def advance(prepared: Prepared, state: FeatureState, rows: Rows) -> tuple[FeatureState, Batch]:
    """Take a batch of readings (channels as in the parameters) through all steps."""
    p, n = prepared.params, len(rows.machine)
    values = clean(rows.values, p.channels)
    watch, stats = state.watch.copy(), np.empty((r.N_STATS, n), np.float32)
    residual = np.empty((r.N_RESIDUALS, n), np.float32)
    cell = local_cells(prepared.around, rows.machine, rows.time_ms)
    usual = p.baselines.usual[prepared.usual_row[rows.machine], cell]
    if prepared.around.expected_kw.size:
        usual = forecast_log_load(prepared.around, rows.machine, rows.time_ms, prepared.twin, prepared.level,
                                  usual)  # fmt: skip
    context = np.stack([usual,
                        last_ambient(prepared.around, rows.machine, rows.time_ms)])  # fmt: skip
    r.watch(rows.machine, rows.time_ms, values[:3], rows.status, context, prepared.twin, prepared.settings,
            (watch, stats, residual))  # fmt: skip
    parts: dict[str, np.ndarray] = {}
    window = state.window
    if not set(p.families).isdisjoint({"z", "mean", "std", "rate"}):
        settings = prepared.config.features
        operating = operating_state(rows._replace(values=values), prepared.twin, settings.by_state)
        limit = settings.outlier_sigmas
        z = (values - prepared.centre[rows.machine, operating].T) / prepared.scale[rows.machine, operating].T
        parts["z"] = np.clip(z, -limit, limit).astype(np.float32)
        window = WindowState(*(a.copy() for a in state.window))
        rolled = np.empty((3 * len(values), n), np.float32)
        held_min = 60.0 * r.HOLD_STEPS * float(np.median(prepared.twin[:, r.A_STEP_H]))
        gap_ms = round(max(prepared.config.features.gap_min, held_min) * 60_000.0)
        roll(rows.machine, rows.time_ms, parts["z"], gap_ms, window, rolled)
        parts["mean"], parts["std"], parts["rate"] = rolled[0::3], rolled[1::3], rolled[2::3]
    if "ratio" in p.families:
        parts["ratio"] = _ratios(values, rows, prepared)
    if "twin" in p.families:
        sigma = prepared.twin[rows.machine][:, list(_TWIN_SIGMA)].T
        parts["twin"] = (residual[list(_TWIN_ROWS)] / sigma).astype(np.float32)
    features = _stack(parts, p, n)
    return FeatureState(watch, window), Batch(rows.machine, rows.time_ms, rows.status, features, stats)


def _stack(parts: Mapping[str, np.ndarray], p: FeatureParams, n: int) -> np.ndarray:
    wanted = [parts[f] for f in ("z", "mean", "std", "rate", "ratio", "twin") if f in p.families]
    return np.concatenate(wanted) if wanted else np.empty((0, n), np.float32)


def _ratios(values: np.ndarray, rows: Rows, prepared: Prepared) -> np.ndarray:
    """Power over the name plate's; temperature rise over ambient and vibration, each per unit of load; (3, n)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        load = values[0] / prepared.twin[rows.machine, r.A_REF_KW]
        per = np.where((rows.status == 0) & (load > 0.1), load, np.nan)
        ambient = last_ambient(prepared.around, rows.machine, rows.time_ms)
        rise = values[1] - np.where(np.isfinite(ambient), ambient, 0.0)
        return np.stack([load, rise / per, values[2] / per]).astype(np.float32)
