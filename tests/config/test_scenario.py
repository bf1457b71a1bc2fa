"""Scenarios and the choice of a machine: strict types, names, limits, overrides."""

from __future__ import annotations

import math

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import build, read_yaml
from nexova_sim.config.scenario import (
    MAX_HOURS,
    Phase,
    ResolvedTwin,
    Scenario,
    StartState,
    TwinChoice,
    load_scenario,
    load_twin,
    scenario_path,
)

SEED_SCENARIOS = {
    "normal": Phase(name="normal", load_frac=0.7),
    "heavy_load": Phase(name="heavy load", load_frac=1.5),
    "overheated": Phase(name="overheated", load_frac=0.8, cooling_frac=0.2, fatigue_per_h=0.02),
    "worn_bearings": Phase(name="worn bearings", load_frac=0.9, wear_per_h=0.01),
}


@pytest.mark.parametrize("name", SEED_SCENARIOS)
def test_the_four_seed_scenarios(name):
    scenario = load_scenario(name)
    assert scenario.phases == [SEED_SCENARIOS[name]]
    assert (scenario.name, scenario.ambient_c, scenario.repeat) == (name, 25.0, False)
    assert scenario.start == StartState()


def test_every_scenario_file_bears_its_name_and_runs_with_every_kind(root):
    paths = sorted((root / "configs/scenario").glob("*.yaml"))
    assert len(paths) >= 5
    for path in paths:
        assert load_scenario(path.stem).name == path.stem
        assert load_scenario(str(path)) == load_scenario(path.stem)
        for kind in ("pump", "motor", "compressor", "conveyor"):
            assert load_twin(kind, path.stem).kind.kind.lower() == kind


def test_the_example_of_a_week_is_a_week_long():
    scenario = load_scenario("two_shift_week")
    assert scenario.repeat
    assert scenario.cycle_min == 7 * 24 * 60
    assert sum(scenario.phase_min) == scenario.cycle_min


def make(**changes):
    return {"name": "mine", "phases": [{"hours": 8, "load_frac": 0.7}, {"load_frac": 0.0}], **changes}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (make(hour=5), "unknown key 'hour'; did you mean 'hours'"),
        (make(hours=-5), "greater than 0"),
        (make(hours=math.nan), "hours"),
        (make(hours=1e9), "30 years"),
        (make(hours=0.001), "whole number of minutes"),
        (make(phases=[]), "at least 1"),
        (make(phases=[{"load_frac": 0.7}, {"load_frac": 0.5}]), "phases.0: 'hours' is missing"),
        (make(repeat=True), "the phases repeat"),
        (make(phases=[{"load_frac": -0.1}]), "greater than or equal to 0"),
        (make(phases=[{"load_frac": 2.5}]), "less than or equal to 2"),
        (make(phases=[{"load_frac": 0.7, "cooling_frac": 0.0}]), "cooling_frac"),
        (make(phases=[{"load_frac": 0.7, "cooling": 0.5}]), "did you mean 'cooling_frac'"),
        (make(phases=[{"load_frac": 0.7, "wear_per_h": -1}]), "wear_per_h"),
        (make(phases=[{"load_frac": 0.7, "ambient_c": 1000}]), "ambient_c"),
        (make(phases=[{"hours": 200_000, "load_frac": 0.7}] * 2), "together"),
        (make(start={"wear_frac": 1.0}), "less than 1"),
        (make(start={"wear": 0.5}), "did you mean 'wear_frac'"),
        (make(name="../etc"), "name"),
        ({"name": "mine"}, "phases: required key is missing"),
    ],
)
def test_a_bad_scenario_is_refused_with_its_key(raw, words):
    with pytest.raises(ConfigError) as caught:
        build(Scenario, raw, "mine.yaml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("mine.yaml: ")


def test_names_and_paths(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nphases:\n  - {load_frac: 0.6}\n", encoding="utf-8")
    assert scenario_path(str(path)) == path
    assert load_twin("pump", str(path)).scenario.phases[0].load_frac == 0.6
    kind = tmp_path / "bigpump.yaml"
    text = (scenario_path("normal").parent.parent / "kind" / "pump.yaml").read_text(encoding="utf-8")
    kind.write_text(
        text.replace("kind: pump", "kind: bigpump").replace("rated_kw: 15.0", "rated_kw: 90.0"), encoding="utf-8"
    )
    twin = load_twin(str(kind), "normal")
    assert (twin.kind_name, twin.kind.rated_kw) == ("bigpump", 90.0)


@pytest.mark.parametrize(
    ("kind", "scenario", "words"),
    [
        ("pmp", "normal", "did you mean 'pump'"),
        ("pump", "overheat", "did you mean 'overheated'"),
        ("", "normal", "unknown machine kind"),
        ("x" * 5000, "normal", "unknown machine kind"),
        ("pump", "y" * 5000, "unknown scenario"),
        ("pump", "z/" * 3000, "cannot be looked up"),
        ("pump", "no/such/file.yaml", "no such file"),
        ("../kind/pump", "normal", "no such file"),
        ("pump", "", "unknown scenario"),
    ],
)
def test_unknown_names_are_refused(kind, scenario, words):
    with pytest.raises(ConfigError, match=words):
        load_twin(kind, scenario)


def test_overrides_and_choices():
    settings = ["scenario.start.wear_frac=0.5", "kind.thermal.time_constant_min=30", "every_h=2"]
    choice = TwinChoice(hours=48.0, ambient_c=35.0, physics="seed", dt_s=30.0, seed=9)
    twin = load_twin("PUMP", "two_shift_week", settings, choice)
    assert twin.kind_name == "pump"
    assert twin.scenario.start.wear_frac == 0.5
    assert twin.kind.thermal.time_constant_min == 30.0
    assert (twin.scenario.hours, twin.scenario.ambient_c, twin.physics, twin.seed) == (48.0, 35.0, "seed", 9)
    assert (twin.sample_min, twin.slot_s, twin.step_s) == (120, 300, 30.0)


@pytest.mark.parametrize(
    ("settings", "choice", "words"),
    [
        (["scenario.start.waer_frac=0.5"], TwinChoice(), "did you mean 'wear_frac'"),
        (["scenario=5"], TwinChoice(hours=5.0), "scenario"),
        (["kind.rated_kw=0"], TwinChoice(), "kind.rated_kw"),
        (["nonsense"], TwinChoice(), "expected key.path=value"),
        ([], TwinChoice(hours=-1.0), "got -1.0"),
        ([], TwinChoice(hours=math.inf), "finite"),
        ([], TwinChoice(hours=1e12), "30 years"),
        ([], TwinChoice(dt_s=0.0), "dt_s"),
        ([], TwinChoice(dt_s=7200.0), "dt_s"),
        ([], TwinChoice(every_h=1000.0), "longer than the run"),
        ([], TwinChoice(physics="moon"), "'plant' or 'seed'"),
        ([], TwinChoice(ambient_c=400.0), "ambient_c"),
        ([], TwinChoice(seed=-1), "seed"),
        ([], TwinChoice(hours=200_000.0, every_h=1.0 / 60.0), "rows"),
        ([], TwinChoice(hours=200_000.0, dt_s=1.0), "steps"),
        (["scenario.start.runtime_h=20000"], TwinChoice(), "rated life"),
    ],
)
def test_impossible_runs_are_refused(settings, choice, words):
    with pytest.raises(ConfigError, match=words):
        load_twin("pump", "normal", settings, choice)


def test_rows_and_slots_fit_the_run():
    assert load_twin("pump", "normal", [], TwinChoice(hours=500.0)).sample_min == 60
    assert load_twin("pump", "normal", [], TwinChoice(hours=0.5)).sample_min == 30
    long = load_twin("pump", "normal", [], TwinChoice(hours=float(MAX_HOURS)))
    assert long.scenario.hours * 60 / long.sample_min <= 2000
    odd = load_twin("pump", "normal", [], TwinChoice(hours=7 / 60, every_h=1 / 60, dt_s=45.0))
    assert (odd.slot_s, odd.step_s) == (60, 30.0)
    assert load_twin("pump", "normal", [], TwinChoice(dt_s=3600.0)).slot_s == 3600


def test_the_resolved_twin_survives_a_round_trip(tmp_path):
    import yaml

    twin = load_twin("motor", "two_shift_week")
    path = tmp_path / "config.resolved.yaml"
    path.write_text(yaml.safe_dump(twin.model_dump(mode="json")), encoding="utf-8")
    assert build(ResolvedTwin, read_yaml(path), str(path)) == twin
