"""``nexova energy train``: files, envelope, resuming after a kill, use in a comparison, hostile input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from nexova_sim.base.errors import CheckFailedError, ConfigError, DataError
from nexova_sim.cli.app import app
from nexova_sim.config.study import load_train
from nexova_sim.run import energy_train
from nexova_sim.run.bench_energy import BENCHMARKS, ppo_rate
from nexova_sim.run.energy_start import start_models, start_paths
from nexova_sim.run.energy_train import method_of, outline_train, train
from nexova_sim.schedule.modelfile import PlainLayer, load_model, make_controller

SMALL = ["seeds=[0]", "start=[models/bids-0.json]", "decisions=960", "n_envs=8", "batch=96", "check_every=2"]
TRAIN = "configs/energy/train_ppo.yaml"


def call(*arguments):
    return CliRunner().invoke(app, ["energy", *map(str, arguments)])


def flags(settings):
    return [x for s in settings for x in ("--set", s)]


def test_a_training_leaves_its_files_and_is_found_again(tmp_path):
    out = tmp_path / "t"
    done = train(load_train(TRAIN, SMALL), out)
    assert not done.was_there
    assert train(load_train(TRAIN, SMALL), out).was_there
    assert sorted(p.name for p in out.iterdir() if not p.name.startswith(("_", "."))) >= ["config.resolved.yaml"]
    model = load_model(out / "model-0.json")
    assert model.method == "ppo"
    assert model.made["validation_usd_per_day"] <= model.made["scheduler_usd_per_day"]
    lines = (out / "history-0.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "decisions,validation_usd_per_day"
    assert float(lines[1].split(",")[1]) == pytest.approx(model.made["scheduler_usd_per_day"], abs=1e-2)
    assert not list(out.glob("checkpoint*"))
    plan = outline_train(load_train(TRAIN, SMALL), out)
    assert (plan["seeds"], plan["training_days_per_seed"]) == (1, 40)


def test_a_training_that_diverges_is_listed(tmp_path):
    hopeless = [*SMALL, "learning_rate=1e30", "epochs=20"]
    with pytest.raises(CheckFailedError, match="lower learning_rate"):
        train(load_train(TRAIN, hopeless), tmp_path / "t")


def test_one_failed_seed_does_not_stop_the_others(tmp_path, monkeypatch):
    real = energy_train._one_seed

    def dies(stage, resolved, seed, scheduler, watch):
        if seed == 0:
            raise CheckFailedError("diverged")
        return real(stage, resolved, seed, scheduler, watch)

    monkeypatch.setattr(energy_train, "_one_seed", dies)
    two = [*SMALL, "seeds=[0,1]", "start=[models/bids-0.json,models/bids-1.json]"]
    done = train(load_train(TRAIN, two), tmp_path / "t")
    assert done.summary["failed"] == [{"seed": 0, "reason": "diverged"}]
    assert [r["seed"] for r in done.summary["runs"]] == [1]
    assert train(load_train(TRAIN, two), tmp_path / "t").was_there


def test_a_training_may_begin_from_the_linear_policy(tmp_path):
    small = [*SMALL, "start=[models/context-0.json]", "width=0"]
    train(load_train(TRAIN, small), tmp_path / "t")
    model = load_model(tmp_path / "t" / "model-0.json")
    before = load_model(Path("configs/energy/models/context-0.json"))
    assert model.parameters == before.parameters
    assert model.made["scheduler_usd_per_day"] == before.made["validation_usd_per_day"]
    assert len(model.policy) == 5


def test_one_network_for_the_fleet_is_trained_and_refused_elsewhere(tmp_path):
    resolved = load_train(TRAIN, [*SMALL, "policy=network", "width=8"])
    train(resolved, tmp_path / "t")
    place = tmp_path / "t" / "model.json"
    model, site = load_model(place), resolved.study.site
    assert (model.form, make_controller(model, site, place).name) == ("network", "ppo")
    smaller = site.model_copy(update={"machines": site.machines[:3]})
    with pytest.raises(DataError, match="3 machines"):
        make_controller(model, smaller, place)


def test_a_killed_training_goes_on(tmp_path, monkeypatch):
    out, calls = tmp_path / "t", []
    real = energy_train.write_durably

    def dies(path, data):
        real(path, data)
        calls.append(path.name)
        if len(calls) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(energy_train, "write_durably", dies)
    with pytest.raises(KeyboardInterrupt):
        train(load_train(TRAIN, SMALL), out)
    monkeypatch.setattr(energy_train, "write_durably", real)
    done = train(load_train(TRAIN, SMALL), out)
    rows = (out / "history-0.csv").read_text(encoding="utf-8").splitlines()[1:]
    counts = [int(r.split(",")[0]) for r in rows]
    assert counts[0] == 0
    assert counts[-1] >= 960
    assert done.summary["runs"][0]["decisions"] == 960


def test_a_network_of_another_size_is_refused(tmp_path):
    resolved = load_train(TRAIN, SMALL)
    out = tmp_path / "t"
    train(resolved, out)
    model, place = load_model(out / "model.json"), out / "model.json"
    site = resolved.study.site
    assert make_controller(model, site, place).name == "ppo"
    assert model.form == "shared"
    short = [PlainLayer(weight=[[0.0]], bias=[0.0])]
    ragged = [PlainLayer(weight=[[0.0], [0.0, 1.0]], bias=[0.0, 0.0])]
    for policy in (short, ragged, []):
        with pytest.raises(DataError, match="network"):
            make_controller(model.model_copy(update={"policy": policy}), site, place)


def test_the_command_prints_and_plans(tmp_path):
    done = call("train", *flags(SMALL), "--out", tmp_path / "t", "--json", "--quiet")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)["data"]
    assert np.isfinite(data["runs"][0]["validation_usd_per_day"])
    plan = call("train", *flags(SMALL), "--dry-run", "--out", tmp_path / "never")
    assert plan.exit_code == 0
    assert not (tmp_path / "never").exists()


def test_the_rate_of_training_is_measured():
    bench = BENCHMARKS["energy_ppo"]
    assert (bench.unit, bench.bar) == ("k env steps/CPU-s", 40.0)
    assert ppo_rate() > bench.bar / 10.0


@pytest.mark.parametrize(("settings", "words"), [
    (["seeds=[0]"], "start has 5"),
    (["start=[]", "batch=7"], "batch must divide"), (["batch=7"], "batch must divide"), (["decisions=0"], "decisions"),
    ([*SMALL, "start=[models/rule-0.json]"], "needed is bids or context"),
    ([*SMALL, "start=[models/context-0.json]", "policy=network"], "choose policy: shared"),
    ([*SMALL, "algorithm=sac"], "SAC learns a 'network'"), ([*SMALL, "policy=network", "width=0"], "at least 4"),
    ([*SMALL, "start=[models/none.json]"], "none.json"),
])  # fmt: skip
def test_a_bad_training_is_refused(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words):
        train(load_train(TRAIN, settings), tmp_path / "t")


def test_training_alone_begins_from_the_hand_set_scheduler(tmp_path):
    small = ["seeds=[2]", "decisions=384", "n_envs=8", "batch=96", "check_every=1"]
    done = train(load_train("configs/energy/train_alone.yaml", small), tmp_path / "t", log=tmp_path / "log")
    model = load_model(tmp_path / "t" / "model-2.json")
    assert done.summary["method"] == model.method == "ppo_alone"
    assert [len(layer.bias) for layer in model.policy] == [16, 4] * 4 + [16, 1]
    assert model.made["scheduler"] == {"hand_set": True}
    assert model.made["action_std"] > 0.0
    assert list((tmp_path / "log" / "seed-2").glob("events*"))


def test_sac_is_trained_from_the_command_line(tmp_path):
    small = ["seeds=[0]", "start=[models/bids-0.json]", "decisions=384", "n_envs=8", "batch=16", "check_every=1"]
    done = call("train", "--config", "configs/energy/train_sac.yaml", *flags(small), "--out", tmp_path / "t",
                "--tensorboard", tmp_path / "log", "--json", "--quiet")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["data"]["method"] == method_of(load_train("configs/energy/train_sac.yaml")) == "sac"
    assert load_model(tmp_path / "t" / "model-0.json").method == "sac"


def test_starts_are_files_or_hand_set():
    study = load_train(TRAIN, SMALL).study
    folder = "configs/energy"
    assert [p.name for p in start_paths(["models/bids-1.json"], study, folder)] == ["bids-1.json"]
    two = start_models([], study, folder, 2)
    assert len(two) == 2
    assert two[0].made == {"hand_set": True}
    with pytest.raises(ConfigError, match="needed is bids"):
        start_paths(["models/rule-1.json"], study, folder)


def test_the_linear_policy_is_tuned_and_compared(tmp_path):
    small = ["seeds=[0]", "start=[models/bids-0.json]", "iterations=2", "population=4", "n_days=4"]
    done = call("tune", "--config", "configs/energy/tune_context.yaml", *flags(small), "--out", tmp_path / "t")
    assert done.exit_code == 0, done.output
    model = load_model(tmp_path / "t" / "model-0.json")
    assert model.method == "context"
    assert len(model.parameters) == 49 + 204
    wanted = ["controllers=[bau,rule,bids,context]", f"models.context=[{tmp_path}/t/model-0.json]",
              "also_against=[bids]", "shifted=[]", "yardsticks.n_days=0", "yardsticks.lookahead=null"]  # fmt: skip
    study = tmp_path / "study.yaml"
    text = Path("configs/energy/study.yaml").read_text(encoding="utf-8").replace("n_validation: 256", "n_validation: 2")
    study.write_text(text, encoding="utf-8")
    found = call("evaluate", *flags([*wanted, f"study={study}"]), "--out", tmp_path / "e")
    assert found.exit_code == 0, found.output
    assert "lower bound" in found.stderr
    assert "context minus bids" in found.stderr
    assert "below it: 0" in found.stderr
    wrong = call("evaluate", *flags(["also_against=[sac]"]), "--dry-run")
    assert isinstance(wrong.exception, ConfigError)


def test_the_scheduler_below_a_policy_is_tuned_again(tmp_path):
    small = ["seeds=[1]", "start=[models/ppo-1.json]", "iterations=2", "population=4", "n_days=4"]
    done = call("tune", "--config", "configs/energy/tune_ppo.yaml", *flags(small), "--out", tmp_path / "t")
    assert done.exit_code == 0, done.output
    before, after = load_model(Path("configs/energy/models/ppo-1.json")), load_model(tmp_path / "t" / "model-1.json")
    assert after.method == "ppo_tuned" and after.policy == before.policy and after.form == "shared"
    assert after.parameters != before.parameters and after.made["start"] == before.made
    assert after.made["start_usd_per_day"] == pytest.approx(before.made["validation_usd_per_day"], abs=0.01)


@pytest.mark.parametrize(("start", "words"), [
    ("[]", "needs the model file of a trained policy"), ("[models/bids-1.json]", "needed is ppo"),
])  # fmt: skip
def test_tuning_below_a_policy_needs_one(start, words):
    wrong = call("tune", "--config", "configs/energy/tune_ppo.yaml", "--set", "seeds=[1]", "--set", f"start={start}")
    assert isinstance(wrong.exception, ConfigError) and words in str(wrong.exception)


def test_tuning_below_one_network_for_the_fleet_is_refused(tmp_path):
    train = ["policy=network", "seeds=[1]", "start=[models/bids-1.json]", "decisions=192", "n_envs=8", "batch=96",
             "width=8", "check_every=1", "epochs=1"]  # fmt: skip
    assert call("train", *flags(train), "--out", tmp_path / "n").exit_code == 0
    for dry in ((), ("--dry-run",)):
        wrong = call("tune", "--config", "configs/energy/tune_ppo.yaml", "--set", "seeds=[1]", "--set",
                     f"start=[{tmp_path}/n/model-1.json]", "--out", tmp_path / "t", *dry)  # fmt: skip
        assert isinstance(wrong.exception, DataError) and "networks shared by kind" in str(wrong.exception)
        assert "model-1.json" in str(wrong.exception)
        assert [p.name for p in tmp_path.iterdir()] == ["n"]
