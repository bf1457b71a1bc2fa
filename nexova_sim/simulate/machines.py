"""The machines of a fleet: names, random streams, build spread, age at the start, parameter arrays for the kernels."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from nexova_sim.config.kinds import Damage, KindConfig
from nexova_sim.config.nominal import SEED_KW_PER_MM_S, SEED_RISE_K_PER_KW, SEED_TAU_H, nominal_parameters
from nexova_sim.config.types import FleetConfig, ResolvedFleet
from nexova_sim.kernels.load import DutyParams
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.random import (
    AGE,
    BUILD,
    CYCLE,
    IDLE,
    LIFE,
    LOAD_VARIATION,
    N_STREAMS,
    normals,
    stream_key,
    uniforms,
)
from nexova_sim.kernels.rows import (
    I_MODE,
    I_STATUS,
    I_UNTIL,
    LANES,
    N_FLAGS,
    N_STATE,
    NEVER,
    S_AGE,
    S_ELECTRICAL,
    S_LIMIT,
    S_RUNTIME,
    S_TEMP,
    S_VARIATION,
    S_WEAR,
    STATUS_UNKNOWN,
    MachineParams,
    State,
)
from nexova_sim.kernels.wear import NO_LIMIT_H, hours_to_wear_out, weibull_age_h

_STATIONARY_COUNTER = 2**32 - 1
SEED_WEAR_GAIN_MM_S = 2.0


class Machine(NamedTuple):
    """One machine: identity, streams and build. ``build`` is keyed by the columns of the build table."""

    id: str
    name: str
    kind: str
    factory: int
    keys: np.ndarray  # (N_STREAMS,) uint64
    build: dict[str, float]
    runtime_start_h: float


def name_key(name: str) -> np.uint64:
    """64 bits that stand for a name, so that a machine keeps its random numbers whatever fleet it is in."""
    return np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))


def streams(seed: int, name: str) -> np.ndarray:
    """The keys of all random streams of a machine or factory, (N_STREAMS,) uint64."""
    key = name_key(name)
    return np.array([stream_key(np.uint64(seed), key, s) for s in range(N_STREAMS)], np.uint64)


def draw(key: np.uint64, first: int, n: int) -> np.ndarray:
    """``n`` uniforms of the stream ``key`` from counter ``first``, (n,) float64."""
    out = np.empty(n)
    uniforms(key, first, out)
    return out


def _build(kind: KindConfig, fleet: FleetConfig, keys: np.ndarray) -> tuple[dict[str, float], float]:
    is_seed = fleet.physics == "seed"
    spread = 0.0 if is_seed else fleet.build_spread_frac
    rise, tau, vib, load, wear = 1.0 + spread * (2.0 * draw(keys[BUILD], 0, 5) - 1.0)
    damage = Damage() if is_seed else kind.damage
    rate = damage.wear_per_mm_s_h * wear
    vib_rated = kind.rated_kw / SEED_KW_PER_MM_S if is_seed else kind.vibration.rated_mm_s * vib
    x = kind.nominal_load_frac * load
    gain = SEED_WEAR_GAIN_MM_S if is_seed else kind.vibration.wear_gain_mm_s
    low, high = fleet.start_age_frac
    life = hours_to_wear_out(0.0, vib_rated * x, rate, gain)
    age = (low + (high - low) * float(draw(keys[AGE], 0, 1)[0])) * life
    build = {
        "rise_k": SEED_RISE_K_PER_KW * kind.rated_kw if is_seed else kind.thermal.rise_at_rated_k * rise,
        "tau_h": SEED_TAU_H if is_seed else kind.thermal.time_constant_min / 60.0 * tau,
        "vib_rated_mm_s": vib_rated,
        "load_scale": load,
        "wear_per_mm_s_h": rate,
        "wear_start_frac": min(0.999, vib_rated * x / gain * (exp64(rate * gain * age) - 1.0)),
        "fatigue_start_frac": 0.0,
        "electrical_start_frac": min(0.999, damage.electrical_per_h * x * x * age),
    }
    return build, min(age, 0.999 * damage.rated_life_h)


def make_machines(resolved: ResolvedFleet) -> list[Machine]:
    """All machines of a fleet, ordered by factory, then kind as listed, then number: ``factory-kind-001``."""
    machines = []
    fleet = resolved.fleet
    for number, factory in enumerate(fleet.factories):
        for kind_name, count in factory.machines.items():
            for n in range(1, count + 1):
                kind = resolved.kinds[kind_name]
                ident = f"{factory.id}-{kind_name}-{n:03d}"
                keys = streams(fleet.seed, ident)
                build, runtime = _build(kind, fleet, keys)
                name = f"{kind.title.split(',')[0]} {n:03d}"
                machines.append(Machine(ident, name, kind_name, number, keys, build, runtime))
    return machines


def pad(values: list[float] | list[int], dtype: type = float) -> np.ndarray:
    """Array (LANES,) with the last value repeated into the unused lanes."""
    return np.array([*values, *[values[-1]] * (LANES - len(values))], dtype)


def parameter_row(machine: Machine, kind: KindConfig, fleet: FleetConfig) -> dict[str, float]:
    """Parameters of one machine by the field names of MachineParams."""
    leave = fleet.maintenance.on_failure == "leave"
    return {
        **nominal_parameters(kind, fleet.physics),
        **{name: machine.build[name] for name in ("rise_k", "tau_h", "vib_rated_mm_s", "wear_per_mm_s_h")},
        "response_h": NO_LIMIT_H if leave else kind.service.response_h,
    }


def machine_params(machines: list[Machine], resolved: ResolvedFleet) -> MachineParams:
    """Parameter arrays of at most LANES machines."""
    rows = [parameter_row(m, resolved.kinds[m.kind], resolved.fleet) for m in machines]
    return MachineParams(*(pad([row[name] for row in rows]) for name in MachineParams._fields))


def duty_params(machines: list[Machine], resolved: ResolvedFleet, profile: list[int]) -> DutyParams:
    """Duty arrays of at most LANES machines; ``profile`` is each machine's row in the block's profile table."""
    slot_s = resolved.fleet.slot_s
    slot_h = slot_s / 3600.0
    duties = [resolved.kinds[m.kind].duty for m in machines]
    cycles = [d.cycle for d in duties]
    return DutyParams(
        profile=pad(profile, np.int64),
        scale=pad([m.build["load_scale"] for m in machines]),
        variation=pad([d.variation_frac for d in duties]),
        memory=pad([exp64(-slot_h / d.variation_hours) for d in duties]),
        cycle_slots=pad([c.period_min * 60.0 / slot_s if c else 0.0 for c in cycles]),
        cycle_phase=pad([float(draw(m.keys[CYCLE], 0, 1)[0]) for m in machines]),
        loaded_frac=pad([c.loaded_frac if c else 1.0 for c in cycles]),
        unloaded_frac=pad([c.unloaded_frac if c else 0.0 for c in cycles]),
        idle_share=pad([d.idle.share_frac if d.idle else 0.0 for d in duties]),
        idle_frac=pad([d.idle.load_frac if d.idle else 0.0 for d in duties]),
        key_variation=pad([m.keys[LOAD_VARIATION] for m in machines], np.uint64),
        key_idle=pad([m.keys[IDLE] for m in machines], np.uint64),
    )


def start_state(machines: list[Machine], params: MachineParams, duty: DutyParams, n_faults: int) -> State:
    """State of a block before its first slot: aged as built, at 25 degC until the first ambient is known."""
    n = len(machines)
    real = np.zeros((N_STATE, LANES))
    flag = np.zeros((N_FLAGS, LANES), np.int64)
    real[S_TEMP] = 25.0
    real[S_WEAR] = pad([m.build["wear_start_frac"] for m in machines])
    real[S_ELECTRICAL] = pad([m.build["electrical_start_frac"] for m in machines])
    real[S_RUNTIME] = pad([m.runtime_start_h for m in machines])
    real[S_AGE] = real[S_RUNTIME]
    first = np.empty(1, np.float32)
    for j, m in enumerate(machines):
        u = float(draw(m.keys[LIFE], 0, 1)[0])
        shape, scale = params.weibull_shape[j], params.weibull_scale_h[j]
        real[S_LIMIT, j] = weibull_age_h(real[S_AGE, j], shape, scale, u)
        normals(m.keys[LOAD_VARIATION], _STATIONARY_COUNTER, first)
        real[S_VARIATION, j] = duty.variation[j] * float(first[0])
    real[S_LIMIT, n:] = NO_LIMIT_H
    flag[I_STATUS] = STATUS_UNKNOWN
    flag[I_MODE] = 0
    flag[I_UNTIL] = NEVER
    return State(real, flag, np.full(n_faults, -1, np.int64))
