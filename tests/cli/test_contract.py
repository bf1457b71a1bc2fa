"""The contract of the command line: envelope, streams, exit codes, cost of --help."""

from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shell import TINY, nexova, only_object

from nexova_sim import __version__
from nexova_sim.base import errors
from nexova_sim.base.errors import EXIT_BUG, EXIT_CHECK_FAILED, EXIT_DATA, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from nexova_sim.cli import app as command_line
from nexova_sim.cli.app import run

HELP_CPU_S = 0.35
HEAVY = {"numba", "torch", "pandas", "sklearn", "duckdb", "pyarrow", "matplotlib", "numpy", "scipy", "prophet", "dask"}


def commands() -> list[list[str]]:
    """Every command and group of the command line, as words."""
    import typer.main

    found: list[list[str]] = [[]]

    def walk(node, words: list[str]) -> None:
        for name, inner in sorted(getattr(node, "commands", {}).items()):
            found.append([*words, name])
            walk(inner, [*words, name])

    walk(typer.main.get_command(command_line.app), [])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A simulated dataset."""
    out = tmp_path_factory.mktemp("contract") / "tiny"
    assert nexova("simulate", "-c", TINY, "--out", out, "--quiet").returncode == EXIT_OK
    return out


def test_success_is_one_envelope(folder, capsys):
    assert run(["simulate", "-c", TINY, "--out", str(folder), "--json"]) == EXIT_OK
    told = capsys.readouterr()
    envelope = only_object(told.out)
    assert set(envelope) == {"status", "data", "meta"}
    assert envelope["status"] == "success"
    assert set(envelope["meta"]) == {"timestamp", "version", "run_id"}
    assert envelope["meta"]["version"] == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", envelope["meta"]["timestamp"])
    assert re.fullmatch(r"[0-9a-f]{12}", envelope["meta"]["run_id"])
    assert envelope["data"]["folder"] == str(folder)


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["simulate", "-c", "no-such.yaml"], "CONFIG", EXIT_USAGE),
        (["simulate", "-c", TINY, "--set", "dayz=1"], "CONFIG", EXIT_USAGE),
        (["simulate", "-c", TINY, "--nope"], "USAGE", EXIT_USAGE),
        (["simulate", "-c", TINY, "--seed", "-1"], "USAGE", EXIT_USAGE),
        (["simulate", "-c", TINY, "--seed", "seven"], "USAGE", EXIT_USAGE),
        (["simulate", "-c", TINY, "--jobs", "0"], "USAGE", EXIT_USAGE),
        (["simulate"], "USAGE", EXIT_USAGE),
        (["simulate", "-c", TINY, "surplus"], "USAGE", EXIT_USAGE),
        (["nope"], "USAGE", EXIT_USAGE),
        ([], "USAGE", EXIT_USAGE),
        (["data", "describe", "no-such-dataset"], "DATA", EXIT_DATA),
    ],
)
def test_an_error_is_one_envelope_and_one_line(capsys, arguments, code, status):
    assert run([*arguments, "--json"]) == status
    told = capsys.readouterr()
    envelope = only_object(told.out)
    assert set(envelope) == {"status", "error"}
    assert envelope["status"] == "error"
    assert set(envelope["error"]) == {"code", "message", "detail"}
    assert envelope["error"]["code"] == code
    assert told.err.startswith("error: ")
    assert "Traceback" not in told.err
    assert run(arguments) == status
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("error: ")


def test_the_nearest_command_is_named(capsys):
    assert run(["simulat"]) == EXIT_USAGE
    assert "did you mean 'simulate'?" in capsys.readouterr().err
    assert run([]) == EXIT_USAGE
    assert "simulate" in capsys.readouterr().err


def test_data_on_stdout_people_on_stderr(folder):
    done = nexova("simulate", "-c", TINY, "--out", folder)
    assert done.returncode == EXIT_OK
    assert done.stdout == f"{folder}\n"
    assert "nothing to do" in done.stderr
    done = nexova("simulate", "-c", TINY, "--out", folder, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (EXIT_OK, f"{folder}\n", "")
    done = nexova("simulate", "-c", TINY, "--out", folder, "--quiet", "--json")
    assert only_object(done.stdout)["data"]["was_there"] is True
    assert done.stderr == ""


def test_no_progress_bar_without_a_terminal(tmp_path):
    done = nexova("simulate", "-c", TINY, "--out", tmp_path / "d")
    assert "%" not in done.stderr
    assert "\r" not in done.stderr


def test_dry_run_writes_nothing(tmp_path):
    done = nexova("simulate", "-c", TINY, "--out", tmp_path / "d", "--dry-run", "--json")
    assert only_object(done.stdout)["data"]["readings"] == 8 * 2 * 1440
    assert list(tmp_path.iterdir()) == []


def test_a_failed_check_is_exit_1(folder, tmp_path):
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    victim = next((broken / "machines").glob("*.parquet"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    done = nexova("data", "verify", broken, "--json")
    assert done.returncode == EXIT_CHECK_FAILED
    assert victim.name in done.stdout
    only_object(done.stdout)


def test_exit_codes_of_errors():
    codes = {e.__name__: e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)}
    assert codes == {
        "NexovaError": 2, "UsageError": 2, "ConfigError": 2, "MissingExtraError": 2, "DataError": 3, "LockedError": 3,
        "CheckFailedError": 1, "DeniedError": 1, "ServiceError": 4,
        **{k: v for k, v in codes.items() if k == "DamagedManifestError"},
    }  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True])
def test_a_bug_is_exit_70_with_a_log(monkeypatch, capsys, tmp_path, as_json):
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path))

    def broken(*_args):
        raise ZeroDivisionError("a secret mistake")

    monkeypatch.setattr("nexova_sim.config.load.load_fleet", broken)
    assert run(["simulate", "-c", TINY, *(["--json"] if as_json else [])]) == EXIT_BUG
    told = capsys.readouterr()
    log = Path(re.search(r"details in (\S+\.log)", told.err)[1])
    assert log.parent == tmp_path / "log"
    assert "Traceback" in log.read_text()
    assert "a secret mistake" in log.read_text()
    assert "Traceback" not in told.err + told.out
    if as_json:
        assert only_object(told.out)["error"]["code"] == "BUG"
    else:
        assert told.out == ""


def test_a_bug_without_a_place_for_the_log(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr("nexova_sim.config.load.load_fleet", lambda *_: 1 / 0)
    assert run(["simulate", "-c", TINY]) == EXIT_BUG
    assert "no log could be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MemoryError(), EXIT_BUG, "MEMORY"),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "INTERRUPTED"),
        (OSError(errno.EIO, "Input/output error", "some/file"), EXIT_DATA, "SYSTEM"),
        (errors.ServiceError("out of reach"), errors.EXIT_SERVICE, "SERVICE"),
        (RecursionError(), EXIT_BUG, "BUG"),
    ],
)
def test_whatever_ends_a_command_has_its_code(monkeypatch, capsys, tmp_path, error, status, code):
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path))

    def fail(*_args):
        raise error

    monkeypatch.setattr("nexova_sim.config.load.load_fleet", fail)
    assert run(["simulate", "-c", TINY, "--json"]) == status
    assert only_object(capsys.readouterr().out)["error"]["code"] == code


def heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_is_130_and_can_be_resumed(tmp_path):
    """The signal arrives while files are being written; the next run completes them."""
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    long = [
        "simulate",
        "-c",
        TINY,
        "--set",
        "days=300",
        "--set",
        "output.partition=day",
        "--set",
        "factories.0.machines.pump=30",
    ]
    command = [sys.executable, "-m", "nexova_sim", *long, "--out", str(out), "--jobs", "2", "--json"]
    # A caller that runs in the background ignores the signal, and so would its children.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    )
    end = time.monotonic() + 60.0
    while time.monotonic() < end and len(list(partial.rglob("*.parquet"))) < 6:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    told, people = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED, people
    assert only_object(told)["error"]["code"] == "INTERRUPTED"
    assert "Traceback" not in people
    assert "resume" in people
    assert not out.exists()
    assert not (tmp_path / "out.lock").exists()
    kept = {p: p.stat().st_mtime_ns for p in partial.rglob("*.parquet")}
    assert len(kept) >= 6
    done = nexova(*long, "--out", out, "--json")
    assert done.returncode == EXIT_OK, done.stderr
    assert [p for p, t in kept.items() if (out / p.relative_to(partial)).stat().st_mtime_ns != t] == []


PROBE = """
import json, resource, sys
from nexova_sim.cli.app import run
code = run(json.loads(sys.argv[1]))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, used.ru_utime + used.ru_stime, sorted({m.split('.')[0] for m in sys.modules})]))
"""


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "nexova")
def test_help_is_cheap(words):
    """CPU time of the whole process, least of several; and none of the heavy libraries is touched."""
    spent = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, json.dumps([*words, "--help"])], capture_output=True, text=True, check=True
        )
        told, _, last = done.stdout.rstrip("\n").rpartition("\n")
        code, cpu_s, modules = json.loads(last)
        assert code == EXIT_OK
        assert "Usage: nexova" in told
        assert done.stderr == ""
        assert not HEAVY & set(modules)
        spent.append(cpu_s)
        if cpu_s <= HELP_CPU_S:
            break
    assert min(spent) <= HELP_CPU_S


def test_importing_the_package_is_free():
    code = (
        "import sys, nexova_sim; print(sorted(m for m in sys.modules if m.startswith('nexova_sim')), len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['nexova_sim'] ")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["simulate", "--help"], ["--version"]])
def test_help_goes_to_stdout(capsys, words):
    assert run(words) == EXIT_OK
    told = capsys.readouterr()
    assert told.out
    assert told.err == ""
