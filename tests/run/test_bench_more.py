"""The benchmarks of counts, remaining life, the detector's gate and the demonstration measure what they say."""

from __future__ import annotations

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.run import bench_alerts as alerts
from nexova_sim.run import bench_counted as counted
from nexova_sim.run import bench_detection as detection
from nexova_sim.run import bench_experiment as experiment
from nexova_sim.run import bench_rul as rul

KINDS = ("pump", "motor", "compressor", "conveyor")
FEW = tuple(f"factories.{f}.machines.{k}={int(f == 0 and k != 'conveyor') * 4}" for f in range(4) for k in KINDS)


def test_flipped_bits_are_counted_and_a_blind_check_is_seen(monkeypatch):
    assert counted.flips_found(12) == 12.0
    monkeypatch.setattr(counted, "_is_refused", lambda _: False)
    assert counted.flips_found(3) == 0.0
    monkeypatch.setattr(counted, "_is_refused", lambda _: True)  # refuses the whole dataset too
    assert counted.flips_found(3) == 0.0


def test_tests_are_counted_where_there_are_any(monkeypatch, tmp_path):
    assert counted.passed_tests("approve/test_mutants.py", "the_list_is_long_enough") == 1.0
    assert counted.passed_tests("approve/no_such_test.py", "x") is None
    assert counted.passed_tests("approve/test_mutants.py", "x", "no_such_library.inner") is None
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_f.py").write_text("def test_a(): pass\ndef test_b(): assert False\n")
    monkeypatch.setattr(counted, "_ROOT", tmp_path)
    assert counted.passed_tests("test_f.py", "test_a") == 1.0
    assert counted.passed_tests("test_f.py", "test_") == 0.0


def test_the_turbofan_file_is_measured_only_where_it_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv(rul.VARIABLE, raising=False)
    assert rul.fd001_rmse() is None
    monkeypatch.setenv(rul.VARIABLE, str(tmp_path / "none.txt"))
    with pytest.raises(ConfigError, match="no such file"):
        rul.fd001_rmse()


def test_every_bar_of_a_group_is_there():
    assert {b.group for b in counted.BENCHMARKS.values()} == {"counted"}
    assert {b.group for b in rul.BENCHMARKS.values()} == {"rul"}
    assert {b.group for b in detection.BENCHMARKS.values()} == {"anomaly"}
    assert {b.group for b in experiment.BENCHMARKS.values()} == {"experiment"}


@pytest.mark.slow
def test_remaining_life_is_judged_on_a_plant(monkeypatch, tmp_path):
    few = (*FEW, "days=20", "start_age_frac=[0.6, 0.98]")
    assert 0.0 < rul.crps_ratio(few) < 1.5
    assert 0.0 < rul.brier_ratio(few) < 2.0
    assert 0.0 <= rul.interval_held("uncapped", few) <= rul.interval_held("capped", few) <= 100.0
    import random

    dice = random.Random(1)
    rows = [
        " ".join([str(unit), str(c), *(f"{c / n + dice.random() / 9:.4f}" for _ in range(24))])
        for unit in range(1, 25)
        for n in [dice.randrange(120, 200)]
        for c in range(1, n + 1)
    ]
    (tmp_path / "train.txt").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv(rul.VARIABLE, str(tmp_path / "train.txt"))
    rmse = rul.fd001_rmse(("learning.n_rounds=5", "learning.n_trees=5", "learning.n_folds=2"))
    assert rmse is not None and 0.0 < rmse < 100.0


@pytest.mark.slow
def test_the_gate_of_the_detector_is_measured():
    few = ("days=16", "faults.rate_factor=10")
    fast = ("n_bootstrap=20", "n_random=5")
    assert 0.0 <= detection.recall(few, fast) <= 1.0
    assert 0.0 <= detection.precision_low(few, fast) <= 1.0
    assert 0.0 <= detection.alarm_rate(few, fast) < 2.0
    assert detection.judged(few, fast)["alarms_per_machine_day"] == detection.alarm_rate(few, fast)


@pytest.mark.slow
def test_alert_policies_are_compared_once_for_several_bars():
    few = (*FEW, "days=6", "faults.rate_factor=5")
    kept = alerts.recall_kept(few)
    assert kept is None or 0.0 <= kept <= 1.5
    assert alerts.chattering(few) >= 0.0
    assert 0.5 < alerts.memory_growth((1, 2)) < 2.0


@pytest.mark.slow
def test_the_demonstration_is_measured_with_nothing_compiled():
    assert experiment.demo_cpu("configs/experiment/small.yaml") > 5.0
