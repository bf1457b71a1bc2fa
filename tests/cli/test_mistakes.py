"""Mistakes of somebody new: wrong places, wrong kinds of files, places that cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from shell import only_object

from nexova_sim.base.errors import ConfigError, DataError, UsageError
from nexova_sim.cli import app, echo
from nexova_sim.cli.app import run
from nexova_sim.run.bench_reference import check_writable
from nexova_sim.run.records import check_place

SWEEP = "name: mine\nexperiment: configs/experiment/small.yaml\naxes: [{key: simulate.overrides.days, values: [1]}]\n"
SMALL = ["run", "--config", "configs/experiment/small.yaml"]


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    return ["sweep", str(path)]


def refused(capsys, words, code, *told):
    assert run([str(word) for word in words]) == code
    out, err = capsys.readouterr()
    assert out == "" and all(text in err for text in told), err


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_sweep_is_not_written_into_a_dataset(sweep, dry, tiny_dataset, capsys):
    before = sorted(tiny_dataset.iterdir())
    refused(capsys, [*sweep, "--out", tiny_dataset / "sub", *dry], 2, "lies inside the dataset", "choose another")
    refused(capsys, [*sweep, "--engine", "sparkly", *dry], 2, "--engine sparkly: unknown")
    assert sorted(tiny_dataset.iterdir()) == before


def test_a_place_inside_a_result_is_refused(tmp_path, capsys):
    place = tmp_path / "result"
    place.mkdir()
    check_place(place)
    (place / "manifest.json").write_text(json.dumps({"format": "nexova-forecast"}))
    refused(capsys, [*SMALL, "--out", place / "x", "--dry-run"], 2, "inside the result (nexova-forecast)")
    check_place(place / "x", ("nexova-forecast",))
    (place / "manifest.json").write_text(json.dumps({"format": "a web application's"}))
    check_place(place / "x")
    with pytest.raises(ConfigError, match="exists and is not a folder"):
        check_place(place / "manifest.json")


def test_a_sweep_has_no_report_and_a_file_no_runs(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "results" / "sweep" / "0123456789ab"
    folder.mkdir(parents=True)
    record = {"format": "nexova-sweep", "sweep_id": folder.name, "name": "s", "trials": [], "failures": []}
    (folder / "manifest.json").write_text(json.dumps(record))
    monkeypatch.chdir(tmp_path)
    refused(capsys, ["report", "latest"], 2, "latest: the sweep", "has no report of its own", "nexova runs list")
    refused(capsys, ["runs", "list", folder / "manifest.json"], 3, "manifest.json: is no folder")


def test_wrong_sections_and_overrides_say_where(tmp_path, capsys):
    path = tmp_path / "e.yaml"
    path.write_text("name: x\nsimulate: {fleet: configs/fleet/tiny.yaml}\nalerts: [1, 2]\n")
    refused(capsys, ["run", "-c", path], 2, f"{path}: alerts: must be a section (key: value), got [1, 2]")
    words = [*SMALL, "--set", "simulate.overrides.days=two"]
    refused(capsys, words, 2, "small.yaml: simulate.overrides laid over ", "tiny.yaml: days", "got 'two'")


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reference_that_cannot_be_written_is_told_before_anything_is_measured(tmp_path, monkeypatch, capsys, more):
    monkeypatch.setattr("nexova_sim.run.bench.bench", lambda *_: pytest.fail("measured"))
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "bench.json"
    with pytest.raises(DataError):
        check_writable(path)
    check_writable(tmp_path / "new" / "bench.json")
    assert list((tmp_path / "new").iterdir()) == []
    assert run(["bench", "help_start", "--accept", "--compare", str(path), *more]) == 3
    out, err = capsys.readouterr()
    assert str(path) in err and "choose another place" in err
    assert only_object(out)["error"]["code"] == "DATA" if more else out == ""


def test_what_may_not_be_read_is_missing_data():
    error = app._usage(ValueError(), "Invalid value for 'DATASET': Path 'a b' is not readable.")
    assert isinstance(error, DataError) and error.message.startswith("a b: cannot be read: permission denied")
    assert isinstance(app._usage(ValueError(), "No such option: --x"), UsageError)


def test_what_is_there_already_is_said_once_and_not_when_quiet(capsys):
    for quiet, told in ((False, "page\n\nx: this is there already, nothing to do\n"), (True, "")):
        echo.configure(False, quiet)
        echo.made({"folder": "x", "was_there": True}, ["x"], "page")
        assert capsys.readouterr() == ("x\n", told)
    echo.configure(False, False)


def test_ctrl_c_while_the_program_loads():
    code = (
        "import sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'nexova_sim.cli.app':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "from nexova_sim.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: interrupted before anything began\n"
