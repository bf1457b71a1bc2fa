"""Remaining life (``lifetimes``): against plain Python, against closed forms, and the promises about random numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive_lifetime import Life, chance, live
from particles import new_particles, parameters
from scipy import stats
from tolerances import PHYSICS, REORDER, STAT

from nexova_sim.analyse.remaining import draw_numbers, sample_lives, stack_parameters, steady_future
from nexova_sim.base.errors import DataError
from nexova_sim.kernels.particles import (
    N_PARTICLE,
    Q_AGE,
    Q_COOLING,
    Q_ELECTRICAL,
    Q_EXTRA,
    Q_FATIGUE,
    Q_RUNTIME,
    Q_SHIFT,
    Q_WEAR,
)
from nexova_sim.kernels.rollout import run_to_failure
from nexova_sim.kernels.rows import (
    B_EFFECT,
    B_LIMIT,
    B_TEMP,
    E_COOLING,
    E_LOAD,
    F_BEARING,
    LANES,
    N_BRANCH,
    N_EFFECTS,
    N_PARAMS,
)
from nexova_sim.kernels.wear import hours_to_wear_out
from nexova_sim.schema.channels import FAILURE_EVENTS


def one(row, particle, future, **more):
    return sample_lives(stack_parameters([row]), particle, np.zeros(len(particle), np.int64), future, **more)


def test_constant_load_wears_out_when_the_closed_form_says():
    row = parameters()
    lives = one(row, new_particles(row, 1), steady_future(np.array([0.7])))
    drive = row["vib_rated_mm_s"] * 0.7
    rate, gain = row["wear_per_mm_s_h"], row["vib_wear_gain"]
    by_hand = math.log(1.0 + gain / drive) / (rate * gain)
    np.testing.assert_allclose(lives.rest_h[0], by_hand, **PHYSICS)
    np.testing.assert_allclose(hours_to_wear_out(0.0, drive, rate, gain), by_hand, **REORDER)
    assert FAILURE_EVENTS[lives.event[0]] == "bearing"


def test_drifting_wiener_wear_has_an_inverse_gaussian_first_passage():
    """Drift m and noise s reach a distance d at a time that is inverse Gaussian with mean d/m and shape d^2/s^2."""
    drift, noise, start, n = 1.0 / 4000.0, 0.004, 0.2, 4000
    # With next to no vibration per unit of wear, wear drives itself no more: the drift is the rate times the drive.
    row = parameters(vib_wear_gain=1e-3, vib_rated_mm_s=1.0, wear_per_mm_s_h=drift, wear_noise_per_sqrt_h=noise)
    particles = new_particles(row, n)
    particles[:, Q_WEAR] = start
    lives = one(row, particles, steady_future(np.array([1.0]), ambient_c=0.0), seed=5)
    way = 1.0 - start
    mean_h, shape_h = way / drift, (way / noise) ** 2
    law = stats.invgauss(mu=mean_h / shape_h, scale=shape_h)
    assert (lives.event == F_BEARING).all()
    assert stats.kstest(lives.rest_h, law.cdf).pvalue > 0.001
    error = math.sqrt(mean_h**3 / shape_h / n)
    assert abs(lives.rest_h.mean() - mean_h) < STAT * error


def test_random_failures_follow_the_weibull_law_of_a_part_that_has_survived():
    row = parameters(weibull_shape=1.9, weibull_scale_h=900.0, wear_per_mm_s_h=1e-9, electrical_per_h=0.0, life_h=1e9)
    particles = new_particles(row, 3000)
    particles[:, Q_AGE] = 400.0
    lives = one(row, particles, steady_future(np.array([0.5])))
    law = stats.weibull_min(1.9, scale=900.0)
    cdf = lambda h: 1.0 - law.sf(400.0 + h) / law.sf(400.0)  # noqa: E731
    assert stats.kstest(lives.rest_h, cdf).pvalue > 0.001
    assert {FAILURE_EVENTS[e] for e in lives.event} == {"random"}


CASES = [
    ({}, {}, "bearing"),
    ({"bearing_exponent": 3.0, "wear_noise_per_sqrt_h": 2e-3, "wear_per_mm_s_h": 6e-4}, {Q_WEAR: 0.3, Q_SHIFT: 0.4},
     "bearing"),
    ({"montsinger_per_h": 1e-2, "montsinger_ref_c": 75.0}, {Q_FATIGUE: 0.2, Q_WEAR: 0.1}, "thermal"),
    ({"electrical_per_h": 2e-3}, {Q_ELECTRICAL: 0.1}, "electrical"),
    ({"life_h": 800.0}, {Q_RUNTIME: 300.0, Q_EXTRA: 2e-4}, "end_of_life"),
    ({"weibull_scale_h": 700.0}, {Q_AGE: 100.0}, "random"),
    ({"heat_fixed": 0.35, "heat_linear": 0.0, "heat_square": 0.65, "fatigue_per_k_h": 1e-3},
     {Q_COOLING: 0.4}, "thermal"),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "state", "expected"), CASES)
def test_the_kernel_is_its_plain_twin(edits, state, expected):
    row = parameters("conveyor", **{"wear_per_mm_s_h": 4e-4, **edits})
    n, hours = 20, 6000
    particles = new_particles(row, n, temp_c=31.0)
    for column, value in state.items():
        particles[:, column] = value
    particles[:, Q_WEAR] += 0.002 * np.arange(n)
    future = steady_future(np.array([0.8]), duty=0.6, variation=0.08, memory=0.5, ambient_c=22.0)
    lives = one(row, particles, future, seed=9)
    seen = set()
    for draw in (0, 7, n - 1):
        plan = [future.week_load[0, h % 168] for h in range(hours)]
        luck = chance(9, 0, draw, hours)
        rest, running, event = live(row, Life(*particles[draw]), plan, [22.0] * hours, 0.08, 0.5, luck)
        np.testing.assert_allclose([lives.rest_h[draw], lives.running_h[draw]], [rest, running], **PHYSICS)
        assert FAILURE_EVENTS[lives.event[draw]] == event
        seen.add(event)
    assert expected in seen


def test_it_agrees_with_the_truth_kernel_of_the_fleet():
    """The fleet's own run to failure takes another path through the code: same machine, same load, same life."""
    row = parameters("motor")
    future = steady_future(np.array([0.75]), duty=2.0 / 3.0, ambient_c=25.0)
    lives = one(row, new_particles(row, 1), future)
    params = np.repeat(stack_parameters([row]), LANES, axis=1)
    branch = np.zeros((1, N_BRANCH))
    branch[0, B_TEMP], branch[0, B_LIMIT] = 25.0, 1e15
    branch[0, B_EFFECT : B_EFFECT + N_EFFECTS] = 0.0
    branch[0, B_EFFECT + E_COOLING] = branch[0, B_EFFECT + E_LOAD] = 1.0
    out = np.empty((1, 3))
    week = np.repeat(future.week_load, LANES, axis=0)
    run_to_failure(params, branch, week, np.full((LANES, 168), 25.0), np.zeros((1, 2), np.int64), 100_000, out)
    np.testing.assert_allclose([lives.rest_h[0], lives.running_h[0], lives.event[0]], out[0], **PHYSICS)


def test_samples_do_not_depend_on_the_company_they_keep():
    rows = [parameters(wear_noise_per_sqrt_h=1e-3, wear_per_mm_s_h=5e-4), parameters("motor", wear_per_mm_s_h=5e-4)]
    future = steady_future(np.array([0.7, 0.8]), variation=0.05)
    particles = np.concatenate([new_particles(rows[0], 40), new_particles(rows[1], 23)])
    situation = np.r_[np.zeros(40, np.int64), np.ones(23, np.int64)]
    shuffled = np.random.default_rng(0).permutation(63)
    whole = sample_lives(stack_parameters(rows), particles, situation, future)
    mixed = sample_lives(stack_parameters(rows), particles[shuffled], situation[shuffled], future)
    alone = one(rows[0], particles[:40], future._replace(**{k: v[:1] for k, v in future._asdict().items()}))
    np.testing.assert_array_equal(np.sort(whole.rest_h[:40]), np.sort(mixed.rest_h[situation[shuffled] == 0]))
    np.testing.assert_array_equal(whole.rest_h[:40], alone.rest_h)
    assert len(np.unique(whole.rest_h)) == 63


def test_equal_keys_meet_equal_chance_and_seeds_differ():
    row = parameters(wear_noise_per_sqrt_h=1e-3, wear_per_mm_s_h=5e-4)
    future = steady_future(np.array([0.7, 0.7]), variation=0.05)
    twins = future._replace(key=np.zeros(2, np.uint64))
    particles, situation = new_particles(row, 20), np.repeat([0, 1], 10)
    same = sample_lives(stack_parameters([row, row]), particles, situation, twins)
    other = sample_lives(stack_parameters([row, row]), particles, situation, future)
    np.testing.assert_array_equal(same.rest_h[:10], same.rest_h[10:])
    assert (other.rest_h[:10] != other.rest_h[10:]).all()
    reseeded = sample_lives(stack_parameters([row, row]), particles, situation, twins, seed=2)
    assert (reseeded.rest_h != same.rest_h).all()


def test_what_does_not_fail_in_time_is_censored():
    row = parameters()
    lives = one(row, new_particles(row, 3), steady_future(np.array([0.7])), max_hours=100)
    assert lives.rest_h.tolist() == [100.0] * 3
    assert lives.event.tolist() == [-1] * 3
    never = one(row, new_particles(row, 1), steady_future(np.array([0.0])), max_hours=1000)
    assert never.event.tolist() == [-1]


def test_no_particles_give_no_lives():
    row = parameters()
    assert len(one(row, np.zeros((0, N_PARTICLE)), steady_future(np.array([0.7]))).rest_h) == 0


def test_what_has_failed_fails_at_once():
    row = parameters()
    particles = new_particles(row, 1)
    particles[0, Q_WEAR] = 1.2
    assert one(row, particles, steady_future(np.array([0.7]))).rest_h.tolist() == [0.0]


def test_draw_numbers_count_within_each_situation():
    assert draw_numbers(np.array([3, 1, 3, 3, 1])).tolist() == [0, 0, 1, 2, 1]
    assert draw_numbers(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("wrong", ["columns", "situation", "nan", "futures"])
def test_inputs_that_do_not_fit_are_named(wrong):
    row = parameters()
    particles, situation = new_particles(row, 2), np.zeros(2, np.int64)
    future = steady_future(np.array([0.7]))
    if wrong == "columns":
        particles = particles[:, 1:]
    if wrong == "situation":
        situation = np.array([0, 1])
    if wrong == "nan":
        particles[1, Q_WEAR] = np.nan
    if wrong == "futures":
        future = steady_future(np.array([0.7, 0.7]))
    with pytest.raises(DataError):
        sample_lives(stack_parameters([row]), particles, situation, future)


def test_parameters_stack_in_the_order_of_the_kernels():
    assert stack_parameters([parameters(), parameters("motor")]).shape == (N_PARAMS, 2)
