"""``nexova twin track``: files, clouds, no look at the truth, machines that cannot be followed, hostile input."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import EXIT_DATA, EXIT_OK, EXIT_USAGE, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.load import load
from nexova_sim.config.track import TrackConfig
from nexova_sim.dataset.read import open_dataset, time_ms
from nexova_sim.kernels.filter_moves import N_INPUTS
from nexova_sim.kernels.particles import Q_WEAR
from nexova_sim.prognose.present import present
from nexova_sim.prognose.track import kept_hours, machine_key, parameter_column, untold
from nexova_sim.run.plates import check_machines, read_plates
from nexova_sim.run.track import default_folder, outline, read_clouds, read_summary, seen_hash, sort_out, track
from nexova_sim.schema.track import state_schema

PUMP = "lyon-pump-001"


@pytest.fixture(scope="module")
def config():
    return load(TrackConfig, "configs/twin/track.yaml")


@pytest.fixture(scope="module")
def tracked(tiny_dataset, tmp_path_factory, config):
    return track(tiny_dataset, config.model_copy(update={"keep_every_h": 20}), tmp_path_factory.mktemp("track") / "run")


def test_the_file_of_settings_is_the_default(config):
    assert config == TrackConfig()


def test_the_state_of_every_machine_and_hour(tracked, tiny_dataset):
    state = pq.read_table(tracked.folder / "state.parquet")
    assert state.schema.equals(state_schema())
    names = [m["machine_id"] for m in tracked.summary["machines"]] + [
        s["machine_id"] for s in tracked.summary["skipped"]
    ]
    assert sorted(names) == sorted(open_dataset(tiny_dataset).machine_ids())
    assert state.num_rows == tracked.summary["n_machines"] * 49
    low, mid, high = (state[f"wear_{p}"].to_numpy() for p in ("p05", "p50", "p95"))
    assert (low <= mid).all()
    assert (mid <= high).all()
    assert (np.diff(time_ms(state["timestamp"].combine_chunks())[:49]) == 3_600_000).all()
    assert (state["effective_samples"].to_numpy() >= 1.0).all()


def test_clouds_of_equal_weight_agree_with_the_state(tracked):
    cloud = read_clouds(tracked.folder)
    assert cloud.particles.shape == (3, tracked.summary["n_machines"], 200, 12)
    state = pq.read_table(tracked.folder / "state.parquet")
    last = state["wear_mean"].to_numpy().reshape(-1, 49)[:, -1]
    np.testing.assert_allclose(cloud.particles[-1, :, :, Q_WEAR].mean(axis=1), last, atol=0.02)
    assert (np.diff(cloud.time_ms) == np.array([20, 8]) * 3_600_000).all()


def test_the_estimate_never_reads_the_truth(tiny_dataset, tracked, tmp_path, config):
    copy = tmp_path / "blind"
    shutil.copytree(tiny_dataset, copy)
    for hidden in ("truth", "labels", "build"):
        shutil.rmtree(copy / hidden)
    (copy / "config.resolved.yaml").unlink()
    blind = track(copy, config.model_copy(update={"keep_every_h": 20}), tmp_path / "run")
    assert blind.run_id == tracked.run_id
    for name in ("state.parquet", "particles.npz", "summary.json"):
        assert (blind.folder / name).read_bytes() == (tracked.folder / name).read_bytes(), name
    assert not {path.split("/")[0] for path, _ in seen_hash(open_dataset(tiny_dataset))} & {"truth", "labels", "build"}


def test_a_machine_alone_has_the_numbers_it_has_in_company(tiny_dataset, tracked, tmp_path, config):
    alone = track(tiny_dataset, config, tmp_path / "one", [PUMP])
    rows = {m["machine_id"]: m for m in tracked.summary["machines"]}
    assert alone.summary["machines"] == [rows[PUMP]]
    assert alone.run_id != tracked.run_id


def test_a_run_that_is_there_is_read(tiny_dataset, tmp_path, config):
    first = track(tiny_dataset, config, tmp_path / "run", [PUMP])
    again = track(tiny_dataset, config, tmp_path / "run", [PUMP])
    assert (first.was_there, again.was_there) == (False, True)
    assert again.summary == first.summary
    plan = outline(tiny_dataset, config, tmp_path / "run", [PUMP])
    assert plan["machines"] == 1
    assert default_folder(open_dataset(tiny_dataset), first.run_id).name == first.run_id


def test_plates_and_hours_that_tell_nothing(tiny_dataset, config):
    dataset = open_dataset(tiny_dataset)
    plates = read_plates(dataset, config.kind_folder, [PUMP])
    assert [p.machine_id for p in plates] == [PUMP]
    assert parameter_column(plates[0].kind, "seed")[0] == plates[0].kind.rated_kw
    assert machine_key("a") != machine_key("b")
    assert kept_hours(50, 20).tolist() == [20, 40, 50]
    assert kept_hours(50, None).tolist() == [50]
    assert "vibration" in str(untold(np.zeros((60, N_INPUTS))))
    with pytest.raises(DataError, match="did you mean 'lyon-pump-001'"):
        check_machines(dataset, ["lyon-pump-01"])


def test_machines_without_readings_are_left_out_and_named(config):
    class Empty:
        machine_ids = (PUMP,)
        given = np.zeros((1, 60, N_INPUTS))

    class Someone:
        machine_id = PUMP

    with pytest.raises(DataError, match="too few readings"):
        sort_out(Empty, [Someone], False)
    full = Empty()
    full.given = np.ones((1, 60, N_INPUTS))
    assert sort_out(full, [Someone], True) == ([Someone], [])
    with pytest.raises(DataError, match="no machines"):
        sort_out(full, [], False)


def test_health_is_that_of_the_cloud(tracked, tiny_dataset, config):
    plate = read_plates(open_dataset(tiny_dataset), config.kind_folder, [PUMP])[0]
    told = present(np.zeros((10, 12)), plate.kind)
    assert told["health_mean"] == told["health_p05"] == 100.0
    assert told["risk_class"] == "HEALTHY"
    worn = np.zeros((10, 12))
    worn[:, Q_WEAR] = 0.9
    assert present(worn, plate.kind)["limited_by"] == "bearing"


def test_the_command(tiny_dataset, tmp_path, capsys):
    words = ["twin", "track", str(tiny_dataset), "--machine", PUMP, "--out", str(tmp_path / "t"), "--json"]
    assert run([*words, "--dry-run"]) == EXIT_OK
    assert not (tmp_path / "t").exists()
    capsys.readouterr()
    assert run(words) == EXIT_OK
    data = json.loads(capsys.readouterr().out)["data"]
    assert data == {"folder": str(tmp_path / "t"), "was_there": False, **read_summary(tmp_path / "t")}
    assert run([w for w in words if w != "--json"]) == EXIT_OK
    assert PUMP in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--machine", "nobody"], EXIT_DATA, "nobody"),
        (["--set", "n_particles=3"], EXIT_USAGE, "n_particles"),
        (["--set", "nparticles=300"], EXIT_USAGE, "did you mean 'n_particles'"),
        (["--set", "kind_folder=no/such"], EXIT_USAGE, "no/such"),
        (["--set", "keep_every_h=1", "--set", "n_particles=60000"], EXIT_USAGE, "GiB"),
        (["--config", "no-such.yaml"], EXIT_USAGE, "no-such.yaml"),
    ],
)
def test_bad_input_is_told_in_one_line(tiny_dataset, tmp_path, capsys, words, code, told):
    assert run(["twin", "track", str(tiny_dataset), "--out", str(tmp_path / "x"), *words]) == code
    seen = capsys.readouterr()
    assert told in seen.err
    assert "Traceback" not in seen.err
    assert not (tmp_path / "x").exists()


def test_damaged_folders_are_told(tmp_path):
    with pytest.raises(DataError, match="no tracked state"):
        read_summary(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_clouds(tmp_path)
    (tmp_path / "summary.json").write_text("[]")
    with pytest.raises(DataError, match="not ours"):
        read_summary(tmp_path)
    np.savez(
        tmp_path / "particles.npz", machine_ids=np.array(["a"]), time_ms=np.zeros(1), particles=np.zeros((1, 1, 3))
    )
    with pytest.raises(DataError, match="not ours"):
        read_clouds(tmp_path)
