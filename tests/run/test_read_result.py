"""Results read again: whole, damaged, or of something else."""

from __future__ import annotations

import json

import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.run.records import read_result

MADE_BY = ("nexova-x", "no x; give the folder that 'nexova x' wrote")


def test_a_result_is_read_or_refused_with_the_reason(tmp_path):
    file, manifest = tmp_path / "a.json", tmp_path / "manifest.json"
    with pytest.raises(DataError, match="the run is damaged"):
        read_result(tmp_path, "a.json")
    with pytest.raises(DataError, match="no x; give the folder"):
        read_result(tmp_path, "a.json", MADE_BY)
    file.write_text('{"a": 1}')
    assert read_result(tmp_path, "a.json") == {"a": 1}
    for told in ({"format": "nexova-y"}, []):
        manifest.write_text(json.dumps(told))
        with pytest.raises(DataError, match="no x"):
            read_result(tmp_path, "a.json", MADE_BY)
    manifest.write_text(json.dumps({"format": "nexova-x"}))
    assert read_result(tmp_path, "a.json", MADE_BY) == {"a": 1}
    for broken in ("{", "[1]", "[" * 100_000):
        file.write_text(broken)
        with pytest.raises(DataError, match="the run is damaged"):
            read_result(tmp_path, "a.json", MADE_BY)
