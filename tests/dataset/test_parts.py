"""Paths and manifest entries of part files."""

from __future__ import annotations

import os
import shutil

from nexova_sim.base.hashing import hash_file
from nexova_sim.base.units import suffix_of
from nexova_sim.cli import echo
from nexova_sim.dataset.stage import Stage
from nexova_sim.dataset.write import file_entry, part_path
from nexova_sim.schema.manifest import load_manifest


def test_paths_are_hive_partitioned():
    assert part_path("readings", "month=2026-01", 3) == "readings/month=2026-01/part-00003.parquet"
    assert part_path("events", None, 0) == "events/part-00000.parquet"


def test_entries_equal_the_manifest(tiny_dataset, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(tiny_dataset, folder)
    stage = Stage(folder, folder, frozenset())
    listed = [e for e in load_manifest(folder).files if e.table == "readings"]
    files = sorted((folder / "readings").rglob("*.parquet"))
    assert [f.relative_to(folder).as_posix() for f in files] == [e.path for e in listed]
    for entry, path in zip(listed, files, strict=True):
        assert file_entry(stage, entry.path) == entry
        assert entry.sha256 == hash_file(path)


def test_suffixes():
    assert suffix_of("price_usd_per_kwh") == "usd_per_kwh"
    assert suffix_of("power_kw") == "kw"
    assert suffix_of("name") is None


def test_silence_sends_a_stream_nowhere(tmp_path):
    with (tmp_path / "out.txt").open("w+") as stream:
        stream.write("kept")
        stream.flush()
        handle = os.dup(stream.fileno())
        echo.silence(stream)
        stream.write("lost")
        stream.flush()
        os.close(handle)
    assert (tmp_path / "out.txt").read_text() == "kept"
