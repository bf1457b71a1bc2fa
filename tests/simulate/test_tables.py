"""Tables of a dataset: schema, units, and that readings, labels, truth and events tell one story."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_fleets import Ran, run, small_fleet

from nexova_sim.kernels import rows as r
from nexova_sim.schema.channels import TABLES, channel
from nexova_sim.schema.tables import (
    field,
    flag_array,
    id_array,
    number_array,
    status_array,
    table_of,
    table_schema,
    text_array,
    time_array,
)
from nexova_sim.simulate import tables
from nexova_sim.simulate.blocks import falsify, run_block_periods, sense
from nexova_sim.simulate.plan import plan_block, plan_fleet
from nexova_sim.simulate.tables import (
    build_table,
    events_table,
    factories_table,
    fault_intervals,
    labels_table,
    machines_table,
    readings_table,
    truth_table,
    weather_table,
)

MIXED = {"pump": 3, "motor": 1, "compressor": 1, "conveyor": 1}


def sensor_fault(fault: str, name: str | None, onset_h: float, hours: float, machine: str = "f-pump-001") -> dict:
    return {"machine": machine, "fault": fault, "channel": name, "onset_h": onset_h, "hours": hours}


SCHEDULED = [
    sensor_fault("sensor_dropout", "temperature_c", 2.0, 1.5),
    sensor_fault("sensor_stuck", "power_kw", 22.0, 5.0),
    sensor_fault("sensor_drift", "vibration_mm_s", 4.0, 8.0),
    sensor_fault("sensor_spike", "temperature_c", 5.0, 6.0),
    sensor_fault("rows_missing", None, 13.0, 0.75),
    sensor_fault("imbalance", None, 30.0, 6.0, "f-pump-002"),
    sensor_fault("cooling_loss", None, 31.0, 2.0, "f-pump-002"),
]


def settings(faults: list[dict]) -> dict:
    return {"machines": MIXED, "days": 2, "output": {"partition": "day"}, "faults": {"scheduled": faults}}


@pytest.fixture(scope="module")
def faulty() -> Ran:
    return run(small_fleet(settings(SCHEDULED)))


@pytest.fixture(scope="module")
def sound() -> Ran:
    return run(small_fleet(settings(SCHEDULED[-2:])))


def of_machine(table: pa.Table, machine: str) -> pa.Table:
    return table.filter(pc.equal(table["machine_id"].cast(pa.string()), machine))


def minutes(table: pa.Table, column: str = "timestamp", start: int = 1767571200) -> np.ndarray:
    """Minutes since the start of the run, 2026-01-05T00:00Z."""
    return (table[column].cast(pa.int64()).to_numpy() // 1000 - start) / 60


@pytest.mark.parametrize("name", ["readings", "truth", "labels", "events"])
def test_schema_of_what_a_block_did(faulty, name):
    assert faulty.table(name).schema.equals(table_schema(name), check_metadata=True)
    assert faulty.table(name).num_rows > 0


def test_schema_of_the_fleet(faulty):
    makers = {"machines": machines_table, "build": build_table, "factories": factories_table, "weather": weather_table}
    for name, make in makers.items():
        table = make(faulty.plan)
        assert table.schema.equals(table_schema(name), check_metadata=True)
        table.validate(full=True)
        for column in TABLES[name]:
            if column.low is not None:
                assert pc.min(table[column.name]).as_py() >= column.low, column


@pytest.mark.parametrize("name", list(TABLES))
def test_every_column_says_its_unit_and_meaning(name):
    schema = table_schema(name)
    assert schema.metadata[b"nexova_table"] == name.encode()
    for column, item in zip(TABLES[name], schema, strict=True):
        assert item.metadata[b"unit"] == column.unit.encode() and item.metadata[b"meaning"]
        assert item.equals(field(channel(name, column.name)), check_metadata=True)
    with pytest.raises(KeyError):
        channel(name, "nothing")


def test_readings_are_sorted_and_complete(faulty):
    table = faulty.table("readings")
    expected = 6 * 2 * 1440 - 45
    assert table.num_rows == expected
    for chunk in faulty.chunks:
        t = readings_table(faulty.plan, faulty.block, chunk)
        ids = t["machine_id"].combine_chunks().indices.to_numpy()
        ms = t["timestamp"].cast(pa.int64()).to_numpy()
        assert (np.diff(ids) >= 0).all()
        assert (np.diff(ms)[np.diff(ids) == 0] > 0).all()
    own = minutes(of_machine(table, "f-motor-001"))
    np.testing.assert_array_equal(own, np.arange(2880))


def test_readings_are_within_their_ranges(faulty):
    table = faulty.table("readings")
    for column in TABLES["readings"]:
        if column.low is not None:
            bounds = pc.min_max(table[column.name].filter(pc.invert(pc.is_nan(table[column.name])))).as_py()
            assert column.low <= bounds["min"] and bounds["max"] <= column.high, column
    assert table["power_kw"].null_count == 0


def test_dropout_is_nan_inside_its_label_and_nowhere_else(faulty):
    table = of_machine(faulty.table("readings"), "f-pump-001")
    minute = minutes(table)
    is_nan = np.isnan(table["temperature_c"].to_numpy())
    np.testing.assert_array_equal(is_nan, (minute >= 120) & (minute < 210))
    for name in ("power_kw", "vibration_mm_s"):
        assert not np.isnan(faulty.table("readings")[name].to_numpy()).any()


def test_stuck_is_constant_inside_its_label_across_a_period(faulty, sound):
    power = of_machine(faulty.table("readings"), "f-pump-001")
    minute, values = minutes(power), power["power_kw"].to_numpy()
    inside = (minute >= 22 * 60) & (minute < 27 * 60)
    expected = sound.readings("power_kw")[0, minute.astype(int)]
    assert set(values[inside]) == {expected[minute == 22 * 60][0]}
    np.testing.assert_array_equal(values[~inside], expected[~inside])


def test_missing_rows_are_absent(faulty):
    minute = minutes(of_machine(faulty.table("readings"), "f-pump-001"))
    missing = sorted(set(range(2880)) - set(minute.astype(int)))
    assert missing == list(range(13 * 60, 13 * 60 + 45))


def test_drift_and_spikes_stay_inside_their_labels(faulty, sound):
    now, then = faulty.readings("vibration_mm_s")[0], sound.readings("vibration_mm_s")[0]
    differs = np.flatnonzero(now != then)
    assert differs.min() >= 240 and differs.max() < 720 and len(differs) > 450
    assert (now - then)[700:720].mean() > 1.5
    now, then = faulty.readings("temperature_c")[0], sound.readings("temperature_c")[0]
    differs = np.flatnonzero((now != then) & ~np.isnan(now))
    assert differs.min() >= 300 and differs.max() < 660 and 0 < len(differs) < 30
    assert np.abs(now - then)[differs].max() == pytest.approx(30.0, abs=0.01)


def test_sensor_faults_leave_the_truth_alone(faulty, sound):
    np.testing.assert_array_equal(faulty.truth, sound.truth)
    np.testing.assert_array_equal(faulty.event_value, sound.event_value)


def test_labels_are_the_schedule(faulty):
    found = [
        (row["machine_id"], row["fault"], row["channel"], row["is_sensor_fault"], row["ended_by"])
        for row in faulty.table("labels").to_pylist()
    ]
    assert sorted(found, key=str) == sorted(
        [
            (s["machine"], s["fault"], s["channel"], s["fault"].startswith(("sensor", "rows")), "schedule")
            for s in SCHEDULED
        ],
        key=str,
    )
    table = faulty.table("labels")
    begin, end = minutes(table, "onset"), minutes(table, "end")
    expected = {(s["fault"]): (s["onset_h"] * 60, (s["onset_h"] + s["hours"]) * 60) for s in SCHEDULED}
    for name, a, b in zip(table["fault"].to_pylist(), begin, end, strict=True):
        assert (a, b) == expected[name]


def test_labels_end_with_the_data_or_with_maintenance():
    faults = [sensor_fault("imbalance", None, 10.0, 100.0), sensor_fault("sensor_stuck", "power_kw", 12.0, 100.0),
              sensor_fault("imbalance", None, 10.0, 100.0, "f-pump-002")]  # fmt: skip
    care = {"machine": "f-pump-002", "action": "MAINTENANCE", "at_h": 20.0, "hours": 2.0, "restores": ["bearing"]}
    ran = run(small_fleet({**settings(faults), "maintenance": {"interventions": [care]}}))
    table = labels_table(ran.plan, ran.block, ran.cleared)
    rows = {(row["machine_id"], row["fault"]): row["ended_by"] for row in table.to_pylist()}
    assert rows == {("f-pump-001", "imbalance"): "end_of_data", ("f-pump-001", "sensor_stuck"): "end_of_data",
                    ("f-pump-002", "imbalance"): "maintenance"}  # fmt: skip
    ends = dict(
        zip(
            zip(table["machine_id"].to_pylist(), table["fault"].to_pylist(), strict=True),
            minutes(table, "end"),
            strict=True,
        )
    )
    assert ends["f-pump-001", "imbalance"] == 2880 and ends["f-pump-002", "imbalance"] == 22 * 60
    intervals = fault_intervals(ran.plan, ran.block, ran.cleared)
    assert [(i[0].machine, i[3]) for i in intervals] == [(0, 10.0), (0, 12.0), (1, 10.0)]


def test_truth_names_the_active_faults(faulty):
    table = of_machine(faulty.table("truth"), "f-pump-002")
    by_hour = dict(zip(minutes(table) / 60, table["fault"].to_pylist(), strict=True))
    assert by_hour[29.0] == "" and by_hour[30.0] == "imbalance"
    assert by_hour[31.0] == by_hour[32.0] == "imbalance+cooling_loss"
    assert by_hour[33.0] == "imbalance" and by_hour[36.0] == ""
    stuck = of_machine(faulty.table("truth"), "f-pump-001")
    by_hour = dict(zip(minutes(stuck) / 60, stuck["fault"].to_pylist(), strict=True))
    assert by_hour[22.0] == by_hour[26.0] == "sensor_stuck" and by_hour[27.0] == "" and by_hour[21.0] == ""


def test_truth_is_hourly_and_agrees_with_the_readings(faulty):
    table = of_machine(faulty.table("truth"), "f-motor-001")
    np.testing.assert_array_equal(minutes(table), 60.0 * np.arange(48))
    readings = of_machine(faulty.table("readings"), "f-motor-001")
    assert readings["status"].to_pylist()[::60] == table["status"].to_pylist()
    running = np.array([s == "ONLINE" for s in table["status"].to_pylist()])
    assert ((table["load_frac"].to_numpy() > 0) == running).all() and 0 < running.sum() < 48
    meter = readings["runtime_h"].to_numpy()[::60]
    np.testing.assert_allclose(
        meter, np.floor(table["runtime_true_h"].to_numpy() * 10 + 1e-3) / 10, rtol=1e-5, atol=0.11
    )


def test_truth_sums_the_energy(faulty):
    """Energy between two hourly samples is the integral of the true power, here through the readings' mean."""
    table = of_machine(faulty.table("truth"), "f-pump-003")
    energy = table["energy_kwh"].to_numpy()
    mean_kw = faulty.readings("power_kw")[2].reshape(48, 60).mean(axis=1)
    assert energy[0] == 0.0
    np.testing.assert_allclose(energy[1:], mean_kw[:-1], rtol=4.5 * 0.1 / np.sqrt(60))
    planned = table["planned_energy_kwh"].to_numpy()[1:]
    assert planned.mean() == pytest.approx(energy[1:].mean(), rel=0.1)


def test_truth_when_its_interval_spans_periods():
    """A sample every 6 h in daily files, and one every hour when a day is cut at an odd slot: same instants."""
    ran = run(small_fleet({**settings([]), "truth_interval_s": 6 * 3600, "start": "2026-01-05T05:00:00Z"}))
    table = of_machine(truth_table_of(ran), "f-pump-001")
    np.testing.assert_array_equal(minutes(table, start=1767571200 + 5 * 3600) / 60, [0, 6, 12, 18, 24, 30, 36, 42])
    assert ran.truth.shape[1] == 8


def truth_table_of(ran: Ran) -> pa.Table:
    assert truth_table is tables.truth_table
    return ran.table("truth")


def test_events_are_sorted_and_readable():
    care = {
        "machine": "f-pump-002",
        "action": "MAINTENANCE",
        "at_h": 20.0,
        "hours": 2.0,
        "restores": ["bearing", "life"],
    }
    ran = run(
        small_fleet(
            {**settings([]), "maintenance": {"interventions": [care]}},
            {"compressor": {"hazard": {"weibull_scale_h": 5.0}}},
        )
    )
    table = events_table(ran.plan, ran.block, ran.event_code, ran.event_value)
    ids = table["machine_id"].combine_chunks().indices.to_numpy()
    ms = table["timestamp"].cast(pa.int64()).to_numpy()
    assert (np.diff(ids) >= 0).all() and (np.diff(ms)[np.diff(ids) == 0] >= 0).all()
    own = of_machine(table, "f-pump-002").to_pylist()
    told = [(e["event"], e["status"], e["reason"], e["restored"], e["value"]) for e in own]
    assert told == [
        ("status", "ONLINE", "plan", None, None),
        ("maintenance_start", None, "decision", "bearing+life", 2.0),
        ("status", "MAINTENANCE", "decision", None, None),
        ("maintenance_end", None, "decision", "bearing+life", None),
        ("status", "ONLINE", "plan", None, None),
    ]
    failure = next(e for e in of_machine(table, "f-compressor-001").to_pylist() if e["event"] == "failure")
    assert failure["reason"] == "random" and failure["restored"] == "random" and failure["value"] > 0


def test_machines_and_build(faulty):
    machines = machines_table(faulty.plan).to_pylist()
    assert [m["machine_id"] for m in machines][:2] == ["f-pump-001", "f-pump-002"]
    assert machines[0]["kind"] == "PUMP" and machines[0]["baseline_kw"] == pytest.approx(15.0 * 0.7)
    build = build_table(faulty.plan).to_pylist()
    assert build[0]["wear_start_frac"] == faulty.block.machines[0].build["wear_start_frac"]
    assert [f["factory_id"] for f in factories_table(faulty.plan).to_pylist()] == ["f"]


def test_weather_is_the_hourly_mean_of_the_truth(faulty):
    weather = weather_table(faulty.plan)
    assert weather.num_rows == 48
    slots = np.concatenate([tables.ambient_of(faulty.plan, 0, p) for p in faulty.plan.periods])
    assert np.abs(weather["ambient_c"].to_numpy() - slots.reshape(48, 12).mean(axis=1)).max() < 0.051


def test_columns_are_checked():
    with pytest.raises(KeyError):
        table_of("factories", {"factory_id": ["a"]})
    assert status_array(np.array([0, 2, 1], np.int8)).to_pylist() == ["ONLINE", "MAINTENANCE", "OFFLINE"]
    assert time_array(np.array([0]))[0].as_py().isoformat() == "1970-01-01T00:00:00+00:00"


def test_arrays_from_memory():
    """Arrays built from buffers are what Arrow itself would build."""
    values = np.array([1.5, np.nan, 3.0])
    for kind in (pa.float32(), pa.float64()):
        found = number_array(values, kind, np.array([False, False, True]))
        found.validate(full=True)
        assert (
            found.null_count == 1
            and found[0].as_py() == 1.5
            and np.isnan(found[1].as_py())
            and found[2].as_py() is None
        )
    assert number_array(np.arange(3)[::-1], pa.int16()).to_pylist() == [2, 1, 0]
    assert number_array(np.empty(0), pa.float32()).to_pylist() == []
    assert text_array(["a", None, "", "\u00e9\u4e2d"]).equals(pa.array(["a", None, "", "\u00e9\u4e2d"]))
    mask = np.arange(11) % 3 == 0
    assert flag_array(mask).equals(pa.array(mask)) and flag_array(mask[:0]).equals(pa.array([], pa.bool_()))
    ids = id_array(np.array([1, 0, 1]), ["x", "y"])
    ids.validate(full=True)
    assert ids.to_pylist() == ["y", "x", "y"]


def test_only_wanted_periods_carry_readings_and_they_are_the_same(faulty):
    """A window computed alone equals the stored rows, also under a stuck sensor that began the day before."""
    block = plan_block(faulty.plan, 0)
    alone = list(run_block_periods(faulty.plan, block, frozenset({1})))
    assert alone[1].power_kw.shape[1] == 1440
    for name in ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status", "truth", "event_code"):
        np.testing.assert_array_equal(getattr(alone[1], name), getattr(faulty.chunks[1], name))
    clean = plan_fleet(small_fleet(settings([])))
    chunks = list(run_block_periods(clean, plan_block(clean, 0), frozenset({1})))
    assert chunks[0].power_kw.size == 0 and chunks[0].truth.shape[1] == 24


def test_sensing_and_falsifying_are_separate(faulty):
    """True values first, then noise, then faults: what ``run_block_periods`` composes."""
    from nexova_sim.simulate.blocks import first_state, run_period

    period = faulty.plan.periods[0]
    out, _ = run_period(faulty.plan, faulty.block, period, first_state(faulty.plan, faulty.block))
    true = out.temp_c.copy()
    sense(faulty.plan, faulty.block, period, out)
    assert abs((out.temp_c - true).std() - 3.0) < 0.05
    keep = falsify(faulty.plan, faulty.block, period, {}, out)
    np.testing.assert_array_equal(out.temp_c, faulty.chunks[0].temperature_c)
    np.testing.assert_array_equal(keep, faulty.chunks[0].keep)
    assert r.LANES == 16
