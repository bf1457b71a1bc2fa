"""Futures under actions: the kernel against plain Python, carried against drawn failures, and its pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive_branches import future_cost
from particles import new_particles, parameters
from tolerances import PHYSICS, REORDER, STAT

from nexova_sim.analyse.remaining import stack_parameters, steady_future
from nexova_sim.kernels.branches import (
    H_CHANCE,
    H_ENERGY,
    H_LOAD,
    H_ON,
    H_PLAN,
    H_PRICE,
    N_OUT,
    N_ROWS,
    O_FAILED,
    Actions,
    Cases,
    Stakes,
    branch_futures,
    ending,
    fill_chance,
    fill_future,
    fill_plan,
    fill_rest,
    rest_at,
    restore_particle,
    run_future,
    step_particle,
)
from nexova_sim.kernels.particles import (
    Q_AGE,
    Q_COOLING,
    Q_ELECTRICAL,
    Q_EXTRA,
    Q_FATIGUE,
    Q_RUNTIME,
    Q_SHIFT,
    Q_TEMP,
    Q_WEAR,
)

ROW = {**parameters("pump"), "weibull_scale_h": 900.0, "weibull_shape": 1.6}
STAKES = {"ambient_c": 25.0, "price": 0.12, "lost": 120.0, "failure": 4500.0, "wear": 600.0,
          "fatigue_per_lost_cooling_h": 0.025}  # fmt: skip
CHOICES = [
    {"stop_h": 0.0, "price_usd": 0.0, "restores": 0, "loss_frac": 1.0, "load_factor": 1.0},
    {"stop_h": 4.0, "price_usd": 600.0, "restores": 1 + 2 + 16, "loss_frac": 0.5, "load_factor": 1.0},
    {"stop_h": 24.0, "price_usd": 0.0, "restores": 0, "loss_frac": 1.0, "load_factor": 0.8},
]


def cases(n=1, row=ROW, variation=0.0, fault_end=0.0, cooling_end=0.0, duty=1.0):
    table = {name: np.array([[c[name] for c in CHOICES]] * n) for name in CHOICES[0]}
    table["restores"] = table["restores"].astype(np.int64)
    stakes = Stakes(
        np.full((n, 168), STAKES["price"]), np.full(n, STAKES["lost"]), np.full(n, STAKES["failure"]),
        np.full(n, STAKES["wear"]), np.full(n, STAKES["fatigue_per_lost_cooling_h"]), np.full(n, fault_end),
        np.full(n, cooling_end),
    )  # fmt: skip
    future = steady_future(np.full(n, 0.7), duty=duty, variation=variation)
    return Cases(stack_parameters([row] * n), future, Actions(**table), stakes)


def present(**columns):
    p = new_particles(ROW, 1)[0]
    places = {"wear": Q_WEAR, "fatigue": Q_FATIGUE, "age": Q_AGE, "extra": Q_EXTRA, "shift": Q_SHIFT,
              "cooling": Q_COOLING}  # fmt: skip
    for name, value in columns.items():
        p[places[name]] = value
    return p


def naive_state(p):
    return {"temp": p[Q_TEMP], "wear": p[Q_WEAR], "fatigue": p[Q_FATIGUE], "age": p[Q_AGE], "extra": p[Q_EXTRA],
            "shift": p[Q_SHIFT], "cooling": p[Q_COOLING]}  # fmt: skip


def run(known, particle, n=1, n_hours=168, seed=1):
    out = np.empty((1, len(CHOICES), n, N_OUT))
    branch_futures(known, np.repeat(particle[None, None], n, axis=1), np.uint64(seed), n_hours, out)
    return out[0]


@pytest.mark.parametrize(
    "state",
    [{}, {"wear": 0.6, "age": 400.0}, {"wear": 0.4, "extra": 0.01, "shift": 1.0}, {"cooling": 0.4, "fatigue": 0.2},
     {"wear": 0.999}],
)  # fmt: skip
@pytest.mark.parametrize("duty", [1.0, 16.0 / 24.0])
def test_the_kernel_gives_the_numbers_of_plain_python(state, duty):
    particle = present(**state)
    known = cases(duty=duty)
    load = np.tile(known.future.week_load[0], 1).tolist()
    got = run(known, particle)[:, 0]
    for a, choice in enumerate(CHOICES):
        expected = future_cost(ROW, naive_state(particle), load, choice, STAKES)
        np.testing.assert_allclose(got[a], expected, **PHYSICS)


def test_carrying_the_failure_is_unbiased_against_drawing_it():
    """Conditional Monte Carlo has the mean of plain Monte Carlo, and a fraction of its variance."""
    rng = np.random.default_rng(5)
    particle = present(wear=0.3, age=500.0)
    carried = run(cases(), particle)[:, 0]
    load = [0.7] * 168
    for a, choice in enumerate(CHOICES):
        drawn = np.array([
            future_cost(ROW, naive_state(particle), load, choice, STAKES, u) for u in rng.uniform(0.0, 1.0, 2000)
        ])  # fmt: skip
        se = drawn.std(axis=0) / math.sqrt(len(drawn))
        assert (np.abs(drawn.mean(axis=0) - carried[a]) <= STAT * se + 1e-6).all()
        assert drawn[:, O_FAILED].std() > 0.2
    spread = run(cases(variation=0.06), particle, n=200)
    assert spread[0, :, O_FAILED].std() < 0.02


def test_all_actions_meet_the_same_futures_and_other_seeds_meet_others():
    known = cases(variation=0.1, fault_end=0.02)
    known.actions.stop_h[:] = 0.0
    known.actions.restores[:], known.actions.price_usd[:], known.actions.load_factor[:] = 0, 0.0, 1.0
    out = run(known, present(wear=0.2, extra=0.003), n=50)
    np.testing.assert_array_equal(out[0], out[1])
    np.testing.assert_array_equal(out[0], out[2])
    assert len(np.unique(out[0, :, 0])) == 50
    assert not np.array_equal(out, run(known, present(wear=0.2, extra=0.003), n=50, seed=2))


def test_faults_that_end_by_themselves_do_less_harm():
    particle = present(wear=0.2, extra=0.01)
    lasting, ending_soon = run(cases(), particle, n=100), run(cases(fault_end=0.05), particle, n=100)
    assert lasting[0, :, O_FAILED].mean() > ending_soon[0, :, O_FAILED].mean() + 0.1
    cold, returned = (run(cases(cooling_end=r), present(cooling=0.3), n=100)[0, :, O_FAILED] for r in (0.0, 0.2))
    assert cold.mean() > returned.mean() + 0.1
    assert ending(0.0, 0.5) > 1e12
    np.testing.assert_allclose(ending(0.1, 0.5), math.log(2.0) / 0.1, **REORDER)


def test_pieces():
    known = cases(variation=0.05, duty=0.5)
    hours = np.zeros((N_ROWS, 200))
    fill_plan(known, 0, hours)
    assert (hours[H_PLAN, :12] == 0.7).all()
    assert (hours[H_PLAN, 12:24] == 0.0).all()
    np.testing.assert_array_equal(hours[H_PLAN, 168:], hours[H_PLAN, :32])
    fill_future(np.uint64(3), 0.05, 0.6, hours)
    on = hours[H_PLAN] > 0.0
    assert ((hours[H_LOAD] > 0.0) == on).all()
    assert hours[H_LOAD, on].std() / 0.7 == pytest.approx(0.05, rel=0.4)
    fill_rest(ROW["rated_kw"], hours)
    assert hours[H_ON, 0] == on.sum()
    np.testing.assert_allclose(hours[H_ENERGY, 40], (hours[H_LOAD, 40:] * hours[H_PRICE, 40:]).sum() * ROW["rated_kw"],
                               **REORDER)  # fmt: skip
    assert rest_at(hours, H_ON, 200) == 0.0
    fill_chance(300.0, 1.6, 900.0, H_CHANCE, hours)
    alive = np.prod(1.0 - hours[H_CHANCE])
    np.testing.assert_allclose(alive, math.exp((300 / 900) ** 1.6 - (500 / 900) ** 1.6), **PHYSICS)
    fill_chance(300.0, 1.6, 1e15, H_CHANCE, hours)
    assert (hours[H_CHANCE] == 0.0).all()


def test_restoring_and_stepping_one_particle():
    p = present(wear=0.5, extra=0.01, shift=1.0, cooling=0.5, fatigue=0.4, age=77.0)
    p[Q_ELECTRICAL], p[Q_RUNTIME] = 0.3, 5000.0
    restore_particle(0, p)
    assert p[Q_WEAR] == 0.5
    restore_particle(31, p)
    assert (p[[Q_WEAR, Q_EXTRA, Q_SHIFT, Q_FATIGUE, Q_ELECTRICAL, Q_RUNTIME, Q_AGE]] == 0.0).all()
    assert p[Q_COOLING] == 1.0
    params = stack_parameters([ROW])
    worst = step_particle(params, 0, 0.7, 25.0, math.exp(-1.0 / ROW["tau_h"]), 0.025, p)
    assert worst == p[Q_WEAR] > 0.0
    assert p[Q_AGE] == p[Q_RUNTIME] == 1.0


def test_a_future_of_a_dead_machine_fails_in_its_first_running_hour():
    known, out = cases(), np.empty(N_OUT)
    hours = np.zeros((N_ROWS, 24))
    fill_plan(known, 0, hours)
    hours[H_LOAD] = hours[H_PLAN]
    fill_rest(ROW["rated_kw"], hours)
    run_future(known, 0, 0, hours, np.full(2, 1e15), present(wear=1.2), out)
    assert out[O_FAILED] == 1.0
    np.testing.assert_allclose(out[2], 4500.0 + 120.0 * 23, **REORDER)
