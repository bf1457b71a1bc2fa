"""Remaining life by every method: learned by machine-wise folds, so that no machine is predicted by what it taught.

Distributions of the learned methods come from the residuals of such predictions at moments with a like prediction
(cross-validation+, Barber, Candes, Ramdas, Tibshirani, Annals of Statistics 2021). Nothing here reads truth or labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.rul import RulConfig
from nexova_sim.prognose.life_features import learn_recipe, make_features
from nexova_sim.prognose.life_metrics import LEVELS, p_within
from nexova_sim.prognose.life_models import LEARNED, Fitted, one_thread
from nexova_sim.prognose.lives import HOUR_MS, Cuts, Histories, Lives, steps_of, take
from nexova_sim.prognose.survival import Survival, kaplan_meier, known_targets, mean_life_h, residual_quantiles

Progress = Callable[[int, int], None]
_NEAR_FRAC, _LEAST_NEAR = 0.1, 40
_ANCHORS = 80
_LEAST_DUTY = 0.02
_LEAST_LIVES = 5
_LEAST_OUTCOMES = 8


class Study(NamedTuple):
    """What is known of a dataset, and the moments at which its machines are asked."""

    histories: Histories
    lives: Lives
    cuts: Cuts


class Tracked(NamedTuple):
    """What a tracker says at n cuts: ``wear_frac`` (n,) and ``sample_h`` (n, k) samples of remaining hours."""

    wear_frac: np.ndarray
    sample_h: np.ndarray


class Forecast(NamedTuple):
    """Remaining life at n cuts: ``point_h`` (n,), ``quantile_h`` (n, levels), ``p_raw``, ``p_fail`` (n,)."""

    point_h: np.ndarray
    quantile_h: np.ndarray
    p_raw: np.ndarray
    p_fail: np.ndarray


class _Raw(NamedTuple):
    """A prediction before calibration; ``quantile_h`` None leaves the distribution to the residuals."""

    point_h: np.ndarray
    quantile_h: np.ndarray | None


def folds_of(n_machines: int, n_folds: int, seed: int) -> np.ndarray:
    """Fold (m,) of every machine, of nearly equal sizes, drawn at random."""
    found: np.ndarray = np.random.default_rng(seed).permutation(n_machines) % min(n_folds, max(n_machines, 1))
    return found


def duty_frac(histories: Histories, cuts: Cuts, past_h: float) -> np.ndarray:
    """Share of the last ``past_h`` calendar hours before each cut that its machine ran, (n,)."""
    total = np.concatenate(
        [np.zeros((len(histories.machine_ids), 1)), np.cumsum(histories.online_frac, axis=1)], axis=1
    )
    width = max(1, round(past_h * HOUR_MS / histories.step_ms))
    high = cuts.step + 1
    low = np.maximum(high - width, 0)
    ran = (total[cuts.machine, high] - total[cuts.machine, low]) / np.maximum(high - low, 1)
    found: np.ndarray = np.maximum(ran, _LEAST_DUTY)
    return found


def age_in_life_h(study: Study) -> np.ndarray:
    """Running hours of the present life at each cut (n,): the hour meter, or since the repair that began the life."""
    return _age_at(study, study.cuts.life, study.cuts.step)


def _age_at(study: Study, life: np.ndarray, step: np.ndarray) -> np.ndarray:
    histories, lives = study.histories, study.lives
    first, _ = steps_of(histories, lives)
    first = np.minimum(first, histories.age_h.shape[1] - 1)
    now = histories.age_h[lives.machine[life], np.maximum(step, 0)]
    before = np.where(lives.begin_ms[life] > histories.start_ms, histories.age_h[lives.machine[life], first[life]], 0.0)
    found: np.ndarray = np.maximum(now - before, 0.0)
    return found


def life_survival(study: Study, machines: np.ndarray) -> Survival:
    """Survival over running age of the lives of ``machines`` (mask over machines), censored ones included."""
    _, last = steps_of(study.histories, study.lives)
    first, _ = steps_of(study.histories, study.lives)
    chosen = np.flatnonzero(machines[study.lives.machine] & (last > first))
    return kaplan_meier(_age_at(study, chosen, first[chosen]), _age_at(study, chosen, last[chosen] - 1),
                        study.lives.is_failure[chosen])  # fmt: skip


def _constant(train: Study, machines: np.ndarray, test: Study, past_h: float) -> _Raw:
    curve = life_survival(train, machines)
    age, duty = age_in_life_h(test), duty_frac(test.histories, test.cuts, past_h)
    point = np.maximum(mean_life_h(curve) - age, 0.0) / duty
    return _Raw(point, residual_quantiles(curve, age, LEVELS) / duty[:, None])


def seed_formula_h(wear_frac: np.ndarray, runtime_h: np.ndarray, life_h: np.ndarray, duty: np.ndarray) -> np.ndarray:
    """The platform document's (1 - wear) * 20000 - runtime, in calendar hours at a duty (n,); never below 0."""
    life = np.where(np.isfinite(life_h), life_h, 20_000.0)
    found: np.ndarray = np.maximum((1.0 - wear_frac) * life - runtime_h, 0.0) / duty
    return found


def _formula(test: Study, tracked: Tracked, past_h: float) -> _Raw:
    cuts = test.cuts
    runtime = test.histories.age_h[cuts.machine, cuts.step]
    duty = duty_frac(test.histories, cuts, past_h)
    point = seed_formula_h(tracked.wear_frac, runtime, test.histories.plate[cuts.machine, 3], duty)
    return _Raw(point, np.repeat(point[:, None], len(LEVELS), axis=1))  # a formula claims no interval


def _twin(tracked: Tracked) -> _Raw:
    return _Raw(tracked.sample_h.mean(axis=1), np.quantile(tracked.sample_h, LEVELS, axis=1).T)


def in_proportion(weight: np.ndarray) -> np.ndarray:
    """Row numbers (n,) in which a row stands as often as its share of the weight says; every row once when all equal.

    Copies instead of weights, because weighted binning takes ten times as long as all the trees.
    """
    mass = np.cumsum(weight)
    at = np.searchsorted(mass / mass[-1], (np.arange(len(weight)) + 0.5) / len(weight))
    found: np.ndarray = np.minimum(at, len(weight) - 1)
    return found


def _fit(
    study: Study, machines: np.ndarray, names: tuple[str, ...], config: RulConfig
) -> tuple[Callable[[Study], np.ndarray], dict[str, Fitted]]:
    """Train the methods on the cuts of ``machines`` (mask); returns how to make features and the trained methods."""
    known, weight = known_targets(study.cuts.target_h, study.cuts.seen_h, config.learning.cap_h)
    rows = np.flatnonzero(machines[study.cuts.machine] & np.isfinite(known))
    n_lives = len(np.unique(study.cuts.life[rows]))
    if n_lives < _LEAST_LIVES:
        raise DataError(
            f"only {n_lives} lives tell how long machines last (failures, or with learning.cap_h lives that went on "
            f"longer); at least {_LEAST_LIVES} are needed: give more data, or --train with a dataset that has them"
        )
    recipe = learn_recipe(study.histories, np.flatnonzero(machines), take(study.cuts, rows), config.features)
    x, _ = make_features(recipe, study.histories, study.lives, take(study.cuts, rows))
    told = np.array([len(np.unique(column[np.isfinite(column)])) > 1 for column in x.T])
    if not told.any():
        raise DataError("no feature of the histories ever changes; there is nothing to learn from")
    drawn = in_proportion(weight[rows])
    with one_thread():
        fitted = {name: LEARNED[name](x[drawn][:, told], known[rows][drawn], config.learning) for name in names}
    return lambda other: make_features(recipe, other.histories, other.lives, other.cuts)[0][:, told], fitted


def _apply(test: Study, features: Callable[[Study], np.ndarray], fitted: Mapping[str, Fitted]) -> dict[str, _Raw]:
    x = features(test)
    with one_thread():
        return {
            name: _Raw(np.maximum(model.point(x), 0.0), None if model.spread is None else model.spread(x))
            for name, model in fitted.items()
        }


def _out_of_fold(
    study: Study, names: tuple[str, ...], fold: np.ndarray, config: RulConfig, progress: Progress
) -> dict[str, _Raw]:
    """Every cut predicted by methods trained without its machine."""
    n = len(study.cuts.life)
    point = {name: np.full(n, np.nan) for name in names}
    spread: dict[str, np.ndarray] = {}
    n_folds = int(fold.max()) + 1
    for k in range(n_folds):
        progress(k, n_folds)
        rows = np.flatnonzero(fold[study.cuts.machine] == k)
        if not len(rows):
            continue
        test = study._replace(cuts=take(study.cuts, rows))
        found: dict[str, _Raw] = {}
        if "constant_mean_life" in names:
            found["constant_mean_life"] = _constant(study, fold != k, test, config.future.past_h)
        learned = tuple(name for name in names if name in LEARNED)
        if learned:
            found |= _apply(test, *_fit(study, fold != k, learned, config))
        for name, raw in found.items():
            point[name][rows] = raw.point_h
            if raw.quantile_h is not None:
                spread.setdefault(name, np.full((n, len(LEVELS)), np.nan))[rows] = raw.quantile_h
    progress(n_folds, n_folds)
    return {name: _Raw(point[name], spread.get(name)) for name in names}


def residual_spread(point_h: np.ndarray, pool_h: np.ndarray, residual_h: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Quantiles (n, levels) of ``point_h`` plus weighted residuals of the pool's nearest predictions, never below 0.

    The quantiles are found at anchors spread over the pool's predictions and interpolated between them.
    """
    order = np.argsort(pool_h, kind="stable")
    pool, residual, weights = pool_h[order], residual_h[order], weight[order]
    near = min(len(pool), max(_LEAST_NEAR, round(_NEAR_FRAC * len(pool))))
    places = np.unique(np.linspace(0, len(pool) - 1, _ANCHORS).round().astype(np.int64))
    table = np.empty((len(places), len(LEVELS)))
    for row, place in enumerate(places):
        low = int(np.clip(place - near // 2, 0, len(pool) - near))
        chosen = np.argsort(residual[low : low + near], kind="stable")
        mass = np.cumsum(weights[low : low + near][chosen])
        at = np.searchsorted(mass / mass[-1], LEVELS)
        table[row] = residual[low : low + near][chosen][np.minimum(at, near - 1)]
    anchors = pool[places]
    offsets = np.stack([np.interp(point_h, anchors, table[:, q]) for q in range(len(LEVELS))], axis=1)
    found: np.ndarray = np.maximum(point_h[:, None] + offsets, 0.0)
    return found


def calibrate(p: np.ndarray, pool_p: np.ndarray, outcome: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Probabilities (n,) corrected by a logistic line learned on a pool with known outcomes (Platt 1999).

    The line is drawn towards no correction, and is none when the pool holds too few failures or survivals.
    """
    if min(outcome.sum(), (1.0 - outcome).sum()) < _LEAST_OUTCOMES:
        return p.copy()
    x = np.column_stack([np.ones(len(pool_p)), _logit(pool_p)])
    prior, pull = np.array([0.0, 1.0]), np.diag([1.0, 1.0])
    line = prior.copy()
    weights = weight / weight.mean()
    for _ in range(30):
        fit = 1.0 / (1.0 + np.exp(-np.clip(x @ line, -30.0, 30.0)))
        slope = x.T @ (weights * (outcome - fit)) - pull @ (line - prior)
        bend = x.T @ (x * (weights * fit * (1.0 - fit))[:, None]) + pull
        step = np.linalg.solve(bend, slope)
        line = line + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    shifted = line[0] + max(float(line[1]), 0.0) * _logit(p)
    found: np.ndarray = 1.0 / (1.0 + np.exp(-shifted))
    return found


def _logit(p: np.ndarray) -> np.ndarray:
    inner = np.clip(p, 0.005, 0.995)
    found: np.ndarray = np.log(inner / (1.0 - inner))
    return found


def outcomes(cuts: Cuts, horizon_h: float) -> tuple[np.ndarray, np.ndarray]:
    """Whether machines failed within the horizon as observed (n,), NaN where unknown, and censoring weights (n,)."""
    target, weight = known_targets(cuts.target_h, cuts.seen_h, horizon_h)
    failed = np.where(np.isfinite(target), (cuts.target_h <= horizon_h).astype(float), np.nan)
    return failed, weight


def _finish(raw: _Raw, pool: tuple[_Raw, Cuts], rows: np.ndarray | slice, config: RulConfig) -> Forecast:
    """Distribution and calibrated probability from a pool of predictions, of which ``rows`` may be used."""
    pool_raw, pool_cuts = pool
    known, weight = known_targets(pool_cuts.target_h, pool_cuts.seen_h, config.learning.cap_h)

    def quantiles(one: _Raw) -> np.ndarray:
        if one.quantile_h is not None:
            return one.quantile_h
        usable = np.zeros(len(known), bool)
        usable[rows] = True
        usable &= np.isfinite(known) & np.isfinite(pool_raw.point_h)
        residual = known[usable] - pool_raw.point_h[usable]
        return residual_spread(one.point_h, pool_raw.point_h[usable], residual, weight[usable])

    horizon = config.judging.horizon_h
    spread = quantiles(raw)
    p_raw = p_within(spread, horizon)
    failed, chance = outcomes(pool_cuts, horizon)
    usable = np.zeros(len(failed), bool)
    usable[rows] = True
    usable &= np.isfinite(failed) & np.isfinite(pool_raw.point_h)
    pool_p = p_within(quantiles(pool_raw), horizon)
    p_fail = calibrate(p_raw, pool_p[usable], failed[usable], chance[usable]) if usable.any() else p_raw.copy()
    return Forecast(raw.point_h, spread, p_raw, p_fail)


def _given(study: Study, names: tuple[str, ...], tracked: Tracked | None, past_h: float) -> dict[str, _Raw]:
    if tracked is None:
        return {}
    made = {"seed_formula": lambda: _formula(study, tracked, past_h), "twin": lambda: _twin(tracked)}
    return {name: made[name]() for name in names if name in made}


def cross_forecast(study: Study, config: RulConfig, tracked: Tracked | None, progress: Progress) -> dict[str, Forecast]:
    """Forecasts by every method at every cut, none trained or calibrated on the machine it is about.

    Methods that need a tracker are left out without ``tracked``. Raises DataError when too few lives are known.
    """
    fold = folds_of(len(study.histories.machine_ids), config.learning.n_folds, config.learning.seed)
    names: tuple[str, ...] = tuple(config.methods)
    own = tuple(name for name in names if name in LEARNED or name == "constant_mean_life")
    raws = _out_of_fold(study, own, fold, config, progress) | _given(study, names, tracked, config.future.past_h)
    at = fold[study.cuts.machine]
    out: dict[str, Forecast] = {}
    for name in names:
        if name not in raws:
            continue
        parts = []
        for k in range(int(fold.max()) + 1):
            rows = np.flatnonzero(at == k)
            one = _Raw(raws[name].point_h[rows], _rows(raws[name].quantile_h, rows))
            parts.append((rows, _finish(one, (raws[name], study.cuts), at != k, config)))
        out[name] = _joined(parts, len(at))
    return out


def _rows(values: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[rows]


def _joined(parts: list[tuple[np.ndarray, Forecast]], n: int) -> Forecast:
    columns = []
    for field in range(len(Forecast._fields)):
        whole = np.empty((n, *parts[0][1][field].shape[1:]))
        for rows, forecast in parts:
            whole[rows] = forecast[field]
        columns.append(whole)
    return Forecast(*columns)


def forecast_other(train: Study, test: Study, config: RulConfig, tracked: tuple[Tracked | None, Tracked | None],
                   progress: Progress) -> dict[str, Forecast]:  # fmt: skip
    """Forecasts at the cuts of ``test`` by methods trained and calibrated on ``train``; ``tracked`` of both, if any."""
    names: tuple[str, ...] = tuple(config.methods)
    own = tuple(name for name in names if name in LEARNED or name == "constant_mean_life")
    fold = folds_of(len(train.histories.machine_ids), config.learning.n_folds, config.learning.seed)
    past_h = config.future.past_h
    pool = _out_of_fold(train, own, fold, config, progress)
    everyone = np.ones(len(train.histories.machine_ids), bool)
    raws: dict[str, _Raw] = {}
    if "constant_mean_life" in own:
        raws["constant_mean_life"] = _constant(train, everyone, test, past_h)
    learned = tuple(name for name in own if name in LEARNED)
    if learned:
        raws |= _apply(test, *_fit(train, everyone, learned, config))
    if tracked[0] is not None and tracked[1] is not None:
        pool |= _given(train, names, tracked[0], past_h)
        raws |= _given(test, names, tracked[1], past_h)
    return {name: _finish(raws[name], (pool[name], train.cuts), slice(None), config) for name in names if name in raws}
