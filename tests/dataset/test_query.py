"""SQL over a dataset: the platform's own query patterns, UTC, partitions, and what a query must not be able to do."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_fleets import small_fleet
from tolerances import REORDER

import nexova_sim as nx
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset.query import MAX_SQL_CHARS, QueryError, connected, run_sql
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.data import query
from nexova_sim.run.simulate import simulate
from nexova_sim.schema.channels import TABLES

RECENT_AGGREGATES = """
SELECT avg(power_kw) AS mean_kw, avg(temperature_c) AS mean_c, max(temperature_c) AS max_c,
       max(vibration_mm_s) AS max_mm_s, min(power_kw) AS min_kw
FROM readings
WHERE machine_id = 'lyon-pump-001' AND timestamp >= (SELECT max(timestamp) FROM readings) - INTERVAL 7 DAY
"""
PAGE = """
SELECT * FROM readings WHERE machine_id = 'lyon-pump-001' ORDER BY timestamp DESC LIMIT 1000 OFFSET 1000
"""
STATUS_WITH_EVENTS = """
WITH latest AS (
  SELECT machine_id, max(timestamp) AS seen, arg_max(status, timestamp) AS status,
         arg_max(power_kw, timestamp) AS power_kw, arg_max(temperature_c, timestamp) AS temperature_c,
         arg_max(vibration_mm_s, timestamp) AS vibration_mm_s
  FROM readings GROUP BY machine_id
)
SELECT machine_id, kind, latest.status, power_kw, temperature_c, vibration_mm_s, count(event) AS events_24h
FROM machines JOIN latest USING (machine_id)
LEFT JOIN events ON events.machine_id = machines.machine_id AND events.timestamp > seen - INTERVAL 1 DAY
GROUP BY ALL ORDER BY machine_id
"""
MOVING_AVERAGE = """
SELECT machine_id, timestamp, power_kw,
       avg(power_kw) OVER last_ten AS power_ma10
FROM readings
WINDOW last_ten AS (PARTITION BY machine_id ORDER BY timestamp ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)
ORDER BY timestamp DESC, machine_id
"""


def one_machine(folder: Path) -> pa.Table:
    return open_dataset(folder).read(machines=["lyon-pump-001"])


def test_recent_readings_with_aggregates(tiny_dataset):
    rows = one_machine(tiny_dataset)
    got = nx.query(tiny_dataset, RECENT_AGGREGATES).to_pylist()
    assert len(got) == 1
    power, temperature = rows["power_kw"].to_numpy().astype(float), rows["temperature_c"].to_numpy().astype(float)
    want = [power.mean(), temperature.mean(), temperature.max(), rows["vibration_mm_s"].to_numpy().max(), power.min()]
    np.testing.assert_allclose(list(got[0].values()), want, **REORDER)


def test_pagination(tiny_dataset):
    got = query(tiny_dataset, PAGE)
    want = one_machine(tiny_dataset)["timestamp"].to_pylist()[::-1][1000:2000]
    assert got["timestamp"].to_pylist() == want


def test_machine_status_with_recent_event_count(tiny_dataset):
    rows = open_dataset(tiny_dataset).read()
    events = open_dataset(tiny_dataset).read("events").to_pylist()
    got = {r["machine_id"]: r for r in query(tiny_dataset, STATUS_WITH_EVENTS).to_pylist()}
    assert list(got) == sorted(open_dataset(tiny_dataset).machine_ids())
    for name, row in got.items():
        own = rows.filter(pc.equal(rows["machine_id"].cast(pa.string()), name)).to_pylist()
        assert row["status"] == own[-1]["status"]
        assert row["power_kw"] == own[-1]["power_kw"]
        since = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)
        assert row["events_24h"] == sum(e["machine_id"] == name and e["timestamp"] > since for e in events)
    assert got["lyon-motor-001"]["events_24h"] == 2


def test_moving_average_of_ten_readings(tiny_dataset):
    got = query(tiny_dataset, MOVING_AVERAGE)
    assert got.num_rows == 23040
    assert got["timestamp"].to_pylist()[0] == datetime(2026, 1, 6, 23, 59, tzinfo=UTC)
    own = got.filter(pc.equal(got["machine_id"], "lyon-pump-001"))
    power = one_machine(tiny_dataset)["power_kw"].to_numpy().astype(float)
    want = [power[max(0, i - 9) : i + 1].mean() for i in range(len(power))][::-1]
    np.testing.assert_allclose(own["power_ma10"].to_numpy(), want, **REORDER)


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_table_is_a_view_of_its_rows(tiny_dataset, table):
    got = query(tiny_dataset, f"SELECT * FROM {table}")
    want = open_dataset(tiny_dataset).read(table)
    parts = ["month"] if table in {"readings", "truth"} else []
    assert got.column_names == [*want.column_names, *parts]
    for name in want.column_names:
        one, other = got[name], want[name]
        if pa.types.is_dictionary(other.type):
            other = other.cast(pa.string())
        if table == "readings" and pa.types.is_floating(other.type):
            other = pc.if_else(pc.is_nan(other), None, other)  # a silent sensor is NULL in SQL
        assert one.cast(other.type).to_pylist() == other.to_pylist(), name


def test_times_are_utc_whatever_the_machine(tiny_dataset, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    got = query(
        tiny_dataset,
        "SELECT min(timestamp) AS first, hour(min(timestamp)) AS h, min(timestamp)::VARCHAR AS t FROM readings",
    )
    assert got.schema.field("first").type == pa.timestamp("us", tz="UTC")
    assert got.to_pylist() == [{"first": datetime(2026, 1, 5, tzinfo=UTC), "h": 0, "t": "2026-01-05 00:00:00+00"}]


def test_a_partition_filter_leaves_the_other_files_unread(tmp_path):
    folder = tmp_path / "date=today" / "d"  # a folder above the dataset that looks like a partition adds no column
    simulate(small_fleet({"days": 2, "dt_s": 300, "output": {"partition": "day"}}), folder, jobs=1)
    assert "date" in query(folder, "SELECT * FROM readings LIMIT 1").column_names
    assert query(folder, "SELECT DISTINCT date FROM readings ORDER BY date")["date"].to_pylist() == [
        "2026-01-05",
        "2026-01-06",
    ]
    last = folder / "readings/date=2026-01-06/part-00000.parquet"
    last.write_bytes(b"")
    assert query(folder, "SELECT count(*) AS n FROM readings WHERE date = '2026-01-05'")["n"].to_pylist() == [3 * 288]
    with pytest.raises(DataError, match="date=2026-01-06"):
        query(folder, "SELECT avg(power_kw) FROM readings")


def test_a_dataset_without_hidden_tables_has_empty_views_of_them(tmp_path, tiny_dataset):
    from nexova_sim.schema.manifest import dump_manifest, load_manifest

    folder = tmp_path / "it's [a] *folder*?"
    shutil.copytree(tiny_dataset, folder)
    manifest = load_manifest(folder)
    kept = [e for e in manifest.files if e.table not in {"truth", "labels", "build"}]
    rows = {t: n for t, n in manifest.rows.items() if t not in {"truth", "labels", "build"}}
    changed = manifest.model_copy(update={"files": kept, "rows": rows})
    (folder / "manifest.json").write_text(dump_manifest(changed), encoding="utf-8")
    sql = "SELECT count(*) AS n FROM {} LEFT JOIN readings USING (machine_id)"
    for table in ("truth", "labels", "build"):
        assert query(folder, sql.format(table))["n"].to_pylist() == [0]
    assert query(folder, "SELECT onset, severity, is_sensor_fault FROM labels").schema.types == [
        pa.timestamp("us", tz="UTC"), pa.float32(), pa.bool_()]  # fmt: skip
    assert query(folder, "SELECT count(*) AS n FROM readings")["n"].to_pylist() == [23040]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x AS SELECT 1",
        "COPY readings TO '{out}'",
        "COPY (SELECT 1) TO '{out}' (FORMAT csv)",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}' AS other",
        "INSERT INTO machines SELECT * FROM machines",
        "DROP VIEW readings",
        "SET enable_external_access = true",
        "PRAGMA enable_profiling",
        "INSTALL httpfs",
        "LOAD '{out}'",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '{out}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT content FROM read_blob('{folder}/config.resolved.yaml')",
        "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{out}''')",
        "WITH x AS (INSERT INTO machines SELECT * FROM machines RETURNING *) SELECT * FROM x",
        "SELECT * FROM dataset",
        "SELECT * FROM sql",
        "SELECT getenv('HOME')",
        "",
        ";",
        "-- nothing",
        "SELECT '\0'",
        "SELEC 1",
        "SELECT",
        "SELECT nope FROM readings",
        "SELECT * FROM nope",
        "SELECT power_kw::DATE FROM readings",
        "SELECT machine_id::INTEGER FROM readings",
        "SELECT error('stop') FROM readings",
    ],
)
def test_whatever_is_no_plain_select_is_a_usage_error_and_changes_nothing(tiny_dataset, tmp_path, sql):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    before = sorted(p.name for p in tmp_path.iterdir())
    text = sql.format(out=tmp_path / "out.csv", secret=secret, folder=tiny_dataset)
    with pytest.raises(QueryError, match="query: ") as caught:
        query(tiny_dataset, text)
    assert caught.value.exit_code == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_duckdbs_message_reaches_the_user(tiny_dataset):
    with pytest.raises(QueryError, match=r"Binder Error.*\"powr_kw\" not found(.|\n)*power_kw"):
        query(tiny_dataset, "SELECT powr_kw FROM readings")


def test_a_query_as_long_as_a_book_is_refused(tiny_dataset):
    with pytest.raises(QueryError, match="characters"):
        query(tiny_dataset, "SELECT 1 --" + "x" * MAX_SQL_CHARS)


def test_the_connection_itself_is_locked(tiny_dataset, tmp_path):
    import duckdb

    with connected(open_dataset(tiny_dataset)) as connection:
        for statement in (
            "SET memory_limit = '8GB'",
            f"COPY (SELECT 1) TO '{tmp_path / 'x.csv'}'",
            f"ATTACH '{tmp_path / 'x.db'}'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)
    assert list(tmp_path.iterdir()) == []


def test_memory_is_limited_and_the_spill_folder_removed(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    greedy = "SELECT list(a.i + b.i) AS x FROM range(20000) a(i), range(20000) b(i)"
    with pytest.raises(QueryError, match=r"Out of Memory.*--memory"):
        query(tiny_dataset, greedy, memory_mb=64)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="64 MB"):
        query(tiny_dataset, "SELECT 1", memory_mb=1)


def test_results_are_streamed_and_cut_at_the_limit(tiny_dataset):
    with run_sql(open_dataset(tiny_dataset), "SELECT * FROM range(100000000)") as (schema, batches):
        assert schema.names == ["range"]
        assert next(batches).num_rows < 1_000_000
    assert query(tiny_dataset, "SELECT * FROM range(1000000)", limit=10)["range"].to_pylist() == list(range(10))
    assert query(tiny_dataset, "SELECT * FROM machines", limit=0).num_rows == 0
    with pytest.raises(ConfigError, match="--limit -1"):
        query(tiny_dataset, "SELECT 1", limit=-1)


def test_columns_of_one_name_are_told_apart(tiny_dataset):
    assert len(set(query(tiny_dataset, "SELECT 1 AS a, 2 AS a, 3 AS a").column_names)) == 3


@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_a_damaged_file_is_bad_data_and_named(tiny_dataset, tmp_path, damage):
    folder = tmp_path / "d"
    shutil.copytree(tiny_dataset, folder)
    path = folder / "readings/month=2026-01/part-00000.parquet"
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[4:4000] = bytes(3996)
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    with pytest.raises(DataError, match=re.escape("part-00000.parquet")):
        query(folder, "SELECT avg(power_kw), max(machine_id) FROM readings")
