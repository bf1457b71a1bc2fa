"""From exception to message, envelope and exit code. A traceback is never shown for a user's mistake."""

from __future__ import annotations

import sys

from nexova_sim import __version__
from nexova_sim.base.errors import EXIT_BUG, EXIT_DATA, EXIT_INTERRUPTED, EXIT_OK, NexovaError
from nexova_sim.cli import echo


def report_failure(error: BaseException) -> int:
    """Tell the user about ``error`` on stderr (and in the envelope with --json); returns the exit code."""
    if isinstance(error, NexovaError):
        echo.failure(error.code, error.message, error.detail)
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # The reader went away (`| head`): nothing is wrong.
        echo.silence(sys.stdout)
        echo.silence(sys.stderr)
        return EXIT_OK
    if isinstance(error, KeyboardInterrupt):
        echo.failure("INTERRUPTED", "interrupted; run the same command again to resume", {})
        return EXIT_INTERRUPTED
    if isinstance(error, MemoryError):
        echo.failure("MEMORY", "out of memory; use fewer --jobs or a smaller fleet", {})
        return EXIT_BUG
    if isinstance(error, OSError) and error.errno is not None:
        return _report_system(error)
    from nexova_sim.base.log import write_crash

    path = write_crash(error, __version__)
    where = f"details in {path}" if path else "no log could be written"
    echo.failure("BUG", f"internal error ({type(error).__name__}: {error}); this is a bug of ours, {where}", {})
    return EXIT_BUG


def _report_system(error: OSError) -> int:
    """The operating system refused something that no verb foresaw: a full disk behind stdout, a file that is gone."""
    from nexova_sim.base.log import write_crash

    path = write_crash(error, __version__)
    what = f"{error.filename}: " if error.filename else ""
    where = f"; details in {path}" if path else ""
    echo.failure("SYSTEM", f"{what}{error.strerror}; check the disk and the files named{where}", {"errno": error.errno})
    if not error.filename:
        echo.silence(sys.stdout)
    return EXIT_DATA
