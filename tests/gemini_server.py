"""A server on this machine that speaks Gemini's generateContent and plays scenarios, for the real client libraries.

The scenario is the model's name: ``scenario-ok``, ``scenario-429``, ... Every request is kept in ``log``.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DECISION = {
    "rootCause": "worn bearing",
    "riskLevel": "WARNING",
    "actionTaken": "MAINTENANCE",
    "reasoning": "vibration rises with wear at unchanged load",
    "estimatedSavings": 850.5,
    "preventedLoss": 4200.0,
    "humanRecommendation": "plan a bearing change in the next stop",
}
USAGE = {"promptTokenCount": 211, "candidatesTokenCount": 64, "totalTokenCount": 275}


def _text(text: str, finish: str = "STOP") -> tuple[int, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    candidate = {"content": content, "finishReason": finish, "index": 0}
    return 200, {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "scenario-1", "responseId": "r"}


def _error(status: int, name: str, message: str, details: list[Any] | None = None) -> tuple[int, Any]:
    return status, {"error": {"code": status, "status": name, "message": message, "details": details or []}}


def _changed(**values: Any) -> str:
    return json.dumps(DECISION | values)


SAFETY = {"candidates": [{"finishReason": "SAFETY", "index": 0}], "usageMetadata": USAGE}
PROMPT = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 211}}
RETRY_INFO = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
ANSWERS: dict[str, tuple[int, Any]] = {
    "ok": _text(json.dumps(DECISION)),
    "fenced": _text("```json\n" + json.dumps(DECISION, indent=1) + "\n```"),
    "prose": _text("My decision:\n" + json.dumps(DECISION) + "\nKeep an eye on it."),
    "badjson": _text('{"rootCause": "bearing", "riskLevel": "WARNING", '),
    "missing": _text(json.dumps({"rootCause": "x", "riskLevel": "WARNING"})),
    "enum": _text(_changed(riskLevel="SEVERE")),
    "nan": _text(json.dumps(DECISION | {"estimatedSavings": float("nan")})),
    "negative": _text(_changed(estimatedSavings=-5.0)),
    "text_amount": _text(_changed(preventedLoss="$5,000")),
    "twice": _text(json.dumps(DECISION)[:-1] + ', "actionTaken": "NONE"}'),
    "truncated": _text('{"rootCause": "bear', "MAX_TOKENS"),
    "blocked": (200, SAFETY),
    "prompt_blocked": (200, PROMPT),
    "no_candidates": (200, {"usageMetadata": USAGE}),
    "empty": (200, {}),
    "new_reason": (200, _text(json.dumps(DECISION), "NEW_REASON")[1] | {"brandNew": {"a": 1}}),
    "html": (200, b"<html><body>proxy login</body></html>"),
    "cut": (200, b'{"candidates": [{"content": {"par'),
    "400": _error(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "400key": _error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "403": _error(403, "PERMISSION_DENIED", "The caller does not have permission"),
    "404": _error(404, "NOT_FOUND", "the model is not found for API version v1beta"),
    "429": _error(429, "RESOURCE_EXHAUSTED", "quota"),
    "429info": _error(429, "RESOURCE_EXHAUSTED", "quota", RETRY_INFO),
    "500": _error(500, "INTERNAL", "internal error"),
    "503": _error(503, "UNAVAILABLE", "overloaded"),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = re.search(r"/models/scenario-(\w+):(\w+)", self.path)
        name, verb = (found[1], found[2]) if found else ("404", "")
        self.server.log.append({"path": self.path, "headers": dict(self.headers), "body": json.loads(body or b"{}")})
        self.server.calls[name] += 1
        if verb == "countTokens":
            self._send(200, {"totalTokens": len(re.findall(rb"\w+", body))})
        elif name == "reset":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif name == "slow":
            self.server.released.wait(20.0)
            self._send(*ANSWERS["ok"])
        elif name.endswith("once"):
            self._send(*ANSWERS[name.removesuffix("once") if self.server.calls[name] == 1 else "ok"])
        elif name == "echo":
            self._send(*_text(json.dumps(self.server.log[-1]["body"], sort_keys=True)))
        else:
            self._send(*ANSWERS.get(name, ANSWERS["404"]))

    def _send(self, status: int, answer: Any) -> None:
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if raw.startswith(b"<") else "application/json")
            self.send_header("Content-Length", str(len(raw)))
            if status == 429:
                self.send_header("Retry-After", "3") if b"RetryInfo" not in raw else None
            self.end_headers()
            self.wfile.write(raw)
        except OSError:  # the client has gone, as a timeout makes it do
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """The server; ``log`` of requests, ``calls`` by scenario."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.log: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_arguments: Any) -> None:
        pass


@contextmanager
def gemini_server() -> Iterator[Server]:
    """A running server; stopped at the end."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5.0)
        assert time.monotonic() - began < 120.0
