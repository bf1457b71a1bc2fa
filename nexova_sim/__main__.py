"""``python -m nexova_sim`` is ``nexova``."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script; Ctrl-C while it still loads is told like any other."""
    try:
        from nexova_sim.cli.app import main as start
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted before anything began\n")
        sys.exit(130)
    start()


if __name__ == "__main__":
    main()
