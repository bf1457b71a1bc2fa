"""What changes a machine between slots: fault edges, services, decisions, failures, repairs."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.random import LIFE, key_high, key_low, random_bits, uniform
from nexova_sim.kernels.rows import (
    AVAILABLE,
    B_AGE,
    B_EFFECT,
    B_ELECTRICAL,
    B_FATIGUE,
    B_LANE,
    B_LIMIT,
    B_RUNTIME,
    B_SLOT,
    B_TEMP,
    B_WEAR,
    C_BEARING,
    C_ELECTRICAL,
    C_LIFE,
    C_RANDOM,
    C_THERMAL,
    E_COOLING,
    E_LOAD,
    EV_FAILURE,
    EV_MAINTENANCE_END,
    EV_MAINTENANCE_START,
    EV_STATUS,
    F_BEARING,
    F_ELECTRICAL,
    F_END_OF_LIFE,
    F_RANDOM,
    F_THERMAL,
    FAILED,
    I_ACTION,
    I_MODE,
    I_REASON,
    I_RENEWALS,
    I_RESTORE,
    I_STATUS,
    I_UNTIL,
    IN_MAINTENANCE,
    LANES,
    M_LIFE_H,
    M_REPAIR_H,
    M_RESPONSE_H,
    M_WEIBULL_SCALE_H,
    M_WEIBULL_SHAPE,
    N_EFFECTS,
    N_FAILURES,
    NEVER,
    R_FAILURE,
    R_PLAN,
    R_REPAIR,
    S_AGE,
    S_ELECTRICAL,
    S_FATIGUE,
    S_LIMIT,
    S_RUNTIME,
    S_TEMP,
    S_WEAR,
    Block,
    Clock,
    Output,
    State,
)
from nexova_sim.kernels.wear import NO_LIMIT_H, weibull_age_h


@kernel
def put_event(lane: int, code: int, first: int, second: int, time_h: float, value: float, out: Output) -> None:
    """Append one event; the caller sizes the arrays for the worst case.

    Callers pass int64 values, not literals: the compiler would build one copy of this function for every literal.
    """
    n = out.n_written[0]
    out.event_code[n, 0] = lane
    out.event_code[n, 1] = code
    out.event_code[n, 2] = first
    out.event_code[n, 3] = second
    out.event_value[n, 0] = time_h
    out.event_value[n, 1] = value
    out.n_written[0] = n + 1


@kernel
def put_status(block: Block, time_h: float, lane: int, status: int, out_state: State, out: Output) -> None:
    """Record a status event when the status of a machine in use differs from the last one recorded."""
    flag = out_state.flag
    if flag[I_STATUS, lane] != status and lane < block.n_lanes:
        reason = R_PLAN if flag[I_MODE, lane] == AVAILABLE else flag[I_REASON, lane]
        flag[I_STATUS, lane] = status
        put_event(lane, np.int64(EV_STATUS), status, reason, time_h, 0.0, out)


@kernel
def put_branch(lane: int, slot: int, real: np.ndarray, effect: np.ndarray, out: Output) -> None:
    """Record the state of a machine just before its future is changed from outside."""
    row = out.branch[out.n_written[1]]
    row[B_LANE] = lane
    row[B_SLOT] = slot
    row[B_TEMP] = real[S_TEMP, lane]
    row[B_WEAR] = real[S_WEAR, lane]
    row[B_FATIGUE] = real[S_FATIGUE, lane]
    row[B_ELECTRICAL] = real[S_ELECTRICAL, lane]
    row[B_RUNTIME] = real[S_RUNTIME, lane]
    row[B_AGE] = real[S_AGE, lane]
    row[B_LIMIT] = real[S_LIMIT, lane]
    for e in range(N_EFFECTS):
        row[B_EFFECT + e] = effect[e, lane]
    out.n_written[1] += 1


@kernel
def restore(block: Block, lane: int, slot: int, mask: int, out_state: State) -> None:
    """Renew the components in ``mask`` and end the faults that sit in them; everything else keeps its clock."""
    real = out_state.real
    if mask & C_BEARING:
        real[S_WEAR, lane] = 0.0
    if mask & C_THERMAL:
        real[S_FATIGUE, lane] = 0.0
    if mask & C_ELECTRICAL:
        real[S_ELECTRICAL, lane] = 0.0
    if mask & C_LIFE:
        real[S_RUNTIME, lane] = 0.0
    if mask & C_RANDOM:
        p = block.params
        renewals = out_state.flag[I_RENEWALS, lane] + 1
        out_state.flag[I_RENEWALS, lane] = renewals
        key = block.keys[LIFE, lane]
        u = uniform(random_bits(key_low(key), key_high(key), np.uint32(renewals)))
        real[S_AGE, lane] = 0.0
        real[S_LIMIT, lane] = weibull_age_h(0.0, p[M_WEIBULL_SHAPE, lane], p[M_WEIBULL_SCALE_H, lane], u)
    f = block.faults
    for i in range(f.lane.shape[0]):
        is_open = out_state.cleared[i] < 0 and f.onset_slot[i] <= slot < f.end_slot[i]
        if f.lane[i] == lane and is_open and (f.component[i] & mask):
            out_state.cleared[i] = slot


@kernel
def effects_of(block: Block, slot: int, cleared: np.ndarray, out_effect: np.ndarray) -> int:
    """Combine the effects of the faults active at ``slot``; returns the next slot at which one starts or ends."""
    for e in range(N_EFFECTS):
        for j in range(LANES):
            out_effect[e, j] = 1.0 if e in (E_COOLING, E_LOAD) else 0.0
    following: int = NEVER
    f = block.faults
    for i in range(f.lane.shape[0]):
        if f.onset_slot[i] > slot:
            following = min(following, f.onset_slot[i])
        elif cleared[i] < 0 and slot < f.end_slot[i]:
            following = min(following, f.end_slot[i])
            for e in range(N_EFFECTS):
                if e in (E_COOLING, E_LOAD):
                    out_effect[e, f.lane[i]] *= f.effect[i, e]
                else:
                    out_effect[e, f.lane[i]] += f.effect[i, e]
    return following


@kernel
def begin_action(block: Block, clock: Clock, lane: int, slot: int, out_state: State, out: Output) -> None:
    """Start the next planned service or decided stop of an available machine."""
    flag = out_state.flag
    a = block.actions
    n = flag[I_ACTION, lane]
    flag[I_ACTION, lane] = n + 1
    flag[I_MODE, lane] = a.mode[lane, n]
    flag[I_UNTIL, lane] = slot + a.n_slots[lane, n]
    flag[I_RESTORE, lane] = a.restore[lane, n]
    flag[I_REASON, lane] = a.reason[lane, n]
    if a.mode[lane, n] == IN_MAINTENANCE:
        hours = a.n_slots[lane, n] * clock.slot_h
        put_event(
            lane, np.int64(EV_MAINTENANCE_START), a.reason[lane, n], a.restore[lane, n], slot * clock.slot_h, hours, out
        )


@kernel
def finish(block: Block, clock: Clock, lane: int, slot: int, out_state: State, out: Output) -> None:
    """End the present unavailability: a failed machine goes into repair, maintenance restores, a decided stop ends."""
    flag = out_state.flag
    time_h = slot * clock.slot_h
    if flag[I_MODE, lane] == FAILED:
        hours = block.params[M_REPAIR_H, lane]
        flag[I_MODE, lane] = IN_MAINTENANCE
        flag[I_UNTIL, lane] = slot + max(1, math.ceil(hours / clock.slot_h))
        flag[I_REASON, lane] = R_REPAIR
        put_event(lane, np.int64(EV_MAINTENANCE_START), np.int64(R_REPAIR), flag[I_RESTORE, lane], time_h, hours, out)
        return
    if flag[I_MODE, lane] == IN_MAINTENANCE:
        restore(block, lane, slot, flag[I_RESTORE, lane], out_state)
        put_event(lane, np.int64(EV_MAINTENANCE_END), flag[I_REASON, lane], flag[I_RESTORE, lane], time_h, 0.0, out)
    flag[I_MODE, lane] = AVAILABLE
    flag[I_UNTIL, lane] = NEVER


@kernel
def change_lanes(block: Block, clock: Clock, slot: int, fresh: bool, out_state: State, out_effect: np.ndarray,
                 out: Output) -> int:  # fmt: skip
    """Bring modes and fault effects up to ``slot``; returns the next slot at which something will change.

    ``fresh`` says that ``out_effect`` holds nothing yet (start of a chunk), so that no branch is recorded against it.
    """
    flag = out_state.flag
    old = np.empty((N_EFFECTS, LANES))
    new = np.empty((N_EFFECTS, LANES))
    was = np.empty(LANES, np.int64)
    for j in range(LANES):
        was[j] = flag[I_MODE, j]
        for e in range(N_EFFECTS):
            old[e, j] = out_effect[e, j]
    if fresh:
        # The effects in force up to now are those of the slot before; a chunk may start on a fault edge.
        effects_of(block, slot - 1, out_state.cleared, old)
    effects_of(block, slot, out_state.cleared, new)
    a = block.actions
    for j in range(block.n_lanes):
        acts = was[j] == AVAILABLE and a.slot[j, flag[I_ACTION, j]] <= slot
        differs = False
        for e in range(N_EFFECTS):
            differs |= old[e, j] != new[e, j]
        if was[j] == AVAILABLE and (acts or differs) and slot > 0:
            put_branch(j, slot, out_state.real, old, out)
    for j in range(block.n_lanes):
        if flag[I_MODE, j] != AVAILABLE and flag[I_UNTIL, j] <= slot:
            finish(block, clock, j, slot, out_state, out)
        if flag[I_MODE, j] == AVAILABLE and a.slot[j, flag[I_ACTION, j]] <= slot:
            begin_action(block, clock, j, slot, out_state, out)
    following = effects_of(block, slot, out_state.cleared, out_effect)
    for j in range(block.n_lanes):
        if flag[I_MODE, j] == AVAILABLE:
            following = min(following, a.slot[j, flag[I_ACTION, j]])
        else:
            following = min(following, flag[I_UNTIL, j])
    return following


@kernel
def crossing(before: float, after: float, level: float) -> float:
    """Share of the slot after which a growing quantity reached ``level``; above 1 when it did not."""
    if after < level:
        return 2.0
    return 0.0 if after <= before else min(1.0, max(0.0, (level - before) / (after - before)))


@kernel
def smallest(values: np.ndarray) -> int:
    """Place of the first smallest of ``values`` (n,)."""
    first = 0
    for i in range(1, values.shape[0]):
        if values[i] < values[first]:
            first = i
    return first


@kernel
def fail_lanes(block: Block, clock: Clock, slot: int, running: np.ndarray, before: np.ndarray, out_state: State,
               out: Output) -> int:  # fmt: skip
    """Record the first failure event of every machine that met a threshold in ``slot``; returns the slot to change at.

    ``before`` (3, LANES): wear, fatigue and electrical stress at the start of the slot. Damage is clamped to 1.
    """
    p = block.params
    real = out_state.real
    flag = out_state.flag
    share = np.empty(N_FAILURES)
    for j in range(LANES):
        age0 = real[S_AGE, j] - running[j] * clock.slot_h
        run0 = real[S_RUNTIME, j] - running[j] * clock.slot_h
        share[F_BEARING] = crossing(before[0, j], real[S_WEAR, j], 1.0)
        share[F_THERMAL] = crossing(before[1, j], real[S_FATIGUE, j], 1.0)
        share[F_ELECTRICAL] = crossing(before[2, j], real[S_ELECTRICAL, j], 1.0)
        share[F_END_OF_LIFE] = crossing(run0, real[S_RUNTIME, j], p[M_LIFE_H, j])
        share[F_RANDOM] = crossing(age0, real[S_AGE, j], real[S_LIMIT, j])
        first = smallest(share)
        real[S_WEAR, j] = min(1.0, real[S_WEAR, j])
        real[S_FATIGUE, j] = min(1.0, real[S_FATIGUE, j])
        real[S_ELECTRICAL, j] = min(1.0, real[S_ELECTRICAL, j])
        if running[j] == 0.0 or share[first] > 1.0 or flag[I_MODE, j] != AVAILABLE:
            continue
        flag[I_MODE, j] = FAILED
        flag[I_REASON, j] = R_FAILURE
        flag[I_RESTORE, j] = block.failure_restore[first, j]
        wait = p[M_RESPONSE_H, j]
        flag[I_UNTIL, j] = NEVER if wait >= NO_LIMIT_H else slot + 1 + math.ceil(wait / clock.slot_h)
        if j < block.n_lanes:
            time_h = (slot + share[first]) * clock.slot_h
            run_h = run0 + share[first] * clock.slot_h
            put_event(j, np.int64(EV_FAILURE), np.int64(first), flag[I_RESTORE, j], time_h, run_h, out)
    return slot + 1
