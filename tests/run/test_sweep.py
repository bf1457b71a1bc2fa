"""Sweeps: the design, the pool that outlives its workers, trials that resume, tables and the effect plot."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.base.errors import CheckFailedError, ConfigError, ServiceError
from nexova_sim.cli.app import run
from nexova_sim.config.sweep import SweepConfig, load_sweep
from nexova_sim.report.effects import effects_figure
from nexova_sim.report.trajectory import figure_bytes
from nexova_sim.run.design import design, draw, settings_of, spaced
from nexova_sim.run.engines import Engine, run_dask, run_tasks
from nexova_sim.run.pool import Task, attempt, run_local
from nexova_sim.run.summary import effect_panels, interval, metric_names, summarise
from nexova_sim.run.sweep import Watch, default_root, plan_sweep, results_table, run_sweep
from nexova_sim.run.trial import Trial, flatten, read_trial, run_trial, trial_path, wanted, write_trial


def config(**changes):
    return SweepConfig.model_validate({"name": "s", "experiment": "x.yaml", **changes})


def test_a_grid_has_every_combination():
    found = design(config(axes=[
        {"key": "a", "values": [1, 2]}, {"key": "b", "range": {"low": 0, "high": 1, "steps": 3}},
        {"zip": [{"key": "c", "values": ["x", "y"]}, {"key": "d", "values": [True, False]}]},
    ]))  # fmt: skip
    assert len(found) == 12
    assert found[0] == {"a": 1, "b": 0.0, "c": "x", "d": True}
    assert found[1] == {"a": 1, "b": 0.0, "c": "y", "d": False}
    assert len({json.dumps(p, sort_keys=True) for p in found}) == 12
    assert design(config()) == [{}]


def test_ranges_are_what_one_would_write():
    c = config(axes=[{"key": "a", "range": {"low": 0.1, "high": 0.3, "steps": 3}}])
    assert spaced(c.axes[0].range) == [0.1, 0.2, 0.3]
    c = config(axes=[{"key": "a", "range": {"low": 1, "high": 1000, "steps": 4, "scale": "log", "integer": True}}])
    assert spaced(c.axes[0].range) == [1, 10, 100, 1000]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 50), st.integers(0, 1000))
def test_random_axes_cover_their_span_and_repeat(samples, seed):
    c = config(samples=samples, seed=seed, axes=[
        {"key": "a", "random": {"low": 0.1, "high": 10.0, "scale": "log"}},
        {"key": "b", "random": {"low": 1, "high": 3, "integer": True}},
    ])  # fmt: skip
    found = design(c)
    assert found == design(c)
    assert len(found) == samples
    assert all(0.1 <= p["a"] <= 10.0 and p["b"] in {1, 2, 3} for p in found)
    # A Latin hypercube: one draw in every equal part.
    parts = sorted(int((np.log(p["a"]) - np.log(0.1)) / np.log(100.0) * samples * 0.9999999) for p in found)
    assert parts == list(range(samples))
    assert len(draw(c.axes, 3, 1)) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axes": [{"key": "a"}]}, "exactly one of"),
        ({"axes": [{"values": [1]}]}, "'key' goes with"),
        ({"axes": [{"key": "a", "values": [1]}, {"key": "a", "values": [2]}]}, "stands twice"),
        ({"axes": [{"zip": [{"key": "a", "values": [1]}, {"key": "b", "values": [1, 2]}]}]}, "equally long"),
        ({"axes": [{"key": "a", "range": {"low": 2, "high": 1, "steps": 3}}]}, "below high"),
        ({"axes": [{"key": "a", "range": {"low": 0, "high": 1, "steps": 3, "scale": "log"}}]}, "above 0"),
        ({"axes": [{"key": "a", "random": {"low": 0, "high": 1}}]}, "samples"),
        ({"samples": 3}, "no random axis"),
        ({"replicates": 2}, "first seed"),
        ({"effects": [{"metric": "m", "x": "q"}]}, "is no axis"),
    ],
)
def test_a_wrong_sweep_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        config(**changes)


def test_too_many_trials_are_refused():
    axis = {"range": {"low": 0, "high": 1, "steps": 1000}}
    with pytest.raises(ConfigError, match="at most 100000"):
        design(config(axes=[{"key": "a", **axis}, {"key": "b", **axis}]))


def test_settings_are_overrides_that_read_back():
    from nexova_sim.config.load import apply_overrides

    point = {"a.b": "x: y", "c": [1, None, {"d": True}], "e": 1e-9}
    back = apply_overrides({"a": {}}, settings_of(point))
    assert back == {"a": {"b": "x: y"}, "c": [1, None, {"d": True}], "e": 1e-9}


def square(x):
    return x * x


def fail_on_three(x):
    if x == 3:
        raise ValueError("three")
    return x


def die_once(payload):
    mark, x = payload
    path = Path(mark)
    if x == 2 and not path.exists():
        path.write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def die_always(_x):
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_pool_gives_every_outcome_and_goes_on_after_errors():
    found = {d.key: d for d in run_local(fail_on_three, [Task(str(k), k) for k in range(8)], 2)}
    assert len(found) == 8
    assert found["3"].error == "ValueError: three"
    assert all(d.value == int(k) for k, d in found.items() if k != "3")
    assert attempt(square, 3)[:2] == (9, None)
    assert list(run_local(square, [], 2)) == []


def test_a_killed_worker_is_replaced_and_only_its_task_repeated(tmp_path):
    mark = str(tmp_path / "died")
    found = {d.key: d for d in run_local(die_once, [Task(str(k), (mark, k)) for k in range(6)], 2)}
    assert [found[str(k)].value for k in range(6)] == list(range(6))
    assert found["2"].attempts == 2
    assert sum(d.attempts for d in found.values()) == 7


def test_a_task_that_kills_its_worker_is_given_up():
    (done,) = run_local(die_always, [Task("x", 0)], 1)
    assert "its process died 3 times" in done.error


def test_unknown_engines():
    with pytest.raises(ConfigError, match="did you mean 'dask'"):
        run_tasks(square, [], Engine("dusk"))
    with pytest.raises(ConfigError, match="goes with --engine dask"):
        run_tasks(square, [], Engine("local", None, "tcp://x"))


def test_overhead_of_a_task_is_small():
    tasks = [Task(str(k), k) for k in range(400)]
    found = run_local(square, tasks, 1)
    assert next(found).error is None
    warm = time.monotonic()
    assert all(done.error is None for done in found)
    assert (time.monotonic() - warm) / 399 < 0.02


def test_records_are_whole_or_absent(tmp_path):
    trial = Trial("abc", {"x": 1}, 0.1, 0.2, "f")
    write_trial(tmp_path, trial)
    assert read_trial(tmp_path, "abc") == trial
    trial_path(tmp_path, "abc").write_text("{")
    assert read_trial(tmp_path, "abc") is None
    assert read_trial(tmp_path, "none") is None
    assert flatten({"a": {"b": 1, "c": [1]}, "d": "x"}) == {"a.b": 1, "d": "x"}
    assert wanted("alerts.n", ("alerts.*",))
    assert not wanted("rul.n", ("alerts.*",))


SWEEP = {
    "name": "t", "experiment": "exp.yaml", "seed": 1, "replicates": 2, "metrics": ["describe.*"],
    "axes": [{"key": "simulate.overrides.days", "values": [1, 2]}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    exp = {
        "name": "exp",
        "simulate": {"fleet": "configs/fleet/tiny.yaml", "overrides": {"dt_s": 3600, "load_interval_s": 3600}},
    }
    (tmp_path / "exp.yaml").write_text(json.dumps(exp))
    (tmp_path / "s.yaml").write_text(json.dumps(SWEEP))
    return tmp_path


def test_a_sweep_runs_resumes_and_says_what_it_found(folder):
    sweep = load_sweep(folder / "s.yaml")
    rows = plan_sweep(sweep, folder / "out")
    assert len(rows) == 4
    assert len({r.task.ident for r in rows}) == 4
    assert not (folder / "out").exists()
    done = run_sweep(sweep, folder / "out", Engine(jobs=2))
    assert (done.n_ran, done.n_cached, done.failures) == (4, 0, ())
    table = pq.read_table(done.folder / "results.parquet")
    assert table.num_rows == 4
    names = metric_names(table, ["simulate.overrides.days"])
    assert names
    frame = summarise(table, ["simulate.overrides.days"])
    assert set(frame["n"]) == {2}
    for panel in effect_panels(table, sweep.config):
        assert figure_bytes(effects_figure([panel], "t <b>$x$</b>"), "svg")
    again = run_sweep(sweep, folder / "out", Engine(jobs=2))
    assert (again.n_ran, again.n_cached) == (0, 4)
    assert again.folder == done.folder
    trial_path(folder / "out", rows[0].task.ident).unlink()
    assert run_sweep(sweep, folder / "out", Engine(jobs=1)).n_ran == 1
    assert default_root(sweep).name == "t"


def test_a_trial_by_itself_and_its_row(folder):
    row = plan_sweep(load_sweep(folder / "s.yaml"), folder / "out")[0]
    trial = run_trial(row.task)
    assert read_trial(folder / "out", row.task.ident) == trial
    table = results_table([row], {trial.ident: trial}, {}, ("describe.*",))
    assert table["status"].to_pylist() == ["ok"]
    assert table["simulate.overrides.days"].to_pylist() == [1]
    lost = results_table([row], {}, {row.task.ident: "no disk"}, ("*",))
    assert lost["error"].to_pylist() == ["no disk"]


def test_intervals_by_hand():
    mean, low, high, n = interval(np.array([1.0, 2.0, 3.0, np.nan]))
    assert (mean, n) == (2.0, 3)
    np.testing.assert_allclose(high - mean, 4.302652729911275 / np.sqrt(3), rtol=1e-9)
    np.testing.assert_allclose(mean - low, high - mean)
    assert interval(np.array([np.nan]))[3] == 0


def test_a_wrong_point_is_named_before_anything_runs(folder):
    bad = {**SWEEP, "axes": [{"key": "simulate.overrides.days", "values": [1, -2]}]}
    (folder / "bad.yaml").write_text(json.dumps(bad))
    with pytest.raises(ConfigError, match=r"point 1 \(simulate\.overrides\.days=-2\)"):
        run_sweep(load_sweep(folder / "bad.yaml"), folder / "out")
    assert not (folder / "out").exists()


def test_failed_trials_are_shown_at_once_and_tried_again(folder):
    (folder / "data").mkdir()
    exp = {
        "name": "exp",
        "simulate": {"fleet": "configs/fleet/tiny.yaml"},
        "rul": {"settings": ["asking.least_h=99999"]},
    }
    (folder / "exp.yaml").write_text(json.dumps(exp))
    sweep = load_sweep(folder / "s.yaml")
    seen = []
    done = run_sweep(sweep, folder / "out", Engine(jobs=1), watch=Watch(failed=seen.append))
    assert len(done.failures) == len(seen) == 4
    assert "no moment to ask" in seen[0].error
    assert pq.read_table(done.folder / "results.parquet")["status"].to_pylist() == ["failed"] * 4
    with pytest.raises(CheckFailedError, match="stopped by --fail-fast after 1 of 4"):
        run_sweep(sweep, folder / "out", Engine(jobs=1), fail_fast=True)


def test_the_command(folder, capsys):
    words = ["sweep", str(folder / "s.yaml"), "--out", str(folder / "out"), "--jobs", "1"]
    assert run([*words, "--dry-run"]) == 0
    assert "to run" in capsys.readouterr().out
    assert run([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["n_ran"] == 4
    assert run([*words, "--set", "metrics=[describe.gaps, alerts.nosuch]"]) == 0
    said = capsys.readouterr().err
    assert "'alerts.nosuch' fits nothing" in said and "'describe.gaps' fits nothing" not in said
    assert run([*words, "--engine", "dusk"]) == 2
    assert run(["sweep", str(folder / "none.yaml")]) == 2


@pytest.mark.filterwarnings("ignore")
def test_tasks_on_a_dask_cluster():
    found = {d.key: d for d in run_dask(fail_on_three, [Task(str(k), k) for k in range(5)], Engine("dask", 1))}
    assert {k: d.value for k, d in found.items()} == {"0": 0, "1": 1, "2": 2, "3": None, "4": 4}
    assert found["3"].error == "ValueError: three"
    with pytest.raises(ServiceError, match="no Dask scheduler answers"):
        list(run_dask(square, [Task("x", 1)], Engine("dask", 1, "tcp://127.0.0.1:9")))
