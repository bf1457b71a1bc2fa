"""The tables of a replay of approvals: every attempt, and every request from its submission to its end."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import SCHEMA_VERSION, field


def _text(name: str, meaning: str) -> Channel:
    return Channel(name, "1", "text", None, None, meaning)


def _time(name: str, meaning: str) -> Channel:
    return Channel(name, "UTC", "time", None, None, meaning)


_MACHINE = (_text("machine_id", "machine it is about"), _text("factory_id", "factory of the machine"))
_SUBJECT = (
    _text("subject", "REGISTRATION, or the status asked for"),
    Channel("revision", "1", "int32", 0, None, "number of the submission of its machine, from 1; 0 = none yet"),
)
APPROVAL_TABLES: Mapping[str, tuple[Channel, ...]] = MappingProxyType(
    {
        "attempts": (
            _time("time", "when it was tried"),
            _text("by", "who tried"),
            _text("role", "role of who tried; empty for the system"),
            Channel("is_agent", "1", "bool", None, None, "tried by a program"),
            _text("action", "what was tried: submit, approve, reject, withdraw, expire, set_..."),
            *_MACHINE,
            *_SUBJECT,
            _text("state_from", "state of the request before"),
            _text("state_to", "state of the request after; the same when denied"),
            _text("status_to", "status of the machine after"),
            _text("denied", "why not, for machines: FORBIDDEN, CONFLICT, STALE, ...; null = allowed"),
            _text("why", "why not, for people; null = allowed"),
        ),
        "requests": (
            *_MACHINE,
            *_SUBJECT,
            _time("submitted", "when it was asked"),
            _text("submitted_by", "who asked"),
            _time("ended", "when it was decided on, withdrawn or expired; null = open at the end"),
            _text("state", "PENDING, APPROVED, REJECTED, WITHDRAWN or EXPIRED at the end"),
            _text("decided_by", "who ended it; null = open"),
            Channel("lead_h", "h", "float64", 0.0, None, "from submission to end; null = open"),
        ),
    }
)


def approvals_schema(table: str) -> pa.Schema:
    """Arrow schema of a table of a replay, with units and meaning in the field metadata."""
    return pa.schema(
        [field(row) for row in APPROVAL_TABLES[table]],
        metadata={"nexova_table": table, "nexova_schema_version": SCHEMA_VERSION},
    )
