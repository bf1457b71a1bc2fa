"""The gate between a decision and the machine: done at once, or only after a person said yes."""

from __future__ import annotations

from typing import NamedTuple

from nexova_sim.config.decision import Gate
from nexova_sim.decide.decision import ACTIONS
from nexova_sim.decide.model import hash_text


class Passage(NamedTuple):
    """What became of a decision: ``action`` that is carried out, ``latency_h`` after it was decided, and how.

    ``outcome`` is none (nothing was to be done), autonomous, approved or rejected.
    """

    action: str
    latency_h: float
    outcome: str


def pass_gate(gate: Gate, action: str, key: str, seed: int, true_saving_usd: float | None) -> Passage:
    """The passage of ``action`` in the situation ``key``.

    ``true_saving_usd`` is what a person who looks at the machine finds out with the chance ``gate.skill_frac``; None
    when nobody can know.
    """
    if action == ACTIONS[0]:
        return Passage(action, 0.0, "none")
    if action in gate.autonomous:
        return Passage(action, 0.0, "autonomous")
    sees = int(hash_text(f"review/{seed}/{key}")[:12], 16) / 16.0**12 < gate.skill_frac
    if sees and true_saving_usd is not None and true_saving_usd < 0.0:
        return Passage(ACTIONS[0], gate.latency_h, "rejected")
    return Passage(action, gate.latency_h, "approved")


def latencies(gate: Gate) -> tuple[int, int, int]:
    """Whole hours until each action of ACTIONS begins to be prepared; 0 for those done at once."""
    waits = [0 if a == ACTIONS[0] or a in gate.autonomous else round(gate.latency_h) for a in ACTIONS]
    return waits[0], waits[1], waits[2]
