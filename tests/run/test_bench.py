"""The benchmarks: every bar is registered, small ones are measured, the heavy ones once in the slow suite."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.cli.app import run
from nexova_sim.run import bench as verb
from nexova_sim.run import bench_simulate as measure
from nexova_sim.run.bench import BENCHMARKS, QUICK, Clock, bench, cpu_model, machine, pick, spent_cpu, summary
from nexova_sim.run.bench_control import control_cpu
from nexova_sim.run.benchmark import Benchmark, is_met, nature_of, slack_of, verdict

STILL = Clock(lambda: 0.01, lambda: 0.0)


def fake(value, direction="max", **more):
    how = "a number that stands still, for the tests"
    return Benchmark("fake", "CPU-s", 1.0, direction, how, lambda: value, **more)


@pytest.fixture
def registry(monkeypatch):
    """Replace the registry of benchmarks."""
    return lambda items: monkeypatch.setattr("nexova_sim.run.bench.BENCHMARKS", items)


def test_every_bar_says_how_it_is_measured():
    for name, item in BENCHMARKS.items():
        assert item.direction in {"min", "max"}, name
        assert item.bar >= 0 and len(item.how) > 20, name
        assert nature_of(item) in {"time", "ratio", "exact"} and slack_of(item) > 1.0, name
    assert "Python" in machine() and cpu_model() in machine()


def test_pick():
    assert pick("kernel_rate") == ["kernel_rate"]
    assert pick("simulate") == [n for n, b in BENCHMARKS.items() if b.group == "simulate"]
    assert pick(None) == list(BENCHMARKS)
    assert set(pick(None, True)) == QUICK
    assert 0 < len(pick("simulate", True)) < len(pick("simulate"))
    with pytest.raises(ConfigError, match="kernel_rate"):
        pick("kernel_rat")
    with pytest.raises(ConfigError, match="leave --quick out"):
        pick("memory_peak", True)


def test_the_nature_follows_from_the_unit():
    assert nature_of(fake(1.0)) == "time"
    assert nature_of(fake(1.0)._replace(unit="x")) == "ratio"
    assert nature_of(fake(1.0, nature="exact")) == "exact"
    assert slack_of(fake(1.0, nature="exact")) < slack_of(fake(1.0)) and slack_of(fake(1.0, slack=3.0)) == 3.0
    assert is_met(fake(1.0), 1.0) and not is_met(fake(1.0), float("nan"))


def test_one_that_fails_costs_only_its_own_result(registry):
    def broken():
        raise RuntimeError("no such plant")

    registry({"a": fake(0.5), "b": fake(1.0)._replace(measure=broken), "c": fake(None), "d": fake(2.0)})
    heard = []
    results = bench(None, told=heard.append, clock=STILL)
    assert heard == results and [verdict(r) for r in results] == ["met", "FAILED", "not measured", "MISSED"]
    assert [r.ok for r in results] == [True, False, None, False]
    assert "no such plant" in results[1].error and results[1].value is None
    assert summary(results, spent_cpu()).startswith("1 met, 1 missed, 1 not measured, 1 failed")


def test_a_doubted_result_is_measured_anew_and_the_best_counts(registry):
    values = iter([3.0, 2.0, 2.5, 9.0])
    registry({"a": fake(0.0)._replace(measure=lambda: next(values))})
    assert bench("a", doubt=lambda result: result.value > 1.0, clock=STILL)[0].value == 2.0
    assert next(values) == 9.0  # tried three times, no more
    rates = iter([3.0, None, 5.0])
    registry({"a": fake(0.0, "min")._replace(measure=lambda: next(rates))})
    assert bench("a", doubt=lambda _: True, clock=STILL)[0].value == 5.0


@cache
def shared():
    counted.append(1)
    return float(len(counted))


counted: list[int] = []


def test_measuring_anew_forgets_what_benchmarks_share(registry):
    counted.clear()
    shared.cache_clear()
    registry({"a": fake(0.0, "min")._replace(measure=shared), "b": fake(0.0, "min")._replace(measure=shared)})
    assert [r.value for r in bench("fake", clock=STILL)] == [1.0, 1.0]
    assert bench("a", doubt=lambda _: True, clock=STILL)[0].value == 3.0


def test_the_control_costs_little_and_takes_time():
    spent = spent_cpu()
    assert 0.0 < control_cpu() < 1.0
    assert 0.0 < spent_cpu() - spent < 5.0


def test_a_child_is_accounted_for_alone():
    usage = measure.run_child(["--version"])
    assert 0.0 < usage.cpu_s < 20.0
    assert 5.0 < usage.peak_mib < 500.0
    assert measure.cpu_of(lambda: sum(range(100_000))) > 0.0


def test_help_is_light():
    assert measure.help_start() <= BENCHMARKS["help_start"].bar


def test_the_command_prints_the_bar_and_says_each_result_at_once():
    done = subprocess.run(
        [sys.executable, "-m", "nexova_sim", "bench", "help_start", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    row = json.loads(done.stdout)["data"][0]
    assert row["name"] == "help_start" and row["ok"] is True and row["cpu_s"] > 0.1
    assert done.stderr.startswith("help_start: 0.")


def test_a_missed_or_failed_bar_is_exit_1_and_an_absent_one_is_told(registry, capsys):
    registry({"a": fake(2.0)})
    assert run(["bench", "a", "--quiet"]) == 1
    assert "MISSED" in capsys.readouterr().out
    registry({"a": fake(None)})
    assert run(["bench", "a"]) == 0
    told = capsys.readouterr()
    assert "not measured" in told.out and "not measured" in told.err
    assert run(["bench", "b"]) == 2


def test_interrupted_keeps_what_was_measured(registry, capsys):
    def interrupted():
        raise KeyboardInterrupt

    registry({"a": fake(0.5), "b": fake(0.5)._replace(measure=interrupted)})
    assert run(["bench"]) == 130
    told = capsys.readouterr()
    assert "a" in told.out and "met" in told.out and "interrupted" in told.err
    assert run(["bench", "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "INTERRUPTED"


def test_a_list_measures_nothing(registry, capsys):
    registry({"a": fake(0.5)._replace(measure=lambda: pytest.fail("measured"))})
    assert run(["bench", "--list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["data"]
    assert row["name"] == "a" and row["bar"] == 1.0 and row["nature"] == "time" and row["is_quick"] is False
    assert run(["bench", "--list"]) == 0
    assert "stands still" in capsys.readouterr().out


def test_nothing_is_doubted_or_told_by_default(registry):
    registry({"a": fake(0.5)})
    (result,) = bench("a", clock=STILL)
    assert verb.no_doubt(result) is False
    verb.no_word(result)


def test_the_kernel_is_many_times_faster_than_numpy():
    ratio = measure.kernel_vs_numpy()
    assert ratio is not None
    assert ratio >= BENCHMARKS["kernel_vs_numpy"].bar


@pytest.mark.slow
def test_everything_can_be_measured():
    assert measure.kernel_rate() > 1.0 and measure.kernel_rate_minutes() > 1.0
    assert measure.simulate_rate() > 0.5 and measure.simulate_vs_pyarrow() > 1.0
    scaling = measure.thread_scaling()
    assert scaling is None or scaling > 0.5
    assert measure.memory_growth() <= BENCHMARKS["memory_growth"].bar
    assert measure.memory_peak() <= BENCHMARKS["memory_peak"].bar
    assert measure.compile_once() > 1.0
    assert measure.cached_start() > 0.2
