"""From plant files to a dataset: units, times, machines, status, hour meter, labels, extra channels, same bytes."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plant_files import clock, mapped, put, rows_of, run

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset.convert import (
    safe_name,
)
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.ingest import ingest, preview


def test_bench_format_like_the_built_in_map(root, tmp_path):
    from nexova_sim.config.ingest import load_map

    head = "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage"
    head += ";Volume Flow RateRMS"
    labelled = head + ";anomaly;changepoint\n"
    for s in range(33, 38):
        measured = "0.02;0.04;2.0;-0.27;80.5;26.0;230.0;32.0"
        labelled += f"2020-03-09 10:14:{s};{measured};{float(34 <= s < 36)};{float(s == 34)}\r\n"
    clean = head + "\n2020-02-08 13:30:47;0.2;0.3;2.0;0.4;90.0;27.0;240.0;122.0\n"
    files = [put(tmp_path, labelled, "0.csv"), put(tmp_path, clean, "anomaly-free.csv")]
    done = ingest(files, load_map(root / "configs/ingest/pump_bench.yaml"), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert [clock(r)[:10] for r in rows] == ["2020-02-08"] + ["2020-03-09"] * 5
    assert rows[1]["power_kw"] == pytest.approx(0.46)
    assert rows[1]["pressure_bar"] == pytest.approx(-0.27)
    assert np.isnan(rows[0]["vibration_mm_s"])
    assert "anomaly" not in rows[0] and "Anomaly" not in str(done.manifest.extra_channels)
    labels = rows_of(tmp_path / "out", "labels")
    assert [(x["fault"], x["onset"].second, x["end"].second) for x in labels] == [
        ("anomaly", 34, 36),
        ("changepoint", 34, 35),
    ]
    assert done.manifest.source == "ingest" and done.manifest.seed is None and done.manifest.dt_s == 1.0
    assert done.manifest.start == "2020-02-08T13:30:47Z" and done.manifest.end == "2020-03-09T10:14:38Z"
    assert any("vibration_mm_s" in note for note in done.report["notes"])


def test_quarter_hour_energy_whose_midnight_row_closes_the_day(root, tmp_path):
    from nexova_sim.config.ingest import load_map

    head = (
        "date,Usage_kWh,Lagging_Current_Reactive.Power_kVarh,Leading_Current_Reactive_Power_kVarh,CO2(tCO2),"
        "Lagging_Current_Power_Factor,Leading_Current_Power_Factor,NSM,WeekStatus,Day_of_week,Load_Type\n"
    )
    tail = "2.95,0,0,73.21,100,900,Weekday,Monday,Light_Load\n"
    text = head + f"2/1/2018 23:45,3,{tail}2/1/2018 0:00,4,{tail}3/1/2018 0:15,5,{tail}"
    done = ingest([put(tmp_path, text)], load_map(root / "configs/ingest/steel_plant.yaml"), tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    # 23:30, 23:45 and 00:00 in Seoul (UTC+9) are 14:30, 14:45 and 15:00 UTC.
    assert [(clock(r), r["power_kw"]) for r in rows] == [
        ("2018-01-02T14:30:00", 12.0),
        ("2018-01-02T14:45:00", 16.0),
        ("2018-01-02T15:00:00", 20.0),
    ]
    assert done.report["out_of_order"] == 0 and done.manifest.dt_s == 900.0
    assert rows[0]["lagging_reactive_kvarh"] == pytest.approx(2.95)


def test_units_are_converted(tmp_path):
    channels = {
        "power_kw": {"column": "w", "unit": "W"},
        "temperature_c": {"column": "f", "unit": "degF"},
        "vibration_mm_s": {"column": "v", "unit": "in/s"},
        "runtime_h": {"column": "r", "unit": "min"},
    }
    (row,) = run(tmp_path, "t,w,f,v,r\n2026-01-05T00:00:00,7500,212,0.1,90\n", channels=channels)
    got = [row[c] for c in ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h")]
    assert got == pytest.approx([7.5, 100.0, 2.54, 1.5])


@pytest.mark.parametrize(
    ("text", "rule", "utc"),
    [
        ("2026-07-01 12:00:00", {}, "2026-07-01T12:00:00"),
        ("2026-07-01", {}, "2026-07-01T00:00:00"),
        ("2026-07-01T12:00:00.250", {"timezone": "Europe/Paris"}, "2026-07-01T10:00:00"),
        ("2026-07-01T12:00:00Z", {"timezone": "Europe/Paris"}, "2026-07-01T12:00:00"),
        ("2026-07-01 12:00+0530", {}, "2026-07-01T06:30:00"),
        ("1/7/2026 0:15", {"format": "%d/%m/%Y %H:%M"}, "2026-07-01T00:15:00"),
        ("2026-07-01 02:00 +0200", {"format": "%Y-%m-%d %H:%M %z"}, "2026-07-01T00:00:00"),
        ("1782864000", {"format": "unix_s"}, "2026-07-01T00:00:00"),
        ("1782864000000", {"format": "unix_ms"}, "2026-07-01T00:00:00"),
        ("2026-07-01 00:00", {"midnight": "end"}, "2026-07-02T00:00:00"),
        ("2026-07-01 00:15", {"shift_s": -900}, "2026-07-01T00:00:00"),
        ("2026-10-25 02:30:00+01:00", {"timezone": "Europe/Paris"}, "2026-10-25T01:30:00"),
    ],
)
def test_time_formats(tmp_path, text, rule, utc):
    (row,) = run(tmp_path, f"t,kw\n{text},1\n", timestamp={"column": "t", **rule})
    assert clock(row) == utc


def test_date_and_time_in_two_columns(tmp_path):
    (row,) = run(tmp_path, "d,h,kw\n05.01.2026,06:00,1\n", timestamp={"column": ["d", "h"], "format": "%d.%m.%Y %H:%M"})
    assert clock(row) == "2026-01-05T06:00:00"


def test_local_times_that_dst_doubles_or_skips_are_rejected(tmp_path):
    text = "t,kw\n2026-03-29 01:30,1\n2026-03-29 02:30,2\n2026-03-29 03:30,3\n2026-10-25 02:30,4\n2026-10-25 03:30,5\n"
    rows = run(tmp_path, text, timestamp={"column": "t", "timezone": "Europe/Paris"})
    assert [clock(r) for r in rows] == ["2026-03-29T00:30:00", "2026-03-29T01:30:00", "2026-10-25T02:30:00"]
    lines = (tmp_path / "out/rejects/rejects-00000.csv").read_text().splitlines()
    assert "a.csv,3,timestamp: does not exist" in lines[1] and "a.csv,5,timestamp: ambiguous" in lines[2]


def test_machines_from_a_column_the_file_name_and_renamed(tmp_path):
    text = "t,id,kw\n2026-01-05 00:00,Pump 1/A,1\n2026-01-05 00:00,b,2\n"
    rows = run(
        tmp_path,
        text,
        machine={"column": "id", "rename": {"Pump 1/A": "pump-1a"}},
        machines={"b": {"rated_kw": 20, "nominal_load_frac": 0.5}},
    )
    assert [(r["machine_id"], r["power_kw"]) for r in rows] == [("b", 2.0), ("pump-1a", 1.0)]
    machines = rows_of(tmp_path / "out", "machines")
    assert [(m["machine_id"], m["baseline_kw"], m["kind"], m["factory_id"]) for m in machines] == [
        ("b", 10.0, "UNKNOWN", "site"),
        ("pump-1a", None, "UNKNOWN", "site"),
    ]
    files = [put(tmp_path, "t,kw\n2026-01-05,1\n", "m7_jan.csv"), put(tmp_path, "t,kw\n2026-01-05,2\n", "m8_jan.csv")]
    ingest(files, mapped(machine={"file_name": "^(m[0-9]+)_"}), tmp_path / "named")
    assert [r["machine_id"] for r in rows_of(tmp_path / "named")] == ["m7", "m8"]
    with pytest.raises(DataError, match="does not fit"):
        ingest(
            [put(tmp_path, "t,kw\n2026-01-05,1\n", "x.csv")],
            mapped(machine={"file_name": "^(m[0-9]+)_"}),
            tmp_path / "no",
        )


def test_status_by_column_and_by_power(tmp_path):
    text = "t,kw,s\n2026-01-05 00:00,1,run\n2026-01-05 01:00,0,0\n2026-01-05 02:00,,svc\n"
    values = {"run": "ONLINE", "0": "OFFLINE"}
    rows = run(tmp_path, text, status={"column": "s", "values": values, "other": "MAINTENANCE"})
    assert [r["status"] for r in rows] == ["ONLINE", "OFFLINE", "MAINTENANCE"]
    events = rows_of(tmp_path / "out", "events")
    assert [(e["status"], e["reason"]) for e in events] == [
        ("ONLINE", "start"),
        ("OFFLINE", None),
        ("MAINTENANCE", None),
    ]
    ingest([tmp_path / "a.csv"], mapped(status={"offline_below_kw": 0.5}, drop=["s"]), tmp_path / "rule")
    assert [r["status"] for r in rows_of(tmp_path / "rule")] == ["ONLINE", "OFFLINE", "ONLINE"]


def test_hour_meter_counts_online_time_without_long_gaps_across_months(tmp_path):
    text = "t,kw\n2026-01-31 22:00,1\n2026-01-31 23:00,0\n2026-02-01 00:00,1\n2026-02-01 01:00,1\n2026-02-01 09:00,1\n"
    rows = run(tmp_path, text, status={"offline_below_kw": 0.5}, runtime={"start_h": 100, "max_gap_s": 3600})
    assert [r["runtime_h"] for r in rows] == [100.0, 101.0, 101.0, 102.0, 102.0]
    assert rows_of(tmp_path / "out", "machines")[0]["runtime_start_h"] == 100.0


def test_labels_end_with_the_next_row_a_gap_or_the_data(tmp_path):
    stamps = ["00:00", "00:10", "00:20", "06:00", "06:10", "06:20", "06:30"]
    text = "t,kw,bad\n" + "".join(f"2026-01-05 {s},1,{a}\n" for s, a in zip(stamps, "0111001", strict=True))
    run(tmp_path, text, labels=[{"column": "bad", "fault": "leak"}])
    got = [
        (x["onset"].strftime("%H:%M"), x["end"].strftime("%H:%M"), x["ended_by"])
        for x in rows_of(tmp_path / "out", "labels")
    ]
    assert got == [("00:10", "00:30", None), ("06:00", "06:10", None), ("06:30", "06:40", "end_of_data")]
    assert "bad" not in open_dataset(tmp_path / "out").manifest.extra_channels


def test_label_texts(tmp_path):
    run(
        tmp_path,
        "t,kw,state\n2026-01-05 00:00,1,fine\n2026-01-05 00:10,1,leak\n",
        labels=[{"column": "state", "fault": "leak", "active": ["leak"]}],
    )
    assert len(rows_of(tmp_path / "out", "labels")) == 1


def test_extra_columns_are_kept_with_safe_names(tmp_path):
    text = "t,kw,Flow (l/min),power_kw,Text,Empty,9lives,skip\n2026-01-05,1,32.5,7,abc,,9,1\n"
    (row,) = run(tmp_path, text, drop=["skip"])
    assert (row["flow_l_min"], row["power_kw_2"], row["x_9lives"]) == (32.5, 7.0, 9.0)
    assert not {"text", "empty", "skip"} & set(row)
    report = json.loads((tmp_path / "out/ingest.report.json").read_text())
    assert report["left_out"] == {"skip": "dropped by the mapping", "Text": "not numeric", "Empty": "empty"}
    unit = open_dataset(tmp_path / "out").schema("readings").field("flow_l_min").metadata[b"unit"]
    assert unit == b"1"


def test_safe_names():
    assert [safe_name(n) for n in ("CO2(tCO2)", "Temp °C", "1", "µ", "A.B")] == [
        "co2_tco2",
        "temp_c",
        "x_1",
        "x",
        "a_b",
    ]


def test_decimal_comma(tmp_path):
    rows = run(
        tmp_path,
        "t;kw\n2026-01-05 00:00;1,5\n2026-01-05 01:00;1.234\n2026-01-05 02:00;2,5e1\n",
        delimiter=";",
        decimal=",",
    )
    assert [r["power_kw"] for r in rows] == [1.5, 25.0]


def test_preamble_and_file_without_header(tmp_path):
    (row,) = run(tmp_path, "Export\nof plant\nt,kw\n2026-01-05,1\n", skip_lines=2)
    assert row["power_kw"] == 1.0
    ingest([put(tmp_path, "2026-01-05,3\n", "b.csv")], mapped(columns=["t", "kw"]), tmp_path / "b")
    assert rows_of(tmp_path / "b")[0]["power_kw"] == 3.0


def test_quoted_cells_keep_their_delimiters(tmp_path):
    (row,) = run(tmp_path, '"t","kw","note"\n"2026-01-05","1.5","a, ""b"""\n')
    assert row["power_kw"] == 1.5


def test_parquet_gives_the_same_readings_as_csv(tmp_path):
    table = pa.table(
        {
            "t": pa.array([datetime(2026, 1, 5), datetime(2026, 1, 5, 1), None], pa.timestamp("us")),
            "kw": pa.array([1.5, float("nan"), 2.0]),
            "a.b": pa.array([1, 2, 3], pa.int32()),
            "flag": pa.array([True, False, None]),
            "nested": pa.array([[1], [2], [3]]),
            "name": pa.array(["x", "y", "z"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    rule = mapped(timestamp={"column": "t", "timezone": "Europe/Paris"}, machine={"column": "name"})
    done = ingest([tmp_path / "a.parquet"], rule, tmp_path / "out", 0.5)
    rows = rows_of(tmp_path / "out")
    assert [(clock(r), r["a_b"], r["flag"]) for r in rows] == [
        ("2026-01-04T23:00:00", 1.0, 1.0),
        ("2026-01-05T00:00:00", 2.0, 0.0),
    ]
    assert np.isnan(rows[1]["power_kw"]) and done.report["missing"]["power_kw"] == 1
    assert done.report["reasons"] == {"timestamp: missing": 1}
    assert "a.parquet,3,timestamp: missing" in (tmp_path / "out/rejects/rejects-00000.csv").read_text()


def test_same_input_gives_the_same_bytes_wherever_it_lies(tmp_path):
    text = "t,kw\n" + "".join(f"2026-01-{d:02} {h:02}:00,{d + h}\n" for d in range(5, 9) for h in range(24)) + "x,1\n"
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        done = ingest([put(tmp_path / name, text)], mapped(), tmp_path / name / "out")
        digests.append({f.relative_to(done.folder): f.read_bytes() for f in done.folder.rglob("*") if f.is_file()})
    assert digests[0] == digests[1]
    again = ingest([tmp_path / "one/a.csv"], mapped(), tmp_path / "one/out")
    assert again.was_there and again.report["rejected"] == 1
    with pytest.raises(ConfigError, match="overwrite"):
        ingest([put(tmp_path, text + "2026-02-01,1\n")], mapped(), tmp_path / "one/out")


def test_the_order_of_rows_does_not_matter(tmp_path):
    lines = [
        f"2026-0{m}-0{d} {h:02}:00,{m * 100 + d * 10 + h},m{h % 3}\n" for m in (1, 2) for d in (1, 2) for h in range(24)
    ]
    shuffled = [lines[i] for i in np.random.default_rng(3).permutation(len(lines))]
    rule = mapped(machine={"column": "id"})
    tables = []
    for name, some in (("a", lines), ("b", shuffled)):
        done = ingest([put(tmp_path, "t,kw,id\n" + "".join(some), f"{name}.csv")], rule, tmp_path / name)
        tables.append([repr(r) for r in rows_of(tmp_path / name)])  # text, because NaN is not equal to itself
        assert (done.report["out_of_order"] > 0) == (name == "b")
    assert tables[0] == tables[1] and len(tables[0]) == len(lines)


def test_partition_by_day_and_by_blocks_of_machines(tmp_path, monkeypatch):
    monkeypatch.setattr("nexova_sim.dataset.spill.PART_ROWS", 30)
    text = "t,kw,id\n" + "".join(f"2026-01-0{d} {h:02}:00,1,{m}\n" for d in (1, 2) for m in "abcd" for h in range(12))
    rule = mapped(machine={"column": "id"})
    ingest([put(tmp_path, text)], rule, tmp_path / "out")
    paths = sorted(
        p.relative_to(tmp_path / "out/readings").as_posix() for p in (tmp_path / "out/readings").rglob("*.parquet")
    )
    assert paths == [f"date=2026-01-0{d}/part-0000{n}.parquet" for d in (1, 2) for n in (0, 1)]
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 96
    assert max(r["runtime_h"] for r in rows) == pytest.approx(22.0)  # the night's gap of 13 h does not count


def test_preview_writes_nothing_and_tells_all(tmp_path):
    path = put(tmp_path, "t,kw\n2026-01-05 00:00,1\n2026-01-05 01:00,2\nx,3\n")
    seen = preview([path], mapped(), 0.5, 1)
    assert (seen["readings"], seen["rejected"], seen["dt_s"], seen["machines"]) == (2, 1, 3600.0, ["m1"])
    assert [r["power_kw"] for r in seen["rows"]] == [1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
