"""Small fleets for tests: a configuration from a few edits, and everything one block did with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from nexova_sim.config.load import load_kind, resolve_fleet
from nexova_sim.config.types import FleetConfig, ResolvedFleet
from nexova_sim.simulate import tables
from nexova_sim.simulate.blocks import Chunk, run_block_periods
from nexova_sim.simulate.life import end_branches, trace_life
from nexova_sim.simulate.plan import BlockPlan, FleetPlan, plan_block, plan_fleet

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SHIFTS = [
    {"name": "early", "days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"},
    {"name": "late", "days": ["mon", "tue", "wed", "thu", "fri"], "start": "14:00", "end": "22:00"},
    {"name": "saturday", "days": ["sat"], "start": "06:00", "end": "12:00"},
]
QUIET = {"random": False}
NO_SERVICE = {"planned_interval_days": None}
MIXED = {"pump": 3, "motor": 2, "compressor": 2, "conveyor": 3}
SLOT = {"truth_interval_s": 300}
SILENT = {
    "sensors": {"power_kw": {"noise_frac": 0.0}, "temperature_c": {"noise": 0.0}, "vibration_mm_s": {"noise": 0.0}}
}
# What makes a new pump fail by one mode within a day or two.
FRAGILE = {
    "bearing": {"damage": {"wear_per_mm_s_h": 0.01}},
    "thermal": {"damage": {"fatigue_per_k_h": 0.003, "fatigue_knee_c": 30.0}},
    "electrical": {"damage": {"electrical_per_h": 0.08}},
    "end_of_life": {"damage": {"rated_life_h": 20.27}},
    "random": {"hazard": {"weibull_scale_h": 18.0}},
}
MODES = list(FRAGILE)
STOP = {"machine": "f-pump-001", "action": "OFFLINE", "at_h": 10.0, "hours": 5.0}
CARE = {
    "machine": "f-pump-002",
    "action": "MAINTENANCE",
    "at_h": 12.0,
    "hours": 2.0,
    "restores": ["bearing", "electrical"],
}


def merge(base: dict[str, Any], edits: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``edits`` laid over it, level by level."""
    out = dict(base)
    for key, value in edits.items():
        out[key] = merge(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def small_fleet(edits: dict[str, Any] | None = None, kinds: dict[str, dict[str, Any]] | None = None) -> ResolvedFleet:
    """Three pumps for a day in Lyon without faults or services, with ``edits`` to the fleet and ``kinds`` to its kinds.

    The edit ``machines`` replaces the counts of the one factory ``f`` and ``factory`` edits that factory.
    """
    edits = dict(edits or {})
    factory = {
        "id": "f", "latitude_deg": 45.76, "longitude_deg": 4.84, "timezone": "Europe/Paris",
        "calendar": {"shifts": SHIFTS}, "machines": edits.pop("machines", {"pump": 3}),
    }  # fmt: skip
    factory = merge(factory, edits.pop("factory", {}))
    raw = {"name": "small", "seed": 11, "start": "2026-01-05T00:00:00Z", "days": 1, "factories": [factory],
           "faults": QUIET, "maintenance": NO_SERVICE}  # fmt: skip
    resolved = resolve_fleet(FleetConfig.model_validate(merge(raw, edits)), CONFIGS.parent)
    changed = {
        name: type(kind).model_validate(merge(load_kind(name, CONFIGS / "kind").model_dump(), kinds[name]))
        for name, kind in resolved.kinds.items()
        if kinds and name in kinds
    }
    return resolved.model_copy(update={"kinds": {**resolved.kinds, **changed}})


class Ran(NamedTuple):
    """One block of a fleet, run to its end."""

    plan: FleetPlan
    block: BlockPlan
    chunks: list[Chunk]
    truth: np.ndarray  # (n_machines, n_samples, N_TRUTH)
    event_code: np.ndarray
    event_value: np.ndarray
    branch: np.ndarray
    cleared: np.ndarray

    def readings(self, channel: str) -> np.ndarray:
        """One channel of all chunks, (n_machines, n_rows)."""
        return np.concatenate([getattr(c, channel) for c in self.chunks], axis=1)

    def events(self, lane: int) -> list[tuple[int, int, int, float, float]]:
        """Events of one machine in order: code, two integers, hours, value."""
        own = self.event_code[:, 0] == lane
        pairs = zip(self.event_code[own].tolist(), self.event_value[own].tolist(), strict=True)
        return [(c[1], c[2], c[3], v[0], v[1]) for c, v in pairs]

    def table(self, name: str) -> pa.Table:
        """A table of the dataset: readings, truth, labels or events."""
        if name == "readings":
            return pa.concat_tables(tables.readings_table(self.plan, self.block, c) for c in self.chunks)
        if name == "labels":
            return tables.labels_table(self.plan, self.block, self.cleared)
        if name == "events":
            return tables.events_table(self.plan, self.block, self.event_code, self.event_value)
        ends = end_branches(self.plan, self.block, self.chunks[-1].state, self.cleared)
        branch = np.concatenate([self.branch, ends])
        life = trace_life(self.plan, self.block, branch, self.event_code, self.event_value)
        return pa.concat_tables(tables.truth_table(self.plan, self.block, c, life, self.cleared) for c in self.chunks)


def run(resolved: ResolvedFleet, number: int = 0) -> Ran:
    """Plan a fleet and run one block of it through all periods."""
    plan = plan_fleet(resolved)
    block = plan_block(plan, number)
    chunks = list(run_block_periods(plan, block))
    return Ran(
        plan,
        block,
        chunks,
        np.concatenate([c.truth for c in chunks], axis=1),
        np.concatenate([c.event_code for c in chunks]),
        np.concatenate([c.event_value for c in chunks]),
        np.concatenate([c.branch for c in chunks]),
        chunks[-1].state.cleared,
    )


def fragile(mode: str, days: float = 4, **edits: object):
    """Three new pumps that fail by one mode within a day or two."""
    return small_fleet({"days": days, "start_age_frac": [0.0, 0.0], **SLOT, **edits}, {"pump": FRAGILE[mode]})


def of_kind(ran: Ran, lane: int, code: int) -> list[tuple]:
    """Events of one kind of a machine."""
    return [e for e in ran.events(lane) if e[0] == code]
