"""Files of a plant for tests, and what the ingest makes of them."""

from __future__ import annotations

from pathlib import Path

from nexova_sim.config.ingest import IngestMap
from nexova_sim.config.load import build
from nexova_sim.dataset.check import check
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.ingest import ingest

POWER = {"power_kw": {"column": "kw", "unit": "kW"}}


def mapped(**changes) -> IngestMap:
    base = {"name": "plant", "timestamp": {"column": "t"}, "machine": {"constant": "m1"}, "channels": POWER}
    return build(IngestMap, {**base, **changes}, "map")


def put(folder: Path, data: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def rows_of(folder: Path, table: str = "readings") -> list[dict]:
    assert check(folder).findings == ()
    return open_dataset(folder).read(table).to_pylist()


def run(tmp_path: Path, text: str, **changes) -> list[dict]:
    ingest([put(tmp_path, text)], mapped(**changes), tmp_path / "out", 0.9)
    return rows_of(tmp_path / "out")


def clock(row: dict) -> str:
    return row["timestamp"].strftime("%Y-%m-%dT%H:%M:%S")
