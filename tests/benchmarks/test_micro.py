"""The micro table (pytest-benchmark): ``make bench-micro`` times kernels and steps; the suite runs each once.

Not part of any gate: the bars are those of ``nexova bench``.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from nexova_sim.analyse.remaining import stack_parameters
from nexova_sim.approve.audit import EMPTY, blank, seal, verify_chain
from nexova_sim.base.hashing import hash_value
from nexova_sim.config.load import find_config, load_fleet, load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.decide.decision import parse_decision
from nexova_sim.forecast.blend import blend
from nexova_sim.kernels.plain import N_PLAIN, advance_plain
from nexova_sim.kernels.windows import WindowState, roll
from nexova_sim.run.bench_forecast import fleet_panel
from nexova_sim.run.data import query
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.plan import plan_block, plan_fleet

ANSWER = '{"machineStatus": "WARNING", "actionTaken": "MAINTENANCE"'


def test_seed_twin_256_machines_200_steps(benchmark):
    pump = nominal_parameters(load_kind("pump", find_config("configs/kind")), "seed")
    params, load = stack_parameters([pump] * 256), np.full((1, 256), 0.9)
    state, ambient = np.zeros((N_PLAIN, 256)), np.full(256, 25.0)
    benchmark(advance_plain, params, load, ambient, 1.0 / 3600.0, 200, state)
    assert state[0].max() > 0.0


def test_rolling_features_100_000_readings(benchmark):
    n = 100_000
    values = np.random.default_rng(0).standard_normal((3, n)).astype(np.float32)
    machine, at = np.zeros(n, np.int32), np.arange(n, dtype=np.int64) * 60_000
    state = WindowState(np.full((1, 3, 30), np.nan, np.float32), np.zeros((1, 3, 3)), np.zeros((1, 2), np.int64))
    out = np.empty((9, n), np.float32)
    benchmark(roll, machine, at, values, 3_600_000, state, out)
    assert np.isfinite(out[:, -1]).all()


def test_block_of_tiny_plant(benchmark):
    plan = plan_fleet(load_fleet("configs/fleet/tiny.yaml", ["days=1"]))
    block = plan_block(plan, 0)
    chunks = benchmark(lambda: list(run_block_periods(plan, block)))
    assert chunks


def test_blend_of_20_machines(benchmark):
    panel = fleet_panel(20)
    found = benchmark(blend, panel)
    assert np.isfinite(found.mean).all()


def test_query_of_tiny_plant(benchmark, tiny_dataset):
    table = benchmark(query, tiny_dataset, "SELECT machine_id, avg(power_kw) AS p FROM readings GROUP BY ALL")
    assert table.num_rows == 8


def test_audit_chain_of_200_entries(benchmark):
    dice, log, anchor = random.Random(1), [], EMPTY
    for k in range(200):
        placed, anchor = seal(anchor, blank(1_770_000_000_000 + k, "submit", f"m{dice.randrange(4)}", {"k": k}))
        log.append(placed)
    assert benchmark(verify_chain, log, {"kept elsewhere": anchor}) == []


def test_configuration_read_and_hashed(benchmark):
    path = find_config("configs/fleet/plant.yaml")
    assert len(benchmark(lambda: hash_value(load_fleet(path).fleet.model_dump(mode="json")))) == 64


@pytest.mark.parametrize("text", [ANSWER, "```json\n{}\n```"])
def test_a_model_answer_read(benchmark, text):
    assert benchmark(parse_decision, text).path
