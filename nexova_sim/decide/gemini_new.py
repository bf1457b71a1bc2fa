"""Gemini through ``google-genai``, Google's current library."""

from __future__ import annotations

import warnings
from functools import partial
from importlib.metadata import version
from typing import Any

from nexova_sim.base.errors import need_extra
from nexova_sim.decide.gemini_errors import blocked, finish_name, from_http, unreadable
from nexova_sim.decide.model import ModelError, Provider, Reply, Request, Usage


class GenaiProvider(Provider):
    """One attempt per call: the library's own retries stay off, every call has a time limit.

    ``address`` replaces Google's (for a gateway, or a server on this machine).
    """

    def __init__(self, key: str, address: str | None = None) -> None:
        try:
            from google import genai
        except ImportError as error:
            raise need_extra("google-genai", "gemini", "a live call of Gemini") from error
        from google.genai.types import HttpOptions

        self._client = genai.Client(api_key=key, http_options=HttpOptions(base_url=address))

    @property
    def sdk(self) -> str:
        """Name and version of the library."""
        return f"google-genai/{version('google-genai')}"

    def generate(self, request: Request, timeout_s: float) -> Reply:
        """Answer ``request`` within ``timeout_s``; ModelError otherwise."""
        from google.genai.types import GenerateContentConfig, HttpOptions

        config = GenerateContentConfig(
            system_instruction=request.system or None,
            temperature=request.sampling_temperature,
            max_output_tokens=request.most_tokens,
            response_mime_type="application/json" if request.schema is not None else None,
            response_schema=dict(request.schema) if request.schema is not None else None,
            http_options=HttpOptions(timeout=max(1, round(timeout_s * 1000.0))),
        )
        models, turns = self._client.models, _turns(request)
        call = partial(models.generate_content, model=request.model, contents=turns, config=config)
        return _reply(_guarded(request, call))

    def count_tokens(self, request: Request, timeout_s: float) -> int:
        """Tokens of the question's turns, without the system instruction."""
        from google.genai.types import CountTokensConfig, HttpOptions

        config = CountTokensConfig(http_options=HttpOptions(timeout=max(1, round(timeout_s * 1000.0))))
        models, turns = self._client.models, _turns(request)
        found = _guarded(request, partial(models.count_tokens, model=request.model, contents=turns, config=config))
        return int(found.total_tokens or 0)


def _turns(request: Request) -> Any:  # noqa: ANN401
    from google.genai.types import Content, Part

    return [Content(role=m.role, parts=[Part(text=m.text)]) for m in request.messages]


def _guarded(request: Request, call: Any) -> Any:  # noqa: ANN401
    """The library's answer; its exceptions, and those of what it is built on, as ModelError."""
    import httpx2
    from google.genai import errors
    from pydantic import ValidationError

    try:
        with warnings.catch_warnings():
            # A finish reason newer than the library is no reason to write to the user's terminal.
            warnings.simplefilter("ignore", UserWarning)
            return call()
    except errors.APIError as error:
        headers = getattr(error.response, "headers", None) or {}
        raise from_http(int(error.code or 0), str(error.message or error.status or error), request.model,
                        headers.get("retry-after"), error.details) from error  # fmt: skip
    except httpx2.TimeoutException as error:
        raise ModelError("TIMEOUT", f"no answer in time ({type(error).__name__})") from error
    except httpx2.TransportError as error:
        raise ModelError("UNAVAILABLE", f"the connection failed ({type(error).__name__})") from error
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise unreadable(error) from error


def _reply(response: Any) -> Reply:  # noqa: ANN401
    feedback = getattr(response, "prompt_feedback", None)
    if feedback is not None and feedback.block_reason:
        raise blocked(str(getattr(feedback.block_reason, "name", "")), is_prompt=True)
    if not response.candidates:
        raise ModelError("BAD_PAYLOAD", "the answer has no candidates")
    candidate = response.candidates[0]
    reason = finish_name(candidate.finish_reason)
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(p.text for p in parts if p.text and not p.thought)
    if not text:
        raise blocked(reason, is_prompt=False)
    used = response.usage_metadata
    usage = Usage() if used is None else Usage(
        used.prompt_token_count, used.candidates_token_count, used.thoughts_token_count, used.total_token_count
    )  # fmt: skip
    return Reply(text, reason, response.model_version or "", usage)
