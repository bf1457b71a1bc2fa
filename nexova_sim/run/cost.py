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
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat") if _has_children(ancestor) else ():
        try:
            # The name of a program may hold spaces and brackets; what follows the last bracket does not.
            fields = entry.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        pid = int(entry.parent.name)
        parents[pid] = int(fields[1])
        # utime, stime, and those of its own children that ended.
        ticks[pid] = sum(int(word) for word in fields[11:15])
    return sum(ticks[pid] for pid in parents if _descends(pid, ancestor, parents)) / _TICKS_PER_S


def _has_children(pid: int) -> bool:
    try:
        lists = list(Path(f"/proc/{pid}/task").glob("*/children"))
        return not lists or any(path.read_text(encoding="ascii").strip() for path in lists)
    except OSError:
        return True


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    for _ in range(len(parents)):
        pid = parents.get(pid, 0)
        if pid in (0, ancestor):
            break
    return pid == ancestor
