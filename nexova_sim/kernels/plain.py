"""A fleet without chance: the twin of many machines under given loads, sixteen abreast, nothing but state to memory."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.rows import (
    LANES,
    M_ELECTRICAL_PER_H,
    M_FATIGUE_KNEE_C,
    M_FATIGUE_PER_K_H,
    M_HEAT_FIXED,
    M_HEAT_LINEAR,
    M_HEAT_SQUARE,
    M_RISE_K,
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
    M_WEAR_PER_MM_S_H,
)
from nexova_sim.kernels.thermal import heat_frac, temp_limit_c, temp_mean_c, temp_next_c
from nexova_sim.kernels.wear import wear_next

# Rows of the state: temperature degC, wear, fatigue, electrical stress, running hours.
(P_TEMP, P_WEAR, P_FATIGUE, P_ELECTRICAL, P_RUNTIME) = range(5)
N_PLAIN = 5


@kernel
def advance_plain(params: np.ndarray, load: np.ndarray, ambient_c: np.ndarray, dt_h: float, n_steps: int,
                  out_state: np.ndarray) -> None:  # fmt: skip
    """``n_steps`` steps of ``dt_h`` hours in every slot of ``load`` (n_slots, n); ``out_state`` (N_PLAIN, n) moves on.

    ``params`` (N_PARAMS, n) and ``ambient_c`` (n,) by machine; n is a multiple of LANES. Temperature and wear advance
    exactly, fatigue by the mean temperature of the step; damage may pass 1, since nothing ends here.
    """
    state = np.empty((N_PLAIN, LANES))
    limit, decay, tau, growth, kick, drive, stress, on, rate = (
        np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES),
        np.empty(LANES), np.empty(LANES), np.empty(LANES),
    )  # fmt: skip
    heat_gain, knee, fat_knee = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for first in range(0, out_state.shape[1], LANES):
        for row in range(N_PLAIN):
            for j in range(LANES):
                state[row, j] = out_state[row, first + j]
        for j in range(LANES):
            m = first + j
            tau[j] = params[M_TAU_H, m] / dt_h
            decay[j] = exp64(-1.0 / tau[j])
            heat_gain[j], knee[j] = params[M_VIB_HEAT_GAIN, m], params[M_VIB_KNEE_C, m]
            fat_knee[j] = params[M_FATIGUE_KNEE_C, m]
        for slot in range(load.shape[0]):
            for j in range(LANES):
                m = first + j
                x = load[slot, m]
                on[j] = 1.0 if x > 0.0 else 0.0
                heat = on[j] * heat_frac(x, params[M_HEAT_FIXED, m], params[M_HEAT_LINEAR, m], params[M_HEAT_SQUARE, m])
                limit[j] = temp_limit_c(ambient_c[m], params[M_RISE_K, m], heat)
                growth[j] = exp64(params[M_WEAR_PER_MM_S_H, m] * params[M_VIB_WEAR_GAIN, m] * dt_h * on[j])
                kick[j] = (growth[j] - 1.0) / params[M_VIB_WEAR_GAIN, m]
                drive[j] = params[M_VIB_RATED_MM_S, m] * x
                rate[j] = params[M_FATIGUE_PER_K_H, m] * dt_h * on[j]
                stress[j] = params[M_ELECTRICAL_PER_H, m] * x * x * dt_h
            for _ in range(n_steps):
                for j in range(LANES):
                    t0 = state[P_TEMP, j]
                    t1 = temp_next_c(t0, limit[j], decay[j])
                    mean = temp_mean_c(t0, t1, limit[j], tau[j])
                    shaking = drive[j] + heat_gain[j] * max(0.0, mean - knee[j])
                    state[P_TEMP, j] = t1
                    state[P_WEAR, j] = wear_next(state[P_WEAR, j], shaking, growth[j], kick[j])
                    state[P_FATIGUE, j] += rate[j] * max(0.0, mean - fat_knee[j])
                    state[P_ELECTRICAL, j] += stress[j]
                    state[P_RUNTIME, j] += on[j] * dt_h
        for row in range(N_PLAIN):
            for j in range(LANES):
                out_state[row, first + j] = state[row, j]
