"""What ``nexova twin track`` leaves: the hidden state of every machine hour by hour, and clouds of particles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import pyarrow as pa

from nexova_sim.schema.channels import Channel
from nexova_sim.schema.tables import SCHEMA_VERSION, field

TRACK_FORMAT = "nexova-twin-track"
STATE_NAME = "state.parquet"
PARTICLES_NAME = "particles.npz"
SUMMARY_NAME = "summary.json"

_ID = Channel("machine_id", "1", "id", None, None, "machine the row belongs to")
_TIME = Channel("timestamp", "UTC", "time", None, None, "beginning of the hour; readings before it are used")
_QUANTITIES = (
    ("wear", "1", "float64", "bearing wear, 1 = failed"),
    ("fatigue", "1", "float64", "thermal fatigue, 1 = failed"),
    ("electrical", "1", "float64", "electrical stress, 1 = failed"),
    ("temperature", "degC", "float64", "housing temperature"),
)
_STATISTICS = (("mean", "mean of"), ("p05", "5 % quantile of"), ("p50", "median of"), ("p95", "95 % quantile of"))

# Columns after the key, in the order of a row of output of ``kernels.filter``.
STATE: tuple[Channel, ...] = (
    *(
        Channel(f"{name}_{short}", unit, dtype, None, None, f"{text} {meaning}")
        for name, unit, dtype, meaning in _QUANTITIES
        for short, text in _STATISTICS
    ),
    Channel("effective_samples", "1", "float64", 1.0, None, "effective sample size of the particles' weights"),
    Channel("p_bearing_fault", "1", "float64", 0.0, 1.0, "belief that the bearing grinds itself down"),
    Channel("p_imbalance", "1", "float64", 0.0, 1.0, "belief in added vibration"),
    Channel("p_lost_cooling", "1", "float64", 0.0, 1.0, "belief in lost cooling"),
)
TABLES: Mapping[str, tuple[Channel, ...]] = MappingProxyType({"state": (_ID, _TIME, *STATE)})


def state_schema() -> pa.Schema:
    """Arrow schema of state.parquet; rows are sorted by machine, then time."""
    return pa.schema(
        [field(row) for row in TABLES["state"]],
        metadata={"nexova_table": "state", "nexova_schema_version": SCHEMA_VERSION},
    )
