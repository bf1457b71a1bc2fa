"""Search, statistics, model files, and the separation of training, validation and test days."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nexova_sim.base.errors import CheckFailedError, ConfigError, DataError
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import load
from nexova_sim.config.study import StudyConfig, load_evaluate, load_study, load_tune
from nexova_sim.schedule.bids import hand_set_bids
from nexova_sim.schedule.compare import Entry, costs_of, day_profile, describe_entry, differences
from nexova_sim.schedule.controllers import BusinessAsUsual, Flat, play_days
from nexova_sim.schedule.modelfile import (
    ModelFile,
    dump_model,
    load_model,
    make_controller,
    parameter_names,
    site_hash,
)
from nexova_sim.schedule.search import SearchPlan, cma_es, cross_entropy, no_search
from nexova_sim.schedule.site import days_of, make_site
from nexova_sim.schedule.statistics import iqm, mean_interval, paired_interval
from nexova_sim.schedule.study import days_hash, held_out_days, locked_test_days, train_days

CONFIG = load(SiteConfig, "configs/energy/workshop.yaml")
SITE = make_site(CONFIG)
STUDY = StudyConfig(name="s", n_validation=4, n_test=4)


@pytest.mark.parametrize(("search", "spread", "near"), [(cma_es, 0.2, 0.02), (cross_entropy, 0.33, 0.05)])
def test_a_search_finds_the_minimum_of_a_noisy_bowl(search, spread, near):
    target = np.array([0.2, 0.7, 0.95])
    rng = np.random.default_rng(0)

    def cost(x, iteration):
        return 100.0 * ((x - target) ** 2 * [1.0, 10.0, 3.0]).sum(axis=1) + 0.01 * rng.standard_normal(len(x))

    found = search(cost, np.full(3, 0.5), SearchPlan(60, 16, spread, 1), no_search)
    np.testing.assert_allclose(found.x, target, rtol=0.0, atol=near)
    assert found.history.shape == (60, 3)
    assert found.history[-1, 0] < found.history[0, 0]


def test_a_search_is_repeatable_and_stays_in_the_box():
    def cost(x, iteration):
        assert ((x >= 0.0) & (x <= 1.0)).all()
        return -x.sum(axis=1)

    runs = [cma_es(cost, np.full(4, 0.5), SearchPlan(40, 8, 0.3, 3)) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].x, runs[1].x)
    assert (runs[0].x > 0.9).all()


def test_intervals_cover_and_pairing_narrows():
    rng = np.random.default_rng(0)
    days = rng.normal(1000.0, 200.0, 200)
    cost = days + rng.normal(0.0, 5.0, (5, 200))
    other = (days + 10.0)[None]
    gap, alone = paired_interval(cost, other, 1000), mean_interval(cost, 1000)
    assert gap.low < gap.value < gap.high
    assert gap.value == pytest.approx(-10.0, abs=1.0)
    assert gap.high - gap.low < 0.2 * (alone.high - alone.low)
    assert paired_interval(other, other, 500).value == 0.0
    assert iqm(np.array([0.0, 1.0, 2.0, 1000.0])) == 1.5


@pytest.mark.slow
def test_the_interval_holds_95_percent_of_the_time():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        sample = rng.normal(0.0, 1.0, (1, 60))
        low, high = mean_interval(sample, 500, seed=int(rng.integers(1 << 30)))[1:]
        hits += low <= 0.0 <= high
    assert 0.89 < hits / 300 < 0.99


def test_the_parts_of_a_study_share_no_day():
    seen = set()
    for days in (train_days(SITE, STUDY, 0, 0, 4), train_days(SITE, STUDY, 1, 0, 4), train_days(SITE, STUDY, 0, 4, 4),
                 held_out_days(SITE, STUDY, "validation"), held_out_days(SITE, STUDY, "test")):  # fmt: skip
        seen |= {days.start[0, 0, i] for i in range(4)}
    assert len(seen) == 20
    with pytest.raises(ConfigError, match="not held out"):
        held_out_days(SITE, STUDY, "train")
    with pytest.raises(ConfigError, match="fewer iterations"):
        train_days(SITE, STUDY, 0, 2**28, 1)
    with pytest.raises(ConfigError, match="training seed"):
        train_days(SITE, STUDY, 2**13, 0, 1)


def test_locked_days_open_only_unchanged():
    days = held_out_days(SITE, STUDY, "test")
    locked = STUDY.model_copy(update={"test_sha256": days_hash(days)})
    np.testing.assert_array_equal(locked_test_days(SITE, locked).profile, days.profile)
    changes = ({"stream": 1}, {"n_test": 5}, {"first_test_day": 4})
    for study in (STUDY, *(locked.model_copy(update=change) for change in changes)):
        with pytest.raises(CheckFailedError, match="test_sha256"):
            locked_test_days(SITE, study)
    hotter = CONFIG.model_dump(mode="json")
    hotter["surroundings"]["ambient_c"] = [23.0, 32.0]
    with pytest.raises(CheckFailedError):
        locked_test_days(make_site(SiteConfig.model_validate(hotter)), locked)


def test_the_built_in_study_is_locked_to_its_days():
    resolved = load_study("configs/energy/study.yaml")
    assert locked_test_days(make_site(resolved.site), resolved.study).level.shape == (96, 512)
    assert load_tune("configs/energy/tune_bids.yaml").tune.method == "bids"
    assert len(load_evaluate("configs/energy/evaluate.yaml").shifted) == 5


def model_of(method="bids", kinds=None):
    kinds = list(CONFIG.kinds) if kinds is None else kinds
    names = parameter_names(method, kinds)
    return ModelFile(method=method, site_hash=site_hash(CONFIG), kinds=kinds, parameters=dict.fromkeys(names, 0.5),
                     made={"seed": 1})  # fmt: skip


def test_a_model_file_comes_back_as_it_was(tmp_path):
    path = tmp_path / "m.json"
    path.write_text(dump_model(model_of()), encoding="utf-8")
    assert load_model(path) == model_of()
    assert make_controller(load_model(path), CONFIG, path).params.shape == hand_set_bids(SITE, 4).shape
    assert make_controller(model_of("rule"), CONFIG, path).name == "rule"


def test_a_model_of_another_fleet_is_refused(tmp_path):
    with pytest.raises(DataError, match="kinds robot"):
        make_controller(model_of(kinds=["robot"]), CONFIG, tmp_path / "m.json")


@pytest.mark.parametrize(("text", "words"), [
    ("{", "damaged"), ("[]", "no model file"), ('{"format": "other"}', "no model file"), ("\x00", "damaged"),
    ('{"format": "nexova-energy-model"}', "damaged"),
])  # fmt: skip
def test_what_is_no_model_is_refused(tmp_path, text, words):
    path = tmp_path / "m.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        load_model(path)


def test_a_changed_model_is_refused(tmp_path):
    path = tmp_path / "m.json"
    raw = json.loads(dump_model(model_of()))
    raw["parameters"]["cap_1"] = 9.0
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(DataError, match="changed after"):
        load_model(path)
    with pytest.raises(DataError, match="cannot be read"):
        load_model(tmp_path / "none.json")
    short = model_of().model_copy(update={"parameters": {"cap_1": 1.0}})
    path.write_text(dump_model(short), encoding="utf-8")
    with pytest.raises(DataError, match="not those of method"):
        load_model(path)


def test_a_comparison_adds_up():
    days = days_of(SITE, 4, np.arange(12, dtype=np.uint64))
    entries = [Entry("bau", [play_days(BusinessAsUsual(), SITE, days)], ()),
               Entry("flat", [play_days(Flat(), SITE, days)] * 2, ({"seed": 0}, {"seed": 1}))]  # fmt: skip
    row = describe_entry(entries[1], 200)
    assert row["n_seeds"] == 2
    assert row["mean_usd"]["value"] == pytest.approx(sum(row["split_usd"].values()), abs=1e-2)
    (gap,) = differences(entries, "bau", 200)
    expected = costs_of(entries[1]).mean() - costs_of(entries[0]).mean()
    assert gap["usd_per_day"]["value"] == pytest.approx(expected, abs=1e-3)
    assert gap["days_cheaper_frac"] > 0.5
    profile = day_profile(SITE, entries[0].plays[0])
    assert (len(profile["power_kw"]), len(profile["load_frac"])) == (96, 8)


def test_a_study_goes_on_with_test_days_nobody_has_seen():
    whole = held_out_days(SITE, STUDY.model_copy(update={"n_test": 6}), "test")
    later = held_out_days(SITE, STUDY.model_copy(update={"first_test_day": 2}), "test")
    for a, b in zip(whole, later, strict=True):
        np.testing.assert_array_equal(a[..., 2:], b)
