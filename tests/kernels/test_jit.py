"""The compile policy: where compiled kernels are kept, and that an edit anywhere in the room is noticed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nexova_sim.kernels import _jit
from nexova_sim.kernels._jit import cache_folder, kernel, kernel_nan, source_hash

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
WHERE = "from pathlib import Path; import room; path = Path(room.__file__).with_name('caller.py'); "
FOLDER = WHERE + "from room._jit import cache_folder; print(cache_folder(path))"
HASH = WHERE + "from room._jit import source_hash; print(source_hash(path))"


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


def test_what_a_file_imports_counts_and_nothing_else(room):
    """An edit of the file, of what it imports in two steps, or of the policy gives another folder; a stranger's not."""
    (room / "helper.py").write_text("from room.deep import two\n" + HELPER.format(number=1.0))
    (room / "deep.py").write_text("two = 2.0\n")
    (room / "stranger.py").write_text("")
    seen = [python(room, HASH)]
    (room / "stranger.py").write_text("x = 1\n")
    assert python(room, HASH) == seen[0]
    for name in ("caller", "helper", "deep", "_jit"):
        with (room / f"{name}.py").open("a") as file:
            file.write("# a comment\n")
        seen.append(python(room, HASH))
    assert len(set(seen)) == 5


def test_an_import_of_the_room_itself_counts_every_file(room):
    (room / "caller.py").write_text("from room import helper, stranger\n")
    (room / "stranger.py").write_text("")
    before = python(room, HASH)
    (room / "stranger.py").write_text("x = 1\n")
    assert python(room, HASH) != before


def test_where_the_cache_is(room, tmp_path):
    name = f"caller-{python(room, HASH)}"
    assert python(room, FOLDER, NEXOVA_CACHE_DIR=str(tmp_path / "a")) == str(tmp_path / "a" / "kernels" / name)
    home = tmp_path / "b" / "nexova_sim" / "kernels" / name
    assert python(room, FOLDER, XDG_CACHE_HOME=str(tmp_path / "b")) == str(home)
    home = tmp_path / "c" / ".cache" / "nexova_sim" / "kernels" / name
    assert python(room, FOLDER, HOME=str(tmp_path / "c")) == str(home)


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


def test_every_kernel_file_has_its_folder():
    files = sorted(Path(_jit.__file__).parent.glob("*.py"))
    assert len({source_hash(f) for f in files}) > 10
    for file in files:
        folder = cache_folder(file)
        assert folder is None or folder.name == f"{file.stem}-{source_hash(file)}"


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
