"""The compile policy: where compiled kernels are kept, and that an edit anywhere in the room is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nexova_sim.kernels import _jit
from nexova_sim.kernels._jit import cache_folder, kernel, kernel_nan, room_hash

HELPER = "from room._jit import kernel\n\n@kernel\ndef helper(x):\n    return x + {number}\n"
CALLER = """
from room._jit import kernel
from room.helper import helper

@kernel
def call(x):
    return helper(x) * 2.0
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A small room with the project's own compile policy and two kernels in two files."""
    folder = tmp_path / "src" / "room"
    folder.mkdir(parents=True)
    shutil.copy(_jit.__file__, folder / "_jit.py")
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text(HELPER.format(number=1.0))
    (folder / "caller.py").write_text(CALLER)
    return folder


def python(room: Path, code: str, **env: str) -> str:
    """Run ``code`` in a fresh process that finds the room."""
    keep = {k: v for k, v in os.environ.items() if k not in ("NEXOVA_CACHE_DIR", "XDG_CACHE_HOME", "NUMBA_DISABLE_JIT")}
    env = keep | {"PYTHONPATH": str(room.parent), "PYTHONDONTWRITEBYTECODE": "1"} | env
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ASK = "from room.caller import call; print(call(10.0))"
FOLDER = "from room._jit import cache_folder; print(cache_folder())"


def test_an_edit_in_another_file_is_noticed(room, tmp_path):
    cache = str(tmp_path / "cache")
    assert python(room, ASK, NEXOVA_CACHE_DIR=cache) == "22.0"
    assert python(room, ASK, NEXOVA_CACHE_DIR=cache) == "22.0"
    before = python(room, FOLDER, NEXOVA_CACHE_DIR=cache)
    (room / "helper.py").write_text(HELPER.format(number=5.0))
    assert python(room, ASK, NEXOVA_CACHE_DIR=cache) == "30.0"
    assert python(room, FOLDER, NEXOVA_CACHE_DIR=cache) != before


def test_a_compiled_kernel_is_loaded_the_second_time(room, tmp_path):
    cache = tmp_path / "cache"
    hits = "from room.caller import call; call(10.0); print(sum(call.stats.cache_hits.values()))"
    assert python(room, hits, NEXOVA_CACHE_DIR=str(cache)) == "0"
    assert list(cache.rglob("*.nbi")) and list(cache.rglob("*.nbc"))
    assert python(room, hits, NEXOVA_CACHE_DIR=str(cache)) == "1"


def test_every_file_of_the_room_counts(room, tmp_path):
    """Renaming, adding, removing or editing a file each gives another folder."""
    ask = "from room._jit import room_hash; print(room_hash())"
    seen = [python(room, ask)]
    (room / "more.py").write_text("")
    seen.append(python(room, ask))
    (room / "more.py").rename(room / "other.py")
    seen.append(python(room, ask))
    (room / "other.py").write_text("# a comment")
    seen.append(python(room, ask))
    assert len(set(seen)) == 4
    (room / "other.py").unlink()
    assert python(room, ask) == seen[0]


def test_where_the_cache_is(room, tmp_path):
    digest = python(room, "from room._jit import room_hash; print(room_hash())")
    assert python(room, FOLDER, NEXOVA_CACHE_DIR=str(tmp_path / "a")) == str(tmp_path / "a" / "kernels" / digest)
    assert python(room, FOLDER, XDG_CACHE_HOME=str(tmp_path / "b")) == str(
        tmp_path / "b" / "nexova_sim" / "kernels" / digest
    )
    assert python(room, FOLDER, HOME=str(tmp_path / "c")) == str(
        tmp_path / "c" / ".cache" / "nexova_sim" / "kernels" / digest
    )


def test_a_cache_that_cannot_be_written_is_done_without(room, tmp_path):
    """A file stands where the folder should be: refused even to root."""
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    assert python(room, FOLDER, NEXOVA_CACHE_DIR=str(blocked)) == "None"
    assert python(room, ASK, NEXOVA_CACHE_DIR=str(blocked)) == "22.0"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache_is_done_without(room, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert python(room, ASK, NEXOVA_CACHE_DIR=str(folder)) == "22.0"


def test_the_room_has_one_hash():
    assert len(room_hash()) == 12 and int(room_hash(), 16) >= 0
    folder = cache_folder()
    assert folder is None or folder.name == room_hash()


def test_flags_keep_the_order_of_operations():
    """No reassociation, no contraction, no reciprocals: those would make the bits depend on the processor."""
    for decorate in (kernel, kernel_nan):
        function = decorate(_sum_back)
        assert function(1e16, 1.0) == 0.0
        flags = function.targetoptions["fastmath"]
        assert not {"fast", "reassoc", "contract", "arcp", "afn"} & set(flags)


def _sum_back(big, small):
    return (big + small) - big


def test_nan_is_met_only_where_it_is_allowed():
    assert "nnan" in kernel(_sum_back).targetoptions["fastmath"]
    assert "nnan" not in kernel_nan(_sum_back).targetoptions["fastmath"]
