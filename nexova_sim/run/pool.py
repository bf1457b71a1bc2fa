"""Tasks on processes of this machine. A worker that dies is replaced, and only the task it had is repeated.

The standard process pool ends as a whole when one of its workers is killed; here every worker has a pipe of its own.
Workers are spawned, never forked, so that no thread or lock of the parent is copied.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from nexova_sim.base.errors import NexovaError, UsageError

MOST_ATTEMPTS = 3
_READY = "ready"
Function = Callable[[Any], Any]


class Task(NamedTuple):
    """A piece of work: ``key`` names it, ``payload`` is the argument (picklable)."""

    key: str
    payload: Any


class Done(NamedTuple):
    """The outcome of a task: ``value``, or ``error`` in words; how often it was tried and what it cost."""

    key: str
    value: Any
    error: str | None
    attempts: int
    cpu_s: float


class _Worker(NamedTuple):
    process: SpawnProcess
    pipe: Connection


def attempt(function: Function, payload: Any) -> tuple[Any, str | None, float]:  # noqa: ANN401
    """Value, error in words, CPU-seconds of one call; an expected error is its message, a bug names its type."""
    cpu_s = time.process_time()
    try:
        value, error = function(payload), None
    except NexovaError as failure:
        value, error = None, f"{failure.code}: {failure.message}"
    except Exception as failure:
        value, error = None, f"{type(failure).__name__}: {failure}"
    return value, error, time.process_time() - cpu_s


def serve(function: Function, pipe: Connection) -> None:
    """What a worker does: tasks from the pipe until None comes or the parent is gone."""
    # Ctrl-C reaches the whole group of processes; the parent decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(_READY)
        while (task := pipe.recv()) is not None:
            pipe.send(attempt(function, task.payload))


def run_local(function: Function, tasks: Sequence[Task], jobs: int | None = None) -> Iterator[Done]:
    """Outcomes in the order in which tasks end; ``function`` must stand at the top of a module.

    ``jobs`` processes (default: one per core). Closing the iterator ends the workers at once. A task whose worker dies
    ``MOST_ATTEMPTS`` times is given up with an error. Raises UsageError when a worker cannot even start.
    """
    waiting = deque((task, 1) for task in tasks)
    busy: dict[Any, tuple[_Worker, Task, int]] = {}
    idle: list[_Worker] = []
    ready: set[Any] = set()
    most = max(1, min(jobs or len(os.sched_getaffinity(0)), len(waiting)))
    try:
        while waiting or busy:
            while waiting and len(busy) < most:
                worker = idle.pop() if idle else _start(function)
                task, number = waiting.popleft()
                try:
                    worker.pipe.send(task)
                except OSError:  # it died while idle; the task was not begun
                    _end(worker)
                    waiting.appendleft((task, number))
                    continue
                busy[worker.pipe] = (worker, task, number)
            for pipe in wait(list(busy)):
                worker, task, number = busy[pipe]
                try:
                    answer = worker.pipe.recv()
                    if answer == _READY:
                        ready.add(pipe)
                        continue
                    value, error, cpu_s = answer
                    del busy[pipe]
                except (EOFError, OSError):
                    del busy[pipe]
                    _end(worker)
                    if pipe not in ready:
                        raise _no_start(worker) from None
                    if number < MOST_ATTEMPTS:
                        waiting.appendleft((task, number + 1))
                    else:
                        code = worker.process.exitcode
                        yield Done(task.key, None, f"its process died {number} times (exit {code})", number, 0.0)
                    continue
                idle.append(worker)
                yield Done(task.key, value, error, number, cpu_s)
    finally:
        for worker in idle:
            with contextlib.suppress(OSError):
                worker.pipe.send(None)
        for worker, _, _ in busy.values():
            worker.process.terminate()
        for worker in [*idle, *(worker for worker, _, _ in busy.values())]:
            worker.process.join(5)
            _end(worker)


def _no_start(worker: _Worker) -> UsageError:
    """A process that ended before it took a task: so would the next one."""
    return UsageError(
        f"a worker process ended while it started (exit {worker.process.exitcode}); in a script of your own, put the "
        "call under if __name__ == '__main__':, because every worker reads the script first"
    )


def _start(function: Function) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    # Not daemonic: a task may start processes of its own. The end of the pipe tells an orphan to leave.
    process = context.Process(target=serve, args=(function, there))
    process.start()
    there.close()
    return _Worker(process, here)


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    if worker.process.is_alive():
        worker.process.kill()
    worker.process.join()
