"""The true remaining life of a simulated or labelled dataset: for judging predictions, never for making them."""

from __future__ import annotations

import numpy as np

from nexova_sim.dataset.read import Dataset, time_ms
from nexova_sim.prognose.lives import HOUR_MS, Cuts


def read_truth(dataset: Dataset, cuts: Cuts) -> np.ndarray | None:
    """True calendar hours to failure at every cut (n,), NaN where not known; None when the dataset holds no truth.

    From the last sample at or before the cut, less the time since; a life that is over by then has none.
    """
    if "truth" not in dataset.tables():
        return None
    place = {name: i for i, name in enumerate(dataset.machine_ids())}
    machine, moment, left = [], [], []
    for batch in dataset.scan("truth", columns=["machine_id", "timestamp", "rul_h"]):
        ids = batch.column(0)
        codes = np.array([place[name] for name in ids.dictionary.to_pylist()], np.int64)
        machine.append(codes[np.asarray(ids.indices)])
        moment.append(time_ms(batch.column(1)))
        left.append(batch.column(2).to_numpy(zero_copy_only=False).astype(np.float64))
    if not machine:
        return None
    who, when, rul = np.concatenate(machine), np.concatenate(moment), np.concatenate(left)
    order = np.lexsort((when, who))
    who, when, rul = who[order], when[order], rul[order]
    # One sorted key for machine and time, so that a single search finds every cut's sample.
    origin = int(min(when.min(), cuts.time_ms.min())) if len(cuts.time_ms) else int(when.min())
    span = int(max(when.max(), cuts.time_ms.max() if len(cuts.time_ms) else 0)) - origin + 1
    at = np.searchsorted(who * span + (when - origin), cuts.machine * span + (cuts.time_ms - origin), side="right") - 1
    same = (at >= 0) & (who[np.maximum(at, 0)] == cuts.machine)
    now = rul[at] - (cuts.time_ms - when[at]) / HOUR_MS
    return np.where(same & (now >= 0.0), now, np.nan)
