"""Level shift: every channel against where its own recent past goes, for short histories and channels that drift."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.detect.baselines import FLEET
from nexova_sim.detect.detector import MACHINE_LANE, Batch, Component, Found, Params, filled
from nexova_sim.detect.distances import rows_of
from nexova_sim.kernels.windows import PastState, leave_past
from nexova_sim.schema.channels import STATUSES


@dataclass(frozen=True)
class LevelShift:
    """Root mean square over channels of the rolling mean's distance from level and trend, in its usual distances.

    A fixed reference takes slow drift (a bench that warms up) for a fault; one that follows takes a lasting fault for
    normal. So the reference follows, and nearly stands while a channel is farther away than it ever was in history.
    """

    name: str = "level_shift"

    def components(self) -> tuple[Component, ...]:
        """One."""
        return (Component(self.name, "machine", MACHINE_LANE, "left the level of its own recent past"),)

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """As ``fit_stream``, from readings in order of one machine that runs, for any machine."""
        n = features.shape[1]
        batch = Batch(np.zeros(n, np.int32), np.arange(n), np.zeros(n, np.int8), features, np.empty((0, n)))
        return self.fit_stream([batch], names, ("*",), config)

    def fit_stream(self, batches: Iterable[Batch], names: tuple[str, ...], machine_ids: tuple[str, ...],
                   config: AnomalyConfig) -> Params:  # fmt: skip
        """Usual and largest distance of every channel of every machine; for others the median of the machines.

        A channel without a reading counts nothing.
        """
        rows, settings = rows_of(names, "mean"), config.level_shift
        shape = (len(machine_ids), len(rows))
        params: Params = {
            "rows": rows,
            "machines": np.array((*machine_ids, FLEET)),
            "usual": np.ones(shape),
            "limit": np.full(shape, np.inf),
            "pace": np.array([1.0 / settings.follow_readings, 1.0 / settings.trend_readings, settings.held_frac]),
            "warm_up": np.array([config.features.window_readings], np.int64),
            "quiet": np.array([s in config.post.suppress for s in STATUSES]),
        }
        state = self.start(params, len(machine_ids))
        count, square, most = (np.zeros(shape) for _ in range(3))
        for batch in batches:
            state, away = _away(params, state, batch)
            for m in np.unique(batch.machine):
                mine = away[:, batch.machine == m].astype(np.float64)
                count[m] += np.isfinite(mine).sum(axis=1)
                square[m] += np.nansum(mine * mine, axis=1)
                most[m] = np.maximum(most[m], np.nan_to_num(np.abs(mine)).max(axis=1, initial=0.0))
        known = (count > 0) & (square > 0.0)
        usual = _with_median(np.where(known, np.sqrt(square / np.maximum(count, 1.0)), np.nan))
        return {**params, "usual": usual, "limit": _with_median(np.where(known, most, np.nan))}

    def lay_out(self, params: Params, machine_ids: tuple[str, ...]) -> Params:
        """The rows of the machines; one never seen gets the last, which is the median of those that were."""
        place = {str(name): i for i, name in enumerate(params["machines"])}
        at = np.array([place.get(name, place[FLEET]) for name in machine_ids], np.int64)
        return {**params, "usual": params["usual"][at], "limit": params["limit"][at]}

    def start(self, params: Params, n_machines: int) -> Params:
        """No machine has a past."""
        shape = (n_machines, len(params["rows"]))
        return {"level": np.zeros(shape), "trend": np.zeros(shape), "seen": np.zeros(shape, np.int64)}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """Distance now, 0 until the window has been full once; the driver is the channel farthest away."""
        state, away = _away(params, state, batch)
        usual = params["usual"][batch.machine].T
        z = filled(away / usual)
        n_known = np.maximum(1, np.isfinite(usual).sum(axis=0))
        driver = params["rows"][np.abs(z).argmax(axis=0)].astype(np.int16)
        return state, Found(np.sqrt(np.sum(z * z, axis=0, keepdims=True) / n_known).astype(np.float32), driver)


def _with_median(values: np.ndarray) -> np.ndarray:
    """Rows (m + 1, c): the machines', unknown ones (NaN) taken from the last, which is their median; inf if none is."""
    middle = np.array([np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.inf
                       for column in values.T])  # fmt: skip
    return np.vstack([np.where(np.isfinite(values), values, middle), middle])


def _away(params: Params, state: Params, batch: Batch) -> tuple[Params, np.ndarray]:
    """Next state and distances (c, n) float32, NaN in suppressed states and until the window has been full once."""
    values = batch.features[params["rows"]].astype(np.float32)
    values[:, params["quiet"][batch.status]] = np.nan
    past = PastState(*(state[name].copy() for name in PastState._fields))
    before = past.seen.copy()
    out = np.empty_like(values)
    leave_past(batch.machine, values, params["limit"], params["pace"], past, out)
    for m in np.unique(batch.machine):
        at = np.flatnonzero(batch.machine == m)
        number = before[m][:, None] + np.cumsum(np.isfinite(values[:, at]), axis=1)
        out[:, at] = np.where(number > params["warm_up"][0], out[:, at], np.nan)
    return past._asdict(), out
