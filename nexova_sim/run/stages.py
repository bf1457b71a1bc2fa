"""The stages of ``nexova run``: a read-only registry, in the order in which they run. Later stages are added as rows.

A stage reads artifacts that earlier stages left (a file or folder named like the artifact) and leaves its own in its
folder. Its identity is its part of the configuration, the code it runs through and the identity of what it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.run.stage import Stage
from nexova_sim.run.stage_alerts import ALERTS
from nexova_sim.run.stage_anomaly import ANOMALY
from nexova_sim.run.stage_approvals import APPROVALS
from nexova_sim.run.stage_decisions import DECISIONS
from nexova_sim.run.stage_energy import ENERGY
from nexova_sim.run.stage_forecast import FORECAST
from nexova_sim.run.stage_ingest import INGEST
from nexova_sim.run.stage_rul import RUL
from nexova_sim.run.stage_twin import TWIN
from nexova_sim.run.stages_data import DESCRIBE, SIMULATE, report_stage

_WORK: Mapping[str, Stage] = {
    "alerts": ALERTS,
    "approvals": APPROVALS,
    "twin": TWIN,
    "rul": RUL,
    "anomaly": ANOMALY,
    "forecast": FORECAST,
    "energy": ENERGY,
    "decisions": DECISIONS,
}


def check_stage(name: str, flag: str) -> None:
    """ConfigError with the nearest name when ``name`` is no stage."""
    if name not in STAGES:
        raise ConfigError(f"{flag} {name}: there is no such stage; {suggest(name, STAGES)}", got=name)


# The report comes last and gets whatever the stages before it left: report/chapters.py knows how to show it.
STAGES: Mapping[str, Stage] = MappingProxyType(
    {
        "simulate": SIMULATE,
        "ingest": INGEST,
        "describe": DESCRIBE,
        **_WORK,
        "report": report_stage(tuple(stage.gives for stage in _WORK.values())),
    }
)
