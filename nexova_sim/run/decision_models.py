"""The language models that policies may ask: which library, which key, how patiently."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.decision import DecisionConfig, Model
from nexova_sim.decide.breaker import BreakerRules
from nexova_sim.decide.clock import RealClock, VirtualClock
from nexova_sim.decide.gemini_new import GenaiProvider
from nexova_sim.decide.gemini_old import SUPPORT_ENDED, GenerativeaiProvider
from nexova_sim.decide.model import Provider
from nexova_sim.decide.player import Player, Service, open_player
from nexova_sim.decide.retry import Line, RateRules, RetryRules
from nexova_sim.decide.scripted import MODEL, OBEDIENT, ScriptedProvider

_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")


def live_provider(model: Model, environment: Mapping[str, str] = os.environ) -> Provider:
    """The library of the configuration with the key of the environment; ConfigError without a key."""
    key = next((environment[name] for name in _KEYS if environment.get(name)), None)
    if key is None:
        raise ConfigError(
            f"asking {model.name} needs a key in {' or '.join(_KEYS)}; a replay from a cassette needs none"
        )
    make = GenaiProvider if model.sdk == "google-genai" else GenerativeaiProvider
    return make(key, model.address)


def support_note(model: Model, policies: Iterable[str], mode: str) -> str | None:
    """What has to be said before ``policies`` ask a library that has no support any more; None when none asks it."""
    asks = mode != "replay" and any(policy == "gemini" for policy in policies)
    return SUPPORT_ENDED if asks and model.sdk == "google-generativeai" else None


def model_name(policy: str, config: DecisionConfig) -> str:
    """The model that a policy asks; the stub has names of its own, so that it is never taken for another."""
    if policy.startswith("scripted"):
        return OBEDIENT if policy.endswith(":obedient") else MODEL
    return config.model.name


def player_for(policy: str, config: DecisionConfig, mode: str, cassette: Path | None) -> Player:
    """The player of a policy that asks a model. The stub needs no cassette: without one it is simply asked."""
    model = config.model
    retry = RetryRules(model.attempts, model.attempt_s, model.total_s)
    rate = RateRules(model.calls_per_minute, 60.0)
    if policy.startswith("scripted"):
        clock, free = VirtualClock(), RateRules(1_000_000, 1.0)
        line = Line(retry, BreakerRules(failure_frac=2.0), free, clock, lambda: 0.0)
        service = Service(ScriptedProvider(policy.endswith(":obedient")), line, "scripted")
        return open_player("live" if cassette is None else mode, cassette, service)
    if mode == "replay":
        return open_player(mode, cassette, None)
    line = Line(retry, BreakerRules(), rate, RealClock(), random.random)
    return open_player(mode, cassette, Service(live_provider(model), line, "gemini"))
