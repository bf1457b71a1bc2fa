"""Every error a user can meet: what, where, got, allowed, remedy, plus a code and the process exit code.

Exit codes: 0 ok · 1 ran, but a check failed · 2 usage or configuration · 3 bad or missing data · 4 outside service ·
70 a bug of ours · 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_SERVICE = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class NexovaError(Exception):
    """Base of every expected error. ``code`` is machine-readable, ``exit_code`` is the process status."""

    code = "ERROR"
    exit_code = EXIT_USAGE

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail: dict[str, Any] = detail


class UsageError(NexovaError):
    """The command line is not one of ours: no such verb or flag, or a value is missing (exit 2)."""

    code = "USAGE"
    exit_code = EXIT_USAGE


class ConfigError(NexovaError):
    """A configuration file, ``--set`` override or argument is wrong (exit 2)."""

    code = "CONFIG"
    exit_code = EXIT_USAGE


class MissingExtraError(NexovaError):
    """A verb needs a library that was not installed (exit 2)."""

    code = "MISSING_EXTRA"
    exit_code = EXIT_USAGE


class DataError(NexovaError):
    """Data is missing, damaged or cannot be written (exit 3)."""

    code = "DATA"
    exit_code = EXIT_DATA


class LockedError(DataError):
    """Another process is writing the same folder (exit 3)."""

    code = "LOCKED"


class CheckFailedError(NexovaError):
    """The verb ran to its end, and the check it performs did not pass (exit 1)."""

    code = "CHECK_FAILED"
    exit_code = EXIT_CHECK_FAILED


class DeniedError(CheckFailedError):
    """Somebody tried what he may not, or what does not fit the moment; nothing was changed (exit 1).

    ``code`` says which: UNAUTHORIZED (who are you?), FORBIDDEN (not you), CONFLICT, NOT_FOUND, ...
    """

    code = "DENIED"

    def __init__(self, code: str, message: str, **detail: Any) -> None:
        super().__init__(message, **detail)
        self.code = code


class ServiceError(NexovaError):
    """An outside service failed (exit 4)."""

    code = "SERVICE"
    exit_code = EXIT_SERVICE


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Text naming the nearest allowed spelling, or the allowed names when none is near."""
    names = sorted(allowed)
    same = [allowed_name for allowed_name in names if allowed_name.lower() == name.lower()]
    near = same or get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"choose one of: {shown}" if names else "no name is allowed here"


def need_extra(library: str, extra: str, verb: str) -> MissingExtraError:
    """The error for a library that is not installed, naming the extra that brings it."""
    return MissingExtraError(
        f"{verb} needs the library {library!r}, which is not installed; "
        f"install it with: pip install 'nexova-sim[{extra}]'",
        library=library,
        extra=extra,
    )
