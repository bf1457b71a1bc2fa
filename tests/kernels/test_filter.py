"""The particle filter: its hour against small steps, a Kalman filter, wrong beginnings, maintenance."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive_filter import kalman, wear_hour
from particles import parameters
from tolerances import PHYSICS, REORDER

from nexova_sim.config.track import TrackConfig
from nexova_sim.kernels.filter import advance, track_machine, weigh
from nexova_sim.kernels.filter_cloud import N_OUT, O_COOLING, O_ESS
from nexova_sim.kernels.filter_moves import (
    I_AMBIENT,
    I_LOAD,
    I_RESTORE,
    I_RUN,
    I_TEMP,
    I_TEMP_VAR,
    I_VIB,
    I_VIB_VAR,
    N_INPUTS,
    begin_particles,
    propose,
    propose_cooling,
    renew,
    switch,
)
from nexova_sim.kernels.particles import (
    N_PARTICLE,
    Q_COOLING,
    Q_ELECTRICAL,
    Q_EXTRA,
    Q_FATIGUE,
    Q_RATE,
    Q_RISE,
    Q_RUNTIME,
    Q_SHIFT,
    Q_TEMP,
    Q_VIB,
    Q_WEAR,
)
from nexova_sim.kernels.rows import C_BEARING, C_THERMAL, MachineParams
from nexova_sim.prognose.track import filter_settings

ROW = parameters("pump")
PARAMS = np.array([ROW[name] for name in MachineParams._fields])
KEY = np.uint64(99)


def chosen(**edits):
    return filter_settings(TrackConfig())._replace(**{name: float(value) for name, value in edits.items()})


STILL = {"wear_noise_per_sqrt_h": 0.0, "temp_noise_k": 0.0, "switch_per_h": 1e-30, "end_per_h": 0.0}


def new(n, **columns):
    p = np.zeros((N_PARTICLE, n))
    p[Q_TEMP], p[Q_COOLING] = 40.0, 1.0
    p[Q_RISE], p[Q_VIB], p[Q_RATE] = ROW["rise_k"], ROW["vib_rated_mm_s"], ROW["wear_per_mm_s_h"]
    for name, value in columns.items():
        p[{"wear": Q_WEAR, "extra": Q_EXTRA, "shift": Q_SHIFT, "cooling": Q_COOLING, "fatigue": Q_FATIGUE}[name]] = (
            value
        )
    return p


def hour(**columns):
    row = np.zeros(N_INPUTS)
    row[I_LOAD], row[I_RUN], row[I_AMBIENT] = 0.7, 1.0, 20.0
    places = {"load": I_LOAD, "run": I_RUN, "vib": I_VIB, "vib_var": I_VIB_VAR, "temp": I_TEMP,
              "temp_var": I_TEMP_VAR, "restore": I_RESTORE}  # fmt: skip
    for name, value in columns.items():
        row[places[name]] = value
    return row


def follow(given, settings, n=1000, start=None, n_kept=200):
    p = start
    if p is None:
        p = np.empty((N_PARTICLE, n))
        begin_particles(PARAMS, 0.7, 2000.0, settings, np.uint64(7), p)
    rows = np.empty((len(given) + 1, N_OUT))
    clouds = np.empty((1, n_kept, N_PARTICLE))
    track_machine(PARAMS, p, given, settings, KEY, rows, np.array([len(given)]), clouds)
    return rows, clouds[0]


def test_an_hour_of_wear_is_that_of_small_steps():
    p = new(3, wear=np.array([0.0, 0.3, 0.9]), extra=np.array([0.0, 0.01, 0.0]), shift=np.array([0.0, 0.0, 1.5]))
    before, seen = p.copy(), np.empty((2, 3))
    advance(PARAMS, hour(), chosen(**STILL), KEY, 0, p, seen)
    shaking = before[Q_VIB] * 0.7 + before[Q_SHIFT]
    expected = wear_hour(before[Q_WEAR], shaking, before[Q_RATE], ROW["vib_wear_gain"], 1.0, before[Q_EXTRA])
    np.testing.assert_allclose(p[Q_WEAR], expected, **PHYSICS)
    np.testing.assert_allclose(seen[1], shaking + ROW["vib_wear_gain"] * (before[Q_WEAR] + p[Q_WEAR]) / 2, **REORDER)
    limit = 20.0 + ROW["rise_k"] * 0.7
    np.testing.assert_allclose(p[Q_TEMP], limit + (40.0 - limit) * math.exp(-1.0 / ROW["tau_h"]), **PHYSICS)
    np.testing.assert_allclose(p[Q_ELECTRICAL], ROW["electrical_per_h"] * 0.49, **PHYSICS)


def test_a_machine_that_is_off_does_not_age_and_cools():
    p, seen = new(2, wear=0.5), np.empty((2, 2))
    advance(PARAMS, hour(load=0.0, run=0.0), chosen(**STILL), KEY, 0, p, seen)
    assert (p[Q_WEAR] == 0.5).all()
    assert (p[Q_RUNTIME] == 0.0).all()
    assert (p[Q_TEMP] < 40.0).all()


def test_a_linear_gaussian_machine_gives_the_numbers_of_a_kalman_filter():
    rng = np.random.default_rng(8)
    n, n_hours, noise = 20_000, 60, 4e-3
    start = new(n, wear=rng.normal(0.4, 0.05, n))
    settings = chosen(**{**STILL, "wear_noise_per_sqrt_h": noise}, tail=0.0, surprise=0.0, roughen=0.0, widen=0.0,
                      n_particles=n)  # fmt: skip
    load = rng.uniform(0.3, 0.8, n_hours)
    growth = math.exp(ROW["wear_per_mm_s_h"] * ROW["vib_wear_gain"])
    kick = (growth - 1.0) / ROW["vib_wear_gain"]
    wear, given, plain = 0.45, [], []
    for x in load:
        after = growth * wear + kick * ROW["vib_rated_mm_s"] * x + noise * rng.normal()
        vib = ROW["vib_rated_mm_s"] * x + ROW["vib_wear_gain"] * 0.5 * (wear + after) + 0.04 * rng.normal()
        given.append(hour(load=x, vib=vib, vib_var=0.04**2))
        plain.append((x, vib, 0.04**2))
        wear = after
    rows, _ = follow(np.array(given), settings, start=start)
    model = (growth, kick, ROW["vib_rated_mm_s"], ROW["vib_wear_gain"], noise**2)
    expected = kalman(np.array(plain), start[Q_WEAR].mean(), start[Q_WEAR].var(), model)
    sd = np.sqrt(expected[:, 1])
    assert np.abs(rows[1:, 0] - expected[:, 0]).max() < 0.1 * sd.max()
    np.testing.assert_allclose((rows[1:, 3] - rows[1:, 1]) / 2.0, 1.6449 * sd, rtol=0.08)


@pytest.mark.parametrize(("known_frac", "true_wear"), [(0.8, 0.75), (1.0, 0.75), (0.8, 0.02)])
def test_the_filter_recovers_from_a_wrong_initial_wear(known_frac, true_wear):
    rng = np.random.default_rng(12)
    settings = chosen(known_frac=known_frac)
    given = []
    for _ in range(120):
        x = rng.uniform(0.5, 0.8)
        vib = ROW["vib_rated_mm_s"] * x + ROW["vib_wear_gain"] * true_wear + 0.04 * rng.normal()
        given.append(hour(load=x, vib=vib, vib_var=0.04**2))
    rows, cloud = follow(np.array(given), settings)
    assert abs(rows[0, 2] - true_wear) > 0.15  # the hour meter says otherwise
    assert rows[-1, 1] - 0.02 <= true_wear <= rows[-1, 3] + 0.02
    assert rows[-1, 0] == pytest.approx(true_wear, abs=0.05)
    assert cloud[:, Q_WEAR].mean() == pytest.approx(rows[-1, 0], abs=0.01)
    assert (rows[:, O_ESS] >= 1.0).all()


def test_lost_cooling_is_found_and_forgotten_with_maintenance():
    limit = 20.0 + ROW["rise_k"] * 0.7
    cold = [hour(temp=limit, temp_var=0.25) for _ in range(60)]
    hot = [hour(temp=20.0 + ROW["rise_k"] * 0.7 / 0.5, temp_var=0.25) for _ in range(12)]
    again = [hour(temp=limit, temp_var=0.25, restore=C_THERMAL if n == 0 else 0) for n in range(10)]
    rows, _ = follow(np.array([*cold, *hot, *again]), chosen())
    assert rows[60, O_COOLING] < 0.05
    assert rows[71, O_COOLING] > 0.7  # row 72 is after the maintenance
    assert rows[-1, O_COOLING] < 0.05


def test_maintenance_renews_and_switches_begin_and_end():
    p = new(5000, wear=0.5, extra=0.01, shift=1.0, cooling=0.4, fatigue=0.3)
    renew(C_BEARING, p)
    assert (p[[Q_WEAR, Q_EXTRA, Q_SHIFT]] == 0.0).all()
    assert (p[Q_FATIGUE] == 0.3).all()
    renew(C_THERMAL, p)
    assert (p[Q_FATIGUE] == 0.0).all()
    assert (p[Q_COOLING] == 1.0).all()
    settings = chosen(switch_per_h=0.02, end_per_h=0.1)
    switch(KEY, 1, settings, p)
    begun = (p[Q_EXTRA] > 0.0).mean()
    assert begun == pytest.approx(0.02, abs=4.5 * math.sqrt(0.02 / 5000))
    assert p[Q_EXTRA].max() <= settings.most_extra_per_h
    p[Q_EXTRA], p[Q_SHIFT] = 0.01, 1.0
    switch(KEY, 2, settings, p)
    assert (p[Q_EXTRA] == 0.0).mean() == pytest.approx(0.1, abs=4.5 * math.sqrt(0.1 / 5000))
    assert (p[Q_SHIFT] == 0.0).mean() == pytest.approx(0.1, abs=4.5 * math.sqrt(0.1 / 5000))


def test_proposals_explain_the_reading():
    settings = chosen()
    given = hour(vib=ROW["vib_rated_mm_s"] * 0.7 + 2.0 * 0.1 + 1.0, vib_var=1e-6, temp=90.0, temp_var=0.1)
    p = new(4000, wear=0.1)
    propose(PARAMS, given, settings, KEY, 3, False, p)
    moved = (p[Q_SHIFT] > 0.0) | (p[Q_WEAR] != 0.1)
    assert moved.mean() == pytest.approx(0.25, abs=0.03)
    heat = ROW["vib_heat_gain"] * max(0.0, 40.0 - ROW["vib_knee_c"])
    seen = p[Q_VIB] * 0.7 + p[Q_SHIFT] + 2.0 * p[Q_WEAR] + heat
    np.testing.assert_allclose(seen[moved], given[I_VIB], atol=0.01)
    assert (p[Q_EXTRA] > 0.0).any()
    cooled = new(4000)
    propose_cooling(PARAMS, given, KEY, 3, cooled)
    assert (cooled[Q_COOLING] < 1.0).mean() == pytest.approx(0.25, abs=0.03)
    assert cooled[Q_COOLING].min() >= 0.1


def test_failed_particles_lose_their_weight_and_outliers_count_less_with_a_tail():
    p, seen = new(3, wear=np.array([0.5, 1.01, 0.5])), np.array([[60.0, 60.0, 60.0], [2.0, 2.0, 3.0]])
    given = hour(temp=60.0, temp_var=1.0, vib=2.0, vib_var=0.04)
    normal, tailed = np.zeros(3), np.zeros(3)
    weigh(given, seen, p, 0.0, normal)
    weigh(given, seen, p, 8.0, tailed)
    np.testing.assert_allclose(normal, [0.0, -20.0, -0.5 * 25.0], **REORDER)
    np.testing.assert_allclose(tailed, [0.0, -20.0, -4.5 * math.log(1.0 + 25.0 / 8.0)], **REORDER)


def test_the_beginning_is_what_the_hour_meter_says_or_nothing():
    p = np.empty((N_PARTICLE, 5000))
    begin_particles(PARAMS, 0.7, 3000.0, chosen(known_frac=1.0, spread_frac=0.0), KEY, p)
    wear = ROW["vib_rated_mm_s"] * 0.7 / 2.0 * math.expm1(ROW["wear_per_mm_s_h"] * 2.0 * 3000.0)
    np.testing.assert_allclose(p[Q_WEAR], wear, **PHYSICS)
    assert (p[Q_RUNTIME] == 3000.0).all()
    begin_particles(PARAMS, 0.7, 3000.0, chosen(known_frac=0.0), KEY, p)
    assert p[Q_WEAR].std() == pytest.approx(math.sqrt(1.0 / 12.0), rel=0.05)
    np.testing.assert_allclose(p[Q_VIB].std() / ROW["vib_rated_mm_s"], 0.05 / math.sqrt(3.0), rtol=0.05)


def test_following_a_machine_changes_neither_model_nor_readings_nor_start():
    given = np.array([hour(vib=2.0, vib_var=0.01, temp=48.0, temp_var=0.5, load=0.6 + 0.001 * n) for n in range(60)])
    settings = chosen()
    start = np.empty((N_PARTICLE, 1000))
    begin_particles(PARAMS, 0.7, 2000.0, settings, np.uint64(7), start)
    before = PARAMS.copy(), given.copy(), start.copy()
    first, _ = follow(given, settings, start=start)
    again, _ = follow(given, settings, start=start)
    for old, now in zip(before, (PARAMS, given, start), strict=True):
        np.testing.assert_array_equal(old, now)
    np.testing.assert_array_equal(first, again)
