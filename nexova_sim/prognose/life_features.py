"""Features of a machine's history at a moment: trailing means, trends and curves of channels and of fused health.

Nothing after the moment is used. What has to be learned (scales, directions of health) is learned from the histories of
training machines only, and carried in ``Recipe``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.config.rul import Features
from nexova_sim.prognose.lives import HOUR_MS, Cuts, Histories, Lives, steps_of

_RIDGE = 0.5  # of the curvature terms, in units of one step's noise
_FLAT = 1e-7


class Recipe(NamedTuple):
    """How features are made: ``mean``, ``scale`` (c,) per channel, kept ``channels`` (places), ``fuse`` (c, k).

    ``load_gain`` per kind: vibration (or the like) per unit of power, ``kinds`` the kinds seen in training.
    """

    channels: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    fuse: np.ndarray
    kinds: tuple[str, ...]
    features: Features


def learn_recipe(histories: Histories, machines: np.ndarray, cuts: Cuts, features: Features) -> Recipe:
    """Scales, constant channels and fused health from the training ``machines`` (places) and their ``cuts``.

    Fused health: the principal directions of the standardised channels, and, as the last one, the direction along which
    they follow the logarithm of the remaining life of the training cuts.
    """
    values = histories.values[:, machines].reshape(len(histories.channels), -1)
    known = np.isfinite(values)
    n = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, dtype=np.float64) / n
    spread = np.sqrt((np.where(known, values - mean[:, None], 0.0) ** 2).sum(axis=1, dtype=np.float64) / n)
    channels = np.flatnonzero(spread > _FLAT * np.maximum(1.0, np.abs(mean)))
    scale = np.where(spread > 0.0, spread, 1.0)
    standard = (values[channels] - mean[channels, None]) / scale[channels, None]
    whole = standard[:, known[channels].all(axis=0)]
    fuse = np.zeros((len(channels), 0))
    if features.fused and len(channels) and whole.shape[1] > len(channels):
        fuse = _directions(whole, features.fused)
        guided = _guided(histories, cuts, (channels, mean, scale))
        if guided is not None:
            fuse = np.column_stack([fuse, guided])
    return Recipe(
        channels, mean[channels], scale[channels], fuse, tuple(sorted(set(histories.kind[machines]))), features
    )


def _directions(standard: np.ndarray, most: int) -> np.ndarray:
    """The ``most`` principal directions of (c, n) standardised values, each with its largest weight positive."""
    _, vectors = np.linalg.eigh(standard @ standard.T / standard.shape[1])
    chosen: np.ndarray = vectors[:, ::-1][:, :most]
    found: np.ndarray = chosen * np.sign(chosen[np.argmax(np.abs(chosen), axis=0), np.arange(chosen.shape[1])])
    return found


def _guided(histories: Histories, cuts: Cuts, scales: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray | None:
    """Direction (c,) of the least-squares line from one step's channels to -log(remaining life + 10 steps)."""
    channels, mean, scale = scales
    known = np.isfinite(cuts.target_h)
    values = histories.values[channels][:, cuts.machine[known], cuts.step[known]]
    known_all = np.isfinite(values).all(axis=0)
    if known_all.sum() < 5 * len(channels):
        return None
    standard = (values[:, known_all] - mean[channels, None]) / scale[channels, None]
    target = -np.log(cuts.target_h[known][known_all] * HOUR_MS / histories.step_ms + 10.0)
    centred = standard - standard.mean(axis=1, keepdims=True)
    gram = centred @ centred.T + 1e-3 * centred.shape[1] * np.eye(len(channels))
    found: np.ndarray = np.linalg.solve(gram, centred @ (target - target.mean()))
    norm = float(np.sqrt(found @ (centred @ centred.T / centred.shape[1]) @ found))
    return found / norm if norm > 0.0 else None


class _Series(NamedTuple):
    """Series (s, m, b) with running sums from the start, (s, m, b + 1): of validity and value, times 1, t, t^2 ..."""

    known: tuple[np.ndarray, ...]
    total: tuple[np.ndarray, ...]


def _running(values: np.ndarray, n_count: int, n_total: int) -> _Series:
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    t = np.arange(values.shape[-1], dtype=np.float64)

    def summed(array: np.ndarray, power: int) -> np.ndarray:
        out = np.zeros((*array.shape[:-1], array.shape[-1] + 1))
        np.cumsum(array * t**power, axis=-1, out=out[..., 1:])
        return out

    return _Series(tuple(summed(known, p) for p in range(n_count)), tuple(summed(filled, p) for p in range(n_total)))


def _over(sums: np.ndarray, machine: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sums over steps [low, high) of machines, (s, n)."""
    found: np.ndarray = sums[:, machine, high] - sums[:, machine, low]
    return found


def _mean(series: _Series, machine: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    count = _over(series.known[0], machine, low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, _over(series.total[0], machine, low, high) / count, np.nan)


def _curve(series: _Series, machine: np.ndarray, low: np.ndarray, high: np.ndarray, width: int) -> np.ndarray:
    """Level, slope and bend at the end of [low, high) of a parabola with a little ridge, (3, s, n); time over width."""
    end = (high - 1).astype(np.float64)
    # Moments about the window's end: t - end expanded by the binomial theorem.
    powers_n = [_over(c, machine, low, high) for c in series.known]
    powers_y = [_over(c, machine, low, high) for c in series.total]
    binomial = ((1,), (1, 1), (1, 2, 1), (1, 3, 3, 1), (1, 4, 6, 4, 1))

    def moment(sums: list[np.ndarray], power: int) -> np.ndarray:
        parts: list[np.ndarray] = [b * sums[k] * (-end) ** (power - k) for k, b in enumerate(binomial[power])]
        found: np.ndarray = np.sum(parts, axis=0) / float(width) ** power
        return found

    n = [moment(powers_n, p) for p in range(5)]
    y = [moment(powers_y, p) for p in range(3)]
    gram = np.stack(
        [np.stack([n[i + j] + (_RIDGE if i == j and i else 0.0) for j in range(3)], -1) for i in range(3)], -2
    )
    gram[..., 0, 0] += 1e-6
    solved: np.ndarray = np.linalg.solve(gram, np.stack(y, -1)[..., None])[..., 0]
    return np.moveaxis(np.where(n[0][..., None] > 0, solved, np.nan), -1, 0)


def _growth(
    values: np.ndarray, starts: np.ndarray, taus: list[float], where: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Weights of 1 and of exp(t/tau) at t <= 0 in a ridge fit to each life so far, (1 + taus, s, n).

    ``values`` (s, m, b); ``starts`` (m, b) marks the first step of a life; ``where`` (machine, step) of the cuts.
    """
    rates = [0.0, *(1.0 / tau for tau in taus)]
    k = len(rates)
    pairs = [(i, j) for i in range(k) for j in range(i, k)]
    decay = np.exp(-np.array([rates[i] + rates[j] for i, j in pairs]))
    own = np.exp(-np.array(rates))
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    s, m, b = values.shape
    gram, moment = np.zeros((len(pairs), s, m)), np.zeros((k, s, m))
    order = np.argsort(where[1], kind="stable")
    out = np.empty((k, s, len(order)))
    at = np.searchsorted(where[1][order], np.arange(b + 1))
    for step in range(b):
        fresh = ~starts[:, step]
        gram = gram * (decay[:, None, None] * fresh) + known[:, :, step]
        moment = moment * (own[:, None, None] * fresh) + filled[:, :, step]
        chosen = order[at[step] : at[step + 1]]
        if len(chosen):
            machine = where[0][chosen]
            full = np.zeros((s, len(chosen), k, k))
            for number, (i, j) in enumerate(pairs):
                full[:, :, i, j] = full[:, :, j, i] = gram[number][:, machine]
            full += np.diag([1e-6, *[2.0] * (k - 1)])
            found = np.linalg.solve(full, np.moveaxis(moment[:, :, machine], 0, -1)[..., None])[..., 0]
            out[:, :, chosen] = np.moveaxis(found, -1, 0)
    return out


def make_features(recipe: Recipe, histories: Histories, lives: Lives, cuts: Cuts) -> tuple[np.ndarray, list[str]]:
    """Features (n, k) float64 of cuts, NaN where unknown, and their names (k,)."""
    features = recipe.features
    values = histories.values[recipe.channels] - recipe.mean[:, None, None].astype(np.float32)
    values /= recipe.scale[:, None, None].astype(np.float32)
    channels = [histories.channels[c] for c in recipe.channels]
    first, _ = steps_of(histories, lives)
    machine, low, high = cuts.machine, first[cuts.life], cuts.step + 1
    age = histories.age_h[machine, cuts.step]
    columns = [age, (high - low).astype(np.float64), *histories.plate[machine].T]
    names = ["age_h", "seen_steps", "rated_kw", "nominal_load_frac", "baseline_kw", "rated_life_h"]
    for kind in recipe.kinds if len(recipe.kinds) > 1 else ():
        columns.append((histories.kind[machine] == kind).astype(np.float64))
        names.append(f"kind_{kind.lower()}")
    blocks = []
    if recipe.fuse.shape[1]:
        fused = np.einsum("cmb,ck->kmb", values.astype(np.float64), recipe.fuse, optimize=True)
        blocks.append((fused, [f"health_{k}" for k in range(len(fused))], True))
    if features.per_channel or not blocks:
        blocks.append((values.astype(np.float64), channels, False))
    starts = np.zeros(values.shape[1:], bool)
    inside = first < values.shape[2]
    starts[lives.machine[inside], first[inside]] = True
    for series, labels, is_fused in blocks:
        more, called = _block(series, (machine, low, high), features, starts if is_fused else None)
        columns += list(more)
        names += [f"{label}_{what}" for what in called for label in labels]
    return np.column_stack(columns), names


def _block(series: np.ndarray, where: tuple[np.ndarray, np.ndarray, np.ndarray], features: Features,
           starts: np.ndarray | None) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Features of series (s, m, b), stacked (names times s, n); curves and growth only with ``starts``."""
    machine, low, high = where
    sums = _running(series, 5 if starts is not None else 1, 3 if starts is not None else 1)
    parts, names = [], []
    for width in features.mean_steps:
        parts.append(_mean(sums, machine, np.maximum(low, high - width), high))
        names.append(f"mean_{width}")
    parts += [_mean(sums, machine, low, np.minimum(low + features.first_steps, high)), _mean(sums, machine, low, high)]
    names += ["first", "life_mean"]
    if starts is not None:
        for width in features.curve_steps:
            parts += list(_curve(sums, machine, np.maximum(low, high - width), high, width))
            names += [f"{what}_{width}" for what in ("level", "slope", "bend")]
        edges = [low + (high - low) * q // 4 for q in range(5)]
        parts += [_mean(sums, machine, edges[q], np.maximum(edges[q + 1], edges[q] + 1)) for q in range(4)]
        names += [f"quarter_{q + 1}" for q in range(4)]
        if features.growth_steps:
            parts += list(_growth(series, starts, features.growth_steps, (machine, high - 1)))
            names += ["growth_base", *(f"growth_{tau:g}" for tau in features.growth_steps)]
    return np.concatenate(parts), names
