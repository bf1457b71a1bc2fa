"""How a registry is made and brought up to date: numbered steps of plain SQL, each applied once, in one transaction.

A step that has been released is never edited, only followed by another: its hash is stored and compared. The text is
the common ground of SQLite and PostgreSQL; both know partial indexes.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import Connection, inspect, text

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_value


class Migration(NamedTuple):
    """A step: its number, what it brings, its statements."""

    version: int
    title: str
    statements: tuple[str, ...]


_PEOPLE_AND_MACHINES = (
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE factories (id TEXT PRIMARY KEY, name TEXT NOT NULL, created_ms BIGINT NOT NULL)",
    """CREATE TABLE users (
        id TEXT PRIMARY KEY, email TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('ADMIN', 'SUPERVISOR', 'OPERATOR', 'VIEWER')),
        factory_id TEXT REFERENCES factories (id), is_agent BOOLEAN NOT NULL, created_ms BIGINT NOT NULL)""",
    "CREATE UNIQUE INDEX idx_users_email ON users (email)",
    """CREATE TABLE machines (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,
        factory_id TEXT NOT NULL REFERENCES factories (id),
        status TEXT NOT NULL CHECK (status IN ('ONLINE', 'OFFLINE', 'MAINTENANCE')),
        health_score DOUBLE PRECISION CHECK (health_score BETWEEN 0 AND 100),
        created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL)""",
    "CREATE INDEX idx_machines_status ON machines (status, factory_id)",
    "CREATE INDEX idx_active_machines ON machines (id) WHERE status <> 'OFFLINE'",
)
_APPROVALS = (
    """CREATE TABLE machine_approvals (
        id TEXT PRIMARY KEY, machine_id TEXT NOT NULL REFERENCES machines (id),
        subject TEXT NOT NULL, revision INTEGER NOT NULL CHECK (revision >= 1),
        status TEXT NOT NULL CHECK (status IN ('PENDING', 'APPROVED', 'REJECTED', 'WITHDRAWN', 'EXPIRED')),
        submitted_by TEXT NOT NULL REFERENCES users (id), decided_by TEXT REFERENCES users (id),
        comments TEXT NOT NULL, decision_comment TEXT NOT NULL,
        created_ms BIGINT NOT NULL, decided_ms BIGINT,
        CHECK ((status = 'PENDING') = (decided_ms IS NULL)),
        CHECK (status NOT IN ('APPROVED', 'REJECTED') OR (decided_by IS NOT NULL AND decided_by <> submitted_by)),
        CHECK (status <> 'REJECTED' OR decision_comment <> ''))""",
    "CREATE UNIQUE INDEX idx_approvals_revision ON machine_approvals (machine_id, revision)",
    "CREATE UNIQUE INDEX idx_approvals_open ON machine_approvals (machine_id) WHERE status = 'PENDING'",
    "CREATE INDEX idx_approvals_status ON machine_approvals (status, created_ms)",
)
_AUDIT = (
    """CREATE TABLE audit_log (
        seq BIGINT PRIMARY KEY, time_ms BIGINT NOT NULL, user_id TEXT NOT NULL, actor TEXT NOT NULL,
        role TEXT NOT NULL, action TEXT NOT NULL, resource TEXT NOT NULL, is_allowed BOOLEAN NOT NULL,
        code TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL)""",
    "CREATE INDEX idx_audit_resource ON audit_log (resource, seq)",
    """CREATE TABLE audit_anchor (
        id INTEGER PRIMARY KEY CHECK (id = 1), count BIGINT NOT NULL CHECK (count >= 0), head TEXT NOT NULL)""",
    f"INSERT INTO audit_anchor (id, count, head) VALUES (1, 0, '{'0' * 64}')",
)
_ALERTS_AND_DECISIONS = (
    """CREATE TABLE alerts (
        id TEXT PRIMARY KEY, machine_id TEXT NOT NULL REFERENCES machines (id), alert_type TEXT NOT NULL,
        severity TEXT NOT NULL CHECK (severity IN ('INFO', 'WARNING', 'CRITICAL')),
        message TEXT NOT NULL, created_ms BIGINT NOT NULL, resolved_ms BIGINT CHECK (resolved_ms >= created_ms))""",
    "CREATE INDEX idx_alerts_machine_unresolved ON alerts (machine_id) WHERE resolved_ms IS NULL",
    """CREATE TABLE ai_decision_log (
        id TEXT PRIMARY KEY, machine_id TEXT NOT NULL REFERENCES machines (id), alert_id TEXT REFERENCES alerts (id),
        policy TEXT NOT NULL, risk_level TEXT NOT NULL CHECK (risk_level IN ('INFO', 'WARNING', 'CRITICAL')),
        action_taken TEXT NOT NULL CHECK (action_taken IN ('MAINTENANCE', 'OFFLINE', 'NONE')),
        decision TEXT NOT NULL, created_ms BIGINT NOT NULL)""",
    "CREATE INDEX idx_decisions_machine ON ai_decision_log (machine_id, created_ms)",
)

MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "people, machines, approvals, audit", (*_PEOPLE_AND_MACHINES, *_APPROVALS, *_AUDIT)),
    Migration(2, "alerts and decisions", _ALERTS_AND_DECISIONS),
)


def applied(connection: Connection) -> dict[int, str]:
    """Number and hash of every step the registry has been through; empty for an empty database."""
    if not inspect(connection).has_table("schema_version"):
        return {}
    rows = connection.execute(text("SELECT version, sha256 FROM schema_version ORDER BY version"))
    return {int(version): str(digest) for version, digest in rows}


def migrate(connection: Connection, where: str, steps: tuple[Migration, ...] | None = None) -> int:
    """Apply the steps that are missing, inside the open transaction; the number of steps applied.

    Raises DataError when the registry went through steps that are not ours: of a newer version, or edited.
    """
    wanted = MIGRATIONS if steps is None else steps
    done = applied(connection)
    if not done:
        if inspect(connection).get_table_names():
            raise DataError(f"{where}: is a database, but no registry of ours; give another file or URL")
        connection.execute(
            text(
                "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, title TEXT NOT NULL,"
                " sha256 TEXT NOT NULL, applied_ms BIGINT NOT NULL)"
            )
        )
    known = {step.version: hash_value(list(step.statements)) for step in MIGRATIONS}
    for version, digest in done.items():
        if version not in known:
            raise DataError(f"{where}: was written by a newer version (schema {version}); update nexova-sim")
        if known[version] != digest:
            raise DataError(f"{where}: step {version} of its schema is not ours; restore it from a copy")
    missing = [step for step in wanted if step.version not in done]
    for step in missing:
        for statement in step.statements:
            connection.execute(text(statement))
        row = {"v": step.version, "t": step.title, "h": known[step.version], "ms": time.time_ns() // 1_000_000}
        connection.execute(text("INSERT INTO schema_version VALUES (:v, :t, :h, :ms)"), row)
    return len(missing)
