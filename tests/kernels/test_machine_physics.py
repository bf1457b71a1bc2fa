"""One machine in the fleet's time loop: numerical integration, time steps, options that reduce to the seed."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from tolerances import EXACT, PHYSICS, REORDER, STAT

from nexova_sim.kernels.fleet import run_block
from nexova_sim.kernels.random import N_STREAMS, stream_key
from nexova_sim.kernels.rows import (
    E_COOLING,
    E_FATIGUE_PER_H,
    E_LOAD,
    E_VIBRATION,
    E_WEAR_PER_H,
    I_STATUS,
    I_UNTIL,
    LANES,
    N_BRANCH,
    N_EFFECTS,
    N_FAILURES,
    N_FLAGS,
    N_STATE,
    N_TRUTH,
    NEVER,
    S_AGE,
    S_ELECTRICAL,
    S_FATIGUE,
    S_LIMIT,
    S_RUNTIME,
    S_TEMP,
    S_WEAR,
    STATUS_UNKNOWN,
    T_ELECTRICAL,
    T_ENERGY,
    T_FATIGUE,
    T_RUNTIME,
    T_TEMP,
    T_VIBRATION,
    T_WEAR,
    ActionPlan,
    Block,
    Clock,
    FaultPlan,
    Inputs,
    MachineParams,
    Output,
    State,
)
from nexova_sim.kernels.thermal import heat_frac
from nexova_sim.kernels.wear import NO_LIMIT_H

PUMP = {
    "rated_kw": 15.0,
    "standby_kw": 0.3,
    "rise_k": 41.0,
    "tau_h": 25.0 / 60.0,
    "heat_fixed": 0.0,
    "heat_linear": 1.0,
    "heat_square": 0.0,
    "vib_rated_mm_s": 1.65,
    "vib_heat_gain": 0.05,
    "vib_knee_c": 70.0,
    "vib_wear_gain": 2.0,
    "fatigue_per_k_h": 1e-4,
    "fatigue_knee_c": 75.0,
    "montsinger_per_h": 0.0,
    "montsinger_ref_c": 130.0,
    "montsinger_halving_k": 10.0,
    "wear_per_mm_s_h": 1e-4,
    "bearing_exponent": 1.0,
    "bearing_ref_frac": 0.7,
    "wear_noise_per_sqrt_h": 0.0,
    "electrical_per_h": 1e-5,
    "life_h": 20000.0,
    "weibull_shape": 1.0,
    "weibull_scale_h": NO_LIMIT_H,
    "response_h": NO_LIMIT_H,
    "repair_h": 24.0,
}


class Case(NamedTuple):
    """One machine under constant conditions."""

    hours: int = 24
    dt_s: int = 60
    slot_s: int = 3600
    load_frac: float = 0.7
    ambient_c: float = 25.0
    cooling_frac: float = 1.0
    wear_per_h: float = 0.0
    fatigue_per_h: float = 0.0
    vibration_mm_s: float = 0.0
    temp_c: float = 25.0
    wear_frac: float = 0.0
    seed: int = 1


def simulate(case: Case, load: np.ndarray | None = None, **changes: float) -> np.ndarray:
    """Truth of all LANES copies at the start of every slot and of one slot more, (LANES, n_slots + 1, N_TRUTH)."""
    n_slots = case.hours * 3600 // case.slot_s
    params = np.stack(MachineParams(**{k: np.full(LANES, v) for k, v in {**PUMP, **changes}.items()}))
    effect = np.zeros((LANES, N_EFFECTS))
    effect[:, [E_COOLING, E_LOAD]] = case.cooling_frac, 1.0
    effect[:, [E_WEAR_PER_H, E_FATIGUE_PER_H]] = case.wear_per_h, case.fatigue_per_h
    effect[:, E_VIBRATION] = case.vibration_mm_s
    lanes = np.arange(LANES, dtype=np.int64)
    faults = FaultPlan(lanes, np.full(LANES, -NEVER), np.full(LANES, NEVER), np.zeros(LANES, np.int64), effect)
    none = np.zeros((LANES, 1), np.int64)
    actions = ActionPlan(np.full((LANES, 1), NEVER), none, none, none, none)
    keys = [[stream_key(np.uint64(case.seed), np.uint64(j), s) for j in range(LANES)] for s in range(N_STREAMS)]
    block = Block(params, faults, actions, np.zeros((N_FAILURES, LANES), np.int64), np.array(keys, np.uint64), LANES)
    real, flag = np.zeros((N_STATE, LANES)), np.zeros((N_FLAGS, LANES), np.int64)
    real[S_TEMP], real[S_WEAR], real[S_LIMIT] = case.temp_c, case.wear_frac, NO_LIMIT_H
    flag[I_STATUS], flag[I_UNTIL] = STATUS_UNKNOWN, NEVER
    state = State(real, flag, np.full(LANES, -1, np.int64))
    loads = np.full(n_slots + 1, case.load_frac) if load is None else load
    asked = np.repeat(loads[:, None], LANES, axis=1)
    inputs = Inputs(asked, asked, np.full((n_slots + 1, LANES), case.ambient_c), 0)
    power, temp, vib, run = (np.empty((LANES, 0), np.float32) for _ in range(4))
    out = Output(
        power,
        temp,
        vib,
        run,
        np.empty((LANES, 0), np.int8),
        np.empty((LANES, n_slots + 2, N_TRUTH)),
        np.empty((4 * LANES * (n_slots + 2), 4), np.int64),
        np.empty((4 * LANES * (n_slots + 2), 2)),
        np.empty((LANES, N_BRANCH)),
        np.zeros(3, np.int64),
    )
    after = State(np.empty_like(real), np.empty_like(flag), np.empty_like(state.cleared))
    run_block(block, Clock(case.slot_s / 3600.0, case.slot_s // case.dt_s, 1), inputs, state, after, out)
    return out.truth[:, : n_slots + 1].copy()


def integrate(case: Case, at_h: np.ndarray, **changes: float) -> np.ndarray:
    """(3, n): temperature, wear, fatigue at ``at_h`` from the model's equations by an adaptive solver of high order."""
    p = {**PUMP, **changes}
    x, tau_h = case.load_frac, p["tau_h"] / case.cooling_frac
    is_running = x > 0.0
    heat = p["heat_fixed"] + p["heat_linear"] * x + p["heat_square"] * x * x if is_running else 0.0
    limit_c = case.ambient_c + p["rise_k"] * heat / case.cooling_frac
    rate = p["wear_per_mm_s_h"] * (x / p["bearing_ref_frac"]) ** (p["bearing_exponent"] - 1.0)

    def slope(_t: float, y: np.ndarray) -> list[float]:
        temp_c, wear, _ = y
        vibration = p["vib_rated_mm_s"] * x + case.vibration_mm_s + p["vib_wear_gain"] * wear
        vibration += p["vib_heat_gain"] * max(0.0, temp_c - p["vib_knee_c"])
        fatigue = p["fatigue_per_k_h"] * max(0.0, temp_c - p["fatigue_knee_c"]) + case.fatigue_per_h
        return [(limit_c - temp_c) / tau_h, is_running * (rate * vibration + case.wear_per_h), is_running * fatigue]

    solved = solve_ivp(
        slope, (0.0, at_h[-1]), [case.temp_c, case.wear_frac, 0.0], "DOP853", at_h, rtol=1e-10, atol=1e-13, max_step=0.1
    )
    assert solved.success
    return solved.y


@settings(max_examples=12, deadline=None)
@given(
    case=st.builds(
        Case,
        hours=st.just(8),
        dt_s=st.just(60),
        slot_s=st.just(3600),
        seed=st.just(1),
        load_frac=st.floats(0.3, 1.5),
        ambient_c=st.floats(-10.0, 45.0),
        cooling_frac=st.floats(0.2, 1.0),
        wear_per_h=st.floats(0.0, 0.02),
        fatigue_per_h=st.floats(0.0, 0.02),
        vibration_mm_s=st.floats(0.0, 3.0),
        temp_c=st.floats(0.0, 200.0),
        wear_frac=st.floats(0.0, 0.6),
    ),
    tau_h=st.floats(0.05, 1.0),
    rise_k=st.floats(20.0, 60.0),
    exponent=st.sampled_from([1.0, 3.0, 10.0 / 3.0]),
    has_loss_heating=st.booleans(),
)
def test_the_time_loop_is_the_solution_of_the_equations(case, tau_h, rise_k, exponent, has_loss_heating):
    changes = {"tau_h": tau_h, "rise_k": rise_k, "bearing_exponent": exponent}
    if has_loss_heating:
        changes |= {"heat_fixed": 0.35, "heat_linear": 0.0, "heat_square": 0.65}
    got = simulate(case, **changes)[0]
    temp_c, wear, fatigue = integrate(case, np.arange(9.0), **changes)
    np.testing.assert_allclose(got[:, T_TEMP], temp_c, **PHYSICS)
    np.testing.assert_allclose(got[:, T_WEAR], wear, **PHYSICS)
    np.testing.assert_allclose(got[:, T_FATIGUE], fatigue, **PHYSICS)
    np.testing.assert_allclose(got[:, T_ELECTRICAL], 1e-5 * case.load_frac**2 * np.arange(9.0), **REORDER)
    vibration = 1.65 * case.load_frac + case.vibration_mm_s + 0.05 * np.maximum(0.0, got[:, T_TEMP] - 70.0)
    np.testing.assert_allclose(got[:, T_VIBRATION], vibration + 2.0 * got[:, T_WEAR], **REORDER)


STEPS = (1, 60, 3600)
FAR = {
    "at rest": Case(hours=100),
    "heating through both knees": Case(hours=100, load_frac=1.5),
    "cooling through both knees": Case(hours=100, temp_c=200.0),
    "cooling lost": Case(hours=24, load_frac=0.8, cooling_frac=0.2, fatigue_per_h=0.01, wear_per_h=0.01),
}


@pytest.mark.parametrize("name", FAR)
def test_the_step_does_not_matter(name):
    fine, usual, coarse = (simulate(FAR[name]._replace(dt_s=dt_s))[0] for dt_s in STEPS)
    for column in (T_TEMP, T_FATIGUE, T_ELECTRICAL, T_RUNTIME):
        np.testing.assert_allclose(usual[:, column], fine[:, column], **PHYSICS)
        np.testing.assert_allclose(coarse[:, column], fine[:, column], **PHYSICS)
    np.testing.assert_allclose(usual[:, T_WEAR], fine[:, T_WEAR], **PHYSICS)
    np.testing.assert_allclose(coarse[-1, T_WEAR], fine[-1, T_WEAR], **PHYSICS)


@pytest.mark.parametrize("slot_s", [60, 300, 3600])
def test_wear_noise_over_a_day_has_the_same_variance_at_every_step(slot_s):
    """Wiener increments: the standard deviation over 24 h is sigma sqrt(24), whatever the slots."""
    sigma, windows = 1e-3, 24
    case = Case(hours=24 * windows, dt_s=slot_s, slot_s=slot_s, wear_frac=0.3)
    noisy = simulate(case, wear_noise_per_sqrt_h=sigma)[:, :: 24 * 3600 // slot_s, T_WEAR]
    # What a day adds without noise: w exp(24 a) + c, a = 2e-4 per hour.
    growth = math.exp(2e-4 * 24.0)
    drift = 0.5 * 1.65 * 0.7 * (growth - 1.0)
    kick = (noisy[:, 1:] - noisy[:, :-1] * growth - drift).ravel()
    n = len(kick)
    assert n == LANES * windows
    expected = sigma * math.sqrt(24.0)
    assert abs(kick.mean()) < STAT * expected / math.sqrt(n)
    assert abs(kick.var() / expected**2 - 1.0) < STAT * math.sqrt(2.0 / n) + 24.0 * 2e-4


def test_no_wear_noise_is_the_seeds_line():
    quiet = simulate(Case(), wear_noise_per_sqrt_h=0.0)
    np.testing.assert_allclose(quiet, np.repeat(quiet[:1], LANES, axis=0), **EXACT)


def test_loss_heating_is_the_seeds_line_where_the_losses_are():
    """fixed + (1 - fixed) x^2 = x at x = 1 and at x = fixed/(1 - fixed) only; (0, 1, 0) is x everywhere."""
    for x in (0.0, 0.3, 0.7, 1.0, 1.5):
        assert heat_frac(x, 0.0, 1.0, 0.0) == x
    for fixed in (0.2, 0.35, 0.4):
        loss = {"heat_fixed": fixed, "heat_linear": 0.0, "heat_square": 1.0 - fixed}
        for x in (1.0, fixed / (1.0 - fixed)):
            case = Case(load_frac=x)
            np.testing.assert_allclose(simulate(case, **loss), simulate(case), **REORDER)
        middle = Case(load_frac=0.5 * (1.0 + fixed / (1.0 - fixed)))
        assert simulate(middle, **loss)[0, -1, T_TEMP] < simulate(middle)[0, -1, T_TEMP] - 0.1


def test_bearing_exponent_one_and_the_reference_load_are_the_seeds_line():
    line = simulate(Case(load_frac=1.2))
    np.testing.assert_allclose(simulate(Case(load_frac=1.2), bearing_exponent=1.0, bearing_ref_frac=0.4), line, **EXACT)
    at_reference = simulate(Case(), bearing_exponent=3.0, bearing_ref_frac=0.7)
    np.testing.assert_allclose(at_reference, simulate(Case()), **REORDER)
    # Twice the reference load under the exponent 3: four times the wear per mm/s.
    double = simulate(Case(hours=1, load_frac=1.4, temp_c=30.0), bearing_exponent=3.0, rise_k=1.0)[0, -1, T_WEAR]
    single = simulate(Case(hours=1, load_frac=1.4, temp_c=30.0), rise_k=1.0, wear_per_mm_s_h=4e-4)[0, -1, T_WEAR]
    np.testing.assert_allclose(double, single, **REORDER)


def test_montsinger_off_is_the_hinge_and_on_is_one_rate_at_the_reference():
    hinge = simulate(Case(load_frac=1.5), montsinger_per_h=0.0, montsinger_ref_c=50.0, montsinger_halving_k=3.0)
    np.testing.assert_allclose(hinge, simulate(Case(load_frac=1.5)), **EXACT)
    # Settled at the reference temperature the insulation lives 20 000 h, 10 K above it half as long.
    settled = 25.0 + 41.0
    for above_k, factor in ((0.0, 1.0), (10.0, 2.0), (-10.0, 0.5)):
        ageing = {"montsinger_per_h": 1.0 / 20000.0, "montsinger_ref_c": settled - above_k, "fatigue_per_k_h": 0.0}
        got = simulate(Case(load_frac=1.0, temp_c=settled), **ageing)[0, :, T_FATIGUE]
        np.testing.assert_allclose(got, factor * np.arange(25.0) / 20000.0, **REORDER)


def test_a_stopped_machine_cools_draws_standby_power_and_does_not_age():
    case = Case(load_frac=0.0, temp_c=90.0, wear_frac=0.4, wear_per_h=0.01, fatigue_per_h=0.02, vibration_mm_s=1.0)
    got = simulate(case)[0]
    hours = np.arange(25.0)
    np.testing.assert_allclose(got[:, T_TEMP], 25.0 + 65.0 * np.exp(-hours * 60.0 / 25.0), **REORDER)
    np.testing.assert_allclose(got[:, T_WEAR], 0.4, **EXACT)
    for column in (T_FATIGUE, T_ELECTRICAL, T_RUNTIME, T_VIBRATION):
        np.testing.assert_allclose(got[:, column], 0.0, **EXACT)
    np.testing.assert_allclose(got[1:, T_ENERGY], 0.3, **REORDER)


def test_blocked_cooling_slows_the_cooling_of_a_stopped_machine_too():
    got = simulate(Case(load_frac=0.0, temp_c=90.0, cooling_frac=0.25))[0]
    np.testing.assert_allclose(got[:, T_TEMP], 25.0 + 65.0 * np.exp(-np.arange(25.0) * 15.0 / 25.0), **REORDER)


def test_load_in_steps_is_the_same_as_one_run_after_the_other():
    load = np.array([0.7] * 5 + [0.0] * 3 + [1.4] * 5)
    whole = simulate(Case(hours=12), load)[0]
    first = simulate(Case(hours=5))[0]
    np.testing.assert_allclose(whole[:5], first[:5], **EXACT)
    for column in (T_TEMP, T_WEAR, T_FATIGUE, T_ELECTRICAL, T_RUNTIME):
        np.testing.assert_allclose(whole[5, column], first[5, column], **EXACT)
    later = Case(hours=4, load_frac=1.4, temp_c=whole[8, T_TEMP], wear_frac=whole[8, T_WEAR])
    for column in (T_TEMP, T_WEAR):
        np.testing.assert_allclose(whole[8:, column], simulate(later)[0, :, column], **EXACT)
    np.testing.assert_allclose(whole[:, T_RUNTIME], [0, 1, 2, 3, 4, 5, 5, 5, 5, 6, 7, 8, 9], **REORDER)
    assert whole[:, T_ENERGY].sum() == pytest.approx(5 * 10.5 + 3 * 0.3 + 4 * 21.0)


def test_runtime_age_and_damage_start_where_the_state_says():
    """The rows of the state that the loop advances, named once: a running hour adds an hour to both clocks."""
    assert len({S_TEMP, S_WEAR, S_FATIGUE, S_ELECTRICAL, S_RUNTIME, S_AGE, S_LIMIT}) == 7
    got = simulate(Case(hours=3, wear_frac=0.2))[0]
    assert got[0, T_WEAR] == 0.2
    np.testing.assert_allclose(got[:, T_RUNTIME], [0.0, 1.0, 2.0, 3.0], **REORDER)
