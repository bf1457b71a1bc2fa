"""``nexova simulate``: configuration -> fleet -> dataset folder, block by block on a few threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event, local
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import yaml

from nexova_sim.base.errors import ConfigError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.dataset.stage import Stage, explain_os_error, is_same, staged
from nexova_sim.dataset.write import Source, WriteOptions, file_entry, part_path, write_manifest, write_table
from nexova_sim.schema.manifest import FileEntry, Manifest, load_manifest
from nexova_sim.simulate import tables
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.life import end_branches, trace_life
from nexova_sim.simulate.plan import FleetPlan, plan_block, plan_fleet

Progress = Callable[[int, int], None]
# Arrays that each thread reuses from block to block.
_pools = local()
_ROOMS = ("base", "kernels", "schema", "simulate", "dataset")


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
    return results / "simulate" / resolved.fleet.name / run_id(fleet_hash(resolved), code_hash(*_ROOMS))


def simulate(resolved: ResolvedFleet, out: Path | None = None, jobs: int | None = None, overwrite: bool = False,
             progress: Progress = no_progress) -> SimulateResult:  # fmt: skip
    """Simulate a fleet into a dataset folder; same configuration and seed give the same bytes, whatever ``jobs``.

    An interrupted run is completed by calling again. Raises ConfigError for a configuration that cannot be run,
    DataError when the disk refuses.
    """
    config_hash, code = fleet_hash(resolved), code_hash(*_ROOMS)
    folder = out or default_folder(resolved)
    ident = run_id(config_hash, code)
    if is_same(folder, config_hash, code):
        return SimulateResult(folder, ident, load_manifest(folder), True)
    n_jobs = jobs if jobs is not None else len(os.sched_getaffinity(0))
    if n_jobs < 1:
        raise ConfigError(f"--jobs {n_jobs}: must be at least 1")
    plan = plan_fleet(resolved)
    if any(p.n_slots < 1 for p in plan.periods):
        raise ConfigError("days: the span is shorter than one slot")
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        entries = _write_blocks(stage, plan, n_jobs, progress)
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


def write_block(stage: Stage, plan: FleetPlan, number: int, stop: Event, step: Callable[[], None]) -> list[FileEntry]:
    """Simulate one block and write its files; files that an interrupted run completed are kept, not written again."""
    block = plan_block(plan, number)
    output = plan.resolved.fleet.output
    options = WriteOptions(output.row_group_rows, output.compression_level)
    paths = {p.number: part_path("readings", p.label, number) for p in plan.periods}
    wanted = frozenset(n for n, path in paths.items() if path not in stage.done)
    entries = []
    kept = []
    for chunk in run_block_periods(plan, block, wanted, _pools.__dict__):
        if stop.is_set():
            return []
        path = paths[chunk.period.number]
        if chunk.period.number in wanted:
            entries.append(write_table(stage, path, tables.readings_table(plan, block, chunk), options))
        else:
            entries.append(file_entry(stage, path))
        nothing = np.empty((0, 0), np.float32)
        kept.append(
            chunk._replace(
                power_kw=nothing,
                temperature_c=nothing,
                vibration_mm_s=nothing,
                runtime_h=nothing,
                status=nothing,
                keep=None,
            )
        )
        step()
    cleared = kept[-1].state.cleared
    branch = np.concatenate([c.branch for c in kept] + [end_branches(plan, block, kept[-1].state, cleared)])
    code = np.concatenate([c.event_code for c in kept])
    value = np.concatenate([c.event_value for c in kept])
    life = trace_life(plan, block, branch, code, value)
    for chunk in kept:
        table = tables.truth_table(plan, block, chunk, life, cleared)
        if table.num_rows:
            entries.append(_keep_or_write(stage, part_path("truth", chunk.period.label, number), table, options))
    for name, table in (
        ("labels", tables.labels_table(plan, block, cleared)),
        ("events", tables.events_table(plan, block, code, value)),
    ):
        entries.append(_keep_or_write(stage, part_path(name, None, number), table, options))
    return entries


def _keep_or_write(stage: Stage, path: str, table: pa.Table, options: WriteOptions) -> FileEntry:
    return file_entry(stage, path) if path in stage.done else write_table(stage, path, table, options)


def _write_fleet(stage: Stage, plan: FleetPlan) -> list[FileEntry]:
    makers = {
        "machines": tables.machines_table,
        "build": tables.build_table,
        "factories": tables.factories_table,
        "weather": tables.weather_table,
    }
    return [
        _keep_or_write(stage, part_path(name, None, 0), make(plan), WriteOptions()) for name, make in makers.items()
    ]


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
