"""A small network that moves the bids of the scheduler once an hour, as plain arrays; zero output is the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import OBS_LIMIT, OBS_MACHINE, OBS_SITE, Days, Site, State, observe
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.kernels.energy_context import CONTEXT_IN, MOST_SHIFT
from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.context import linear_shifts, linear_view
from nexova_sim.schedule.layer import Layer

DECISION_STEPS = 4  # an hour
ACTION_LIMIT = 3.0
_RATE_SCALE, _URGENCY_SCALE, _LOAD_SCALE, _STOCK_SCALE_H, _CAP_SCALE = 0.6, 0.3, 0.2, 0.8, 0.15


def n_actions(n_machines: int, is_whole: bool = False) -> int:
    """Numbers of a decision: rate and urgency of every machine, with ``is_whole`` load and stock too, and the cap."""
    return (4 if is_whole else 2) * n_machines + 1


def n_inputs(n_machines: int) -> int:
    """Numbers a decision is made from: what the environment shows and what the scheduler thinks."""
    return OBS_MACHINE * n_machines + OBS_SITE + 3 * n_machines + 2


def view(site: Site, days: Days, state: State, k: int, params: np.ndarray) -> np.ndarray:
    """What a decision at step ``k`` is made from, (n, n_inputs) float32."""
    m, n = days.start.shape[1:]
    out = np.empty((n, n_inputs(m)), np.float32)
    seen = np.empty((n, OBS_MACHINE * m + OBS_SITE), np.float32)
    features, loads = np.zeros((3 * m + 2, n)), np.zeros((m, n))
    observe(site, days, k, state, seen)
    bid_loads(site, days, state, k, params, np.zeros((4 * m + 1, n)), loads, features)
    out[:, : seen.shape[1]] = seen
    out[:, seen.shape[1] :] = np.clip(features.T, -OBS_LIMIT, OBS_LIMIT)
    return out


def to_shifts(actions: np.ndarray, n_machines: int) -> np.ndarray:
    """Shifts (4 m + 1, n) of the bids for decisions (n, n_actions), limited to +-ACTION_LIMIT.

    Decisions on the whole bid reach twice as far, since they start from a scheduler that was not tuned.
    """
    n, m = len(actions), n_machines
    is_whole = actions.shape[1] == n_actions(m, True)
    limited = np.clip(actions, -ACTION_LIMIT, ACTION_LIMIT) * (2.0 if is_whole else 1.0)
    shifts = np.zeros((4 * m + 1, n))
    shifts[:m] = _RATE_SCALE * limited[:, :m].T
    shifts[m : 2 * m] = _URGENCY_SCALE * limited[:, m : 2 * m].T
    if is_whole:
        shifts[2 * m : 3 * m] = _LOAD_SCALE * limited[:, 2 * m : 3 * m].T
        shifts[3 * m : 4 * m] = _STOCK_SCALE_H * limited[:, 3 * m : 4 * m].T
    shifts[4 * m] = _CAP_SCALE * limited[:, -1]
    return shifts


def decide(layers: Sequence[Layer], inputs: np.ndarray, is_squashed: bool = False) -> np.ndarray:
    """Output (n, out) of the network for ``inputs`` (n, in): tanh between layers, and squashed to +-ACTION_LIMIT."""
    x = inputs
    for layer in layers[:-1]:
        x = np.tanh(x @ layer.weight.T + layer.bias)
    out: np.ndarray = x @ layers[-1].weight.T + layers[-1].bias
    return np.tanh(out) * np.float32(ACTION_LIMIT) if is_squashed else out


class Seat(NamedTuple):
    """What a decision is made from (``n_inputs``), and what its ``n_outputs`` numbers, within +-``limit``, do.

    ``look(batch, step, parameters of the scheduler)`` gives (n, n_inputs) float32; ``shift(decisions, machines)`` the
    shifts (4 m + 1, n) of the bids.
    """

    n_inputs: int
    n_outputs: int
    limit: float
    look: Callable[[Batch, int, np.ndarray], np.ndarray]
    shift: Callable[[np.ndarray, int], np.ndarray]


def network_seat(n_machines: int, is_whole: bool = False) -> Seat:
    """Where a network decides: it sees everything, and moves rates, urgencies and the cap, or the whole bids."""

    def look(batch: Batch, k: int, params: np.ndarray) -> np.ndarray:
        return view(batch.site, batch.days, batch.state, k, params)

    return Seat(n_inputs(n_machines), n_actions(n_machines, is_whole), ACTION_LIMIT, look, to_shifts)


def shared_seat(n_machines: int) -> Seat:
    """Where networks shared by kind (schedule.shared) decide, on the whole bids."""

    def look(batch: Batch, k: int, _params: np.ndarray) -> np.ndarray:
        return linear_view(batch, k)

    return Seat(CONTEXT_IN * (n_machines + 1), 4 * n_machines + 1, MOST_SHIFT, look, linear_shifts)


class Refined(NamedTuple):
    """The bid scheduler whose bids a trained network moves every hour."""

    params: np.ndarray
    layers: tuple[Layer, ...]
    name: str = "ppo"
    is_causal: bool = True
    is_squashed: bool = False
    noise_std: float = 0.0

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The scheduler's loads under the shifts of this hour, which are the memory."""
        m, n = batch.days.start.shape[1:]
        if batch.k % DECISION_STEPS == 0:
            seen = view(batch.site, batch.days, batch.state, batch.k, self.params)
            wanted = decide(self.layers, seen, self.is_squashed)
            if self.noise_std > 0.0:  # as it acted while it learnt; the stream depends on the hour alone
                wanted = wanted + self.noise_std * np.random.default_rng(batch.k).standard_normal(wanted.shape)
            memory = to_shifts(wanted, m)
        out, features = np.zeros((m, n)), np.zeros((3 * m + 2, n))
        bid_loads(batch.site, batch.days, batch.state, batch.k, self.params, memory, out, features)
        return out, memory
