"""The stage ``decisions`` of ``nexova run``: several policies decide about the alerts of the dataset, all judged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.decision import DecisionPart
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.run.stage import BASE_ROOMS, Metrics, Stage, Work


def _config(resolved: ResolvedExperiment) -> Any:  # noqa: ANN401
    part = resolved.parts.get("decisions")
    return None if part is None else part.model_dump(mode="json")


def _run(work: Work) -> Metrics:
    from nexova_sim.run.decision_evaluate import evaluate
    from nexova_sim.run.decisions import Replay, replay_decisions

    part = work.resolved.parts.get("decisions")
    if not isinstance(part, DecisionPart):
        raise ConfigError("the experiment has no section 'decisions'")
    tape = None if part.cassette is None else Path(part.cassette)
    replay = Replay(tuple(part.policies), True, tape, "replay", part.loop)
    folder = work.folder / "decisions"
    done = replay_decisions(work.inputs["dataset"], part.resolved, replay, folder, True, work.progress)
    metrics = {"episodes": done.summary["episodes"], "policies": done.summary["policies"]}
    if not done.summary["is_judged"]:
        return metrics
    bills = {row["policy"]: row["total_usd"] for row in done.summary["loop"]}
    return metrics | {"judged": {row["policy"]: _judged(row, bills) for row in evaluate(folder)["policies"]}}


def _judged(row: Mapping[str, Any], bills: Mapping[str, float]) -> Metrics:
    """What the judge found of one policy, and the fleet's bill where its actions were carried out."""
    claims = row["saving_claims"]
    found = {
        "regret_usd": row["regret"]["mean_usd"],
        "regret_p95_usd": row["regret"]["p95_usd"],
        "agreement_frac": row["agreement"]["share"],
        "n_claims": claims["n"],
        "claim_error_usd": claims["mae_usd"],
        "claim_bias_usd": claims["bias_usd"],
        "claimed_gain_lost_frac": claims["wrong_sign_share"],
    }
    return found | ({"fleet_usd": bills[row["policy"]]} if row["policy"] in bills else {})


DECISIONS = Stage(
    needs=("dataset",),
    gives="decisions",
    rooms=(*BASE_ROOMS, "kernels", "simulate", "alert", "approve", "decide"),
    files=("config/decision.py", "run/stage_decisions.py", "run/decisions.py", "run/decision_evaluate.py",
           "run/decision_episodes.py", "run/decision_judge.py", "run/decision_loop.py", "run/decision_models.py",
           "run/decision_table.py", "run/decision_twin.py"),
    exports=(),
    config=_config,
    run=_run,
)  # fmt: skip
