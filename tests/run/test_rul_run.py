"""Remaining life end to end: no leak, machines kept apart, folders, baselines in every table, bad input."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.load import load_fleet
from nexova_sim.config.rul import METHODS, RulStage, load_rul, load_rul_part
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.prognose.life_features import learn_recipe, make_features
from nexova_sim.prognose.life_judge import answers_of, life_groups
from nexova_sim.prognose.life_models import (
    LEARNED,
    fit_boosting,
    fit_ensemble,
    fit_forest,
    fit_quantiles,
    fit_tree,
    one_thread,
)
from nexova_sim.prognose.lives import cuts_at, last_cuts, read_histories, read_lives, regular_cuts, steps_of
from nexova_sim.prognose.prognosis import (
    Study,
    age_in_life_h,
    cross_forecast,
    duty_frac,
    folds_of,
    forecast_other,
    in_proportion,
    life_survival,
    residual_spread,
    seed_formula_h,
)
from nexova_sim.run.rul import evaluate, predict
from nexova_sim.run.rul_tracked import track_study, why_not_tracked
from nexova_sim.run.simulate import simulate

SETTINGS = ["learning.n_rounds=20", "learning.n_trees=10", "learning.n_folds=3", "learning.n_members=1",
            "judging.n_boot=40",
            "features.mean_steps=[24,72]", "features.curve_steps=[72]", "features.growth_steps=[72.0]",
            "future.n_samples=16", "future.most_h=2000.0", "track.n_particles=32", "asking.every_h=72"]  # fmt: skip
FLEET = ["days=25", "dt_s=3600", "load_interval_s=3600", "start_age_frac=[0.5, 0.99]", "faults.scheduled=[]",
         "factories.0.machines={pump: 20, motor: 16}"]  # fmt: skip


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    return simulate(
        load_fleet("configs/fleet/tiny.yaml", FLEET), tmp_path_factory.mktemp("rul") / "data", jobs=1
    ).folder


@pytest.fixture(scope="module")
def rules():
    return load_rul("configs/rul/plant.yaml", SETTINGS)


@pytest.fixture(scope="module")
def study(plant, rules):
    dataset = open_dataset(plant)
    histories = read_histories(dataset, rules.features)
    lives = read_lives(dataset, histories)
    return Study(histories, lives, regular_cuts(histories, lives, rules.asking))


@pytest.fixture(scope="module")
def judged(plant, rules, tmp_path_factory):
    return evaluate(plant, rules, out=tmp_path_factory.mktemp("e") / "out")


def test_lives_are_those_of_the_events(plant, study):
    events = open_dataset(plant).read("events").to_pylist()
    failures = [e for e in events if e["event"] == "failure"]
    assert study.lives.is_failure.sum() == len(failures) > 5
    first, last = steps_of(study.histories, study.lives)
    assert (last >= first).sum() == len(first)
    cuts = study.cuts
    assert (cuts.time_ms > study.lives.begin_ms[cuts.life]).all()
    assert (cuts.seen_h >= 0).all()
    known = np.isfinite(cuts.target_h)
    assert (study.lives.is_failure[cuts.life] == known).all()
    at = cuts_at(study.histories, study.lives, cuts.life, cuts.step)
    assert (at.time_ms == cuts.time_ms).all()
    ends = last_cuts(study.histories, study.lives)
    assert len(np.unique(ends.machine)) == len(ends.machine)


def test_features_see_nothing_after_the_moment(study, rules):
    """Readings after the earliest cuts are replaced: their features stay the same, bit by bit."""
    machines = np.arange(len(study.histories.machine_ids))
    recipe = learn_recipe(study.histories, machines, study.cuts, rules.features)
    early = study.cuts.step < 200
    whole, names = make_features(recipe, study.histories, study.lives, study.cuts)
    assert whole.shape == (len(study.cuts.life), len(names))
    assert len(set(names)) == len(names)
    wild = study.histories.values.copy()
    wild[:, :, 200:] = 1e6
    other, _ = make_features(recipe, study.histories._replace(values=wild), study.lives, study.cuts)
    np.testing.assert_array_equal(whole[early], other[early])
    assert not np.array_equal(whole[~early], other[~early], equal_nan=True)


def test_what_is_learned_of_one_machine_does_not_reach_its_own_forecast(study, rules):
    """Targets of a whole fold are changed: the forecasts of that fold by a learned method stay the same."""
    config = rules.model_copy(update={"methods": ["decision_tree"]})
    before = cross_forecast(study, config, None, lambda _a, _b: None)["decision_tree"]
    fold = folds_of(len(study.histories.machine_ids), config.learning.n_folds, config.learning.seed)
    mine = fold[study.cuts.machine] == 0
    target = np.where(mine, study.cuts.target_h * 0.0 + 5.0, study.cuts.target_h)
    changed = study._replace(cuts=study.cuts._replace(target_h=target))
    after = cross_forecast(changed, config, None, lambda _a, _b: None)["decision_tree"]
    np.testing.assert_array_equal(before.point_h[mine], after.point_h[mine])


def test_neither_truth_nor_labels_are_read(plant, rules, tmp_path, monkeypatch):
    read, scan = Dataset.read, Dataset.scan

    def guarded(own):
        def call(self, table, *args, **kwargs):
            assert table not in {"truth", "labels", "build"}, f"{table} was read"
            return own(self, table, *args, **kwargs)

        return call

    monkeypatch.setattr(Dataset, "read", guarded(read))
    monkeypatch.setattr(Dataset, "scan", guarded(scan))
    assert predict(plant, rules, out=tmp_path / "p").result["machines"]


def test_every_table_shows_every_method(judged):
    methods = judged.result["methods"]
    assert set(methods) == set(METHODS)
    for tables in methods.values():
        assert set(tables) == {"uncapped", "capped", "prognostic_horizon_h", "chance"}
        assert "all" in tables["uncapped"]
        row = tables["capped"]["all"]
        assert {"rmse_h", "mae_h", "phm08", "crps_h", "coverage_frac", "width_h", "alpha_lambda_frac"} <= set(row)
        assert row["rmse_h"]["low"] <= row["rmse_h"]["value"] <= row["rmse_h"]["high"]


def test_the_twin_knows_more_than_the_mean(judged):
    crps = {name: t["capped"]["all"]["crps_h"]["value"] for name, t in judged.result["methods"].items()}
    assert crps["twin"] < crps["constant_mean_life"]
    assert crps["twin"] < crps["seed_formula"]


def test_predictions_end_in_a_ranking(plant, rules, tmp_path):
    done = predict(plant, rules, out=tmp_path / "p")
    machines = done.result["machines"]
    cost = [m["cost_of_waiting_usd"] for m in machines]
    assert cost == sorted(cost, reverse=True)
    assert all(0.0 <= m["p_fail"] <= 1.0 and m["low_h"] <= m["high_h"] for m in machines)
    table = pq.read_table(done.folder / "predictions.parquet")
    assert set(table["method"].to_pylist()) == set(METHODS)
    assert predict(plant, rules, out=tmp_path / "p").was_there
    at = "2026-01-20T00:00:00Z"
    early = predict(plant, rules.model_copy(update={"methods": ["constant_mean_life"]}), at=at, out=tmp_path / "q")
    assert early.result["machines"]
    with pytest.raises(ConfigError, match="outside the data"):
        predict(plant, rules, at="1999-01-01T00:00:00Z")


def test_training_on_another_dataset(plant, rules, study, tmp_path):
    other = simulate(load_fleet("configs/fleet/tiny.yaml", [*FLEET, "seed=8"]), tmp_path / "other", jobs=1).folder
    config = rules.model_copy(update={"methods": ["constant_mean_life", "decision_tree"]})
    done = evaluate(plant, config, train=other, out=tmp_path / "e")
    assert done.result["how"] == "last known moment of every machine"
    found = forecast_other(study, study, config, (None, None), lambda _a, _b: None)
    assert set(found) == {"constant_mean_life", "decision_tree"}
    with pytest.raises(ConfigError, match="is the dataset itself"):
        evaluate(plant, config, train=plant)


def test_tracking_says_when_it_cannot(plant, study, rules, monkeypatch):
    dataset = open_dataset(plant)
    found = track_study(dataset, study, rules)
    assert found.wear_frac.shape == (len(study.cuts.life),)
    assert (found.sample_h <= rules.future.most_h).all()
    strange = rules.model_copy(update={"track": rules.track.model_copy(update={"kind_folder": "nowhere"})})
    assert track_study(dataset, study, strange) is None
    assert "estimate of wear" in why_not_tracked(dataset)


def test_pieces_by_hand(study, rules):
    fold = folds_of(10, 3, 1)
    assert sorted(np.bincount(fold).tolist()) == [3, 3, 4]
    duty = duty_frac(study.histories, study.cuts, 100.0)
    assert ((duty > 0) & (duty <= 1)).all()
    assert (age_in_life_h(study) >= 0).all()
    assert seed_formula_h(np.array([0.5]), np.array([4000.0]), np.array([np.nan]), np.array([0.5])).tolist() == [
        12000.0
    ]
    assert in_proportion(np.array([1.0, 1.0, 6.0])).tolist() == [1, 2, 2]
    assert in_proportion(np.ones(4)).tolist() == [0, 1, 2, 3]
    curve = life_survival(study, np.ones(len(study.histories.machine_ids), bool))
    assert (np.diff(curve.left_frac) <= 0).all()
    pool = np.linspace(0, 100, 400)
    residual = np.tile([-5.0, 5.0], 200)
    q = residual_spread(np.array([50.0]), pool, residual, np.ones(400))
    assert q[0, 10] == 45.0
    assert q[0, 90] == 55.0
    answers = answers_of(study, None, 480.0)
    assert np.isfinite(answers.rul_h[answers.weight > 0]).all()
    groups = life_groups(study, study.cuts.target_h, rules)
    assert all(len(np.unique(study.cuts.life[rows])) == len(rows) for rows in groups.values())


@pytest.mark.parametrize("name", LEARNED)
def test_every_regressor_learns_a_line(name, rules):
    random = np.random.default_rng(0)
    x = random.uniform(0, 1, (600, 3))
    x[::50, 1] = np.nan
    y = 100.0 * x[:, 0] + 20.0
    with one_thread():
        fitted = LEARNED[name](x, y, rules.learning)
        point = fitted.point(x)
    assert np.corrcoef(point, y)[0, 1] > 0.95
    if fitted.spread is not None:
        q = fitted.spread(x)
        assert (np.diff(q, axis=1) >= -1e-9).all()
    assert {fit_tree, fit_forest, fit_boosting, fit_quantiles, fit_ensemble} == set(LEARNED.values())


def test_sections_and_commands(plant, tmp_path, capsys):
    part = load_rul_part(RulStage(settings=["judging.horizon_h=24.0"]), tmp_path)
    assert part.judging.horizon_h == 24.0
    words = [w for s in [*SETTINGS, "methods=[constant_mean_life, decision_tree]"] for w in ("--set", s)]
    assert run(["rul", "evaluate", str(plant), *words, "--out", str(tmp_path / "e"), "--dry-run"]) == 0
    assert run(["rul", "evaluate", str(plant), *words, "--out", str(tmp_path / "e")]) == 0
    made, shown = capsys.readouterr()
    assert made.splitlines()[-1] == str(tmp_path / "e")
    assert "capped at 480 h" in shown
    assert "constant_mean_life" in shown
    assert run(["rul", "predict", str(plant), *words, "--out", str(tmp_path / "p"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["method"] == "decision_tree"
    for more, code in (
        (["--set", "methods=[crystal_ball]"], 2),
        (["--set", "asking.rul_h=[5, 1]"], 2),
        (["--set", "asking.least_h=100000"], 3),
        (["--train", str(tmp_path)], 3),
    ):
        assert run(["rul", "evaluate", str(plant), *words, *more, "--out", str(tmp_path / "x")]) == code, more
    assert not (tmp_path / "x").exists()


def test_too_few_lives_are_refused(tiny_dataset, rules, tmp_path):
    with pytest.raises(DataError, match=r"lives tell how long machines last|no moment to ask"):
        evaluate(tiny_dataset, rules, out=tmp_path / "e")
