"""What the judge says about every episode, ready for the decisions table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.config.decision import DecisionConfig
from nexova_sim.decide.context import Episode
from nexova_sim.decide.counterfactual import Judgement, judge
from nexova_sim.decide.gate import latencies
from nexova_sim.run.decision_twin import Laboratory, offer_of, truths


class Findings(NamedTuple):
    """The judge's view of n episodes, columns in the order of ACTIONS; ``fresh`` from other futures than ``best``.

    ``cost``, ``loss``, ``p_fail`` (n, 3) of acting at once; ``gated`` (n, 3) cost with the gate's delay; ``se`` (n, 3)
    standard error of the saving against doing nothing; ``best`` (n,) the cheapest action; ``is_clear`` (n,).
    """

    cost: np.ndarray
    loss: np.ndarray
    p_fail: np.ndarray
    gated: np.ndarray
    se: np.ndarray
    best: np.ndarray
    is_clear: np.ndarray


def find(lab: Laboratory, episodes: Sequence[Episode], config: DecisionConfig) -> Findings:
    """Judge every episode: the best action is picked on one set of futures and everything is scored on a fresh one.

    Otherwise the best of three noisy averages would look better than it is.
    """
    truth, offer = truths(lab, episodes, config), offer_of(lab, episodes, config)
    n = config.twin.futures
    picked = judge(truth, offer, n, config.seed + 1)
    fresh = judge(truth, offer, n, config.seed)
    waits = latencies(config.gate)
    gated = fresh
    if any(waits):
        gated = judge(truth, offer._replace(latency_h=waits), n, config.seed)
    best = picked.mean_usd.argmin(axis=1)
    return Findings(
        fresh.mean_usd, fresh.loss_usd.mean(axis=2), np.minimum(1.0, fresh.p_fail.mean(axis=2)), gated.mean_usd,
        _saving_se(fresh), best, _is_clear(fresh, best),
    )  # fmt: skip


def _saving_se(found: Judgement) -> np.ndarray:
    """Standard error of cost(NONE) - cost(action), from differences within each future; (n, 3)."""
    difference = found.cost_usd[:, :1] - found.cost_usd
    n = difference.shape[2]
    se: np.ndarray = difference.std(axis=2, ddof=1) / np.sqrt(n)
    return se


def _is_clear(found: Judgement, best: np.ndarray) -> np.ndarray:
    """Whether the second best action costs more than the best by over 2 standard errors of their difference; (n,)."""
    rows = np.arange(len(best))
    others = found.mean_usd.copy()
    others[rows, best] = np.inf
    second = others.argmin(axis=1)
    difference = found.cost_usd[rows, second] - found.cost_usd[rows, best]
    se = difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    clear: np.ndarray = difference.mean(axis=1) > 2.0 * np.maximum(se, 1e-9)
    return clear
