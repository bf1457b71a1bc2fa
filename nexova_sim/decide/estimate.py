"""What the plant can know of a machine's state at an alert: from its name plate and the readings of the context alone.

Vibration at a known load is rated vibration plus the part of heat plus the part of wear, so wear follows up to the
sensor's noise and the build spread; what wear cannot explain is imbalance. A temperature that the load cannot explain
is lost cooling. The estimate is a few possible states with weights, half-way between a number and a particle filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.decide.context import Context
from nexova_sim.decide.counterfactual import Belief
from nexova_sim.decide.policy import means_of
from nexova_sim.kernels.futures import (
    G_COOLING,
    G_FATIGUE,
    G_LOAD,
    G_VIBRATION,
    G_WEAR,
    N_G,
    N_X,
    X_AGE,
    X_RUNTIME,
    X_TEMP,
    X_WEAR,
    Situations,
)
from nexova_sim.kernels.rows import (
    M_RATED_KW,
    M_RISE_K,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
)

# Sensor noise and build spread that every maintenance engineer of such a plant knows.
_VIB_NOISE_MM_S = 0.3
_SPREAD_FRAC = 0.03
# Standard normal at the middles of five equal shares.
_POINTS = (-1.2816, -0.5244, 0.0, 0.5244, 1.2816)
# A bearing that fails fast, not by age: how sure when it is seen to grow and when not, growth per hour, how long.
_P_FAST, _P_FAST_PRIOR, _FAST_PER_H, _FAST_H = 0.9, 0.01, 0.005, 96
_LEAST_PER_H, _STEP_PER_H = 0.0015, 0.012
_HOT_FRAC, _HOT_H, _HOT_FATIGUE_PER_H = 1.35, 18, 0.02
_LOAD_H, _SHIFT_H = 12, 96


class Plate(NamedTuple):
    """What is known of a machine without looking inside.

    Nominal ``params`` (N_PARAMS,), planned load (t,) and climate (h,) from the alert on, ``money`` (N_D,),
    ``variation`` (2,), ``key`` of its chance, hour meter.
    """

    params: np.ndarray
    plan: np.ndarray
    ambient_c: np.ndarray
    money: np.ndarray
    variation: np.ndarray
    key: np.uint64
    runtime_h: float


class State(NamedTuple):
    """An estimate: possible wears (k,) with their weights and added wear per hour (k,).

    Then cooling factor, load gain, vibration that wear does not explain, temperature.
    """

    wear: np.ndarray
    weight: np.ndarray
    fast_per_h: np.ndarray
    cooling: float
    load_gain: float
    shift_mm_s: float
    temp_c: float


def estimate(context: Context, plate: Plate) -> State:
    """The state of a machine as its last readings tell it."""
    power, temp_c, _ = means_of(context)
    p = plate.params
    x = power / p[M_RATED_KW] if math.isfinite(power) else 0.0
    temp_c = temp_c if math.isfinite(temp_c) else float(plate.ambient_c[0])
    wear, sd, growth = wear_trend(context, p)
    shift = 0.0
    if wear > 1.0 + 2.0 * sd or growth > _STEP_PER_H:
        # More than wear can explain, or faster than it grows: imbalance, and the wear behind it is unknown.
        shift, wear, sd, growth = max(0.0, (wear - 0.5) * p[M_VIB_WEAR_GAIN]), 0.5, 0.25, 0.0
    k = len(_POINTS)
    points = np.clip(wear + sd * np.array(_POINTS), 0.0, 0.999)
    is_fast = growth > _LEAST_PER_H
    fast = _P_FAST if is_fast else _P_FAST_PRIOR
    warm = temp_c - float(plate.ambient_c[0])
    expected = p[M_RISE_K] * x
    hot = x > 0.1 and warm > _HOT_FRAC * expected and temp_c > p[M_VIB_KNEE_C]
    baseline = context.machine["baseline_kw"] or p[M_RATED_KW]
    return State(
        np.tile(points, 2),
        np.concatenate([np.full(k, (1.0 - fast) / k), np.full(k, fast / k)]),
        np.concatenate([np.zeros(k), np.full(k, growth if is_fast else _FAST_PER_H)]),
        float(np.clip(expected / warm, 0.2, 1.0)) if hot else 1.0,
        float(np.clip(power / baseline, 1.0, 1.6)) if context.episode.channel == "power_kw" and x > 0.1 else 1.0,
        shift,
        temp_c,
    )


def wear_trend(context: Context, params: np.ndarray) -> tuple[float, float, float]:
    """Wear by the newest span that has readings, its standard deviation, and its growth per hour against older ones."""
    p = params
    found = []
    for span in context.spans:
        x = span.power_kw / p[M_RATED_KW]
        if math.isfinite(x) and math.isfinite(span.vibration_mm_s) and x > 0.1 and span.running_h >= 1.0:
            quiet = p[M_VIB_RATED_MM_S] * x + p[M_VIB_HEAT_GAIN] * max(0.0, span.temperature_c - p[M_VIB_KNEE_C])
            sd = math.hypot(_SPREAD_FRAC * quiet, _VIB_NOISE_MM_S / math.sqrt(60.0 * span.running_h))
            wear = (span.vibration_mm_s - quiet) / p[M_VIB_WEAR_GAIN]
            found.append((0.5 * (span.from_h + span.to_h), wear, sd / p[M_VIB_WEAR_GAIN]))
    if not found:
        return 0.5, 0.3, 0.0
    growth = (found[0][1] - found[1][1]) / (found[1][0] - found[0][0]) if len(found) > 1 else 0.0
    return found[0][1] + max(0.0, growth) * found[0][0], found[0][2], growth


def believe(contexts: Sequence[Context], plates: Sequence[Plate]) -> Belief:
    """The estimates of m contexts as situations: the k possible states of each after another."""
    states = [estimate(c, p) for c, p in zip(contexts, plates, strict=True)]
    k = len(states[0].wear) if states else 1
    n, h = len(states) * k, len(plates[0].ambient_c) if states else 0
    state, effect = np.zeros((n, N_X)), np.zeros((n, h, N_G))
    effect[:, :, [G_COOLING, G_LOAD]] = 1.0
    after = effect.copy()
    for i, (found, plate) in enumerate(zip(states, plates, strict=True)):
        own = slice(i * k, (i + 1) * k)
        state[own, X_TEMP], state[own, X_WEAR] = found.temp_c, found.wear
        state[own, X_RUNTIME] = state[own, X_AGE] = plate.runtime_h
        effect[own, :_FAST_H, G_WEAR] = found.fast_per_h[:, None]
        effect[own, :_LOAD_H, G_LOAD] = found.load_gain
        effect[own, :_SHIFT_H, G_VIBRATION] = found.shift_mm_s
        effect[own, :_HOT_H, G_COOLING] = found.cooling
        effect[own, :_HOT_H, G_FATIGUE] = _HOT_FATIGUE_PER_H * (1.0 - found.cooling) / 0.8
    plan, ambient, money, variation = (
        np.repeat(np.array([getattr(p, name) for p in plates]), k, axis=0)
        for name in ("plan", "ambient_c", "money", "variation")
    )
    params = np.repeat(np.array([p.params for p in plates]).T, k, axis=1)
    keys = np.repeat(np.array([p.key for p in plates], np.uint64), k)
    situations = Situations(params, state, plan, ambient, effect, after, money, variation, keys)
    return Belief(situations, np.array([s.weight for s in states]))
