"""The plan of a run: names, streams, build, periods, blocks."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from naive import random_bits, stream_key
from naive import weibull_age_h as naive_age
from scipy.stats import kstest
from small_fleets import NO_SERVICE, run, small_fleet
from tolerances import REORDER

from nexova_sim.kernels import rows as r
from nexova_sim.kernels.random import BUILD, LIFE
from nexova_sim.simulate.blocks import first_state, make_inputs, noise_of, run_period, site_inputs
from nexova_sim.simulate.machines import (
    draw,
    duty_params,
    machine_params,
    make_machines,
    name_key,
    pad,
    parameter_row,
    start_state,
    streams,
)
from nexova_sim.simulate.plan import ambient_of, plan_block, plan_blocks, plan_fleet, plan_periods

MIXED = {"pump": 2, "motor": 1, "compressor": 1, "conveyor": 1}


def periods(**edits: object):
    return plan_periods(small_fleet(edits))


def test_periods_cover_the_run_without_gap():
    for edits in (
        {"days": 100},
        {"days": 3.3, "dt_s": 1},
        {"days": 0.01},
        {"days": 400, "output": {"partition": "day"}},
    ):
        ps = periods(**edits)
        assert [p.number for p in ps] == list(range(len(ps)))
        assert ps[0].first_slot == 0
        for a, b in pairwise(ps):
            assert a.first_slot + a.n_slots == b.first_slot
        assert ps[-1].first_slot + ps[-1].n_slots == small_fleet(edits).fleet.n_slots
        assert len({p.label for p in ps}) == len(ps)


def test_months_and_days_by_the_calendar():
    ps = periods(start="2026-01-30T12:00:00Z", days=32, output={"partition": "month"})
    assert [(p.label, p.n_slots) for p in ps] == [
        ("month=2026-01", 432),
        ("month=2026-02", 28 * 288),
        ("month=2026-03", 720),
    ]
    ps = periods(start="2028-02-28T12:00:00Z", days=2, output={"partition": "day"})
    assert [(p.label, p.n_slots) for p in ps] == [
        ("date=2028-02-28", 144),
        ("date=2028-02-29", 288),
        ("date=2028-03-01", 144),
    ]
    ps = periods(start="2026-12-31T00:00:00Z", days=2, output={"partition": "month"})
    assert [p.label for p in ps] == ["month=2026-12", "month=2027-01"]


def test_dense_data_go_by_day():
    assert periods(days=2, dt_s=60)[0].label.startswith("month=")
    assert periods(days=2, dt_s=1)[0].label.startswith("date=")


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 200, 1000])
def test_blocks_are_full_and_even(n):
    blocks = plan_blocks(n)
    assert blocks[0][0] == 0 and sum(size for _, size in blocks) == n
    assert all(a + size == b for (a, size), (b, _) in pairwise(blocks))
    sizes = [size for _, size in blocks]
    assert max(sizes) <= r.LANES and max(sizes) - min(sizes) <= 1
    assert len(blocks) == math.ceil(n / r.LANES)


def test_names_and_streams():
    machines = make_machines(small_fleet({"machines": {"pump": 12, "motor": 1}}))
    assert machines[0].id == "f-pump-001" and machines[11].id == "f-pump-012" and machines[12].id == "f-motor-001"
    assert machines[0].name == "Centrifugal pump 001"
    keys = streams(11, "f-pump-001")
    np.testing.assert_array_equal(machines[0].keys, keys)
    assert int(keys[3]) == stream_key(11, int(name_key("f-pump-001")), 3)
    assert draw(keys[BUILD], 2, 3)[0] == (random_bits(int(keys[BUILD]), 2) + 0.5) / 2**32


def test_build_spread_is_uniform_and_bounded():
    resolved = small_fleet({"machines": {"pump": 600}})
    rise = (
        np.array([m.build["rise_k"] for m in make_machines(resolved)]) / resolved.kinds["pump"].thermal.rise_at_rated_k
    )
    assert rise.min() >= 0.95 and rise.max() <= 1.05
    assert kstest((rise - 0.95) / 0.1, "uniform").pvalue > 1e-4
    exact = make_machines(small_fleet({"build_spread_frac": 0.0}))
    assert {m.build["tau_h"] for m in exact} == {25 / 60}


def test_start_ages_fill_their_range_and_fit_the_damage():
    machines = make_machines(
        small_fleet({"machines": {"pump": 500}, "start_age_frac": [0.2, 0.8], "build_spread_frac": 0.0})
    )
    wear = np.array([m.build["wear_start_frac"] for m in machines])
    runtime = np.array([m.runtime_start_h for m in machines])
    x = 0.7
    grown = 1.65 * x / 2.0 * np.expm1(1e-4 * 2.0 * runtime)
    np.testing.assert_allclose(wear, grown, **REORDER)
    np.testing.assert_allclose([m.build["electrical_start_frac"] for m in machines], 1e-5 * x * x * runtime, **REORDER)
    life_h = math.log(1 + 2.0 / (1.65 * x)) / 2e-4
    assert 4000 < life_h < 9000
    assert kstest(runtime / life_h, "uniform", args=(0.2, 0.6)).pvalue > 1e-4


def test_seed_physics_has_the_seed_constants():
    (machine, *_) = make_machines(small_fleet({"physics": "seed"}, {"pump": {"rated_kw": 16.5}}))
    assert machine.build["rise_k"] == pytest.approx(41.25)
    assert machine.build["tau_h"] * 3600 == pytest.approx(50.0)
    assert machine.build["vib_rated_mm_s"] == pytest.approx(1.65)
    p = machine_params(
        [machine], small_fleet({"physics": "seed"}, {"pump": {"rated_kw": 16.5, "damage": {"bearing_exponent": 3.0}}})
    )
    assert p.weibull_scale_h[0] == 1e15 and p.bearing_exponent[0] == 1.0 and p.heat_linear[0] == 1.0


def test_parameters_of_unused_lanes_repeat_the_last_machine():
    resolved = small_fleet({"machines": MIXED})
    machines = make_machines(resolved)
    p = machine_params(machines, resolved)
    for values in p:
        assert values.shape == (r.LANES,) and (values[5:] == values[4]).all()
    assert p.rated_kw[:5].tolist() == [15.0, 15.0, 18.5, 30.0, 11.0]
    assert pad([1, 2], np.int64).tolist() == [1, 2] + [2] * 14
    row = parameter_row(machines[2], resolved.kinds["motor"], resolved.fleet)
    assert {name: float(values[2]) for name, values in p._asdict().items()} == row
    d = duty_params(machines, resolved, [0, 0, 1, 2, 3])
    assert d.cycle_slots[:5].tolist() == [0, 0, 0, 4.0, 0] and d.idle_share[4] == 0.12
    assert d.memory[0] == pytest.approx(math.exp(-1 / 24), rel=1e-15)


def test_on_failure_leave_means_no_response():
    resolved = small_fleet({"maintenance": {"on_failure": "leave", **NO_SERVICE}})
    assert machine_params(make_machines(resolved), resolved).response_h[0] >= 1e15


def test_state_before_the_first_slot():
    resolved = small_fleet({"machines": MIXED})
    plan = plan_fleet(resolved)
    block = plan_block(plan, 0)
    state = first_state(plan, block)
    np.testing.assert_allclose(state.real[r.S_TEMP], ambient_of(plan, 0, plan.periods[0])[0], **REORDER)
    bare = start_state(block.machines, r.MachineParams(*block.block.params), block.duty, 3)
    assert (bare.real[r.S_TEMP] == 25.0).all() and bare.cleared.tolist() == [-1, -1, -1]
    assert (state.flag[r.I_STATUS] == r.STATUS_UNKNOWN).all()
    for j, machine in enumerate(block.machines):
        kind = resolved.kinds[machine.kind]
        u = (random_bits(int(machine.keys[LIFE]), 0) + 0.5) / 2**32
        limit = naive_age(machine.runtime_start_h, kind.hazard.weibull_shape, kind.hazard.weibull_scale_h, u)
        np.testing.assert_allclose(state.real[r.S_LIMIT, j], limit, **REORDER)
        assert limit > machine.runtime_start_h


def test_random_lives_follow_their_hazard():
    """Of the pumps that survived to their age, the further life is Weibull conditional on it."""
    resolved = small_fleet({"machines": {"pump": 800}, "start_age_frac": [0.0, 0.9]})
    plan = plan_fleet(resolved)
    survival = []
    for number in range(len(plan.blocks)):
        block = plan_block(plan, number)
        real = first_state(plan, block).real[:, : len(block.machines)]
        survival.extend(np.exp((real[r.S_AGE] / 35_000) ** 1.2 - (real[r.S_LIMIT] / 35_000) ** 1.2))
    assert kstest(survival, "uniform").pvalue > 1e-4


def test_inputs_of_a_period():
    plan = plan_fleet(small_fleet({"machines": MIXED, "days": 2, "output": {"partition": "day"}}))
    block = plan_block(plan, 0)
    state = first_state(plan, block)
    site = site_inputs(plan, block, plan.periods[0])
    inputs, variation = make_inputs(plan, block, plan.periods[0], state.real[r.S_VARIATION], site)
    assert inputs.load.shape == inputs.plan.shape == inputs.ambient_c.shape == (288, r.LANES)
    assert (inputs.ambient_c == inputs.ambient_c[:, :1]).all()
    _, after = run_period(plan, block, plan.periods[0], state, wants_rows=False)
    np.testing.assert_array_equal(after.real[r.S_VARIATION], variation)
    assert noise_of(plan, "pump", "power_kw").tolist() == [0.0, np.float32(0.1), 100.0]


def test_a_period_without_rows_leads_to_the_same_state():
    plan = plan_fleet(small_fleet({"machines": MIXED, "faults": {"random": True, "rate_factor": 50.0}}))
    block = plan_block(plan, 0)
    with_rows, without = (
        run_period(plan, block, plan.periods[0], first_state(plan, block), wants)[1] for wants in (True, False)
    )
    np.testing.assert_array_equal(with_rows.real, without.real)
    np.testing.assert_array_equal(with_rows.flag, without.flag)


@pytest.mark.parametrize("others", [{"motor": 5, "pump": 3}, {"pump": 40}, {"compressor": 9, "conveyor": 8, "pump": 3}])
def test_a_machine_does_not_depend_on_the_rest_of_the_fleet(others):
    """Same name, seed and site: same life, whatever block and lane the machine falls into."""
    edits = {"days": 2, "faults": {"random": True, "rate_factor": 60.0}, "maintenance": {"planned_interval_days": 2.0}}
    alone = run(small_fleet({**edits, "machines": {"pump": 3}}))
    large = small_fleet({**edits, "machines": others})
    place = next(n for n, m in enumerate(make_machines(large)) if m.id == "f-pump-003")
    number = next(
        n for n, (first, size) in enumerate(plan_blocks(large.fleet.n_machines)) if first <= place < first + size
    )
    among = run(large, number)
    lane = [m.id for m in among.block.machines].index("f-pump-003")
    np.testing.assert_array_equal(among.truth[lane], alone.truth[2])
    for channel in ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status"):
        np.testing.assert_array_equal(among.readings(channel)[lane], alone.readings(channel)[2])
    assert among.events(lane) == alone.events(2)


def test_another_seed_is_another_fleet():
    a, b = (run(small_fleet({"seed": seed})) for seed in (1, 2))
    assert (a.readings("temperature_c") != b.readings("temperature_c")).mean() > 0.9
