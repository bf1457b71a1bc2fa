"""Seeds of a sweep: refused in the sweep's own words where they change nothing."""

from __future__ import annotations

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.cli.app import run
from nexova_sim.config.sweep import load_sweep

INGEST = "name: plant\ningest: {map: configs/ingest/generic.yaml, files: [pump.csv]}\n"
GIVEN = "name: plant\ndataset: results/tiny\n"
SIMULATED = "name: plant\nsimulate: {fleet: configs/fleet/tiny.yaml}\n"
ITS_SEED = "axes: [{key: simulate.overrides.seed, values: [1, 2]}]\n"


@pytest.fixture
def sweep(tmp_path):
    def write(experiment: str, rest: str):
        (tmp_path / "exp.yaml").write_text(experiment)
        (tmp_path / "sweep.yaml").write_text(f"name: s\nexperiment: exp.yaml\n{rest}")
        return tmp_path / "sweep.yaml"

    return write


@pytest.mark.parametrize(("experiment", "source"), [(INGEST, "ingest"), (GIVEN, "dataset")])
@pytest.mark.parametrize(("rest", "got"), [
    ("axes: [{key: seed, values: [1, 2]}]\n", "the axis 'seed'"),
    (ITS_SEED, "the axis 'simulate.overrides.seed'"),
    ("seed: 7\nreplicates: 3\n", "seed: 7 with replicates: 3"),
])  # fmt: skip
def test_a_seed_over_data_that_are_there_is_refused(sweep, experiment, source, rest, got, capsys):
    path = sweep(experiment, rest)
    assert run(["sweep", str(path), "--dry-run"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and "--seed" not in told.err
    for words in (str(path), f"got {got}", f"begins with '{source}'", "are allowed over", "leave it out"):
        assert words in told.err, told.err


def test_an_axis_named_seed_says_how_seeds_are_varied(sweep):
    with pytest.raises(ConfigError, match=r"no key of an experiment.* replicates: 5.*'simulate.overrides.seed'"):
        load_sweep(sweep(SIMULATED, "axes: [{key: seed, values: [1]}]\n"))


def test_a_seed_is_set_once(sweep):
    with pytest.raises(ConfigError, match="set the same seed"):
        load_sweep(sweep(SIMULATED, f"{ITS_SEED}seed: 1\n"))
    assert load_sweep(sweep(SIMULATED, ITS_SEED)).config.set_keys() == ["simulate.overrides.seed"]
    assert load_sweep(sweep(SIMULATED, "seed: 1\nreplicates: 2\n")).config.replicates == 2


def test_an_axis_may_bring_the_plant(sweep):
    rest = (
        "axes: [{key: simulate, values: [{fleet: configs/fleet/tiny.yaml}]}, {key: ingest, values: [null]}]\nseed: 1\n"
    )
    assert load_sweep(sweep(INGEST, rest)).config.seed == 1
