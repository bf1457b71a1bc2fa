"""Gemini through ``google-generativeai``, the library the platform names. Its support ended on 30 November 2025.

Over REST, as its asynchronous calls over REST do not work and gRPC cannot be pointed at a plain local server.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import Any

from nexova_sim.base.errors import need_extra
from nexova_sim.decide.gemini_errors import blocked, finish_name, from_http, unreadable
from nexova_sim.decide.model import ModelError, Provider, Reply, Request, Usage

SUPPORT_ENDED = (
    "google-generativeai is no longer supported by Google (ended 30 November 2025); "
    "set 'sdk: google-genai' in the decision configuration to use its successor"
)


class GenerativeaiProvider(Provider):
    """One attempt per call: the library's retry of 503 for 600 s is off, every call has a time limit."""

    def __init__(self, key: str, address: str | None = None) -> None:
        try:
            # Its own notice of the end of support, and deprecated names in what it is built on, are said once by us.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import google.generativeai as library
        except ImportError as error:
            raise need_extra("google-generativeai", "gemini", "a live call of Gemini") from error
        self._library = library
        options = {"api_endpoint": address} if address else None
        library.configure(api_key=key, transport="rest", client_options=options)

    @property
    def sdk(self) -> str:
        """Name and version of the library."""
        return f"google-generativeai/{version('google-generativeai')}"

    def generate(self, request: Request, timeout_s: float) -> Reply:
        """Answer ``request`` within ``timeout_s``; ModelError otherwise."""
        generation: dict[str, Any] = {
            "temperature": request.sampling_temperature,
            "max_output_tokens": request.most_tokens,
        }
        if request.schema is not None:
            generation |= {"response_mime_type": "application/json", "response_schema": dict(request.schema)}
        model = self._library.GenerativeModel(request.model, system_instruction=request.system or None)
        contents = [{"role": m.role, "parts": [m.text]} for m in request.messages]
        return _reply(
            _guarded(
                request,
                lambda: model.generate_content(
                    contents, generation_config=generation, request_options=_options(timeout_s)
                ),
            )
        )

    def count_tokens(self, request: Request, timeout_s: float) -> int:
        """Tokens of the question's turns."""
        model = self._library.GenerativeModel(request.model)
        contents = [{"role": m.role, "parts": [m.text]} for m in request.messages]
        found = _guarded(request, lambda: model.count_tokens(contents, request_options=_options(timeout_s)))
        return int(found.total_tokens)


def _options(timeout_s: float) -> dict[str, Any]:
    from google.api_core.retry import Retry

    return {"timeout": timeout_s, "retry": Retry(predicate=lambda _error: False)}


def _guarded(request: Request, call: Any) -> Any:  # noqa: ANN401
    """The library's answer; its exceptions, and those of what it is built on, as ModelError."""
    import requests
    from google.api_core import exceptions
    from google.protobuf.json_format import ParseError

    try:
        return call()
    except exceptions.RetryError as error:
        raise ModelError("TIMEOUT", "no answer in time") from error
    except exceptions.GoogleAPICallError as error:
        headers = getattr(error.response, "headers", None) or {}
        raise from_http(int(error.code or 0), str(error.message), request.model, headers.get("retry-after"),
                        _details(error)) from error  # fmt: skip
    except requests.Timeout as error:
        raise ModelError("TIMEOUT", f"no answer in time ({type(error).__name__})") from error
    except requests.JSONDecodeError as error:
        raise unreadable(error) from error
    except requests.RequestException as error:
        raise ModelError("UNAVAILABLE", f"the connection failed ({type(error).__name__})") from error
    except (ParseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(error) from error


def _details(error: Any) -> Any:  # noqa: ANN401
    try:
        return error.response.json()
    except (AttributeError, ValueError):
        return None


def _reply(response: Any) -> Reply:  # noqa: ANN401
    raw = type(response._result).to_dict(response._result, use_integers_for_enums=False)
    reason = str((raw.get("prompt_feedback") or {}).get("block_reason") or "")
    if reason not in {"", "BLOCK_REASON_UNSPECIFIED"}:
        raise blocked(reason, is_prompt=True)
    candidates = raw.get("candidates") or []
    if not candidates:
        raise ModelError("BAD_PAYLOAD", "the answer has no candidates")
    finish = finish_name(candidates[0].get("finish_reason"))
    parts = (candidates[0].get("content") or {}).get("parts") or []
    text = "".join(p.get("text") or "" for p in parts)
    if not text:
        raise blocked(finish, is_prompt=False)
    used = raw.get("usage_metadata") or {}
    counts = [used.get(name) or None for name in ("prompt_token_count", "candidates_token_count", "total_token_count")]
    return Reply(text, finish, str(raw.get("model_version") or ""), Usage(counts[0], counts[1], None, counts[2]))
