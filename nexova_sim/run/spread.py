"""A fleet simulated by many processes or machines: each block of machines is a task that writes its own files.

Workers write into the staging folder of the dataset, which all of them must see (a shared file system); the manifest is
written by the caller when every block is there. A block depends on configuration and code alone, so the bytes are those
of a simulation in one process, and a block that is done twice, because its worker died, is written twice alike.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import NamedTuple

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import code_hash
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.dataset.stage import PLAN_NAME, Stage, packages
from nexova_sim.run.block import SIMULATE_ROOMS, write_block
from nexova_sim.run.engines import Engine, run_tasks
from nexova_sim.run.pool import Task
from nexova_sim.schema.manifest import FileEntry
from nexova_sim.simulate.plan import FleetPlan, plan_fleet


class BlockTask(NamedTuple):
    """What a worker needs to write block ``number`` of a fleet: where, what is there already, and with which code."""

    stage: Stage
    resolved: ResolvedFleet
    config_hash: str
    code: str
    packages: dict[str, str]
    number: int


# The plan of the last fleet of this process, by configuration: a worker gets block after block of the same fleet.
_last: dict[str, FleetPlan] = {}


def simulate_block(task: BlockTask) -> list[FileEntry]:
    """Write the files of one block; DataError when this worker has other code or does not see the folder."""
    where = f"the worker on {socket.gethostname()}"
    if task.code != code_hash(*SIMULATE_ROOMS) or task.packages != packages():
        raise DataError(f"{where} runs other code or libraries than the caller, so its bytes may differ; install the "
                        "same version on every machine")  # fmt: skip
    if not (task.stage.folder / PLAN_NAME).is_file():
        raise DataError(f"{where} does not see {task.stage.folder}; choose an --out on a file system that all share")
    if task.config_hash not in _last:
        _last.clear()
        _last[task.config_hash] = plan_fleet(task.resolved)
    return write_block(task.stage, _last[task.config_hash], task.number, Event(), lambda: None)


def spread_blocks(stage: Stage, plan: FleetPlan, hashes: tuple[str, str], engine: Engine,
                  progress: Callable[[int, int], None]) -> list[FileEntry]:  # fmt: skip
    """Manifest entries of all blocks of a fleet, written on an engine. What is whole stays for the next attempt.

    ``hashes`` are those of configuration and code. Raises DataError with the first block that failed.
    """
    n = len(plan.blocks)
    shared = stage._replace(out=Path(stage.out).absolute(), folder=Path(stage.folder).absolute())
    tasks = [Task(str(k), BlockTask(shared, plan.resolved, *hashes, packages(), k)) for k in range(n)]
    entries: dict[str, list[FileEntry]] = {}
    outcomes = run_tasks(simulate_block, tasks, engine)
    try:
        for number, done in enumerate(outcomes, 1):
            if done.error is not None:
                raise DataError(f"block {done.key} of {n}: {done.error}; mend that and run again to resume")
            entries[done.key] = done.value
            progress(number, n)
    finally:
        outcomes.close()  # type: ignore[attr-defined]
    return [entry for k in range(n) for entry in entries[str(k)]]
