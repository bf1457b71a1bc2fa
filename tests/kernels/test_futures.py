"""The kernel of futures against its naive twin; unbiasedness of the conditional average; what it spares."""

from __future__ import annotations

import numpy as np
import pytest
from naive_futures import account, load_factors
from tolerances import REORDER, STAT

from nexova_sim.config.load import load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.kernels import futures as f
from nexova_sim.kernels import whatif as w
from nexova_sim.kernels.rows import C_BEARING, C_RANDOM, LANES, M_WEIBULL_SCALE_H, MachineParams

H = 60


def situations(kind, n, seed=3, **changes):
    """n machines of a kind in all sorts of states, some with faults, some off at night."""
    named = nominal_parameters(kind) | changes
    params = np.repeat(np.array([named[name] for name in MachineParams._fields])[:, None], n, axis=1)
    rng = np.random.default_rng(seed)
    state = np.zeros((n, f.N_X))
    state[:, f.X_TEMP], state[:, f.X_WEAR] = rng.uniform(20, 80, n), rng.uniform(0.6, 1.0, n)
    state[:, f.X_FATIGUE] = rng.uniform(0.0, 0.9, n)
    state[:, f.X_RUNTIME] = state[:, f.X_AGE] = rng.uniform(1000, 9000, n)
    plan = np.full((n, H + 60), 0.75)
    plan[::2, 18:26] = 0.0
    effect = np.zeros((n, H, f.N_G))
    effect[:, :, [f.G_COOLING, f.G_LOAD]] = 1.0
    after = effect.copy()
    effect[: n // 2, :30, f.G_COOLING], effect[: n // 2, :30, f.G_FATIGUE] = 0.4, 0.01
    effect[n // 2 :, :40, f.G_WEAR], effect[n // 2 :, :40, f.G_LOAD] = 0.004, 1.3
    money = np.tile([0.12, 120.0, 9000.0, 25.0], (n, 1))
    variation = np.tile([0.06, 0.6], (n, 1))
    return f.Situations(params, state, plan, np.full((n, H), 22.0), effect, after, money, variation,
                        np.arange(n, dtype=np.uint64))  # fmt: skip


def three_actions(n):
    table = np.zeros((n, 3, f.N_A))
    table[:, 1] = (24.0, 28.0, 600.0, C_BEARING | C_RANDOM)
    table[:, 2] = (0.0, 8.0, 1200.0, 63.0)
    return table


@pytest.fixture(scope="module")
def pump(root):
    return load_kind("pump", root / "configs/kind")


def run(given, n_futures, is_plain=False, seed=5):
    n = len(given.state)
    out = np.full((n, 3, n_futures, w.N_O), np.nan)
    w.action_costs(given, three_actions(n), n_futures, np.uint64(seed), is_plain, out)
    return out


@pytest.mark.parametrize("change", [{}, {"heat_fixed": 0.35, "heat_linear": 0.0, "heat_square": 0.65}])
def test_the_account_is_that_of_the_naive_twin(pump, change):
    given = situations(pump, 6, **change)
    out, table = run(given, 20), three_actions(6)
    for s in range(6):
        for a in range(3):
            for k in (0, 19):
                want = account(given, s, table[s, a], load_factors(given, s, k, 5, H))
                np.testing.assert_allclose(out[s, a, k], want, **REORDER)


def test_the_plain_account_too(pump):
    given, table = situations(pump, 4, weibull_scale_h=3000.0), three_actions(4)
    out = run(given, LANES, is_plain=True)
    assert set(np.unique(out[..., w.O_P_FAIL])) == {0.0, 1.0}
    limit = np.empty((2, LANES))
    for s in range(4):
        for renewal in (0, 1):
            f.fill_limits(given, s, 0, np.uint64(5), renewal, limit[renewal])
        for k in (0, 7):
            for a in range(3):
                want = account(given, s, table[s, a], load_factors(given, s, k, 5, H), limit[:, k])
                np.testing.assert_allclose(out[s, a, k], want, **REORDER)


def test_the_conditional_average_is_unbiased_and_spares_rollouts(pump):
    given = situations(pump, 12, seed=8, weibull_scale_h=2500.0)
    given.state[:, f.X_WEAR], given.effect[..., f.G_WEAR] = 0.7, 0.0
    plain, smart = run(given, 4096, is_plain=True), run(given, 512)
    z = []
    for column in range(w.N_O):
        a, b = plain[..., column], smart[..., column]
        se = np.sqrt(a.var(axis=2) / a.shape[2] + b.var(axis=2) / b.shape[2])
        z.append((a.mean(axis=2) - b.mean(axis=2)) / se)
    assert np.abs(z).max() < STAT
    assert abs(np.mean(z[0])) < STAT / np.sqrt(z[0].size)
    needed = [np.maximum(1.0, part[..., w.O_COST].var(axis=2) / 25.0**2) for part in (plain, smart)]
    assert np.median(needed[0] / needed[1]) >= 100.0


def test_actions_share_their_chance_and_a_future_does_not_depend_on_its_neighbours(pump):
    given = situations(pump, 3)
    few, many = run(given, 5), run(given, 40)
    np.testing.assert_array_equal(few, many[:, :, :5])
    one = f.Situations(given.params[:, 1:2].copy(), *(part[1:2].copy() for part in given[1:]))
    np.testing.assert_array_equal(run(one, 5)[0], few[1])


def test_a_safe_machine_pays_its_energy_and_a_stopped_one_its_stop(pump):
    given = situations(pump, 1)
    given.params[M_WEIBULL_SCALE_H] = 1e15
    given.state[:, [f.X_WEAR, f.X_FATIGUE]] = 0.0
    given.effect[:] = given.after
    given.plan[:] = 0.7
    out = run(given, 16)
    assert (out[..., w.O_P_FAIL] == 0.0).all()
    assert (out[..., w.O_LOSS] == 0.0).all()
    kwh = pump.rated_kw * 0.7 * H
    assert out[0, 0, :, w.O_COST].mean() == pytest.approx(0.12 * kwh, rel=0.05)
    stop = out[0, 2, :, w.O_COST] - out[0, 0, :, w.O_COST]
    np.testing.assert_allclose(stop, 1200.0 + 8 * 120.0 - 8 * 0.12 * pump.rated_kw * 0.7, rtol=0.01)


def test_sourced_damage_agrees_with_the_plain_line_where_both_say_the_same(pump):
    given = situations(pump, 2)
    same = situations(pump, 2, bearing_exponent=1.0 + 1e-12)
    np.testing.assert_allclose(run(same, 3), run(given, 3), rtol=1e-6)


def test_insulation_ageing_costs_life(pump):
    given = situations(pump, 2)
    aged = situations(pump, 2, montsinger_per_h=0.2, montsinger_ref_c=60.0, montsinger_halving_k=10.0)
    assert run(aged, 4)[..., w.O_P_FAIL].mean() > run(given, 4)[..., w.O_P_FAIL].mean()


def test_the_pieces(pump):
    """fill_risk, is_running, fill_energy, step_lanes, step_sourced, renew, lost_usd, fill_losses, act."""
    given, table = situations(pump, 2), three_actions(2)
    q = np.empty(H)
    f.fill_risk(given, 0, table[0, 2], q)
    assert (q[:8] == 0.0).all()
    assert f.is_running(given, 0, table[0, 1], 10)
    assert not f.is_running(given, 0, table[0, 1], 26)
    factor, load, bill = np.ones((H, LANES)), np.empty((H, LANES)), np.empty((H + 1, LANES))
    f.fill_energy(given, 0, table[0, 0], factor, load, bill)
    assert (np.diff(bill, axis=0) > 0.0).all()
    x = np.zeros((f.N_X, LANES))
    x[f.X_WEAR] = 0.5
    y = x.copy()
    f.step_lanes(given, 0, 0, given.effect[0, 0], load[0], x)
    f.step_sourced(given, 0, 0, 3, given.effect[0, 0], load[0, 3], y)
    np.testing.assert_allclose(x[:, 3], y[:, 3], **REORDER)
    f.renew(C_BEARING, x)
    assert (x[f.X_WEAR] == 0.0).all()
    assert w.lost_usd(given, 0, 16, 20) == 2 * 120.0
    losses = np.empty(H)
    w.fill_losses(given, 1, losses)
    assert (losses == 9000.0 + 25 * 120.0).all()
    out = np.empty((LANES, w.N_O))
    w.act(given, 0, table[0, 0], load, bill, np.zeros((2, LANES)), False, out)
    assert (out[:, w.O_P_FAIL] <= 1.0).all()
