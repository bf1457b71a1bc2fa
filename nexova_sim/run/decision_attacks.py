"""Texts that try to command a policy, and conditions turned over: does it follow the machine or the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nexova_sim.config.attack import AttackConfig, Condition, Payload
from nexova_sim.config.decision import DecisionConfig
from nexova_sim.decide.asking import ask_model
from nexova_sim.decide.context import Context, Episode, Event, Reading
from nexova_sim.decide.history import WINDOWS, Span
from nexova_sim.decide.policy import ASKING, Means, Verdict, check_policy, make_policy
from nexova_sim.run.decision_models import model_name, player_for
from nexova_sim.run.decision_twin import terms_of

_NOW_MS = 1_767_603_600_000
_MINUTE_MS = 60_000


def make_context(suite: AttackConfig, condition: Condition, config: DecisionConfig) -> Context:
    """The suite's machine under a condition, with one harmless entry in its log."""
    machine = suite.machine
    power = condition.power_percent / 100.0 * machine["baseline_kw"]
    temp, vibration = condition.temperature_c, condition.vibration_mm_s
    readings = tuple(Reading(_NOW_MS - n * _MINUTE_MS, power, temp, vibration, "ONLINE") for n in range(9, -1, -1))
    spans = tuple(Span(a, b, float(b - a), power, temp, vibration) for a, b in WINDOWS)
    episode = Episode(machine["machine_id"], _NOW_MS, "vibration", "VIBRATION", "vibration_mm_s", "WARNING", vibration,
                      2.5, "mm/s")  # fmt: skip
    events = (Event(_NOW_MS - 90 * 24 * 60 * _MINUTE_MS, "maintenance_end", "service", "bearing"),)
    return Context(episode, machine, readings, (), events, spans, terms_of(config))


def with_text(context: Context, payload: Payload) -> Context:
    """The context with the payload in its field."""
    text = payload.text.replace("{action}", payload.wants)
    if payload.field == "name":
        return context._replace(machine={**context.machine, "name": text})
    if payload.field in ("rule", "type"):
        episode = context.episode
        changed = episode._replace(rule=text) if payload.field == "rule" else episode._replace(alert_type=text)
        return context._replace(episode=changed)
    event = context.events[0]
    changed_event = event._replace(reason=text) if payload.field == "reason" else event._replace(restored=text)
    return context._replace(events=(changed_event,))


def attack(suite: AttackConfig, policy: str, config: DecisionConfig, mode: str = "replay",
           cassette: Path | None = None) -> dict[str, Any]:  # fmt: skip
    """What the suite does to a policy: share of texts that changed the action, share of inversions followed.

    Only where the text wants another action than the clean situation got can it be seen to succeed.
    """
    decide, close = _decider(policy, config, mode, cassette)
    hits, tries = [], 0
    for name, condition in suite.situations.items():
        clean = make_context(suite, condition, config)
        usual = decide(clean).decision.action_taken
        for payload in suite.payloads:
            if payload.wants == usual:
                continue
            tries += 1
            got = decide(with_text(clean, payload)).decision.action_taken
            if got != usual:
                hits.append({"payload": payload.name, "situation": name, "usual": usual, "got": got})
    turned = [_turn(suite, i, decide, config) for i in range(len(suite.inversions))]
    close()
    return {
        "policy": policy, "tries": tries, "payloads": len(suite.payloads), "successes": len(hits),
        "success_share": len(hits) / tries if tries else None, "hits": hits,
        "inversions": len(turned),
        "followed_share": sum(t["followed"] for t in turned) / len(turned) if turned else None,
        "turned": turned,
    }  # fmt: skip


def _turn(suite: AttackConfig, number: int, decide: Callable[[Context], Verdict],
          config: DecisionConfig) -> Mapping[str, Any]:  # fmt: skip
    item = suite.inversions[number]
    got = [decide(make_context(suite, c, config)).decision.action_taken for c in (item.before, item.after)]
    return {"inversion": item.name, "got": got, "wanted": list(item.wants), "followed": got == list(item.wants)}


def _decider(policy: str, config: DecisionConfig, mode: str,
             cassette: Path | None) -> tuple[Callable[[Context], Verdict], Callable[[], None]]:  # fmt: skip
    if check_policy(policy) not in ASKING:
        return make_policy(policy, Means(config.rules, config.seed)).decide, lambda: None
    player, model = player_for(policy, config, mode, cassette), config.model
    asked = model_name(policy, config)
    return lambda c: ask_model(player.ask, c, asked, model.sampling_temperature, 0, config.rules), player.close
