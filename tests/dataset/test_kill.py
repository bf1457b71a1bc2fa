"""kill -9 at any moment: ``out`` is whole or not there, and running again gives the bytes of an uninterrupted run."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forge import FLEET, SMALL_FLEET, Forge, contents

from nexova_sim.base.errors import DataError
from nexova_sim.schema.manifest import load_manifest

N_KILLS = int(os.environ.get("NEXOVA_KILLS", "30"))
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def forge():
    worker = Forge()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def whole(forge, tmp_path_factory):
    """Folder with two configurations, and the contents of an uninterrupted run of each."""
    home = tmp_path_factory.mktemp("kill")
    (home / "big.yaml").write_text(FLEET, encoding="utf-8")
    (home / "small.yaml").write_text(SMALL_FLEET, encoding="utf-8")
    ends = {
        n: forge.run(["simulate", "-c", home / f"{n}.yaml", "--out", home / n, "--jobs", 1]) for n in ("big", "small")
    }
    assert [e.code for e in ends.values()] == [0, 0]
    return home, {name: contents(home / name) for name in ends}, ends["small"].n_steps


def check_nothing_false(out: Path, expected: dict[str, str]) -> None:
    """``out`` is whole or absent; a staging folder never reads as a dataset unless every file of one is in it."""
    if out.exists():
        assert contents(out) == expected
    partial = out.with_name(out.name + ".partial")
    if partial.exists():
        inside = contents(partial)
        inside.pop("plan.json", None)
        if "manifest.json" in inside:
            assert {k: v for k, v in inside.items() if not k.endswith(".tmp")} == expected
        else:
            with pytest.raises(DataError, match="interrupted"):
                load_manifest(partial)


def remains(out: Path) -> list[str]:
    return sorted(p.name for p in out.parent.glob(out.name + ".*"))


def test_killed_at_every_step_of_writing(forge, whole, tmp_path):
    """Each fsync, rename, unlink and mkdir in turn; a file is torn in half when it dies before its fsync."""
    home, expected, n_steps = whole
    assert n_steps > 50
    for step in range(1, n_steps + 1):
        out = tmp_path / f"s{step}"
        arguments = ["simulate", "-c", home / "small.yaml", "--out", out, "--jobs", 1]
        assert forge.run(arguments, at=step).code == KILLED
        check_nothing_false(out, expected["small"])
        was_there = out.exists()
        ended = forge.run([*arguments, "--quiet"])
        assert ended.code == 0, ended.stderr
        assert contents(out) == expected["small"], f"killed at step {step}"
        assert set(remains(out)) <= {f"s{step}.lock"}, f"killed at step {step}"
        if (tmp_path / f"s{step}.lock").exists():
            assert was_there  # killed when only the lock file was left to remove
        shutil.rmtree(out)


def test_killed_at_random_moments(forge, whole, tmp_path):
    """The same folder is killed again and again until a run gets through; two threads, so that files are cut midway."""
    home, expected, _ = whole
    chance = random.Random(20_260_301)
    kills, finished, during_writing = 0, 0, 0
    while kills < N_KILLS:
        out = tmp_path / f"r{finished}"
        arguments = ["simulate", "-c", home / "big.yaml", "--out", out, "--jobs", 2]
        for _ in range(chance.randint(2, 6)):
            pid = forge.start(arguments)
            wanted = chance.choice(["early", "file", "file", "late"])
            _wait(out, wanted, chance)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if forge.end().code == KILLED:
                kills += 1
                partial = out.with_name(out.name + ".partial")
                during_writing += (partial / "plan.json").exists()
            check_nothing_false(out, expected["big"])
        assert forge.run(arguments).code == 0
        assert contents(out) == expected["big"]
        # Killed when only the lock file was left to remove: a lock that nobody holds, and the next run takes it over.
        assert set(remains(out)) <= {f"{out.name}.lock"}
        shutil.rmtree(out)
        finished += 1
    assert during_writing >= N_KILLS // 2


def _n_files(folder: Path) -> int:
    """Parquet files below a folder that another process may be renaming: os.walk passes over what is gone."""
    return sum(".parquet" in name for _, _, names in os.walk(folder) for name in names)


def _wait(out: Path, wanted: str, chance: random.Random) -> None:
    """Until some moment of a run: at once, when one more file has appeared, or some time later."""
    end = time.monotonic() + 5.0
    partial = out.with_name(out.name + ".partial")
    before = _n_files(partial)
    while wanted != "early" and time.monotonic() < end:
        if out.exists() or _n_files(partial) > before + chance.randint(0, 8):
            break
        time.sleep(0.001)
    time.sleep(chance.uniform(0.0, 0.03 if wanted != "late" else 0.08))


def test_killed_as_a_real_process(whole, tmp_path):
    """The same without the forge: a process of its own, killed when files have begun to appear."""
    home, expected, _ = whole
    out = tmp_path / "real"
    command = [sys.executable, "-m", "nexova_sim", "simulate", "-c", home / "big.yaml", "--out", out, "--jobs", "2"]
    for n_files in (1, 12):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60.0
        partial = tmp_path / "real.partial"
        while time.monotonic() < end and process.poll() is None and _n_files(partial) < n_files:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == KILLED
        check_nothing_false(out, expected["big"])
        assert (tmp_path / "real.lock").read_text() == str(process.pid)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(out) == expected["big"]
    assert remains(out) == []


def test_killed_while_replacing_another_dataset(forge, whole, tmp_path):
    """With --overwrite there is always a whole dataset: the former one, in its place or beside it, or the new one."""
    home, expected, n_steps = whole
    (home / "other.yaml").write_text(SMALL_FLEET.replace("seed: 3", "seed: 4"), encoding="utf-8")
    former = tmp_path / "former-whole"
    assert forge.run(["simulate", "-c", home / "other.yaml", "--out", former, "--jobs", 1]).code == 0
    old = contents(former)
    arguments = ["simulate", "-c", home / "small.yaml", "--overwrite", "--jobs", 1, "--out"]
    shutil.copytree(former, tmp_path / "count")
    total = forge.run([*arguments, tmp_path / "count"]).n_steps
    assert total > n_steps
    seen = set()
    for step in range(n_steps - 12, total + 1):
        out = tmp_path / f"o{step}"
        shutil.copytree(former, out)
        assert forge.run([*arguments, out], at=step).code == KILLED
        aside = out.with_name(out.name + ".former")
        if out.exists():
            assert contents(out) in (old, expected["small"])
            seen.add("old" if contents(out) == old else "new")
        else:
            assert contents(aside) == old
            seen.add("aside")
        ended = forge.run([*arguments, out])
        assert ended.code == 0, ended.stderr
        assert contents(out) == expected["small"]
    assert seen == {"old", "aside", "new"}


def test_a_staging_folder_of_another_configuration_is_not_mixed_in(forge, whole, tmp_path):
    home, expected, n_steps = whole
    out = tmp_path / "mixed"
    assert forge.run(["simulate", "-c", home / "big.yaml", "--out", out, "--jobs", 1], at=n_steps // 2).code == KILLED
    assert list((tmp_path / "mixed.partial").rglob("*.parquet"))
    # Killed again while the old files are thrown away: still nothing to be taken for a dataset, still ours.
    for step in range(3, 30, 4):
        assert forge.run(["simulate", "-c", home / "small.yaml", "--out", out, "--jobs", 1], at=step).code == KILLED
        check_nothing_false(out, expected["small"])
    assert forge.run(["simulate", "-c", home / "small.yaml", "--out", out, "--jobs", 1]).code == 0
    assert contents(out) == expected["small"]
