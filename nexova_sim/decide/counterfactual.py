"""Judging actions: what every action would have cost, from the true state; and what a policy expects, from an estimate.

The two never meet: ``judge`` takes a ``Truth``, which only the laboratory can make, ``expect`` a ``Belief``, which is
made from what the plant knows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.decide.decision import ACTIONS
from nexova_sim.decide.policy import Outlook
from nexova_sim.kernels.futures import A_END, A_RESTORES, A_START, A_USD, N_A, Situations
from nexova_sim.kernels.whatif import N_O, O_COST, O_LOSS, O_P_FAIL, action_costs


class Truth(NamedTuple):
    """Situations in their true state: for the judge alone."""

    situations: Situations


class Belief(NamedTuple):
    """Situations in an estimated state: ``n_points`` possible states after another, of the same ``weight`` (m, k)."""

    situations: Situations
    weight: np.ndarray


class Offer(NamedTuple):
    """What the actions are in s situations, (s,) each: service hours and USD; the rest as in ``config.Actions``.

    ``restores`` are component bits; ``latency_h`` (3,) hours until an action begins, in the order of ACTIONS.
    """

    service_h: np.ndarray
    service_usd: np.ndarray
    crew_h: int
    look_h: int
    call_out_factor: float
    restores: int
    latency_h: tuple[int, int, int] = (0, 0, 0)


class Judgement(NamedTuple):
    """What the futures say, (s, 3, n): cost USD, loss by failure USD, chance to fail within the horizon."""

    cost_usd: np.ndarray
    loss_usd: np.ndarray
    p_fail: np.ndarray

    @property
    def mean_usd(self) -> np.ndarray:
        """Expected cost of every action, (s, 3)."""
        mean: np.ndarray = self.cost_usd.mean(axis=2)
        return mean


def action_table(offer: Offer) -> np.ndarray:
    """Start, end, USD and what is renewed for every action of every situation, (s, 3, N_A)."""
    n = len(offer.service_h)
    table = np.zeros((n, len(ACTIONS), N_A))
    hours = np.maximum(1.0, np.ceil(offer.service_h))
    starts = (0.0, offer.crew_h + offer.latency_h[1], float(offer.latency_h[2]))
    ends = (np.zeros(n), starts[1] + hours, starts[2] + offer.look_h + hours)
    prices = (0.0, 1.0, offer.call_out_factor)
    for a in range(1, len(ACTIONS)):
        table[:, a, A_START], table[:, a, A_END] = starts[a], ends[a]
        table[:, a, A_USD] = prices[a] * offer.service_usd
        table[:, a, A_RESTORES] = offer.restores
    return table


def _run(situations: Situations, offer: Offer, n: int, seed: int, is_plain: bool) -> Judgement:
    out = np.empty((len(situations.state), len(ACTIONS), n, N_O))
    action_costs(situations, action_table(offer), n, np.uint64(seed), is_plain, out)
    return Judgement(out[..., O_COST], out[..., O_LOSS], out[..., O_P_FAIL])


def judge(truth: Truth, offer: Offer, n_futures: int, seed: int, is_plain: bool = False) -> Judgement:
    """The futures of every action from the true states; actions of a situation share their chance."""
    return _run(truth.situations, offer, n_futures, seed, is_plain)


def expect(belief: Belief, offer: Offer, n_futures: int, seed: int) -> list[Outlook]:
    """What the actions are worth in each of m situations, averaged over the k states that it may be in.

    ``offer`` is that of the m situations.
    """
    m, k = belief.weight.shape
    wide = offer._replace(service_h=np.repeat(offer.service_h, k), service_usd=np.repeat(offer.service_usd, k))
    found = _run(belief.situations, wide, n_futures, seed, False)
    parts = [np.einsum("mk,mka->ma", belief.weight, part.mean(axis=2).reshape(m, k, len(ACTIONS))) for part in found]
    return [Outlook(*(_three(part[i]) for part in parts)) for i in range(m)]


def _three(values: np.ndarray) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c
