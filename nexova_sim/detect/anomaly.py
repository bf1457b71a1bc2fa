"""Fit a detector on history, calibrate it on what comes after, run it over a stream of readings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import Dataset, parse_time
from nexova_sim.dataset.rows import Rows, channel_names, scan_rows
from nexova_sim.detect.baselines import (
    FLEET,
    Baselines,
    Hourly,
    choose_twin,
    fit_baselines,
    hourly_of,
    noise_of,
    reference_kw,
    usual_step_h,
)
from nexova_sim.detect.blocks import collect
from nexova_sim.detect.calibration import fit_scale, groups_of
from nexova_sim.detect.day_ahead import with_forecasts
from nexova_sim.detect.detector import LANES, Batch, Component, Detector, Found, Params, StreamDetector
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import (
    STANDARD,
    FeatureParams,
    FeatureState,
    Prepared,
    advance,
    begin,
    feature_names,
    fit_normal,
    prepare,
    watch_settings,
)
from nexova_sim.detect.surroundings import Surroundings, last_ambient, local_cells, read_surroundings
from nexova_sim.detect.thresholds import Scale, ratios, score_of
from nexova_sim.kernels import residual as r
from nexova_sim.schema.channels import STATUSES

Progress = Callable[[int, int], None]
LEAST_SAMPLES = 50
_SAMPLE_ROWS = 400_000
_NOISE_ROWS = 1_000_000
_TUNED_MACHINES = 4


class Model(NamedTuple):
    """A fitted detector: configuration, feature parameters, the detector's own, kinds with thresholds, scale."""

    config: AnomalyConfig
    features: FeatureParams
    params: Params
    scale: Scale


class Scored(NamedTuple):
    """n scored readings: ``ratio`` (lanes, n) of threshold, ``which`` (lanes, n) int8 component, ``score`` (n,).

    ``gap`` (n,): ratio of the distance to the machine's previous reading; ``channel`` (lanes, n) int16: driver's place
    among the feature names, -1 where the component says it.
    """

    rows: Rows
    ratio: np.ndarray
    which: np.ndarray
    channel: np.ndarray
    gap: np.ndarray
    score: np.ndarray


class RunState(NamedTuple):
    """State of features and detector between batches."""

    features: FeatureState
    detector: Params


def split_time(dataset: Dataset, config: AnomalyConfig) -> int:
    """First instant (ms) that is held out: what comes before is fitted, the rest calibrates, or all where none is."""
    start_ms, end_ms = (parse_time(t, "span") for t in (dataset.manifest.start, dataset.manifest.end))
    if config.calibration.threshold == "highest":
        return end_ms + 1
    return start_ms + round((end_ms - start_ms) * config.calibration.fit_frac)


def fit_model(dataset: Dataset, config: AnomalyConfig, progress: Progress = lambda _done, _total: None) -> Model:
    """Fit on the first part of the time span, calibrate on the rest; reads readings and public tables only.

    Raises DataError when fewer than 50 readings can be fitted or calibrated on, or thresholds would flag most readings.
    """
    split_ms = split_time(dataset, config)
    channels = _channels(dataset, config)
    around = read_surroundings(dataset)
    n_rows = dataset.manifest.rows.get("readings", 0)
    if n_rows < LEAST_SAMPLES:
        raise _too_few(dataset, n_rows, "in the dataset")
    sample = _thinned(dataset, channels, split_ms, max(1, n_rows // _SAMPLE_ROWS))
    if len(sample.machine) < LEAST_SAMPLES:
        raise _too_few(dataset, len(sample.machine), "in the part that is fitted")
    progress(1, 4)
    baselines = _baselines(dataset, config, around, split_ms)
    centre, spread = fit_normal(sample, baselines, around, config.features.by_state)
    features = FeatureParams(channels, tuple(config.features.families), baselines, centre, spread)
    detector = DETECTORS[config.detector]
    prepared = prepare(features, surroundings_of(dataset, config), config)
    progress(2, 4)
    names = feature_names(channels, features.families)
    if isinstance(detector, StreamDetector):
        params = detector.fit_stream(_batches(dataset, prepared, split_ms), names, around.machine_ids, config)
    else:
        params = detector.fit(_history(dataset, prepared, split_ms), names, config)
    progress(3, 4)
    scale = calibrate(dataset, prepared, params, split_ms)
    progress(4, 4)
    return Model(config, features, params, scale)


def surroundings_of(dataset: Dataset, config: AnomalyConfig) -> Surroundings:
    """What is known around the machines, with the day-ahead forecasts when the configuration asks for them."""
    around = read_surroundings(dataset)
    return with_forecasts(around, dataset) if config.expected == "day_ahead" else around


def _channels(dataset: Dataset, config: AnomalyConfig) -> tuple[str, ...]:
    """The standard channels, then those asked for, or every other one the dataset has."""
    others = config.channels if config.channels is not None else channel_names(dataset)
    return (*STANDARD, *(c for c in others if c not in STANDARD))


def _too_few(dataset: Dataset, n: int, where: str) -> DataError:
    return DataError(
        f"{dataset.folder}: {n} samples {where}; a detector needs at least {LEAST_SAMPLES}: give a longer dataset"
    )


def _until(dataset: Dataset, channels: tuple[str, ...], end_ms: int) -> Iterator[Rows]:
    """All batches, cut to readings before ``end_ms``; cutting here keeps partitions, whatever their order."""
    for rows in scan_rows(dataset, channels):
        keep = rows.time_ms < end_ms
        if keep.all():
            yield rows
        elif keep.any():
            yield Rows(rows.machine[keep], rows.time_ms[keep], rows.values[:, keep], rows.status[keep])


def _thinned(dataset: Dataset, channels: tuple[str, ...], end_ms: int, every: int) -> Rows:
    """Every ``every``-th reading before ``end_ms``, in memory."""
    parts = [Rows(rows.machine[::every], rows.time_ms[::every], rows.values[:, ::every], rows.status[::every])
             for rows in _until(dataset, channels, end_ms)]  # fmt: skip
    if not parts:
        return Rows(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((len(channels), 0), np.float32),
                    np.empty(0, np.int8))  # fmt: skip
    return _joined(parts)


def _joined(parts: list[Rows]) -> Rows:
    return Rows(*(np.concatenate([p[i] for p in parts], axis=-1) for i in range(4)))


def _head(dataset: Dataset, around: Surroundings, start_ms: int, end_ms: int) -> Rows:
    """Every reading of a few machines of each kind on the standard channels, about a million from the start."""
    kinds = np.array(around.kind)
    chosen = sorted(m for kind in set(around.kind) for m in np.flatnonzero(kinds == kind)[:_TUNED_MACHINES])
    ids = [around.machine_ids[m] for m in chosen]
    n_each = dataset.manifest.rows["readings"] / len(around.machine_ids) * len(ids)
    share = min(1.0, _NOISE_ROWS / max(1.0, n_each * 0.5))
    stop_ms = start_ms + round((end_ms - start_ms) * share)
    parts = []
    for rows in scan_rows(dataset, STANDARD, machines=ids):
        keep = rows.time_ms < stop_ms
        parts.append(Rows(rows.machine[keep], rows.time_ms[keep], rows.values[:, keep], rows.status[keep]))
    return _joined(parts)


def _baselines(dataset: Dataset, config: AnomalyConfig, around: Surroundings, split_ms: int) -> Baselines:
    grid = gather(dataset)
    kept = max(1, (split_ms - grid.start_ms) // grid.step_ms)
    grid = grid._replace(
        mean=grid.mean[:, :, :kept], n_valid=grid.n_valid[:, :, :kept], energy_kwh=grid.energy_kwh[:, :kept],
        covered_frac=grid.covered_frac[:, :kept], online_frac=grid.online_frac[:, :kept],
    )  # fmt: skip
    ref = reference_kw(grid, around)
    hourly = hourly_of(grid, around, ref)
    head = _head(dataset, around, grid.start_ms, split_ms)
    noise = noise_of(head, ref)
    tau = [t / 60.0 for t in config.twin.tau_min]
    middle = {FLEET: tau[len(tau) // 2]}
    step_h = usual_step_h(_until(dataset, STANDARD, split_ms), len(around.machine_ids))
    first = fit_baselines(hourly, around, ref, noise, middle, step_h)
    return _tuned(first, hourly, around, (ref, noise, step_h), (head, config, tau))


def _tuned(first: Baselines, hourly: Hourly, around: Surroundings,
           known: tuple[np.ndarray, dict[int, np.ndarray], np.ndarray],
           study: tuple[Rows, AnomalyConfig, list[float]]) -> Baselines:  # fmt: skip
    """Baselines with the time constant of each kind that leaves the least of temperature unexplained.

    Power is judged while loaded, or all the time a machine runs, whichever scatters less over an hour.
    """
    head, config, taus = study
    kinds = sorted(set(around.kind))
    chosen = {FLEET: float(np.median(taus))}
    whole: dict[str, bool] = {}
    for kind in kinds:
        codes = [m for m in np.unique(head.machine) if around.kind[m] == kind][:_TUNED_MACHINES]
        keep = np.isin(head.machine, codes)
        rows = Rows(head.machine[keep], head.time_ms[keep], head.values[:, keep], head.status[keep])
        misses = []
        for tau in taus:
            twin, usual = choose_twin(first, around)
            twin[:, r.A_TAU_H] = tau
            misses.append(_miss(rows, (twin, usual, first), around, config)[0])
        if misses and np.isfinite(misses).any():
            chosen[kind] = taus[int(np.nanargmin(misses))]
        twin, usual = choose_twin(first, around)
        loaded = _miss(rows, (twin, usual, first), around, config)[1]
        twin[:, r.A_LOAD_FRAC] = 0.02
        always = _miss(rows, (twin, usual, first), around, config)[1]
        whole[kind] = bool(always < loaded)
    ref, noise, step_h = known
    fitted = fit_baselines(hourly, around, ref, noise, chosen, step_h)
    twin = fitted.twin.copy()
    for i, name in enumerate(fitted.names):
        kind = name.removeprefix("kind:") if name.startswith("kind:") else dict(
            zip(around.machine_ids, around.kind, strict=True)).get(name, "")  # fmt: skip
        if whole.get(kind):
            twin[i, r.A_LOAD_FRAC] = 0.02
    return fitted._replace(twin=twin)


def _miss(rows: Rows, model: tuple[np.ndarray, np.ndarray, Baselines], around: Surroundings,
          config: AnomalyConfig) -> tuple[float, float]:  # fmt: skip
    """Median miss of temperature, and robust spread of an hour's miss of power, on ``rows``."""
    twin, usual, fitted = model
    n = len(rows.machine)
    watch = np.empty((len(twin), r.N_WATCH))
    r.begin_watch(twin, watch)
    stats, residual = np.empty((r.N_STATS, n), np.float32), np.empty((r.N_RESIDUALS, n), np.float32)
    context = np.stack([fitted.usual[usual[rows.machine], local_cells(around, rows.machine, rows.time_ms)],
                        last_ambient(around, rows.machine, rows.time_ms)])  # fmt: skip
    r.watch(rows.machine, rows.time_ms, rows.values, rows.status, context, twin, watch_settings(config.twin),
            (watch, stats, residual))  # fmt: skip
    temp = np.abs(residual[0][np.isfinite(residual[0])])
    power = stats[r.Q_POWER_FAST][stats[r.Q_POWER_FAST] != 0.0]
    spread = float(np.median(np.abs(power - np.median(power)))) if len(power) else float("inf")
    return (float(np.mean(np.minimum(temp, 20.0))) if len(temp) else float("nan")), spread


def _history(dataset: Dataset, prepared: Prepared, split_ms: int) -> np.ndarray:
    """Features (f, n) of an even sample of the fitted part; no rows when the detector sees no features."""
    config = prepared.config
    names = feature_names(prepared.params.channels, prepared.params.families)
    if config.detector in ("twin_residual", "forecast_residual"):
        return np.empty((len(names), 0), np.float32)
    every = max(1, dataset.manifest.rows["readings"] // config.calibration.max_fit_rows)
    parts = []
    running = [i for i, s in enumerate(STATUSES) if s not in config.post.suppress]
    for batch in _batches(dataset, prepared, split_ms):
        kept = np.flatnonzero(np.isin(batch.status, running))[::every]
        parts.append(batch.features[:, kept])
    found = np.concatenate(parts, axis=1) if parts else np.empty((len(names), 0), np.float32)
    if found.shape[1] < LEAST_SAMPLES:
        raise _too_few(dataset, found.shape[1], "of running machines in the part that is fitted")
    return found


def _batches(dataset: Dataset, prepared: Prepared, split_ms: int) -> Iterator[Batch]:
    """The fitted part with its features, in order."""
    state = begin(prepared)
    for rows in _until(dataset, prepared.params.channels, split_ms):
        state, batch = advance(prepared, state, rows)
        yield batch


def lane_table(components: tuple[Component, ...]) -> np.ndarray:
    """Whether component k is in lane l, (lanes, k) bool."""
    return np.array([[c.lane == lane for c in components] for lane in range(len(LANES))])


def calibrate(dataset: Dataset, prepared: Prepared, params: Params, split_ms: int) -> Scale:
    """Thresholds and score from the readings at and after ``split_ms``; the ones before only warm the states up.

    Where the threshold is the highest statistic of history, all readings count.
    """
    config = prepared.config
    is_highest = config.calibration.threshold == "highest"
    from_ms = parse_time(dataset.manifest.start, "start") if is_highest else split_ms
    readings = scan_rows(dataset, prepared.params.channels)
    seen = collect(dataset, stream(readings, prepared, DETECTORS[config.detector], params), prepared, from_ms)
    if seen.n_rows < LEAST_SAMPLES:
        raise _too_few(dataset, seen.n_rows, "in the part that is held out")
    return fit_scale(dataset.folder, seen, prepared)


def stream(batches: Iterable[Rows], prepared: Prepared, detector: Detector,
           params: Params) -> Iterator[tuple[Rows, Batch, Found]]:  # fmt: skip
    """Readings in order -> with their features and statistics."""
    if isinstance(detector, StreamDetector):
        params = detector.lay_out(params, prepared.around.machine_ids)
    state = RunState(begin(prepared), detector.start(params, len(prepared.twin)))
    for rows in batches:
        features, batch = advance(prepared, state.features, rows)
        own, found = detector.step(params, state.detector, batch)
        state = RunState(features, own)
        yield rows, batch, found


def score_rows(model: Model, around: Surroundings, batches: Iterable[Rows]) -> Iterator[Scored]:
    """Score a stream of readings of the machines of ``around``, known to the model or not."""
    prepared = prepare(model.features, around, model.config)
    detector = DETECTORS[model.config.detector]
    parts = detector.components()
    lanes, group = lane_table(parts), groups_of(prepared, model.scale.names)
    for rows, _batch, found in stream(batches, prepared, detector, model.params):
        yield judge(rows, found, model.scale, (parts, lanes, group))


def judge(rows: Rows, found: Found, scale: Scale, layout: tuple[tuple[Component, ...], np.ndarray, np.ndarray]
          ) -> Scored:  # fmt: skip
    """Statistics over thresholds, by lane, and the score of every reading."""
    parts, lanes, group = layout
    over = ratios(found.statistic, scale.limit[group[rows.machine]].T).astype(np.float32)
    highest = over.max(axis=0)
    gaps = [k for k, c in enumerate(parts) if c.is_gap]
    gap = over[gaps].max(axis=0) if gaps else np.zeros(len(highest), np.float32)
    over[gaps] = 0.0
    ratio = np.zeros((len(LANES), len(highest)), np.float32)
    which = np.zeros(ratio.shape, np.int8)
    for lane in range(len(LANES)):
        mine = np.flatnonzero(lanes[lane])
        if len(mine):
            best = over[mine].argmax(axis=0)
            ratio[lane] = np.take_along_axis(over[mine], best[None], 0)[0]
            which[lane] = mine[best]
    channel = np.broadcast_to(found.driver, ratio.shape)
    return Scored(rows, ratio, which, channel, gap, score_of(highest, scale.knots))
