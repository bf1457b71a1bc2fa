"""A language model as a policy: question, answer, strict reading, and the platform's rules when there is no answer."""

from __future__ import annotations

from collections.abc import Callable

from nexova_sim.config.decision import Rules
from nexova_sim.decide.context import Context
from nexova_sim.decide.decision import parse_decision
from nexova_sim.decide.model import Request, Usage
from nexova_sim.decide.player import Answer
from nexova_sim.decide.policy import Verdict, seed_decision
from nexova_sim.decide.prompt import make_request

Ask = Callable[[Request], Answer]


def ask_model(
    ask: Ask, context: Context, model: str, sampling_temperature: float, repeat: int, rules: Rules
) -> Verdict:
    """The verdict of ``model`` on ``context``; the fallback is marked and says why."""
    answer = ask(make_request(context, model, sampling_temperature, repeat))
    return verdict_of(answer, context, model, rules)


def verdict_of(answer: Answer, context: Context, model: str, rules: Rules) -> Verdict:
    """An answer read as a decision."""
    reply = answer.reply
    if reply is None:
        problem = str(answer.error) if answer.error is not None else "no answer"
        fallback = seed_decision(context, rules)
        return Verdict(fallback, "failed", True, problem, answer.source, model, "", answer.elapsed_ms, Usage())
    parsed = parse_decision(reply.text)
    decision = parsed.decision
    return Verdict(
        seed_decision(context, rules) if decision is None else decision,
        parsed.path, decision is None, parsed.problem, answer.source, model, reply.model_version, answer.elapsed_ms,
        reply.usage,
    )  # fmt: skip
