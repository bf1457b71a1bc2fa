"""nexova_sim: the offline laboratory for industrial machine fleets.

The public face is small and loaded lazily: the verbs of the ``run`` room, the configuration types and ``open_dataset``.
Importing the package does no work: no logging set-up, no global random state, no compilation.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    # Not "simulate": that name belongs to the room nexova_sim.simulate once it is imported.
    "simulate_fleet": "nexova_sim.run.simulate:simulate",
    "twin": "nexova_sim.run.twin",
    "track": "nexova_sim.run.track",
    "calibrate": "nexova_sim.run.calibrate",
    "what_if": "nexova_sim.run.whatif",
    "ingest": "nexova_sim.run.ingest",
    "fit_anomaly": "nexova_sim.run.anomaly",
    "score_anomaly": "nexova_sim.run.anomaly_score",
    "explain_anomaly": "nexova_sim.run.anomaly_explain",
    "run_experiment": "nexova_sim.run.experiment",
    "bench": "nexova_sim.run.bench",
    "describe": "nexova_sim.run.data",
    "verify": "nexova_sim.run.data",
    "query": "nexova_sim.run.data",
    "export": "nexova_sim.run.data",
    "split": "nexova_sim.run.data",
    "find_opportunities": "nexova_sim.run.opportunities",
    "tune": "nexova_sim.run.energy_tune",
    "evaluate": "nexova_sim.run.energy_evaluate",
    "plan_energy": "nexova_sim.run.energy_plan:plan",
    "explain_energy": "nexova_sim.run.energy_explain:explain",
    "load_plan": "nexova_sim.config.plan",
    "load_tune": "nexova_sim.config.study",
    "load_evaluate": "nexova_sim.config.study",
    "register_env": "nexova_sim.schedule.env",
    "open_dataset": "nexova_sim.run.data",
    "run_alerts": "nexova_sim.run.alerts",
    "compare_policies": "nexova_sim.run.alerts",
    "ingest_cmapss": "nexova_sim.run.cmapss",
    "predict_rul": "nexova_sim.run.rul:predict",
    "evaluate_rul": "nexova_sim.run.rul:evaluate",
    "load_rul": "nexova_sim.config.rul",
    "replay_decisions": "nexova_sim.run.decisions",
    "load_decision": "nexova_sim.config.decision",
    "load_policy": "nexova_sim.config.alert",
    "load_approval": "nexova_sim.config.approval",
    "replay_approvals": "nexova_sim.run.approvals_replay",
    "audit_verify": "nexova_sim.run.audit",
    "FleetConfig": "nexova_sim.config.types",
    "KindConfig": "nexova_sim.config.kinds",
    "evaluate_anomalies": "nexova_sim.run.anomaly_evaluate:evaluate",
    "load_fleet": "nexova_sim.config.load",
    "load": "nexova_sim.config.load",
    "TrackConfig": "nexova_sim.config.track",
    "WhatIfConfig": "nexova_sim.config.whatif",
    "CalibrateConfig": "nexova_sim.config.calibrate",
    "OpportunityConfig": "nexova_sim.config.opportunity",
    "Choice": "nexova_sim.run.whatif",
    "load_anomaly": "nexova_sim.config.anomaly",
    "load_evaluation": "nexova_sim.config.evaluation",
    "load_forecast": "nexova_sim.config.forecast",
    "predict_forecast": "nexova_sim.run.forecast:predict",
    "backtest_forecast": "nexova_sim.run.forecast:backtest",
    "Replay": "nexova_sim.run.decisions",
    "evaluate_decisions": "nexova_sim.run.decision_evaluate:evaluate",
    "load_experiment": "nexova_sim.config.experiment",
    "load_sweep": "nexova_sim.config.sweep",
    "run_sweep": "nexova_sim.run.sweep",
    "load_twin": "nexova_sim.config.scenario",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604 - the names are strings, ruff cannot see it


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load a public name on first use, so that ``import nexova_sim`` stays instant."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nexova_sim' has no attribute {name!r}; public names: {', '.join(__all__)}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute or name)
