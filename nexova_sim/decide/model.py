"""What is asked of a language model and what comes back, whichever library carries it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

ERROR_CODES = (
    "RATE_LIMIT", "UNAVAILABLE", "TIMEOUT", "AUTH", "MODEL_RETIRED", "BAD_REQUEST", "BLOCKED", "BAD_PAYLOAD",
)  # fmt: skip
TRANSIENT = frozenset({"RATE_LIMIT", "UNAVAILABLE", "TIMEOUT"})
# Says nothing about the health of the service: the caller's own fault, or an answer that did arrive.
NOT_ITS_FAULT = frozenset({"AUTH", "MODEL_RETIRED", "BAD_REQUEST", "BLOCKED", "BAD_PAYLOAD"})
_DIGITS = 6


class Message(NamedTuple):
    """One turn: ``role`` is user or model."""

    role: str
    text: str


class Request(NamedTuple):
    """One question. ``schema`` None asks for free text; ``repeat`` tells equal questions apart; ``model`` is config."""

    model: str
    system: str
    messages: tuple[Message, ...]
    sampling_temperature: float = 0.0
    most_tokens: int = 1024
    schema: Mapping[str, Any] | None = None
    prompt_version: str = "1"
    repeat: int = 0


class Usage(NamedTuple):
    """Tokens as the service counted them; None where it said nothing."""

    prompt: int | None = None
    output: int | None = None
    thought: int | None = None
    total: int | None = None


class Reply(NamedTuple):
    """An answer: text as it came, why it ended, the model version that gave it, tokens."""

    text: str
    finish_reason: str
    model_version: str
    usage: Usage


class ModelError(Exception):
    """A call that gave no usable answer. ``code`` is one of ERROR_CODES; ``retry_after_s`` as the service asked."""

    def __init__(self, code: str, message: str, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s


class Provider(Protocol):
    """One library that reaches a model. Makes one attempt, does not retry, raises nothing but ModelError."""

    @property
    def sdk(self) -> str:
        """Name and version of the library, as in google-genai/3.4.0."""

    def generate(self, request: Request, timeout_s: float) -> Reply:
        """Answer ``request`` within ``timeout_s`` seconds."""

    def count_tokens(self, request: Request, timeout_s: float) -> int:
        """Tokens of the question."""


def rounded(value: Any) -> Any:  # noqa: ANN401
    """A JSON-like value with floats at six significant digits, so that noise in the last bits changes no key."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, Mapping):
        return {str(k): rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return value


def canonical(request: Request) -> dict[str, Any]:
    """A request as plain data that names no library, no key and no address."""
    return {
        "model": request.model,
        "system": request.system,
        "contents": [{"role": m.role, "text": m.text} for m in request.messages],
        "generation": {"temperature": rounded(request.sampling_temperature), "most_tokens": request.most_tokens},
        "schema": rounded(request.schema) if request.schema is not None else None,
        "prompt_version": request.prompt_version,
        "repeat": request.repeat,
    }


def request_key(request: Request) -> str:
    """sha256 over the canonical JSON of a request, hex."""
    return hash_text(json.dumps(canonical(request), sort_keys=True, ensure_ascii=True, separators=(",", ":")))


def hash_text(text: str) -> str:
    """sha256 of a text, hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
