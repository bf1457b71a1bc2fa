"""Query, export and split of a simulated dataset, through the functions behind the verbs."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.dataset.encode import (
    csv_chunks,
    iso,
    json_chunks,
    ndjson_chunks,
    rows_of,
    unique_names,
    values_of,
    write_parquet,
)
from nexova_sim.dataset.export import check_target, format_of, save_rows, send_rows
from nexova_sim.dataset.query import connected, run_sql
from nexova_sim.dataset.split import check_fractions, plan_by_machine, plan_by_time, write_part
from nexova_sim.dataset.tally import add_values, new_tally, quantiles
from nexova_sim.run.data import Selection, export, open_dataset, query, query_to, read_sql, show_rows, split, verify

RECENT = """
SELECT machine_id, avg(power_kw) AS mean_kw, max(temperature_c) AS max_c, max(vibration_mm_s) AS max_mm_s
FROM readings WHERE timestamp >= (SELECT max(timestamp) FROM readings) - INTERVAL 1 DAY GROUP BY machine_id ORDER BY 1
"""
STATUS = """
SELECT m.machine_id, m.kind, count(e.event) FILTER (e.event <> 'status') AS incidents
FROM machines m LEFT JOIN events e USING (machine_id) GROUP BY ALL ORDER BY 1
"""
MOVING = """
SELECT machine_id, timestamp, power_kw, avg(power_kw) OVER (
  PARTITION BY machine_id ORDER BY timestamp ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS power_ma10
FROM readings ORDER BY machine_id, timestamp LIMIT 30
"""


def test_queries_of_the_platform(tiny_dataset):
    recent = query(tiny_dataset, RECENT)
    assert recent.num_rows == 8
    assert all(v is not None and v > 0 for v in recent.column("max_c").to_pylist())
    assert query(tiny_dataset, STATUS).num_rows == 8
    moving = query(tiny_dataset, MOVING)
    power = np.array(moving.column("power_kw").to_pylist())
    mean = np.array(moving.column("power_ma10").to_pylist())
    np.testing.assert_allclose(mean[15], power[5:16].mean(), rtol=1e-6)
    page = query(tiny_dataset, "SELECT * FROM readings ORDER BY machine_id, timestamp LIMIT 5 OFFSET 100")
    assert page.column("timestamp").type == pa.timestamp("us", "UTC") or str(page.column("timestamp").type).endswith(
        "UTC]"
    )


def test_a_silent_sensor_is_null_and_swallows_no_mean(tiny_dataset):
    row = query(tiny_dataset, "SELECT count(*) AS n, count(temperature_c) AS c, avg(temperature_c) AS t FROM readings")
    n, c, t = (row.column(k)[0].as_py() for k in ("n", "c", "t"))
    assert c == n - 180
    assert 20 < t < 70


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; SELECT 2",
        "DROP VIEW readings",
        "COPY readings TO 'x.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "ATTACH 'x.db'",
        "SET memory_limit = '1TB'",
        "INSTALL httpfs",
        "SELEC 1",
        "SELECT no_such FROM readings",
        "",
    ],
)
def test_sql_that_is_refused(tiny_dataset, tmp_path, monkeypatch, sql):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        query(tiny_dataset, sql)
    assert not list(tmp_path.iterdir())


def test_sql_from_file_and_stream(tmp_path, monkeypatch):
    (tmp_path / "q.sql").write_text("SELECT 1")
    assert read_sql(f"@{tmp_path / 'q.sql'}") == "SELECT 1"
    assert read_sql("SELECT 2") == "SELECT 2"
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 3"))
    assert read_sql("-") == "SELECT 3"
    with pytest.raises(ConfigError, match="cannot read"):
        read_sql(f"@{tmp_path / 'none.sql'}")


def test_query_to_a_file(tiny_dataset, tmp_path):
    target = tmp_path / "k.csv"
    n = query_to(tiny_dataset, "SELECT kind, count(*) AS n FROM machines GROUP BY kind ORDER BY kind", target)
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert n == len(rows) == 4
    assert sum(int(r["n"]) for r in rows) == 8
    with pytest.raises(ConfigError, match="overwrite"):
        query_to(tiny_dataset, "SELECT 1 AS a", target)


def test_connection_is_locked_and_streams(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    with connected(dataset) as connection:
        assert connection.execute("SELECT count(*) FROM machines").fetchone() == (8,)
        with pytest.raises(Exception, match=r"disabled|not allowed|Permission"):
            connection.execute("SELECT * FROM read_text('/etc/hostname')").fetchall()
    with run_sql(dataset, "SELECT 1 AS a") as (schema, batches):
        assert schema.names == ["a"]
        assert sum(b.num_rows for b in batches) == 1
    with pytest.raises(ConfigError), connected(dataset, memory_mb=1):
        pass


def test_cells_that_spreadsheets_would_run_are_defused():
    schema = pa.schema([("name", pa.string()), ("n", pa.float32())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["=1+1", "@x", "ok"]), pa.array([-1.5, 2.0, None], pa.float32())], schema=schema
    )
    rows = list(csv.reader(io.StringIO(b"".join(csv_chunks(schema, [batch])).decode())))
    assert [r[0] for r in rows[1:]] == ["'=1+1", "'@x", "ok"]
    assert [r[1] for r in rows[1:]] == ["-1.5", "2", ""] or rows[1][1] == "-1.5"
    lines = b"".join(ndjson_chunks(schema, [batch])).decode().splitlines()
    assert json.loads(lines[0]) == {"name": "=1+1", "n": -1.5}
    assert len(json.loads(b"".join(json_chunks(schema, [batch])))) == 3
    assert rows_of(batch)[2] == ["ok", None]
    assert values_of(pa.array([0.1, float("nan")], pa.float32())) == [0.1, None]
    assert unique_names(["a", "a", "b"]) == ["a", "a_1", "b"]
    assert iso(datetime(2026, 1, 5, 1, 2, 3, tzinfo=UTC)) == "2026-01-05T01:02:03Z"


def test_parquet_rows_come_back(tmp_path):
    schema = pa.schema([("a", pa.int64())])
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2, 3])], schema=schema)
    with (tmp_path / "x.parquet").open("wb") as handle:
        write_parquet(schema, [batch], handle)
    assert pq.read_table(tmp_path / "x.parquet").column("a").to_pylist() == [1, 2, 3]
    assert save_rows(schema, [batch], "csv", tmp_path / "x.csv") == 3
    with pytest.raises(ConfigError):
        save_rows(schema, [batch], "csv", tmp_path / "x.csv")
    sink = io.BytesIO()
    assert send_rows(schema, [batch], "ndjson", sink) == 3
    assert sink.getvalue().count(b"\n") == 3


def test_export(tiny_dataset, tmp_path):
    chosen = Selection("readings", ("lyon-pump-001",))
    n = export(tiny_dataset, tmp_path / "p.csv.gz", chosen)
    with gzip.open(tmp_path / "p.csv.gz", "rt") as handle:
        rows = list(csv.DictReader(handle))
    assert n == len(rows) == 2880
    assert {r["machine_id"] for r in rows} == {"lyon-pump-001"}
    assert (
        export(tiny_dataset, tmp_path / "e.parquet", Selection("events"))
        == pq.read_metadata(tmp_path / "e.parquet").num_rows
    )
    assert format_of(Path("a.parquet"), None) == "parquet"
    with pytest.raises(ConfigError):
        format_of(None, "xls")
    with pytest.raises(ConfigError):
        check_target(tmp_path / "e.parquet", False, open_dataset(tiny_dataset))


def test_shown_rows_are_cut(tiny_dataset):
    shown = show_rows(query(tiny_dataset, "SELECT machine_id FROM machines ORDER BY 1"), 3)
    assert len(shown[1]) == 3


def test_split_by_machine_shares_no_machine(tiny_dataset, tmp_path):
    parts = split(tiny_dataset, tmp_path / "s", fractions=(0.5, 0.25, 0.25), seed=4)
    seen = [
        set(query(p["folder"], "SELECT DISTINCT machine_id FROM readings").column(0).to_pylist())
        for p in parts.values()
    ]
    assert not set.intersection(seen[0], seen[1]) and not seen[0] & seen[2] and not seen[1] & seen[2]
    assert len(set.union(*seen)) == 8
    for part in parts.values():
        assert verify(part["folder"]).findings == ()
    dataset = open_dataset(tiny_dataset)
    first, again = (plan_by_machine(dataset, (0.5, 0.25, 0.25), 4) for _ in range(2))
    assert first == again


def test_split_by_time_keeps_its_gap(tiny_dataset, tmp_path):
    parts = split(tiny_dataset, tmp_path / "t", by="time", fractions=(0.5, 0.25, 0.25), gap_h=2.0)
    span = {
        n: query(p["folder"], "SELECT min(timestamp) AS a, max(timestamp) AS b FROM readings").to_pylist()[0]
        for n, p in parts.items()
    }
    assert (span["validation"]["a"] - span["train"]["b"]).total_seconds() >= 7200
    assert (span["test"]["a"] - span["validation"]["b"]).total_seconds() >= 7200
    dataset = open_dataset(tiny_dataset)
    plan = plan_by_time(dataset, (0.5, 0.25, 0.25), 2.0)
    manifest = write_part(dataset, plan, plan.parts[0], tmp_path / "one", False)
    assert manifest.rows["readings"] > 0
    with pytest.raises(ConfigError):
        check_fractions((0.9, 0.9, 0.1))


def test_tally_agrees_with_numpy():
    values = np.random.default_rng(3).normal(50.0, 10.0, 20_000).astype(np.float32)
    tally = add_values(new_tally(), values)
    assert add_values(new_tally(), values).n == 20_000
    got = quantiles(tally)
    for name, share in (("p05", 0.05), ("median", 0.5), ("p95", 0.95)):
        assert got[name] == pytest.approx(float(np.quantile(values, share)), rel=0.01)


def test_commands_query_and_export(tiny_dataset, tmp_path):
    def nexova(*words):
        return subprocess.run([sys.executable, "-m", "nexova_sim", *words], capture_output=True, text=True, check=False)

    done = nexova("data", "query", str(tiny_dataset), "SELECT count(*) AS n FROM machines", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "8"
    assert nexova("data", "query", str(tiny_dataset), "SELEC").returncode == 2
    done = nexova("data", "export", str(tiny_dataset), "--table", "events", "--to", str(tmp_path / "e.csv"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "e.csv").stat().st_size > 100
