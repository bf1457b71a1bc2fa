"""What a piece of work cost in CPU-seconds, whoever did it: this process, children that ended, children that live."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """CPU-seconds of this process, of its children that ended, and of all descendants that live, from /proc.

    Only differences mean something. Where there is no /proc, living children are left out.
    """
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system + _living(os.getpid())


def _living(ancestor: int) -> float:
    total, waiting, seen = 0.0, _children(ancestor), {ancestor}
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        try:
            # The name of a program may hold spaces and brackets; what follows the last bracket does not.
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            fields = text.rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        # utime, stime, and those of its own children that ended.
        total += sum(int(word) for word in fields[11:15]) / _TICKS_PER_S
        waiting += _children(pid)
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - ten times the price of this with Path
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as handle:  # noqa: PTH123 - as above
                found += map(int, handle.read().split())
    except OSError:
        pass
    return found
