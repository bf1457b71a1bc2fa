"""A process of its own that writes to a registry: STORE NAME MACHINE COUNT [where to die: record, commit, anchor]."""

from __future__ import annotations

import os
import signal
import sys

from nexova_sim.approve import registry
from nexova_sim.approve.people import Identity
from nexova_sim.approve.store import open_store
from nexova_sim.approve.workflow import Attempt


def die_after(name: str) -> None:
    """Make the process kill itself, as hard as can be, right after the named step of the next attempt."""
    steps = {"apply": "apply", "record": "record", "before anchor": "save_anchor"}
    real = getattr(registry, steps[name])

    def deadly(*arguments):
        if name != "before anchor":
            real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(registry, steps[name], deadly)


def main(url: str, name: str, machine: str, count: str, death: str = "") -> None:
    store = open_store(url)
    if death:
        die_after(death)
    allowed = 0
    for number in range(int(count)):
        action = "submit" if number % 2 == 0 else "withdraw"
        done = registry.act(store, Identity(email=f"{name}@plant.example"), Attempt(action, machine), 1_770_000_001_000)
        allowed += done.denial is None
    store.engine.dispose()
    sys.stdout.write(str(allowed))


if __name__ == "__main__":
    main(*sys.argv[1:])
