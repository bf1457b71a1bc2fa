"""The staging folder: whole or not there, locked, resumed only for the same plan, and nothing foreign is touched."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexova_sim.base.errors import EXIT_DATA, EXIT_USAGE, ConfigError, DataError, LockedError
from nexova_sim.dataset.stage import explain_os_error, is_same, packages, staged, sync_folder, write_durably

PLAN = {"config": "c", "code": "d"}


def fill(stage, text: str = "x") -> None:
    (stage.folder / "readings").mkdir(exist_ok=True)
    write_durably(stage.folder / "readings" / "a.parquet", text.encode())
    files = [{"path": "readings/a.parquet", "bytes": len(text)}]
    manifest = {"format": "nexova-test", "config_hash": "c", "code_hash": "d", "files": files}
    write_durably(stage.folder / "manifest.json", json.dumps(manifest).encode())


def make(out: Path, text: str = "x", overwrite: bool = False) -> None:
    with staged(out, PLAN, overwrite) as stage:
        fill(stage, text)


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_folder_appears_at_the_end(tmp_path):
    out = tmp_path / "deep" / "out"
    with staged(out, PLAN) as stage:
        assert (stage.out, stage.folder, stage.done) == (out, tmp_path / "deep/out.partial", frozenset())
        fill(stage)
        assert not out.exists()
        assert (tmp_path / "deep/out.lock").read_text() == str(os.getpid())
    assert names(tmp_path) == ["deep/out/manifest.json", "deep/out/readings/a.parquet"]


def test_an_error_leaves_the_work_for_resuming(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), staged(out, PLAN) as stage:
        fill(stage)
        (stage.folder / "readings" / "b.parquet.tmp").write_text("half")
        raise RuntimeError
    assert not out.exists()
    assert not (tmp_path / "out.lock").exists()
    with staged(out, PLAN) as stage:
        assert stage.done == {"readings/a.parquet"}
        assert names(stage.folder) == ["plan.json", "readings/a.parquet"]
        fill(stage)
    assert names(out) == ["manifest.json", "readings/a.parquet"]


@pytest.mark.parametrize("other", [{"config": "c2", "code": "d"}, {"config": "c", "code": "d2"}, None])
def test_another_plan_starts_afresh(tmp_path, other):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), staged(out, other) as stage:
        fill(stage)
        (stage.folder / "deep/er").mkdir(parents=True)
        (stage.folder / "link").symlink_to(tmp_path)
        raise RuntimeError
    with staged(out, PLAN) as stage:
        assert stage.done == frozenset()
        assert names(stage.folder) == ["plan.json"]
        fill(stage)
    assert tmp_path.exists()


def test_other_libraries_start_afresh(tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), staged(out, PLAN) as stage:
        fill(stage)
        raise RuntimeError
    assert packages()["pyarrow"]
    monkeypatch.setattr("nexova_sim.dataset.stage.packages", lambda: {"pyarrow": "0"})
    with staged(out, PLAN) as stage:
        assert stage.done == frozenset()
        fill(stage)


def test_overwrite_replaces_and_leaves_nothing_behind(tmp_path):
    out = tmp_path / "out"
    make(out, "old")
    with pytest.raises(ConfigError, match="--overwrite") as caught:
        make(out, "new")
    assert caught.value.exit_code == EXIT_USAGE
    assert (out / "readings/a.parquet").read_text() == "old"
    make(out, "new", overwrite=True)
    assert (out / "readings/a.parquet").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failed_overwrite_keeps_the_former(tmp_path):
    out = tmp_path / "out"
    make(out, "old")
    with pytest.raises(RuntimeError), staged(out, PLAN, overwrite=True) as stage:
        fill(stage, "new")
        raise RuntimeError
    assert (out / "readings/a.parquet").read_text() == "old"


def test_a_swap_cut_in_half_is_undone(tmp_path):
    """Killed between the two renames: the former dataset gets its name back before anything else."""
    out = tmp_path / "out"
    make(out, "old")
    out.rename(tmp_path / "out.former")
    with pytest.raises(ConfigError, match="--overwrite"):
        make(out, "new")
    assert (out / "readings/a.parquet").read_text() == "old"


@pytest.mark.parametrize("name", ["out", "out.partial", "out.former", "out.lock"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_refused_and_kept(tmp_path, name, overwrite):
    place = tmp_path / name
    if name == "out.lock":
        place.write_text("# dependencies, locked")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("years of work")
        (place / "manifest.json").write_text('{"name": "a web page"}')
    before = names(tmp_path)
    with pytest.raises(ConfigError, match="choose another --out"):
        make(tmp_path / "out", overwrite=overwrite)
    assert names(tmp_path) == before


@pytest.mark.parametrize("name", ["out", "out.partial", "out.former"])
def test_files_and_links_in_the_way_are_refused_and_kept(tmp_path, name):
    for kind in ("file", "link", "dangling"):
        place = tmp_path / kind / name
        place.parent.mkdir()
        if kind == "file":
            place.write_text("x")
        else:
            place.symlink_to(tmp_path if kind == "link" else tmp_path / "nowhere")
        with pytest.raises(ConfigError, match="choose another --out"):
            make(place.with_name("out"), overwrite=True)
        assert os.path.lexists(place)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("")
    (tmp_path / "out.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(DataError, match="symbolic link"):
        make(tmp_path / "out")
    assert (tmp_path / "precious").read_text() == ""


def test_nothing_is_written_into_a_dataset(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manifest.json").write_text('{"format": "nexova-dataset"}')
    with pytest.raises(ConfigError, match="lies inside the dataset"):
        make(tmp_path / "data" / "deep" / "out")
    assert [p.name for p in (tmp_path / "data").rglob("*")] == ["manifest.json"]


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out.partial").mkdir()
    make(tmp_path / "out")
    assert names(tmp_path / "out") == ["manifest.json", "readings/a.parquet"]


def test_the_root_folder_is_refused():
    with pytest.raises(ConfigError, match="root folder"), staged(Path("/"), PLAN):
        pytest.fail("never opened")


def hold(out: str, ready, release) -> None:
    with staged(Path(out), PLAN) as stage:
        ready.set()
        release.wait(60)
        fill(stage)


def test_the_second_run_is_refused_and_told_who(tmp_path):
    out = tmp_path / "out"
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(out), ready, release))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(LockedError, match=f"process {other.pid}") as caught:
            make(out)
        assert caught.value.exit_code == EXIT_DATA
        assert caught.value.detail["holder"] == str(other.pid)
    finally:
        release.set()
        other.join(60)
    assert other.exitcode == 0
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_command_is_refused_with_exit_3(tmp_path):
    lock = tmp_path / "out.lock"
    with lock.open("w") as handle:
        handle.write("4242")
        handle.flush()
        fcntl.flock(handle, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "nexova_sim", "simulate", "-c", "configs/fleet/tiny.yaml", "--out"]
        done = subprocess.run([*command, tmp_path / "out", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_DATA
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "LOCKED"
    assert "process 4242" in error["message"]
    assert not (tmp_path / "out.partial").exists()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (tmp_path / "out.lock").write_bytes(dead.stdout.strip())
    make(tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def race(out: str, start: float, results) -> None:
    time.sleep(max(0.0, start - time.time()))
    try:
        with staged(Path(out), PLAN) as stage:
            fill(stage)
            time.sleep(0.05)
        results.put("made")
    except LockedError:
        results.put("locked")
    except ConfigError:
        results.put("there")


def test_of_many_at_once_one_writes(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    start = time.time() + 2.0
    workers = [context.Process(target=race, args=(str(tmp_path / "out"), start, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    ends = sorted(results.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(60)
    assert ends.count("made") == 1
    assert set(ends) <= {"made", "locked", "there"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_is_same_wants_every_file_in_its_size(tmp_path):
    out = tmp_path / "out"
    assert not is_same(out, "c", "d")
    make(out, "four")
    assert is_same(out, "c", "d")
    assert not is_same(out, "c", "other")
    assert not is_same(out, "other", "d")
    (out / "readings/a.parquet").write_text("three")
    assert not is_same(out, "c", "d")
    (out / "readings/a.parquet").unlink()
    assert not is_same(out, "c", "d")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": "nexova-x"}', "\x00", "[" * 100_000])
def test_is_same_survives_any_manifest(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    assert not is_same(tmp_path, "c", "d")


@pytest.mark.parametrize(
    ("number", "words"), [(28, "disk is full"), (30, "read-only"), (13, "permission"), (5, "check")]
)
def test_the_reason_and_the_remedy_are_told(number, words):
    error = explain_os_error(OSError(number, os.strerror(number)), Path("some/where"))
    assert words in error.message
    assert error.message.startswith("some/where: cannot write")
    assert error.exit_code == EXIT_DATA
    assert error.detail == {"errno": number}


def test_write_durably_replaces_in_one_step(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_durably(path, b"one")
    sync_folder(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        write_durably(path, b"two")
    assert path.read_bytes() == b"one"
