"""What ``nexova anomaly score`` leaves: a score for every reading, the alarms raised, the keys of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import SCHEMA_VERSION, field

SCORES_NAME = "scores.parquet"
ALARMS_NAME = "alarms.parquet"
SCORE_FORMAT = "nexova-anomaly-scores"

_ID = Channel("machine_id", "1", "id", None, None, "machine the row belongs to")

TABLES: Mapping[str, tuple[Channel, ...]] = MappingProxyType(
    {
        "scores": (
            _ID,
            Channel("timestamp", "UTC", "time", None, None, "of the reading that was scored"),
            Channel("score", "1", "float32", 0.0, 1.0, "share of held-out readings that look more normal than this"),
            Channel("flag", "1", "bool", None, None, "score at or above the threshold, before the post-rules"),
        ),
        "alarms": (
            _ID,
            Channel("raised", "UTC", "time", None, None, "when the alarm was raised"),
            Channel("cleared", "UTC", "time", None, None, "when it was cleared; null while it stands at the end"),
            Channel("peak_score", "1", "float32", 0.0, 1.0, "highest score while it stood"),
            Channel("channel", "1", "text", None, None, "channel that drove it; readings = rows are missing"),
            Channel("detector", "1", "text", None, None, "detector, or the part of it, that raised it"),
            Channel("finding", "1", "text", None, None, "what was found, in words"),
            Channel("peak_ratio", "1", "float32", 0.0, None, "highest statistic, as a multiple of its threshold"),
        ),
    }
)

# Keys of manifest.json beside the scores. ``threshold`` is a score; ``budget_per_machine_day`` counts false alarms.
SCORE_KEYS = (
    "format", "detector", "model_id", "model_sha256", "dataset", "dataset_sha256", "config", "threshold",
    "budget_per_machine_day", "start", "end", "n_machines", "machine_days", "n_rows", "n_flags", "n_alarms", "cpu_s",
    "config_hash", "code_hash", "files",
)  # fmt: skip


def anomaly_schema(table: str) -> pa.Schema:
    """Arrow schema of ``scores`` or ``alarms``; rows of both are sorted by machine, then time within a batch."""
    return pa.schema(
        [field(row) for row in TABLES[table]],
        metadata={"nexova_table": table, "nexova_schema_version": SCHEMA_VERSION},
    )
