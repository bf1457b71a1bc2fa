"""Where answers come from: a cassette, a live model, or both. Replay never opens a connection and needs no key.

Modes: replay (an unrecorded question is an error that shows the nearest one), record (only what is missing is asked),
rerecord (everything is asked once more, and the cassette holds nothing else afterwards), live (nothing is kept).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, ServiceError
from nexova_sim.decide.cassette import Cassette, Take, append_entry, entry_of, play, read_cassette, write_cassette
from nexova_sim.decide.model import ModelError, Provider, Reply, Request, request_key
from nexova_sim.decide.retry import Line

MODES = ("replay", "record", "rerecord", "live")
# Errors that the next question would meet as well: going on would only fill a table with fallbacks.
_HOPELESS = frozenset({"AUTH", "MODEL_RETIRED", "BAD_REQUEST"})


class Service(NamedTuple):
    """A provider, the line on which it is called, and what it is (``gemini`` or ``scripted``)."""

    provider: Provider
    line: Line
    source: str


class Answer(NamedTuple):
    """A reply or an error, and how it was come by; ``elapsed_ms`` when it was recorded or asked."""

    reply: Reply | None
    error: ModelError | None
    source: str
    elapsed_ms: float


@dataclass(frozen=True)
class Player:
    """Answers questions in one of MODES. ``close`` completes a rerecording."""

    mode: str
    path: Path | None
    service: Service | None
    _entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def ask(self, request: Request) -> Answer:
        """The answer to ``request``; CheckFailedError for one that replay does not know, ServiceError when hopeless."""
        key = request_key(request)
        if self.mode == "replay" or key in self._entries:
            return self._play(request, key)
        take = self._call(request)
        if self.mode in ("record", "rerecord"):
            entry = entry_of(take)
            self._entries[key] = entry
            if self.mode == "record" and self.path is not None:
                append_entry(self.path, entry)
        return Answer(take.reply, take.error, take.source, 1000.0 * take.elapsed_s)

    def close(self) -> None:
        """Write a rerecorded cassette in the place of the old one."""
        if self.mode == "rerecord" and self.path is not None:
            write_cassette(self.path, self._entries.values())

    def _play(self, request: Request, key: str) -> Answer:
        cassette = Cassette(self.path or Path("cassette"), self._entries)
        try:
            reply, error = play(cassette, request), None
        except ModelError as recorded:
            reply, error = None, recorded
        entry = self._entries[key]
        return Answer(reply, error, str(entry["source"]), float(entry["timing"]["latency_ms"]))

    def _call(self, request: Request) -> Take:
        service = self.service
        if service is None:
            raise ConfigError(f"--mode {self.mode}: needs a model to ask")
        clock = service.line.clock
        began = clock.now_s()
        try:
            reply, outcome = service.line.call(lambda timeout_s: service.provider.generate(request, timeout_s))
        except ModelError as error:
            if error.code in _HOPELESS:
                raise ServiceError(f"{service.provider.sdk}: {error}") from error
            return Take(request, None, error, service.source, service.provider.sdk, clock.now_s() - began)
        return Take(request, reply, None, service.source, service.provider.sdk, outcome.elapsed_s, outcome.attempts)


def open_player(mode: str, path: Path | None, service: Service | None) -> Player:
    """A player for ``mode``; ConfigError when it lacks its cassette or its model, DataError for a damaged cassette."""
    if mode not in MODES:
        raise ConfigError(f"--mode {mode[:40]}: choose one of: {', '.join(MODES)}")
    if mode != "live" and path is None:
        raise ConfigError(f"--mode {mode}: needs a cassette (--cassette FILE)")
    known: dict[str, Mapping[str, Any]] = {}
    if path is not None and (mode == "replay" or (mode == "record" and path.exists())):
        known = dict(read_cassette(path).entries)
    if path is not None and mode == "record" and path.exists() and not path.read_bytes().endswith(b"\n"):
        write_cassette(path, known.values())  # a last line that was cut off would swallow the next one
    return Player(mode, path, None if mode == "replay" else service, known)
