"""Batches appended to one Parquet file, which has its name only when it is whole."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.dataset.write import batch_writer

SCHEMA = pa.schema([pa.field("a", pa.int32()), pa.field("b", pa.float32())])


def batch(first: int) -> pa.RecordBatch:
    return pa.record_batch({"a": pa.array([first, first + 1], pa.int32()), "b": pa.array([0.5, 1.5], pa.float32())})


def test_batches_become_groups_of_rows(tmp_path):
    path = tmp_path / "t.parquet"
    with batch_writer(path, SCHEMA, 4, ("a",)) as write:
        for first in (0, 2, 4):
            write(batch(first))
        assert not path.exists()
    about = pq.read_metadata(path)
    assert [about.row_group(n).num_rows for n in range(about.num_row_groups)] == [4, 2]
    assert about.row_group(0).column(0).is_stats_set and not about.row_group(0).column(1).is_stats_set
    assert pq.read_table(path)["a"].to_pylist() == list(range(6))
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_what_was_not_finished_has_no_name(tmp_path):
    with pytest.raises(ZeroDivisionError), batch_writer(tmp_path / "t.parquet", SCHEMA, 4) as write:
        write(batch(0))
        raise ZeroDivisionError
    assert not (tmp_path / "t.parquet").exists()
