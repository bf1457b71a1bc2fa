"""Small networks shared by the machines of a kind that move the scheduler's bids: as many machines as one likes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.kernels.energy import N_COSTS, Days, Site
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.kernels.energy_context import CONTEXT_IN, CONTEXT_OUT, context_shifts
from nexova_sim.kernels.energy_shared import MACHINE_IN, add_shared_shifts, run_shared
from nexova_sim.schedule.batch import Batch
from nexova_sim.schedule.bids import make_work
from nexova_sim.schedule.context import linear_shifts
from nexova_sim.schedule.layer import Layer


def net_shapes(n_kinds: int, width: int) -> list[tuple[int, int]]:
    """Shapes (out, in) of the layers of a policy, in their order: kind by kind, then the cap's."""

    def net(n_in: int, n_out: int) -> list[tuple[int, int]]:
        return [(width, n_in), (n_out, width + n_in)] if width else [(n_out, n_in)]

    return net(MACHINE_IN, CONTEXT_OUT) * n_kinds + net(CONTEXT_IN, 1)


def width_of(layers: Sequence[Layer], n_kinds: int) -> int:
    """Width of the policy that has these layers: 0 when there is one to a network."""
    return 0 if len(layers) == n_kinds + 1 else len(layers[0].bias)


def pack(layers: Sequence[Layer]) -> np.ndarray:
    """The layers as the kernel wants them, flat float64."""
    return np.concatenate([np.concatenate([np.ravel(x.weight), x.bias]) for x in layers]).astype(float)


class Shared(NamedTuple):
    """The bid scheduler whose bids the networks ``nets`` (packed, of ``width``) move every ``every`` steps.

    ``weights`` are those of a linear policy (schedule.context) below them that decides at every step, or None.
    ``noise_std`` is the spread of the decisions while PPO learned them; 0 in use.
    """

    params: np.ndarray
    nets: np.ndarray
    width: int
    name: str = "ppo"
    is_causal: bool = True
    every: int = 4
    weights: np.ndarray | None = None
    noise_std: float = 0.0

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The scheduler's loads under the shifts in force, which are the memory."""
        site, days, state, k = batch.site, batch.days, batch.state, batch.k
        m, n = days.start.shape[1:]
        if k % self.every == 0:
            memory = np.zeros((4 * m + 1, n))
            add_shared_shifts(site, days, state, k, self.nets, self.width, memory)
            if self.noise_std > 0.0:  # as it acted while it learnt; the stream depends on the hour alone
                noise = np.random.default_rng(k).standard_normal((n, 4 * m + 1))
                memory += linear_shifts(self.noise_std * noise, m)
        out, view = np.zeros((m, n)), np.zeros((3 * m + 2, n))
        shifts = memory
        if self.weights is not None:
            shifts = np.zeros((4 * m + 1, n))
            context_shifts(site, days, state, k, self.weights, shifts)
            shifts += memory
        bid_loads(site, days, state, k, self.params, shifts, out, view)
        return out, memory


def shared_cost(site: Site, days: Days, policy: Shared, params: np.ndarray) -> np.ndarray:
    """Cost split of the days under every parameter row of ``params`` (c, p) with the networks of ``policy``.

    (c, N_COSTS, n) USD. The policy must stand on the scheduler alone, without a linear policy between.
    """
    assert policy.weights is None
    m, n = days.start.shape[1:]
    paid = np.zeros((len(params), N_COSTS, n))
    run_shared(site, days, np.ascontiguousarray(params, float), policy.nets, (policy.width, policy.every),
               make_work(m, n), paid)  # fmt: skip
    return paid
