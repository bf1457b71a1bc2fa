"""The benchmarks: every bar is registered, small ones are measured, the heavy ones once in the slow suite."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.run import bench_simulate as measure
from nexova_sim.run.bench import BENCHMARKS, bench, machine, pick


def test_every_bar_says_how_it_is_measured():
    for name, item in BENCHMARKS.items():
        assert item.direction in {"min", "max"}, name
        assert item.bar > 0 and len(item.how) > 20, name
    assert "Python" in machine()


def test_pick():
    assert pick("kernel_rate") == ["kernel_rate"]
    assert pick("simulate") == [n for n, b in BENCHMARKS.items() if b.group == "simulate"]
    assert pick(None) == list(BENCHMARKS)
    with pytest.raises(ConfigError, match="kernel_rate"):
        pick("kernel_rat")


def test_a_child_is_accounted_for_alone():
    usage = measure.run_child(["--version"])
    assert 0.0 < usage.cpu_s < 20.0
    assert 5.0 < usage.peak_mib < 500.0
    assert measure.cpu_of(lambda: sum(range(100_000))) > 0.0


def test_help_is_light():
    assert measure.help_start() <= BENCHMARKS["help_start"].bar


def test_the_command_prints_the_bar_and_fails_when_it_is_missed(monkeypatch):
    done = subprocess.run(
        [sys.executable, "-m", "nexova_sim", "bench", "help_start", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    row = json.loads(done.stdout)["data"][0]
    assert row["name"] == "help_start" and row["ok"] is True
    slow = BENCHMARKS["help_start"]._replace(measure=lambda: 9.0)
    monkeypatch.setattr("nexova_sim.run.bench.BENCHMARKS", {"help_start": slow})
    assert bench("help_start")[0].ok is False
    absent = slow._replace(measure=lambda: None)
    monkeypatch.setattr("nexova_sim.run.bench.BENCHMARKS", {"help_start": absent})
    assert bench("help_start")[0].ok is None


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
