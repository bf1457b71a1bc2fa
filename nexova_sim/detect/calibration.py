"""From what was seen of normal readings to thresholds and scale; and what cannot be calibrated is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.detect.baselines import FLEET
from nexova_sim.detect.blocks import Extremes
from nexova_sim.detect.detector import Component
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import Prepared
from nexova_sim.detect.thresholds import DAY_MS, Scale, fit_knots, fit_limits, highest_limits, ratios

MOST_FLAGGED = 0.5  # share of held-out readings over their thresholds beyond which thresholds tell nothing
NEVER_H = 1e9


def groups_of(prepared: Prepared, names: Sequence[str]) -> np.ndarray:
    """Row of the thresholds ``names`` for every machine of the dataset, (m,): its own, its kind's, or the fleet's."""
    place, around = {name: i for i, name in enumerate(names)}, prepared.around
    return np.array([place.get(i, place.get(f"kind:{kind}", place[FLEET]))
                     for i, kind in zip(around.machine_ids, around.kind, strict=True)], np.int64)  # fmt: skip


def fit_scale(where: object, seen: Extremes, prepared: Prepared) -> Scale:
    """Thresholds and knots from ``seen``; ``where`` names the data in errors.

    Raises DataError when the detector was still learning throughout, or thresholds would flag most readings.
    """
    config = prepared.config
    parts = DETECTORS[config.detector].components()
    _check_learnt(where, seen, parts, prepared)
    floor = np.array([c.floor for c in parts])
    kinds = [f"kind:{k}" for k in prepared.params.baselines.kinds[:-1]]
    kind = prepared.usual_row[seen.machine]
    if config.calibration.threshold == "highest":
        names = (*prepared.around.machine_ids, *kinds, FLEET)
        own = [seen.machine == m for m in range(len(prepared.around.machine_ids))]
        limit = highest_limits(seen.maxima, [*own, *(kind == g for g in range(len(kinds)))], floor)
    else:
        names = (*kinds, FLEET)
        p_exceed = config.calibration.budget_per_machine_day * seen.block_ms / DAY_MS / len(parts)
        limit = fit_limits(seen.maxima, kind, len(kinds), p_exceed, floor)
    _let_silence_be(limit, seen, prepared, parts)
    group = groups_of(prepared, names)
    over = ratios(seen.sample, limit[group[seen.sample_machine]].T)
    highest = over.max(axis=0)
    flagged = float((highest >= 1.0).mean()) if len(highest) else 1.0
    if flagged > MOST_FLAGGED:
        worst = parts[int((over >= 1.0).sum(axis=1).argmax())]
        raise DataError(
            f"{where}: {flagged:.0%} of the held-out readings lie at or over their thresholds, most of them by"
            f" {worst.name!r} ({worst.finding}); at most {MOST_FLAGGED:.0%} may, or a flag says nothing: give data "
            "without that, change calibration.fit_frac, or choose another detector",
            flagged_frac=flagged,
            statistic=worst.name,
        )
    return Scale(limit, fit_knots(highest), names)


def _let_silence_be(limit: np.ndarray, seen: Extremes, prepared: Prepared, parts: tuple[Component, ...]) -> None:
    """Take the threshold of silence away for a channel that no machine has: it would only tell the time."""
    channels = prepared.params.channels
    for k, part in enumerate(parts):
        if part.is_silence and not seen.heard[channels.index(part.channel)].any():
            limit[:, k] = NEVER_H


def _check_learnt(where: object, seen: Extremes, parts: tuple[Component, ...], prepared: Prepared) -> None:
    """DataError when what needs a learnt machine was 0 on every reading: such a model could never find anything."""
    learns = [k for k, c in enumerate(parts) if c.learns]
    if learns and not (np.nan_to_num(seen.maxima[learns]) != 0.0).any():
        raise DataError(
            f"{where}: no machine ran for the {prepared.config.twin.learn_hours:g} h in which "
            f"{prepared.config.detector} learns what is usual, so it would find nothing; give a longer dataset, lower "
            "twin.learn_hours, or take configs/anomaly/bench.yaml, which needs minutes",
        )
