"""The tables that scoring leaves: names, types, units, and that values fit."""

from __future__ import annotations

import pyarrow as pa
import pytest

from nexova_sim.schema.anomaly import SCORE_KEYS, TABLES, anomaly_schema


@pytest.mark.parametrize("table", ["scores", "alarms"])
def test_every_column_says_unit_and_meaning(table):
    schema = anomaly_schema(table)
    assert schema.names == [row.name for row in TABLES[table]]
    for item in schema:
        assert item.metadata[b"meaning"]
        assert item.metadata[b"unit"]
    assert schema.metadata[b"nexova_table"] == table.encode()


def test_scores_are_bounded_and_flags_are_true_or_false():
    schema = anomaly_schema("scores")
    assert schema.field("score").metadata[b"low"] == b"0.0"
    assert schema.field("score").metadata[b"high"] == b"1.0"
    assert schema.field("flag").type == pa.bool_()
    assert schema.field("timestamp").type == pa.timestamp("ms", tz="UTC")
    assert {"threshold", "budget_per_machine_day", "model_id"} <= set(SCORE_KEYS)
