"""A batch of days in lock step: the state of the kernels and what has been paid so far."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.energy import STEPS, Days, Site, State, advance, begin
from nexova_sim.schedule.site import empty_costs, empty_state


class Batch(NamedTuple):
    """n days at step ``k``. ``cost`` (N_COSTS, n) is what the step before cost, ``paid`` the same summed since 06:00.

    ``state``, ``cost``, ``paid`` and ``total_kw`` are advanced in place by ``play``.
    """

    site: Site
    days: Days
    state: State
    cost: np.ndarray
    paid: np.ndarray
    total_kw: np.ndarray
    k: int


def open_batch(site: Site, days: Days) -> Batch:
    """The days before their first step."""
    m, n = days.start.shape[1:]
    state = empty_state(m, n)
    begin(site, days, state)
    return Batch(site, days, state, empty_costs(n), empty_costs(n), np.zeros(n), 0)


def play(batch: Batch, loads: np.ndarray) -> Batch:
    """The batch after its next step under the load fractions ``loads`` (m, n); its arrays are reused."""
    wanted = np.ascontiguousarray(loads, float)
    advance(batch.site, batch.days, batch.k, wanted, batch.total_kw, batch.state, batch.cost)
    batch.paid[:] += batch.cost
    return batch._replace(k=batch.k + 1)


def is_over(batch: Batch) -> bool:
    """True after the last step of the day."""
    return batch.k >= STEPS
