"""From HTTP statuses and finish reasons of Gemini to the few codes the rest of the house knows."""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nexova_sim.decide.model import ModelError

_STATUS = {400: "BAD_REQUEST", 401: "AUTH", 403: "AUTH", 404: "MODEL_RETIRED", 408: "TIMEOUT", 429: "RATE_LIMIT",
           499: "TIMEOUT", 504: "TIMEOUT"}  # fmt: skip
_KEY = re.compile(r"AIza[0-9A-Za-z_-]{10,}")
# The older library puts the address in front of what the service said.
_ADDRESS = re.compile(r"\A(?:GET|POST) \S+: ")
_FINISH = frozenset({
    "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
    "MALFORMED_FUNCTION_CALL",
})  # fmt: skip
_MOST_WAIT_S = 86_400.0


def from_http(status: int, message: str, model: str, retry_after: str | None = None, details: Any = None) -> ModelError:  # noqa: ANN401
    """The error for an HTTP ``status``; 400 about the key is AUTH, 404 names the model and the remedy."""
    text = _KEY.sub("(key)", _ADDRESS.sub("", " ".join(message.split())))[:300]
    if status == 404:
        text = (
            f"model {model!r} is not there ({text}); models are retired after about a year: "
            "set 'model' in the decision configuration to a current one, or replay a cassette"
        )
    code = _STATUS.get(status, "UNAVAILABLE" if status >= 500 else "BAD_REQUEST")
    if status == 400 and "api key" in text.lower():
        code = "AUTH"
    if status == 200:
        code = "BAD_PAYLOAD"
    wait = retry_seconds(retry_after)
    return ModelError(code, text, status, wait if wait is not None else _retry_info_s(details))


def retry_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header: a number or an HTTP date (RFC 9110, 10.2.3); None when absent or unreadable."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,9}", text):
        return min(float(text), _MOST_WAIT_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - (now or datetime.now(UTC))).total_seconds()), _MOST_WAIT_S)


def _retry_info_s(details: Any) -> float | None:  # noqa: ANN401
    """Seconds of a google.rpc.RetryInfo anywhere in the details of an error."""
    for item in _mappings(details):
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", str(item.get("retryDelay", "")))
        if found:
            return min(float(found[1]), _MOST_WAIT_S)
    return None


def _mappings(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401
    if depth > 6:
        return
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _mappings(inner, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for inner in value:
            yield from _mappings(inner, depth + 1)


def blocked(reason: str, is_prompt: bool) -> ModelError:
    """The error for an answer without text: withheld, cut off before its first word, or empty."""
    if is_prompt:
        return ModelError("BLOCKED", f"the question was refused ({reason})")
    if reason in {"UNKNOWN", "STOP", "MAX_TOKENS"}:
        return ModelError("BAD_PAYLOAD", f"the answer has no text (finish reason {reason})")
    return ModelError("BLOCKED", f"the answer was withheld ({reason})")


def finish_name(value: Any) -> str:  # noqa: ANN401
    """A finish reason as text, the same from both libraries: UNKNOWN for one that the library does not know."""
    name = str(getattr(value, "name", value) or "")
    return "UNKNOWN" if name not in _FINISH else name


def unreadable(error: Exception) -> ModelError:
    """The error for an answer that the library could not read."""
    return ModelError("BAD_PAYLOAD", f"the answer cannot be read ({type(error).__name__})", 200)
