"""Run-to-failure of machines from a given state, hour by hour, with nothing done to them from outside.

The true remaining useful life of a simulated machine is the time this run takes. Load is the planned mean load of the
machine's hour of the week, ambient the climate's mean for the hour; faults that are active stay active.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.lanes import crossing, smallest
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.rows import (
    B_AGE,
    B_EFFECT,
    B_ELECTRICAL,
    B_FATIGUE,
    B_LANE,
    B_LIMIT,
    B_RUNTIME,
    B_TEMP,
    B_WEAR,
    E_COOLING,
    E_FATIGUE_PER_H,
    E_LOAD,
    E_SPIKE,
    E_VIBRATION,
    E_WEAR_PER_H,
    F_BEARING,
    F_ELECTRICAL,
    F_END_OF_LIFE,
    F_RANDOM,
    F_THERMAL,
    M_BEARING_EXPONENT,
    M_BEARING_REF_FRAC,
    M_ELECTRICAL_PER_H,
    M_FATIGUE_KNEE_C,
    M_FATIGUE_PER_K_H,
    M_HEAT_FIXED,
    M_HEAT_LINEAR,
    M_HEAT_SQUARE,
    M_LIFE_H,
    M_MONTSINGER_HALVING_K,
    M_MONTSINGER_PER_H,
    M_MONTSINGER_REF_C,
    M_RISE_K,
    M_TAU_H,
    M_VIB_HEAT_GAIN,
    M_VIB_KNEE_C,
    M_VIB_RATED_MM_S,
    M_VIB_WEAR_GAIN,
    M_WEAR_PER_MM_S_H,
    N_FAILURES,
)
from nexova_sim.kernels.thermal import growing_above_k, heat_frac, mean_above_k, temp_limit_c, temp_next_c
from nexova_sim.kernels.wear import montsinger_mean_per_h, wear_next, wear_rate_per_mm_s_h

HOURS_PER_WEEK = 168
SPIKE_MEAN = 0.15


@kernel
def run_to_failure(params: np.ndarray, branch: np.ndarray, week_load: np.ndarray, climate_c: np.ndarray,
                   start_hour: np.ndarray, max_hours: int, out_life: np.ndarray) -> None:  # fmt: skip
    """Hours to the first failure event of every branch.

    ``branch`` (n, N_BRANCH) as recorded by the fleet loop; ``week_load`` (LANES, 168) planned load by UTC hour of the
    week; ``climate_c`` (LANES, n_hours) mean ambient by hour, used cyclically; ``start_hour`` (n, 2) int64: hour of the
    week and climate hour at the branch. ``out_life`` (n, 3): calendar hours, running hours, failure event; when nothing
    happens within ``max_hours`` the event is -1.
    """
    p = params
    share = np.empty(N_FAILURES)
    n_climate = climate_c.shape[1]
    for i in range(branch.shape[0]):
        b = branch[i]
        j = int(b[B_LANE])
        temp, wear, fatigue, electrical = b[B_TEMP], b[B_WEAR], b[B_FATIGUE], b[B_ELECTRICAL]
        runtime, age, limit_age = b[B_RUNTIME], b[B_AGE], b[B_LIMIT]
        start_runtime = runtime
        cooling = b[B_EFFECT + E_COOLING]
        load_factor = b[B_EFFECT + E_LOAD] * (1.0 + SPIKE_MEAN * b[B_EFFECT + E_SPIKE])
        decay = exp64(-cooling / p[M_TAU_H, j])
        tau_steps = p[M_TAU_H, j] / cooling
        gain = p[M_VIB_WEAR_GAIN, j]
        growth_log = p[M_WEAR_PER_MM_S_H, j] * gain
        growth_on = exp64(growth_log)
        out_life[i, 0], out_life[i, 1], out_life[i, 2] = max_hours, 0.0, -1.0
        for h in range(max_hours):
            x = week_load[j, (start_hour[i, 0] + h) % HOURS_PER_WEEK] * load_factor
            ambient = climate_c[j, (start_hour[i, 1] + h) % n_climate]
            heat = heat_frac(x, p[M_HEAT_FIXED, j], p[M_HEAT_LINEAR, j], p[M_HEAT_SQUARE, j]) if x > 0.0 else 0.0
            limit = temp_limit_c(ambient, p[M_RISE_K, j] / cooling, heat)
            after = temp_next_c(temp, limit, decay)
            if x > 0.0:
                above_fat = mean_above_k(temp, after, limit, tau_steps, p[M_FATIGUE_KNEE_C, j])
                rate = p[M_WEAR_PER_MM_S_H, j]
                if p[M_BEARING_EXPONENT, j] != 1.0:
                    rate = wear_rate_per_mm_s_h(rate, x, p[M_BEARING_EXPONENT, j], p[M_BEARING_REF_FRAC, j])
                    growth_log = rate * gain
                    growth_on = exp64(growth_log)
                above_vib = growing_above_k(temp, after, limit, tau_steps, p[M_VIB_KNEE_C, j], growth_log)
                drive = p[M_VIB_RATED_MM_S, j] * x + b[B_EFFECT + E_VIBRATION] + p[M_VIB_HEAT_GAIN, j] * above_vib
                drive += b[B_EFFECT + E_WEAR_PER_H] / rate
                wear1 = wear_next(wear, drive, growth_on, (growth_on - 1.0) / gain)
                fatigue1 = fatigue + p[M_FATIGUE_PER_K_H, j] * above_fat + b[B_EFFECT + E_FATIGUE_PER_H]
                if p[M_MONTSINGER_PER_H, j] > 0.0:
                    fatigue1 += montsinger_mean_per_h(
                        temp, limit, tau_steps, p[M_MONTSINGER_PER_H, j], p[M_MONTSINGER_REF_C, j],
                        p[M_MONTSINGER_HALVING_K, j],
                    )  # fmt: skip
                electrical1 = electrical + p[M_ELECTRICAL_PER_H, j] * x * x
                worst = max(wear1, fatigue1, electrical1) - 1.0
                worst = max(worst, runtime + 1.0 - p[M_LIFE_H, j], age + 1.0 - limit_age)
                if worst >= 0.0:
                    share[F_BEARING] = crossing(wear, wear1, 1.0)
                    share[F_THERMAL] = crossing(fatigue, fatigue1, 1.0)
                    share[F_ELECTRICAL] = crossing(electrical, electrical1, 1.0)
                    share[F_END_OF_LIFE] = crossing(runtime, runtime + 1.0, p[M_LIFE_H, j])
                    share[F_RANDOM] = crossing(age, age + 1.0, limit_age)
                    first = smallest(share)
                    out_life[i, 0] = h + share[first]
                    out_life[i, 1] = runtime + share[first] - start_runtime
                    out_life[i, 2] = first
                    break
                wear, fatigue, electrical = wear1, fatigue1, electrical1
                runtime += 1.0
                age += 1.0
            temp = after
