"""``nexova energy train``: files, envelope, resuming after a kill, use in a comparison, hostile input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import app
from nexova_sim.config.study import load_train
from nexova_sim.run import energy_train
from nexova_sim.run.bench_energy import BENCHMARKS, ppo_rate
from nexova_sim.run.energy_train import outline_train, train
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
    (["seeds=[0]"], "start has 5"), (["batch=7"], "batch must divide"), (["decisions=0"], "decisions"),
    ([*SMALL, "start=[models/rule-0.json]"], "bid scheduler is needed"),
    ([*SMALL, "start=[models/none.json]"], "none.json"),
])  # fmt: skip
def test_a_bad_training_is_refused(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words):
        train(load_train(TRAIN, settings), tmp_path / "t")
