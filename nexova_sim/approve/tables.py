"""The registry's tables as SQLAlchemy sees them. What makes them is in ``migrations``; times are milliseconds, UTC.

The platform's tables with these readings: there is no password (identity is a local name or a signed token), readings
stay in Parquet, and a machine may be submitted again, so approvals are unique by machine and revision.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, MetaData, Table, Text

METADATA = MetaData()

SETTINGS = Table("settings", METADATA, Column("key", Text, primary_key=True), Column("value", Text))
FACTORIES = Table(
    "factories",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("created_ms", BigInteger),
)
USERS = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("email", Text),
    Column("role", Text),
    Column("factory_id", Text),
    Column("is_agent", Boolean),
    Column("created_ms", BigInteger),
)
MACHINES = Table(
    "machines",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text),
    Column("kind", Text),
    Column("factory_id", Text),
    Column("status", Text),
    Column("health_score", Float),
    Column("created_ms", BigInteger),
    Column("updated_ms", BigInteger),
)
APPROVALS = Table(
    "machine_approvals",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("machine_id", Text),
    Column("subject", Text),
    Column("revision", Integer),
    Column("status", Text),
    Column("submitted_by", Text),
    Column("decided_by", Text),
    Column("comments", Text),
    Column("decision_comment", Text),
    Column("created_ms", BigInteger),
    Column("decided_ms", BigInteger),
)
AUDIT = Table(
    "audit_log",
    METADATA,
    Column("seq", BigInteger, primary_key=True),
    Column("time_ms", BigInteger),
    Column("user_id", Text),
    Column("actor", Text),
    Column("role", Text),
    Column("action", Text),
    Column("resource", Text),
    Column("is_allowed", Boolean),
    Column("code", Text),
    Column("detail", Text),
    Column("previous", Text),
    Column("digest", Text),
)
ANCHOR = Table(
    "audit_anchor",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("count", BigInteger),
    Column("head", Text),
)
ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("machine_id", Text),
    Column("alert_type", Text),
    Column("severity", Text),
    Column("message", Text),
    Column("created_ms", BigInteger),
    Column("resolved_ms", BigInteger),
)
DECISIONS = Table(
    "ai_decision_log",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("machine_id", Text),
    Column("alert_id", Text),
    Column("policy", Text),
    Column("risk_level", Text),
    Column("action_taken", Text),
    Column("decision", Text),
    Column("created_ms", BigInteger),
)
