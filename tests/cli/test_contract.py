"""The contract of the command line: envelope, streams, exit codes, cost of --help, hostile text, closed pipes."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexova_sim import __version__
from nexova_sim.base import errors
from nexova_sim.base.errors import EXIT_BUG, EXIT_CHECK_FAILED, EXIT_DATA, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from nexova_sim.cli import app as command_line
from nexova_sim.cli import echo
from nexova_sim.cli.app import main, run

HELP_CPU_S = 0.35
HEAVY = {"numba", "torch", "pandas", "sklearn", "duckdb", "pyarrow", "matplotlib", "numpy", "scipy", "prophet", "dask"}
TINY = "configs/fleet/tiny.yaml"


def nexova(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "nexova_sim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


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


def only_object(text: str) -> dict:
    """The one JSON object on stdout: one line, nothing else."""
    assert text.endswith("\n")
    assert text.count("\n") == 1
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


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
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
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
