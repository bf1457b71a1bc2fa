"""What reaches a terminal: closed pipes, full disks, hostile text, poor encodings, progress, tables."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shell import TINY, nexova, only_object

from nexova_sim import __version__
from nexova_sim.base.errors import EXIT_DATA, EXIT_OK, EXIT_USAGE
from nexova_sim.cli import echo
from nexova_sim.cli.app import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A simulated dataset."""
    out = tmp_path_factory.mktemp("contract") / "tiny"
    assert nexova("simulate", "-c", TINY, "--out", out, "--quiet").returncode == EXIT_OK
    return out


@pytest.mark.parametrize("stream", ["stdout", "both"])
@pytest.mark.parametrize(
    "arguments", [["--help"], ["simulate", "-c", TINY, "--dry-run"], ["simulate", "-c", TINY, "--dry-run", "--json"]]
)
def test_a_reader_that_has_gone_is_no_error(arguments, stream):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "nexova_sim", *arguments]
    people = writing if stream == "both" else subprocess.PIPE
    done = subprocess.run(command, stdout=writing, stderr=people, text=True, check=False)
    os.close(writing)
    assert done.returncode == EXIT_OK
    assert not done.stderr


@pytest.mark.parametrize("arguments", [["simulate", "-c", "no-such"], ["simulate", "-c", "no-such", "--json"]])
def test_an_error_keeps_its_code_without_readers(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "nexova_sim", *arguments]
    done = subprocess.run(command, stdout=writing, stderr=writing, check=False)
    os.close(writing)
    assert done.returncode == EXIT_USAGE


@pytest.mark.parametrize(("arguments", "status"), [("--help", EXIT_OK), ("simulate -c no-such --json", EXIT_USAGE)])
def test_closed_streams(arguments, status):
    shell = f'exec "$0" -m nexova_sim {arguments} >&- 2>&-'
    assert subprocess.run(["sh", "-c", shell, sys.executable], check=False).returncode == status


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout(tmp_path):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "nexova_sim", "simulate", "-c", TINY, "--dry-run", "--json"]
        environment = {**os.environ, "NEXOVA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    assert done.returncode == EXIT_DATA
    assert done.stderr.startswith("error: ")
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


HOSTILE = ["\x1b]0;owned\x07\x1b[2J", "\x9b31m", "\u202egnp.exe", "\r overwritten", "a\x00b", "\udcff", "工場 ü"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_cannot_command_a_terminal(text, capsys):
    for as_json in (False, True):
        echo.configure(as_json, False)
        echo.result({"name": text}, text)
        echo.note(text)
        echo.failure("X", text, {"name": text})
        told = capsys.readouterr()
        shown = told.out + told.err
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
        if as_json:
            first = json.loads(told.out.splitlines()[0])
            assert first["data"]["name"] == text
            told.out.encode("ascii")
    echo.configure(False, False)
    assert echo.clean(text).isprintable()
    assert "\x1b" not in echo.grid([[text]], ["name"])


@pytest.mark.parametrize("name", ["bad\x1b[31m.yaml", "\u202eevil.yaml", "line\nbreak.yaml"])
def test_hostile_file_names(name):
    done = nexova("simulate", "-c", name, "--json")
    assert done.returncode == EXIT_USAGE
    assert only_object(done.stdout)["error"]["code"] == "CONFIG"
    assert "\x1b" not in done.stderr
    assert "\u202e" not in done.stderr


def test_a_terminal_without_unicode(folder, tmp_path):
    import shutil

    config = tmp_path / "ünï.yaml"
    shutil.copy(TINY if Path(TINY).exists() else Path(__file__).parents[2] / TINY, config)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = nexova("simulate", "-c", config, "--out", tmp_path / "ö", "--quiet", env=environment)
    assert done.returncode == EXIT_OK, done.stderr
    assert "\\xf6" in done.stdout
    done = nexova("simulate", "-c", tmp_path / "ä", env=environment)
    assert done.returncode == EXIT_USAGE


def test_numbers_that_json_lacks_become_null(capsys):
    echo.configure(True, False)
    echo.result({"a": float("nan"), "b": [float("inf"), 1.5], "c": Path("x"), "d": (1, {2})})
    echo.configure(False, False)
    assert only_object(capsys.readouterr().out)["data"] == {"a": None, "b": [None, 1.5], "c": "x", "d": [1, [2]]}


def test_progress_tells_nothing_without_a_terminal(capsys):
    echo.configure(False, False)
    with echo.progress("work") as step:
        step(1, 2)
        step(2, 2)
    told = capsys.readouterr()
    assert told.out + told.err == ""


def test_progress_on_a_terminal(capsys, monkeypatch):
    echo.configure(False, False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with echo.progress("work") as step:
        step(1, 2)
        step(2, 2)
    assert "work" in capsys.readouterr().err


def test_grid_aligns_numbers_right():
    assert echo.grid([["a", 1, None], ["bb", 20, 0.5]], ["x", "n", "f"]).splitlines() == [
        "x    n    f",
        "--  --  ---",
        "a    1",
        "bb  20  0.5",
    ]


def test_main_ends_the_process_with_the_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nexova", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == EXIT_OK
    assert capsys.readouterr().out == f"{__version__}\n"


def test_open_streams_replaces_closed_ones(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    echo.open_streams()
    assert sys.stdout.write("x") == 1
    sys.stdout.close()


def test_silence_sends_a_stream_nowhere(tmp_path):
    path = tmp_path / "f"
    with path.open("w") as stream:
        stream.write("told")
        stream.flush()
        echo.silence(stream)
        stream.write("not told")
    assert path.read_text() == "told"
