"""The fleet without chance: closed forms, and independence of the step."""

from __future__ import annotations

import math

import numpy as np
from particles import parameters
from tolerances import PHYSICS

from nexova_sim.analyse.remaining import stack_parameters
from nexova_sim.kernels.plain import (
    N_PLAIN,
    P_ELECTRICAL,
    P_FATIGUE,
    P_RUNTIME,
    P_TEMP,
    P_WEAR,
    advance_plain,
)


def fleet(load, dt_h, n_steps, n=32):
    row = parameters("pump")
    state = np.zeros((N_PLAIN, n))
    state[P_TEMP] = 25.0
    loads = np.tile(np.array(load)[:, None], (1, n))
    advance_plain(stack_parameters([row] * n), loads, np.full(n, 25.0), dt_h, n_steps, state)
    return row, state


def test_constant_load_has_a_closed_form():
    row, state = fleet([0.9], 1.0 / 60.0, 6000)
    k, gain = row["wear_per_mm_s_h"], row["vib_wear_gain"]
    np.testing.assert_allclose(
        state[P_WEAR], row["vib_rated_mm_s"] * 0.9 / gain * math.expm1(k * gain * 100.0), **PHYSICS
    )
    np.testing.assert_allclose(state[P_TEMP], 25.0 + row["rise_k"] * 0.9, **PHYSICS)
    np.testing.assert_allclose(state[P_ELECTRICAL], row["electrical_per_h"] * 0.81 * 100.0, **PHYSICS)
    np.testing.assert_allclose(state[P_RUNTIME], 100.0, **PHYSICS)
    assert (state[P_FATIGUE] == 0.0).all()


def test_results_do_not_depend_on_the_step_and_off_is_off():
    load = [0.9, 0.0, 1.0]
    _, coarse = fleet(load, 1.0, 4)
    _, fine = fleet(load, 1.0 / 60.0, 240)
    np.testing.assert_allclose(coarse[[P_TEMP, P_WEAR, P_ELECTRICAL, P_RUNTIME]],
                               fine[[P_TEMP, P_WEAR, P_ELECTRICAL, P_RUNTIME]], **PHYSICS)  # fmt: skip
    assert (coarse[P_RUNTIME] == 8.0).all()
    _, hot = fleet([1.5], 1.0, 200)
    np.testing.assert_allclose(hot[P_FATIGUE], 1e-4 * (25.0 + 41.0 * 1.5 - 75.0) * 200.0, rtol=0.02)
