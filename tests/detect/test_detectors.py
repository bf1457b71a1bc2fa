"""Every detector of the registry through one list of checks: no leak, any cut the same bits, calibrated, saved."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.anomaly import AnomalyConfig, load_anomaly
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.rows import Rows, read_rows, scan_rows
from nexova_sim.detect.alarms import follow_alarms, peak_score, rules_of
from nexova_sim.detect.anomaly import calibrate, fit_model, lane_table, score_rows, split_time
from nexova_sim.detect.anomaly_model import from_arrays, to_arrays
from nexova_sim.detect.baselines import choose_twin, fit_baselines, hourly_of, noise_of, reference_kw, slope_of
from nexova_sim.detect.calibration import groups_of
from nexova_sim.detect.detector import LANES, filled, no_driver
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.distances import centre_scale, covariance, standard
from nexova_sim.detect.features import (
    advance,
    begin,
    clean,
    feature_names,
    fit_normal,
    operating_state,
    prepare,
    watch_settings,
)
from nexova_sim.detect.surroundings import last_ambient, local_cells, read_surroundings
from nexova_sim.detect.thresholds import threshold_score
from nexova_sim.kernels import residual as r
from nexova_sim.run.simulate import simulate

HIDDEN = {"truth", "labels", "build", "events"}
HOUR = 3_600_000


class Bench(NamedTuple):
    dataset: Dataset
    around: object
    models: dict
    rows: list


def small(name):
    config = load_anomaly(name.replace("_", "-") if name == "default" else name)
    calibration = config.calibration.model_copy(update={"max_fit_rows": 4000})
    return config.model_copy(update={"calibration": calibration})


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """Eight machines for eight days: long enough to learn on, no faults but what wear does."""
    fleet = load_fleet(
        "configs/fleet/tiny.yaml",
        ["days=8", "dt_s=150", "start_age_frac=[0.1, 0.3]", "faults.scheduled=[]", "faults.rate_factor=0.001"],
    )
    return simulate(fleet, tmp_path_factory.mktemp("week") / "dataset", jobs=1).folder


@pytest.fixture(scope="module")
def bench(week):
    dataset = open_dataset(week)
    models = {name: fit_model(dataset, small("default" if name == "twin_residual" else name)) for name in DETECTORS}
    channels = models["twin_residual"].features.channels
    return Bench(dataset, read_surroundings(dataset), models, list(scan_rows(dataset, channels)))


def scored(bench, name, batches):
    found = list(score_rows(bench.models[name], bench.around, batches))
    return [np.concatenate([getattr(f, k) for f in found], axis=-1) for k in ("ratio", "which", "channel", "score")]


def cut(rows, sizes):
    at = 0
    for size in sizes:
        yield Rows(*(a[..., at : at + size] for a in rows))
        at += size


def joined(rows):
    return Rows(*(np.concatenate([r[i] for r in rows], axis=-1) for i in range(4)))


@pytest.mark.parametrize("name", DETECTORS)
def test_the_same_bits_for_any_cut_down_to_single_readings(bench, name):
    rows = joined(bench.rows)
    n = 1500
    head = Rows(*(a[..., :n] for a in rows))
    whole = scored(bench, name, [head])
    sizes = np.random.default_rng(5).integers(1, 200, 40)
    sizes = [*sizes[np.cumsum(sizes) < n - 60].tolist()]
    parts = scored(bench, name, cut(head, [*sizes, n - sum(sizes) - 50, *[1] * 50]))
    for a, b in zip(whole, parts, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("name", DETECTORS)
def test_what_comes_later_changes_nothing_before(bench, name):
    rows = joined(bench.rows)
    first = Rows(*(a[..., :2000] for a in rows))
    wild = first.values.copy()
    wild[:, 1000:] = 1e3
    before = scored(bench, name, [first])
    after = scored(bench, name, [first._replace(values=wild)])
    for a, b in zip(before, after, strict=True):
        assert a[..., :1000].tobytes() == b[..., :1000].tobytes()


@pytest.mark.parametrize("name", DETECTORS)
def test_scores_lie_between_0_and_1_and_flags_are_those_over_the_threshold(bench, name):
    ratio, which, _, score = scored(bench, name, bench.rows)
    model = bench.models[name]
    assert (score >= 0.0).all()
    assert (score <= 1.0).all()
    assert score.std() > 0.05
    gaps = score >= threshold_score(model.scale.knots)
    assert ((ratio.max(axis=0) >= 1.0) <= gaps).all()
    assert which.max() < len(DETECTORS[name].components())


@pytest.mark.parametrize("name", DETECTORS)
def test_held_out_readings_are_flagged_about_as_rarely_as_asked(bench, name):
    """The budget is per machine-day of alarms; per reading it is far less than one in a hundred."""
    _, _, _, score = scored(bench, name, bench.rows)
    held = joined(bench.rows).time_ms >= split_time(bench.dataset, bench.models[name].config)
    assert (score[held] >= threshold_score(bench.models[name].scale.knots)).mean() < 0.05


@pytest.mark.parametrize("name", DETECTORS)
def test_saved_arrays_give_the_same_model(bench, name):
    model = bench.models[name]
    arrays = to_arrays(model)
    assert not any(a.dtype.hasobject for a in arrays.values())
    again = from_arrays(model.config, arrays)
    own = scored(bench, name, bench.rows[:1])
    other = next(iter(score_rows(again, bench.around, bench.rows[:1])))
    assert own[3].tobytes() == other.score.tobytes()


@pytest.mark.parametrize("name", DETECTORS)
def test_registry_entries_are_what_they_say(bench, name):
    detector = DETECTORS[name]
    parts = detector.components()
    assert detector.name == name
    assert len({p.name for p in parts}) == len(parts)
    assert all(0 <= p.lane < len(LANES) for p in parts)
    lanes = lane_table(parts)
    assert lanes.shape == (len(LANES), len(parts))
    assert (lanes.sum(axis=0) == 1).all()
    names = feature_names(bench.models[name].features.channels, bench.models[name].features.families)
    assert not any(n.startswith("runtime") for n in names)


@pytest.mark.parametrize("name", ["twin_residual", "isolation_forest"])
def test_nothing_hidden_is_read(week, bench, name, monkeypatch):
    read = Dataset.read

    def guarded(self, table, *args, **kwargs):
        assert table not in HIDDEN, f"{table} was read"
        return read(self, table, *args, **kwargs)

    monkeypatch.setattr(Dataset, "read", guarded)
    again = fit_model(open_dataset(week), bench.models[name].config)
    for key, value in to_arrays(again).items():
        assert value.tobytes() == to_arrays(bench.models[name])[key].tobytes(), key


def test_alarms_stand_where_flags_persist(bench):
    model, alarms = bench.models["twin_residual"], []
    passed = list(follow_alarms(model, bench.around, score_rows(model, bench.around, bench.rows), alarms.append))
    assert len(passed) == len(bench.rows)
    for alarm in alarms:
        assert alarm.cleared_ms is None or alarm.cleared_ms > alarm.raised_ms
        assert alarm.channel in (*LANES, "machine")
        assert peak_score(alarm, model) >= threshold_score(model.scale.knots)
    rules = rules_of(model.config.post)
    assert rules[0] == model.config.post.hold_min * 60_000
    prepared = prepare(model.features, bench.around, model.config)
    assert len(groups_of(prepared, model.scale.names)) == len(bench.around.machine_ids)


def test_a_machine_that_overheats_raises_an_alarm_on_its_temperature(bench):
    """Ten degrees more than load and ambient explain, for six hours: told within the hour, on the right channel."""
    model = bench.models["twin_residual"]
    rows = joined(bench.rows)
    running = [m for m in range(8) if (rows.status[rows.machine == m] == 0).mean() > 0.9]
    m = running[0]
    mine = rows.machine == m
    onset = int(rows.time_ms[mine][0]) + 150 * HOUR
    values = rows.values.copy()
    values[1, mine & (rows.time_ms >= onset)] += 10.0
    alarms = []
    list(
        follow_alarms(
            model, bench.around, score_rows(model, bench.around, [rows._replace(values=values)]), alarms.append
        )
    )
    found = [a for a in alarms if a.machine == m and a.raised_ms >= onset]
    assert found
    assert found[0].channel == "temperature_c"
    assert found[0].raised_ms - onset <= HOUR


def test_fewer_than_fifty_samples_are_refused(bench):
    config = bench.models["twin_residual"].config
    few = bench.dataset.manifest.model_copy(update={"rows": {**bench.dataset.manifest.rows, "readings": 49}})
    with pytest.raises(DataError, match="49 samples in the dataset; a detector needs at least 50"):
        fit_model(dataclasses.replace(bench.dataset, manifest=few), config)


def test_calibration_is_a_function_of_held_out_readings(bench):
    model = bench.models["robust_z"]
    prepared = prepare(model.features, bench.around, model.config)
    scale = calibrate(bench.dataset, prepared, model.params, split_time(bench.dataset, model.config))
    assert scale.limit.tobytes() == model.scale.limit.tobytes()
    assert scale.knots.tobytes() == model.scale.knots.tobytes()


def test_steps_of_the_features(bench):
    model = bench.models["robust_z"]
    prepared = prepare(model.features, bench.around, model.config)
    _, batch = advance(prepared, begin(prepared), bench.rows[0])
    names = feature_names(model.features.channels, model.features.families)
    assert batch.features.shape == (len(names), len(bench.rows[0].machine))
    bad = clean(np.array([[np.inf, 5.0, -1e9]]), ["temperature_c"])
    assert np.isnan(bad[0, [0, 2]]).all()
    assert bad[0, 1] == 5.0
    state = operating_state(bench.rows[0], prepared.twin)
    assert set(np.unique(state)) <= {0, 1, 2}
    assert (state[bench.rows[0].status != 0] == 2).all()
    centre, scale = fit_normal(joined(bench.rows), model.features.baselines, bench.around)
    assert np.isfinite(centre).all()
    assert (scale > 0).all()
    assert watch_settings(AnomalyConfig(name="x").twin)[0] == 1.0


def test_baselines_are_those_of_the_machine_or_of_its_kind(bench):
    fitted = bench.models["twin_residual"].features.baselines
    twin, usual = choose_twin(fitted, bench.around)
    assert twin.shape[0] == len(bench.around.machine_ids)
    strange = bench.around._replace(machine_ids=tuple(f"new-{i}" for i in range(8)))
    other, same = choose_twin(fitted, strange)
    assert (same == usual).all()
    place = fitted.names.index(f"kind:{bench.around.kind[0]}")
    assert other[0, 1] == fitted.twin[place, 1]
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (4, 200))
    y = 3.0 * x + random.normal(0, 0.1, x.shape) + np.arange(4)[:, None]
    y[:, ::20] += 50.0
    assert abs(slope_of(x, y) - 3.0) < 0.1
    n = 4000
    values = [100 * np.exp(random.normal(0, 0.05, n)), random.normal(50, 2, n), random.normal(1, 0.3, n)]
    rows = Rows(np.zeros(n, np.int32), np.arange(n), np.stack(values).astype(np.float32), np.zeros(n, np.int8))
    np.testing.assert_allclose(noise_of(rows, np.array([100.0]))[0], [0.05, 2.0, 0.3], rtol=0.1)


def test_surroundings_know_the_hour_and_the_weather(bench):
    around = bench.around
    assert around.machine_ids == bench.dataset.machine_ids()
    monday = 1_767_571_200_000 + 15 * HOUR
    utc = around._replace(zones=tuple("UTC" for _ in around.zones))
    cells = local_cells(utc, np.zeros(3, np.int64), np.array([monday, monday + 5 * 24 * HOUR, monday + 30_000]))
    assert cells.tolist() == [15, 39, 15]
    berlin = around._replace(zones=tuple("Europe/Berlin" for _ in around.zones))
    assert local_cells(berlin, np.zeros(1, np.int64), np.array([monday])).tolist() == [16]
    weather = around._replace(start_ms=0, ambient_c=np.array([[1.0, 2.0, 3.0]]), place=np.zeros(8, np.int64))
    ambient = last_ambient(weather, np.zeros(4, np.int64), np.array([0, HOUR, 3 * HOUR - 1, 9 * HOUR]))
    np.testing.assert_array_equal(ambient, [1.0, 1.0, 2.0, np.nan])


def test_distances_by_hand():
    centre, scale = centre_scale(np.array([[1.0, 2.0, 3.0, np.nan, 100.0], [5.0] * 5]))
    assert centre.tolist() == [2.5, 5.0]
    np.testing.assert_allclose(scale, [1.4826, 1.0])
    z = standard({"centre": np.array([1.0]), "scale": np.array([2.0])}, np.array([[3.0, np.nan]], np.float32))
    assert z.tolist() == [[1.0, 0.0]]
    random = np.random.default_rng(0)
    c = covariance(random.standard_normal((2, 50_000)), 0.5)
    np.testing.assert_allclose(c, np.eye(2), atol=0.03)
    assert covariance(np.ones((1, 9)), 0.0).shape == (1, 1)
    assert filled(np.array([[np.nan, np.inf, 1.0]])).tolist() == [[0.0, 0.0, 1.0]]
    assert no_driver(3).tolist() == [-1, -1, -1]


def test_read_rows_gives_what_scan_gives(bench):
    """The batch that the tests above cut up is the dataset itself."""
    channels = bench.models["twin_residual"].features.channels
    assert read_rows(bench.dataset, channels).values.tobytes() == joined(bench.rows).values.tobytes()


def test_baselines_from_hours_of_history(bench):
    """A synthetic thermal law is found again: rise 25 K at full load, vibration 1 + 0.5 load."""
    grid = gather(bench.dataset)
    ref = reference_kw(grid, bench.around)
    rated = bench.dataset.read("machines").to_pydict()["rated_kw"]
    np.testing.assert_allclose(ref, rated, rtol=1e-6)
    hourly = hourly_of(grid, bench.around, ref)
    assert hourly.load.shape == (8, grid.mean.shape[2])
    assert np.isnan(hourly.load[grid.online_frac <= 0.999]).all()
    made = hourly._replace(rise_k=25.0 * hourly.load, vibration_mm_s=1.0 + 0.5 * hourly.load)
    fitted = fit_baselines(made, bench.around, ref, {}, {"*": 0.5})
    run = np.isfinite(hourly.load).sum(axis=1) > 60
    np.testing.assert_allclose(fitted.twin[:8][run, r.A_RISE_K], 25.0, rtol=1e-6)
    np.testing.assert_allclose(fitted.twin[:8][run, r.A_VIB_BASE], 1.0, rtol=0.02)
    assert (fitted.twin[:, r.A_TAU_H] == 0.5).all()
