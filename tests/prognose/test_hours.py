"""Hourly inputs of the filter: sums against pandas-like plain loops, gaps, maintenance, weather, stuck sensors."""

from __future__ import annotations

import numpy as np
import pytest
from tolerances import REORDER

from nexova_sim.config.track import TrackConfig
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.rows import read_rows
from nexova_sim.kernels.filter_moves import I_AMBIENT, I_LOAD, I_RUN, I_VIB, I_VIB_VAR
from nexova_sim.kernels.hours import add_hours
from nexova_sim.prognose.hours import (
    HOUR_MS,
    ambient_by_machine,
    fill_forward,
    gather_moments,
    hourly_means,
    make_hours,
    restored_bits,
)
from nexova_sim.prognose.track import track_fleet, track_one
from nexova_sim.run.plates import read_plates


@pytest.fixture(scope="module")
def dataset(tiny_dataset):
    return open_dataset(tiny_dataset)


def test_sums_are_those_of_a_plain_loop(dataset):
    moments = gather_moments(dataset)
    mean, spread = hourly_means(moments)
    rows = read_rows(dataset, machines=["lyon-pump-002"])
    own, hour = rows.values.astype(float), (rows.time_ms - moments.start_ms) // HOUR_MS
    m = dataset.machine_ids().index("lyon-pump-002")
    for h in (0, 13, 47):
        pick = (hour == h) & (rows.status == 0) & np.isfinite(own[2])
        np.testing.assert_allclose(mean[2, m, h], own[2, pick].mean(), **REORDER)
        np.testing.assert_allclose(spread[2, m, h], own[2, pick].std(ddof=1), rtol=1e-6)
        assert moments.counts[2, m, h] == pick.sum()
        assert moments.rows[0, m, h] == (hour == h).sum()


def test_adding_skips_what_is_off_missing_or_outside():
    values = np.array([[1.0, 2.0, np.nan, 4.0, 5.0]], np.float32)
    out, count, rows = np.zeros((2, 1, 1, 1)), np.zeros((1, 1, 1), np.int32), np.zeros((2, 1, 1), np.int32)
    hour, status = np.array([0, 0, 0, 1, -1]), np.array([0, 1, 0, 0, 0], np.int8)
    machine = np.zeros(5, np.int32)
    add_hours(machine, hour, values, status, np.array([False]), out, count, rows)
    assert (out.ravel().tolist(), count.ravel().tolist(), rows.ravel().tolist()) == ([1.0, 1.0], [1], [3, 2])
    add_hours(machine, hour, values, status, np.array([True]), out, count, rows)
    assert out.ravel().tolist() == [4.0, 6.0]


def test_gaps_take_the_last_number_known():
    filled = fill_forward(np.array([np.nan, 1.0, np.nan, 3.0, np.nan]))
    assert filled.tolist() == [1.0, 1.0, 1.0, 3.0, 3.0]
    assert np.isnan(fill_forward(np.full(3, np.nan))).all()


def test_inputs_of_a_dataset(dataset):
    plates = read_plates(dataset, "configs/kind")
    hours = make_hours(dataset, {p.machine_id: p.kind for p in plates})
    assert hours.given.shape[:2] == (8, 48)
    assert np.isfinite(hours.given).all()
    run = hours.given[..., I_RUN]
    assert ((run >= 0.0) & (run <= 1.0)).all()
    assert (hours.given[run == 0.0][:, I_LOAD] == 0.0).all()
    assert (hours.given[..., I_VIB_VAR] > 0.0).any()
    seen = hours.given[..., I_VIB_VAR] > 0.0
    assert (hours.given[seen][:, I_VIB] > 0.0).all()
    ambient = ambient_by_machine(dataset, hours.start_ms, 48)
    np.testing.assert_array_equal(hours.given[..., I_AMBIENT], ambient)
    part = make_hours(dataset, {plates[0].machine_id: plates[0].kind}, machines=[plates[0].machine_id])
    place = dataset.machine_ids().index(plates[0].machine_id)
    np.testing.assert_array_equal(part.given[place], hours.given[place])


def test_maintenance_is_known_from_the_hour_after_it(dataset):
    bits = restored_bits(dataset, gather_moments(dataset).start_ms, 48)
    assert bits.shape == (8, 48)
    ended = [e for e in dataset.read("events").to_pylist() if e["event"] == "maintenance_end" and e["restored"]]
    assert (bits > 0).sum() == len({(e["machine_id"], e["timestamp"].replace(minute=0)) for e in ended})


def test_a_sensor_that_repeats_itself_says_nothing(dataset, monkeypatch):
    plates = read_plates(dataset, "configs/kind")
    kinds = {p.machine_id: p.kind for p in plates}
    moments = gather_moments(dataset)
    stuck = moments.sums.copy()
    n = moments.counts[2]
    stuck[0, 2], stuck[1, 2] = 2.0 * n, 4.0 * n
    monkeypatch.setattr("nexova_sim.prognose.hours.gather_moments", lambda *_a, **_k: moments._replace(sums=stuck))
    assert (make_hours(dataset, kinds).given[..., I_VIB_VAR] == 0.0).all()


def test_a_fleet_is_followed_machine_by_machine(dataset):
    plates = read_plates(dataset, "configs/kind")[:2]
    hours = make_hours(dataset, {p.machine_id: p.kind for p in plates})
    config = TrackConfig(keep_every_h=30)
    both = list(track_fleet(hours, plates, config))
    place = dataset.machine_ids().index(plates[1].machine_id)
    alone = track_one(hours.given[place], plates[1], config, np.array([30, 48]))
    assert both[1].machine_id == plates[1].machine_id
    np.testing.assert_array_equal(both[1].rows, alone.rows)
    np.testing.assert_array_equal(both[1].clouds, alone.clouds)
    unknown = track_one(hours.given[place], plates[1]._replace(runtime_h=None), config, np.array([48]))
    assert unknown.rows[0, 3] - unknown.rows[0, 1] > 0.8  # nothing is known of its wear then
