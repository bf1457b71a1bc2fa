"""Data on stdout, everything for people on stderr; ``--json`` prints one envelope, ``--quiet`` nothing human."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NoReturn, TextIO

from nexova_sim import __version__
from nexova_sim.base.errors import CheckFailedError

# What the flags of the running command asked for.
_mode = {"json": False, "quiet": False}


def configure(as_json: bool, quiet: bool) -> None:
    """Set the output mode of this process, from the flags of the command that runs."""
    _mode.update(json=as_json, quiet=quiet)


def open_streams() -> None:
    """Make stdout and stderr usable whatever they are: closed, or in an encoding that lacks most letters."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def silence(stream: TextIO) -> None:
    """Send ``stream`` nowhere from now on, so that Python's flush at the end of the process cannot fail."""
    with suppress(OSError, ValueError):
        handle = os.open(os.devnull, os.O_WRONLY)
        os.dup2(handle, stream.fileno())
        os.close(handle)


def clean(text: str) -> str:
    """Text from data or from outside made harmless for a terminal: control characters are shown, not obeyed."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """JSON-safe copy: NaN and infinity become null, paths and dates text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if hasattr(value, "item"):
        return _plain(value.item())
    return str(value)


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def result(data: Any, text: str = "", run_id: str | None = None) -> None:  # noqa: ANN401
    """The outcome of a command: the envelope with --json, else ``text`` on stdout."""
    if _mode["json"]:
        meta = {"timestamp": _stamp(), "version": __version__, "run_id": run_id}
        envelope = {"status": "success", "data": _plain(data), "meta": meta}
        # Escapes for all but ASCII: valid in any encoding, and no name from outside can command a terminal.
        sys.stdout.write(json.dumps(envelope, allow_nan=False) + "\n")
    elif text:
        sys.stdout.write(clean(text).rstrip("\n") + "\n")
    sys.stdout.flush()


def plan(found: Mapping[str, Any]) -> None:
    """What a dry run would do: the envelope with --json, else a line per key on stdout."""
    result(found, "\n".join(f"{key}: {value}" for key, value in found.items()))


def page(text: str) -> None:
    """What a command found, told for people on stderr; not with --json, where the envelope says it all."""
    if text and not _mode["json"]:
        note(text.rstrip("\n") + "\n")


def made(data: Any, paths: Iterable[object], told: str = "", run_id: str | None = None) -> None:  # noqa: ANN401
    """What a command wrote: a path per line on stdout, and before it the page ``told`` for people on stderr.

    Where ``data`` says that it ``was_there``, people are told so.
    """
    page(told)
    if isinstance(data, Mapping) and data.get("was_there"):
        note(f"{data['folder']}: this is there already, nothing to do")
    result(data, "\n".join(map(str, paths)), run_id)


def refuse(what: str, listing: str, detail: Mapping[str, Any]) -> NoReturn:
    """End a command whose check failed, with exit 1: ``listing`` on stdout, with --json ``detail`` in the envelope."""
    if not _mode["json"]:
        result(None, listing)
    raise CheckFailedError(what, **detail)


def note(text: str) -> None:
    """A line for people, on stderr."""
    if not _mode["quiet"]:
        sys.stderr.write(clean(text) + "\n")


def failure(code: str, message: str, detail: Mapping[str, Any]) -> None:
    """An error: a line on stderr, and the error envelope on stdout with --json. Never fails itself."""
    try:
        sys.stderr.write(f"error: {clean(message)}\n")
        sys.stderr.flush()
    except OSError:
        silence(sys.stderr)
    if _mode["json"]:
        error = {"code": code, "message": message, "detail": _plain(detail)}
        try:
            sys.stdout.write(json.dumps({"status": "error", "error": error}, allow_nan=False) + "\n")
            sys.stdout.flush()
        except OSError:
            silence(sys.stdout)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr when it is a terminal; a callback (done, total) either way."""
    if _mode["quiet"] or _mode["json"] or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from tqdm import tqdm

    with tqdm(desc=label, unit="part", leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def grid(rows: Sequence[Sequence[Any]], heads: Sequence[str]) -> str:
    """A plain text table: columns padded, numbers right-aligned."""

    def cell(value: Any) -> str:  # noqa: ANN401
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return f"{value:,.4g}" if isinstance(value, float) else clean(str(value)).replace("\n", " ")

    texts = [[cell(v) for v in row] for row in rows]
    numeric = [all(isinstance(row[i], (int, float)) or row[i] is None for row in rows) for i in range(len(heads))]
    widths = [max([len(h), *(len(t[i]) for t in texts)]) for i, h in enumerate(heads)]

    def line(cells: Sequence[str]) -> str:
        parts = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return "  ".join(parts).rstrip()

    return "\n".join([line(heads), line(["-" * w for w in widths]), *(line(t) for t in texts)])
