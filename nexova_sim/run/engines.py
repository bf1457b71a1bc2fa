"""Where tasks run: processes of this machine, or a Dask cluster. Same tasks, same outcomes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from nexova_sim.base.errors import ConfigError, MissingExtraError, ServiceError, suggest
from nexova_sim.run.pool import MOST_ATTEMPTS, Done, Function, Task, attempt, run_local


class Engine(NamedTuple):
    """Which engine, how many processes (None: all cores), and the address of a running scheduler (Dask only)."""

    name: str = "local"
    jobs: int | None = None
    scheduler: str | None = None


class Runner(Protocol):
    """Runs tasks and gives their outcomes in the order in which they end."""

    def __call__(self, function: Function, tasks: Sequence[Task], engine: Engine) -> Iterator[Done]:  # noqa: D102
        ...


def _local(function: Function, tasks: Sequence[Task], engine: Engine) -> Iterator[Done]:
    return run_local(function, tasks, engine.jobs)


def run_dask(function: Function, tasks: Sequence[Task], engine: Engine) -> Iterator[Done]:
    """The tasks on the cluster at ``engine.scheduler``, or on one started on this machine for the purpose.

    Raises MissingExtraError without distributed, ServiceError when the scheduler does not answer.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise MissingExtraError("--engine dask needs distributed: pip install 'nexova-sim[cluster]'") from error
    cluster = None
    try:
        if engine.scheduler is None:
            jobs = engine.jobs or len(os.sched_getaffinity(0))
            cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None)
        client = Client(cluster or engine.scheduler, timeout=10)
    except ValueError as error:
        raise ConfigError(
            f"--scheduler {engine.scheduler}: {error}; give an address like tcp://192.168.0.7:8786"
        ) from error
    except OSError as error:
        raise ServiceError(
            f"--scheduler {engine.scheduler}: no Dask scheduler answers there ({error}); check the address"
        ) from error
    futures: dict[Any, Task] = {}
    try:
        # pure=False: equal arguments are still two tasks; a worker that dies gives its task to another one.
        for task in tasks:
            futures[client.submit(attempt, function, task.payload, pure=False, retries=MOST_ATTEMPTS - 1)] = task
        for future in as_completed(list(futures)):
            task = futures.pop(future)
            failure = future.exception()
            if failure is not None:
                yield Done(task.key, None, f"{type(failure).__name__}: {failure}", MOST_ATTEMPTS, 0.0)
            else:
                value, error_words, cpu_s = future.result()
                yield Done(task.key, value, error_words, 1, cpu_s)
            future.release()
    finally:
        for future in futures:
            future.cancel()
        client.close()
        if cluster is not None:
            cluster.close()


ENGINES: Mapping[str, Runner] = MappingProxyType({"local": _local, "dask": run_dask})


def check_engine(engine: Engine) -> None:
    """ConfigError for an unknown engine, or a scheduler where none is used."""
    if engine.name not in ENGINES:
        raise ConfigError(f"--engine {engine.name}: unknown; {suggest(engine.name, ENGINES)}", got=engine.name)
    if engine.scheduler is not None and engine.name != "dask":
        raise ConfigError(f"--scheduler {engine.scheduler}: goes with --engine dask only")


def run_tasks(function: Function, tasks: Sequence[Task], engine: Engine) -> Iterator[Done]:
    """Outcomes of ``tasks`` on an engine; ConfigError for an unknown one or a scheduler where none is used."""
    check_engine(engine)
    return ENGINES[engine.name](function, tasks, engine)
