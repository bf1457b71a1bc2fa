"""nexova_sim: the offline laboratory for industrial machine fleets.

The public face is small and loaded lazily: the verbs of the ``run`` room, the configuration types and ``open_dataset``.
Importing the package does no work: no logging set-up, no global random state, no compilation.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public name -> module, and the attribute where it is called otherwise there. Grouped by what it is about.
_PUBLIC = {
    # Configuration. load(TYPE, file, settings) reads any of the types; the others find further files by themselves.
    "load": "nexova_sim.config.load",
    "load_fleet": "nexova_sim.config.load",
    "load_twin": "nexova_sim.config.scenario",
    "load_map": "nexova_sim.config.ingest",
    "load_policy": "nexova_sim.config.alert",
    "load_approval": "nexova_sim.config.approval",
    "load_rul": "nexova_sim.config.rul",
    "load_anomaly": "nexova_sim.config.anomaly",
    "load_evaluation": "nexova_sim.config.evaluation",
    "load_forecast": "nexova_sim.config.forecast",
    "load_tune": "nexova_sim.config.study",
    "load_train": "nexova_sim.config.study",
    "load_evaluate": "nexova_sim.config.study",
    "load_plan": "nexova_sim.config.plan",
    "load_decision": "nexova_sim.config.decision",
    "load_attacks": "nexova_sim.config.attack",
    "load_autonomy": "nexova_sim.config.autonomy",
    "load_experiment": "nexova_sim.config.experiment",
    "load_sweep": "nexova_sim.config.sweep",
    "FleetConfig": "nexova_sim.config.types",
    "KindConfig": "nexova_sim.config.kinds",
    "TwinChoice": "nexova_sim.config.scenario",
    "TrackConfig": "nexova_sim.config.track",
    "WhatIfConfig": "nexova_sim.config.whatif",
    "CalibrateConfig": "nexova_sim.config.calibrate",
    "OpportunityConfig": "nexova_sim.config.opportunity",
    # Datasets. Not "simulate": that name belongs to the room nexova_sim.simulate once it is imported.
    "simulate_fleet": "nexova_sim.run.simulate:simulate",
    "ingest": "nexova_sim.run.ingest",
    "ingest_cmapss": "nexova_sim.run.cmapss",
    "open_dataset": "nexova_sim.run.data",
    "describe": "nexova_sim.run.data",
    "verify": "nexova_sim.run.data",
    "query": "nexova_sim.run.data",
    "head": "nexova_sim.run.data",
    "export": "nexova_sim.run.data",
    "split": "nexova_sim.run.data",
    "enrich": "nexova_sim.dataset.enrich",
    "TableSelection": "nexova_sim.run.data:Selection",
    # The twin and remaining life
    "twin": "nexova_sim.run.twin",
    "track": "nexova_sim.run.track",
    "read_clouds": "nexova_sim.run.track",
    "calibrate": "nexova_sim.run.calibrate",
    "what_if": "nexova_sim.run.whatif",
    "Choice": "nexova_sim.run.whatif",
    "predict_rul": "nexova_sim.run.rul:predict",
    "evaluate_rul": "nexova_sim.run.rul:evaluate",
    # Alerts and events
    "run_alerts": "nexova_sim.run.alerts",
    "read_kpi": "nexova_sim.run.alerts",
    "missed_targets": "nexova_sim.run.alerts",
    "read_alerts": "nexova_sim.run.alerts",
    "compare_policies": "nexova_sim.run.alerts",
    "replay_events": "nexova_sim.run.events:replay",
    "EventReplay": "nexova_sim.run.events:Replay",
    "EventSources": "nexova_sim.run.events:Sources",
    # Approvals and audit
    "Access": "nexova_sim.run.registry",
    "add_user": "nexova_sim.run.registry",
    "set_user": "nexova_sim.run.registry",
    "set_roles": "nexova_sim.run.registry",
    "list_users": "nexova_sim.run.registry:users",
    "add_machine": "nexova_sim.run.registry",
    "add_machines_of": "nexova_sim.run.registry",
    "list_machines": "nexova_sim.run.registry:machines",
    "show_machine": "nexova_sim.run.registry",
    "set_status": "nexova_sim.run.approvals",
    "attempt_approval": "nexova_sim.run.approvals:attempt",
    "list_approvals": "nexova_sim.run.approvals:approvals",
    "expire_approvals": "nexova_sim.run.approvals:expire",
    "replay_approvals": "nexova_sim.run.approvals_replay",
    "make_token": "nexova_sim.run.auth:token",
    "audit_verify": "nexova_sim.run.audit",
    "audit_head": "nexova_sim.run.audit",
    "audit_export": "nexova_sim.run.audit",
    # Anomalies and saved models
    "fit_anomaly": "nexova_sim.run.anomaly",
    "score_anomaly": "nexova_sim.run.anomaly_score",
    "explain_anomaly": "nexova_sim.run.anomaly_explain",
    "evaluate_anomalies": "nexova_sim.run.anomaly_evaluate:evaluate",
    "list_models": "nexova_sim.run.models",
    "show_model": "nexova_sim.run.models",
    "verify_model": "nexova_sim.run.models",
    # Forecasts and energy
    "fit_forecast": "nexova_sim.run.forecast:fit",
    "predict_forecast": "nexova_sim.run.forecast:predict",
    "backtest_forecast": "nexova_sim.run.forecast:backtest",
    "find_opportunities": "nexova_sim.run.opportunities",
    "tune_energy": "nexova_sim.run.energy_tune:tune",
    "train_energy": "nexova_sim.run.energy_train:train",
    "evaluate_energy": "nexova_sim.run.energy_evaluate:evaluate",
    "plan_energy": "nexova_sim.run.energy_plan:plan",
    "explain_energy": "nexova_sim.run.energy_explain:explain",
    "register_env": "nexova_sim.schedule.env",
    # Decisions
    "replay_decisions": "nexova_sim.run.decisions",
    "Replay": "nexova_sim.run.decisions",
    "evaluate_decisions": "nexova_sim.run.decision_evaluate:evaluate",
    "attack_policy": "nexova_sim.run.decision_attacks:attack",
    "run_autonomy": "nexova_sim.run.decision_autonomy",
    "chat": "nexova_sim.run.chat",
    "Voice": "nexova_sim.run.chat",
    "lint_cassette": "nexova_sim.run.cassettes:lint",
    "cassette_stats": "nexova_sim.run.cassettes:stats",
    "compare_cassettes": "nexova_sim.run.cassettes:compare",
    # Experiments, sweeps, measurements
    "run_experiment": "nexova_sim.run.experiment",
    "plan_experiment": "nexova_sim.run.experiment",
    "StageSelection": "nexova_sim.run.experiment:Selection",
    "write_report": "nexova_sim.run.report",
    "run_sweep": "nexova_sim.run.sweep",
    "list_runs": "nexova_sim.run.runs",
    "show_run": "nexova_sim.run.runs",
    "diff_runs": "nexova_sim.run.runs_diff",
    "verify_run": "nexova_sim.run.runs_verify",
    "plan_sweep": "nexova_sim.run.sweep",
    "Engine": "nexova_sim.run.engines",
    "Watch": "nexova_sim.run.sweep",
    "bench": "nexova_sim.run.bench",
    "doctor": "nexova_sim.run.doctor:examine",
}

__all__ = ["__version__", *sorted(_PUBLIC)]  # noqa: PLE0604 - the names are strings, ruff cannot see it


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load a public name on first use, so that ``import nexova_sim`` stays instant."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nexova_sim' has no attribute {name!r}; public names: {', '.join(__all__)}")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(import_module(module), attribute or name)
