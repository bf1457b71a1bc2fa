"""Short runs of a bench, made up: a channel that drifts, one that shifts, thresholds from minutes of history."""

import numpy as np
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.anomaly import AnomalyConfig, load_anomaly
from nexova_sim.config.ingest import load_map
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.rows import read_rows
from nexova_sim.detect.alarms import follow_alarms
from nexova_sim.detect.anomaly import fit_model, score_rows, split_time
from nexova_sim.detect.anomaly_model import from_arrays, to_arrays
from nexova_sim.detect.blocks import Extremes
from nexova_sim.detect.calibration import NEVER_H, fit_scale, groups_of
from nexova_sim.detect.detector import Batch, StreamDetector
from nexova_sim.detect.detectors import DETECTORS
from nexova_sim.detect.features import operating_state, prepare
from nexova_sim.detect.level_shift import LevelShift
from nexova_sim.detect.surroundings import read_surroundings
from nexova_sim.detect.thresholds import highest_limits
from nexova_sim.run.ingest import ingest

NORMAL_S, RUN_S, ONSET_S, END_S = 400, 900, 550, 750
N_RUNS = 3
HEAD = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;Volume Flow RateRMS"
)


def write_run(path, number, seconds):
    """A run: current cycles, temperatures go to their final level all the time, flow drops by a fifth in the fault."""
    random = np.random.default_rng(100 + number)
    t = np.arange(RUN_S)
    noise = random.standard_normal((8, RUN_S))
    flow = 32.0 - 6.0 * ((t >= ONSET_S) & (t < END_S)) + 0.4 * noise[7]
    columns = [
        0.027 + 0.0005 * noise[0],
        0.040 + 0.001 * noise[1],
        1.0 + 0.5 * np.sin(t / 10.0) + 0.05 * noise[2],
        0.1 + 0.2 * np.round(noise[3]),
        72.0 - 3.0 * (1.0 - np.exp(-t / 500.0)) + 0.05 * noise[4],
        25.0 + 2.0 * (1.0 - np.exp(-t / 700.0)) + 0.02 * noise[5],
        230.0 + 8.0 * noise[6],
        np.round(flow),
    ]
    lines = [HEAD]
    for i in range(seconds):
        stamp = np.datetime64("2026-03-02T10:00:00") + np.timedelta64(1000 * number + i, "s")
        lines.append(";".join([str(stamp).replace("T", " "), *(f"{c[i]:.6f}" for c in columns)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of the normal beginnings and of the whole runs, every run a machine."""
    place = tmp_path_factory.mktemp("runs")
    settings = ["machine={file_name: '^(run-[0-9])'}", "machines={}", "default_machine={kind: pump, factory: bench}"]
    mapping = load_map("configs/ingest/pump_bench.yaml", settings)
    made = []
    for name, seconds in (("normal", NORMAL_S), ("whole", RUN_S)):
        (place / name).mkdir()
        files = [write_run(place / name / f"run-{i}.csv", i, seconds) for i in range(N_RUNS)]
        made.append(ingest(files, mapping, place / f"{name}-data").folder)
    return open_dataset(made[0]), open_dataset(made[1])


def bench(*settings):
    return load_anomaly("bench", list(settings))


def flags_of(dataset, model):
    """Seconds since the run's start, and flag, of every reading."""
    rows = read_rows(dataset, model.features.channels)
    scored = next(iter(score_rows(model, read_surroundings(dataset), [rows])))
    first = np.array([rows.time_ms[rows.machine == m].min() for m in range(N_RUNS)])
    return (rows.time_ms - first[rows.machine]) / 1000.0, scored.ratio.max(axis=0) >= 1.0, scored, rows


def test_a_shift_is_found_though_other_channels_drift_and_a_fixed_reference_takes_drift_for_it(runs):
    normal, whole = runs
    at, flag, *_ = flags_of(whole, fit_model(normal, bench()))
    judged, faulty = at >= NORMAL_S, (at >= ONSET_S + 15) & (at < END_S)
    quiet = judged & (at < ONSET_S)
    assert flag[faulty].mean() > 0.95
    assert flag[quiet].mean() < 0.1
    assert flag[at >= END_S + 60].mean() < 0.2
    fixed = load_anomaly("mewma", ["calibration.threshold=highest", "features.by_state=false"])
    at, flag, *_ = flags_of(whole, fit_model(normal, fixed))
    assert flag[at >= END_S + 60].mean() > 0.8


def test_the_highest_statistic_of_history_is_the_threshold_of_each_machine(runs):
    normal, whole = runs
    model = fit_model(normal, bench())
    around = read_surroundings(normal)
    assert model.scale.names == (*around.machine_ids, "kind:PUMP", "*")
    _, flag, scored, rows = flags_of(normal, model)
    assert not flag.any()
    highest = [scored.ratio[:, rows.machine == m].max() for m in range(N_RUNS)]
    np.testing.assert_allclose(highest, 1.0, rtol=1e-5)
    assert split_time(normal, bench()) > int(rows.time_ms.max())
    strange = read_surroundings(whole)._replace(machine_ids=("new", "run-1", "run-2"))
    prepared = prepare(model.features, strange, model.config)
    assert groups_of(prepared, model.scale.names).tolist() == [3, 1, 2]
    assert model.scale.limit[3] == model.scale.limit[:3].max(axis=0)


def test_a_saved_model_scores_the_same(runs):
    normal, whole = runs
    model = fit_model(normal, bench())
    again = from_arrays(model.config, to_arrays(model))
    assert flags_of(whole, again)[2].score.tobytes() == flags_of(whole, model)[2].score.tobytes()
    old = {k: v for k, v in to_arrays(model).items() if k != "limit_names"}
    with pytest.raises(KeyError, match="limit_names"):
        from_arrays(model.config, old)


def test_alarms_name_the_channel_and_are_few(runs):
    normal, whole = runs
    model, alarms = fit_model(normal, bench()), []
    rows = read_rows(whole, model.features.channels)
    around = read_surroundings(whole)
    list(follow_alarms(model, around, score_rows(model, around, [rows]), alarms.append))
    start = [rows.time_ms[rows.machine == m].min() for m in range(N_RUNS)]
    true = [a for a in alarms if ONSET_S <= (a.raised_ms - start[a.machine]) / 1000.0 < ONSET_S + 60]
    assert {a.machine for a in true} == set(range(N_RUNS))
    assert {a.channel for a in true} == {"flow_l_per_min"}
    assert len(alarms) <= 3 * N_RUNS


def test_what_could_never_find_anything_is_refused(runs):
    """A twin learns for a day; before, all it could tell is how long a channel is silent that nobody has."""
    _, whole = runs
    for name in ("default", "forecast_residual"):
        with pytest.raises(DataError, match=r"no machine ran for the 24 h .* configs/anomaly/bench\.yaml"):
            fit_model(whole, load_anomaly(name))


def test_a_channel_that_nobody_has_is_not_called_silent(runs):
    """Else the hours since the start would be the detector: a clock, which scores well on runs that look alike."""
    _, whole = runs
    model = fit_model(whole, load_anomaly("default", ["twin.learn_hours=0.05", "calibration.fit_frac=0.3"]))
    place = {c.name: k for k, c in enumerate(DETECTORS["twin_residual"].components())}
    assert (model.scale.limit[:, place["dropout_vibration"]] == NEVER_H).all()
    assert (model.scale.limit[:, place["dropout_power"]] < 1.0).all()
    _, _, scored, _ = flags_of(whole, model)
    assert not ((scored.ratio >= 1.0) & (scored.which == place["dropout_vibration"])).any()


def batch_of(values, machine=None, status=None):
    n = values.shape[1]
    machine = np.zeros(n, np.int32) if machine is None else machine
    status = np.zeros(n, np.int8) if status is None else status
    return Batch(machine, np.arange(n) * 1000, status, values.astype(np.float32), np.empty((0, n), np.float32))


def config(**level_shift):
    return AnomalyConfig.model_validate(
        {"name": "x", "detector": "level_shift", "features": {"window_readings": 2}, "level_shift": level_shift}
    )


def test_a_machine_never_seen_gets_the_median_and_an_empty_channel_counts_nothing():
    detector = LevelShift()
    assert isinstance(detector, StreamDetector)
    random = np.random.default_rng(0)
    machine = np.repeat(np.arange(3, dtype=np.int32), 500)
    values = np.stack([random.standard_normal(1500) * np.array([1.0, 2.0, 5.0])[machine], np.full(1500, np.nan)])
    params = detector.fit_stream([batch_of(values, machine)], ("a.mean", "b.mean"), ("x", "y", "z"), config())
    laid = detector.lay_out(params, ("y", "unknown", "z"))
    np.testing.assert_array_equal(laid["usual"][0], laid["usual"][1])
    np.testing.assert_allclose(laid["usual"][:, 0], [2.0, 2.0, 5.0], rtol=0.1)
    assert np.isinf(laid["usual"][:, 1]).all()
    _, found = detector.step(laid, detector.start(laid, 3), batch_of(np.array([[0.0] * 5 + [20.0], [np.nan] * 6])))
    assert (found.statistic[0, :5] == 0.0).all()
    np.testing.assert_allclose(found.statistic[0, 5], 20.0 / laid["usual"][0, 0], rtol=1e-6)
    assert found.driver[5] == 0


def test_a_level_nearly_stands_in_a_fault_and_gives_in_after_long():
    detector = LevelShift()
    random = np.random.default_rng(1)
    params = detector.fit(random.standard_normal((1, 1000)), ("a.mean",), config(follow_readings=20))
    assert np.isfinite(params["limit"]).all()
    step = np.concatenate([np.zeros(200), np.full(800, 30.0)])[None]
    for held_frac, is_far in ((0.0, True), (0.02, True), (0.5, False)):
        own = detector.lay_out({**params, "pace": np.array([0.05, 0.001, held_frac])}, ("any",))
        _, found = detector.step(own, detector.start(own, 1), batch_of(step))
        assert found.statistic[0, 210] > 5.0
        assert (found.statistic[0, -1] > 5.0) == is_far


def test_steady_drift_is_no_shift():
    """The trend is learnt: a ramp ten times as long as history stays near."""
    detector, settings = LevelShift(), config(follow_readings=20, trend_readings=100)
    ramp = 0.05 * np.arange(6000) + 0.3 * np.random.default_rng(3).standard_normal(6000)
    own = detector.lay_out(detector.fit(ramp[None, :600], ("a.mean",), settings), ("any",))
    _, found = detector.step(own, detector.start(own, 1), batch_of(ramp[None]))
    assert np.median(found.statistic[0, 600:]) < 1.5
    assert (found.statistic[0, 600:] > 5.0).mean() < 0.01


def test_a_machine_that_stands_still_teaches_nothing_and_is_not_scored():
    detector = LevelShift()
    values = np.concatenate([np.zeros(50), np.full(50, 9.0), np.zeros(50)])[None]
    status = np.r_[np.zeros(50), np.ones(50), np.zeros(50)].astype(np.int8)
    own = detector.lay_out(
        detector.fit(np.random.default_rng(2).standard_normal((1, 500)), ("a.mean",), config()), ("m",)
    )
    _, found = detector.step(own, detector.start(own, 1), batch_of(values, status=status))
    assert (found.statistic == 0.0).all()


def test_highest_limits_by_hand():
    maxima = np.array([[1.0, 3.0, 2.0, np.nan]])
    groups = [np.array([True, False, True, False]), np.array([False, False, False, True])]
    limit = highest_limits(maxima, groups, np.array([0.5]))
    np.testing.assert_allclose(limit, [[2.0], [3.0], [3.0]], rtol=1e-6)
    assert (limit > [[2.0], [3.0], [3.0]]).all()
    assert (highest_limits(maxima, groups, np.array([9.0])) == 9.0).all()


def test_states_can_be_left_out(runs):
    _, whole = runs
    rows = read_rows(whole)
    model = fit_model(runs[0], bench())
    prepared = prepare(model.features, read_surroundings(whole), model.config)
    assert len(np.unique(operating_state(rows, prepared.twin))) == 2
    assert (operating_state(rows, prepared.twin, by_state=False) == 0).all()


def test_thresholds_by_hand_from_what_was_seen(runs):
    model = fit_model(runs[0], bench())
    prepared = prepare(model.features, read_surroundings(runs[0]), model.config)
    heard = np.ones((len(model.features.channels), N_RUNS), bool)
    sample, owner = np.full((1, 30), 0.5, np.float32), np.repeat(np.arange(N_RUNS), 10)
    seen = Extremes(np.array([[1.0, 2.0, 4.0, 3.0]]), np.array([0, 1, 2, 2]), 60_000.0, sample, owner, 30, heard)
    scale = fit_scale("here", seen, prepared)
    np.testing.assert_allclose(scale.limit[:, 0], [1.0, 2.0, 4.0, 4.0, 4.0], rtol=1e-6)
    np.testing.assert_allclose(np.unique(scale.knots), [0.125, 0.25, 0.5], rtol=1e-6)
    budget = model.config.calibration.model_copy(update={"threshold": "budget"})
    held_out = prepared._replace(config=model.config.model_copy(update={"calibration": budget}))
    assert fit_scale("here", seen, held_out).names == ("kind:PUMP", "*")
