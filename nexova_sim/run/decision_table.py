"""Rows of the decisions table and entries of the audit log, from verdicts, gate and judge."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from nexova_sim.approve.audit import Anchor, Entry, blank, seal
from nexova_sim.config.decision import DecisionConfig
from nexova_sim.decide.context import Context
from nexova_sim.decide.decision import ACTIONS
from nexova_sim.decide.gate import Passage, pass_gate
from nexova_sim.decide.policy import Verdict
from nexova_sim.run.decision_judge import Findings
from nexova_sim.schema.decisions import decisions_schema

_HOUR_MS = 3_600_000
_REVIEWED = {"approved": "approve", "rejected": "reject"}
_START = Anchor(0, "0" * 64)


class Taken(NamedTuple):
    """A decision that was taken: about which context (its number), by whom, and what became of it."""

    number: int
    repeat: int
    policy: str
    verdict: Verdict
    passage: Passage


def take(contexts: Sequence[Context], policy: str, verdicts: Sequence[Sequence[Verdict]], config: DecisionConfig,
         found: Findings | None) -> list[Taken]:  # fmt: skip
    """Decisions through the gate; ``verdicts`` (n contexts, repeats). Only the first of the repeats is carried out."""
    taken = []
    for number, (context, own) in enumerate(zip(contexts, verdicts, strict=True)):
        for repeat, verdict in enumerate(own):
            action = verdict.decision.action_taken
            place = ACTIONS.index(action)
            saving = None if found is None else float(found.cost[number, 0] - found.gated[number, place])
            passage = pass_gate(config.gate, action, context.key, config.seed, saving)
            taken.append(Taken(number, repeat, policy, verdict, passage))
    return taken


def decision_rows(contexts: Sequence[Context], taken: Iterable[Taken], found: Findings | None) -> pa.Table:
    """The decisions table."""
    rows = [_row(contexts[item.number], item, found) for item in taken]
    return pa.Table.from_pylist(rows, schema=decisions_schema())


def _row(context: Context, item: Taken, found: Findings | None) -> dict[str, Any]:
    decision, verdict, passage = item.verdict.decision, item.verdict, item.passage
    at, usage = context.episode.raised_ms, item.verdict.usage
    done = None if passage.action == ACTIONS[0] else at + round(passage.latency_h * _HOUR_MS)
    row: dict[str, Any] = {
        "id": f"{item.policy}/{context.key}/{item.repeat}", "machine_id": context.episode.machine_id,
        "alert_id": context.key, "anomaly_type": context.episode.alert_type, "channel": context.episode.channel,
        "created_at": at, "policy": item.policy, "repeat": item.repeat, "risk_level": decision.risk_level,
        "action_taken": decision.action_taken, "decision": decision.model_dump_json(by_alias=True),
        "gate": passage.outcome, "action_executed": passage.action, "executed_at": done, "path": verdict.path,
        "is_fallback": verdict.is_fallback, "problem": verdict.problem, "source": verdict.source,
        "model": verdict.model, "model_version": verdict.model_version, "latency_ms": verdict.latency_ms,
        "tokens_in": None if usage is None else usage.prompt,
        "tokens_out": None if usage is None else (usage.output or 0) + (usage.thought or 0),
        "claimed_saving_usd": decision.estimated_savings, "claimed_prevented_usd": decision.prevented_loss,
    }  # fmt: skip
    last, baseline = context.last, context.machine["baseline_kw"]
    if last is not None:
        row |= {"temperature_c": last.temperature_c, "vibration_mm_s": last.vibration_mm_s,
                "power_percent": 100.0 * last.power_kw / baseline if baseline else None}  # fmt: skip
    return row | ({} if found is None else _judged(item, found))


def _judged(item: Taken, found: Findings) -> dict[str, Any]:
    n, a = item.number, ACTIONS.index(item.verdict.decision.action_taken)
    cost = [float(v) for v in found.cost[n]]
    best = int(found.best[n])
    return {
        "cost_none_usd": cost[0], "cost_maintenance_usd": cost[1], "cost_offline_usd": cost[2],
        "cost_executed_usd": float(found.gated[n, ACTIONS.index(item.passage.action)]),
        "saving_true_usd": cost[0] - cost[a], "saving_se_usd": float(found.se[n, a]),
        "prevented_true_usd": float(found.loss[n, 0] - found.loss[n, a]), "regret_usd": cost[a] - cost[best],
        "p_fail_none": float(found.p_fail[n, 0]), "action_best": ACTIONS[best], "is_clear": bool(found.is_clear[n]),
    }  # fmt: skip


def audit_entries(contexts: Sequence[Context], taken: Iterable[Taken]) -> tuple[list[Entry], Anchor]:
    """The hash-chained log of what was decided, approved, rejected and done, and its anchor."""
    anchor, entries = _START, []
    for item in taken:
        if item.repeat:
            continue
        context, passage = contexts[item.number], item.passage
        at = context.episode.raised_ms
        for action, actor, role, is_allowed, late in _steps(item):
            detail = {"action": item.verdict.decision.action_taken, "executed": passage.action, "gate": passage.outcome,
                      "fallback": item.verdict.is_fallback}  # fmt: skip
            entry = blank(at + late, action, context.key, detail)
            entry = entry._replace(user_id=actor, actor=actor, role=role, is_allowed=is_allowed)
            sealed, anchor = seal(anchor, entry)
            entries.append(sealed)
    return entries, anchor


def _steps(item: Taken) -> Iterable[tuple[str, str, str, bool, int]]:
    """What happened: (action, who, role, allowed, ms after the decision)."""
    late = round(item.passage.latency_h * _HOUR_MS)
    agent = f"policy:{item.policy}"
    yield "decide", agent, "AGENT", True, 0
    if item.passage.outcome in _REVIEWED:
        yield _REVIEWED[item.passage.outcome], "reviewer", "SUPERVISOR", True, late
    if item.passage.action != ACTIONS[0]:
        yield "execute", agent, "AGENT", True, late


def audit_text(entries: Iterable[Entry]) -> bytes:
    """The log as JSON lines."""
    lines = (json.dumps(e._asdict(), sort_keys=True, ensure_ascii=True, separators=(",", ":")) for e in entries)
    return "".join(line + "\n" for line in lines).encode("utf-8")
