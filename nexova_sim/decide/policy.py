"""Policies: who decides about an alert. One Protocol, one registry; rules, constants, chance, the twin, a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.decision import Rules
from nexova_sim.decide.context import Context
from nexova_sim.decide.decision import ACTIONS, Decision
from nexova_sim.decide.model import Usage, hash_text


class Verdict(NamedTuple):
    """A decision and how it came about: ``path`` "rule", or how a model's text was read (PATHS of ``decision``).

    ``is_fallback`` says that the model gave no usable answer (``problem``) and the platform's rules decided instead.
    """

    decision: Decision
    path: str = "rule"
    is_fallback: bool = False
    problem: str = ""
    source: str = "rule"
    model: str = ""
    model_version: str = ""
    latency_ms: float | None = None
    usage: Usage | None = None


class Policy(Protocol):
    """Somebody who decides. ``decide`` sees the context only: never the truth, the labels or what came later."""

    @property
    def name(self) -> str:
        """The name it is asked for by."""

    def decide(self, context: Context) -> Verdict:
        """The decision about an alert."""


class Outlook(NamedTuple):
    """What somebody expects of the three actions, in the order of ACTIONS: cost and loss by failure USD, chance."""

    cost_usd: tuple[float, float, float]
    loss_usd: tuple[float, float, float]
    p_fail: tuple[float, float, float]


class Means(NamedTuple):
    """What policies may be built from; ``expect`` works on a state estimated from the context, ``ask`` asks a model."""

    rules: Rules
    seed: int
    expect: Callable[[Context], Outlook] | None = None
    ask: Callable[[Context], Verdict] | None = None


class Deciding(NamedTuple):
    """A policy made of a name and a function."""

    name: str
    choose: Callable[[Context], Verdict]

    def decide(self, context: Context) -> Verdict:
        """The decision of the function."""
        return self.choose(context)


def means_of(context: Context) -> tuple[float, float, float]:
    """Mean power kW, temperature degC, vibration mm/s over the readings of the context; NaN where there are none."""
    found = []
    for name in ("power_kw", "temperature_c", "vibration_mm_s"):
        values = [v for r in context.readings if math.isfinite(v := getattr(r, name))]
        found.append(sum(values) / len(values) if values else math.nan)
    return found[0], found[1], found[2]


def make_decision(action: str, risk: str, why: str, saving: float = 0.0, prevented: float = 0.0) -> Decision:
    """A decision in the words of a rule."""
    advice = {
        "NONE": "keep watching",
        "MAINTENANCE": "service the machine when the crew is there",
        "OFFLINE": "look at the machine before it runs again",
    }[action]
    return Decision.model_validate(
        {"rootCause": why, "riskLevel": risk, "actionTaken": action, "reasoning": why,
         "estimatedSavings": max(0.0, saving), "preventedLoss": max(0.0, prevented), "humanRecommendation": advice}
    )  # fmt: skip


def seed_decision(context: Context, rules: Rules) -> Decision:
    """The platform's rules on the newest numbers: T, then power, then vibration; the graver action wins.

    Vibration names a risk level and a maintenance window, not an action.
    """
    last = context.last
    action, risk, why = "NONE", "INFO", "no rule applies"
    baseline = context.machine["baseline_kw"]
    vibrates = last is not None and last.vibration_mm_s > rules.warning_above_mm_s
    if vibrates or context.episode.channel == "vibration_mm_s":
        risk, why = "WARNING", "vibration above its limit: plan a maintenance window"
    if last is not None and last.temperature_c > rules.maintenance_above_c:
        action, risk, why = "MAINTENANCE", "CRITICAL", "temperature above its limit"
    if last is not None and baseline and 100.0 * last.power_kw / baseline > rules.offline_above_percent:
        action, risk, why = "OFFLINE", "CRITICAL", "power above its share of the baseline"
    return make_decision(action, risk, why)


def _seed(means: Means, _argument: str) -> Deciding:
    return Deciding("seed_rules", lambda context: Verdict(seed_decision(context, means.rules)))


def _tuned(means: Means, _argument: str) -> Deciding:
    """Limits on vibration beyond that of a new machine and on its growth, fitted on another plant (``rules.tuned``)."""
    limits = means.rules.tuned

    def choose(context: Context) -> Verdict:
        excess, growth = trend(context, limits.new_mm_s)
        is_growing = limits.growth_mm_s_per_day < growth < limits.step_mm_s_per_day
        if is_growing and excess + limits.ahead_days * growth > limits.most_mm_s:
            return Verdict(make_decision("OFFLINE", "CRITICAL", "vibration grows fast and is near its end"))
        if is_growing or limits.worn_mm_s < excess < limits.step_mm_s:
            return Verdict(make_decision("MAINTENANCE", "WARNING", "vibration grows, or is that of a worn bearing"))
        return Verdict(make_decision("NONE", "INFO", "no sign of a bearing near its end"))

    return Deciding("tuned_rules", choose)


def trend(context: Context, new_mm_s: float) -> tuple[float, float]:
    """Vibration beyond that of a new machine (``new_mm_s`` at rated load), mm/s, and its growth per day; or NaN."""
    rated = context.machine["rated_kw"] or math.nan
    known = []
    for span in context.spans:
        excess = span.vibration_mm_s - new_mm_s * span.power_kw / rated - 0.05 * max(0.0, span.temperature_c - 70.0)
        if math.isfinite(excess):
            known.append((0.5 * (span.from_h + span.to_h), excess))
    if not known:
        return math.nan, math.nan
    growth = 24.0 * (known[0][1] - known[1][1]) / (known[1][0] - known[0][0]) if len(known) > 1 else math.nan
    return known[0][1], growth


def _constant(name: str, action: str) -> Deciding:
    risk = "INFO" if action == "NONE" else "WARNING"
    return Deciding(name, lambda _context: Verdict(make_decision(action, risk, f"always {action}")))


def _never(_means: Means, _argument: str) -> Deciding:
    return _constant("never", "NONE")


def _always(_means: Means, argument: str) -> Deciding:
    action = argument.upper()
    if action not in ACTIONS:
        raise ConfigError(f"--policy always:{argument[:40]}: no such action; {suggest(action[:40], ACTIONS)}")
    return _constant(f"always:{action}", action)


def _random(means: Means, _argument: str) -> Deciding:
    """An action by chance, the same for the same seed and situation."""

    def choose(context: Context) -> Verdict:
        place = int(hash_text(f"{means.seed}/{context.key}")[:12], 16) % len(ACTIONS)
        return Verdict(make_decision(ACTIONS[place], "INFO", "by chance"))

    return Deciding("random", choose)


def outlook_decision(outlook: Outlook) -> Decision:
    """The cheapest action by ``outlook``, with what it claims to save and to prevent."""
    cost = outlook.cost_usd
    best = min(range(len(ACTIONS)), key=lambda a: cost[a])
    risk = outlook.p_fail[0]
    level = "CRITICAL" if risk > 0.3 else "WARNING" if risk > 0.05 else "INFO"
    why = (
        f"chance of a failure {100.0 * risk:.0f} % if nothing is done, {100.0 * outlook.p_fail[best]:.0f} % after this"
    )
    return make_decision(ACTIONS[best], level, why, cost[0] - cost[best], outlook.loss_usd[0] - outlook.loss_usd[best])


def _twin(means: Means, _argument: str) -> Deciding:
    expect = means.expect
    if expect is None:
        raise ConfigError("--policy twin: needs a dataset that 'nexova simulate' wrote, whose machine kinds are known")
    return Deciding("twin", lambda context: Verdict(outlook_decision(expect(context))))


def _model(name: str) -> Callable[[Means, str], Deciding]:
    def make(means: Means, argument: str) -> Deciding:
        if means.ask is None:
            raise ConfigError(f"--policy {name}: needs a cassette to replay (--cassette FILE) or --mode record|live")
        return Deciding(f"{name}:{argument}" if argument else name, means.ask)

    return make


POLICIES: Mapping[str, Callable[[Means, str], Policy]] = MappingProxyType(
    {"seed_rules": _seed, "never": _never, "always": _always, "random": _random, "tuned_rules": _tuned, "twin": _twin,
     "gemini": _model("gemini"), "scripted": _model("scripted")}
)  # fmt: skip
ASKING = ("gemini", "scripted")


def check_policy(name: str) -> str:
    """The registry's name in ``name`` (always:X gives always); ConfigError when there is none."""
    head, colon, argument = name.partition(":")
    if head not in POLICIES:
        raise ConfigError(f"--policy {name[:60]}: no such policy; {suggest(head[:60], POLICIES)}", got=name[:60])
    if head == "scripted" and argument not in ("", "obedient"):
        raise ConfigError(f"--policy {name[:60]}: the stub is 'scripted' or 'scripted:obedient'")
    if head == "always" and not argument:
        raise ConfigError("--policy always: which action? write always:MAINTENANCE, always:OFFLINE or always:NONE")
    if colon and head not in ("always", "scripted"):
        raise ConfigError(f"--policy {name[:60]}: only 'always' takes an action after the colon")
    return head


def make_policy(name: str, means: Means) -> Policy:
    """The policy ``name`` (a name of the registry, always with its action)."""
    head = check_policy(name)
    return POLICIES[head](means, name.partition(":")[2])
