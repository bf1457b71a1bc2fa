"""What-if over many situations: shapes, independence, verdicts, and the outlook that a machine's past suggests."""

from __future__ import annotations

import numpy as np
import pytest
from particles import new_particles, parameters
from tolerances import EXACT, REORDER

from nexova_sim.analyse.remaining import stack_parameters, steady_future
from nexova_sim.base.errors import DataError
from nexova_sim.kernels.branches import Actions, Cases, Stakes
from nexova_sim.kernels.filter_moves import I_AMBIENT, N_INPUTS
from nexova_sim.kernels.particles import Q_WEAR
from nexova_sim.prognose.hours import HOUR_MS, Hours
from nexova_sim.prognose.outlook import hour_of_week, look_ahead
from nexova_sim.prognose.whatif import branch, draw_particles, judge

ROW = parameters("pump", weibull_scale_h=20_000.0)


def cases(n):
    one = np.ones((n, 1))
    return Cases(
        stack_parameters([ROW] * n),
        steady_future(np.full(n, 0.7), variation=0.05),
        Actions(one * [0.0, 4.0], one * [0.0, 600.0], (one * [0, 17]).astype(np.int64), one * [1.0, 0.5],
                one * [1.0, 1.0]),
        Stakes(np.full((n, 168), 0.12), np.full(n, 120.0), np.full(n, 4500.0), np.full(n, 600.0), np.full(n, 0.025),
               np.full(n, 0.007), np.full(n, 0.05)),
    )  # fmt: skip


def clouds(wear, n=64):
    rng = np.random.default_rng(3)
    out = np.array([new_particles(ROW, n) for _ in wear])
    out[:, :, Q_WEAR] = np.clip(np.array(wear)[:, None] + 0.01 * rng.normal(size=(len(wear), n)), 0.0, 0.999)
    return out


def test_worn_machines_gain_by_maintenance_and_new_ones_lose():
    found = judge(branch(cases(2), clouds([0.05, 0.98])))
    assert found.extra_usd[0, 1] > 0.0 > found.extra_usd[1, 1]
    assert found.p_failure[1, 0] > 0.5 > found.p_failure[1, 1]
    np.testing.assert_allclose(found.extra_usd[:, 0], 0.0, **EXACT)
    assert (found.extra_se_usd[:, 1] <= found.cost_se_usd.sum(axis=1)).all()


def test_a_situation_does_not_depend_on_the_others():
    all_of, particles = cases(3), clouds([0.3, 0.6, 0.9])
    together = branch(all_of, particles)
    last = Cases(*(type(part)(*(column[2:] for column in part)) if isinstance(part, tuple) else part[:, 2:]
                   for part in all_of))  # fmt: skip
    alone = branch(last, particles[2:])
    np.testing.assert_array_equal(alone.parts_usd[0], together.parts_usd[2])
    np.testing.assert_allclose(together.cost_usd, together.parts_usd.sum(axis=3), **REORDER)


def test_branching_changes_nothing_it_is_given():
    known, particles = cases(1), clouds([0.4])
    before = particles.copy(), known.params.copy(), known.future.week_load.copy()
    branch(known, particles)
    for old, now in zip(before, (particles, known.params, known.future.week_load), strict=True):
        np.testing.assert_array_equal(old, now)


@pytest.mark.parametrize("spoil", ["params", "particles", "week_load", "nan", "horizon"])
def test_what_does_not_fit_is_told(spoil):
    known, particles, horizon = cases(2), clouds([0.1, 0.2]), 168
    if spoil == "params":
        known = known._replace(params=known.params[:3])
    elif spoil == "particles":
        particles = particles[:, :, :5]
    elif spoil == "week_load":
        known = known._replace(future=known.future._replace(week_load=known.future.week_load[:, :24]))
    elif spoil == "nan":
        particles[0, 0, 0] = np.nan
    else:
        horizon = 0
    with pytest.raises(DataError, match="what-if"):
        branch(known, particles, horizon)


def test_presents_are_drawn_evenly():
    cloud = np.arange(24.0).reshape(8, 3)
    assert draw_particles(cloud, 4)[:, 0].tolist() == [0.0, 6.0, 12.0, 18.0]
    assert np.bincount((draw_particles(cloud, 20)[:, 0] / 3).astype(int)).tolist() == [3, 3, 3, 3, 2, 2, 2, 2]


def test_the_outlook_is_the_mean_of_the_past_and_nothing_of_the_future():
    start = 4 * 24 * HOUR_MS  # a Monday
    n = 3 * 168
    rng = np.random.default_rng(1)
    on = np.tile(np.arange(24) < 16, n // 24)
    load = np.where(on, 0.6 + 0.1 * (np.arange(n) % 24 == 3) + 0.01 * rng.normal(size=n), np.nan)
    given = np.zeros((1, n, N_INPUTS))
    given[0, :, I_AMBIENT] = 20.0 + 5.0 * (np.arange(n) % 24 == 12)
    hours = Hours(start, ("a",), given, load[None], on[None].astype(float))
    look = look_ahead(hours, 0, 2 * 168, 0.7)
    assert look.start_hour == 0
    assert (look.week_load > 0.0).sum() == 16 * 7
    assert look.week_load[3] == pytest.approx(0.7, abs=0.05)
    assert look.ambient_c[12] == 25.0
    assert 0.005 < look.variation < 0.03
    assert 0.0 <= look.memory < 0.5
    load[2 * 168 :] = 99.0
    again = look_ahead(hours._replace(load=load[None]), 0, 2 * 168, 0.7)
    np.testing.assert_array_equal(again.week_load, look.week_load)
    blank = look_ahead(hours._replace(load=np.full((1, n), np.nan)), 0, 30, 0.7)
    assert (blank.week_load == 0.7).all()
    assert (blank.start_hour, blank.variation) == (30, 0.0)
    assert hour_of_week(0) == 3 * 24
