"""The decisions table: the platform's log of decisions, and beside each what the judge found."""

from __future__ import annotations

import pyarrow as pa

from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import SCHEMA_VERSION, field


def _text(name: str, meaning: str) -> Channel:
    return Channel(name, "1", "text", None, None, meaning)


def _usd(name: str, meaning: str) -> Channel:
    return Channel(name, "USD", "float64", None, None, meaning)


DECISIONS = (
    _text("id", "decision: policy, machine, moment, rule, repeat"),
    _text("machine_id", "machine it is about"),
    _text("alert_id", "alert that asked: machine, moment, rule"),
    _text("anomaly_type", "type of that alert"),
    _text("channel", "channel of that alert"),
    Channel("temperature_c", "degC", "float64", None, None, "newest temperature when it was decided"),
    Channel("power_percent", "%", "float64", None, None, "newest power as a share of the baseline"),
    Channel("vibration_mm_s", "mm/s", "float64", None, None, "newest vibration"),
    Channel("created_at", "UTC", "time", None, None, "when it was decided"),
    _text("policy", "who decided"),
    Channel("repeat", "1", "int32", 0, None, "number of the same question asked again"),
    _text("risk_level", "INFO, WARNING or CRITICAL"),
    _text("action_taken", "NONE, MAINTENANCE or OFFLINE"),
    _text("decision", "the whole decision as JSON, with the platform's keys"),
    _text("gate", "none, autonomous, approved or rejected"),
    _text("action_executed", "what was done in the end"),
    Channel("executed_at", "UTC", "time", None, None, "when the action was released; null = nothing was done"),
    _text("path", "rule, or how the model's text was read: raw, fence, extract, failed"),
    Channel("is_fallback", "1", "bool", None, None, "the model gave no usable answer and the rules decided"),
    _text("problem", "why the model's answer was not usable"),
    _text("source", "rule, gemini, or scripted (a labelled stub)"),
    _text("model", "model that was asked"),
    _text("model_version", "model version that answered"),
    Channel("latency_ms", "ms", "float64", 0.0, None, "time the answer took when it was recorded; null = rule"),
    Channel("tokens_in", "1", "float64", 0.0, None, "tokens of the question"),
    Channel("tokens_out", "1", "float64", 0.0, None, "tokens of the answer, with thoughts"),
    _usd("claimed_saving_usd", "estimatedSavings of the decision"),
    _usd("claimed_prevented_usd", "preventedLoss of the decision"),
    _usd("cost_none_usd", "judge: expected cost over the horizon if nothing is done; null = not judged"),
    _usd("cost_maintenance_usd", "judge: of maintenance at once"),
    _usd("cost_offline_usd", "judge: of going offline at once"),
    _usd("cost_executed_usd", "judge: of what was done, with the gate's delay"),
    _usd("saving_true_usd", "judge: cost of doing nothing minus cost of the action decided"),
    _usd("saving_se_usd", "judge: its standard error"),
    _usd("prevented_true_usd", "judge: loss by failure if nothing is done minus that after the action"),
    _usd("regret_usd", "judge: cost of the action decided minus that of the best"),
    Channel("p_fail_none", "1", "float64", 0.0, 1.0, "judge: chance to fail within the horizon if nothing is done"),
    _text("action_best", "judge: cheapest action"),
    Channel("is_clear", "1", "bool", None, None, "judge: the best two actions differ by more than 2 standard errors"),
)


def decisions_schema() -> pa.Schema:
    """Arrow schema of the decisions table, with units and meaning in the field metadata."""
    return pa.schema(
        [field(row) for row in DECISIONS],
        metadata={"nexova_table": "decisions", "nexova_schema_version": SCHEMA_VERSION},
    )
