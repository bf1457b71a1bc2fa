"""The alerts table: one row per alert, from the first violating reading to its resolution."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import SCHEMA_VERSION, field

SEVERITIES = ("INFO", "WARNING", "CRITICAL")
MUTED_BY = ("none", "group", "critical", "shelf")
RESOLVED_BY = ("open", "clear", "state", "silence")


def _time(name: str, meaning: str) -> Channel:
    return Channel(name, "UTC", "time", None, None, meaning)


def _word(name: str, meaning: str) -> Channel:
    return Channel(name, "1", "word", None, None, meaning)


_IN_UNIT = "1"  # of the column "unit": it differs from row to row
ALERTS = (
    Channel("machine_id", "1", "id", None, None, "machine the alert is about"),
    _word("rule", "rule of the policy that raised it"),
    _word("alert_type", "type the rule gives it"),
    _word("channel", "channel of the readings the rule looks at"),
    _word("severity", "severity when it was raised"),
    _word("severity_max", "highest severity it reached"),
    _time("onset", "first reading of the run of readings beyond the limit"),
    _time("raised", "reading at which the on-delay was over"),
    _time("announced", "when the operator was first told; null = never"),
    _time("reannounced", "when the operator was last told again, because it grew graver; null = not"),
    _time("escalated", "when it last grew graver; null = never"),
    _time("acknowledged", "announcement plus the operator's latency; null = not told, or after the end of the data"),
    _time("resolved", "when it ended; null = open at the end of the data"),
    Channel("value", _IN_UNIT, "float32", None, None, "signal when raised, after filtering; in the unit of the row"),
    Channel("extreme", _IN_UNIT, "float32", None, None, "furthest signal while open; in the unit of the row"),
    Channel("limit", _IN_UNIT, "float32", None, None, "limit it was raised at; in the unit of the row"),
    _word("unit", "unit of value, extreme and limit"),
    _word("muted_by", "why it was not announced when raised: none, group, critical (a graver alert), shelf"),
    _word("resolved_by", "clear, state (machine stopped), silence (no readings), open"),
    Channel("is_flapping", "1", "bool", None, None, "held open longer because it kept coming back"),
    Channel("n_readings", "1", "int32", 1, None, "valid readings while open"),
)


@cache
def alerts_schema() -> pa.Schema:
    """Arrow schema of the alerts table, with units and meaning in the field metadata."""
    return pa.schema(
        [field(row) for row in ALERTS],
        metadata={"nexova_table": "alerts", "nexova_schema_version": SCHEMA_VERSION},
    )
