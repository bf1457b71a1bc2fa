"""The stage ``approvals`` of ``nexova run``: what the alerts ask for meets the reviewers of the experiment's policy."""

from __future__ import annotations

from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.approval import ApprovalPart
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work

_KEYS = ("requests", "attempts", "denied", "lead_median_h", "lead_p90_h", "backlog_max", "outcomes")


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("approvals")
    return None if part is None else part.model_dump(mode="json", by_alias=True)


def _run(work: Work) -> Metrics:
    from nexova_sim.run.approvals_replay import replay_approvals
    from nexova_sim.run.approvals_script import factories_of

    part = work.resolved.parts.get("approvals")
    if not isinstance(part, ApprovalPart):
        raise ConfigError("the experiment has no section 'approvals'")
    factories = factories_of(work.inputs["dataset"])
    done = replay_approvals(work.inputs["alerts"], part, work.folder / "approvals", True, factories)
    return {key: done.summary[key] for key in _KEYS}


APPROVALS = Stage(
    needs=("dataset", "alerts"),
    gives="approvals",
    rooms=(*BASE_ROOMS, "approve"),
    files=("config/approval.py", "config/roles.py", "run/stage_approvals.py", "run/approvals_replay.py",
           "run/approvals_script.py"),
    exports=(),
    config=_config,
    run=_run,
)  # fmt: skip
