"""The pieces of the lifetime kernel, lane by lane."""

from __future__ import annotations

import math

import numpy as np
import pytest
from particles import KINDS, new_particles, parameters
from tolerances import PHYSICS, REORDER

from nexova_sim.analyse.remaining import stack_parameters, steady_future
from nexova_sim.config.load import load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.kernels.lifetime import (
    N_WORK,
    TILE_H,
    W_ACTIVE,
    W_AMBIENT,
    W_GROWTH,
    W_LIMIT_AGE,
    W_LOAD,
    W_VARIATION,
    P,
    adapt_bearing,
    age_insulation,
    any_of,
    at,
    begin_chance,
    end_of,
    fill_normals,
    fill_plan,
    load_lane,
    note_ends,
    put_wear_rate,
    sample_key,
    step_hour,
    vary_load,
)
from nexova_sim.kernels.particles import Q_ELECTRICAL, Q_FATIGUE, Q_RATE, Q_TEMP, Q_WEAR
from nexova_sim.kernels.random import normal, random_bits
from nexova_sim.kernels.rows import (
    F_BEARING,
    F_ELECTRICAL,
    LANES,
    M_BEARING_EXPONENT,
    M_MONTSINGER_PER_H,
    M_WEIBULL_SCALE_H,
    N_FAILURES,
)


def lanes(row, **state):
    """A working array with the same new machine in every lane, at full load."""
    w = np.zeros(N_WORK * LANES)
    particle = new_particles(row, 1)[0]
    for j in range(LANES):
        load_lane(j, stack_parameters([row]), particle, 0, w)
        w[at(W_LOAD, j)], w[at(W_AMBIENT, j)], w[at(W_LIMIT_AGE, j)] = 1.0, 25.0, 1e15
    for name, value in state.items():
        w[at(int(name[1:]), 0) : at(int(name[1:]), 0) + LANES] = value
    return w


def test_a_lane_holds_its_particle_and_parameters():
    row = parameters()
    w = lanes(row)
    assert w[at(Q_RATE, 3)] == row["wear_per_mm_s_h"]
    assert w[at(P + M_WEIBULL_SCALE_H, LANES - 1)] == 1e15
    assert w[at(W_ACTIVE, 0)] == 1.0
    put_wear_rate(2, 5e-4, w)
    np.testing.assert_allclose(w[at(W_GROWTH, 2)], math.exp(5e-4 * row["vib_wear_gain"]), **REORDER)


def test_an_hour_from_cold_is_the_exponential():
    row = parameters()
    w = lanes(row)
    assert step_hour(w) < 0.0
    limit = 25.0 + row["rise_k"]
    np.testing.assert_allclose(w[at(Q_TEMP, 5)], limit + (25.0 - limit) * math.exp(-1.0 / row["tau_h"]), **PHYSICS)
    np.testing.assert_allclose(w[at(Q_ELECTRICAL, 5)], row["electrical_per_h"], **REORDER)


def test_the_event_is_the_first_to_cross():
    row = parameters(electrical_per_h=0.2)
    w = lanes(row, **{f"q{Q_ELECTRICAL}": 0.9, f"q{Q_WEAR}": 0.99995})
    assert step_hour(w) > 0.0
    share = np.empty(N_FAILURES)
    assert end_of(w, 0, share) == F_BEARING
    assert share[F_BEARING] < share[F_ELECTRICAL] == pytest.approx(0.5)
    life = np.full((LANES, 3), -1.0)
    note_ends(w, np.arange(LANES), np.full(LANES, 7, np.uint32), 100, w, life)
    np.testing.assert_allclose(life[4], [7.0 + share[F_BEARING], share[F_BEARING], F_BEARING], **PHYSICS)
    assert w[at(W_ACTIVE, 4)] == 0.0


def test_any_of_finds_the_unusual():
    params = stack_parameters([parameters(), parameters(bearing_exponent=3.0)])
    assert any_of(params, M_BEARING_EXPONENT, 1.0)
    assert not any_of(params, M_MONTSINGER_PER_H, 0.0)


def test_bearing_exponent_and_insulation_act_only_where_they_are_asked_for():
    plain, strict = lanes(parameters()), lanes(parameters(bearing_exponent=3.0, montsinger_per_h=1e-3))
    for w in (plain, strict):
        adapt_bearing(w)
        age_insulation(w)
    assert plain[at(Q_FATIGUE, 0)] == 0.0 < strict[at(Q_FATIGUE, 0)]
    faster = math.log(strict[at(W_GROWTH, 0)]) / math.log(plain[at(W_GROWTH, 0)])
    np.testing.assert_allclose(faster, (1.0 / 0.7) ** 2, **PHYSICS)


def test_chance_load_and_plan_of_a_tile():
    row = parameters()
    w, keys = lanes(row), np.zeros((4, LANES), np.uint32)
    future = steady_future(np.array([0.6]), duty=0.25, variation=0.1)
    for j in range(LANES):
        begin_chance(j, np.uint64(sample_key(np.uint64(4), j)), np.uint64(1), 0.1, 0.6, keys, w)
    z = np.zeros((TILE_H, LANES), np.float32)
    hours = np.full(LANES, 30, np.uint32)
    fill_normals(keys, 0, hours, z)
    assert z[2, 3] == normal(random_bits(keys[0, 3], keys[1, 3], np.uint32(32)))
    plan, ambient = np.zeros((TILE_H, LANES)), np.zeros((TILE_H, LANES))
    fill_plan(future, np.zeros(LANES, np.int64), hours, plan, ambient)
    np.testing.assert_array_equal(plan[:, 0] > 0.0, (np.arange(30, 54) % 24) < 6)
    before = w[at(W_VARIATION, 7)]
    vary_load(z[0], np.full(LANES, 0.6), w)
    expected = 0.6 * before + 0.8 * 0.1 * float(z[0, 7])
    np.testing.assert_allclose(w[at(W_LOAD, 7)], 0.6 * (1.0 + expected), **PHYSICS)


def test_nominal_parameters_are_the_kinds_own_or_the_platforms():
    kind = load_kind("pump", KINDS)
    plant, seed = nominal_parameters(kind), nominal_parameters(kind, "seed")
    assert plant["rise_k"] == 41.0
    assert seed["rise_k"] == 2.5 * 15.0
    assert seed["vib_rated_mm_s"] == 1.5
    assert seed["weibull_scale_h"] > 1e14 > plant["weibull_scale_h"]
