"""``nexova approvals replay``: thousands of requests under a policy, offline; tables, figures, an audit log of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.approval import ApprovalPart
from nexova_sim.config.load import find_config
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.run.approvals_script import MOST_DAYS, Read, read_script
from nexova_sim.schema.approvals import approvals_schema
from nexova_sim.schema.manifest import MANIFEST_NAME

FORMAT = "nexova-approvals-replay"
ROOMS = ("base", "config", "schema", "dataset", "approve", "run")
ATTEMPTS, REQUESTS, SUMMARY, AUDIT = "attempts.parquet", "requests.parquet", "summary.json", "audit.ndjson"
EVENTS = "events.ndjson"
_HOUR_MS = 3_600_000
_NOWHERE: Mapping[str, str] = {}


class ReplayResult(NamedTuple):
    """What a replay left behind: its folder and its figures."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


def script_hash(path: Path) -> str:
    """Hash of a script file, or of the alerts in the folder of an alert run."""
    target = path / "alerts.parquet" if path.is_dir() else path
    return hash_file(target) if target.is_file() else ""


def find_script(given: Path) -> Path:
    """The script as given, or among the built-in ones (``configs/...``)."""
    return find_config(str(given))


def default_folder(script: Path, part: ApprovalPart, factories: Mapping[str, str] = _NOWHERE,
                   results: Path = Path("results")) -> Path:  # fmt: skip
    """Where a replay goes when no ``--out`` is given: results/approvals/<script>/<run id>."""
    own = script.resolve()
    # A folder named by its content says nothing; the one above it has the name.
    name = (own.parent.name if re.fullmatch("[0-9a-f]{12}", own.name) else own.name) if own.is_dir() else own.stem
    return results / "approvals" / name / _ident(script, part, factories)


def _ident(script: Path, part: ApprovalPart, factories: Mapping[str, str]) -> str:
    return run_id(part.model_dump(mode="json"), script_hash(script), sorted(factories.items()), code_hash(*ROOMS))


def replay_approvals(script: Path, part: ApprovalPart, out: Path | None = None, overwrite: bool = False,
                     factories: Mapping[str, str] = _NOWHERE) -> ReplayResult:  # fmt: skip
    """Play a script (YAML, CSV, or the folder of an alert run) under a policy; same input, same bytes.

    ``factories`` by machine, for requests made from alerts. Raises ConfigError naming the line that is wrong.
    """
    read = read_script(script, part.policy.alerts, factories)
    folder = out or default_folder(script, part, factories)
    config_hash = hash_value([part.model_dump(mode="json"), script_hash(script), sorted(factories.items())])
    code = code_hash(*ROOMS)
    ident = _ident(script, part, factories)
    if not overwrite and is_same(folder, config_hash, code):
        return ReplayResult(folder, ident, _read_summary(folder), True)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        summary = _write_replay(stage, read, part)
        names = (ATTEMPTS, REQUESTS, SUMMARY, AUDIT, EVENTS, "policy.resolved.yaml")
        record = {"format": FORMAT, "run_id": ident, "config_hash": config_hash, "code_hash": code,
                  "files": [_entry(stage, name) for name in names]}  # fmt: skip
        record["manifest_sha256"] = hash_value(record)
        write_durably(stage.folder / MANIFEST_NAME, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return ReplayResult(folder, ident, summary, False)


def _read_summary(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{folder}: the replay is damaged ({error}); make it anew with --overwrite") from error
    return found


def _entry(stage: Stage, name: str) -> dict[str, Any]:
    path = stage.folder / name
    return {"path": name, "bytes": path.stat().st_size, "sha256": hash_file(path)}


def _write_replay(stage: Stage, read: Read, part: ApprovalPart) -> dict[str, Any]:
    """Play what was read and write tables, figures and audit log into ``stage``; the figures."""
    from nexova_sim.approve.replay import play
    from nexova_sim.approve.review import summarise

    end_ms = read.end_ms
    if end_ms is None:
        # Long enough for the last request to be decided or to expire.
        last = read.rows[-1].time_ms if read.rows else 0
        end_ms = last + math.ceil(min(part.table.expires_after_h or 720.0, 720.0) * _HOUR_MS) + 1
    if read.rows and end_ms - read.rows[0].time_ms > (MOST_DAYS + 31) * 24 * _HOUR_MS:
        raise ConfigError(f"until: more than {MOST_DAYS} days after the first attempt; set an earlier moment")
    if read.rows and end_ms <= read.rows[0].time_ms:
        raise ConfigError("until: the replay ends before its first attempt; set a later moment")
    played = play(part, read.rows, end_ms, read.is_registered)
    summary = {"policy": part.policy.model_dump(mode="json"), **summarise(played)}
    _write_parquet(stage.folder / ATTEMPTS, _attempts(played.tried).cast(approvals_schema("attempts")))
    _write_parquet(stage.folder / REQUESTS, _requests(played.asked).cast(approvals_schema("requests")))
    lines, head = _audit(played.tried)
    summary["audit"] = head
    write_durably(stage.folder / AUDIT, lines)
    write_durably(stage.folder / EVENTS, _events(played.tried))
    write_durably(stage.folder / SUMMARY, (json.dumps(summary, indent=1, sort_keys=True) + "\n").encode())
    text = yaml.safe_dump(part.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)
    write_durably(stage.folder / "policy.resolved.yaml", text.encode())
    return summary


def _write_parquet(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_durably(path, sink.getvalue().to_pybytes())


def _time(values: list[int | None]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def _attempts(tried: list[Any]) -> pa.Table:
    """One row per attempt, allowed or denied."""
    return pa.table(
        {
            "time": _time([t.time_ms for t in tried]),
            "by": pa.array([t.actor.email for t in tried], pa.string()),
            "role": pa.array([t.actor.role for t in tried], pa.string()),
            "is_agent": pa.array([t.actor.is_agent for t in tried], pa.bool_()),
            "action": pa.array([t.attempt.action for t in tried], pa.string()),
            "machine_id": pa.array([t.attempt.machine_id for t in tried], pa.string()),
            "factory_id": pa.array([t.factory_id for t in tried], pa.string()),
            "subject": pa.array([t.verdict.subject for t in tried], pa.string()),
            "revision": pa.array([t.verdict.revision for t in tried], pa.int64()),
            "state_from": pa.array([t.verdict.state_from for t in tried], pa.string()),
            "state_to": pa.array([t.verdict.state_to for t in tried], pa.string()),
            "status_to": pa.array([t.verdict.status_to for t in tried], pa.string()),
            "denied": pa.array([t.verdict.denial.code if t.verdict.denial else None for t in tried], pa.string()),
            "why": pa.array([t.verdict.denial.why if t.verdict.denial else None for t in tried], pa.string()),
        }
    )


def _requests(asked: list[Any]) -> pa.Table:
    """One row per request."""
    lead = [None if a.ended_ms is None else (a.ended_ms - a.submitted_ms) / _HOUR_MS for a in asked]
    return pa.table(
        {
            "machine_id": pa.array([a.machine_id for a in asked], pa.string()),
            "factory_id": pa.array([a.factory_id for a in asked], pa.string()),
            "subject": pa.array([a.subject for a in asked], pa.string()),
            "revision": pa.array([a.revision for a in asked], pa.int64()),
            "submitted": _time([a.submitted_ms for a in asked]),
            "submitted_by": pa.array([a.submitted_by for a in asked], pa.string()),
            "ended": _time([a.ended_ms for a in asked]),
            "state": pa.array([a.state for a in asked], pa.string()),
            "decided_by": pa.array([a.by for a in asked], pa.string()),
            "lead_h": pa.array(lead, pa.float64()),
        }
    )


def _events(tried: list[Any]) -> bytes:
    """Every change of a request, as 'nexova events replay --approvals' takes it."""
    changes = [t for t in tried if t.verdict.denial is None and t.verdict.state_to != t.verdict.state_from]
    records = [{"machineId": t.attempt.machine_id, "timestamp": _stamp(t.time_ms), "status": t.verdict.state_to}
               for t in changes]  # fmt: skip
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _audit(tried: list[Any]) -> tuple[bytes, str]:
    """The attempts as a hash-chained log, one entry a line, and its anchor COUNT:HEAD."""
    from nexova_sim.approve.audit import EMPTY, blank, format_anchor, seal

    anchor, lines = EMPTY, []
    for t in tried:
        verdict = t.verdict
        detail = {k: v for k, v in verdict._asdict().items() if k != "denial"}
        entry = blank(t.time_ms, t.attempt.action, t.attempt.machine_id, detail)._replace(
            user_id=t.actor.user_id, actor=t.actor.email, role=t.actor.role, is_allowed=verdict.denial is None,
            code=verdict.denial.code if verdict.denial else "")  # fmt: skip
        entry, anchor = seal(anchor, entry)
        lines.append(json.dumps(entry._asdict(), sort_keys=True, ensure_ascii=True))
    return ("\n".join(lines) + ("\n" if lines else "")).encode(), format_anchor(anchor)
