"""``nexova twin whatif``: answers, common chance, hostile input, many moments at once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nexova_sim.base.errors import EXIT_DATA, EXIT_OK, EXIT_USAGE, ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.load import load
from nexova_sim.config.track import TrackConfig
from nexova_sim.config.whatif import WhatIfConfig, check_actions
from nexova_sim.dataset.read import open_dataset, parse_time
from nexova_sim.prognose.whatif import branch
from nexova_sim.run.whatif import (
    Choice,
    Moment,
    answer,
    component_bits,
    outline,
    question_hash,
    read_answer,
    situations,
    what_if,
    with_load,
)

PUMP, AT = "lyon-pump-001", "2026-01-06T12:00:00Z"
TRACK, WHATIF = TrackConfig(), WhatIfConfig(n_futures=64)


def test_the_file_of_settings_is_the_default():
    assert load(WhatIfConfig, "configs/twin/whatif.yaml") == WhatIfConfig()
    assert check_actions([]) == ("NONE", "MAINTENANCE", "OFFLINE")
    assert check_actions(["offline"]) == ("OFFLINE",)
    with pytest.raises(ConfigError, match="did you mean 'MAINTENANCE'"):
        check_actions(["maintenence"])
    assert component_bits(["bearing", "random", "bearing"]) == 17


def test_many_moments_at_once_are_the_same_as_one_by_one(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    at = parse_time(AT, "at")
    moments = [Moment(PUMP, at), Moment("lyon-motor-001", at), Moment(PUMP, at - 3_600_000)]
    seen = []
    all_of = situations(dataset, moments, TRACK, WHATIF, progress=lambda *n: seen.append(n))
    assert seen == [(1, 2), (2, 2)]
    together = branch(all_of.cases, all_of.particles)
    for number, moment in enumerate(moments):
        one = situations(dataset, [moment], TRACK, WHATIF)
        np.testing.assert_array_equal(one.particles[0], all_of.particles[number])
        np.testing.assert_array_equal(branch(one.cases, one.particles).parts_usd[0], together.parts_usd[number])


def test_an_answer_compares_with_doing_nothing(tiny_dataset, tmp_path):
    done = what_if(tiny_dataset, Choice(PUMP, AT, ("MAINTENANCE",)), TRACK, WHATIF, tmp_path / "w")
    rows = {r["action"]: r for r in done.summary["actions"]}
    assert list(rows) == ["NONE", "MAINTENANCE"]
    assert rows["NONE"]["extra_usd"] == 0.0
    assert rows["MAINTENANCE"]["cost_usd"] - rows["NONE"]["cost_usd"] == pytest.approx(
        rows["MAINTENANCE"]["extra_usd"], abs=0.02
    )
    for row in rows.values():
        assert row["cost_interval_usd"][0] <= row["cost_usd"] <= row["cost_interval_usd"][1]
        assert 0.0 <= row["p_failure_interval"][0] <= row["p_failure_interval"][1] <= 1.0
        assert sum(row["parts"].values()) == pytest.approx(row["cost_usd"], abs=0.05)
    again = what_if(tiny_dataset, Choice(PUMP, AT, ("MAINTENANCE",)), TRACK, WHATIF, tmp_path / "w")
    assert (done.was_there, again.was_there) == (False, True)
    assert read_answer(tmp_path / "w") == done.summary
    choice = Choice(PUMP, AT)
    assert question_hash(open_dataset(tiny_dataset), choice, TRACK, WHATIF) == question_hash(
        open_dataset(tiny_dataset), choice, TRACK, WHATIF
    )


def test_another_load_changes_energy_and_wear(tiny_dataset):
    known = situations(open_dataset(tiny_dataset), [Moment(PUMP, parse_time(AT, "at"))], TRACK, WHATIF)
    assert with_load(known, None) is known
    heavy = with_load(known, 1.4)
    told = [answer(k, branch(k.cases, k.particles), Choice(PUMP, AT), WHATIF) for k in (known, heavy)]
    energy = [t["actions"][0]["parts"]["energy_usd"] for t in told]
    assert energy[1] > 1.5 * energy[0]


def test_the_command(tiny_dataset, tmp_path, capsys):
    words = [
        "twin",
        "whatif",
        str(tiny_dataset),
        "-m",
        PUMP,
        "--at",
        AT,
        "--set",
        "n_futures=32",
        "--out",
        str(tmp_path / "w"),
    ]
    assert run([*words, "--dry-run"]) == EXIT_OK
    assert not (tmp_path / "w").exists()
    capsys.readouterr()
    assert run([*words, "--action", "maintenance", "--json"]) == EXIT_OK
    data = json.loads(capsys.readouterr().out)["data"]
    assert [row["action"] for row in data["actions"]] == ["NONE", "MAINTENANCE"]
    assert run([*words, "--load", "0.5", "--overwrite"]) == EXIT_OK
    assert "least cost" in capsys.readouterr().err
    assert outline(tiny_dataset, Choice(PUMP, AT), TRACK, WHATIF)["actions"] == ["NONE", "MAINTENANCE", "OFFLINE"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["-m", "nobody", "--at", AT], EXIT_DATA, "nobody"),
        (["-m", PUMP, "--at", "yesterday"], EXIT_USAGE, "yesterday"),
        (["-m", PUMP, "--at", "2027-01-01T00:00:00Z"], EXIT_DATA, "choose a time in between"),
        (["-m", PUMP, "--at", "2026-01-05T03:00:00Z"], EXIT_DATA, "choose a time in between"),
        (["-m", PUMP, "--at", AT, "--action", "EXPLODE"], EXIT_USAGE, "EXPLODE"),
        (["-m", PUMP, "--at", AT, "--load", "-1"], EXIT_USAGE, "load"),
        (["-m", PUMP], EXIT_USAGE, "at"),
    ],
)
def test_bad_input_is_told_in_one_line(tiny_dataset, tmp_path, capsys, words, code, told):
    assert run(["twin", "whatif", str(tiny_dataset), "--out", str(tmp_path / "x"), *words]) == code
    seen = capsys.readouterr()
    assert told in seen.err
    assert "Traceback" not in seen.err
    assert not (tmp_path / "x").exists()


def test_a_damaged_answer_is_told(tmp_path):
    with pytest.raises(DataError, match="damaged"):
        read_answer(tmp_path)
