"""Fit, score, explain, evaluate through folders: what they leave, what they refuse, that nothing changes by itself."""

import dataclasses
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.analyse.models import (
    find_model_damage,
    find_models,
    load_arrays,
    read_model_manifest,
    write_model,
)
from nexova_sim.base.errors import CheckFailedError, ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.anomaly import AnomalyStage, load_anomaly, read_anomaly_stage
from nexova_sim.config.evaluation import load_evaluation
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.dataset.stage import Stage
from nexova_sim.detect.anomaly_model import load_anomaly_model
from nexova_sim.detect.evaluation import alarm_verdicts, by_fault, evaluate_answer, plain_row
from nexova_sim.detect.exam import prepare, time_of
from nexova_sim.run import anomaly_evaluate as judging
from nexova_sim.run import bench_anomaly
from nexova_sim.run.anomaly import check_channels, dataset_hash, default_model_folder, fit_anomaly, fit_hash
from nexova_sim.run.anomaly_explain import explain_anomaly
from nexova_sim.run.anomaly_score import alarms_table, read_alarms, score_anomaly, score_hash
from nexova_sim.run.models import list_models, show_model, verify_model
from nexova_sim.run.simulate import simulate
from nexova_sim.schema.anomaly import SCORE_KEYS, anomaly_schema

RULES = ["skip_h=24", "n_bootstrap=20", "n_random=5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A plant of eight machines and eight days with faults, a model, its scores."""
    place = tmp_path_factory.mktemp("anomaly")
    fleet = load_fleet("configs/fleet/tiny.yaml", ["days=8", "dt_s=150"])
    data = simulate(fleet, place / "data", jobs=1).folder
    model = fit_anomaly(data, load_anomaly("default"), place / "model")
    scores = score_anomaly(data, model.folder, place / "scores")
    return data, model, scores


def test_a_model_folder_says_what_it_is(made):
    data, model, _ = made
    about = read_model_manifest(model.folder)
    assert about["kind"] == "anomaly"
    assert about["data"]["sha256"] == dataset_hash(open_dataset(data)) == judging.dataset_hash(open_dataset(data))
    assert about["training_s"] > 0
    assert about["inference_s_per_million"] > 0
    assert about["config_hash"] == fit_hash(open_dataset(data), load_anomaly("default"))
    assert find_model_damage(model.folder) == []
    assert fit_anomaly(data, load_anomaly("default"), model.folder).was_there
    assert default_model_folder(open_dataset(data), load_anomaly("default")).name == model.run_id


def test_fitting_again_gives_the_same_bytes(made, tmp_path):
    data, model, _ = made
    again = fit_anomaly(data, load_anomaly("default"), tmp_path / "again")
    assert (again.folder / "model.npz").read_bytes() == (model.folder / "model.npz").read_bytes()


def test_scores_cover_every_reading(made):
    data, _, scores = made
    table = pq.read_table(scores.folder / "scores.parquet")
    readings = open_dataset(data).manifest.rows["readings"]
    assert table.num_rows == readings == scores.manifest["n_rows"]
    assert table.schema.names == anomaly_schema("scores").names
    assert set(SCORE_KEYS) <= set(scores.manifest)
    score, flag = table["score"].to_numpy(), table["flag"].to_numpy()
    assert ((score >= np.float32(scores.manifest["threshold"])) == flag).all()
    assert score.min() >= 0.0
    assert score.max() <= 1.0
    alarms = read_alarms(scores.folder)
    assert alarms.num_rows == scores.manifest["n_alarms"] > 0
    assert alarms.schema.names == anomaly_schema("alarms").names
    assert score_hash(open_dataset(data), {"files": [1]}) != score_hash(open_dataset(data), {"files": [2]})
    model, _ = load_anomaly_model(made[1].folder)
    assert alarms_table([], model, ("a",)).num_rows == 0


def test_a_scheduled_sensor_fault_is_found_on_its_channel(made):
    """The silent thermometer of a conveyor."""
    data, _, scores = made
    rules = load_evaluation("configs/anomaly/evaluate.yaml", [*RULES, "skip_h=0"])
    evaluated = judging.evaluate(data, scores.folder, rules, scores.folder.parent / "early")
    faults = pq.read_table(evaluated.folder / "faults_judged.parquet").to_pylist()
    silent = [f for f in faults if f["machine_id"] == "lyon-conveyor-001" and f["fault"] == "sensor_dropout"]
    assert silent[0]["is_found"]
    alarms = read_alarms(scores.folder).to_pylist()
    assert any(a["machine_id"] == "lyon-conveyor-001" and a["detector"] == "dropout_temperature" for a in alarms)


def test_an_evaluation_is_whole_and_the_same_again(made, tmp_path):
    data, _, scores = made
    rules = load_evaluation("configs/anomaly/evaluate.yaml", RULES)
    first = judging.evaluate(data, scores.folder, rules, tmp_path / "a")
    second = judging.evaluate(data, scores.folder, rules, tmp_path / "b")
    assert first.found == second.found == judging.read_evaluation(first.folder)
    assert judging.evaluate(data, scores.folder, rules, tmp_path / "a").was_there
    found = first.found
    assert set(found["trivial"]) == {"always", "never", "random", "threshold", "clock"}
    assert found["trivial"]["always"]["mar"] == 0.0
    assert found["trivial"]["never"]["mar"] == 1.0
    assert len(judging.unmet(found)) == sum(not ok for ok in found["gate"]["met"].values())
    verdicts = pq.read_table(tmp_path / "a" / "alarms_judged.parquet")["verdict"].to_pylist()
    assert set(verdicts) <= {"true", "false", "excused", "outside"}
    assert sum(v == "true" for v in verdicts) == found["detector"]["precision"]["k"]
    judging.check_gate(rules, "x")
    with pytest.raises(ConfigError, match="sets no gate"):
        judging.check_gate(load_evaluation("configs/anomaly/evaluate_bench.yaml"), "bench")


def test_pieces_of_an_evaluation(made):
    data, _, scores = made
    dataset = open_dataset(data)
    rules = load_evaluation("configs/anomaly/evaluate.yaml", RULES)
    sheet = prepare(dataset, rules)
    found, tables = judging.judge_scores(dataset, scores.folder, rules)
    assert len(sheet.faults) == tables["faults_judged.parquet"].num_rows
    assert found["judged"]["n_machines"] == 8
    ids = dataset.machine_ids()
    n = sum(len(score) for _, _, score, _ in judging.scan_scores(scores.folder, ids))
    assert n == scores.manifest["n_rows"]
    spans, table = judging.read_alarms(scores.folder, ids, 2**50)
    assert len(spans.machine) == table.num_rows
    from nexova_sim.detect.episodes import match
    from nexova_sim.detect.judge import Answer
    from nexova_sim.detect.trivial import never

    answer = never(sheet.exam.cells)
    silent = evaluate_answer(sheet, Answer(answer.score, answer.flag, answer.alarms), rules)
    assert silent["detector"]["precision"]["n"] == 0
    matched = match(spans, sheet.exam.faults, sheet.exam.excuses, sheet.exam.judged, sheet.exam.rules)
    assert sum(line["found"]["n"] for line in by_fault(sheet, matched)) == matched.is_judged.sum()
    verdicts, kinds = alarm_verdicts(sheet, matched)
    assert all((v == "true") <= (k is not None) for v, k in zip(verdicts, kinds, strict=True))
    assert time_of(pa.scalar(5, pa.timestamp("ms", tz="UTC")).as_py()) == 5
    from nexova_sim.detect.detection_metrics import wilson
    from nexova_sim.detect.judge import Row

    assert plain_row(Row(*[wilson(1, 2)] * len(Row._fields)))["precision"]["k"] == 1


def test_scores_of_another_dataset_are_refused(made, tiny_dataset, tmp_path):
    data, _, scores = made
    manifest = judging.read_manifest(scores.folder)
    judging.check_belongs(manifest, open_dataset(data), scores.folder)
    with pytest.raises(DataError, match="belong to another dataset"):
        judging.check_belongs(manifest, open_dataset(tiny_dataset), scores.folder)
    with pytest.raises(DataError, match="holds no scores"):
        judging.read_manifest(tmp_path)


def test_an_explanation_names_the_channel(made):
    data, model, scores = made
    alarms = read_alarms(scores.folder).to_pylist()
    first = alarms[0]
    told = explain_anomaly(data, model.folder, first["machine_id"], first["raised"].isoformat())
    mine = [a for a in alarms if a["machine_id"] == first["machine_id"]]
    assert [a["channel"] for a in told["alarms"]] == [a["channel"] for a in sorted(mine, key=lambda a: a["raised"])]
    assert told["alarms"][0]["drivers"][0]["ratio"] >= told["alarms"][0]["drivers"][-1]["ratio"]
    assert "score" in told["at"]
    with pytest.raises(ConfigError, match="not in this dataset"):
        explain_anomaly(data, model.folder, "nobody")
    with pytest.raises(ConfigError, match="no reading at or before"):
        explain_anomaly(data, model.folder, first["machine_id"], "1999-01-01T00:00:00Z")


def test_a_changed_model_is_refused_and_found(made, tmp_path):
    _, model, _ = made
    for number, spoil in enumerate(("model.npz", "manifest.json", "gone", "text")):
        folder = tmp_path / f"m{number}"
        shutil.copytree(model.folder, folder)
        if spoil == "gone":
            (folder / "model.npz").unlink()
        elif spoil == "text":
            (folder / "manifest.json").write_text("{")
        else:
            data = bytearray((folder / spoil).read_bytes())
            data[len(data) // 2] ^= 1
            (folder / spoil).write_bytes(bytes(data))
        with pytest.raises(DataError):
            load_anomaly_model(folder)
        assert find_model_damage(folder)
        with pytest.raises(CheckFailedError):
            verify_model(folder)
    with pytest.raises(DataError, match="no model here"):
        verify_model(tmp_path)
    with pytest.raises(DataError, match="not 'rul'"):
        load_arrays(model.folder, "rul")
    states = [row["state"] for row in list_models(tmp_path)]
    assert "damaged" in states
    assert verify_model(model.folder)["ok"]
    assert show_model(model.folder)["name"] == "default"
    assert model.folder in find_models(model.folder.parent)
    with pytest.raises(DataError, match="no such folder"):
        list_models(tmp_path / "none")


def test_a_pickle_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="plain arrays only"):
        write_model(Stage(tmp_path, tmp_path, frozenset()), {"x": np.array([object()])}, {})


def test_channels_and_stage_sections(made):
    data, _, _ = made
    dataset = open_dataset(data)
    config = load_anomaly("robust_z", ["channels=[power_kw]"])
    check_channels(dataset, config)
    with pytest.raises(ConfigError, match="did you mean 'power_kw'"):
        check_channels(dataset, config.model_copy(update={"channels": ["power_kwh"]}))
    with pytest.raises(ConfigError, match="runtime_h is no feature"):
        load_anomaly("robust_z", ["channels=[runtime_h]"])
    section = AnomalyStage(config="configs/anomaly/mewma.yaml", overrides=["mewma.weight=0.2"])
    assert read_anomaly_stage(section, data).mewma.weight == 0.2
    other = dataclasses.replace(dataset, folder=data)
    assert dataset_hash(other) == dataset_hash(dataset)


def test_the_commands(made, tmp_path, capsys):
    data, model, scores = made
    fit = ["anomaly", "fit", str(data), "--config", "configs/anomaly/robust_z.yaml", "--out", str(tmp_path / "m")]
    assert run([*fit, "--dry-run"]) == 0
    assert run(fit) == 0
    assert run(["anomaly", "score", str(data), "--model", str(tmp_path / "m"), "--out", str(tmp_path / "s")]) == 0
    assert run(["anomaly", "explain", str(data), "--model", str(model.folder), "--machine", "lyon-pump-001"]) == 0
    settings = [w for rule in RULES for w in ("--set", rule)]
    evaluate = [
        "anomaly",
        "evaluate",
        str(data),
        "--scores",
        str(scores.folder),
        *settings,
        "--out",
        str(tmp_path / "e"),
    ]
    assert run([*evaluate, "--json"]) == 0
    capsys.readouterr()
    assert run(["models", "list", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["data"]
    assert [r["name"] for r in rows] == ["robust-z"]
    assert run(["models", "show", str(tmp_path / "m")]) == 0
    assert run(["models", "verify", str(tmp_path / "m")]) == 0
    for words, code in (
        (["anomaly", "fit", str(tmp_path), "--out", str(tmp_path / "x")], 3),
        (["anomaly", "fit", str(data), "--config", "configs/anomaly/nothing.yaml"], 2),
        (["anomaly", "fit", str(data), "--set", "calibration.fit_frac=2"], 2),
        (["anomaly", "score", str(data), "--model", str(tmp_path)], 3),
        (["anomaly", "explain", str(data), "--model", str(tmp_path / "m"), "--machine", "x"], 2),
        (["anomaly", "evaluate", str(data), "--scores", str(tmp_path)], 3),
        (["models", "verify", str(tmp_path)], 3),
    ):
        assert run(words) == code, words
    assert not (tmp_path / "x").exists()


def test_rolling_benchmark_measures():
    assert 0.0 < bench_anomaly.rolling_cpu(50_000) < 5.0


@pytest.mark.slow
def test_benchmarks_of_the_forest_and_the_pipeline():
    assert bench_anomaly.forest_cpu() > 0
    assert bench_anomaly.forest_ratio() <= 0.7
    assert bench_anomaly.forest_flags() == 1.0
    assert bench_anomaly.pipeline_cpu(("days=1.1",)) > 0
    assert bench_anomaly.pipeline_memory(("days=1.1",)) < 1024
