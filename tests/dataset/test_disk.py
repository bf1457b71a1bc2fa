"""Broken disks: full, read-only, refused paths. A clear error, exit 3 (2 for a wrong --out), nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from forge import SMALL_FLEET, Forge, contents

from nexova_sim.base.errors import EXIT_DATA, EXIT_OK, EXIT_USAGE

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "quota",
    errno.EROFS: "read-only",
    errno.EACCES: "permission denied",
    errno.EIO: "check the folder",
}


@pytest.fixture(scope="module")
def forge():
    worker = Forge()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def home(forge, tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    (folder / "f.yaml").write_text(SMALL_FLEET, encoding="utf-8")
    ended = forge.run(["simulate", "-c", folder / "f.yaml", "--out", folder / "whole", "--jobs", 1])
    assert ended.code == EXIT_OK
    (folder / "steps").write_text(str(ended.n_steps))
    return folder


def arguments(home: Path, out: Path | str, *more: str) -> list[object]:
    return ["simulate", "-c", home / "f.yaml", "--jobs", 1, "--out", out, *more]


def check_error(ended, code: int, *words: str) -> None:
    assert ended.code == code, ended
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1
    for word in words:
        assert word in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("number", sorted(REASONS))
def test_a_disk_that_fails_at_any_step(forge, home, tmp_path, number):
    """From some step on every operation fails, as on a disk that is full or has gone read-only."""
    n_steps = int((home / "steps").read_text())
    expected = contents(home / "whole")
    for step in range(1 + number % 7, n_steps + 1, 7):
        out = tmp_path / f"s{step}"
        ended = forge.run(arguments(home, out), at=step, error=number)
        if not out.exists():
            check_error(ended, EXIT_DATA, f"{out}: cannot write: ", REASONS[number])
            assert not (tmp_path / f"s{step}.partial" / "manifest.json.tmp").exists() or not out.exists()
        else:
            assert contents(out) == expected
        ended = forge.run(arguments(home, out))
        assert ended.code == EXIT_OK, ended.stderr
        assert contents(out) == expected


@contextmanager
def mounted(folder: Path, *options: str):
    """A mount over ``folder``; skips the test where mounting is not allowed."""
    folder.mkdir(exist_ok=True)
    tool = shutil.which("mount")
    if (
        os.geteuid() != 0
        or tool is None
        or subprocess.run([tool, *options, folder], capture_output=True, check=False).returncode
    ):
        pytest.skip("mounting is not allowed here; the same errors are simulated by the other tests")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_really_full_disk(forge, home, tmp_path):
    size = sum(p.stat().st_size for p in (home / "whole").rglob("*") if p.is_file())
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={size * 2 // 4096 * 4096}", "tmpfs") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (size + size // 2))
        out = disk / "out"
        for _ in range(2):
            check_error(forge.run(arguments(home, out)), EXIT_DATA, "the disk is full", "run again to resume")
            assert not out.exists()
            assert not (disk / "out.lock").exists()
            assert not (disk / "out.partial/manifest.json").exists()
        ended = forge.run(arguments(home, out, "--json"))
        error = json.loads(ended.stdout)["error"]
        assert (error["code"], error["detail"]["errno"]) == ("DATA", errno.ENOSPC)
        ballast.unlink()
        kept = set(contents(disk / "out.partial"))
        assert any(name.endswith(".parquet") for name in kept)
        assert forge.run(arguments(home, out)).code == EXIT_OK
        assert contents(out) == contents(home / "whole")


def test_a_really_read_only_disk(forge, home, tmp_path):
    folder = tmp_path / "ro"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs"):
        check_error(forge.run(arguments(home, folder / "out")), EXIT_DATA, "read-only", "choose another place")
        check_error(forge.run(arguments(home, folder / "deep/er/out")), EXIT_DATA, "read-only")
        assert list(folder.iterdir()) == []


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def test_a_file_size_limit(home, tmp_path):
    """Needs no privilege: the system refuses every file over 8 kB."""
    command = [sys.executable, "-m", "nexova_sim", *map(str, arguments(home, tmp_path / "out"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit_file_size)
    assert done.returncode == EXIT_DATA, done.stderr
    assert "larger than is allowed" in done.stderr
    assert not (tmp_path / "out").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_OK
    assert contents(tmp_path / "out") == contents(home / "whole")


def test_out_inside_a_file(forge, home, tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in ("file/out", "file/deep/out"):
        check_error(forge.run(arguments(home, tmp_path / place)), EXIT_DATA, "is a file, not a folder")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_out_is_a_file(forge, home, tmp_path):
    (tmp_path / "file").write_text("mine")
    for more in ([], ["--overwrite"]):
        check_error(forge.run(arguments(home, tmp_path / "file", *more)), EXIT_USAGE, "is not a folder")
    assert (tmp_path / "file").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["x" * 250, "x" * 300, "/".join(["y" * 200] * 30)])
def test_out_is_too_long(forge, home, tmp_path, name):
    check_error(forge.run(arguments(home, tmp_path / name)), EXIT_DATA, "the path is too long", "choose a shorter one")


@pytest.mark.parametrize("out", ["/", "/.", "//", "", "."])
def test_out_is_the_root_or_the_working_folder(forge, home, out):
    check_error(forge.run(arguments(home, out)), EXIT_USAGE, "--out")


def test_out_runs_in_circles(forge, home, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    check_error(forge.run(arguments(home, tmp_path / "a" / "out")), EXIT_DATA, "circles")


@pytest.mark.parametrize(
    "name",
    ["with space", "-dash", "ünïcode 工場", "semi;colon$(x)`y`", "new\nline", "esc\x1b[31m", "%s%n", "a=b", "..."],
)
def test_strange_names_are_just_names(forge, home, tmp_path, name):
    ended = forge.run([*arguments(home, tmp_path / name), "--json"])
    assert ended.code == EXIT_OK, ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert json.loads(ended.stdout)["data"]["folder"] == str(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_folder_without_permission(forge, home):
    """As an ordinary user: root may write anywhere, so the run becomes someone else when it can."""
    user = 65_534 if os.geteuid() == 0 else 0
    with tempfile.TemporaryDirectory() as name:
        open_to_all, closed = Path(name), Path(name) / "closed"
        open_to_all.chmod(0o755)
        closed.mkdir(mode=0o555)
        shutil.copy(home / "f.yaml", open_to_all)
        command = ["simulate", "-c", open_to_all / "f.yaml", "--jobs", 1, "--out", closed / "out"]
        check_error(
            forge.run(command, user=user), EXIT_DATA, "permission denied", "choose a place that you may write to"
        )
        assert list(closed.iterdir()) == []
