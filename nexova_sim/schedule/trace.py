"""One day under a controller, step by step: what was wanted, what ran, what it cost; also with a machine forced."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import N_COSTS, S_STOCK_H, S_TEMP_C, S_TRIP, STEPS, Days, Site
from nexova_sim.schedule.batch import Batch, is_over, open_batch, play
from nexova_sim.schedule.controllers import Controller
from nexova_sim.schedule.model import power_share, state_of, switched


class Trace(NamedTuple):
    """A played day.

    ``wanted`` and ``load_frac`` (STEPS, m), ``power_kw`` (STEPS, m) of the machines, ``total_kw`` (STEPS,)
    with the base load, ``temp_c`` and ``stock_h`` (STEPS, m) after each step, ``costs`` (STEPS, N_COSTS) USD,
    ``n_trips``.
    """

    wanted: np.ndarray
    load_frac: np.ndarray
    power_kw: np.ndarray
    total_kw: np.ndarray
    temp_c: np.ndarray
    stock_h: np.ndarray
    costs: np.ndarray
    n_trips: int


class Force(NamedTuple):
    """Machine ``j`` gets ``load_frac`` from step ``first`` until before ``last``, whatever the controller wants."""

    j: int
    first: int
    last: int
    load_frac: float


def trace_day(controller: Controller, site: Site, day: Days, force: Force | None = None) -> Trace:
    """Play one day (a batch of one) under a controller; the controller sees what ``force`` has done and reacts."""
    batch = open_batch(site, day)
    m = len(site.rated_kw)
    wanted, loads, temp, stock = (np.zeros((STEPS, m)) for _ in range(4))
    total, costs = np.zeros(STEPS), np.zeros((STEPS, N_COSTS))
    n_trips = 0
    memory: Any = None
    while not is_over(batch):
        k = batch.k
        given, memory = controller.loads(batch, memory)
        given = np.array(given, float)
        if force is not None and force.first <= k < force.last:
            given[force.j] = force.load_frac
        wanted[k] = given[:, 0]
        loads[k] = switched(site, day, state_of(batch.state, k, 0), given[:, 0])
        batch = play(batch, given)
        total[k], costs[k] = batch.total_kw[0], batch.cost[:, 0]
        temp[k], stock[k] = batch.state.machine[S_TEMP_C, :, 0], batch.state.machine[S_STOCK_H, :, 0]
        n_trips += int((batch.state.machine[S_TRIP, :, 0] >= site.trip_steps).sum())
    power = np.stack([site.rated_kw * power_share(site, row) for row in loads])
    return Trace(wanted, loads, power, total, temp, stock, costs, n_trips)


def batch_at(controller: Controller, site: Site, day: Days, k: int) -> tuple[Batch, Any]:
    """The batch before step ``k`` under a controller, and the controller's memory."""
    batch = open_batch(site, day)
    memory: Any = None
    while batch.k < k:
        loads, memory = controller.loads(batch, memory)
        batch = play(batch, loads)
    return batch, memory
