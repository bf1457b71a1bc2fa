"""The doctor: says what is there, tells absent from wrong, and finds an installation that does not work."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.cli.app import run
from nexova_sim.run import doctor
from nexova_sim.run.doctor import ABSENT, CORE, EXTRAS, FINE, WRONG, Finding


@pytest.fixture
def no_test(monkeypatch):
    """Leave the self-test out."""
    monkeypatch.setattr(doctor, "self_test", lambda: Finding("self-test", "simulate", FINE, "left out"))


def test_core_and_extras_are_those_of_the_project(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {d.partition(">")[0] for d in project["dependencies"]} == set(CORE)
    assert set(project["optional-dependencies"]) - {"all", "dev"} == set(EXTRAS)


def test_everything_is_looked_at_and_nothing_is_wrong(capsys):
    assert run(["doctor", "--json"]) == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)["data"]
    assert {row["topic"] for row in rows} == {"version", "extra", "machine", "cache", "program", "self-test"}
    assert {row["state"] for row in rows} <= {FINE, ABSENT}
    assert "equal bytes" in rows[-1]["value"]
    assert "self-test" in told.err and told.err.endswith("all well\n")
    assert run(["doctor", "--quiet"]) == 0
    out, people = capsys.readouterr()
    assert people == "" and out.startswith("what") and "all well" not in out


def test_a_missing_library_is_wrong_and_a_missing_extra_is_not(monkeypatch, capsys, no_test):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "duckdb" else "1.0")
    monkeypatch.setattr(doctor, "_is_there", lambda module: module != "prophet")
    by_name = {f.name: f for f in (*doctor.versions(), *doctor.extras())}
    assert by_name["duckdb"] == Finding("version", "duckdb", WRONG, "not installed", "pip install 'duckdb'")
    assert by_name["forecast"].state == ABSENT and by_name["forecast"].remedy == "pip install 'nexova-sim[forecast]'"
    assert by_name["cluster"].state == FINE
    assert run(["doctor"]) == 1
    out, people = capsys.readouterr()
    assert "1 wrong" in people and "WRONG" in out


def test_what_is_not_installed_is_seen():
    assert doctor._is_there("json") and not doctor._is_there("no_such_module.inner")
    assert doctor._version("no-such-package") is None


def test_full_or_forbidden_disks_are_wrong(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_MIN_FREE_BYTES", 1 << 60)
    monkeypatch.setattr(doctor, "_MIN_MEMORY_BYTES", 1 << 60)
    states = {f.name: f for f in doctor.machine()}
    assert states["memory"].state == states["disk here"].state == WRONG and states["cores"].state == FINE
    assert "free at least" in states["disk here"].remedy
    assert doctor._disk("disk here", tmp_path / "none").state == WRONG


def test_a_cache_that_cannot_be_written_is_wrong(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path / "file"))
    (found,) = doctor.cache()
    assert found.state == WRONG and "NEXOVA_CACHE_DIR" in found.remedy
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path / "new"))
    (found,) = doctor.cache()
    assert found.state == FINE and found.value.startswith("0 MiB in ")


def test_programs_may_be_absent(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "Path", lambda _: Path("/nowhere"))
    assert {f.state for f in doctor.programs()} == {ABSENT}


def test_runs_that_differ_or_fail_are_wrong(monkeypatch):
    hashes = iter(["a", "b"])
    monkeypatch.setattr(doctor, "hash_tree", lambda *_: next(hashes))
    assert doctor.self_test().state == WRONG

    def fail(*_):
        raise DataError("the disk is gone")

    monkeypatch.setattr("nexova_sim.run.simulate.simulate", fail)
    assert doctor.self_test().value == "the disk is gone"


def test_examine_says_what_it_looks_at(no_test):
    heard = []
    assert doctor.examine(heard.append)[-1].value == "left out"
    assert len(heard) == 3
    doctor.no_word("nothing")
