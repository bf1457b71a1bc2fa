"""How anomaly detectors are judged: matching rules, the exam's span, the gate; read by ``nexova anomaly evaluate``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from nexova_sim.config.load import load
from nexova_sim.config.strict import Frac, Identifier, NonNegative, Positive, Strict


class GateConfig(Strict):
    """The demand: at most so many alarms (true, false and excused) per machine-day, precision and recall at least so.

    The precision is Wilson's lower bound of the alarm precision, the recall is over the detectable physical faults.
    """

    most_alarms_per_machine_day: Positive = 0.05
    least_precision_low_frac: Frac = 0.90
    least_recall_frac: Frac = 0.80


class EvaluateConfig(Strict):
    """Rules of an evaluation. Hours are of the calendar, counted for every machine from its first reading.

    ``skip_h`` is the learning time that is not judged; ``tail_h`` how long after its end a fault may still be told,
    ``lead_h`` how long before its onset; ``failure_lead_h`` before a failure and until the end of its repair an alarm
    outside every labelled fault is counted apart; ``lasting`` faults leave damage, so after them the same holds until
    the next repair; ``leave_out`` are labels that are no faults. ``vus_bins`` is the widest margin of VUS-PR.
    """

    name: Identifier
    bin_s: Positive = 3600.0
    skip_h: NonNegative = 168.0
    lead_h: NonNegative = 0.0
    tail_h: NonNegative = 6.0
    failure_lead_h: NonNegative = 72.0
    lasting: list[Identifier] = []
    leave_out: list[Identifier] = []
    vus_bins: Annotated[int, Field(ge=0, le=200)] = 24
    least_effect_sd: Positive = 5.0
    least_effect_h: NonNegative = 3.0
    n_bootstrap: Annotated[int, Field(ge=20, le=10_000)] = 400
    n_random: Annotated[int, Field(ge=1, le=1000)] = 100
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    gate: GateConfig | None = GateConfig()


def load_evaluation(name: str | Path, settings: Sequence[str] = ()) -> EvaluateConfig:
    """The rules in the file ``name`` with ``--set`` overrides; ConfigError naming file and key."""
    return load(EvaluateConfig, name, settings)
