"""``nexova simulate``: configuration -> fleet -> dataset folder, block by block on a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
import yaml

from nexova_sim.base.errors import ConfigError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.dataset.stage import Stage, explain_os_error, is_same, staged
from nexova_sim.dataset.write import Source, WriteOptions, part_path, write_manifest
from nexova_sim.run.block import SIMULATE_ROOMS, keep_or_write, write_block
from nexova_sim.run.engines import Engine, check_engine
from nexova_sim.run.spread import spread_blocks
from nexova_sim.schema.manifest import FileEntry, Manifest, load_manifest
from nexova_sim.simulate import tables
from nexova_sim.simulate.plan import FleetPlan, plan_fleet

Progress = Callable[[int, int], None]


class SimulateResult(NamedTuple):
    """What a simulation left behind."""

    folder: Path
    run_id: str
    manifest: Manifest
    was_there: bool


def no_progress(done: int, total: int) -> None:
    """Progress callback that shows nothing."""


def fleet_hash(resolved: ResolvedFleet) -> str:
    """Hash of everything a simulation's bytes depend on besides code."""
    return hash_value(resolved.model_dump(mode="json"))


def default_folder(resolved: ResolvedFleet, results: Path = Path("results")) -> Path:
    """Where a simulation goes when no ``--out`` is given: results/simulate/<name>/<run id>."""
    return results / "simulate" / resolved.fleet.name / run_id(fleet_hash(resolved), code_hash(*SIMULATE_ROOMS))


def simulate(resolved: ResolvedFleet, out: Path | None = None, jobs: int | None = None, overwrite: bool = False,
             progress: Progress = no_progress, engine: Engine | None = None) -> SimulateResult:  # fmt: skip
    """Simulate a fleet into a dataset folder; same configuration and seed give the same bytes, whatever ``jobs``.

    Without ``engine`` on threads of this process, else each block of machines is a task of the engine, whose workers
    must all see ``out``. An interrupted run is completed by calling again. Raises ConfigError for a configuration that
    cannot be run, DataError when the disk refuses.
    """
    config_hash, code = fleet_hash(resolved), code_hash(*SIMULATE_ROOMS)
    folder = out or default_folder(resolved)
    ident = run_id(config_hash, code)
    if is_same(folder, config_hash, code):
        return SimulateResult(folder, ident, load_manifest(folder), True)
    n_jobs = jobs if jobs is not None else len(os.sched_getaffinity(0))
    if n_jobs < 1:
        raise ConfigError(f"--jobs {n_jobs}: must be at least 1")
    if engine is not None:
        check_engine(engine)
    plan = plan_fleet(resolved)
    if any(p.n_slots < 1 for p in plan.periods):
        raise ConfigError("days: the span is shorter than one slot")
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        entries = (_write_blocks(stage, plan, n_jobs, progress) if engine is None
                   else spread_blocks(stage, plan, (config_hash, code), engine, progress))  # fmt: skip
        entries += _write_fleet(stage, plan)
        fleet = resolved.fleet
        end_s = plan.start_s + fleet.n_slots * fleet.slot_s
        source = Source(
            name=fleet.name,
            source="simulate",
            seed=fleet.seed,
            start=_iso(plan.start_s),
            end=_iso(end_s),
            dt_s=float(fleet.dt_s),
            n_machines=len(plan.machines),
            extra_channels=(),
            config_hash=config_hash,
            code_hash=code,
        )
        text = yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        manifest = write_manifest(stage, source, entries, {"config.resolved.yaml": text})
    return SimulateResult(folder, ident, manifest, False)


def _iso(second: int) -> str:
    return str(np.datetime64(second, "s")) + "Z"


def _write_blocks(stage: Stage, plan: FleetPlan, jobs: int, progress: Progress) -> list[FileEntry]:
    total = len(plan.blocks) * len(plan.periods)
    done = 0
    stop = Event()

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    with ThreadPoolExecutor(min(jobs, len(plan.blocks))) as pool:
        futures: list[Future[list[FileEntry]]] = [
            pool.submit(write_block, stage, plan, number, stop, step) for number in range(len(plan.blocks))
        ]
        try:
            finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in finished:
                future.result()
        except OSError as error:
            raise explain_os_error(error, stage.out) from error
        finally:
            # On an error or Ctrl-C the other threads end at their next period; what they completed stays for resuming.
            stop.set()
            for future in futures:
                future.cancel()
    return [entry for future in futures for entry in future.result()]


def _write_fleet(stage: Stage, plan: FleetPlan) -> list[FileEntry]:
    makers = {
        "machines": tables.machines_table,
        "build": tables.build_table,
        "factories": tables.factories_table,
        "weather": tables.weather_table,
    }
    return [keep_or_write(stage, part_path(name, None, 0), make(plan), WriteOptions()) for name, make in makers.items()]


def outline(resolved: ResolvedFleet, out: Path | None = None) -> dict[str, object]:
    """What a simulation would do, without doing it."""
    plan = plan_fleet(resolved)
    fleet = resolved.fleet
    rows = len(plan.machines) * fleet.n_slots * fleet.slot_s // fleet.dt_s
    return {
        "folder": str(out or default_folder(resolved)),
        "machines": len(plan.machines),
        "readings": rows,
        "faults": len(plan.faults),
        "blocks": len(plan.blocks),
        "periods": len(plan.periods),
        "about_mb": round(rows * 4.5 / 1e6, 1),
    }
