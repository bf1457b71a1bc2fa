"""Readings as arrays, and gathered on a grid of hours."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.rows import _codes, channel_names, read_rows, runs, scan_rows
from nexova_sim.schema.channels import STATUSES
from tests.tolerances import EXACT


def frame(dataset, **window):
    table = dataset.read("readings", **window).to_pandas()
    return table.astype({"machine_id": str, "status": str})


@pytest.mark.parametrize("batch_rows", [7, 1000, 131_072])
def test_rows_are_the_readings_whatever_the_batches(tiny_dataset, batch_rows):
    dataset = open_dataset(tiny_dataset)
    want = frame(dataset)
    got = list(scan_rows(dataset, batch_rows=batch_rows))
    ids = np.array(dataset.machine_ids())
    assert list(ids[np.concatenate([r.machine for r in got])]) == list(want["machine_id"])
    assert list(np.array(STATUSES)[np.concatenate([r.status for r in got])]) == list(want["status"])
    time_ms = want["timestamp"].astype("datetime64[ms, UTC]").astype("int64").to_numpy()
    assert (np.concatenate([r.time_ms for r in got]) == time_ms).all()
    values = np.concatenate([r.values for r in got], axis=1)
    np.testing.assert_array_equal(values, want[["power_kw", "temperature_c", "vibration_mm_s"]].to_numpy().T)


def test_all_rows_at_once_are_sorted_by_machine_and_time(tiny_dataset):
    rows = read_rows(open_dataset(tiny_dataset), ("vibration_mm_s", "runtime_h"))
    assert rows.values.shape == (2, len(rows.machine)) and (np.diff(rows.machine) >= 0).all()
    edges = runs(rows)
    assert edges[0] == 0 and edges[-1] == len(rows.machine)
    for a, b in itertools.pairwise(edges):
        assert len(set(rows.machine[a:b])) == 1 and (np.diff(rows.time_ms[a:b]) > 0).all()


def test_a_window_without_readings_gives_no_rows(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    rows = read_rows(dataset, start="2030-01-01")
    assert rows.values.shape == (3, 0) and runs(rows).tolist() == [0]
    machine = dataset.machine_ids()[1]
    assert set(read_rows(dataset, machines=[machine]).machine) == {1}


def test_an_unknown_channel_is_named(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    assert channel_names(dataset) == ("power_kw", "temperature_c", "vibration_mm_s")
    with pytest.raises(ConfigError, match=r"channel 'power': not in this dataset; did you mean 'power_kw'"):
        list(scan_rows(dataset, ["power"]))


def test_a_row_without_machine_or_of_an_unknown_one_is_refused():
    with pytest.raises(DataError, match="1 rows without machine"):
        _codes(pa.array(["a", None]), {"a": 0}, "machine")
    with pytest.raises(DataError, match="machine 'b' is not known"):
        _codes(pa.array(["a", "b"]), {"a": 0}, "machine")


def test_grid_of_hours_equals_pandas(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    seen = []
    grid = gather(dataset, 3600.0, progress=lambda done, total: seen.append((done, total)))
    table = frame(dataset)
    assert seen[-1][0] == seen[-1][1] == len(table)
    table["bin"] = (table["timestamp"].astype("datetime64[ms, UTC]").astype("int64") - grid.start_ms) // grid.step_ms
    hour = dataset.manifest.dt_s / 3600.0
    for m, name in enumerate(grid.machine_ids):
        part = table[table["machine_id"] == name].groupby("bin")
        for c, channel in enumerate(grid.channels):
            np.testing.assert_allclose(grid.mean[c, m], part[channel].mean().to_numpy(), rtol=1e-6)
            assert (grid.n_valid[c, m] == part[channel].count().to_numpy()).all()
        np.testing.assert_allclose(grid.energy_kwh[m], part["power_kw"].sum().to_numpy() * hour, rtol=1e-5)
        online = part["status"].apply(lambda s: (s == "ONLINE").mean()).to_numpy()
        np.testing.assert_allclose(grid.online_frac[m], online, rtol=1e-6)
        covered = part["power_kw"].count().to_numpy() * dataset.manifest.dt_s / 3600.0
        np.testing.assert_allclose(grid.covered_frac[m], covered, rtol=1e-6)


def test_grid_does_not_depend_on_which_channels_are_asked_for(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    both, one = gather(dataset, 1800.0), gather(dataset, 1800.0, ("vibration_mm_s",))
    np.testing.assert_allclose(one.mean[0], both.mean[2], **EXACT)
    np.testing.assert_allclose(one.energy_kwh, both.energy_kwh, **EXACT)
    assert one.channels == ("vibration_mm_s",) and one.mean.shape[2] == both.mean.shape[2]


def test_a_bin_without_readings_has_no_energy(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    grid = gather(dataset, dataset.manifest.dt_s / 4.0)
    empty = grid.n_valid[0] == 0
    assert empty.any() and np.isnan(grid.energy_kwh[empty]).all() and np.isnan(grid.mean[0][empty]).all()
    assert np.isfinite(grid.energy_kwh[~empty]).all()


@pytest.mark.parametrize("step_s", [0.0, -1.0, float("nan")])
def test_a_bad_step_is_refused(tiny_dataset, step_s):
    with pytest.raises(ConfigError, match="must be positive"):
        gather(open_dataset(tiny_dataset), step_s)


def test_a_grid_beyond_memory_is_refused(tiny_dataset):
    with pytest.raises(ConfigError, match="choose a longer step"):
        gather(open_dataset(tiny_dataset), 0.001)
