"""Which fault strikes which machine when: random processes at the catalogue's rates, plus what the user scheduled."""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.kinds import FaultKind
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.kernels.numbers import log64
from nexova_sim.kernels.random import FAULT
from nexova_sim.kernels.rows import (
    C_BEARING,
    C_ELECTRICAL,
    C_LIFE,
    C_PROCESS,
    C_RANDOM,
    C_THERMAL,
    N_EFFECTS,
    FaultPlan,
)
from nexova_sim.kernels.sensor import DRIFT, DROPOUT, MISSING, SPIKE, STUCK
from nexova_sim.simulate.machines import Machine, draw

COMPONENT_BITS = {
    "bearing": C_BEARING,
    "thermal": C_THERMAL,
    "electrical": C_ELECTRICAL,
    "life": C_LIFE,
    "random": C_RANDOM,
    "process": C_PROCESS,
}
SENSOR_CODES = {"stuck": STUCK, "drift": DRIFT, "dropout": DROPOUT, "spike": SPIKE, "missing": MISSING}
_HOURS_PER_YEAR = 8766.0
_DRAWS = 4


class Fault(NamedTuple):
    """One fault of one machine, in hours since the start of the run."""

    machine: int
    fault: str
    channel: str | None
    onset_h: float
    end_h: float
    severity: float
    is_sensor: bool
    hours: float  # planned length, also beyond the end of the run: a drift's slope follows from it


def components(names: list[str]) -> int:
    """Bit mask of component names."""
    mask = 0
    for name in names:
        mask |= COMPONENT_BITS[name]
    return mask


def _random_faults(
    number: int, machine: Machine, name: str, kind: FaultKind, rate: float, span_h: float
) -> list[Fault]:
    faults = []
    counter = zlib.crc32(name.encode())
    onset = 0.0
    for n in range(100_000):
        gap, length, size, place = draw(machine.keys[FAULT], (counter + n * _DRAWS) % 2**32, _DRAWS)
        onset += -log64(gap) / rate * _HOURS_PER_YEAR
        if onset >= span_h:
            break
        hours = kind.hours[0] + (kind.hours[1] - kind.hours[0]) * length
        severity = kind.severity[0] + (kind.severity[1] - kind.severity[0]) * size
        channel = kind.channels[min(int(place * len(kind.channels)), len(kind.channels) - 1)] if kind.channels else None
        faults.append(
            Fault(number, name, channel, onset, min(onset + hours, span_h), severity, kind.sensor is not None, hours)
        )
        onset += hours
    return faults


def plan_faults(resolved: ResolvedFleet, machines: list[Machine]) -> list[Fault]:
    """All faults of a run, sorted by machine and onset."""
    fleet = resolved.fleet
    span_h = fleet.n_slots * fleet.slot_s / 3600.0
    faults: list[Fault] = []
    if fleet.faults.random and fleet.faults.rate_factor > 0:
        for number, machine in enumerate(machines):
            for name, kind in resolved.fault_kinds.items():
                rate = kind.rate_per_year * fleet.faults.rate_factor
                if rate > 0 and (fleet.faults.only is None or name in fleet.faults.only):
                    faults += _random_faults(number, machine, name, kind, rate, span_h)
    faults += _scheduled_faults(resolved, machines, span_h)
    return sorted(faults, key=lambda f: (f.machine, f.onset_h, f.fault))


def _scheduled_faults(resolved: ResolvedFleet, machines: list[Machine], span_h: float) -> list[Fault]:
    places = {m.id: n for n, m in enumerate(machines)}
    faults = []
    for n, item in enumerate(resolved.fleet.faults.scheduled):
        where = f"faults.scheduled.{n}"
        if item.machine not in places:
            raise ConfigError(f"{where}: unknown machine {item.machine!r}; {suggest(item.machine, places)}")
        if item.onset_h >= span_h:
            raise ConfigError(f"{where}: onset_h {item.onset_h} lies beyond the end of the run ({span_h:g} h)")
        kind = resolved.fault_kinds[item.fault]
        channel = item.channel or (kind.channels[0] if kind.channels else None)
        if channel is not None and channel not in kind.channels:
            raise ConfigError(
                f"{where}: fault {item.fault!r} cannot act on {channel!r}; {suggest(channel, kind.channels)}"
            )
        end = min(item.onset_h + item.hours, span_h)
        is_sensor = kind.sensor is not None
        place = places[item.machine]
        faults.append(Fault(place, item.fault, channel, item.onset_h, end, item.severity, is_sensor, item.hours))
    return faults


def fault_arrays(faults: list[Fault], first: int, resolved: ResolvedFleet) -> FaultPlan:
    """Kernel arrays of the physical faults of a block whose first machine has number ``first``."""
    slot_h = resolved.fleet.slot_s / 3600.0
    n = len(faults)
    effect = np.zeros((n, N_EFFECTS))
    for i, fault in enumerate(faults):
        kind = resolved.fault_kinds[fault.fault]
        if kind.effect is None:
            raise ValueError(f"{fault.fault} is a sensor fault")
        e, s = kind.effect, fault.severity
        effect[i] = (
            e.wear_per_h * s,
            e.fatigue_per_h * s,
            1.0 - e.cooling_loss_frac * s,
            1.0 + e.load_gain_frac * s,
            e.spike_frac * s,
            e.vibration_mm_s * s,
        )
    onset = [int(f.onset_h / slot_h) for f in faults]
    end = [max(o + 1, round(f.end_h / slot_h)) for o, f in zip(onset, faults, strict=True)]
    bits = [COMPONENT_BITS[resolved.fault_kinds[f.fault].component] for f in faults]
    return FaultPlan(
        np.array([f.machine - first for f in faults], np.int64),
        np.array(onset, np.int64),
        np.array(end, np.int64),
        np.array(bits, np.int64),
        effect,
    )
