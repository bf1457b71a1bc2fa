"""The account of an action: energy, the action's own cost, and what failing costs when, over all futures."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.futures import (
    A_END,
    A_RESTORES,
    A_START,
    A_USD,
    D_DOWN_H,
    D_FAILURE,
    D_LOST,
    N_G,
    N_X,
    X_AGE,
    X_ELECTRICAL,
    X_FATIGUE,
    X_RUNTIME,
    X_WEAR,
    Situations,
    fill_energy,
    fill_limits,
    fill_loads,
    fill_risk,
    is_running,
    renew,
    step_lanes,
)
from nexova_sim.kernels.rows import C_RANDOM, LANES, M_LIFE_H

# Columns of the result.
(O_COST, O_LOSS, O_P_FAIL) = range(3)
N_O = 3


@kernel
def lost_usd(situations: Situations, s: int, first: int, after: int) -> float:
    """Production lost by a stop from hour ``first`` to before hour ``after``: the hours the plan wants the machine."""
    hours = 0.0
    for h in range(first, min(after, situations.plan.shape[1])):
        hours += 1.0 if situations.plan[s, h] > 0.0 else 0.0
    return hours * situations.money[s, D_LOST]


@kernel
def fill_losses(situations: Situations, s: int, out_usd: np.ndarray) -> None:
    """Repair and lost production of a failure in each hour, (h,)."""
    down = np.int64(situations.money[s, D_DOWN_H])
    for h in range(out_usd.shape[0]):
        out_usd[h] = situations.money[s, D_FAILURE] + lost_usd(situations, s, h, h + down)


@kernel
def act(situations: Situations, s: int, action: np.ndarray, load: np.ndarray, bill: np.ndarray, limit: np.ndarray,
        is_plain: bool, out: np.ndarray) -> None:  # fmt: skip
    """The futures of one tile under one action; ``out`` (LANES, N_O).

    ``load`` (h, LANES); ``bill`` (h + 1, LANES) USD before each hour; ``limit`` (2, LANES) ages of random failure,
    looked at only when ``is_plain``. A future has one failure at most: after it the machine is repaired and runs on.
    """
    n_h = load.shape[0]
    q, loss = np.empty(n_h), np.empty(n_h)
    fill_risk(situations, s, action, q)
    fill_losses(situations, s, loss)
    x = np.empty((N_X, LANES))
    for i in range(N_X):
        x[i, :] = situations.state[s, i]
    out[:, :] = 0.0
    alive = np.ones(LANES)
    start, end = np.int64(action[A_START]), np.int64(action[A_END])
    acts = end > start
    own = action[A_USD] + lost_usd(situations, s, start, end) if acts else 0.0
    down, life, age = np.int64(situations.money[s, D_DOWN_H]), situations.params[M_LIFE_H, s], x[X_AGE, 0]
    renewal, survival, n_alive = 0, 1.0, LANES
    effect = np.empty(N_G)
    for h in range(n_h):
        if acts and h == end:
            renew(np.int64(action[A_RESTORES]), x)
            if np.int64(action[A_RESTORES]) & C_RANDOM:
                age, renewal = 0.0, 1
        effect[:] = situations.after[s, h] if acts and h >= end else situations.effect[s, h]
        runs = is_running(situations, s, action, h)
        paid = own if acts and h >= start else 0.0
        until = min(h + down, n_h)
        if runs and not is_plain:
            for j in range(LANES):
                p = alive[j] * survival * q[h]
                out[j, 0] += p * (loss[h] + paid + bill[n_h, j] - (bill[until, j] - bill[h, j]))
                out[j, 1] += p * loss[h]
                out[j, 2] += p
            survival *= 1.0 - q[h]
        step_lanes(situations, s, h, effect, load[h], x)
        if runs:
            age += 1.0
            for j in range(LANES):
                worst = max(x[X_WEAR, j], x[X_FATIGUE, j], x[X_ELECTRICAL, j]) - 1.0
                worst = max(worst, x[X_RUNTIME, j] - life)
                if is_plain:
                    worst = max(worst, age - limit[renewal, j])
                if worst >= 0.0 and alive[j] > 0.0:
                    alive[j] = 0.0
                    n_alive -= 1
                    out[j, 0] += survival * (loss[h] + paid + bill[n_h, j] - (bill[until, j] - bill[h, j]))
                    out[j, 1] += survival * loss[h]
                    out[j, 2] += survival
            if n_alive == 0:
                break
    for j in range(LANES):
        out[j, 0] += alive[j] * survival * (own + bill[n_h, j])


@kernel
def action_costs(situations: Situations, actions: np.ndarray, n_futures: int, seed: np.uint64, is_plain: bool,
                 out: np.ndarray) -> None:  # fmt: skip
    """Cost of every action in every future of every situation; ``actions`` (s, a, N_A), ``out`` (s, a, n, N_O).

    The columns of ``out``: cost USD over the horizon, loss by failure USD in it, chance to fail. Averages over the
    futures are unbiased either way; ``is_plain`` has far more spread.
    """
    n_h = situations.ambient_c.shape[1]
    factor, load = np.empty((n_h, LANES)), np.empty((n_h, LANES))
    bill, limit = np.empty((n_h + 1, LANES)), np.empty((2, LANES))
    tile = np.empty((LANES, 3))
    for s in range(situations.state.shape[0]):
        for first in range(0, n_futures, LANES):
            fill_loads(situations, s, first, seed, factor)
            if is_plain:
                fill_limits(situations, s, first, seed, 0, limit[0])
                fill_limits(situations, s, first, seed, 1, limit[1])
            for a in range(actions.shape[1]):
                fill_energy(situations, s, actions[s, a], factor, load, bill)
                act(situations, s, actions[s, a], load, bill, limit, is_plain, tile)
                for j in range(min(LANES, n_futures - first)):
                    out[s, a, first + j, :] = tile[j, :]
