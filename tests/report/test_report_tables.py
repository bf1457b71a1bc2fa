"""Rows of the report: what stands in the tables is what the dataset says."""

from __future__ import annotations

import numpy as np

from nexova_sim.report import tables
from nexova_sim.report.states import CRITICAL, HEALTHY, NO_DATA, OFFLINE, RUNNING, WARNING
from nexova_sim.report.views import machine_view, merge_edges, power_lines
from tests.report_fleet import END, at, events_table, factories_table, fleet, labels_table
from tests.tolerances import REORDER


def rows_of(data):
    faults = tables.fault_rows(data.labels)
    return tables.machine_rows(data, faults, tables.stop_rows(data.events, END))


def test_faults_are_sorted_by_onset_with_hours():
    rows = tables.fault_rows(fleet().labels)
    assert [(r.machine_id, r.fault, r.channel, r.is_sensor, r.hours) for r in rows] == [
        ("m-3", "sensor_stuck", "power_kw", True, 2.5),
        ("m-2", "cooling_loss", "", False, 38.0),
    ]
    assert tables.fault_rows(labels_table([])) == []
    assert tables.texts(fleet().labels, "channel") == ["", "power_kw"]


def test_maintenance_is_joined_with_its_end():
    rows = tables.stop_rows(fleet().events, END)
    assert [(r.machine_id, r.what, r.is_failure, r.end_ms) for r in rows] == [
        ("m-1", "Failure: bearing", True, None),
        ("m-1", "Maintenance: repair", False, at(40.0)),
        ("m-3", "Maintenance: service", False, None),
    ]
    assert rows[1].hours == 24.0 and rows[2].hours == 4.0 and rows[1].restored == "bearing+random"
    two = [
        ("m", h, e, "service", "")
        for h, e in ((1, "maintenance_start"), (2, "maintenance_end"), (5, "maintenance_start"), (9, "maintenance_end"))
    ]
    assert [r.hours for r in tables.stop_rows(events_table(two), END)] == [1.0, 4.0]


def test_machines_show_state_health_energy_and_counts():
    one, two, three = rows_of(fleet())
    assert (one.state, one.worst, one.n_failures, one.health_low) == (HEALTHY, WARNING, 1, 70.0)
    assert (two.state, two.worst, two.health_end, len(two.faults)) == (CRITICAL, CRITICAL, 40.0, 1)
    assert (three.state, three.status, three.n_failures) == (OFFLINE, "MAINTENANCE", 0)
    np.testing.assert_allclose(one.energy_kwh, 480.0, **REORDER)
    assert one.running_frac == 1.0 and 0.9 < three.running_frac < 1.0
    assert (one.peak_temperature_c, one.peak_vibration_mm_s, one.there_frac) == (51.0, 3.0, 1.0)
    np.testing.assert_allclose(two.there_frac, 2240 / 2880, **REORDER)


def test_without_truth_there_is_no_health():
    data = fleet(truth=False)
    assert not tables.has_truth(data) and tables.has_truth(fleet())
    one, two, three = rows_of(data)
    assert (one.state, two.state, three.state) == (RUNNING, RUNNING, OFFLINE) and np.isnan(one.health_end)


def test_factories_share_the_energy():
    data = fleet()
    north, south = tables.factory_rows(data, rows_of(data))
    assert (north.name, north.n_machines, south.n_machines) == ("North works", 2, 1)
    np.testing.assert_allclose(north.share_frac + south.share_frac, 1.0, **REORDER)
    np.testing.assert_allclose([south.mean_kw, south.peak_kw], 10.0, **REORDER)
    np.testing.assert_allclose(north.peak_kw, 20.0, **REORDER)
    unlisted = fleet(factories=factories_table((("north", "North works"),)))
    assert [r.name for r in tables.factory_rows(unlisted, rows_of(unlisted))] == ["North works", "south"]


def test_quality_lists_the_worst_first_and_ignores_a_channel_nobody_has():
    data = fleet()
    data.series.n_valid[2] = 0
    data.series.n_valid[1, 0, :10] = 0
    rows = tables.quality_rows(data)
    assert [(r.machine_id, r.is_clean) for r in rows] == [("m-2", False), ("m-1", False), ("m-3", True)]
    assert np.isnan(rows[0].nan_frac[2]) and rows[1].nan_frac[1] > 0.1


def test_what_happened_and_who_is_unwell_take_turns():
    rows = rows_of(fleet())
    assert tables.most_interesting(rows, 9) == [0, 1, 2] and tables.most_interesting(rows, 1) == [0]
    crowd = [rows[0]._replace(machine_id=f"f{i}") for i in range(5)] + [rows[1]._replace(faults=(), worst=HEALTHY)]
    assert tables.most_interesting(crowd, 3) == [0, 5, 1]
    assert tables.most_interesting(rows_of(fleet(truth=False, events=events_table([]))), 2) == [1, 2]


def test_attention_names_the_reasons_gravest_first():
    found = tables.needs_attention(rows_of(fleet()), END)
    assert [(row.machine_id, why) for row, why in found] == [
        ("m-2", ["health 40 %", "cooling_loss until the end", "only 77.8 % of the readings"]),
        ("m-3", ["in maintenance"]),
        ("m-1", ["health was down to 70 %", "failure: bearing"]),
    ]


def test_views_keep_extremes_in_wider_bins():
    data = fleet()
    data.series.high[0, 0, 13] = 99.0
    states = tables.fleet_states(data)
    assert states[1, 25] == NO_DATA and states[0, 35] == WARNING
    row = rows_of(data)[0]
    fine, wide = (machine_view(data.series, states[0], 0, row, factor) for factor in (1, 5))
    assert len(fine.power.mean) == 96 and len(wide.power.mean) == 20 == len(wide.edges_ms) - 1
    assert np.nanmax(fine.power.high) == np.nanmax(wide.power.high) == 99.0
    assert wide.edges_ms[0] == fine.edges_ms[0] and wide.edges_ms[-1] == fine.edges_ms[-1]
    assert fine.failures_ms == [at(15.0)] and fine.runs[0].state == HEALTHY
    assert merge_edges(data.series, 96).tolist() == [fine.edges_ms[0], fine.edges_ms[-1]]
    gap = machine_view(data.series, states[1], 1, rows_of(data)[1], 1)
    assert np.isnan(gap.power.mean[20:41]).all() and np.isfinite(gap.power.mean[41:]).all()
    lines = power_lines(tables.factory_rows(data, rows_of(data)), 4)
    assert [name for name, _ in lines] == ["North works", "South works"]
    np.testing.assert_allclose(lines[1][1], 10.0, **REORDER)
