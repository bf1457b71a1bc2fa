"""One block of machines of a fleet, simulated and written: the unit of work of ``nexova simulate``."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, local

import numpy as np
import pyarrow as pa

from nexova_sim.dataset.stage import Stage
from nexova_sim.dataset.write import WriteOptions, file_entry, part_path, write_table
from nexova_sim.schema.manifest import FileEntry
from nexova_sim.simulate import tables
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.life import end_branches, trace_life
from nexova_sim.simulate.plan import FleetPlan, plan_block

SIMULATE_ROOMS = ("base", "kernels", "schema", "simulate", "dataset")
# Arrays that each thread reuses from block to block.
_pools = local()


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
            entries.append(keep_or_write(stage, part_path("truth", chunk.period.label, number), table, options))
    for name, table in (
        ("labels", tables.labels_table(plan, block, cleared)),
        ("events", tables.events_table(plan, block, code, value)),
    ):
        entries.append(keep_or_write(stage, part_path(name, None, number), table, options))
    return entries


def keep_or_write(stage: Stage, path: str, table: pa.Table, options: WriteOptions) -> FileEntry:
    """Manifest entry of a file: written, unless an interrupted run completed it."""
    return file_entry(stage, path) if path in stage.done else write_table(stage, path, table, options)
