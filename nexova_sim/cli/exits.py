"""From exception to message, envelope and exit code. A traceback is never shown for a user's mistake."""

from __future__ import annotations

import os
import sys

from nexova_sim import __version__
from nexova_sim.base.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_OK, NexovaError
from nexova_sim.cli import echo


def report_failure(error: BaseException) -> int:
    """Tell the user about ``error`` on stderr (and in the envelope with --json); returns the exit code."""
    if isinstance(error, NexovaError):
        echo.failure(error.code, error.message, error.detail)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader went away (`| head`): nothing is wrong. Give Python's exit-time flush a harmless target.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    if isinstance(error, KeyboardInterrupt):
        echo.failure("INTERRUPTED", "interrupted; run the same command again to resume", {})
        return EXIT_INTERRUPTED
    if isinstance(error, MemoryError):
        echo.failure("MEMORY", "out of memory; use fewer --jobs or a smaller fleet", {})
        return EXIT_BUG
    from nexova_sim.base.log import write_crash

    path = write_crash(error, __version__)
    where = f"details in {path}" if path else "no log could be written"
    echo.failure("BUG", f"internal error ({type(error).__name__}: {error}); this is a bug of ours, {where}", {})
    return EXIT_BUG
