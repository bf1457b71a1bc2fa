"""Describing a dataset: statistics against NumPy over everything, gaps counted by hand, edge cases of the tally."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import REORDER

import nexova_sim as nx
from nexova_sim.dataset import describe as describe_module
from nexova_sim.dataset.describe import describe
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import staged
from nexova_sim.dataset.tally import QUANTILES, add_values, new_tally, quantiles, summary
from nexova_sim.dataset.write import Source, write_manifest, write_table
from nexova_sim.schema.tables import table_schema

NUMBERS = st.one_of(st.just(float("nan")), st.floats(-(2.0**100), 2.0**100, width=32))
BUCKET = 2.0**-11  # relative width of a bucket of the tally
MINUTE_MS = 60_000
START_MS = 1_767_571_200_000  # 2026-01-05


def ranked(values: np.ndarray, share: float) -> float:
    return float(np.sort(values)[int(share * (len(values) - 1))])


def test_statistics_are_those_of_all_the_readings(tiny_dataset):
    about = nx.describe(tiny_dataset)
    rows = open_dataset(tiny_dataset).read()
    assert about["rows"] == {"readings": 23040, "truth": 384, "labels": 6, "events": 24, "machines": 8, "build": 8,
                             "factories": 1, "weather": 48}  # fmt: skip
    assert [c["name"] for c in about["channels"]] == ["power_kw", "temperature_c", "vibration_mm_s", "runtime_h"]
    assert sum(c["nan"] for c in about["channels"]) > 0
    for channel in about["channels"]:
        values = rows[channel["name"]].to_numpy().astype(np.float64)
        there = values[~np.isnan(values)]
        assert (channel["count"], channel["nan"]) == (len(there), len(values) - len(there))
        assert (np.float32(channel["min"]), np.float32(channel["max"])) == (there.min(), there.max())
        np.testing.assert_allclose([channel["mean"], channel["std"]], [there.mean(), there.std()], **REORDER)
        for name, share in QUANTILES.items():
            want = ranked(there, share)
            assert abs(channel[name] - want) <= BUCKET * abs(want), (channel["name"], name)
    assert {c["name"]: c["unit"] for c in about["channels"]}["vibration_mm_s"] == "mm/s"


def test_shares_faults_events_and_machines_add_up(tiny_dataset):
    about = describe(open_dataset(tiny_dataset))
    assert sum(about["status_frac"].values()) == pytest.approx(1.0)
    rows = open_dataset(tiny_dataset).read(columns=["status"])["status"].to_pylist()
    assert about["status_frac"]["OFFLINE"] == rows.count("OFFLINE") / len(rows)
    assert about["faults"] == {"cooling_loss": 2, "imbalance": 1, "power_spike": 1, "sensor_dropout": 2}
    assert about["events"] == {"status": 24}
    kinds = {"COMPRESSOR": 1, "CONVEYOR": 2, "MOTOR": 2, "PUMP": 3}
    assert about["machines"] == [{"factory_id": "lyon", "kind": k, "n": n} for k, n in kinds.items()]
    json.dumps(about, allow_nan=False)


def test_batches_of_any_size_give_the_same_answer(tiny_dataset, monkeypatch):
    whole = describe(open_dataset(tiny_dataset))
    monkeypatch.setattr(describe_module, "_BATCH_ROWS", 333)
    parts = describe(open_dataset(tiny_dataset))
    assert parts["gaps"] == whole["gaps"]
    assert parts["status_frac"] == whole["status_frac"]
    for one, other in zip(parts["channels"], whole["channels"], strict=True):
        np.testing.assert_allclose([one.pop("mean"), one.pop("std")], [other.pop("mean"), other.pop("std")], **REORDER)
        assert one == other


def machines_table(names: list[str]) -> pa.Table:
    schema = table_schema("machines")
    texts = dict.fromkeys(("machine_id", "name", "kind", "factory_id"), names)
    columns = {f.name: [1.0] * len(names) for f in schema} | texts
    return pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def readings_table(minutes: dict[str, list[float]]) -> pa.Table:
    schema = table_schema("readings")
    ids = [name for name, at in minutes.items() for _ in at]
    stamps = [START_MS + round(m * MINUTE_MS) for at in minutes.values() for m in at]
    columns = {"machine_id": ids, "timestamp": stamps, "status": ["ONLINE"] * len(ids)}
    return pa.Table.from_arrays(
        [pa.array(columns.get(f.name, [1.0] * len(ids)), f.type) for f in schema], schema=schema
    )


def made_dataset(
    folder: Path, parts: list[dict[str, list[float]]], dt_s: float | None = 60.0, extra: bool = False
) -> Dataset:
    """A dataset of ten minutes with readings at the given minutes, one file per part."""
    names = sorted({name for part in parts for name in part} | {"silent"})
    source = Source("made", "ingest", None, "2026-01-05T00:00:00Z", "2026-01-05T00:10:00Z", dt_s, len(names),
                    ("flow_m3_h",) if extra else (), "0", "0")  # fmt: skip
    with staged(folder, {"made": True}) as stage:
        entries = [write_table(stage, "machines/part-00000.parquet", machines_table(names))]
        for number, part in enumerate(parts):
            table = readings_table(part)
            if extra:
                flow = pa.field("flow_m3_h", pa.float64(), metadata={"unit": "m3/h"})
                values = [None if i % 2 else float(i) for i in range(table.num_rows)]
                table = table.append_column(flow, pa.array(values, pa.float64()))
            entries.append(write_table(stage, f"readings/part-{number:05d}.parquet", table))
        write_manifest(stage, source, entries, {})
    return open_dataset(folder)


def by_machine(about: dict) -> dict[str, tuple[int, int, int, float]]:
    rows = about["gaps"]["by_machine"]
    return {r["machine_id"]: (r["rows"], r["n_gaps"], r["missing_rows"], r["longest_s"]) for r in rows}


def test_gaps_are_counted_within_between_before_and_after(tmp_path):
    whole = [float(m) for m in range(10)]
    early, late = whole[:5], whole[5:]
    parts = [
        {"full": early, "hole": [0, 1, 4], "seam": [0, 1, 2], "late": [3, 4]},
        {"full": late, "hole": late, "seam": [8, 9], "late": [5, 6]},
    ]
    about = describe(made_dataset(tmp_path / "d", parts))
    assert by_machine(about) == {
        "full": (10, 0, 0, 0.0),
        "hole": (8, 1, 2, 120.0),
        "seam": (5, 1, 5, 300.0),
        "late": (4, 2, 6, 180.0),
        "silent": (0, 1, 10, 600.0),
    }
    gaps = about["gaps"]
    assert (gaps["n_gaps"], gaps["missing_rows"], gaps["longest_s"], gaps["longest_on"]) == (5, 23, 600.0, "silent")
    assert gaps["by_machine"][-1]["first"] is None
    assert (gaps["step_s"], gaps["is_step_given"]) == (60.0, True)


def test_readings_a_little_off_the_grid_are_no_gaps(tmp_path):
    jitter = [0.0, 1.1, 1.95, 3.0, 4.2, 5.0, 6.0, 7.0, 8.0, 9.0]
    assert by_machine(describe(made_dataset(tmp_path / "d", [{"a": jitter}])))["a"] == (10, 0, 0, 0.0)


def test_without_a_given_step_the_usual_one_is_taken(tmp_path):
    about = describe(made_dataset(tmp_path / "d", [{"a": [2, 3, 4, 7, 8]}], dt_s=None))
    assert (about["gaps"]["step_s"], about["gaps"]["is_step_given"]) == (60.0, False)
    assert by_machine(about) == {"a": (5, 1, 2, 120.0), "silent": (0, 0, 0, 0.0)}
    assert about["faults"] == {}


def test_extra_channels_and_missing_values_are_described(tmp_path):
    flow = describe(made_dataset(tmp_path / "d", [{"a": [0, 1, 2, 3]}], extra=True))["channels"][-1]
    assert (flow["name"], flow["unit"], flow["count"], flow["nan"]) == ("flow_m3_h", "m3/h", 2, 2)
    assert (flow["min"], flow["max"], flow["mean"]) == (0.0, 2.0, 1.0)


def test_a_dataset_without_readings_is_described(tmp_path):
    about = describe(made_dataset(tmp_path / "d", [{}]))
    assert about["gaps"]["step_s"] is None
    assert about["channels"][0]["count"] == 0
    assert np.isnan(about["channels"][0]["mean"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(NUMBERS, max_size=60),
    st.integers(1, 20),
)
def test_the_tally_agrees_with_numpy_for_any_numbers(values, size):
    numbers = np.array(values, np.float32)
    tally = new_tally()
    for at in range(0, len(numbers), size):
        tally = add_values(tally, numbers[at : at + size])
    there = numbers[~np.isnan(numbers)].astype(np.float64)
    assert (tally.n, tally.n_nan) == (len(there), len(numbers) - len(there))
    if not len(there):
        assert np.isnan(list(quantiles(tally).values())).all()
        return
    assert (np.float32(tally.low), np.float32(tally.high)) == (there.min(), there.max())
    scale = np.abs(there).max()
    np.testing.assert_allclose(tally.mean / (scale or 1.0), there.mean() / (scale or 1.0), **REORDER)
    np.testing.assert_allclose(
        summary(tally)["std"] / (scale or 1.0), there.std() / (scale or 1.0), rtol=1e-6, atol=1e-9
    )
    tiny = np.finfo(np.float32).tiny
    for name, share in QUANTILES.items():
        want = ranked(there, share)
        assert abs(quantiles(tally)[name] - want) <= BUCKET * abs(want) + tiny


def test_quantised_readings_give_round_quantiles():
    tally = add_values(new_tally(), np.repeat(np.float32([0.1, 9.25, 27.1]), [50, 100, 50]))
    assert quantiles(tally) == {"p05": 0.1, "median": 9.25, "p95": 27.1}


def test_infinite_numbers_do_not_break_the_tally():
    tally = add_values(new_tally(), np.array([-np.inf, 1.0, np.inf, np.inf]))
    assert (tally.low, tally.high) == (-np.inf, np.inf)
    assert quantiles(tally)["median"] == pytest.approx(1.0, rel=BUCKET)
    assert quantiles(tally)["p95"] == np.inf


def test_one_file_read_at_a_time_keeps_memory_flat(tiny_dataset):
    before = pa.total_allocated_bytes()
    describe(open_dataset(tiny_dataset))
    size = sum(pq.read_metadata(f).row_group(0).total_byte_size for f in (tiny_dataset / "readings").rglob("*.parquet"))
    assert pa.total_allocated_bytes() - before <= size
