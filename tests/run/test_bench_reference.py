"""The gate: a slowdown put in on purpose is caught, noise and another machine are not, nothing vanishes."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest

from nexova_sim.analyse.remaining import stack_parameters
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.load import find_config, load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.kernels.plain import N_PLAIN, advance_plain
from nexova_sim.run import bench_reference as gate
from nexova_sim.run.bench import Clock, bench
from nexova_sim.run.bench_control import control_cpu
from nexova_sim.run.benchmark import SLACK, Benchmark

CPU_S = Benchmark("fake", "CPU-s", 10.0, "max", "seconds of work that is made up", lambda: 0.0)
RATE = Benchmark("fake", "M rows/CPU-s", 1.0, "min", "a rate that is made up, rows", lambda: 0.0)
RATIO = Benchmark("fake", "x", 1.5, "max", "two times of one run, divided", lambda: 0.0)
COUNT = Benchmark("fake", "of 200", 200.0, "min", "how many of 200 were found", lambda: 0.0, nature="exact")
ITEMS = {"cpu": CPU_S, "rate": RATE, "ratio": RATIO, "count": COUNT}
BASE = {"cpu": 4.0, "rate": 50.0, "ratio": 1.3, "count": 200.0}


@pytest.fixture
def world(monkeypatch):
    """Sets what the benchmarks measure and how fast the machine is; returns the results."""

    def measure(values, control_s=0.01, items=ITEMS, **more):
        def fixed(value):
            return value if callable(value) else lambda: value

        chosen = {name: items[name]._replace(measure=fixed(value)) for name, value in values.items()}
        for place in ("bench", "bench_reference"):
            monkeypatch.setattr(f"nexova_sim.run.{place}.BENCHMARKS", chosen)
        return bench(clock=Clock(lambda: control_s, time.process_time), **more)

    return measure


@pytest.fixture
def reference(world, tmp_path):
    gate.accept(tmp_path / "bench.json", world(BASE), True)
    return gate.read_reference(tmp_path / "bench.json")


def verdicts(results, reference, is_all=True):
    return {row.name: row.verdict for row in gate.compare_all(results, reference, is_all)}


def test_the_same_again_passes(world, reference):
    compared = gate.compare_all(world(BASE), reference, True)
    assert [row.verdict for row in compared] == ["same"] * 4 and gate.passes(compared)
    assert all(row.times == 1.0 for row in compared) and not gate.other_machine(reference)


@pytest.mark.parametrize(("name", "factor"), [("cpu", 2.0), ("rate", 0.5), ("ratio", 1.4), ("count", 199.0 / 203.0)])
def test_a_slowdown_is_caught(world, reference, name, factor):
    now = world({**BASE, name: BASE[name] * factor})
    expected = dict.fromkeys(BASE, "same")
    assert verdicts(now, reference) == {**expected, name: "worse"}
    assert not gate.passes(gate.compare_all(now, reference, True))


def test_a_bar_that_no_longer_holds_is_caught_within_the_slack(world, reference):
    assert verdicts(world({**BASE, "ratio": 1.55, "count": 199.0}), reference) == {
        "cpu": "same", "rate": "same", "ratio": "bar missed", "count": "bar missed",
    }  # fmt: skip


def test_noise_alone_passes(world, reference):
    """A hundred runs in which everything scatters by as much as was measured on a shared machine: none is refused."""
    dice = random.Random(3)
    for _ in range(100):
        now = world({
            "cpu": BASE["cpu"] * dice.uniform(0.9, 1.3), "rate": BASE["rate"] / dice.uniform(0.9, 1.3),
            "ratio": BASE["ratio"] * dice.uniform(0.9, 1.1), "count": 200.0,
        })  # fmt: skip
        assert gate.passes(gate.compare_all(now, reference, True))


@pytest.mark.parametrize("speed", [0.2, 3.0])
def test_another_machine_is_not_a_slowdown_and_does_not_hide_one(world, reference, speed):
    """Everything takes ``speed`` times as long, the control too."""
    slow = {**BASE, "cpu": BASE["cpu"] * speed, "rate": BASE["rate"] / speed}
    assert gate.passes(gate.compare_all(world(slow, 0.01 * speed), reference, True))
    slow["cpu"] *= 1.6
    assert verdicts(world(slow, 0.01 * speed), reference)["cpu"] == "worse"


def test_a_bad_moment_is_measured_again_and_a_bad_program_stays(world, reference):
    moments = iter([9.0, 4.1])
    passing = world({**BASE, "cpu": lambda: next(moments)}, doubt=gate.doubts(reference))
    assert gate.passes(gate.compare_all(passing, reference, True)) and passing[0].value == 4.1
    always = iter([9.0, 8.5, 9.5])
    failing = world({**BASE, "cpu": lambda: next(always)}, doubt=gate.doubts(reference))
    assert failing[0].value == 8.5 and verdicts(failing, reference)["cpu"] == "worse"


def test_not_measured_is_no_pass_and_new_and_vanished_are_said(world, reference):
    def broken():
        raise ValueError("gone wrong")

    now = world({"cpu": None, "rate": broken, "extra": 1.0}, items={**ITEMS, "extra": RATIO})
    found = verdicts(now, reference)
    assert found == {
        "cpu": "not measured", "rate": "failed", "extra": "new", "ratio": "vanished", "count": "vanished",
    }  # fmt: skip
    assert not gate.passes(gate.compare_all(now, reference, True))
    assert gate.passes(row for row in gate.compare_all(now, reference, True) if row.verdict == "new")
    assert "vanished" not in verdicts(now, reference, is_all=False).values()  # only a part was asked for


def test_what_never_could_be_measured_is_no_failure(world, tmp_path):
    gate.accept(tmp_path / "r.json", world({**BASE, "cpu": None}), True)
    old = gate.read_reference(tmp_path / "r.json")
    assert verdicts(world({**BASE, "cpu": None}), old)["cpu"] == "absent"
    assert verdicts(world(BASE), old)["cpu"] == "new"
    assert gate.passes(gate.compare_all(world({**BASE, "cpu": None}), old, True))


def test_another_unit_is_not_compared(world, reference):
    items = {**ITEMS, "cpu": CPU_S._replace(unit="CPU-ms")}
    assert verdicts(world({**BASE, "cpu": 4000.0}, items=items), reference)["cpu"] == "new"


def test_times_worse_by_hand():
    assert gate.times_worse(CPU_S, (6.0, 0.02), (4.0, 0.01)) == pytest.approx(0.75)  # half as fast a machine
    assert gate.times_worse(RATE, (10.0, 0.02), (30.0, 0.01)) == pytest.approx(1.5)
    assert gate.times_worse(RATIO, (3.0, 9.0), (2.0, 1.0)) == pytest.approx(1.5)
    zero = COUNT._replace(direction="max", bar=0.0)
    assert gate.times_worse(zero, (0.0, 1.0), (0.0, 1.0)) == 1.0
    assert gate.times_worse(zero, (1.0, 1.0), (0.0, 1.0)) == float("inf")
    assert gate.times_worse(RATIO, (float("nan"), 1.0), (1.0, 1.0)) == float("inf")


def test_a_part_is_accepted_into_the_whole(world, tmp_path, monkeypatch):
    path = tmp_path / "bench.json"
    gate.accept(path, world(BASE), True)
    part = [r for r in world({**BASE, "cpu": 3.0, "rate": 1.0}) if r.name == "cpu"]
    gate.accept(path, part, False)
    kept = gate.read_reference(path).benchmarks
    assert (kept["cpu"].value, kept["rate"].value) == (3.0, 50.0) and list(kept) == list(BASE)
    monkeypatch.setattr(gate, "cpu_model", lambda: "another processor")
    with pytest.raises(ConfigError, match="accept all at once"):
        gate.accept(path, part, False)
    assert gate.other_machine(gate.read_reference(path))["cpu"].endswith("-> another processor")


def test_a_failed_measurement_is_not_accepted(world, tmp_path):
    def broken():
        raise ValueError("gone wrong")

    with pytest.raises(ConfigError, match="cpu failed"):
        gate.accept(tmp_path / "r.json", world({**BASE, "cpu": broken}), True)
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": "nexova-bench"}', "\xff"])
def test_a_file_that_is_no_reference(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="is no benchmark reference"):
        gate.read_reference(path)
    with pytest.raises(DataError, match="--accept"):
        gate.read_reference(tmp_path / "none.json")


def test_the_command_accepts_and_gates(world, tmp_path, monkeypatch, capsys):
    path = tmp_path / "sub" / "bench.json"
    world(BASE)
    assert run(["bench", "--compare", str(path), "--json"]) == 3
    capsys.readouterr()
    assert run(["bench", "--accept", "--compare", str(path), "--quiet"]) == 0
    assert "host" not in path.read_text() and path.stat().st_size < 20_000
    capsys.readouterr()
    assert run(["bench", "--compare", str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["data"]
    assert [row["compared"]["verdict"] for row in rows] == ["same"] * 4
    world({**BASE, "ratio": 2.0})
    assert run(["bench", "--compare", str(path)]) == 1
    told, people = capsys.readouterr()
    assert "gate NOT passed" in people and "WORSE" in told and "gate" not in told
    monkeypatch.chdir(tmp_path)
    assert run(["bench", "--accept", "--quiet"]) == 0
    assert (tmp_path / gate.REFERENCE).is_file()


def seed_twin(factor):
    """CPU-seconds of a real kernel: 256 pumps for 2000 steps of the seed's twin, ``factor`` times, best of five."""
    pump = nominal_parameters(load_kind("pump", find_config("configs/kind")), "seed")
    params, load = stack_parameters([pump] * 256), np.full((1, 256), 0.9)
    state, ambient = np.zeros((N_PLAIN, 256)), np.full(256, 25.0)
    spent = []
    for _ in range(6):
        start = time.process_time()
        for _ in range(factor):
            advance_plain(params, load, ambient, 1.0 / 3600.0, 20_000, state)
        spent.append(time.process_time() - start)
    return min(spent[1:])


def test_twice_the_work_in_a_real_kernel_is_caught_and_the_same_work_is_not(monkeypatch, tmp_path):
    def measured(factor, doubt):
        item = {"twin": CPU_S._replace(measure=lambda: seed_twin(factor))}
        for place in ("bench", "bench_reference"):
            monkeypatch.setattr(f"nexova_sim.run.{place}.BENCHMARKS", item)
        return bench(clock=Clock(control_cpu, time.process_time), doubt=doubt)

    gate.accept(tmp_path / "r.json", measured(2, lambda _: False), True)
    reference = gate.read_reference(tmp_path / "r.json")
    doubt = gate.doubts(reference)
    assert gate.passes(gate.compare_all(measured(2, doubt), reference, True))
    slow = gate.compare_all(measured(4, doubt), reference, True)
    assert slow[0].verdict == "worse" and slow[0].times > SLACK["time"]
