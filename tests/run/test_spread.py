"""Work spread over processes and a real cluster: the same bytes, and only what was lost is done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import ConfigError, DataError, UsageError
from nexova_sim.base.hashing import hash_file
from nexova_sim.cli.app import run
from nexova_sim.config.load import load_fleet
from nexova_sim.config.sweep import load_sweep
from nexova_sim.dataset.stage import staged
from nexova_sim.run.bench_sweep import overhead
from nexova_sim.run.block import keep_or_write, write_block
from nexova_sim.run.engines import Engine, check_engine, run_tasks
from nexova_sim.run.pool import Task, run_local
from nexova_sim.run.records import read_provenance
from nexova_sim.run.simulate import simulate
from nexova_sim.run.spread import BlockTask, simulate_block, spread_blocks
from nexova_sim.run.sweep import Watch, run_sweep

WIDE = ["days=1", "dt_s=900", "load_interval_s=900", "factories.0.machines={pump: 20, motor: 20}",
        "faults.scheduled=[]"]  # fmt: skip


def files(folder):
    return {p.relative_to(folder).as_posix(): hash_file(p) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    resolved = load_fleet("configs/fleet/tiny.yaml", WIDE)
    folder = tmp_path_factory.mktemp("threads") / "out"
    simulate(resolved, folder, 1)
    return resolved, files(folder)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as there:
        yield there


def test_processes_write_the_same_bytes(fleet, tmp_path):
    resolved, expected = fleet
    seen = []
    done = simulate(resolved, tmp_path / "out", progress=lambda *part: seen.append(part), engine=Engine("local", 2))
    assert files(done.folder) == expected and seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_the_same_bytes(fleet, cluster, tmp_path):
    resolved, expected = fleet
    done = simulate(resolved, tmp_path / "out", engine=Engine("dask", None, cluster.scheduler_address))
    assert files(done.folder) == expected


def test_a_worker_with_other_code_or_another_disk_is_told(fleet, tmp_path):
    resolved, _ = fleet
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "out", {}) as stage:
        task = BlockTask(stage, resolved, "c", "code", {}, 0)
        with pytest.raises(DataError, match="other code or libraries"):
            simulate_block(task)
        raise KeyboardInterrupt
    from nexova_sim.base.hashing import code_hash
    from nexova_sim.dataset.stage import packages
    from nexova_sim.run.block import SIMULATE_ROOMS

    blind = task._replace(code=code_hash(*SIMULATE_ROOMS), packages=packages(),
                          stage=stage._replace(folder=tmp_path / "other"))  # fmt: skip
    with pytest.raises(DataError, match="does not see"):
        simulate_block(blind)
    assert callable(write_block) and callable(keep_or_write) and callable(spread_blocks)


def test_a_failed_block_ends_the_simulation_and_the_rest_resumes(fleet, tmp_path, monkeypatch):
    resolved, expected = fleet
    from nexova_sim.run import spread

    monkeypatch.setattr(spread, "code_hash", lambda *_rooms: "other")
    with pytest.raises(DataError, match=r"block 0 of 3: DATA: the worker on .*run again to resume"):
        # In this process, so that the worker's code can be another.
        monkeypatch.setattr(spread, "run_tasks", run_here)
        simulate(resolved, tmp_path / "out", engine=Engine("local", 1))
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    assert files(simulate(resolved, tmp_path / "out", 1, engine=Engine("local", 1)).folder) == expected


def run_here(function, tasks, _engine):
    from nexova_sim.run.pool import Done, attempt

    for task in tasks:
        value, error, cpu_s = attempt(function, task.payload)
        yield Done(task.key, value, error, 1, cpu_s)


@pytest.mark.parametrize(("words", "message"), [
    (["--engine", "dusk"], "did you mean 'dask'"), (["--scheduler", "tcp://x:1"], "goes with --engine dask"),
    (["--engine", "local", "--scheduler", "tcp://x:1"], "goes with --engine dask"),
])  # fmt: skip
def test_engines_on_the_command_line(tmp_path, capsys, words, message):
    assert run(["simulate", "--config", "configs/fleet/tiny.yaml", "--out", str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()
    with pytest.raises(ConfigError):
        check_engine(Engine("dusk"))


def work_like_a_trial(payload):
    """Leaves a line per start and a record when done; does nothing when there is a record; number 3 dies at first."""
    folder, number = Path(payload[0]), payload[1]
    record, log = folder / f"{number}.done", folder / f"{number}.log"
    if not record.exists():
        with log.open("a") as handle:
            handle.write(f"{os.getpid()}\n")
        if number == 3 and len(log.read_text().split()) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        record.touch()
    return number


@pytest.mark.filterwarnings("ignore")
def test_a_worker_of_a_cluster_is_killed_and_only_its_task_repeated(cluster, tmp_path):
    tasks = [Task(str(k), (str(tmp_path), k)) for k in range(8)]
    engine = Engine("dask", None, cluster.scheduler_address)
    outcomes = {done.key: done.value for done in run_tasks(work_like_a_trial, tasks, engine)}
    assert outcomes == {str(k): k for k in range(8)}
    starts = {k: (tmp_path / f"{k}.log").read_text().split() for k in range(8)}
    assert [len(pids) for pids in starts.values()] == [1, 1, 1, 2, 1, 1, 1, 1]
    assert starts[3][0] != starts[3][1]


SWEEP = {
    "name": "t", "experiment": "exp.yaml", "seed": 1, "replicates": 2, "metrics": ["describe.*"],
    "axes": [{"key": "simulate.overrides.days", "values": [1, 2, 3]}],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_sweep_outlives_a_killed_worker_of_its_cluster(cluster, tmp_path):
    overrides = {"dt_s": 3600, "load_interval_s": 3600}
    exp = {"name": "exp", "simulate": {"fleet": "configs/fleet/tiny.yaml", "overrides": overrides}}
    (tmp_path / "exp.yaml").write_text(json.dumps(exp))
    (tmp_path / "s.yaml").write_text(json.dumps(SWEEP))
    sweep = load_sweep(tmp_path / "s.yaml")
    pids = [worker.pid for worker in cluster.workers.values()]
    killed = []

    def kill(done, total):
        if done == 1 and total and not killed:
            killed.append(pids[0])
            os.kill(pids[0], signal.SIGKILL)

    done = run_sweep(sweep, tmp_path / "out", Engine("dask", None, cluster.scheduler_address), watch=Watch(kill))
    assert killed and (done.n_ran, done.failures) == (6, ())
    folders = [p for p in (tmp_path / "out/runs").iterdir() if p.name != "stages"]
    # A trial that was finished was not run a second time, whoever had finished it.
    assert len(folders) == 6 and all(len(read_provenance(folder)) == 1 for folder in folders)
    local = run_sweep(sweep, tmp_path / "local", Engine("local", 2))
    drop = ["cpu_s", "wall_s"]
    tables = [pq.read_table(d.folder / "results.parquet").drop_columns(drop) for d in (done, local)]
    assert tables[0].equals(tables[1])


def test_a_script_without_its_guard_is_told_and_does_not_go_on_for_ever(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from nexova_sim.run.pool import Task, run_local\n"
        "print(list(run_local(abs, [Task(str(k), k) for k in range(50)], 2)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and "if __name__ == '__main__':" in done.stderr
    assert done.stderr.count("bootstrapping phase") <= 2
    assert issubclass(UsageError, Exception) and callable(run_local)


def test_an_address_that_is_none_is_refused(fleet, tmp_path):
    with pytest.raises(ConfigError, match=r"--scheduler nonsense: .*give an address like tcp://"):
        simulate(fleet[0], tmp_path / "out", engine=Engine("dask", None, "nonsense"))


def test_overhead_is_measured_from_real_sweeps():
    per_trial, own = overhead(4, 64)
    # The bar itself is judged by the benchmark; sixty trials are too few for it.
    assert -5.0 < per_trial < 40.0 and own > 0.0
