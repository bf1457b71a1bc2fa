"""Row numbers and codes shared by the fleet kernels and their callers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LANES = 16
NEVER = 2**62

# Rows of the float state (N_STATE, LANES).
S_TEMP, S_WEAR, S_FATIGUE, S_ELECTRICAL, S_RUNTIME, S_AGE, S_LIMIT, S_ENERGY, S_PLAN, S_VARIATION = range(10)
N_STATE = 10
# Rows of the integer state (N_FLAGS, LANES).
I_STATUS, I_MODE, I_UNTIL, I_RESTORE, I_ACTION, I_RENEWALS, I_REASON = range(7)
N_FLAGS = 7

# Availability of a machine.
AVAILABLE, FAILED, IN_MAINTENANCE, OFF_DECIDED = range(4)
# Status codes, in the order of the status dictionary of the readings.
ONLINE, OFFLINE, MAINTENANCE = range(3)
STATUS_UNKNOWN = 99
# Added to the status code in truth samples while a machine is failed, in maintenance or stopped by decision.
DOWN = 10

# Components that maintenance restores, as bits.
C_BEARING, C_THERMAL, C_ELECTRICAL, C_LIFE, C_RANDOM, C_PROCESS = 1, 2, 4, 8, 16, 32
# Failure events, in the order of the rows of ``failure_restore``.
F_BEARING, F_THERMAL, F_ELECTRICAL, F_END_OF_LIFE, F_RANDOM = range(5)
N_FAILURES = 5

# Effects of a fault at its severity, columns of ``FaultPlan.effect``.
E_WEAR_PER_H, E_FATIGUE_PER_H, E_COOLING, E_LOAD, E_SPIKE, E_VIBRATION = range(6)
N_EFFECTS = 6

# Event codes: what happened, with two integers and a value each.
EV_STATUS, EV_FAILURE, EV_MAINTENANCE_START, EV_MAINTENANCE_END = range(4)
# Reasons: why a status changed or maintenance began.
R_PLAN, R_FAILURE, R_REPAIR, R_SERVICE, R_DECISION, R_START = range(6)

# Columns of the truth sample.
(T_LOAD, T_AMBIENT, T_TEMP, T_COOLING, T_WEAR, T_FATIGUE, T_ELECTRICAL, T_RUNTIME, T_STATUS, T_ENERGY, T_PLAN,
 T_VIBRATION) = range(12)  # fmt: skip
N_TRUTH = 12

# Columns of a branch snapshot: the state just before the machine's future was changed from outside.
(B_LANE, B_SLOT, B_TEMP, B_WEAR, B_FATIGUE, B_ELECTRICAL, B_RUNTIME, B_AGE, B_LIMIT, B_EFFECT) = range(10)
N_BRANCH = B_EFFECT + N_EFFECTS


# Rows of the parameter array (N_PARAMS, LANES), in the order of the fields of MachineParams.
(M_RATED_KW, M_STANDBY_KW, M_RISE_K, M_TAU_H, M_HEAT_FIXED, M_HEAT_LINEAR, M_HEAT_SQUARE, M_VIB_RATED_MM_S,
 M_VIB_HEAT_GAIN, M_VIB_KNEE_C, M_VIB_WEAR_GAIN, M_FATIGUE_PER_K_H, M_FATIGUE_KNEE_C, M_MONTSINGER_PER_H,
 M_MONTSINGER_REF_C, M_MONTSINGER_HALVING_K, M_WEAR_PER_MM_S_H, M_BEARING_EXPONENT, M_BEARING_REF_FRAC,
 M_WEAR_NOISE_PER_SQRT_H, M_ELECTRICAL_PER_H, M_LIFE_H, M_WEIBULL_SHAPE, M_WEIBULL_SCALE_H, M_RESPONSE_H,
 M_REPAIR_H) = range(26)  # fmt: skip
N_PARAMS = 26


class MachineParams(NamedTuple):
    """Parameters of a block of machines by name; every array is (LANES,) float64, units by suffix (MODEL 1).

    Kernels take them as one array with a row each, because a kernel with one array argument compiles many times faster
    than one with twenty-six; ``MachineParams(*block.params)`` gives the names back.
    """

    rated_kw: np.ndarray
    standby_kw: np.ndarray
    rise_k: np.ndarray
    tau_h: np.ndarray
    heat_fixed: np.ndarray
    heat_linear: np.ndarray
    heat_square: np.ndarray
    vib_rated_mm_s: np.ndarray
    vib_heat_gain: np.ndarray
    vib_knee_c: np.ndarray
    vib_wear_gain: np.ndarray
    fatigue_per_k_h: np.ndarray
    fatigue_knee_c: np.ndarray
    montsinger_per_h: np.ndarray
    montsinger_ref_c: np.ndarray
    montsinger_halving_k: np.ndarray
    wear_per_mm_s_h: np.ndarray
    bearing_exponent: np.ndarray
    bearing_ref_frac: np.ndarray
    wear_noise_per_sqrt_h: np.ndarray
    electrical_per_h: np.ndarray
    life_h: np.ndarray
    weibull_shape: np.ndarray
    weibull_scale_h: np.ndarray
    response_h: np.ndarray
    repair_h: np.ndarray


class FaultPlan(NamedTuple):
    """Physical faults of a block, (n_faults,) each; ``effect`` is (n_faults, N_EFFECTS) float64, the rest int64."""

    lane: np.ndarray
    onset_slot: np.ndarray
    end_slot: np.ndarray
    component: np.ndarray
    effect: np.ndarray


class ActionPlan(NamedTuple):
    """Planned services and decided interventions, (LANES, n_actions) int64, sorted by slot, padded with NEVER."""

    slot: np.ndarray
    mode: np.ndarray  # IN_MAINTENANCE or OFF_DECIDED
    n_slots: np.ndarray
    restore: np.ndarray  # component bits
    reason: np.ndarray


class Block(NamedTuple):
    """Everything about a block of machines that does not change during a run."""

    params: np.ndarray  # (N_PARAMS, LANES) float64
    faults: FaultPlan
    actions: ActionPlan
    failure_restore: np.ndarray  # (N_FAILURES, LANES) int64, component bits restored by the repair
    keys: np.ndarray  # (N_STREAMS, LANES) uint64
    n_lanes: int  # machines in use, 1..LANES


class Clock(NamedTuple):
    """Time grid: a slot is ``slot_h`` hours and ``n_steps`` steps; truth is sampled every ``truth_slots`` slots."""

    slot_h: float
    n_steps: int
    truth_slots: int


class Inputs(NamedTuple):
    """Inputs of a chunk: (n_slots, LANES) float64 each; ``first_slot`` is the absolute number of the first row."""

    load: np.ndarray
    plan: np.ndarray
    ambient_c: np.ndarray
    first_slot: int


class State(NamedTuple):
    """State of a block between chunks."""

    real: np.ndarray  # (N_STATE, LANES) float64
    flag: np.ndarray  # (N_FLAGS, LANES) int64
    cleared: np.ndarray  # (n_faults,) int64, slot at which a repair ended the fault, -1 = not


class Output(NamedTuple):
    """What a chunk produces. Readings are *true* values here; the sensor pass turns them into readings."""

    power_kw: np.ndarray  # (n_lanes, n_rows) float32, as are the next three; zero rows = not wanted
    temp_c: np.ndarray
    vibration_mm_s: np.ndarray
    runtime_h: np.ndarray
    status: np.ndarray  # (n_lanes, n_rows) int8
    truth: np.ndarray  # (LANES, n_samples, N_TRUTH) float64
    event_code: np.ndarray  # (n, 4) int64: lane, event code, two integers
    event_value: np.ndarray  # (n, 2) float64: hours since start, value
    branch: np.ndarray  # (n, N_BRANCH) float64
    n_written: np.ndarray  # (3,) int64: events, branches, truth samples
