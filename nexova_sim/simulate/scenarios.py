"""A scenario on the kernels' time grid: which phase holds in which slot, and what it does to the machine."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import numpy as np

from nexova_sim.config.scenario import Phase, ResolvedTwin
from nexova_sim.kernels.rows import LANES, NEVER, Clock, FaultPlan, Inputs

CHUNK_SLOTS = 4096


class Timeline(NamedTuple):
    """Time grid and conditions of a run. ``bound`` (n_phases,) int64 is the slot after each phase, within a cycle."""

    slot_h: float
    n_steps: int
    n_slots: int
    sample_slots: int
    bound: np.ndarray
    repeat: bool
    load: np.ndarray  # (n_phases,) float64, as is the next
    ambient_c: np.ndarray
    effect: np.ndarray  # (n_phases, N_EFFECTS) float64


class Stretch(NamedTuple):
    """Slots with one set of effects, ready for the kernel; ``first_phase`` is the phase in force at its first slot."""

    inputs: Inputs
    effect: np.ndarray
    first_phase: int


def effect_of(phase: Phase) -> tuple[float, float, float, float, float, float]:
    """Effects of a phase in the order of the kernel's columns (wear, fatigue, cooling, load, spike, vibration)."""
    return phase.wear_per_h, phase.fatigue_per_h, phase.cooling_frac, 1.0, 0.0, phase.vibration_mm_s


def timeline(resolved: ResolvedTwin) -> Timeline:
    """Put the scenario of ``resolved`` on its time grid."""
    scenario, slot_s = resolved.scenario, resolved.slot_s
    ends = np.cumsum([m * 60 // slot_s for m in scenario.phase_min], dtype=np.int64)
    if len(ends) < len(scenario.phases) or not scenario.repeat:
        ends = np.append(ends[: len(scenario.phases) - 1], NEVER)
    ambient = [scenario.ambient_c if p.ambient_c is None else p.ambient_c for p in scenario.phases]
    return Timeline(
        slot_s / 3600.0,
        ceil(slot_s / resolved.dt_s),
        round(scenario.hours * 3600.0) // slot_s,
        resolved.sample_min * 60 // slot_s,
        ends,
        scenario.repeat,
        np.array([p.load_frac for p in scenario.phases]),
        np.array(ambient),
        np.array([effect_of(p) for p in scenario.phases]),
    )


def coarsened(line: Timeline) -> tuple[Timeline, int]:
    """The same timeline in the longest slots that fit the phases and are not above an hour, and how many make one."""
    finite = line.bound[line.bound < NEVER]
    most = int(1.0 / line.slot_h + 1e-9)
    common = int(np.gcd.reduce(finite)) if len(finite) else most
    factor = max(k for k in range(1, most + 1) if common % k == 0)
    bound = np.where(line.bound < NEVER, line.bound // factor, NEVER)
    return line._replace(slot_h=line.slot_h * factor, bound=bound), factor


def phase_at(line: Timeline, slot: np.ndarray) -> np.ndarray:
    """Number of the phase in force in every slot; same shape, int64."""
    within = slot % line.bound[-1] if line.repeat else slot
    return np.searchsorted(line.bound, within, side="right")


def stretches(line: Timeline, first_slot: int, n_slots: int) -> Iterator[Stretch]:
    """Cut slots into stretches of equal effects and at most CHUNK_SLOTS; load and ambient may change inside one."""
    for begin in range(first_slot, first_slot + n_slots, CHUNK_SLOTS):
        slots = np.arange(begin, min(begin + CHUNK_SLOTS, first_slot + n_slots), dtype=np.int64)
        phase = phase_at(line, slots)
        effects = line.effect[phase]
        cuts = np.flatnonzero((effects[1:] != effects[:-1]).any(axis=1)) + 1
        for part in np.split(np.arange(len(slots)), cuts):
            load = np.repeat(line.load[phase[part]][:, None], LANES, axis=1)
            ambient = np.repeat(line.ambient_c[phase[part]][:, None], LANES, axis=1)
            yield Stretch(Inputs(load, load, ambient, int(slots[part[0]])), effects[part[0]], int(phase[part[0]]))


def constant_effect(effect: np.ndarray) -> FaultPlan:
    """The effects (N_EFFECTS,) in force on every lane from long before the start until for ever."""
    lanes = np.arange(LANES, dtype=np.int64)
    onset, end = np.full(LANES, -NEVER), np.full(LANES, NEVER)
    return FaultPlan(lanes, onset, end, np.zeros(LANES, np.int64), np.repeat(effect[None, :], LANES, axis=0))


def clock_of(line: Timeline, n_steps: int, sample_slots: int) -> Clock:
    """The kernel's clock with ``n_steps`` steps per slot and a truth sample every ``sample_slots`` slots."""
    return Clock(line.slot_h, n_steps, sample_slots)
